"""What programs ask by ``/api``: rollouts step by step, and what a GB/T 28181 platform must know of its sites."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from city.api.app import create_app
from city.api.office import BundleFacts
from city.registry import feeds, people, platforms, revocation
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Person, RolloutSite, Site, Template
from netconf.sealed import unseal
from tests.chance import counted
from tests.enrolling import BODY, NOW, OTHER, PLATFORM, SITE, Box, add_site, approve, der, found, person

PASSWORD = "a long password"


@pytest.fixture(scope="module")
def kept_password() -> str:
    return people.hashed(PASSWORD)


@pytest.fixture
def client(store: Store, signer: Signer, kept_password: str) -> Iterator[FlaskClient]:
    found(store)
    with store.begin() as session:
        person(session, "far", "operator", "11")
        for row in ("li", "sys", "far"):
            session.get_one(Person, row).password = kept_password
    app = create_app(store, signer, lambda: NOW, counted(), lambda *_, **__: None, BundleFacts("192.0.2.1", 8443))
    with app.test_client() as made:
        yield made


def ask(client: FlaskClient, who: str, method: str, path: str, said: object = None) -> TestResponse:
    answer = client.post("/api/sign-in", json={"name": who, "password": PASSWORD})
    bearer = {"Authorization": f"Bearer {answer.json['token']}"} if answer.json and "token" in answer.json else {}
    return client.open("/api" + path, method=method, json=said, headers=bearer)


def enrolled(store: Store, signer: Signer, *sites: str) -> list[Box]:
    boxes = []
    for number, site in enumerate(sites, 1):
        claim, box = add_site(store, site), Box(number, site)
        box.changed = {"fingerprint": {"board": f"board {site}"}}
        box.ask(store, signer, claim)
        approve(store, signer, site)
        boxes.append(box)
    return boxes


def test_a_platform_reads_its_passwords_and_nobody_elses(client: FlaskClient, store: Store, signer: Signer) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    known = ask(client, "sys", "PUT", f"/platforms/{PLATFORM}", {"key": der(key.public_key())})
    assert known.status_code == 200, known.json
    (box,) = enrolled(store, signer, SITE)
    told = ask(client, "li", "GET", f"/platforms/changes?platform={PLATFORM}").json
    assert told["after"] == 1
    (change,) = told["changes"]
    password = unseal(change["password"], key, f"platform {SITE}").decode()
    with store.read() as session:
        pieces = json.loads(session.get_one(Site, SITE).sealed)["sip"]
    assert json.loads(unseal(pieces, box.key, f"box {SITE}"))["sip"] == {PLATFORM: password}
    other = ask(client, "li", "GET", "/platforms/changes?platform=34020000002000000901").json
    assert (other["after"], other["changes"]) == (1, [])
    with store.begin() as session:
        revocation.revoke(session, signer, session.get_one(Site, SITE), "sec", "stolen", NOW)
    told = ask(client, "li", "GET", f"/platforms/changes?after=1&platform={PLATFORM}").json
    assert told == {"after": 2, "changes": [{"site": SITE, "gone": True}]}


def test_a_reader_that_missed_too_much_begins_with_the_oldest_that_there_is(client: FlaskClient, store: Store) -> None:
    with store.begin() as session:
        for number in range(5):
            feeds.append(session, platforms.FEED, SITE, {"site": SITE, "n": number}, NOW)
        feeds.trim(session, platforms.FEED, 3)
    told = ask(client, "li", "GET", "/platforms/changes?after=1").json
    assert (told["after"], [one["n"] for one in told["changes"]]) == (5, [3, 4])


def test_a_platforms_key_is_the_administrators_and_must_be_one(client: FlaskClient) -> None:
    good = der(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert ask(client, "li", "PUT", f"/platforms/{PLATFORM}", {"key": good}).json["rule"] == "not_allowed"
    rsa_key = rsa.generate_private_key(65537, 2048).public_key()
    other = rsa_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    wrong = (
        (PLATFORM, ""), (PLATFORM, "A" * 40), (PLATFORM, other.hex()[:500]), ("3402", good), ("3" * 19 + "٣", good),
        (PLATFORM, der(ec.generate_private_key(ec.SECP384R1()).public_key())),
    )  # fmt: skip
    for name, key in wrong:
        assert ask(client, "sys", "PUT", f"/platforms/{name}", {"key": key}).json["rule"] == "platform_form"
    assert ask(client, "sys", "PUT", f"/platforms/{PLATFORM}", {"key": good}).status_code == 200


def test_a_rollout_from_its_preview_to_its_halt_by_the_interface(
    client: FlaskClient, store: Store, signer: Signer
) -> None:
    enrolled(store, signer, SITE, OTHER)
    body = BODY | {"control": {"address": "10.20.0.7"}}
    with store.begin() as session:
        session.add(
            Template(name="street", version=2, body=json.dumps(body), made_by="sys", made_at=NOW, state="approved")
        )
    seen = ask(client, "li", "GET", "/templates/street/2/preview").json["sites"]
    assert [one["site"] for one in seen] == [SITE, OTHER]
    assert ["/control/address", "10.20.0.6", "10.20.0.7"] in seen[0]["changes"]
    said = {"template": "street", "version": 2, "reason": "a new control"}
    made = ask(client, "li", "POST", "/rollouts", said)
    assert (made.status_code, made.json["state"]) == (201, "draft")
    number = made.json["number"]
    assert sorted(one["ring"] for one in made.json["sites"]) == [0, 1]
    started = ask(client, "li", "POST", f"/rollouts/{number}", {"word": "start", "reason": "go"}).json
    assert (started["state"], [one["state"] for one in started["sites"]]) == ("running", ["offered", "waiting"])
    with store.read() as session:
        assert session.query(RolloutSite).filter_by(state="offered").count() == 1
    halted = ask(client, "li", "POST", f"/rollouts/{number}", {"word": "reverted", "reason": "I say so"}).json
    assert halted["rule"] == "rollout_word", "what the registry sees is no person's word"
    back = ask(client, "li", "POST", f"/rollouts/{number}", {"word": "roll_back", "reason": "no"}).json
    assert back["state"] == "rolled_back"
    assert [one["what"] for one in ask(client, "li", "GET", f"/rollouts/{number}").json["steps"]] == [
        "begin", "start", "roll_back",
    ]  # fmt: skip
    assert [one["number"] for one in ask(client, "li", "GET", "/rollouts").json["rollouts"]] == [number]
    assert (
        ask(client, "li", "POST", f"/rollouts/{number}", {"word": "start", "reason": "x"}).json["rule"]
        == "rollout_state"
    )


def test_who_has_no_right_or_another_scope_rolls_nothing_out(client: FlaskClient, store: Store, signer: Signer) -> None:
    enrolled(store, signer, SITE)
    said = {"template": "street", "version": 1, "reason": "again"}
    assert ask(client, "sys", "POST", "/rollouts", said).json["rule"] == "not_allowed"
    assert ask(client, "far", "POST", "/rollouts", said).json["rule"] == "outside_scope"
    assert ask(client, "far", "GET", "/templates/street/1/preview").json["rule"] == "outside_scope"
    number = ask(client, "li", "POST", "/rollouts", said).json["number"]
    assert (
        ask(client, "far", "POST", f"/rollouts/{number}", {"word": "start", "reason": "x"}).json["rule"]
        == "outside_scope"
    )
    assert ask(client, "far", "GET", f"/rollouts/{number}").json["rule"] == "outside_scope"
    assert ask(client, "li", "GET", "/rollouts/99").json["rule"] == "rollout_unknown"
