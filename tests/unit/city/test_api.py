"""What comes in over HTTPS: bounded, read strictly, refused by name; persons by their session, boxes by their certificate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from flask.testing import FlaskClient

from city.api import callers
from city.api.app import create_app
from city.api.limits import Limit
from city.api.office import BundleFacts
from city.api.strict import loads
from city.registry import people, revocation
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store, open_store
from city.registry.tables import Person, Site
from netconf.enrolment import read_bundle, sign_request
from tests.chance import counted
from tests.enrolling import BODY, NOW, OTHER, SITE, Box, add_site, approve, found, person

PASSWORD = "a long password"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def kept_password() -> str:
    return people.hashed(PASSWORD)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[tuple[str, dict[str, object]]]:
    return []


@pytest.fixture
def client(
    store: Store, signer: Signer, clock: Clock, kept_password: str, said: list[tuple[str, dict[str, object]]]
) -> Iterator[FlaskClient]:
    found(store)
    with store.begin() as session:
        person(session, "aud", "audit")
        for row in ("li", "wang", "sys", "sec", "aud"):
            session.get_one(Person, row).password = kept_password
    app = create_app(
        store,
        signer,
        clock,
        counted(),
        lambda code, about="", **facts: said.append((code, {"source": about, **facts})),
        BundleFacts("192.0.2.1", 8443),
    )
    with app.test_client() as made:
        yield made


def headers(client: FlaskClient, name: str) -> dict[str, str]:
    answer = client.post("/api/sign-in", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.json
    return {"Authorization": f"Bearer {answer.json['token']}"}


def test_a_city_from_site_to_certificate_by_its_interface(client: FlaskClient, store: Store) -> None:
    li, wang, sec = (headers(client, name) for name in ("li", "wang", "sec"))
    asked = {"id": SITE, "name": "渡江社区", "civil_code": "340200", "template": "street", "template_version": 1}
    assert client.post("/api/sites", json=asked, headers=li).status_code == 201
    bundle = read_bundle(client.post(f"/api/sites/{SITE}/claim", json={}, headers=li).json["bundle"])
    box = Box()
    request = sign_request(box.request(bundle.claim), box.key)
    assert client.post("/v1/enrol", data=request).json == {"state": "pending"}
    (waiting,) = client.get("/api/pending", headers=wang).json["pending"]
    digits = {"code": waiting["code"]}
    assert client.post(f"/api/sites/{SITE}/approve", json=digits, headers=li).json["rule"] == "second_person"
    assert client.post(f"/api/sites/{SITE}/approve", json=digits, headers=wang).json["state"] == "active"
    answer = client.post("/v1/enrol", data=request).json
    assert (answer["state"], "BEGIN CERTIFICATE" in answer["certificate"]) == ("approved", True)
    assert client.get("/v1/ca").data.startswith(b"-----BEGIN CERTIFICATE")
    gone = client.post(f"/api/sites/{SITE}/revoke", json={"reason": "被盗"}, headers=sec)
    assert gone.json["state"] == "revoked"
    assert client.post("/v1/enrol", data=request).json["state"] == "revoked"
    lines = client.get("/api/audit", headers=headers(client, "aud")).json["lines"]
    assert [line["what"] for line in lines if line["subject"] == f"site:{SITE}"] == [
        "site.add", "claim.issue", "enrol.approve", "site.revoke",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"payload":"","payload":""}',
        b'{"payload": NaN, "signature": 1}',
        b'{"payload":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"payload":' + b"1" * 5000 + b"}",
        b"\xff\xfe",
        b'{"payload": "e30=", "signature": "e30="}',
        '{"pay\u200bload": "", "签名": ""}'.encode(),
    ],
)
def test_c06_what_is_no_request_of_ours_is_refused(client: FlaskClient, body: bytes) -> None:
    for _ in range(2):
        answer = client.post("/v1/enrol", data=body)
        assert (answer.status_code, answer.json["rule"]) == (400, "enrol_form")


def test_c06_what_is_long_is_not_read(client: FlaskClient) -> None:
    for path, most in (("/v1/enrol", 1 << 14), ("/api/sites", 1 << 18)):
        answer = client.post(
            path, data=b"x" * (most + 1), headers=headers(client, "li") | {"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json["rule"]) == (413, "body_long")


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b'{"id": "1", "id": "2"}', "body_form"),
        (b'{"id": NaN}', "body_form"),
        (b'{"id": 1e999}', "body_form"),
        (b'{"own": ' + b'{"a":' * 40 + b"1" + b"}" * 41, "body_form"),
        (b'{"site_class": ' + b"9" * 5000 + b"}", "body_form"),
        (b"[]", "body_fields"),
        (b'{"id": "1", "colour": "red"}', "body_fields"),
        (b'{"id": {"$gt": ""}, "name": "x", "civil_code": "34"}', "body_fields"),
    ],
)
def test_c06_a_persons_request_is_read_as_strictly(client: FlaskClient, body: bytes, rule: str) -> None:
    answer = client.post("/api/sites", data=body, headers=headers(client, "li") | {"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.json["rule"] == rule


@pytest.mark.parametrize("path", ["/api/../admin", "/v1/../etc/passwd", "/admin", "/v1/enrol/../ca", "/static/x"])
def test_c06_there_is_nothing_but_what_there_is(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json["rule"]) == (404, "no_such_page")


def test_c06_lists_are_bounded(client: FlaskClient, store: Store) -> None:
    li = headers(client, "li")
    with store.begin() as session:
        for number in range(230):
            session.add(Site(id=f"{number:020d}", name="x", civil_code="34", made_by="li", made_at=NOW))
    first = client.get("/api/sites?most=999999", headers=li).json["sites"]
    rest = client.get(f"/api/sites?after={first[-1]['id']}", headers=li).json["sites"]
    assert (len(first), len(rest)) == (200, 30)
    assert client.get("/api/sites?text=%25&state=new", headers=li).json["sites"] == []


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "NaN", "Infinity", "1e400", "1" * 21, "[" * 40 + "]" * 40, "x"])
def test_the_reader_of_json_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        loads(text)
    assert loads('{"a": [1, 2.5, null, "渡"]}') == {"a": [1, 2.5, None, "渡"]}


def test_c01_guessing_is_slowed_down_and_written_down(
    client: FlaskClient, store: Store, said: list[tuple[str, dict[str, object]]], clock: Clock
) -> None:
    claim, box = add_site(store), Box()
    rules = []
    for number in range(40):
        guess = sign_request(box.request(f"{number:08x}." + "b" * 26), box.key)
        rules.append(client.post("/v1/enrol", data=guess).json["rule"])
    assert rules[0] == "claim_unknown"
    assert rules[-1] == "enrol_often"
    assert said[0] == ("enrol_refused", {"source": "127.0.0.1", "rule": "claim_unknown", "site": SITE})
    own = client.post("/v1/enrol", data=sign_request(box.request(claim), box.key))
    assert own.json == {"state": "pending"}, "who has the claim comes in all the same"
    while (answer := client.post("/v1/enrol", data=b"x")).status_code != 429:
        pass
    assert answer.json["rule"] == "enrol_often"
    clock.now += 60
    assert client.post("/v1/enrol", data=sign_request(box.request(claim), box.key)).json == {"state": "pending"}


def test_a_limit_forgets_the_source_that_was_away_longest() -> None:
    limit = Limit(1.0, 0.0)
    assert limit.takes("a", 0.0)
    assert not limit.takes("a", 0.0)
    for number in range(65_536):
        limit.takes(str(number), 0.0)
    assert limit.takes("a", 0.0)


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("aud", "post", "/api/sites"),
        ("sec", "post", "/api/sites"),
        ("sys", "post", f"/api/sites/{SITE}/approve"),
        ("li", "post", f"/api/sites/{SITE}/revoke"),
        ("li", "get", "/api/audit"),
        ("sys", "get", "/api/audit"),
        ("sec", "get", "/api/audit/verify"),
        ("li", "get", "/api/people"),
        ("sys", "post", "/api/people"),
        ("aud", "post", "/api/people"),
        ("li", "post", "/api/templates"),
        ("li", "post", "/api/approvals/1"),
        ("sys", "post", "/api/approvals/1"),
        ("li", "post", "/api/revoke-all"),
    ],
)
def test_u07_who_has_not_the_right_is_refused(client: FlaskClient, name: str, method: str, path: str) -> None:
    bodies = {
        "sites": {"id": SITE, "name": "x", "civil_code": "34"}, "approve": {"code": "1"}, "revoke": {"reason": "x"},
        "people": {"name": "x1", "password": PASSWORD, "role": "viewer"}, "templates": {"name": "x", "body": {}},
        "1": {"yes": True}, "revoke-all": {"reason": "x"},
    }  # fmt: skip
    body = {"json": bodies.get(path.rpartition("/")[2])} if method == "post" else {}
    assert getattr(client, method)(path, **body).json["rule"] == "sign_in_needed"
    answer = getattr(client, method)(path, headers=headers(client, name), **body)
    assert (answer.status_code, answer.json["rule"]) == (403, "not_allowed")


def test_u07_no_role_has_the_rights_of_two_administrators() -> None:
    officers = [people.RIGHTS[role] - {"look"} for role in ("system", "security", "audit")]
    assert all(not one & other for at, one in enumerate(officers) for other in officers[:at])
    assert not people.may(Person(name="x", role="root", off=False), "look")
    assert not people.may(Person(name="x", role="security", off=True), "look")


def test_wrong_passwords_lock_and_a_session_ends(client: FlaskClient, clock: Clock) -> None:
    li = headers(client, "li")
    for _ in range(5):
        answer = client.post("/api/sign-in", json={"name": "wang", "password": "wrong"})
        assert (answer.status_code, answer.json["rule"]) == (401, "sign_in_wrong")
    locked = client.post("/api/sign-in", json={"name": "wang", "password": PASSWORD})
    nobody = client.post("/api/sign-in", json={"name": "nobody", "password": PASSWORD})
    assert locked.json == nobody.json, "nobody learns why"
    clock.now += people.LOCKED_SECONDS + 1
    headers(client, "wang")
    assert client.get("/api/sites", headers=li).status_code == 200
    clock.now += people.IDLE_SECONDS + 1
    assert client.get("/api/sites", headers=li).status_code == 401
    li = headers(client, "li")
    assert client.post("/api/sign-out", headers=li).status_code == 204
    assert client.get("/api/sites", headers=li).status_code == 401


def test_a_cookie_needs_the_pages_word_and_a_programs_token_does_not(client: FlaskClient) -> None:
    signed = client.post("/api/sign-in", json={"name": "li", "password": PASSWORD}).json
    client.set_cookie(callers.COOKIE, signed["token"])
    body = {"id": SITE, "name": "x", "civil_code": "34"}
    assert client.get("/api/sites").status_code == 200
    assert client.post("/api/sites", json=body).json["rule"] == "csrf_missing"
    assert client.post("/api/sites", json=body, headers={"X-Snowgate": "x"}).json["rule"] == "csrf_missing"
    assert client.post("/api/sites", json=body, headers={"X-Snowgate": signed["csrf"]}).status_code == 201


def test_the_interface_describes_itself_to_persons_alone(client: FlaskClient) -> None:
    assert client.get("/openapi.json").json["rule"] == "sign_in_needed"
    described = client.get("/openapi.json", headers=headers(client, "li")).json
    assert {"/v1/enrol", "/api/sites", "/api/sites/{site}/approve"} <= set(described["paths"])


def test_revoke_all_and_a_template_need_two(
    client: FlaskClient, store: Store, signer: Signer, kept_password: str
) -> None:
    Box().ask(store, signer, add_site(store))
    approve(store, signer)
    with store.begin() as session:
        person(session, "sec2", "security").password = kept_password
    sec, sec2, sys = (headers(client, name) for name in ("sec", "sec2", "sys"))
    why = {"reason": "演练"}
    assert client.post("/api/revoke-all", json=why, headers=sec).json["rule"] == "approval_missing"
    asked = client.post("/api/approvals", json={"action": "revoke-all", **why}, headers=sec).json
    assert (
        client.post(f"/api/approvals/{asked['number']}", json={"yes": True}, headers=sec).json["rule"]
        == "second_person"
    )
    assert client.post("/api/revoke-all", json=why, headers=sec).json["rule"] == "approval_missing"
    assert (
        client.post(f"/api/approvals/{asked['number']}", json={"yes": True}, headers=sec2).json["state"] == "approved"
    )
    assert client.post("/api/revoke-all", json=why, headers=sec).json == {"revoked": [SITE]}
    assert client.post("/api/revoke-all", json=why, headers=sec).json["rule"] == "approval_missing", "good once"
    made = client.post("/api/templates", json={"name": "street", "body": BODY}, headers=sys).json
    assert (made["version"], made["state"]) == (2, "draft")
    bad = client.post("/api/templates", json={"name": "street", "body": {"channel": []}}, headers=sys)
    assert bad.json["rule"] == "template_form"
    ask = {"action": "template", "subject": "street@2", "reason": "新平台"}
    number = client.post("/api/approvals", json=ask, headers=sys).json["number"]
    assert client.post(f"/api/approvals/{number}", json={"yes": True}, headers=sec).json["state"] == "done"
    assert client.get("/api/templates", headers=sys).json["templates"][0]["approved_by"] == "sec"


def test_c04_a_certificate_is_refused_by_its_serial_and_its_time(store: Store, signer: Signer) -> None:
    found(store)
    box = Box()
    claim = add_site(store)
    box.ask(store, signer, claim)
    approve(store, signer)
    pem = box.ask(store, signer, claim).body["certificate"].encode()
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)

    def rule(now: float, shown: bytes | None) -> str:
        with store.read() as session:
            try:
                return callers.subject(session, now, shown)
            except RegistryRefused as refused:
                return refused.rule

    assert rule(NOW, der) == f"site:{SITE}"
    assert rule(NOW, None) == "certificate_missing"
    assert rule(NOW, b"x") == "certificate_unknown"
    assert rule(NOW + 91 * 86_400, der) == "certificate_expired"
    never_kept = signer.certify(box.request("").csr, f"site:{OTHER}", days=1).encode()
    other = x509.load_pem_x509_certificate(never_kept).public_bytes(serialization.Encoding.DER)
    assert rule(NOW, other) == "certificate_unknown"
    with store.begin() as session:
        revocation.revoke(session, signer, session.get_one(Site, SITE), "sec", "x", NOW)
    assert rule(NOW, der) == "certificate_revoked"


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all", "postgresql://x@/x?host=/nowhere/at/all"])
def test_a_database_that_is_away_is_said_and_nothing_else_of_it(url: str, signer: Signer) -> None:
    away = open_store(url, upgrade=False)
    app = create_app(away, signer, Clock(), counted(), lambda code, **facts: None, BundleFacts("192.0.2.1", 8443))
    answer = app.test_client().post("/api/sign-in", json={"name": "li", "password": PASSWORD})
    assert (answer.status_code, answer.json["rule"]) == (503, "database_away")
    assert set(answer.json) == {"rule", "en", "zh"}


@pytest.mark.parametrize("number", ["99999999999999999999", str(1 << 63), "9" * 400, str(1 << 31), "-1", "x", "1e3"])
def test_c06_a_number_that_no_table_holds_is_refused_by_name_or_is_nothing(client: FlaskClient, number: str) -> None:
    """Whatever a number asks for: an answer, and none that says that something went wrong within."""
    aud, li, sec, sys = (headers(client, name) for name in ("aud", "li", "sec", "sys"))
    asked = [
        client.get(f"/api/audit?after={number}", headers=aud), client.get(f"/api/alerts?after={number}", headers=li),
        client.get(f"/api/alerts?most={number}", headers=li), client.get(f"/api/sites?most={number}", headers=li),
        client.get(f"/api/platforms/changes?after={number}", headers=li),
        client.get(f"/api/rollouts/{number}", headers=li), client.delete(f"/api/hooks/{number}", headers=sec),
        client.post(f"/api/rollouts/{number}", json={"word": "start", "reason": "x"}, headers=li),
        client.get(f"/api/templates/street/{number}/preview", headers=li),
        client.post(f"/api/approvals/{number}", json={"yes": True}, headers=sec),
        client.post("/api/approvals", json={"action": "template", "subject": f"street@{number}", "reason": "x"}, headers=sys),
    ]  # fmt: skip
    for answer in asked:
        assert answer.status_code < 500, (answer.request.path, answer.json)
    fits = number.isdecimal() and int(number) < 1 << 53
    for answer in asked[:5]:
        assert (answer.status_code, answer.json.get("rule")) == ((200, None) if fits else (400, "number_form")), (
            answer.request.path
        )
    if len(number) > 90:
        assert (asked[-1].status_code, asked[-1].json["rule"]) == (422, "body_fields")
        return
    judged = client.post(f"/api/approvals/{asked[-1].json['number']}", json={"yes": True}, headers=sec)
    assert (judged.status_code, judged.json["rule"]) == (404, "template_unknown")


@pytest.mark.parametrize("number", [1 << 31, 1 << 63, 10**19, -(10**18)])
def test_c06_a_number_in_a_body_that_no_table_holds_is_refused(client: FlaskClient, number: int) -> None:
    li = headers(client, "li")
    site = {"id": SITE, "name": "x", "civil_code": "340200", "template": "street", "template_version": number}
    sent = (("/api/sites", site), ("/api/rollouts", {"template": "street", "version": number, "reason": "x"}),
            (f"/api/sites/{SITE}/claim", {"days": number}))  # fmt: skip
    for path, body in sent:
        answer = client.post(path, json=body, headers=li)
        assert 400 <= answer.status_code < 500, (path, answer.json)


def test_u07_what_touches_the_whole_city_is_not_for_who_has_a_part_of_it(
    client: FlaskClient, store: Store, kept_password: str
) -> None:
    with store.begin() as session:
        for name, role in (("xian-sec", "security"), ("xian-sys", "system")):
            person(session, name, role, "3402").password = kept_password
    why, sec = {"reason": "x"}, headers(client, "sec")
    number = client.post("/api/approvals", json={"action": "revoke-all", **why}, headers=sec).json["number"]
    county, system = headers(client, "xian-sec"), headers(client, "xian-sys")
    add_site(store, civil_code="110000", by="li")
    key = {"key": "x"}
    for answer in (
        client.post("/api/approvals", json={"action": "revoke-all", **why}, headers=county),
        client.post("/api/approvals", json={"action": "ca", **why}, headers=county),
        client.post(f"/api/approvals/{number}", json={"yes": True}, headers=county),
        client.post("/api/revoke-all", json=why, headers=county),
        client.put("/api/platforms/34020000002000000001", json=key, headers=system),
    ):
        assert (answer.status_code, answer.json["rule"]) == (403, "city_only"), answer.request.path
