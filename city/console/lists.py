"""What the pages list that no other room asks for: bounded, a page at a time, within a person's scope."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from city.registry import approvals
from city.registry.tables import (
    Alert,
    Approval,
    Audit,
    Certificate,
    Claim,
    Feed,
    Health,
    Layer,
    Peer,
    Person,
    Rollout,
    RolloutSite,
    Site,
    Telling,
)
from city.truth.verdict import RANK, Verdict

#: One page of a list.
PAGE = 50
WORST, MOST_MOMENTS, MOST_ALERTS = 12, 40, 8


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened to a site: ``what`` is a word of the pages, ``who`` and ``why`` may be empty."""

    at: float
    what: str
    who: str = ""
    why: str = ""
    of: Any = None


def waits(session: Session, person: Person, now: float) -> dict[str, int]:
    """Return how much waits for somebody: boxes and requests, and open alerts that nobody has acknowledged."""
    boxes = select(func.count()).select_from(Site).where(Site.state == "pending", _mine(person))
    found = session.scalar(boxes) or 0
    return {"pending": found + len(approvals.waiting(session, now)), "alerts": _open_alerts(session, person)}


def _open_alerts(session: Session, person: Person) -> int:
    wanted = select(func.count()).select_from(Alert).where(
        Alert.closed_at.is_(None), Alert.acknowledged_at.is_(None), Alert.grouping == ""
    )  # fmt: skip
    if person.scope:
        wanted = wanted.join(Site, "site:" + Site.id == Alert.subject).where(_mine(person))
    return session.scalar(wanted) or 0


def with_health(session: Session, sites: Sequence[Site]) -> list[tuple[Site, Health | None]]:
    """Return sites with what is known of each."""
    known = {row.site: row for row in session.scalars(select(Health).where(Health.site.in_([s.id for s in sites])))}
    return [(site, known.get(site.id)) for site in sites]


def worst(session: Session, person: Person, most: int = WORST) -> list[tuple[Site, Health]]:
    """Return the sites that are worst off, those first that have been so for longest."""
    found: list[tuple[Site, Health]] = []
    for verdict in sorted(Verdict, key=lambda each: -RANK[each]):
        if verdict is Verdict.GOOD or len(found) >= most:
            continue
        rows = session.execute(
            select(Site, Health).join(Health, Health.site == Site.id)
            .where(Health.verdict == verdict.value, Site.state == "active", _mine(person))
            .order_by(Health.since).limit(most - len(found))
        )  # fmt: skip
        found += [(site, health) for site, health in rows]
    return found


def moments(session: Session, site: Site) -> list[Moment]:
    """Return what happened to a site, the newest first."""
    found = [Moment(site.made_at, "made", site.made_by)]
    if site.approved_at is not None:
        found.append(Moment(site.approved_at, "approved", site.approved_by or ""))
    if site.revoked_at is not None:
        found.append(Moment(site.revoked_at, "revoked", site.revoked_by or ""))
    newest = select(Layer).where(Layer.site == site.id).order_by(Layer.epoch.desc(), Layer.revision.desc())
    for layer in session.scalars(newest.limit(MOST_MOMENTS)):
        found.append(Moment(layer.made_at, f"layer_{layer.state}", layer.made_by, layer.reason, layer))
    subject = f"site:{site.id}"
    for alert in session.scalars(
        select(Alert).where(Alert.subject == subject).order_by(Alert.id.desc()).limit(MOST_MOMENTS)
    ):
        found.append(Moment(alert.opened_at, "alert_opened", of=alert))
        if alert.acknowledged_at is not None:
            who, why = alert.acknowledged_by or "", alert.acknowledged_why or ""
            found.append(Moment(alert.acknowledged_at, "alert_acknowledged", who, why, alert))
        if alert.closed_at is not None:
            found.append(Moment(alert.closed_at, "alert_closed", of=alert))
    for claim in session.scalars(select(Claim).where(Claim.site == site.id).order_by(Claim.made_at.desc()).limit(5)):
        found.append(Moment(claim.made_at, "claim", why=claim.prefix))
    for row in session.scalars(
        select(Certificate).where(Certificate.subject == subject).order_by(Certificate.begins_at.desc()).limit(5)
    ):
        found.append(Moment(row.begins_at, "certificate", why=row.serial[:16]))
    return sorted(found, key=lambda each: -each.at)[:MOST_MOMENTS]


