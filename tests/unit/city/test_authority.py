"""The city's CA is renewed: a fresh one beside it, then in its place; nobody is locked out, whenever the power goes."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from werkzeug.serving import make_server

from city.api.app import create_app
from city.api.office import BundleFacts
from city.api.server import Contexts, ensure_certificate
from city.concentrator import certificate
from city.concentrator.config import Config
from city.concentrator.link import Link as HubLink
from city.concentrator.link import RegistryAway
from city.registry import approvals, authority, claims, enrolment, people
from city.registry.certificates import keep
from city.registry.refused import RegistryRefused
from city.registry.store import Store
from city.registry.tables import Audit, Certificate, Person, Site
from city.signing import keys
from city.signing.client import Client, over_socket
from city.signing.marks import Marks
from city.signing.process import serve
from city.signing.service import OVERLAP_SECONDS, Service
from edge.agent.link import Known, Link
from edge.io import credentials
from edge.io.https import Server
from netconf import certificates, envelope, secrets
from tests import fleet
from tests.chance import counted
from tests.registryserver import Handler

NOW = 1_780_000_000.0
DAY = 86_400.0
ADDRESS = "127.0.0.1"


@dataclass
class Signing:
    """A signing process whose keys are on a disk, and which is started again as often as one likes."""

    folder: Path
    now: float = NOW
    service: Service = field(init=False)

    def __post_init__(self) -> None:
        keys.write(self.folder, keys.make("City of Tests", NOW - DAY, counted()))
        self.marks = Marks(self.folder / "marks.sqlite")
        self.again()

    def again(self) -> None:
        self.service = Service(keys.read(self.folder), self.marks, lambda: self.now, os.urandom, self.folder)

    @property
    def client(self) -> Client:
        return Client(self.answer)

    def answer(self, request: object) -> dict[str, Any]:
        return self.service.answer(request)


@pytest.fixture
def signing(tmp_path: Path) -> Iterator[Signing]:
    made = Signing(tmp_path / "signing")
    yield made
    made.marks.close()


def pin(pem: str) -> str:
    return certificates.pin(x509.load_pem_x509_certificate(pem.encode("ascii")))


def csr(key: ec.EllipticCurvePrivateKey) -> str:
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode("ascii")


def issuer(signing: Signing) -> str:
    """By which CA a certificate is made now."""
    made = signing.client.certify(csr(ec.generate_private_key(ec.SECP256R1())), f"site:{fleet.site_id(1)}", days=90)
    _, ca = x509.load_pem_x509_certificates(made.encode("ascii"))
    leaf = x509.load_pem_x509_certificate(made.encode("ascii"))
    leaf.verify_directly_issued_by(ca)
    return certificates.pin(ca)


def test_a_fresh_ca_makes_nothing_before_it_is_in_its_place(signing: Signing) -> None:
    first = signing.client.identity()
    assert (first.trusted, first.begun, first.authority) == ((first.ca,), False, "")
    with pytest.raises(RegistryRefused, match="ca_not_begun"):
        signing.client.switch_ca()
    begun = signing.client.renew_ca()
    assert (begun.ca, begun.begun, len(begun.trusted)) == (first.ca, True, 2)
    assert signing.client.renew_ca() == begun, "asked again, nothing happens"
    city = signing.service._keys.city.public_key()
    said = envelope.open_authority(begun.authority, city)
    assert set(said.certificates) == set(begun.trusted)
    assert issuer(signing) == first.ca_hash
    with pytest.raises(RegistryRefused, match="ca_too_soon"):
        signing.client.switch_ca()
    signing.now += OVERLAP_SECONDS
    switched = signing.client.switch_ca()
    assert (switched.ca, switched.trusted) == (begun.trusted[1], (begun.trusted[1], first.ca))
    assert issuer(signing) == switched.ca_hash == pin(switched.ca)
    assert envelope.open_authority(switched.authority, city) == said, "one word for both, before and after"
    with pytest.raises(RegistryRefused, match="ca_not_begun"):
        signing.client.switch_ca()


def test_what_a_restart_finds_is_what_was_said(signing: Signing) -> None:
    folder = signing.folder
    for step in ("renew_ca", "switch_ca", "renew_ca", "switch_ca"):
        said = getattr(signing.client, step)()
        signing.again()
        assert signing.client.identity() == said
        assert issuer(signing) == said.ca_hash
        signing.now += OVERLAP_SECONDS
    assert sorted(path.name for path in folder.glob("*.key")) == ["ca-3.key", "city.key"], "a CA before signs no more"
    assert len(said.trusted) == 2


def test_who_followed_a_renewal_that_was_lost_with_its_folder_follows_the_next_one(
    signing: Signing, tmp_path: Path
) -> None:
    (tmp_path / "city.pub").write_text(signing.client.identity().city_key, encoding="ascii")
    assert certificate.follow(tmp_path, signing.client.renew_ca().authority.encode("ascii"))
    # Laid back is what was there before, and no word of the other CA.
    for path in (*signing.folder.glob("ca-2.*"), signing.folder / "renewed.json"):
        path.unlink()
    for back in (DAY, -5 * DAY):
        signing.now += back
        signing.again()
        if back > 0:
            assert signing.client.identity().authority == ""
        word = signing.client.renew_ca().authority.encode("ascii")
        assert certificate.follow(tmp_path, word)
        assert not certificate.follow(tmp_path, word), "the control: the same word is followed once"
        signing.now += 4 * DAY
        signing.client.switch_ca()


def test_the_power_goes_between_any_two_writes(signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was written, the keys that are read are those before or those after."""
    before = signing.client.identity()
    real = keys.durable.write
    for step, least in (("renew_ca", 3), ("switch_ca", 1)):
        for most in range(least):
            left = [most]

            def failing(path: Path, data: bytes, mode: int = 0o600, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] < 0:
                    raise OSError("the power is gone")
                real(path, data, mode)

            monkeypatch.setattr(keys.durable, "write", failing)
            with pytest.raises(OSError, match="power"):
                getattr(signing.client, step)()
            monkeypatch.setattr(keys.durable, "write", real)
            signing.again()
            assert signing.client.identity() == before
        before = getattr(signing.client, step)()
        signing.now += OVERLAP_SECONDS
    # And after the word was written, before the key was given up.
    signing.again()
    assert signing.client.identity() == before
    (signing.folder / "ca.key").write_bytes(b"left over")
    signing.again()
    assert not (signing.folder / "ca.key").exists()


