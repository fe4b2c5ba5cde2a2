"""A report over the interface: whose it is, what is heard, and that health is kept together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient

from city.api.app import create_app
from city.api.office import BundleFacts
from city.registry import revocation
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Health, Layer, Site
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
