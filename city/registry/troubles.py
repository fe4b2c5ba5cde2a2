"""What is wrong with the city's own side and with what it holds, found by looking: each a kind of alert, kept true.

Each function may run at any moment and as often as one likes: it opens what is new and ends what is over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from city.registry import alerts, audit, feeds, peers
from city.registry.refused import RegistryRefused
from city.registry.tables import Certificate, Concentrator, Peer, Rollout, Site
from city.truth.verdict import INTERVAL_SECONDS, SILENT_INTERVALS

#: Devices renew theirs at 30 days before the end; at this they have missed it for two weeks.
ENDS_SECONDS = 14 * 86_400.0
MOST_ENDING = 500
#: So many changes of a peer's endpoint within a minute are no move (the concentrators count them).
FLIPS = 3


def concentrators(session: Session, now: float) -> None:
    """Alerts of concentrators: silent, behind, refusing, or without the key that boxes are told."""
    silent: dict[str, dict[str, Any]] = {}
    behind: dict[str, dict[str, Any]] = {}
    refusing: dict[str, dict[str, Any]] = {}
    keyless: dict[str, dict[str, Any]] = {}
    for hub in session.scalars(select(Concentrator)):
        subject = f"concentrator:{hub.id}"
        if hub.seen_at is None:
            continue
        if now - hub.seen_at > SILENT_INTERVALS * INTERVAL_SECONDS:
            silent[subject] = {"concentrator": hub.id}
            continue
        report: Mapping[str, Any] = json.loads(hub.report)
        head = feeds.head(session, peers.feed(hub.id))
        rule = report.get("rule")
        if (
            hub.revision < head
            and now - _changed_at(session, hub.id, hub.revision) > SILENT_INTERVALS * INTERVAL_SECONDS
        ):
            behind[subject] = {"concentrator": hub.id, "behind": head - hub.revision}
        slots = report.get("slots")
        if isinstance(slots, list) and hub.public_key not in {slot[0] for slot in slots}:
            # Its host was made anew, or its keys were lost: no site's handshake is answered there.
            keyless[subject] = {"concentrator": hub.id, "key": hub.public_key[:8]}
        count = report.get("refused_count")
        if rule or (type(count) is int and count > 0):
            refusing[subject] = {"concentrator": hub.id, "rule": str(rule or "-")[:64], "count": count or 0}
    alerts.keep(session, now, "concentrator_silent", "error", silent)
    alerts.keep(session, now, "concentrator_behind", "warning", behind)
    alerts.keep(session, now, "concentrator_refuses", "error", refusing)
    alerts.keep(session, now, "concentrator_keyless", "error", keyless)


def healed(session: Session, now: float, concentrator: str, before: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """Compare two reports of a concentrator: somebody else's hand was at its device if more had to be put right; and what
    its device did not take since the last one is what some site has not."""
    subject = f"concentrator:{concentrator}"
    if steps := _grown(before.get("healed"), told.get("healed")):
        alerts.raise_(session, now, "concentrator_drifts", subject, "warning", concentrator=concentrator, steps=steps)
    else:
        alerts.close(session, now, "concentrator_drifts", subject)
    if steps := _grown(before.get("device_refused"), told.get("device_refused")):
        alerts.raise_(session, now, "concentrator_device", subject, "warning", concentrator=concentrator, steps=steps)
    else:
        alerts.close(session, now, "concentrator_device", subject)


def _grown(was: object, now_is: object) -> int:
    """By how much a counter has grown; one that began anew with its program has not."""
    return max(0, now_is - was) if type(was) is int and type(now_is) is int else 0


def clones(session: Session, now: float, concentrator: str, told: Mapping[str, Any]) -> None:
    """Open an alert for each site that a concentrator hears at two places at once; hold the newer certificate (W03).

    Two boxes with one disk share their keys. If one of them had a certificate made since, the other one's is older: the
    newer is refused until a person has looked. It is not lifted by itself: silence of the clone proves nothing.
    """
    flips = told.get("endpoint_flips")
    for entry in flips[:64] if isinstance(flips, list) else []:
        if not isinstance(entry, dict) or type(entry.get("flips")) is not int or entry["flips"] < FLIPS:
            continue
        site = session.get(Site, str(entry.get("site"))[:20])
        if site is None or site.state != "active" or not _its_own(session, site.id, concentrator):
            continue
        if alerts.opened(session, "cloned_box", f"site:{site.id}") is not None:
            continue
        places = [str(place)[:64] for place in entry.get("endpoints", [])[:2]]
        held = _hold(session, now, site.id)
        alerts.raise_(
            session, now, "cloned_box", f"site:{site.id}", "error",
            site=site.id, name=site.name, places=", ".join(places), held=held or "-",
        )  # fmt: skip
        audit.write(session, now, "registry", "site.cloned", f"site:{site.id}", places=places, held=held or "")


def cleared(session: Session, now: float, who: str, site: Site, reason: str) -> None:
    """End a site's alert of a clone by a person's word, and give its certificates free.

    Raises:
        RegistryRefused: ``alert_unknown``, ``reason_missing``.
    """
    if not reason.strip():
        raise RegistryRefused("reason_missing")
    if not alerts.close(session, now, "cloned_box", f"site:{site.id}"):
        raise RegistryRefused("alert_unknown")
    session.execute(update(Certificate).where(Certificate.subject == f"site:{site.id}").values(held_at=None))
    session.expire_all()
    audit.write(session, now, who, "site.not_cloned", f"site:{site.id}", reason=reason)


def certificates(session: Session, now: float) -> None:
    """Alerts of certificates in use that end soon: the newest of each subject."""
    newest = (
        select(Certificate.subject, func.max(Certificate.ends_at).label("ends_at"))
        .where(Certificate.revoked_at.is_(None)).group_by(Certificate.subject)
        .having(func.max(Certificate.ends_at) < now + ENDS_SECONDS).order_by(func.max(Certificate.ends_at))
        .limit(MOST_ENDING)
    )  # fmt: skip
    soon = {subject: {"subject": subject, "days": max(0, int((ends - now) // 86_400))}
            for subject, ends in session.execute(newest)}  # fmt: skip
    alerts.keep(session, now, "certificate_ends", "warning", soon)


def rollouts(session: Session, now: float) -> None:
    """Alerts of rollouts that have halted."""
    halted = {
        f"rollout:{row.id}": {
            "rollout": row.id,
            "template": row.template,
            "version": row.version,
            "why": row.why_halted,
        }
        for row in session.scalars(select(Rollout).where(Rollout.state == "halted"))
    }
    alerts.keep(session, now, "rollout_halted", "error", halted)


def _its_own(session: Session, site: str, concentrator: str) -> bool:
    """A concentrator speaks of its own sites; of others it can have nothing seen."""
    its = select(Peer.site).where(Peer.site == site, Peer.concentrator == concentrator, Peer.state == "on")
    return session.scalar(its.limit(1)) is not None


def _changed_at(session: Session, concentrator: str, revision: int) -> float:
    """When the first change was made that it has not taken; long ago if that is known no more."""
    entry = feeds.after(session, peers.feed(concentrator), revision, 1)
    return entry[0].at if entry else 0.0


def _hold(session: Session, now: float, site: str) -> str | None:
    rows = session.scalars(
        select(Certificate)
        .where(Certificate.subject == f"site:{site}", Certificate.revoked_at.is_(None), Certificate.ends_at > now)
        .order_by(Certificate.begins_at.desc(), Certificate.serial)
    ).all()
    if len(rows) < 2:
        return None
    rows[0].held_at = now
    return rows[0].serial
