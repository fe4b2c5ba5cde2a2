"""Pages that look: the city, its sites, its concentrators, alerts, keys, and how the registry itself is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from flask import Blueprint, g, render_template, request
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from city.api import truth
from city.api.office import Office, waits
from city.console import lists, picture, shown
from city.registry import (
    alerts,
    approvals,
    concentrators,
    enrolment,
    figures,
    health,
    layers,
    outages,
    people,
    sites,
)
from city.registry.signer import SignerAway
from city.registry.tables import Alert, Concentrator, Health, Hook, Layer, Meta, Peer, Person, Site
from city.truth.verdict import DEAF_SECONDS, Verdict

MOST_DIFFERENCES = 60
#: What a city is measured by: so many of its sites online, in percent (GB/T 28181 networks' usual targets).
TARGETS = (98, 95)
#: page -> the right that it needs; "city": for who has no scope.
_CITY = frozenset(("concentrators", "health"))
_ORDER: tuple[tuple[str, people.Right], ...] = (
    ("overview", "look"), ("pending", "look"), ("sites", "look"), ("concentrators", "look"), ("templates", "look"),
    ("alerts", "look"), ("keys", "look"), ("people", "person"), ("audit", "audit"), ("health", "look"),
)  # fmt: skip


def navigation(person: Person | None) -> list[str]:
    """Return the pages that a person may open, in their order."""
    if person is None:
        return []
    return [name for name, right in _ORDER if people.may(person, right) and not (person.scope and name in _CITY)]


def add(made: Blueprint, office: Office) -> None:
    """Add the pages."""
    _first(made, office)
    _sites(made, office)
    _one_site(made, office)
    _hubs(made, office)
    _alerts(made, office)
    _keys(made, office)
    _platform(made, office)


def _first(made: Blueprint, office: Office) -> None:
    @made.get("/")
    def overview() -> str:
        with office.store.read() as session:
            numbers = figures.overview(session, g.now, g.person.scope)
            # The figures' areas are whole cities; here a city is looked at by its counties, a county by its townships.
            by_area = health.counts(session, g.person.scope, 6 if len(g.person.scope) < 6 else 8)
            worst = lists.worst(session, g.person)
            open_ = [row for row in truth.listed(session, g.person, most=60) if not row.grouping][: lists.MOST_ALERTS]
            rolling = [] if g.person.scope else [
                row for row in lists.rollouts(session, most=20) if row.state in ("running", "paused", "halted")
            ]  # fmt: skip
            return render_template(
                "console/overview.html", n=numbers, worst=[(s, h, health.read_reasons(h.reasons)) for s, h in worst],
                areas=areas(by_area), alerts=open_, said=_said, rollouts=rolling, targets=TARGETS,
                online=online(numbers["verdicts"]),
            )  # fmt: skip

    @made.get("/pending")
    def pending() -> str:
        with office.store.read() as session:
            boxes = [(row, waits(row)) for row in enrolment.waiting(session, g.person.scope, lists.PAGE)]
            asked = approvals.waiting(session, g.now, lists.PAGE)
            ready = lists.agreed(session, g.now)
        return render_template("console/pending.html", boxes=boxes, asked=asked, ready=ready)


def areas(counted: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """Return one entry an area, with its sites by verdict: that with the fewest online first."""
    found: dict[str, dict[str, int]] = {}
    for (area, verdict), number in counted.items():
        found.setdefault(area, dict.fromkeys(_VERDICTS, 0))[verdict] = number
    told = [
        {"area": area, "verdicts": by, "sites": sum(by.values()), "online": online(by)} for area, by in found.items()
    ]
    return sorted(told, key=lambda each: (each["online"] if each["online"] is not None else 101.0, each["area"]))[:40]


def online(verdicts: Mapping[str, int]) -> float | None:
    """Return which part of the sites is known to work, at least in part, in percent; None of no sites."""
    total = sum(verdicts.values())
    return None if not total else 100.0 * (verdicts.get("good", 0) + verdicts.get("degraded", 0)) / total


def _said(row: Alert) -> str:
    return alerts.sentence(row, g.language)


def _sites(made: Blueprint, office: Office) -> None:
    @made.get("/sites")
    def sites_() -> str:
        asked = {name: request.args.get(name, "")[:64] for name in ("after", "text", "state", "verdict")}
        with office.store.read() as session:
            found = sites.page(session, g.person, **asked, most=lists.PAGE + 1)
            rows = lists.with_health(session, found[: lists.PAGE])
        following = {**asked, "after": found[lists.PAGE - 1].id} if len(found) > lists.PAGE else None
        return render_template(
            "console/sites.html", rows=rows, asked=asked, following=following, states=sites.STATES, verdicts=_VERDICTS
        )


def _one_site(made: Blueprint, office: Office) -> None:
    @made.get("/sites/<site>")
    def site(site: str) -> str:
        with office.store.read() as session:
            row = sites.get(session, g.person, site)
            known = session.get(Health, row.id)
            newest, report = layers.newest(session, row), lists.said_by(known)
            body = json.loads(newest.body) if newest is not None else {}
            way = picture.way(peers_of(session, row.id), body, report, known, g.now)
            return render_template(
                "console/site.html", site=row, health=known, said=health.said(session, row), way=way, report=report,
                reasons=health.read_reasons(known.reasons) if known is not None else (), newest=newest,
                wanted=wanted(session, row, newest, known), moments=lists.moments(session, row),
                alerts=lists.open_alerts_of(session, row.id), sentence=_said,
            )  # fmt: skip


def peers_of(session: Session, site: str) -> list[tuple[Peer, Concentrator]]:
    """Return a site's tunnels with where they end."""
    found = session.execute(
        select(Peer, Concentrator).join(Concentrator, Concentrator.id == Peer.concentrator)
        .where(Peer.site == site, Peer.state == "on").order_by(Peer.tunnel)
    )  # fmt: skip
    return [(peer, hub) for peer, hub in found]


