"""A report over the interface: whose it is, what is heard, and that health is kept together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient
from sqlalchemy import select

from city.api.app import create_app
from city.api.office import BundleFacts
from city.api.report import Desk, heard
from city.registry import glance, layers, reports, revocation
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Certificate, Health, Layer, Meta, Site
from city.signing import keys
from city.signing.client import Client
from city.signing.marks import Marks
from city.signing.service import Service
from netconf import envelope
from tests import fleet
from tests.enrolling import NOW, SITE, Box, add_site, approve, csr, found
from tests.unit.city.conftest import counted


class Connection:
    """What gunicorn lends: a socket that knows its client's certificate."""

    def __init__(self, pem: str) -> None:
        self._der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)

    def getpeercert(self, binary_form: bool) -> bytes:
        assert binary_form
        return self._der


@pytest.fixture
def box(store: Store, signer: Signer) -> tuple[Box, str]:
    """An enrolled box, and its certificate."""
    found(store)
    box = Box()
    claim = add_site(store)
    box.ask(store, signer, claim)
    approve(store, signer)
    return box, box.ask(store, signer, claim).body["certificate"]


@pytest.fixture
def client(store: Store, signer: Signer, box: tuple[Box, str]) -> Iterator[FlaskClient]:
    app = create_app(store, signer, lambda: NOW, counted(), lambda code, **facts: None, BundleFacts("192.0.2.1", 8443))
    with app.test_client() as made:
        yield made
    app.extensions["heartbeats"].close()


def told(store: Store, box: Box, applied: int = 0, **besides: Any) -> str:
    with store.read() as session:
        site = session.get_one(Site, SITE)
        report = fleet.report(site, applied, **besides)
    return envelope.sign_report(report, box.key)


def post(client: FlaskClient, pem: str | None, text: str) -> Any:
    environ = {"gunicorn.socket": Connection(pem)} if pem else {}
    return client.post("/v1/report", data=text, environ_overrides=environ)


def test_a_box_reports_and_hears_its_layer(client: FlaskClient, store: Store, box: tuple[Box, str]) -> None:
    answer = post(client, box[1], told(store, box[0]))
    assert answer.status_code == 200, answer.json
    assert envelope.claimed_mark(answer.json["layer"]) == (1, 1)
    assert post(client, box[1], told(store, box[0], 1)).json == {}
    with store.read() as session:
        assert session.get_one(Layer, (SITE, 1, 1)).state == "applied"
    client.application.extensions["heartbeats"].flush()
    with store.read() as session:
        assert (session.get_one(Health, SITE).revision, session.get_one(Health, SITE).seen_at) == (1, NOW)


def test_a_change_that_waits_gets_the_citys_word(
    client: FlaskClient, store: Store, box: tuple[Box, str], signer: Signer
) -> None:
    answer = post(client, box[1], told(store, box[0], nonce="ab" * 16)).json
    assert answer.keys() == {"answer"}
    assert json.loads(answer["answer"]).keys() == {"payload", "signature"}


def test_a_certificate_is_renewed_for_the_same_key_alone(
    client: FlaskClient, store: Store, box: tuple[Box, str]
) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    assert "certificate" in post(client, box[1], told(store, box[0], csr=csr(box[0].key))).json
    assert "certificate" not in post(client, box[1], told(store, box[0], csr=csr(other))).json


@pytest.mark.parametrize("who", ["nobody", "other key", "other site", "noise", "revoked"])
def test_c04_who_is_not_the_box_hears_nothing(
    client: FlaskClient, store: Store, signer: Signer, box: tuple[Box, str], who: str
) -> None:
    pem, text = box[1], told(store, box[0])
    rule, status = {
        "nobody": ("certificate_missing", 401), "other key": ("report_unsigned", 409),
        "other site": ("report_other_site", 409), "noise": ("report_unsigned", 409),
        "revoked": ("certificate_revoked", 403),
    }[who]  # fmt: skip
    if who == "other key":
        text = told(store, Box())
    elif who == "other site":
        text = envelope.sign_report({"site": "3" * 20}, box[0].key)
    elif who == "noise":
        text = "\xff{}"
    elif who == "revoked":
        with store.begin() as session:
            revocation.revoke(session, signer, session.get_one(Site, SITE), "li", "stolen", NOW)
    answer = post(client, None if who == "nobody" else pem, text)
    assert (answer.json["rule"], answer.status_code) == (rule, status)
    assert client.application.extensions["heartbeats"].flush() == 0