def test_two_persons_agree_before_a_ca_is_renewed(store: Store, signing: Signing) -> None:
    with store.begin() as session:
        fleet.found(session)
        for name, role in (("sec1", "security"), ("sec2", "security")):
            people.add(session, NOW, "init", name, "x", role)
        session.add(Site(id=fleet.site_id(7), name="x", civil_code="340200", made_by="li", made_at=NOW))
        session.flush()
        claim = claims.fresh(counted())
        claims.issue(session, NOW, "li", session.get_one(Site, fleet.site_id(7)), claim)
    with pytest.raises(RegistryRefused, match="approval_missing"), store.begin() as session:
        authority.renew(session, signing.client, NOW, "sec1")
    with store.begin() as session:
        asked = approvals.ask(session, NOW, session.get_one(Person, "sec1"), "ca", "", "it is old")
        approvals.judge(session, NOW, session.get_one(Person, "sec2"), asked.id, yes=True)
    with store.begin() as session:
        authority.renew(session, signing.client, NOW, "sec1")
    with pytest.raises(RegistryRefused, match="approval_missing"), store.begin() as session:
        authority.renew(session, signing.client, NOW, "sec1")
    with pytest.raises(RegistryRefused, match="ca_too_soon"), store.begin() as session:
        authority.switch(session, signing.client, NOW, "sec1")
    with store.begin() as session:
        assert claims.redeem(session, NOW, fleet.site_id(7), claim, "d" * 64) is None, "refused: nothing is void"
        claims.issue(session, NOW, "li", session.get_one(Site, fleet.site_id(7)), other := claims.fresh(counted(9)))
    signing.now += OVERLAP_SECONDS
    with store.begin() as session:
        _, void = authority.switch(session, signing.client, NOW + OVERLAP_SECONDS, "sec1")
        assert void == [fleet.site_id(7)]
        assert claims.redeem(session, NOW + OVERLAP_SECONDS, fleet.site_id(7), other, "d" * 64) == "claim_expired"
        lines = session.scalars(select(Audit.what).where(Audit.what.startswith("ca."))).all()
        assert lines == ["ca.renew", "ca.switch"]


@pytest.mark.parametrize("owner", [False, True])
def test_the_machines_owner_alone_has_the_ca_renewed(signing: Signing, tmp_path: Path, owner: bool) -> None:
    """The server that the world can reach may ask for signatures, but not this."""
    us = (os.geteuid(),)
    server = serve(tmp_path / "s", signing.service, us, us if owner else (), lambda *_, **__: None)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        client = over_socket(tmp_path / "s")
        assert client.identity().city_key, "the control: it is answered"
        for step in (client.renew_ca, client.switch_ca):
            if owner:
                step()
            else:
                with pytest.raises(RegistryRefused, match="sign_not_owner"):
                    step()
            signing.now += OVERLAP_SECONDS
    finally:
        server.shutdown()
        server.server_close()
    assert signing.client.identity().begun is False
    assert len(signing.client.identity().trusted) == 1 + owner


