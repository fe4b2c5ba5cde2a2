"""How far each site's layers have come and each concentrator's addresses, the highest epoch, who was revoked, in a file of the signing process alone.

A registry that was restored or taken over cannot have an older layer signed, nor a second one of the same number, nor
anything for a site that was revoked; of two registries the one with the lower epoch has nothing signed any more. All of
it only grows.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

_TABLES = (
    "CREATE TABLE IF NOT EXISTS mark (site TEXT PRIMARY KEY, epoch INTEGER NOT NULL, revision INTEGER NOT NULL) "
    "WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS revoked (site TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS address (concentrator TEXT PRIMARY KEY, highest INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS highest (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL)",
)


class MarksInUse(Exception):
    """Another signing process has the file open: two would each sign what the other has not seen."""


class Marks:
    """(epoch, revision) of the newest layer that was signed, by site; one process has it open.

    Raises:
        MarksInUse: another one has.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        path.chmod(0o600)
        try:
            for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
                self._database.execute(f"PRAGMA {pragma}")
            for table in _TABLES:
                self._database.execute(table)
            # Written at once, so that the lock is ours from now on and not from the first signature on.
            self._database.execute("INSERT OR IGNORE INTO highest VALUES (1, 0)")
        except sqlite3.OperationalError as wrong:
            self._database.close()
            if "locked" in str(wrong):
                raise MarksInUse(str(path)) from None
            raise

    def highest(self, site: str) -> tuple[int, int]:
        """Return the newest of a site; (0, 0) of none."""
        with self._lock:
            return self._highest(site)

    def rise(self, site: str, epoch: int, revision: int) -> bool:
        """Keep this mark durably if it is newer than all before; return whether it was."""
        with self._lock:
            if (epoch, revision) <= self._highest(site):
                return False
            self._database.execute("INSERT OR REPLACE INTO mark VALUES (?, ?, ?)", (site, epoch, revision))
            return True

    def epoch(self) -> int:
        """Return the highest epoch that anything was signed with; 0 when nothing was."""
        with self._lock:
            return int(self._database.execute("SELECT epoch FROM highest").fetchone()[0])

    def rise_epoch(self, epoch: int) -> None:
        """Keep an epoch durably if it is higher than all before."""
        with self._lock:
            self._database.execute("UPDATE highest SET epoch = ? WHERE epoch < ?", (epoch, epoch))

    def revoke(self, site: str, at: int) -> None:
        """Keep durably that a site was revoked; there is no way back."""
        with self._lock:
            self._database.execute("INSERT OR IGNORE INTO revoked VALUES (?, ?)", (site, at))

    def is_revoked(self, site: str) -> bool:
        """Whether a site was revoked."""
        with self._lock:
            return self._database.execute("SELECT 1 FROM revoked WHERE site = ?", (site,)).fetchone() is not None

    def revoked(self, after: str, most: int) -> list[str]:
        """Return up to ``most`` revoked sites that come after a number."""
        with self._lock:
            found = self._database.execute(
                "SELECT site FROM revoked WHERE site > ? ORDER BY site LIMIT ?", (after, most)
            )
            return [row[0] for row in found]

    def rise_address(self, concentrator: str, highest: int) -> None:
        """Keep durably how far a concentrator's addresses have come (as a number), if further than before."""
        with self._lock:
            row = self._database.execute(
                "SELECT highest FROM address WHERE concentrator = ?", (concentrator,)
            ).fetchone()
            if row is None or row[0] < highest:
                self._database.execute("INSERT OR REPLACE INTO address VALUES (?, ?)", (concentrator, highest))

    def addresses(self) -> dict[str, int]:
        """Return the highest address of each concentrator that any site's peer was signed with."""
        with self._lock:
            return dict(self._database.execute("SELECT concentrator, highest FROM address ORDER BY concentrator"))

    def close(self) -> None:
        self._database.close()

    def _highest(self, site: str) -> tuple[int, int]:
        row = self._database.execute("SELECT epoch, revision FROM mark WHERE site = ?", (site,)).fetchone()
        return (0, 0) if row is None else (row[0], row[1])
