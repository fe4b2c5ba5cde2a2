"""The overview, alerts and hooks over the interface, and the numbers for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from city.api.app import create_app
from city.api.office import BundleFacts
from city.registry import alerts, figures, people
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Health, Person, Site
from tests import fleet, scene
from tests.fleet import NOW

PASSWORD = "a long password"


@pytest.fixture(scope="module")
def kept_password() -> str:
    return people.hashed(PASSWORD)


@pytest.fixture
def client(store: Store, signer: Signer, kept_password: str) -> Iterator[FlaskClient]:
    with store.begin() as session:
        fleet.found(session)
        for name, role, scope in (("li", "viewer", ""), ("he", "viewer", "3403"), ("sec", "security", "")):
            session.add(Person(name=name, password=kept_password, role=role, scope=scope, made_at=NOW))
        for number, (code, verdict) in enumerate((("340200", "good"), ("340200", "dark"), ("340301", "degraded"))):
            site = fleet.enrolled(session, signer, number, verdict=verdict)
            site.civil_code = code
            session.flush()
            if verdict != "good":
                facts = {"site": site.id, "name": site.name, "why": "x"}
                alerts.raise_(session, NOW, f"site_{verdict}", f"site:{site.id}", "error", **facts)
        alerts.raise_(session, NOW, "concentrator_silent", "concentrator:hub-a", "error", concentrator="hub-a")
        session.add(
            Site(id="34020000002008009999", name="new", civil_code="340200", state="active", made_by="li", made_at=NOW)
        )
    chance = iter(range(1, 1000))
    app = create_app(
        store, signer, lambda: NOW, lambda length: next(chance).to_bytes(length, "big"), lambda *_, **__: None,
        BundleFacts("192.0.2.1", 8443),
    )  # fmt: skip
    with app.test_client() as made:
        yield made
    app.extensions["heartbeats"].close()


def test_an_alert_is_acknowledged_by_who_may_and_of_his_sites_alone(client: FlaskClient, store: Store) -> None:
    kept = people.hashed(PASSWORD)
    with store.begin() as session:
        for name, role, scope in (("op", "operator", ""), ("op3", "operator", "3403")):
            session.add(Person(name=name, password=kept, role=role, scope=scope, made_at=NOW))
    rows = {row["code"]: row["id"] for row in get(client, "li", "/api/alerts")["alerts"]}
    dark, degraded = rows["site_dark"], rows["site_degraded"]

    def say(name: str, number: int, reason: str = "sent somebody") -> Any:
        path = f"/api/alerts/{number}/acknowledge"
        return client.post(path, json={"reason": reason}, headers=signed_in(client, name))

    for name in ("li", "sec"):
        assert (say(name, dark).status_code, say(name, dark).json["rule"]) == (403, "not_allowed")
    assert say("op3", dark).json["rule"] == "alert_unknown", "of another county: for him it is not there"
    assert say("op", dark, " ").json["rule"] == "reason_missing"
    assert say("op3", degraded).json["acknowledged_by"] == "op3"
    told = say("op", dark).json
    assert (told["acknowledged_by"], told["acknowledged_why"], told["closed_at"]) == ("op", "sent somebody", None)
    listed = {row["id"]: row["acknowledged_by"] for row in get(client, "li", "/api/alerts")["alerts"]}
    assert (listed[dark], listed[degraded]) == ("op", "op3"), "they stay listed"


def test_a_concentrator_is_added_by_a_program(client: FlaskClient, store: Store) -> None:
    kept = people.hashed(PASSWORD)
    with store.begin() as session:
        for name, scope in (("sys", ""), ("sys3", "3403")):
            session.add(Person(name=name, password=kept, role="system", scope=scope, made_at=NOW))
    said = {"prepared": json.loads(scene.prepared()["prepared"]), "name": "城南", "plane": "wg-c",
            "endpoint": "192.0.2.7:51820", "reason": "another room"}  # fmt: skip

    def add(name: str, **changed: Any) -> Any:
        return client.post("/api/concentrators", json=said | changed, headers=signed_in(client, name))

    assert [add(name).json["rule"] for name in ("li", "sec", "sys3")] == ["not_allowed", "not_allowed", "city_only"]
    assert add("sys", prepared={"id": "x"}).json["rule"] == "concentrator_prepared"
    assert add("sys", reason="").json["rule"] == "reason_missing"
    answer = add("sys")
    assert answer.status_code == 201
    assert set(answer.json["files"]) == {"certificate.pem", "ca.pem", "city.pub"}
    assert add("sys").json["rule"] == "concentrator_taken"
    assert "hub-new" in {row["id"] for row in get(client, "li", "/api/concentrators")["concentrators"]}


def signed_in(client: FlaskClient, name: str) -> dict[str, str]:
    answer = client.post("/api/sign-in", json={"name": name, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json['token']}"}  # type: ignore[index]


def get(client: FlaskClient, name: str, path: str) -> Any:
    answer = client.get(path, headers=signed_in(client, name))
    assert answer.status_code == 200, answer.json
    return answer.json


def test_the_overview_counts_the_sites_of_a_scope(client: FlaskClient) -> None:
    whole = get(client, "li", "/api/overview")
    assert whole["verdicts"] == {"good": 1, "degraded": 1, "dark": 1, "unknown": 1}
    assert whole["alerts"] == {"concentrator_silent": 1, "site_dark": 1, "site_degraded": 1}
    part = get(client, "he", "/api/overview")
    assert part["verdicts"] == {"good": 0, "degraded": 1, "dark": 0, "unknown": 0} and "alerts" not in part
    assert client.get("/api/overview").status_code == 401


def test_alerts_are_paged_and_of_ones_own_sites(client: FlaskClient) -> None:
    every = get(client, "li", "/api/alerts")["alerts"]
    assert len(every) == 3 and all(one["zh"] and one["en"] for one in every)
    first = get(client, "li", "/api/alerts?most=1")["alerts"]
    rest = get(client, "li", f"/api/alerts?after={first[0]['id']}")["alerts"]
    assert [one["id"] for one in first + rest] == [one["id"] for one in every]
    assert [one["subject"] for one in get(client, "he", "/api/alerts")["alerts"]] == [f"site:{fleet.site_id(2)}"]
    assert get(client, "li", "/api/alerts?state=over")["alerts"] == []


def test_a_sites_health_is_for_who_may_see_it(client: FlaskClient) -> None:
    assert get(client, "he", f"/api/sites/{fleet.site_id(2)}/health")["verdict"] == "degraded"
    answer = client.get(f"/api/sites/{fleet.site_id(1)}/health", headers=signed_in(client, "he"))
    assert answer.status_code in (403, 404)
    never = get(client, "li", "/api/sites/34020000002008009999/health")
    assert (never["verdict"], never["reasons"]) == ("unknown", [["site_never_heard", {}]])


def test_hooks_are_set_by_the_security_administrator_and_the_secret_is_shown_once(client: FlaskClient) -> None:
    asked = {"kind": "webhook", "target": "https://alerts.city.example/"}
    assert client.post("/api/hooks", json=asked, headers=signed_in(client, "li")).status_code == 403
    who = signed_in(client, "sec")
    made = client.post("/api/hooks", json=asked, headers=who)
    assert made.status_code == 201 and len(made.json["secret"]) == 64  # type: ignore[index]
    (listed,) = client.get("/api/hooks", headers=who).json["hooks"]  # type: ignore[index]
    assert "secret" not in listed
    wrong = client.post("/api/hooks", json=asked | {"target": "http://x/"}, headers=who)
    assert wrong.json["rule"] == "hook_target"  # type: ignore[index]
    assert client.delete(f"/api/hooks/{listed['number']}", headers=who).status_code == 204
    assert client.get("/api/hooks", headers=who).json["hooks"] == []  # type: ignore[index]


def test_metrics_are_for_this_machine_or_who_has_the_token(client: FlaskClient, store: Store) -> None:
    here = client.get("/metrics")
    assert here.status_code == 200 and here.content_type.startswith("text/plain; version=0.0.4")
    lines = here.get_data(as_text=True).splitlines()
    assert 'snowgate_sites{area="3402",verdict="dark"} 1' in lines
    assert 'snowgate_sites{area="3403",verdict="degraded"} 1' in lines
    assert 'snowgate_alerts_open{code="site_dark"} 1' in lines
    assert 'snowgate_concentrator_sites{concentrator="hub-a"} 3' in lines
    assert len({line.split()[2] for line in lines if line.startswith("# TYPE")}) == sum(
        line.startswith("# TYPE") for line in lines
    )
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    with store.begin() as session:
        figures.set_token(session, NOW, "sec", "a token")
    for token, status in (("", 401), ("Bearer other", 401), ("Bearer ", 401), ("Bearer a token", 200)):
        answer = client.get("/metrics", headers={"Authorization": token}, environ_base=elsewhere)
        assert answer.status_code == status


def test_the_labels_of_metrics_stay_few(store: Store, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MOST_AREAS", 2)
    with store.begin() as session:
        for number in range(6):
            code = f"34{number:02d}00"
            session.add(
                Site(
                    id=f"{code}00002008{number:06d}",
                    name="x",
                    civil_code=code,
                    state="active",
                    made_by="l",
                    made_at=NOW,
                )
            )
        session.flush()
        session.add(Health(site="34000000002008000000", seen_at=NOW, verdict="good"))
        text = figures.metrics(session, NOW)
    assert text.count("snowgate_sites{") == 3 and 'area="other",verdict="unknown"} 4' in text