def test_who_is_new_does_not_believe_the_ca_that_was_given_up(signing: Signing, tmp_path: Path) -> None:
    """Its key may be stolen: that is what it was renewed for, perhaps."""
    first = signing.client.identity()
    assert first.known_by == first.ca
    begun = signing.client.renew_ca()
    assert begun.known_by == "".join(begun.trusted)
    signing.now += OVERLAP_SECONDS
    city = signing.client.switch_ca()
    assert city.known_by == city.ca != first.ca
    word = city.authority.encode("ascii")
    for name, old in (("new", city.ca), ("dark", first.ca)):
        folder = tmp_path / name
        folder.mkdir()
        for file, text in (("city.pub", city.city_key), ("ca.pem", old)):
            (folder / file).write_text(text, encoding="ascii")
        assert certificate.follow(folder, word) is (name == "dark"), name


def test_a_ca_is_not_renewed_again_while_a_concentrator_would_be_shut_out(
    store: Store, signing: Signing, tmp_path: Path
) -> None:
    def renewed(again: str) -> None:
        with store.begin() as session:
            asked = approvals.ask(session, signing.now, session.get_one(Person, "sec1"), "ca", "", again)
            approvals.judge(session, signing.now, session.get_one(Person, "sec2"), asked.id, yes=True)
        with store.begin() as session:
            authority.renew(session, signing.client, signing.now, "sec1")

    def certified() -> None:
        pem = signing.client.certify(certificate.request(tmp_path, "hub-a"), "concentrator:hub-a", days=90)
        with store.begin() as session:
            keep(session, pem)

    with store.begin() as session:
        for name in ("sec1", "sec2"):
            people.add(session, NOW, "init", name, "x", "security")
    certified()
    renewed("it is old")
    signing.now += OVERLAP_SECONDS
    signing.client.switch_ca()
    with pytest.raises(RegistryRefused, match="ca_concentrator_before"):
        renewed("stolen, too")
    assert not signing.client.identity().begun
    certified()
    renewed("stolen, too")
    assert signing.client.identity().begun
    signing.now += OVERLAP_SECONDS
    signing.client.switch_ca()
    signing.now += 91 * DAY
    renewed("what has run out shuts nobody out")


# -- a city's server, a box and a concentrator, by real TLS --------------------------------------------------------------


@dataclass
class World:
    """A city that answers by TLS, and a box and a concentrator that it has let in."""

    signing: Signing
    store: Store
    folder: Path
    port: int = 0

    def tend(self) -> None:
        """What the server does each minute."""
        ensure_certificate(self.folder / "server", self.store, self.signing.client, [ADDRESS], self.signing.now)


