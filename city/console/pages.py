"""Pages that look: the city, its sites, its concentrators, alerts, keys, and how the registry itself is."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from flask import Blueprint, g, render_template, request
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from city.api import truth
from city.api.office import Office, waits
from city.console import lists, picture
from city.registry import (
    alerts,
    approvals,
    claims,
    concentrators,
    enrolment,
    feeds,
    figures,
    health,
    hooks,
    layers,
    outages,
    people,
    rotation,
    sites,
    templates,
)
from city.registry.refused import RegistryRefused
from city.registry.signer import SignerAway
from city.registry.tables import Alert, Concentrator, Health, Hook, Layer, Meta, Peer, Person, Site
from city.truth.verdict import DEAF_SECONDS, Verdict

MOST_DIFFERENCES = 60
#: What a city is measured by: so many of its sites online, in percent (GB/T 28181 networks' usual targets).
TARGETS = (98, 95)
#: page -> the right that it needs; "city": for who has no scope.
_CITY = frozenset(("concentrators", "health"))
_ORDER = (
    ("overview", "look"), ("pending", "look"), ("sites", "look"), ("concentrators", "look"), ("templates", "look"),
    ("alerts", "look"), ("keys", "look"), ("people", "person"), ("audit", "audit"), ("health", "look"),
)  # fmt: skip


def navigation(person: Person | None) -> list[str]:
    """Return the pages that a person may open, in their order."""
    if person is None:
        return []
    return [
        name
        for name, right in _ORDER
        if people.may(person, right) and not (person.scope and name in _CITY)  # type: ignore[arg-type]
    ]


def city_only(person: Person) -> None:
    """See that a person may look at the whole city.

    Raises:
        RegistryRefused: ``city_only``.
    """
    if person.scope:
        raise RegistryRefused("city_only", scope=person.scope)


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
            worst = lists.worst(session, g.person)
            open_ = [row for row in truth.listed(session, g.person, most=60) if not row.grouping][: lists.MOST_ALERTS]
            rolling = [] if g.person.scope else [
                row for row in lists.rollouts(session, most=20) if row.state in ("running", "paused", "halted")
            ]  # fmt: skip
            return render_template(
                "console/overview.html", n=numbers, worst=[(s, h, health.read_reasons(h.reasons)) for s, h in worst],
                areas=areas(numbers["areas"]), alerts=open_, said=_said, rollouts=rolling, targets=TARGETS,
                online=online(numbers["verdicts"]),
            )  # fmt: skip

    @made.get("/pending")
    def pending() -> str:
        with office.store.read() as session:
            boxes = [(row, waits(row)) for row in enrolment.waiting(session, g.person.scope, lists.PAGE)]
            asked = approvals.waiting(session, g.now, lists.PAGE)
            ready = approvals_ready(session, g.now)
        return render_template("console/pending.html", boxes=boxes, asked=asked, ready=ready)


def approvals_ready(session: Session, now: float) -> list[Any]:
    """Return what two persons have agreed to and nobody has done yet."""
    from city.registry.tables import Approval

    wanted = select(Approval).where(Approval.state == "approved", Approval.judged_at >= now - approvals.USE_SECONDS)
    return list(session.scalars(wanted.order_by(Approval.id).limit(lists.PAGE)))
