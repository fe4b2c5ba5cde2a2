"""Health of many sites, kept together: a few statements a second instead of one a report.

A thread of its own beside the ones that answer. What has come and is not yet kept when the process dies is lost, and told
again within a minute. When the database is away reports are answered as long as they can be, and the newest of each site
waits; no more than ``MOST`` sites do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from city.registry import health, reports
from city.registry.reports import Told
from city.registry.store import Store

#: A second late is nothing against a minute; more often, and a small database has no time for anything else.
EVERY_SECONDS = 1.0
MOST = 200_000
#: How often the server says that it listens: a silence is a site's own only while it does (``city.truth``).
AWAKE_SECONDS = 10.0


class Says(Protocol):
    """Where it is told that the database is away."""

    def __call__(self, code: str, /) -> None: ...


class Heartbeats:
    """What has come and is not kept yet."""

    def __init__(self, store: Store, say: Says, clock: Callable[[], float]) -> None:
        self._store, self._say, self._clock = store, say, clock
        self._waiting: dict[str, tuple[Told, float]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._said_at = -AWAKE_SECONDS
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Keep what comes, until ``close``. In a server of several processes: after the fork."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Keep what is there, and end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(10)
        self.flush()

    def put(self, told: Told) -> None:
        """Keep this report soon."""
        with self._lock:
            if told.site in self._waiting or len(self._waiting) < MOST:
                self._waiting[told.site] = told, self._clock()

    def flush(self) -> int:
        """Keep now what has come; return how many."""
        with self._lock:
            taken, self._waiting = self._waiting, {}
        if not taken:
            return 0
        try:
            with self._store.begin() as session:
                reports.keep(session, taken.values())
        except SQLAlchemyError:
            with self._lock:
                self._waiting = taken | self._waiting
            self._say("database_away")
            return 0
        return len(taken)

    def awake(self) -> None:
        """Say that this server listens, every ten seconds."""
        now = self._clock()
        if 0 <= now - self._said_at < AWAKE_SECONDS:
            return
        try:
            with self._store.begin() as session:
                health.awake(session, now)
        except SQLAlchemyError:
            self._say("database_away")
            return
        self._said_at = now

    def _run(self) -> None:
        self.awake()
        while not self._ended.wait(EVERY_SECONDS):
            self.flush()
            self.awake()
