"""Verdicts over the database: who is looked at, what the concentrators' word does, and what alerts come of it."""

from __future__ import annotations

import base64
import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update
from sqlalchemy.orm import Session

from city.registry import alerts, health, layers, reports
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Alert, Concentrator, Health, Peer, Site
from city.truth.verdict import BETTER_SECONDS, MEDIA_SECONDS, SILENT_SECONDS, WORSE_SECONDS
from tests import fleet
from tests.fleet import NOW


@pytest.fixture
def some(store: Store, signer: Signer) -> list[Site]:
    with store.begin() as session:
        fleet.found(session)
        made = [fleet.enrolled(session, signer, number, verdict="unknown") for number in range(3)]
        for site in made:
            site.approved_at = NOW - 100
        session.execute(delete(Health))
    return made


def tell(store: Store, site: Site, at: float, applied: int = 1, **besides: Any) -> None:
    tunnels = {f"wg-{plane}": {"handshake_age_seconds": 15} for plane in "ab"}
    told = reports.read(fleet.report(site, applied, **({"tunnels": tunnels} | besides)))
    with store.begin() as session:
        reports.keep(session, [(told, at)])


def listens(store: Store, at: float) -> None:
    with store.begin() as session:
        health.awake(session, at)


def hubs(session: Session, at: float, alive: set[str]) -> None:
    """Let both concentrators say who is alive."""
    for hub in session.scalars(select(Concentrator)):
        network, bits = IPv4Network(hub.network), bytearray(2048)
        for peer in session.scalars(select(Peer).where(Peer.concentrator == hub.id, Peer.site.in_(alive))):
            offset = int(IPv4Address(peer.address)) - int(network.network_address)
            bits[offset >> 3] |= 1 << (offset & 7)
        hub.seen_at, hub.report = at, json.dumps({"alive": base64.b64encode(bits).decode()})


def look(store: Store, at: float) -> int:
    with store.begin() as session:
        return health.turn(session, at)


def verdict(store: Store, site: Site) -> str:
    with store.read() as session:
        return session.get_one(Health, site.id).verdict


def open_alerts(store: Store) -> list[tuple[str, str]]:
    with store.read() as session:
        wanted = select(Alert.code, Alert.subject).where(Alert.closed_at.is_(None)).order_by(Alert.subject, Alert.code)
        return [tuple(row) for row in session.execute(wanted)]


def stretch(store: Store, begin: float, end: float, sites: list[Site], alive: set[str], **besides: Any) -> float:
    """Let the time run: the server listens, these sites report each minute, the concentrators say who is alive."""
    at = begin
    while at < end:
        at += 10
        listens(store, at)
        if at % 60 < 10:
            for site in sites:
                tell(store, site, at, **besides)
            with store.begin() as session:
                hubs(session, at, alive)
        look(store, at)
    return at


def test_a_quiet_fleet_is_looked_at_once_and_then_left_alone(store: Store, some: list[Site]) -> None:
    listens(store, NOW)
    for site in some:
        tell(store, site, NOW)
    assert look(store, NOW + 1) == 3
    assert [verdict(store, site) for site in some] == ["good"] * 3
    assert look(store, NOW + 2) == 0
    for minute in range(1, 10):
        for site in some:
            tell(store, site, NOW + 60 * minute)
        assert look(store, NOW + 60 * minute + 1) == 0
    # What is new in one report makes that site due, and no other.
    tell(store, some[1], NOW + 600, programs={"cityside": {"registered": False}})
    assert look(store, NOW + 601) == 1


def test_a_judgement_reads_its_sites_in_a_few_statements(store: Store, signer: Signer) -> None:
    with store.begin() as session:
        fleet.found(session)
        made = [fleet.enrolled(session, signer, number) for number in range(40)]
    listens(store, NOW)
    for site in made:
        tell(store, site, NOW)
    said: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    assert look(store, NOW + 1) == 40
    assert len([words for words in said if words.startswith(("SELECT", "UPDATE"))]) < 12, said


