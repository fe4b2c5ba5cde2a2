"""Numbers of the whole city: for the console's first page, and for a program that collects them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from city.registry import audit, concentrators, health
from city.registry.tables import Alert, Health, Meta, Rollout, Site
from city.truth.verdict import DEAF_SECONDS, Verdict

#: Areas that have a line of their own; all beyond them are "other".
MOST_AREAS, MOST_CODES, MOST_CONCENTRATORS = 500, 128, 256
#: Names the fact (``Meta``) that holds the hash of the token for ``/metrics``.
TOKEN = "metrics-token"


def overview(session: Session, now: float, scope: str = "") -> dict[str, Any]:
    """Return the numbers of the first page, of the sites within a scope."""
    by_area = health.counts(session, scope)
    verdicts = Counter({verdict.value: 0 for verdict in Verdict})
    for (_, verdict), number in by_area.items():
        verdicts[verdict] += number
    heard = health.listening(session)
    states = dict(
        _counted(session, select(Site.state, func.count()).where(Site.civil_code.startswith(scope)), Site.state)
    )
    found: dict[str, Any] = {
        "at": now, "sites": sum(verdicts.values()), "verdicts": dict(verdicts), "states": states,
        "areas": [{"area": area, "verdict": verdict, "sites": number} for (area, verdict), number in sorted(by_area.items())][:2000],
        "deaf_since": heard.until if now - heard.until > DEAF_SECONDS else None,
    }  # fmt: skip
    if not scope:
        found["alerts"] = dict(_open(session))
        found["rollouts"] = dict(_counted(session, select(Rollout.state, func.count()), Rollout.state))
        found["concentrators"] = concentrators.listed(session)
    return found


def set_token(session: Session, now: float, who: str, token: str) -> None:
    """Let who has ``token`` read ``/metrics`` from elsewhere; the one before is void."""
    session.merge(Meta(name=TOKEN, value=hashed(token)))
    audit.write(session, now, who, "metrics.token", "registry")


def may_read(session: Session, token: str) -> bool:
    """Say whether this is the token."""
    row = session.get(Meta, TOKEN)
    return row is not None and bool(token) and row.value == hashed(token)


def hashed(token: str) -> str:
    """Return what is kept of the token."""
    return hashlib.sha256(b"snowgate metrics 1\n" + token.encode("utf-8", "replace")).hexdigest()


def metrics(session: Session, now: float) -> str:
    """Return the numbers as Prometheus reads them (text format 0.0.4); every label has few values, whatever comes."""
    heard = health.listening(session)
    told = list(_sites(session))
    told += [("snowgate_alerts_open", {"code": code}, number) for code, number in list(_open(session))[:MOST_CODES]]
    states = _counted(session, select(Rollout.state, func.count()), Rollout.state)
    told += [("snowgate_rollouts", {"state": state}, number) for state, number in states]
    reports = session.scalar(select(func.count()).select_from(Health).where(Health.seen_at > now - 60.0)) or 0
    told += [
        ("snowgate_reports_last_minute", {}, reports),
        ("snowgate_listening_age_seconds", {}, max(0.0, now - heard.until)),
    ]
    for hub in concentrators.listed(session)[:MOST_CONCENTRATORS]:
        label = {"concentrator": hub["id"]}
        told.append(("snowgate_concentrator_sites", label, hub["sites"]))
        told.append(("snowgate_concentrator_behind", label, max(0, hub["revision"] - hub["has_revision"])))
        if hub["seen_at"] is not None:
            told.append(("snowgate_concentrator_report_age_seconds", label, max(0.0, now - hub["seen_at"])))
    return _text(told)


def _sites(session: Session) -> Iterable[tuple[str, dict[str, str], float]]:
    counts = health.counts(session)
    sizes: Counter[str] = Counter()
    for (area, _), number in counts.items():
        sizes[area] += number
    # By name among equals: a label that comes and goes with the order of rows is two series.
    named = set(sorted(sizes, key=lambda area: (-sizes[area], area))[:MOST_AREAS])
    summed: Counter[tuple[str, str]] = Counter()
    for (area, verdict), number in counts.items():
        summed[area if area in named else "other", verdict] += number
    for (area, verdict), number in sorted(summed.items()):
        yield "snowgate_sites", {"area": area, "verdict": verdict}, number


def _open(session: Session) -> Iterable[tuple[str, int]]:
    return _counted(session, select(Alert.code, func.count()).where(Alert.closed_at.is_(None)), Alert.code)


def _counted(session: Session, wanted: Any, by: Any) -> list[tuple[str, int]]:
    return [(str(name), number) for name, number in session.execute(wanted.group_by(by).order_by(by))]


def _text(told: Iterable[tuple[str, dict[str, str], float]]) -> str:
    lines, last = [], ""
    for name, labels, value in sorted(told, key=lambda each: each[0]):
        if name != last:
            lines.append(f"# TYPE {name} gauge")
            last = name
        said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{said}}} {value:g}" if said else f"{name} {value:g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