@pytest.fixture
def world(store: Store, signing: Signing, tmp_path: Path) -> Iterator[World]:
    made = World(signing, store, tmp_path)
    (tmp_path / "server").mkdir()
    made.tend()
    with store.begin() as session:
        fleet.found(session)
    app = create_app(store, signing.client, lambda: signing.now, counted(), lambda *_, **__: None,
                     BundleFacts(ADDRESS, 1))  # fmt: skip
    contexts = Contexts(tmp_path / "server")
    server = make_server(ADDRESS, 0, app, threaded=True, request_handler=Handler)
    plain, server.socket = server.socket, _Each(server.socket, contexts)
    made.port = plain.getsockname()[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    app.extensions["heartbeats"].close()


class _Each:
    """A listener whose connections are wrapped with the context of the moment, as gunicorn does it for us."""

    def __init__(self, listener: socket.socket, contexts: Contexts) -> None:
        self._listener, self._contexts = listener, contexts

    def accept(self) -> tuple[socket.socket, object]:
        line, address = self._listener.accept()
        line.settimeout(10)
        with contextlib.suppress(OSError):
            return self._contexts(None, None).wrap_socket(line, server_side=True), address
        return line, address

    def __getattr__(self, name: str) -> object:
        return getattr(self._listener, name)


@dataclass
class DarkBox:
    """A box by its folder alone: what it held when it went dark."""

    folder: Path
    link: Link
    known: Known


def let_in(world: World, folder: Path) -> DarkBox:
    key = secrets.ensure_device_key(folder / "device")
    for name in ("enrol", "agent"):
        (folder / "state" / name).mkdir(parents=True)
    site = fleet.site_id(1)
    with world.store.begin() as session:
        row = fleet.enrolled(session, world.signing.client, 1)
        row.device, row.device_key = secrets.key_hash(key.public_key()), fleet.der(key.public_key())
        session.flush()
        pem = enrolment.renew(session, world.signing.client, world.signing.now, row, certificates.request(key, site))
    assert pem is not None
    city = world.signing.client.identity()
    credentials.keep_ca(folder / "state", city.ca.encode("ascii"))
    credentials.keep(folder / "state", "enrol", pem)
    keys_of = {"wg-a": fleet.key(10), "wg-b": fleet.key(11)}
    known = Known(
        city.ca_hash, clock_behind=False, wireguard=keys_of, city=world.signing.service._keys.city.public_key()
    )
    return DarkBox(folder, Link(folder / "state", folder / "device" / "device.key", key, site), known)


def renew_and_switch(world: World) -> None:
    world.signing.client.renew_ca()
    world.tend()
    world.signing.now += OVERLAP_SECONDS
    world.signing.client.switch_ca()
    world.tend()


def told(world: World, box: DarkBox) -> str:
    """What the city finds of an unsigned report: it has heard it then, from whom it took for the box."""
    with pytest.raises(Exception, match="server_answer") as wrong:
        box.link.post(Server(ADDRESS, world.port), "{}", box.known, world.signing.now)
    return str(wrong.value)


@pytest.mark.parametrize("days", [0, 30, 400])
def test_a_box_that_was_dark_for_so_long_comes_back_and_gets_a_certificate_of_the_new_ca(
    world: World, tmp_path: Path, days: int
) -> None:
    box = let_in(world, tmp_path / "box")
    assert told(world, box), "the control: before it went dark it was heard"
    renew_and_switch(world)
    world.signing.now += days * DAY
    world.tend()
    server = Server(ADDRESS, world.port)
    if days < 90:
        told(world, box)
        assert box.link.followed == 1
    renewed, revoked = box.link.ask_anew(server, box.known, world.signing.now)
    assert (renewed, revoked, box.link.followed) == (True, None, 1)
    held = credentials.read(box.folder / "state", box.known.pin, box.link._key.public_key(), fleet.site_id(1),
                            box.known.city)  # fmt: skip
    assert held is not None
    assert held.certificate is not None
    city = world.signing.client.identity()
    assert certificates.made_by(held.certificate, x509.load_pem_x509_certificate(city.ca.encode("ascii")))
    assert told(world, box), "and is heard with it"


def test_while_both_are_good_a_box_need_not_know_of_it(world: World, tmp_path: Path) -> None:
    box = let_in(world, tmp_path / "box")
    world.signing.client.renew_ca()
    world.tend()
    assert told(world, box)
    assert box.link.followed == 0
    serial = x509.load_pem_x509_certificate((tmp_path / "server/server.pem").read_bytes()).serial_number
    world.tend()
    again = x509.load_pem_x509_certificate((tmp_path / "server/server.pem").read_bytes()).serial_number
    assert serial == again, "the server's own is of the first one yet"


def test_a_concentrator_follows_as_a_box_does(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    key = secrets.ensure_device_key(folder)
    city = world.signing.client.identity()
    pem = world.signing.client.certify(certificate.request(folder, "hub-a"), "concentrator:hub-a", days=90)
    with world.store.begin() as session:
        keep(session, pem)
    for name, text in (("certificate.pem", pem), ("ca.pem", city.ca), ("city.pub", city.city_key)):
        (folder / name).write_text(text, encoding="ascii")
    said = {"id": "hub-a", "network": "100.64.0.0/18", "address": "100.64.0.1", "folder": folder, "state": folder,
            "registry": {"address": ADDRESS, "port": world.port}, "city": [{"network": "10.20.0.0/16"}]}  # fmt: skip
    link = HubLink(Config.model_validate(said))
    assert link.snapshot().kind == "envelope"
    link.close()
    renew_and_switch(world)
    with pytest.raises(RegistryAway, match="new CA"):
        link.snapshot()
    assert link.snapshot().kind == "envelope"
    assert len(x509.load_pem_x509_certificates((folder / "ca.pem").read_bytes())) == 2
    assert json.loads((folder / "authority.json").read_text(encoding="ascii"))
    link.close()
    (folder / "city.pub").write_text("A" * 43 + "=", encoding="ascii")
    (folder / "authority.json").unlink()
    (folder / "ca.pem").write_text(city.ca, encoding="ascii")
    with pytest.raises(RegistryAway, match="SSLCertVerificationError"):
        link.snapshot()
    assert key is not None
    with world.store.read() as session:
        assert session.scalar(select(Certificate.subject).where(Certificate.subject == "server")) is not None
