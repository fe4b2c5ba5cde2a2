"""The signing process judges by itself what it is asked: a registry that was taken over cannot make it say anything else."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from city.registry.signer import Signer, SignRefused
from city.signing import keys
from city.signing.client import Client
from city.signing.marks import Marks
from city.signing.service import Service
from netconf import envelope, sealed, words
from tests.chance import counted

NOW = 1_780_000_000.0
SITE, OTHER, PLATFORM = "34020000002000000001", "34020000002000000002", "34020000002000000900"
DEVICE = "d" * 64


def key(number: int) -> str:
    return base64.b64encode(bytes([number]) * 32).decode()


def layer(**changed: Any) -> dict[str, Any]:
    tunnel = {
        "name": "wg-a",
        "address": "100.64.0.7/32",
        "endpoint": "192.0.2.10:51820",
        "public_key": key(1),
        "allowed": ["10.20.0.0/16"],
    }
    platform = {"id": PLATFORM, "domain": "3402000000", "address": "10.20.0.5", "media_networks": ["10.20.1.0/24"]}
    site = {"id": SITE, "name": "渡江社区", "civil_code": "340200"}
    return {"site": site, "tunnel": [tunnel], "platform": [platform]} | changed


def payload(revision: int = 1, epoch: int = 1, **changed: Any) -> dict[str, Any]:
    asked = {"site": SITE, "device": DEVICE, "epoch": epoch, "revision": revision, "not_after": int(NOW) + 86400}
    return asked | {"layer": layer()} | changed


def der(of: ec.EllipticCurvePublicKey) -> str:
    return base64.b64encode(
        of.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).decode()


def csr(of: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, name: str = "anything") -> str:
    asked = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("city.example")]), critical=False)
    )
    return asked.sign(of, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def refusal(ask: Any, *args: Any, **kwargs: Any) -> SignRefused:
    with pytest.raises(SignRefused) as caught:
        ask(*args, **kwargs)
    assert words.of(caught.value.rule) is not None, caught.value.rule
    return caught.value


def test_a_layer_is_one_that_a_box_opens(signer: Signer, city_keys: keys.Keys) -> None:
    text = signer.sign_layer(payload(sealed="c2VhbGVk"))
    opened = envelope.open_layer(text, city_keys.city.public_key(), site=SITE, device=DEVICE, highest=(0, 0), now=NOW)
    assert opened.mark == (1, 1)
    assert opened.sealed == "c2VhbGVk"
    assert signer.identity().city_key == base64.b64encode(city_keys.city.public_key().public_bytes_raw()).decode()


@pytest.mark.parametrize(("epoch", "revision"), [(1, 5), (1, 4), (0, 9)])
def test_c03_no_older_and_no_second_layer_of_a_number(signer: Signer, epoch: int, revision: int) -> None:
    signer.sign_layer(payload(5))
    refused = refusal(signer.sign_layer, payload(revision, epoch, not_after=int(NOW) + 99))
    assert (refused.rule, refused.args_) == ("sign_old", {"epoch": 1, "revision": 5})
    assert signer.highest(SITE) == (1, 5)
    signer.sign_layer(payload(1, 2))
    assert signer.highest(OTHER) == (0, 0)


def test_marks_outlive_the_process(tmp_path: Any) -> None:
    marks = Marks(tmp_path / "m")
    assert marks.rise(SITE, 1, 3)
    marks.close()
    again = Marks(tmp_path / "m")
    assert not again.rise(SITE, 1, 3)
    assert again.highest(SITE) == (1, 3)
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o600
    again.close()


def tunnel(**changed: Any) -> list[dict[str, Any]]:
    return [layer()["tunnel"][0] | changed]


@pytest.mark.parametrize(
    ("what", "bad"),
    [
        ("layer_owner_field", layer(channel=[])),
        ("layer_owner_field", layer(lan={"port": "x", "address": "10.0.0.1/24"})),
        ("allowed_own", layer(tunnel=tunnel(allowed=["0.0.0.0/0"]))),
        ("allowed_everything", layer(tunnel=tunnel(allowed=["10.0.0.0/7"]))),
        ("tunnel_address_wide", layer(tunnel=tunnel(address="100.64.0.7/24"))),
        ("tunnel_repeated", layer(tunnel=tunnel() + tunnel())),
        ("platform_outside_tunnel", layer(tunnel=tunnel(allowed=["10.99.0.0/16"]))),
        ("endpoint_inside", layer(tunnel=tunnel(endpoint="10.20.0.1:51820"))),
        ("key_form", layer(tunnel=tunnel(public_key="x"))),
        ("field_unknown", layer(root_key="ssh-ed25519 AAAA")),
        ("field_unknown", layer(tunnel=tunnel(post_up="sh -c true"))),
        ("city_part_missing", layer(tunnel=[])),
        ("layer_other_site", {}),
        ("layer_other_site", layer(site={"id": OTHER, "name": "x", "civil_code": "34"})),
    ],
)
def test_w02_c03_a_layer_that_opens_everything_or_is_not_the_citys_is_not_signed(
    signer: Signer, what: str, bad: dict[str, Any]
) -> None:
    refused = refusal(signer.sign_layer, payload(layer=bad))
    assert (refused.rule, refused.args_["what"]) == ("sign_layer_unfit", what)
    assert signer.highest(SITE) == (0, 0)
    signer.sign_layer(payload())


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"ask": "run", "command": "id"},
        {"ask": "layer"},
        {"ask": "highest", "site": SITE, "more": 1},
        [],
        None,
        "layer",
    ],
)
def test_what_is_not_on_the_list_is_refused(service: Any, request_: Any) -> None:
    assert service.answer(request_)["rule"] == "sign_fields"
    assert service.answer({"ask": "highest", "site": SITE}) == {"done": [0, 0]}


def peers(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"concentrator": "hub-1", "epoch": 1, "kind": "snapshot", "first": 0, "revision": 3, "peers": list(entries)}


def peer(site: str = SITE, number: int = 1, *allowed: str) -> dict[str, Any]:
    return {"site": site, "public_key": key(number), "allowed": list(allowed or ("100.64.0.7/32",)), "revision": 2}


def test_peers_are_what_a_concentrator_opens(signer: Signer, city_keys: keys.Keys) -> None:
    asked = peers(peer(), {"site": OTHER, "gone": True, "revision": 3})
    opened = envelope.open_peers(signer.sign_peers(asked), city_keys.city.public_key(), concentrator="hub-1")
    assert list(opened.peers) == asked["peers"]


@pytest.mark.parametrize(
    ("rule", "entries"),
    [
        ("sign_peer_wide", [peer(SITE, 1, "0.0.0.0/0")]),
        ("sign_peer_wide", [peer(SITE, 1, "100.64.0.0/31")]),
        ("sign_peer_wide", [{"site": SITE, "public_key": key(1), "allowed": []}]),
        ("sign_peer_twice", [peer(SITE, 1), peer(OTHER, 2)]),
        ("sign_peer_twice", [peer(SITE, 1), peer(OTHER, 1, "100.64.0.8/32")]),
        ("sign_fields", [peer() | {"run": "id"}]),
        ("sign_fields", [{"site": SITE, "allowed": ["100.64.0.7/32"]}]),
    ],
)
def test_w02_a_concentrator_sends_one_address_to_one_site(
    signer: Signer, rule: str, entries: list[dict[str, Any]]
) -> None:
    assert refusal(signer.sign_peers, peers(*entries)).rule == rule
    signer.sign_peers(peers(peer(SITE, 1), peer(SITE, 2), peer(OTHER, 3, "100.64.0.8/32")))


def test_answers_and_revocations_are_those_of_the_envelope(signer: Signer, city_keys: keys.Keys) -> None:
    city = city_keys.city.public_key()
    answer = signer.sign_answer({"site": SITE, "device": DEVICE, "nonce": "abc"})
    envelope.open_answer(answer, city, site=SITE, device=DEVICE, nonce="abc")
    gone = signer.sign_revocation({"site": SITE, "device": DEVICE, "epoch": 1, "at": int(NOW), "reason": "被盗"})
    assert envelope.open_revocation(gone, city, site=SITE, device=DEVICE) == (int(NOW), "被盗")


def test_a_certificate_takes_nothing_of_its_request_but_the_key(signer: Signer, city_keys: keys.Keys) -> None:
    device = ec.generate_private_key(ec.SECP256R1())
    chain = x509.load_pem_x509_certificates(signer.certify(csr(device), f"site:{SITE}", days=90).encode())
    leaf, ca = chain
    assert leaf.public_key() == device.public_key()
    assert leaf.subject.rfc4514_string() == f"CN=site:{SITE}"
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == [f"urn:snowgate:site:{SITE}"]
    assert leaf.not_valid_after_utc.timestamp() == NOW + 90 * 86400
    leaf.verify_directly_issued_by(ca)
    assert hashlib.sha256(ca.public_bytes(serialization.Encoding.DER)).hexdigest() == city_keys.ca_hash


def test_a_server_has_names_and_nobody_else(signer: Signer) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    pem = signer.certify(csr(own), "server", days=398, names=["192.0.2.1", "city.example"])
    leaf = x509.load_pem_x509_certificate(pem.encode())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["192.0.2.1", "city.example"]
    assert refusal(signer.certify, csr(own), "server", days=398).rule == "sign_names"
    assert refusal(signer.certify, csr(own), f"site:{SITE}", days=1, names=["city.example"]).rule == "sign_names"


def test_no_certificate_for_long_for_nobody_or_for_another_kind_of_key(signer: Signer) -> None:
    device = ec.generate_private_key(ec.SECP256R1())
    assert refusal(signer.certify, csr(device), f"site:{SITE}", days=91).rule == "sign_days"
    for subject in ("ca", "site:1", "server:x", f"site:{SITE}\nx", "person:root"):
        assert refusal(signer.certify, csr(device), subject, days=1).rule == "sign_fields"
    other = rsa.generate_private_key(65537, 2048)
    assert refusal(signer.certify, csr(other), f"site:{SITE}", days=1).rule == "csr_form"
    wrong = csr(device).replace("MII", "MIJ", 1)
    assert refusal(signer.certify, wrong, f"site:{SITE}", days=1).rule == "csr_form"
    assert refusal(signer.certify, csr(ec.generate_private_key(ec.SECP384R1())), "server", days=1).rule == "csr_form"


@pytest.mark.parametrize("now", [0.0, NOW - 2 * 86_400, NOW + 11 * 365 * 86_400, 4_100_000_000.0])
def test_f20_no_certificate_by_a_clock_that_the_ca_cannot_know(
    city_keys: keys.Keys, tmp_path: Path, now: float
) -> None:
    marks = Marks(tmp_path / "other.sqlite")
    lost = Client(Service(city_keys, marks, lambda: now, counted()).answer)
    assert (
        refusal(lost.certify, csr(ec.generate_private_key(ec.SECP256R1())), f"site:{SITE}", days=90).rule
        == "sign_clock"
    )
    marks.close()


def test_secrets_open_for_who_needs_them_and_nobody_else(signer: Signer) -> None:
    device, hub, sip = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    made = signer.seal(
        SITE,
        der(device.public_key()),
        hubs={"wg-a": der(hub.public_key())},
        platforms={PLATFORM: der(sip.public_key())},
    )
    box = json.loads(sealed.unseal(made.box, device, envelope.SEALED_FOR_BOX + SITE))
    assert sealed.unseal(made.hubs["wg-a"], hub, envelope.SEALED_FOR_HUB + SITE).decode() == box["psk"]["wg-a"]
    assert sealed.unseal(made.platforms[PLATFORM], sip, "platform " + SITE).decode() == box["sip"][PLATFORM]
    assert len(base64.b64decode(box["psk"]["wg-a"])) == 32
    with pytest.raises(sealed.SealBroken):
        sealed.unseal(made.box, hub, envelope.SEALED_FOR_BOX + SITE)
    with pytest.raises(sealed.SealBroken):
        sealed.unseal(made.hubs["wg-a"], hub, envelope.SEALED_FOR_HUB + OTHER)
    other = signer.seal(SITE, der(device.public_key()), hubs={}, platforms={PLATFORM: None})
    assert json.loads(sealed.unseal(other.box, device, envelope.SEALED_FOR_BOX + SITE))["sip"] != box["sip"]
    assert refusal(signer.seal, SITE, "A" * 120, hubs={}, platforms={}).rule == "sign_key_form"


def test_keys_are_kept_once_and_read_again(tmp_path: Any) -> None:
    made = keys.make("芜湖市", NOW, lambda length: b"\7" * length)
    keys.write(tmp_path / "k", made)
    again = keys.read(tmp_path / "k")
    assert (again.ca_hash, again.city_key) == (made.ca_hash, made.city_key)
    assert again.ca.not_valid_after_utc - datetime.timedelta(days=3650) <= datetime.datetime.fromtimestamp(
        NOW, datetime.UTC
    )
    for name in ("ca.key", "city.key"):
        assert (tmp_path / "k" / name).stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        keys.write(tmp_path / "k", made)
    plain = Ed25519PrivateKey.generate().private_bytes_raw()
    (tmp_path / "k" / "ca.key").write_bytes(plain)
    with pytest.raises(keys.KeysDamaged, match=r"ca\.key"):
        keys.read(tmp_path / "k")
    assert "PrivateKey" not in repr(made)
