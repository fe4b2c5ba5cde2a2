"""Alerts: something that a person must know. One of a kind and subject is open at a time (a constraint)."""

from __future__ import annotations

import json
from typing import Any, Literal

from sqlalchemy import select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from city.registry import audit
from city.registry.refused import RegistryRefused
from city.registry.tables import Alert, Person, Site, Telling
from netconf import words
from netconf.finding import Finding

Severity = Literal["info", "warning", "error"]
RANK: dict[str, int] = {"info": 0, "warning": 1, "error": 2}
#: A list in an alert's facts names so many.
MOST_NAMED = 20


def raise_(session: Session, now: float, code: str, subject: str, severity: Severity, /, **args: object) -> Alert:
    """Open an alert with a code of ``words``, or bring the open one of this subject up to date."""
    made = (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert(Alert)
    made = made.values(
        code=code, subject=subject, severity=severity, opened_at=now, grouping="",
        args=json.dumps(args, ensure_ascii=False, sort_keys=True, default=str),
    )  # fmt: skip
    # The constraint decides and not a question asked before: two may find the same thing at once.
    made = made.on_conflict_do_update(
        index_elements=["code", "subject"], index_where=text("closed_at IS NULL"), set_={"args": made.excluded.args}
    )
    row: Alert = session.scalars(made.returning(Alert), execution_options={"populate_existing": True}).one()
    session.flush()
    return row


def close(session: Session, now: float, code: str, subject: str) -> bool:
    """End the open alert of a kind and subject; return whether there was one."""
    ended = session.scalar(
        update(Alert).where(Alert.code == code, Alert.subject == subject, Alert.closed_at.is_(None))
        .values(closed_at=now).returning(Alert.id).execution_options(synchronize_session="fetch")
    )  # fmt: skip
    return ended is not None


def opened(session: Session, code: str, subject: str) -> Alert | None:
    """Return the open alert of a kind and subject."""
    return session.scalars(
        select(Alert).where(Alert.code == code, Alert.subject == subject, Alert.closed_at.is_(None))
    ).first()


def get(session: Session, person: Person, number: int) -> Alert:
    """Return an alert that a person may see: of his sites, or, without a scope, any.

    Raises:
        RegistryRefused: ``alert_unknown``.
    """
    row = session.get(Alert, number)
    if row is not None and person.scope:
        kind, _, name = row.subject.partition(":")
        site = session.get(Site, name) if kind == "site" else None
        if site is None or not site.civil_code.startswith(person.scope):
            row = None
    if row is None:
        raise RegistryRefused("alert_unknown")
    return row


def acknowledge(session: Session, now: float, person: Person, number: int, reason: str) -> Alert:
    """Note that a person has seen an open alert and what he does about it; it stays open until its cause is gone.

    It is told to nobody any more: what waits in a hook's queue is taken out; its end is told where it was told.

    Raises:
        RegistryRefused: ``alert_unknown``: there is none, it is over, or not for him.
    """
    row = get(session, person, number)
    if row.closed_at is not None:
        raise RegistryRefused("alert_unknown")
    row.acknowledged_by, row.acknowledged_at, row.acknowledged_why = person.name, now, reason
    session.execute(
        update(Telling).where(Telling.alert == row.id, Telling.what == "open", Telling.done_at.is_(None))
        .values(done_at=now).execution_options(synchronize_session=False)
    )  # fmt: skip
    session.flush()
    audit.write(session, now, person.name, "alert.acknowledge", row.subject, code=row.code, reason=reason)
    return row


def keep(session: Session, now: float, code: str, severity: Severity, now_so: dict[str, dict[str, Any]]) -> None:
    """Let exactly these subjects (with their facts) have an open alert of a kind: open what is new, end what is over."""
    standing = {
        row.subject: row for row in session.scalars(select(Alert).where(Alert.code == code, Alert.closed_at.is_(None)))
    }
    for subject in sorted(standing.keys() - now_so.keys()):
        standing[subject].closed_at = now
    for subject, args in sorted(now_so.items()):
        said = json.dumps(args, ensure_ascii=False, sort_keys=True, default=str)
        if subject not in standing or standing[subject].args != said:
            raise_(session, now, code, subject, severity, **args)
    session.flush()


def sentence(row: Alert, language: words.Language = "en") -> str:
    """Return what an alert says, with what to do about it."""
    args = json.loads(row.args)
    facts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in args.items()}
    reasons = [Finding(code, args=tuple(sorted(of.items()))) for code, of in args.get("reasons", [])]
    if reasons:
        # A site's alert is for a person, who reads no codes.
        facts["why"] = " ".join(words.sentence(each, language).rstrip(".。") for each in reasons)
    found = Finding(row.code, args=tuple(sorted(facts.items())))
    return " ".join(part for part in (words.sentence(found, language), words.advice(found, language)) if part)
