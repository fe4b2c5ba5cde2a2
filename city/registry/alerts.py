"""Alerts: something that a person must know. One of a kind and subject is open at a time."""

from __future__ import annotations

import json
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from city.registry.tables import Alert

Severity = Literal["info", "warning", "error"]


def raise_(session: Session, now: float, code: str, subject: str, severity: Severity, **args: object) -> Alert:
    """Open an alert with a code of ``words``, or bring the open one of this subject up to date."""
    row = session.scalars(
        select(Alert).where(Alert.code == code, Alert.subject == subject, Alert.closed_at.is_(None)).limit(1)
    ).first()
    if row is None:
        row = Alert(code=code, subject=subject, severity=severity, opened_at=now, grouping="", args="{}")
        session.add(row)
    row.args = json.dumps(args, ensure_ascii=False, sort_keys=True, default=str)
    session.flush()
    return row
