"""Feeds: gap-free lists of changes, each for one reader that may be away for a month.

Whoever appends locks the feed's row until the transaction ends. So revisions are committed in the order in which they were
given, and one that was undone is given again: a reader that has seen N has seen everything up to N. A number from a
sequence promises neither; a reader of ``> N`` would then miss rows that came late.

A hint (PostgreSQL's NOTIFY) may wake a reader early. What it rests on is asking again: a hint that was lost costs seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from city.registry.store import Store
from city.registry.tables import Change, Feed

#: How many changes stay for a reader that comes late; one that has missed more takes the snapshot.
KEPT = 10_000
#: Old changes are taken away once in so many.
_TRIM_EVERY = 256
#: How often a waiting reader looks although nothing woke it.
POLL_SECONDS = {"sqlite": 0.25, "postgresql": 2.0}
_MAKE = text("INSERT INTO feed (name, revision) VALUES (:name, 0) ON CONFLICT DO NOTHING")


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: ``body`` is what the reader is told; ``at`` in seconds since 1970."""

    revision: int
    site: str
    at: float
    body: dict[str, Any]


def append(session: Session, feed: str, site: str, body: dict[str, Any], now: float) -> int:
    """Add a change to a feed and return its revision; other writers of the feed wait until this transaction ends.

    Take the feeds of one transaction in the order of their names, so that two writers never wait for each other.
    """
    moved = (
        update(Feed)
        .where(Feed.name == feed)
        .values(revision=Feed.revision + 1)
        .returning(Feed.revision)
        .execution_options(synchronize_session=False)
    )
    revision = session.scalar(moved)
    if revision is None:
        make(session, feed)
        revision = session.scalar(moved)
    assert revision is not None
    said = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    session.execute(insert(Change).values(feed=feed, revision=revision, site=site, at=now, body=said))
    if revision % _TRIM_EVERY == 0:
        trim(session, feed, revision - KEPT)
    if session.get_bind().dialect.name == "postgresql":
        # Told when this transaction is kept, and not at all when it is undone.
        session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": channel(feed)})
    return revision


def make(session: Session, feed: str) -> None:
    """Begin a feed that may have been begun."""
    session.execute(_MAKE, {"name": feed})


def head(session: Session, feed: str) -> int:
    """Return the revision of a feed's last change; 0 of one that has none."""
    return session.scalar(select(Feed.revision).where(Feed.name == feed)) or 0


def after(session: Session, feed: str, revision: int, most: int) -> tuple[Entry, ...] | None:
    """Return up to ``most`` changes that follow ``revision``, without a gap; None when some of them are gone."""
    # Asked first: what is committed between the two questions is then more than was promised, never less.
    promised = head(session, feed) > revision
    rows = session.scalars(
        select(Change).where(Change.feed == feed, Change.revision > revision).order_by(Change.revision).limit(most)
    )
    found = tuple(Entry(row.revision, row.site, row.at, json.loads(row.body)) for row in rows)
    if found and found[0].revision != revision + 1:
        return None
    return None if promised and not found else found


def trim(session: Session, feed: str, upto: int) -> None:
    """Forget the changes up to a revision, which a snapshot covers."""
    session.execute(delete(Change).where(Change.feed == feed, Change.revision <= upto))


def channel(feed: str) -> str:
    """Return the name under which PostgreSQL tells of a feed; its names have 63 octets at most."""
    return "feed_" + hashlib.sha256(feed.encode("utf-8")).hexdigest()[:32]


class Hints(Protocol):
    """What a reader waits with; made before it looks, so that nothing falls in between."""

    def wait(self, seconds: float) -> None:
        """Return when something may have come, after ``seconds`` at the latest, and sometimes for nothing."""


@contextlib.contextmanager
def hints(store: Store, feed: str) -> Iterator[Hints]:
    """Lend what wakes a reader of ``feed``; where the database tells nothing, it is a short pause."""
    if store.kind == "sqlite":
        yield _Pause(POLL_SECONDS["sqlite"])
        return
    try:
        # A connection of its own: in one that listens no query may run.
        connection = psycopg.connect(_address(store.engine.url), autocommit=True, connect_timeout=5)
    except psycopg.Error:
        yield _Pause(POLL_SECONDS["postgresql"])
        return
    with contextlib.closing(connection):
        try:
            connection.execute(f"LISTEN {channel(feed)}")
        except psycopg.Error:
            yield _Pause(POLL_SECONDS["postgresql"])
            return
        yield _Told(connection)


@dataclass(frozen=True, slots=True)
class _Pause:
    most: float

    def wait(self, seconds: float) -> None:
        time.sleep(max(0.0, min(seconds, self.most)))


@dataclass(frozen=True, slots=True)
class _Told:
    connection: psycopg.Connection[Any]

    def wait(self, seconds: float) -> None:
        until = min(seconds, POLL_SECONDS["postgresql"])
        try:
            for _ in self.connection.notifies(timeout=max(0.0, until), stop_after=1):
                return
        except psycopg.Error:
            time.sleep(max(0.0, min(until, 1.0)))


def _address(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