def certificates(
    session: Session, person: Person, *, text: str = "", after: tuple[float, str] = (0.0, ""), most: int = PAGE
) -> list[Certificate]:
    """Return the certificates in use, those that end first first: those after an end and a serial."""
    wanted = select(Certificate).where(
        Certificate.revoked_at.is_(None),
        (Certificate.ends_at > after[0]) | ((Certificate.ends_at == after[0]) & (Certificate.serial > after[1])),
    )
    if person.scope:
        wanted = wanted.join(Site, "site:" + Site.id == Certificate.subject).where(_mine(person))
    if text:
        wanted = wanted.where(Certificate.subject.contains(text, autoescape=True))
    return list(session.scalars(wanted.order_by(Certificate.ends_at, Certificate.serial).limit(most)))


def agreed(session: Session, now: float, most: int = PAGE) -> list[Approval]:
    """Return what two persons have agreed to and nobody has done yet."""
    wanted = select(Approval).where(Approval.state == "approved", Approval.judged_at >= now - approvals.USE_SECONDS)
    return list(session.scalars(wanted.order_by(Approval.id).limit(most)))


def open_alerts_of(session: Session, site: str, most: int = PAGE) -> list[Alert]:
    """Return the open alerts of one site."""
    wanted = select(Alert).where(Alert.subject == f"site:{site}", Alert.closed_at.is_(None))
    return list(session.scalars(wanted.order_by(Alert.id.desc()).limit(most)))


def feeds(session: Session, most: int = PAGE) -> list[Feed]:
    """Return how far the feeds have come."""
    return list(session.scalars(select(Feed).order_by(Feed.name).limit(most)))


def rotating(session: Session, person: Person, most: int = PAGE) -> list[tuple[Peer, Site]]:
    """Return the tunnels whose key is being exchanged."""
    wanted = select(Peer, Site).join(Site, Site.id == Peer.site).where(Peer.rotation != "", _mine(person))
    return [(peer, site) for peer, site in session.execute(wanted.order_by(Peer.site).limit(most))]


def audit_lines(
    session: Session, *, before: int = 0, who: str = "", what: str = "", subject: str = "", most: int = PAGE
) -> list[Audit]:
    """Return lines of the record, the newest first, below the number ``before``."""
    wanted = select(Audit).order_by(Audit.sequence.desc()).limit(most)
    if before:
        wanted = wanted.where(Audit.sequence < before)
    if who:
        wanted = wanted.where(Audit.who == who)
    if what:
        wanted = wanted.where(Audit.what.startswith(what, autoescape=True))
    if subject:
        wanted = wanted.where(Audit.subject.contains(subject, autoescape=True))
    return list(session.scalars(wanted))


def rollouts(session: Session, *, before: int = 0, most: int = PAGE) -> list[Rollout]:
    """Return rollouts, the newest first."""
    wanted = select(Rollout).order_by(Rollout.id.desc()).limit(most)
    return list(session.scalars(wanted.where(Rollout.id < before) if before else wanted))


def rings(session: Session, person: Person, rollout: int) -> list[dict[str, Any]]:
    """Return a rollout's rings: how many sites of a person's scope are how far."""
    counted = (
        select(RolloutSite.ring, RolloutSite.state, func.count()).join(Site, Site.id == RolloutSite.site)
        .where(RolloutSite.rollout == rollout, _mine(person)).group_by(RolloutSite.ring, RolloutSite.state)
    )  # fmt: skip
    found: dict[int, dict[str, int]] = {}
    for ring, state, number in session.execute(counted):
        found.setdefault(ring, {})[state] = number
    return [{"ring": ring, "states": states, "sites": sum(states.values())} for ring, states in sorted(found.items())]


def rollout_sites(
    session: Session, person: Person, rollout: int, after: str = "", most: int = PAGE
) -> list[tuple[RolloutSite, Site, Health | None]]:
    """Return a rollout's sites: those that were offered something first of all, by ring and id."""
    wanted = (
        select(RolloutSite, Site, Health).join(Site, Site.id == RolloutSite.site)
        .outerjoin(Health, Health.site == Site.id)
        .where(RolloutSite.rollout == rollout, RolloutSite.site > after, _mine(person))
        .order_by(RolloutSite.site).limit(most)
    )  # fmt: skip
    return [(row, site, health) for row, site, health in session.execute(wanted)]


def queue(session: Session) -> tuple[int, int]:
    """Return how many tellings wait for a hook, and how many of them were tried before."""
    waiting = select(func.count()).select_from(Telling).where(Telling.done_at.is_(None))
    return session.scalar(waiting) or 0, session.scalar(waiting.where(Telling.tries > 0)) or 0


def said_by(health: Health | None) -> dict[str, Any]:
    """Return a box's newest report; {} when there is none."""
    told = json.loads(health.report) if health is not None else {}
    return told if isinstance(told, dict) else {}


def _mine(person: Person) -> Any:
    return Site.civil_code.startswith(person.scope)
