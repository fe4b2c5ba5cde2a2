"""How the sites are, for people and programs: the overview, a site's health, alerts, hooks. Below ``/api``."""

from __future__ import annotations

import json
from typing import Any

from apiflask import APIBlueprint
from flask import request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, literal, select
from sqlalchemy.orm import Session

from city.api.asked import number
from city.api.office import Office
from city.registry import alerts, audit, figures, health, hooks, sites, troubles
from city.registry.tables import Alert, Hook, Person, Site

MOST = 200


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", str_max_length=1 << 14)


class HookSaid(_Said):
    kind: str
    target: str
    least: str = "warning"
    ca: str = ""
    inside: bool = Field(default=False, strict=True)
    language: str = "zh-CN"


class WhySaid(_Said):
    reason: str


def blueprint(office: Office) -> APIBlueprint:
    """Return the views."""
    made = APIBlueprint("truth", __name__, url_prefix="/api")
    _looking(made, office)
    _hooks(made, office)
    return made


def listed(session: Session, person: Person, *, after: int = 0, over: bool = False, most: int = MOST) -> list[Alert]:
    """Return alerts, the newest first, below the number ``after``: open ones, or those that are ``over``.

    Who has a scope sees those of his sites alone; what is the city's own is for who has none.
    """
    wanted = select(Alert).where(Alert.closed_at.is_not(None) if over else Alert.closed_at.is_(None))
    if after:
        wanted = wanted.where(Alert.id < literal(after, BigInteger))  # may be more than the column holds
    if person.scope:
        wanted = wanted.join(Site, "site:" + Site.id == Alert.subject).where(Site.civil_code.startswith(person.scope))
    return list(session.scalars(wanted.order_by(Alert.id.desc()).limit(max(1, min(most, MOST)))))


def alert(row: Alert) -> dict[str, Any]:
    """Return an alert with its sentences."""
    return {
        "id": row.id, "code": row.code, "subject": row.subject, "grouping": row.grouping, "severity": row.severity,
        "args": json.loads(row.args), "opened_at": row.opened_at, "closed_at": row.closed_at, "told_at": row.told_at,
        "acknowledged_by": row.acknowledged_by, "acknowledged_at": row.acknowledged_at, "acknowledged_why": row.acknowledged_why,
        "en": alerts.sentence(row), "zh": alerts.sentence(row, "zh-CN"),
    }  # fmt: skip


def _looking(made: APIBlueprint, office: Office) -> None:
    @made.get("/overview")
    def overview() -> dict[str, Any]:
        person = office.callers.person("look")
        with office.store.read() as session:
            return figures.overview(session, office.clock(), person.scope)

    @made.get("/sites/<site>/health")
    def site_health(site: str) -> dict[str, Any]:
        person = office.callers.person("look")
        with office.store.read() as session:
            return health.said(session, sites.get(session, person, site))

    @made.get("/alerts")
    def every_alert() -> dict[str, Any]:
        person = office.callers.person("look")
        after, most = number("after", 0), number("most", MOST)
        over = request.args.get("state", "") == "over"
        with office.store.read() as session:
            return {"alerts": [alert(row) for row in listed(session, person, after=after, over=over, most=most)]}

    @made.post("/alerts/<number:number>/acknowledge")
    @made.input(WhySaid)
    def acknowledge(number: int, json_data: WhySaid) -> dict[str, Any]:
        """A person sees to it: it is told to nobody any more, and listed until its cause is gone."""
        person = office.callers.person("alert")
        with office.store.begin() as session:
            audit.because(session, json_data.reason)
            return alert(alerts.acknowledge(session, office.clock(), person, number, json_data.reason))

    @made.post("/sites/<site>/not-cloned")
    @made.input(WhySaid)
    def not_cloned(site: str, json_data: WhySaid) -> dict[str, Any]:
        """A person has looked: the second box is gone, and the site's certificates are good again."""
        person = office.callers.person("revoke")
        with office.store.begin() as session:
            row = sites.get(session, person, site, lock=True)
            troubles.cleared(session, office.clock(), person.name, row, json_data.reason)
            return health.said(session, row)


def _hooks(made: APIBlueprint, office: Office) -> None:
    @made.get("/hooks")
    def every_hook() -> dict[str, Any]:
        office.callers.person("hook")
        with office.store.read() as session:
            return {"hooks": [_hook(row) for row in session.scalars(select(Hook).order_by(Hook.id))]}

    @made.post("/hooks")
    @made.input(HookSaid)
    def add_hook(json_data: HookSaid) -> tuple[dict[str, Any], int]:
        """The secret is shown this once."""
        person, secret = office.callers.person("hook"), office.chance(32).hex()
        with office.store.begin() as session:
            row = hooks.add(session, office.clock(), person, secret=secret, **json_data.model_dump())
            return _hook(row) | {"secret": secret}, 201

    @made.delete("/hooks/<number:number>")
    def remove_hook(number: int) -> tuple[str, int]:
        person = office.callers.person("hook")
        with office.store.begin() as session:
            hooks.remove(session, office.clock(), person, number)
        return "", 204


def _hook(row: Hook) -> dict[str, Any]:
    return {
        "number": row.id, "kind": row.kind, "target": row.target, "least": row.least, "inside": row.inside,
        "language": row.language, "own_ca": bool(row.ca),
    }  # fmt: skip