def test_a_site_whose_tunnels_are_dead_by_the_concentrators_word_is_dark(store: Store, some: list[Site]) -> None:
    every = {site.id for site in some}
    at = stretch(store, NOW, NOW + 180, some, every)
    gone, silent = some[0], some[1]
    at = stretch(store, at, at + SILENT_SECONDS + WORSE_SECONDS + 70, some[2:], every - {gone.id})
    assert [verdict(store, site) for site in some] == ["dark", "degraded", "good"]
    with store.read() as session:
        why = [json.loads(session.get_one(Health, site.id).reasons)[0][0] for site in (gone, silent)]
    assert why == ["no_report_no_tunnel", "agent_silent"]
    assert open_alerts(store) == [("site_dark", f"site:{gone.id}"), ("site_degraded", f"site:{silent.id}")]
    # It comes back, and is good after it was so for a while.
    stretch(store, at, at + BETTER_SECONDS + 130, some, every)
    assert [verdict(store, site) for site in some] == ["good"] * 3
    assert open_alerts(store) == []


def test_without_a_concentrators_word_nobody_is_called_dark(store: Store, some: list[Site]) -> None:
    at = stretch(store, NOW, NOW + 180, some, set())
    for step in range(10, 600, 10):
        listens(store, at + step)
        look(store, at + step)
    assert verdict(store, some[0]) == "unknown"
    assert open_alerts(store) == []


def test_after_the_registry_was_down_nobody_is_dark_before_its_silence_was_heard(
    store: Store, some: list[Site]
) -> None:
    every = {site.id for site in some}
    at = stretch(store, NOW, NOW + 180, some, every)
    down = at + 900
    for step in range(60, 540, 60):
        look(store, at + step)
    assert {verdict(store, site) for site in some} == {"good"}, "what was said holds while nobody listens"
    up = stretch(store, down, down + 120, some[1:], every - {some[0].id})
    assert verdict(store, some[0]) == "good"
    stretch(store, up, up + SILENT_SECONDS + WORSE_SECONDS, some[1:], every - {some[0].id})
    assert [verdict(store, site) for site in some] == ["dark", "good", "good"]


def test_a_good_site_that_does_not_take_its_layer_is_found_without_news(store: Store, some: list[Site]) -> None:
    listens(store, NOW)
    tell(store, some[0], NOW)
    look(store, NOW + 1)
    with store.begin() as session:
        session.get_one(Site, some[0].id).offered = 2
        row = session.execute(select(reports.Layer).where(reports.Layer.site == some[0].id)).scalar_one()
        fields = {c.name: getattr(row, c.name) for c in row.__table__.columns}
        session.add(reports.Layer(**(fields | {"revision": 2, "made_at": NOW + 60})))
    for minute in range(1, 16):
        at = NOW + 60 * minute
        listens(store, at)
        tell(store, some[0], at)
        with store.begin() as session:
            health.sweep(session, at)
        look(store, at + 1)
        assert verdict(store, some[0]) == ("good" if minute < 13 else "degraded")
    assert open_alerts(store) == [("site_degraded", f"site:{some[0].id}")]


def test_no_picture_for_days_is_found_although_all_reports_are_the_same(store: Store, some: list[Site]) -> None:
    listens(store, NOW)
    tell(store, some[0], NOW)
    look(store, NOW + 1)
    at, quiet = NOW + MEDIA_SECONDS + 100, {"cityside": {"registered": True}}
    for minute in range(70):
        listens(store, at + 60 * minute)
        tell(store, some[0], at + 60 * minute, programs=quiet)
        look(store, at + 60 * minute + 1)
    assert verdict(store, some[0]) == "degraded"