def test_what_asks_for_nothing_is_answered_before_flask_is_asked_and_in_the_same_words(
    client: FlaskClient, store: Store, box: tuple[Box, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert post(client, box[1], told(store, box[0], 1)).status_code == 200
    asked = []
    dispatch = client.application.full_dispatch_request
    monkeypatch.setattr(client.application, "full_dispatch_request", lambda *words: asked.append(1) or dispatch(*words))
    quiet = post(client, box[1], told(store, box[0], 1))
    assert not asked
    slow = post(client, box[1], told(store, box[0], 1, nonce="ab" * 16))
    assert len(asked) == 1
    assert (quiet.status_code, quiet.json, quiet.data) == (200, {}, b"{}\n")
    said = [{name: value for name, value in one.headers if name != "Content-Length"} for one in (quiet, slow)]
    assert said[0] == said[1]
    assert client.application.extensions["heartbeats"].flush() == 1
    long = client.post("/v1/report", data=b"x" * (envelope.MAX_REPORT_BYTES + 1))
    assert long.status_code == 413


def forget(store: Store, *, all_of_them: bool = False) -> None:
    """What a backup that was laid back does: the newest certificate of the box, or all, are in no table."""
    with store.begin() as session:
        rows = session.scalars(select(Certificate).order_by(Certificate.ends_at.desc(), Certificate.serial)).all()
        for row in rows if all_of_them else rows[:1]:
            session.delete(row)


@pytest.mark.parametrize("lost", ["the newest", "all"])
def test_f31_a_certificate_that_was_made_since_the_backup_is_good_and_kept_again(
    client: FlaskClient, store: Store, box: tuple[Box, str], lost: str
) -> None:
    forget(store, all_of_them=lost == "all")
    for _ in range(2):
        answer = post(client, box[1], told(store, box[0]))
        assert (answer.status_code, "layer" in answer.json) == (200, True), answer.json
    shown = x509.load_pem_x509_certificate(box[1].encode())
    with store.read() as session:
        row = session.get_one(Certificate, f"{shown.serial_number:x}")
        assert (row.subject, row.revoked_at, row.held_at) == (f"site:{SITE}", None, None)
        assert (row.begins_at, row.ends_at) == (
            shown.not_valid_before_utc.timestamp(),
            shown.not_valid_after_utc.timestamp(),
        )
    answer = post(client, box[1], told(store, box[0], csr=csr(box[0].key))).json
    assert x509.load_pem_x509_certificate(answer["certificate"].encode()) == shown, "and given again while it is young"


@pytest.mark.parametrize(
    ("who", "rule"),
    [("another key", "certificate_unknown"), ("another CA", "certificate_unknown"), ("another site", "certificate_unknown"),
     ("a server", "certificate_unknown"), ("one that is revoked", "certificate_revoked"), ("one that waits", "certificate_unknown"),
     ("one that ended", "certificate_expired"), ("one that is held", "certificate_held")],
)  # fmt: skip
def test_f31_what_the_registry_never_knew_is_not_taken_for_what_it_lost(
    store: Store, signer: Signer, box: tuple[Box, str], tmp_path: Path, who: str, rule: str
) -> None:
    """Signed by the city's CA, for that site's own key, the site active and not revoked: all of it, or none is kept."""
    now, pem = NOW, box[1]
    if who in ("another key", "another site", "a server"):
        subject = {"another key": f"site:{SITE}", "another site": f"site:{'3' * 20}", "a server": "server"}[who]
        names = ("192.0.2.1",) if who == "a server" else ()
        pem = signer.certify(csr(Box().key if who == "another key" else box[0].key), subject, days=1, names=names)
    elif who == "another CA":
        with closing(Marks(tmp_path / "others.sqlite")) as marks:
            other = Client(
                Service(
                    keys.make("City of Tests", NOW - 86400, counted()), marks, lambda: NOW, lambda length: b"w" * length
                ).answer
            )
            pem = other.certify(csr(box[0].key), f"site:{SITE}", days=1)
    elif who == "one that ended":
        now = NOW + 91 * 86_400
    with store.begin() as session:
        site = session.get_one(Site, SITE)
        if who == "one that is held":
            session.scalars(select(Certificate)).one().held_at = NOW
            pem = signer.certify(csr(box[0].key), f"site:{SITE}", days=1)
        elif who == "one that is revoked":
            revocation.revoke(session, signer, site, "li", "stolen", NOW)
        elif who == "one that waits":
            site.state = "pending"
    if who not in ("another key", "another site", "a server", "another CA", "one that is held"):
        forget(store)
    desk = Desk(store, signer, lambda: now, None, lambda *_, **__: None)  # type: ignore[arg-type]
    shown = Connection(pem).getpeercert(binary_form=True)
    for _ in range(2):
        with pytest.raises(RegistryRefused, match=f"^{rule}$"):
            heard(desk, shown, "")
    with store.read() as session:
        kept = session.scalars(select(Certificate)).all()
        assert all(row.revoked_at or row.held_at or row.subject == f"site:{SITE}" for row in kept)
        if rule == "certificate_unknown":
            serial = x509.load_pem_x509_certificate(pem.encode()).serial_number
            assert f"{serial:x}" not in [row.serial for row in kept]


def test_a_layer_of_an_older_epoch_with_the_same_number_is_due(
    store: Store, signer: Signer, box: tuple[Box, str]
) -> None:
    """After a restore the numbers begin anew: a box that used revision 1 before has not got this one."""
    with store.begin() as session:
        session.merge(Meta(name="epoch", value="2"))
        site = session.get_one(Site, SITE)
        before = site.offered
        site.offered = 0
        assert layers.offer(session, signer, site, NOW, layers.Why("sys", "laid back")) == before == 1
        layers.applied(session, SITE, (2, 1))
    shown = x509.load_pem_x509_certificate(box[1].encode())
    with store.look() as connection:
        seen = glance.at(connection, f"{shown.serial_number:x}")
    assert seen is not None
    with store.read() as session:
        site = session.get_one(Site, SITE)
    for applied, due in (([1, 1], True), ([2, 1], False), ([1, 9], True)):
        said = fleet.report(site, 1)
        said["change"]["applied"] = applied
        assert reports.quiet(seen, reports.read(said)) is not due, applied


def test_f31_a_box_that_was_dark_for_a_week_takes_the_newest_layer_and_none_between(
    client: FlaskClient, store: Store, signer: Signer, box: tuple[Box, str]
) -> None:
    """Its certificate is good for months, nothing of what it missed is kept for it, and one whole document comes."""
    with store.begin() as session:
        site = session.get_one(Site, SITE)
        for number in range(60):
            site.name = f"name {number}"
            session.flush()
            layers.offer(session, signer, site, NOW + number * 8640.0, layers.Why("li", "edited"))
        assert site.offered == 61
        kept = session.scalars(select(Layer.revision).where(Layer.site == SITE)).all()
        assert len(kept) == layers.KEPT and 1 not in kept, "the one that it uses is long forgotten here"
    answer = post(client, box[1], told(store, box[0], 1)).json
    assert envelope.claimed_mark(answer["layer"]) == (1, 61)
    assert post(client, box[1], told(store, box[0], 61)).json == {}
    with store.read() as session:
        assert session.get_one(Layer, (SITE, 1, 61)).state == "applied"
