"""Rollouts: a template's version goes to its sites, ring by ring, and halts at the first that is the worse for it.

``turn`` is called every few seconds by one process at a time and may be called at any moment: everything it needs stands
in the tables, and what it has done it finds done.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from city.registry import audit, layers
from city.registry.layers import Why
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.tables import Health, Layer, Person, Rollout, RolloutSite, RolloutStep, Site, Template
from city.rollout.table import TABLE, Event, State, rings

#: How long a ring is looked at after its last site has it. Shorter, and a fault that shows with the next registration or
#: view is in the next ring already; longer, and five rings do not fit a working day.
SOAK_SECONDS = 600.0
#: A site that was heard of and is not within this has not survived the change; a box undoes one after two minutes.
ANSWER_SECONDS = 600.0
MAX_REASON_CHARACTERS = 200
MAX_PREVIEW = 200
_WELL = frozenset({"good", "degraded"})
_ORDER = {"good": 0, "degraded": 1, "dark": 2, "unknown": 2}


def preview(
    session: Session, template: str, version: int, most: int = MAX_PREVIEW, *, scope: str = "", after: str = ""
) -> list[dict[str, Any]]:
    """Return what would change at each site of a scope (those after ``after``), and what is wrong with it; bounded.

    Raises:
        RegistryRefused: ``template_unknown``.
    """
    _template(session, template, version)
    told = []
    mine = (Site.template == template, Site.state == "active", Site.civil_code.startswith(scope), Site.id > after)
    for site in session.scalars(select(Site).where(*mine).order_by(Site.id).limit(min(most, MAX_PREVIEW))):
        current, would = layers.newest(session, site), layers.compose(session, site, version)
        before = json.loads(current.body) if current is not None else {}
        wrong = [found.code for found in layers.findings(would)]
        told.append({"site": site.id, "name": site.name, "wrong": wrong, "changes": layers.differences(before, would)})
    return told


def demand_scope(session: Session, person: Person, template: str) -> None:
    """See that a person's scope holds every site that a rollout of this template touches.

    Raises:
        RegistryRefused: ``outside_scope``.
    """
    others = select(Site.id).where(Site.template == template, ~Site.civil_code.startswith(person.scope)).limit(1)
    if person.scope and session.scalar(others) is not None:
        raise RegistryRefused("outside_scope", scope=person.scope)


def begin(session: Session, template: str, version: int, who: str, reason: str, now: float) -> Rollout:
    """Draw the rings for an approved version, and wait for ``start``.

    Raises:
        RegistryRefused: ``template_unknown``, ``template_not_approved``, ``rollout_runs``, ``rollout_empty``, ``reason_*``.
    """
    _said(reason)
    if _template(session, template, version).state != "approved":
        raise RegistryRefused("template_not_approved", template=template, version=version)
    running = select(Rollout.id).where(
        Rollout.template == template, Rollout.state.in_((State.DRAFT, State.RUNNING, State.PAUSED, State.HALTED))
    )
    if session.scalar(running) is not None:
        raise RegistryRefused("rollout_runs", template=template)
    sites = list(session.scalars(select(Site.id).where(Site.template == template, Site.state == "active")))
    if not sites:
        raise RegistryRefused("rollout_empty", template=template)
    rollout = Rollout(template=template, version=version, made_by=who, made_at=now, reason=reason)
    session.add(rollout)
    session.flush()
    for site, ring in rings(sites, f"rollout {rollout.id}").items():
        session.add(RolloutSite(rollout=rollout.id, site=site, ring=ring))
    _step(session, rollout, now, who, "begin", reason)
    return rollout


def order(session: Session, signer: Signer, number: int, event: Event, who: str, why: str, now: float) -> Rollout:
    """Do what a person wants: start, pause, resume, roll back.

    Raises:
        RegistryRefused: ``rollout_unknown``, ``rollout_state`` (not from here), ``reason_*``.
    """
    _said(why)
    rollout = session.get(Rollout, number, with_for_update=True)
    if rollout is None:
        raise RegistryRefused("rollout_unknown", rollout=number)
    _move(session, rollout, event, who, why, now)
    if event is Event.ROLL_BACK:
        _put_back(session, signer, rollout, who, now)
    elif event in (Event.START, Event.RESUME):
        rollout.ring_at = now
        _offer_ring(session, signer, rollout, now)
    return rollout


def turn(session: Session, signer: Signer, now: float, soak: float = SOAK_SECONDS) -> list[tuple[int, Event]]:
    """Look after every rollout that is not over; return what happened."""
    happened = []
    states = (State.RUNNING, State.PAUSED)
    for rollout in session.scalars(select(Rollout).where(Rollout.state.in_(states)).with_for_update()):
        event, why = _look(session, rollout, now, soak)
        if event is None:
            continue
        _move(session, rollout, event, "registry", why, now)
        if event is Event.RING_GOOD:
            rollout.ring, rollout.ring_at = rollout.ring + 1, now
            _offer_ring(session, signer, rollout, now)
        happened.append((rollout.id, event))
    return happened


def _look(session: Session, rollout: Rollout, now: float, soak: float) -> tuple[Event | None, str]:
    """What the sites of the rings so far say of it."""
    settled = True
    for row, health in _with_health(session, rollout):
        layer = session.get(Layer, (row.site, layers.epoch(session), row.revision))
        row.state = _state(row, layer)
        verdict = health.verdict if health is not None else "unknown"
        if row.state == "reverted":
            return Event.REVERTED, row.site
        if row.before in _WELL and _ORDER[verdict] > _ORDER[row.before]:
            return Event.HEALTH_FELL, row.site
        if row.before in _WELL and row.state == "offered":
            settled = False
            if now - rollout.ring_at > ANSWER_SECONDS:
                return Event.HEALTH_FELL, row.site
    if rollout.state != State.RUNNING or not settled or now - rollout.ring_at < soak:
        return None, ""
    last = session.scalar(select(func.max(RolloutSite.ring)).where(RolloutSite.rollout == rollout.id))
    return (Event.ALL_GOOD if rollout.ring >= (last or 0) else Event.RING_GOOD), ""


def _state(row: RolloutSite, layer: Layer | None) -> str:
    """A layer that a newer one has replaced was no worse for it; the newer one is judged by itself."""
    if layer is not None and layer.state in ("applied", "reverted"):
        return layer.state
    return "applied" if layer is not None and layer.state == "superseded" else row.state


def _offer_ring(session: Session, signer: Signer, rollout: Rollout, now: float) -> None:
    why = Why(rollout.made_by, rollout.reason, rollout.id)
    for row, health in _with_health(session, rollout):
        site = session.get(Site, row.site)
        if row.state != "waiting" or site is None or site.state != "active":
            continue
        rollout.before = rollout.before or (site.template_version or 0)
        row.before = health.verdict if health is not None else "unknown"
        site.template_version = rollout.version
        row.revision = layers.offer(session, signer, site, now, why)
        row.state = "offered"
        session.flush()


def _put_back(session: Session, signer: Signer, rollout: Rollout, who: str, now: float) -> None:
    for row, _ in _with_health(session, rollout):
        site = session.get(Site, row.site)
        if row.state in ("waiting", "back") or site is None or site.state != "active" or not rollout.before:
            continue
        site.template_version = rollout.before
        layers.offer(session, signer, site, now, Why(who, f"rollout {rollout.id} back", rollout.id))
        row.state = "back"


def _with_health(session: Session, rollout: Rollout) -> list[tuple[RolloutSite, Health | None]]:
    found = session.execute(
        select(RolloutSite, Health).outerjoin(Health, Health.site == RolloutSite.site)
        .where(RolloutSite.rollout == rollout.id, RolloutSite.ring <= rollout.ring).order_by(RolloutSite.site)
    )  # fmt: skip
    return [(row, health) for row, health in found]


def _move(session: Session, rollout: Rollout, event: Event, who: str, why: str, now: float) -> None:
    after = TABLE[State(rollout.state)].get(event)
    if after is None:
        raise RegistryRefused("rollout_state", rollout=rollout.id, state=rollout.state, event=event.value)
    rollout.state = after.value
    if after is State.HALTED:
        rollout.why_halted = f"{event.value} {why}"
    _step(session, rollout, now, who, event.value, why)


def _step(session: Session, rollout: Rollout, now: float, who: str, what: str, why: str) -> None:
    session.add(RolloutStep(rollout=rollout.id, at=now, who=who, what=what, why=why))
    audit.write(session, now, who, f"rollout.{what}", f"rollout:{rollout.id}", why=why, ring=rollout.ring)


def _template(session: Session, name: str, version: int) -> Template:
    row = session.get(Template, (name, version))
    if row is None:
        raise RegistryRefused("template_unknown", template=name, version=version)
    return row


def _said(reason: str) -> None:
    if not reason.strip():
        raise RegistryRefused("reason_missing")
    if len(reason) > MAX_REASON_CHARACTERS:
        raise RegistryRefused("reason_long", most=MAX_REASON_CHARACTERS)