def wanted(session: Session, site: Site, newest: Layer | None, known: Health | None) -> dict[str, Any]:
    """Return what a site should have against what it has: marks, and the differences, bounded.

    ``unsent``: what would change if a layer were made now; ``behind``: what the newest layer changes that the box does not
    use yet, None when the layer that it uses is not kept any more.
    """
    body = json.loads(newest.body) if newest is not None else {}
    unsent = layers.differences(body, layers.compose(session, site)) if newest is not None else []
    behind: list[Any] | None = []
    mark = (known.epoch, known.revision) if known is not None else (0, 0)
    offered = (layers.epoch(session), site.offered)
    if newest is not None and mark < offered:
        used = session.get(Layer, (site.id, *mark))
        behind = layers.differences(json.loads(used.body), body)[:MOST_DIFFERENCES] if used is not None else None
    return {
        "applied": mark, "offered": offered, "unsent": unsent[:MOST_DIFFERENCES], "behind": behind, "body": body,
        "latest": newest is not None and mark >= offered,
    }  # fmt: skip


def _hubs(made: Blueprint, office: Office) -> None:
    @made.get("/concentrators")
    def concentrators_() -> str:
        people.demand_whole(g.person)
        with office.store.read() as session:
            rows = []
            for told in concentrators.listed(session):
                hub = session.get_one(Concentrator, told["id"])
                rows.append((told, hub, json.loads(hub.report)))
        return render_template("console/concentrators.html", rows=rows, silent=180.0)


def _alerts(made: Blueprint, office: Office) -> None:
    @made.get("/alerts")
    def alerts_() -> str:
        before, over = shown.asked_number("before"), request.args.get("state", "") == "over"
        with office.store.read() as session:
            found = truth.listed(session, g.person, after=before, over=over, most=lists.PAGE + 1)
            own = (
                list(session.scalars(select(Hook).order_by(Hook.id)))
                if people.may(g.person, "hook") and not g.person.scope
                else None
            )
        following = found[lists.PAGE - 1].id if len(found) > lists.PAGE else None
        return render_template(
            "console/alerts.html", rows=found[: lists.PAGE], over=over, following=following, said=_said, hooks=own,
            grouped_codes=outages.SINGLE,
        )  # fmt: skip


def _keys(made: Blueprint, office: Office) -> None:
    @made.get("/keys")
    def keys() -> str:
        text = request.args.get("text", "")[:96]
        after = (request.args.get("end", 0.0, type=float), request.args.get("serial", "")[:40])
        with office.store.read() as session:
            found = lists.certificates(session, g.person, text=text, after=after, most=lists.PAGE + 1)
            rotating = lists.rotating(session, g.person)
            hubs = [] if g.person.scope else list(session.scalars(select(Concentrator).order_by(Concentrator.id)))
            agreed = lists.agreed(session, g.now)
        city = identity(office)
        more = found[lists.PAGE - 1] if len(found) > lists.PAGE else None
        return render_template(
            "console/keys.html", rows=found[: lists.PAGE], text=text, more=more, rotating=rotating, hubs=hubs,
            city=city, agreed=[row for row in agreed if row.action == "revoke-all"],
        )  # fmt: skip


def identity(office: Office) -> dict[str, Any] | None:
    """Return what boxes know this city by; None when the signing process does not answer."""
    try:
        city = office.signer.identity()
    except SignerAway:
        return None
    ca, *beside = (x509.load_pem_x509_certificate(pem.encode("ascii")) for pem in city.trusted)
    return {
        "name": ca.subject.rfc4514_string(), "hash": city.ca_hash, "key": city.city_key,
        "ends_at": ca.not_valid_after_utc.timestamp(), "begun": city.begun,
        "beside": ", ".join(each.subject.rfc4514_string() for each in beside),
    }  # fmt: skip


def _platform(made: Blueprint, office: Office) -> None:
    @made.get("/health")
    def health_() -> str:
        people.demand_whole(g.person)
        with office.store.read() as session:
            heard: float | None = session.scalar(select(func.max(Health.judged_at)))
            listening = health.listening(session)
            facts = {
                "kind": office.store.kind, "epoch": layers.epoch(session), "listening": listening,
                "deaf": g.now - listening.until > DEAF_SECONDS, "judged_at": heard or None,
                "late": session.scalar(select(func.count()).select_from(Health).where(Health.due_at < g.now - 60.0)) or 0,
                "reports": session.scalar(
                    select(func.count()).select_from(Health).where(Health.seen_at > g.now - 60.0)) or 0,
                "queue": lists.queue(session), "hooks": session.scalar(select(func.count()).select_from(Hook)) or 0,
                "feeds": lists.feeds(session), "sites": sum(health.counts(session).values()),
                "restored": session.get(Meta, "epoch"),
            }  # fmt: skip
        facts["signer"] = identity(office) is not None
        return render_template("console/health.html", f=facts)


_VERDICTS = tuple(verdict.value for verdict in Verdict)