def test_a_report_that_comes_while_its_site_is_judged_is_not_forgotten(
    store: Store, some: list[Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    listens(store, NOW)
    tell(store, some[0], NOW)
    judge = health.judge
    with store.begin() as session:

        def judged(*given: Any) -> Any:
            came = update(Health).values(seen_at=NOW + 1, due_at=NOW + 1, said="[[],[],false,[],[1,1]]")
            session.execute(came.execution_options(synchronize_session=False))
            return judge(*given)

        monkeypatch.setattr(health, "judge", judged)
        assert health.turn(session, NOW + 1) == 1
    monkeypatch.setattr(health, "judge", judge)
    assert look(store, NOW + 2) == 1, "its news is still due"


def test_a_revoked_site_has_no_verdict_and_no_alert(store: Store, some: list[Site]) -> None:
    at = stretch(store, NOW, NOW + 120, some, set())
    stretch(store, at, at + 400, [], set())
    assert verdict(store, some[0]) == "dark"
    with store.begin() as session:
        session.get_one(Site, some[0].id).state = "revoked"
    look(store, at + 600)
    assert verdict(store, some[0]) == "unknown"
    assert ("site_dark", f"site:{some[0].id}") not in open_alerts(store)
    assert look(store, at + 5000) == 2


def test_one_alert_of_a_kind_and_subject_is_open_at_a_time(store: Store) -> None:
    with store.begin() as session:
        first = alerts.raise_(session, NOW, "site_dark", "site:1", "error", why="a")
        again = alerts.raise_(session, NOW + 1, "site_dark", "site:1", "error", why="b")
        assert (first.id, json.loads(again.args)["why"], again.opened_at) == (again.id, "b", NOW)
        assert alerts.close(session, NOW + 2, "site_dark", "site:1")
        assert not alerts.close(session, NOW + 2, "site_dark", "site:1")
        assert alerts.raise_(session, NOW + 3, "site_dark", "site:1", "error").id != first.id


@pytest.mark.parametrize("head", [(4, "b" * 64), (5, "c" * 64)])
def test_receipts_that_went_back_are_told_and_what_they_deny_stays(
    store: Store, signer: Signer, some: list[Site], head: tuple[int, str]
) -> None:
    site = some[0]

    def said(number: int, digest: str) -> bool:
        """Whether it was news."""
        told = reports.read(fleet.report(site, 1, receipts={"sequence": number, "hash": digest}))
        with store.begin() as session:
            row = session.get_one(Site, site.id)
            layers.applied(session, row.id, (1, 1))
            news = not reports.quiet(fleet.glanced(session, row), told)
            reports.keep(session, [(told, NOW)])
            if news:
                reports.settle(session, signer, row, told, NOW)
            return news

    assert not said(5, "a" * 64), "a head that goes on is kept with the health"
    assert not said(5, "a" * 64) and open_alerts(store) == []
    assert said(*head)
    assert open_alerts(store) == [("receipts_went_back", f"site:{site.id}")]
    said(*head)
    assert open_alerts(store) == [("receipts_went_back", f"site:{site.id}")], "told once"
    assert not said(6, "d" * 64), "the chain goes on; the alert stays for a person"
    assert open_alerts(store) == [("receipts_went_back", f"site:{site.id}")]
    with store.read() as session:
        kept = session.execute(select(reports.ReceiptHead.sequence, reports.ReceiptHead.hash)).all()
    assert sorted(map(tuple, kept)) == [(6, "d" * 64)], "one for ten minutes"


def test_a_head_that_goes_on_is_kept_with_the_health_alone(store: Store, signer: Signer, some: list[Site]) -> None:
    """Two hands at one row would wait for each other: a report that asks for something locks its site."""
    told = reports.read(fleet.report(some[0], 1, nonce="5c" * 16, receipts={"sequence": 5, "hash": "a" * 64}))
    with store.begin() as session:
        reports.settle(session, signer, session.get_one(Site, some[0].id, with_for_update=True), told, NOW)
        assert session.query(reports.ReceiptHead).all() == []
    with store.begin() as session:
        reports.keep(session, [(told, NOW)])
        assert [row.sequence for row in session.query(reports.ReceiptHead)] == [5]


def test_of_two_processes_the_one_that_keeps_the_older_report_later_changes_nothing(
    store: Store, some: list[Site]
) -> None:
    def kept(revision: int, at: float) -> int:
        with store.begin() as session:
            reports.keep(session, [(reports.read(fleet.report(some[0], revision)), at)])
        with store.read() as session:
            return session.get_one(Health, some[0].id).revision

    assert kept(2, NOW + 1) == 2
    assert kept(1, NOW + 0.5) == 2
    assert kept(3, NOW + 1) == 3
    assert kept(4, NOW - 2 * reports.LATE_SECONDS) == 4, "the registry's clock went back: what is told now counts"
