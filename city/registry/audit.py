"""Who did what: a chain in which each line's hash is over the one before it and its own words. Nobody can change one quietly.

Whoever appends locks the chain's row among the feeds, so that lines stand in the order in which they were kept; write the
line last in a transaction, for the others wait for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from city.registry.refused import RegistryRefused
from city.registry.tables import Audit, Feed

FEED = "audit"
MAX_REASON_CHARACTERS = 200
_MARK = b"snowgate city audit 1\n"
_FIRST = "0" * 64
#: Where a session carries the reason of its transaction.
_REASON = "reason"


def because(session: Session, reason: str) -> None:
    """Say why a person does what this transaction does: every line that it writes holds that, unless it has its own.

    Raises:
        RegistryRefused: ``reason_missing`` or ``reason_long``.
    """
    if not reason.strip():
        raise RegistryRefused("reason_missing")
    if len(reason) > MAX_REASON_CHARACTERS:
        raise RegistryRefused("reason_long", most=MAX_REASON_CHARACTERS)
    session.info[_REASON] = reason.strip()


def write(session: Session, now: float, who: str, what: str, subject: str, /, **detail: object) -> None:
    """Add a line: ``who`` (a person, or the program that did it) did ``what`` to ``subject``."""
    sequence = _next(session)
    before = session.scalar(select(Audit.hash).where(Audit.sequence == sequence - 1)) or _FIRST
    if _REASON in session.info and not {"reason", "why"} & detail.keys():
        detail["reason"] = session.info[_REASON]
    words = json.dumps(detail, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    line = Audit(sequence=sequence, at=now, who=who, what=what, subject=subject, detail=words, before=before)
    line.hash = _hash(line)
    session.add(line)
    session.flush()


def verify(session: Session, *, most: int = 1 << 30) -> tuple[int, int | None]:
    """Return how many lines hold from the first on, and the number of the first that does not; None when all do.

    A line that was taken out, also the last one of all, is one that does not hold.
    """
    last = session.scalar(select(Feed.revision).where(Feed.name == FEED)) or 0
    good, before = 0, _FIRST
    for line in _lines(session, most):
        if line.sequence != good + 1 or line.before != before or line.hash != _hash(line):
            return good, good + 1
        good, before = line.sequence, line.hash
    return good, good + 1 if good < min(last, most) else None


def _next(session: Session) -> int:
    """Return the number of the next line; its transaction holds the chain until it ends."""
    moved = update(Feed).where(Feed.name == FEED).values(revision=Feed.revision + 1).returning(Feed.revision)
    session.execute(text("INSERT INTO feed (name, revision) VALUES (:name, 0) ON CONFLICT DO NOTHING"), {"name": FEED})
    return session.scalars(moved).one()


def _lines(session: Session, most: int) -> Iterator[Audit]:
    yield from session.scalars(select(Audit).order_by(Audit.sequence).limit(most)).yield_per(1000)


def _hash(line: Audit) -> str:
    words = [line.before, line.sequence, repr(float(line.at)), line.who, line.what, line.subject, line.detail]
    octets = json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return hashlib.sha256(_MARK + octets).hexdigest()
