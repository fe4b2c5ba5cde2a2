"""Many sites that fall at once have one cause: one alert tells of it, and theirs are told only inside it.

Whoever is called at night by three hundred sites of one carrier reads none of the three hundred lines.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from city.registry import alerts
from city.registry.tables import Alert, Peer, Site

#: Alerts of one site, which may be one of many.
SINGLE = ("site_dark", "site_degraded")
#: So many that fell within the window, and so great a part of all, are an outage. Fewer, and two boxes in one cellar are;
#: more, and half a district's outage is told house by house.
LEAST, PART = 5, 0.3
#: Boxes are found silent over a minute, and verdicts stand over another; this holds both twice.
WINDOW_SECONDS = 300.0
#: Below this part of what makes an outage it is over: one that hangs at the edge is not told again and again.
OVER_PART = 0.5


@dataclass(frozen=True, slots=True)
class _Single:
    row: Alert
    site: str
    causes: tuple[str, ...]


def gather(session: Session, now: float) -> None:
    """Open, fill and end the alerts of outages."""
    free = [
        _single(row)
        for row in session.scalars(
            select(Alert).where(
                Alert.closed_at.is_(None), Alert.code.in_(SINGLE), Alert.grouping == "",
                Alert.opened_at > now - WINDOW_SECONDS,
            )
        )
    ]  # fmt: skip
    standing = {
        row.subject: row
        for row in session.scalars(
            select(Alert).where(Alert.closed_at.is_(None), Alert.code.in_(("carrier_outage", "concentrator_outage")))
        )
    }
    if not free and not standing:
        return
    by_cause: dict[str, list[_Single]] = defaultdict(list)
    for single in free:
        for cause in single.causes:
            by_cause[cause].append(single)
    many = {cause for cause, those in by_cause.items() if len(those) >= LEAST}
    totals = _totals(session, many | standing.keys()) if many or standing else {}
    made = _join(by_cause, standing, totals)
    session.flush()
    for cause in sorted(standing.keys() | made):
        _keep(session, now, cause, totals[cause])


def _join(by_cause: Mapping[str, list[_Single]], standing: Mapping[str, Alert], totals: Mapping[str, int]) -> set[str]:
    """Give each alert to the cause that explains most: those of outages that stand first, then the greatest part."""

    def weight(cause: str) -> tuple[bool, float, str]:
        return (cause not in standing, -len(by_cause[cause]) / max(1, totals.get(cause, 0)), cause)

    taken: set[int] = set()
    made: set[str] = set()
    for cause in sorted((cause for cause in by_cause if cause in totals), key=weight):
        those = [single for single in by_cause[cause] if single.row.id not in taken]
        if cause in standing or len(those) >= max(LEAST, PART * totals[cause]):
            taken.update(single.row.id for single in those)
            made.add(cause)
            for single in those:
                single.row.grouping = cause
    return made


def _keep(session: Session, now: float, cause: str, total: int) -> None:
    """Bring an outage's alert up to date, or end it; what is left of it is then told by itself."""
    kind, _, name = cause.partition(":")
    inside = (Alert.grouping == cause, Alert.closed_at.is_(None))
    number = session.scalar(select(func.count()).where(*inside)) or 0
    if number < OVER_PART * max(LEAST, PART * total):
        alerts.close(session, now, f"{kind}_outage", cause)
        session.execute(update(Alert).where(*inside).values(grouping=""))
        session.expire_all()
        return
    first = session.scalars(select(Alert.subject).where(*inside).order_by(Alert.subject).limit(alerts.MOST_NAMED))
    sites = [subject.removeprefix("site:") for subject in first]
    alerts.raise_(
        session, now, f"{kind}_outage", cause, "error", name=name, count=number, of=total, sites=", ".join(sites)
    )


def _single(row: Alert) -> _Single:
    args: dict[str, Any] = json.loads(row.args)
    causes = [f"concentrator:{name}" for name in args.get("concentrators", [])]
    if args.get("carrier") and row.code == "site_dark":
        causes.append(f"carrier:{args['carrier']}")
    return _Single(row, str(args.get("site", "")), tuple(causes))


def _totals(session: Session, causes: set[str]) -> dict[str, int]:
    """Return how many sites each cause could take down."""
    carriers = select(Site.carrier, func.count()).where(Site.state == "active").group_by(Site.carrier)
    hubs = select(Peer.concentrator, func.count()).where(Peer.state == "on").group_by(Peer.concentrator)
    found: dict[str, int] = {}
    if any(cause.startswith("carrier:") for cause in causes):
        found |= {f"carrier:{name}": number for name, number in session.execute(carriers)}
    if any(cause.startswith("concentrator:") for cause in causes):
        found |= {f"concentrator:{name}": number for name, number in session.execute(hubs)}
    return {cause: found.get(cause, 0) for cause in causes}
