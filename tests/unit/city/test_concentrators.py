"""Concentrators in the registry, and what they are answered over HTTP: each only about itself, signed, and once."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient
from sqlalchemy import delete, select

from city.api import callers
from city.registry import audit, concentrators, feeds, peers
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Certificate, Concentrator, Meta
from city.signing import keys
from netconf import envelope
from tests.registryserver import door
from tests.unit.city.test_peers import key, refused, site
from tests.unit.city.test_report_api import Connection

NOW = 1_780_000_000.0
KEY = ec.generate_private_key(ec.SECP256R1())


def new(name: str = "hub-a", number: int = 900, **other: Any) -> concentrators.New:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der = base64.b64encode(KEY.public_key().public_bytes(serialization.Encoding.DER, form)).decode()
    said = {"network": IPv4Network("100.64.0.0/24"), "probe": IPv4Address("100.64.0.1")} | other
    return concentrators.New(name, "Hub", "wg-a", key(number), "192.0.2.1:51820", allowed=(), seal_key=der, **said)


def csr(of: ec.EllipticCurvePrivateKey = KEY) -> str:
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(of, hashes.SHA256())
    return asked.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def hub(store: Store) -> None:
    with store.begin() as session:
        concentrators.add(session, "li", new(), NOW)


@pytest.mark.usefixtures("hub")
def test_a_concentrator_has_a_network_and_a_key_of_its_own(store: Store) -> None:
    for rule, other in {
        "concentrator_taken": new(),
        "key_taken": new("hub-b", network=IPv4Network("100.65.0.0/24"), probe=IPv4Address("100.65.0.1")),
        "concentrator_network": new("hub-b", 901, network=IPv4Network("100.64.0.128/25"), probe=IPv4Address("100.64.0.129")),
    }.items():  # fmt: skip
        with refused(rule), store.begin() as session:
            concentrators.add(session, "li", other, NOW)
    with refused("concentrator_network"), store.begin() as session:
        concentrators.add(session, "li", new("hub-b", 901, network=IPv4Network("100.65.0.0/24"),
                                             probe=IPv4Address("100.65.0.10")), NOW)  # fmt: skip
    with store.begin() as session:
        concentrators.drain(session, "li", "hub-a", NOW)
        [one] = concentrators.listed(session)
        assert (one["id"], one["state"], one["sites"], one["room"]) == ("hub-a", "draining", 0, 245)
        assert audit.verify(session) == (2, None)


@pytest.mark.usefixtures("hub")
def test_its_certificate_is_for_its_own_key(store: Store, signer: Signer) -> None:
    with store.begin() as session:
        with refused("concentrator_other_key"):
            concentrators.certify(session, signer, "li", "hub-a", csr(ec.generate_private_key(ec.SECP256R1())), NOW)
        pem = concentrators.certify(session, signer, "li", "hub-a", csr(), NOW)
    assert x509.load_pem_x509_certificate(pem.encode()).public_key() == KEY.public_key()


def told(*slots: tuple[str, int], revision: int = 0, **other: Any) -> dict[str, Any]:
    return {"revision": revision, "slots": [[name, port, 0] for name, port in slots]} | other


@pytest.mark.usefixtures("hub")
def test_its_key_changes_in_three_steps(store: Store) -> None:
    old, fresh = (key(900), 51820), (key(901), 51821)
    with store.begin() as session:
        assert concentrators.heard(session, "hub-a", told(old), NOW) == {"make_key": False, "serve": [old[0]]}
        with refused("concentrator_one_key"):
            concentrators.exchange(session, "li", "hub-a", NOW)
        concentrators.rotate(session, "li", "hub-a", NOW)
        with refused("concentrator_rotates"):
            concentrators.rotate(session, "li", "hub-a", NOW)
        assert concentrators.heard(session, "hub-a", told(old), NOW) == {"make_key": True, "serve": [old[0]]}
        both = {"make_key": False, "serve": [old[0], fresh[0]]}
        assert concentrators.heard(session, "hub-a", told(old, fresh), NOW) == both
        concentrators.exchange(session, "li", "hub-a", NOW)
        row = session.get(Concentrator, "hub-a")
        assert row is not None
        assert (row.public_key, row.endpoint) == (fresh[0], "192.0.2.1:51821")
        assert set(concentrators.heard(session, "hub-a", told(old, fresh), NOW)["serve"]) == {old[0], fresh[0]}
        concentrators.finish(session, "li", "hub-a", NOW)
        assert concentrators.heard(session, "hub-a", told(old, fresh), NOW)["serve"] == [fresh[0]]
        with refused("concentrator_rotates"):
            concentrators.rotate(session, "li", "hub-a", NOW)
        concentrators.heard(session, "hub-a", told(fresh), NOW)
        concentrators.rotate(session, "li", "hub-a", NOW)
        for spent in (old, fresh):
            with refused("key_taken"):
                peers.take_key(session, spent[0], "")


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    "bad", [{}, {"revision": 1}, {"slots": [], "revision": 1}, {"slots": [["k", 0, 0]], "revision": 1},
            {"slots": [["k", 1, 0]], "revision": "1"}, {"slots": [["k", 1, 0]], "revision": 1 << 63},
            {"slots": [["k", 1, 0]], "revision": -1}, {"slots": [["k", 1, 1 << 63]], "revision": 1}, {"slots": [["k", 1, 0]], "revision": 1, "x": "y" * (1 << 17)}]
)  # fmt: skip
def test_a_report_that_is_none_is_refused(store: Store, bad: dict[str, Any]) -> None:
    with refused("concentrator_report"), store.begin() as session:
        concentrators.heard(session, "hub-a", bad, NOW)


class Asks:
    """A concentrator that asks over HTTP; ``who`` is whose certificate it shows."""

    def __init__(self, client: FlaskClient, city: Any) -> None:
        self.client, self.city, self.who = client, city, "concentrator:hub-a"

    def get(self, path: str) -> tuple[int, Any]:
        response = self.client.get(f"/v1/concentrators/{path}")
        return response.status_code, response.text

    def opened(self, path: str) -> envelope.Peers:
        status, text = self.get(path)
        assert status == 200, text
        return envelope.open_peers(text, self.city, concentrator="hub-a")


@pytest.fixture
def asks(
    store: Store, signer: Signer, city_keys: keys.Keys, hub: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Asks]:
    made = Asks(door(store, signer, lambda: NOW).test_client(), city_keys.city.public_key())

    def subject(_: callers.Callers) -> str:
        if not made.who:
            raise RegistryRefused("certificate_missing")
        return made.who

    monkeypatch.setattr(callers.Callers, "subject", subject)
    yield made


def test_only_its_own_certificate_opens_its_door(asks: Asks) -> None:
    assert asks.get("hub-a/snapshot")[0] == 200
    for who, status in (
        ("concentrator:hub-b", 403),
        ("site:34020000002000000001", 403),
        ("site:hub-a", 403),
        ("", 401),
    ):
        asks.who = who
        for path in ("hub-a/snapshot", "hub-a/changes?after=0&epoch=1"):
            assert asks.get(path)[0] == status
        assert asks.client.post("/v1/concentrators/hub-a/report", json=told((key(900), 51820))).status_code == status


def test_a_snapshot_is_signed_once_for_its_revision(asks: Asks, store: Store, signer: Signer) -> None:
    assert asks.opened("hub-a/snapshot").peers == ()
    with store.begin() as session:
        who = site(session)
        peers.put_on(session, signer, who, "wg-a", "hub-a", key(1), NOW)
    first, again = asks.get("hub-a/snapshot"), asks.get("hub-a/snapshot")
    assert first == again
    opened = envelope.open_peers(first[1], asks.city, concentrator="hub-a")
    assert (opened.kind, opened.revision, [one["public_key"] for one in opened.peers]) == ("snapshot", 1, [key(1)])
    assert opened.smaller is False
    with store.begin() as session:
        concentrators.allow_smaller(session, "li", "hub-a", NOW)
        peers.put_off(session, who, NOW)
    opened = asks.opened("hub-a/snapshot")
    assert (opened.revision, opened.smaller) == (2, True)
    assert opened.peers == ({"site": who, "gone": True},)


def test_changes_follow_and_what_does_not_follow_is_sent_to_the_snapshot(
    asks: Asks, store: Store, signer: Signer
) -> None:
    assert asks.get("hub-a/changes?after=0&epoch=1")[0] == 204
    with store.begin() as session:
        for number in (1, 2, 3):
            peers.put_on(session, signer, site(session, number), "wg-a", "hub-a", key(number), NOW)
        peers.reset(session, site_of(2), "wg-a", NOW)
    opened = asks.opened("hub-a/changes?after=1&epoch=1&wait=20")
    assert (opened.kind, opened.first, opened.revision) == ("changes", 2, 4)
    assert [(one["revision"], one.get("reset")) for one in opened.peers] == [(2, None), (3, None), (4, True)]
    assert asks.get("hub-a/changes?after=4&epoch=1")[0] == 204
    with store.begin() as session:
        feeds.trim(session, peers.feed("hub-a"), 2)
    for path in ("after=5&epoch=1", "after=0&epoch=1", "after=-1&epoch=1", "after=3&epoch=2", "after=x&epoch=1", ""):
        status, text = asks.get(f"hub-a/changes?{path}")
        assert (status, json.loads(text)["rule"]) == (409, "take_snapshot"), path
    with store.begin() as session:
        session.merge(Meta(name="epoch", value="2"))
    assert asks.get("hub-a/changes?after=3&epoch=1")[0] == 409
    assert asks.opened("hub-a/snapshot").epoch == 2


def test_a_revocation_is_heard_after_changes_that_were_missed(asks: Asks, store: Store, signer: Signer) -> None:
    """What the site had before it was revoked is signed no more; the snapshot says what it is now."""
    with store.begin() as session:
        who = site(session)
        peers.put_on(session, signer, who, "wg-a", "hub-a", key(1), NOW)
        peers.offer_key(session, who, "wg-a", key(2), NOW)
        peers.exchange_key(session, who, "wg-a", NOW)
        peers.put_off(session, who, NOW)
        payload = {"site": who, "device": f"{1:064x}", "epoch": 1, "at": int(NOW), "reason": "stolen"}
        signer.sign_revocation(payload)
    status, text = asks.get("hub-a/changes?after=1&epoch=1")
    assert (status, json.loads(text)["rule"]) == (409, "take_snapshot")
    assert asks.opened("hub-a/snapshot").peers == ({"site": who, "gone": True},)
    assert asks.opened("hub-a/changes?after=2&epoch=1").peers[0]["gone"] is True


def site_of(number: int) -> str:
    return f"340200000020{number:08d}"


def test_a_batch_is_bounded(asks: Asks, store: Store, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("city.api.concentrators.MOST_CHANGES", 2)
    with store.begin() as session:
        for number in (1, 2, 3):
            peers.put_on(session, signer, site(session, number), "wg-a", "hub-a", key(number), NOW)
    assert asks.opened("hub-a/changes?after=0&epoch=1").revision == 2
    assert asks.opened("hub-a/changes?after=2&epoch=1").revision == 3


def test_a_report_is_kept_and_answered(asks: Asks, store: Store) -> None:
    said = told((key(900), 51820), revision=7)
    answer = asks.client.post("/v1/concentrators/hub-a/report", json=said | {"csr": csr()})
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["serve"] == [key(900)]
    assert answer.json["certificate"].startswith("-----BEGIN CERTIFICATE")
    with store.read() as session:
        row = session.get(Concentrator, "hub-a")
        assert row is not None
        assert (row.revision, row.seen_at, json.loads(row.report)) == (7, NOW, said)
    for bad in (b"", b"[]", b"{", b'{"revision": 1, "revision": 1}'):
        assert asks.client.post("/v1/concentrators/hub-a/report", data=bad).status_code == 400


@pytest.mark.usefixtures("hub")
def test_f31_a_concentrator_whose_certificate_is_younger_than_the_backup_is_known(store: Store, signer: Signer) -> None:
    with store.begin() as session:
        pem = concentrators.certify(session, signer, "li", "hub-a", csr(), NOW)
    with store.begin() as session:
        session.execute(delete(Certificate))
    client = door(store, signer, lambda: NOW).test_client()
    foreign = signer.certify(csr(ec.generate_private_key(ec.SECP256R1())), "concentrator:hub-a", days=1)
    for shown, status in ((foreign, 403), (pem, 200), (foreign, 403), (pem, 200)):
        environ = {"gunicorn.socket": Connection(shown)}
        answer = client.get("/v1/concentrators/hub-a/snapshot", environ_overrides=environ)
        assert answer.status_code == status, answer.text
    with store.read() as session:
        assert session.scalars(select(Certificate.subject)).all() == ["concentrator:hub-a"]
