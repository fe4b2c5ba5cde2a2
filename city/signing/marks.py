"""How far each site's layers have come, in a file of the signing process alone: a registry that was restored or taken over
cannot have an older layer signed, nor a second one of the same number."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

_TABLE = (
    "CREATE TABLE IF NOT EXISTS mark (site TEXT PRIMARY KEY, epoch INTEGER NOT NULL, revision INTEGER NOT NULL) "
    "WITHOUT ROWID"
)


class Marks:
    """(epoch, revision) of the newest layer that was signed, by site; one process has it open."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        path.chmod(0o600)
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(_TABLE)

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

    def close(self) -> None:
        self._database.close()

    def _highest(self, site: str) -> tuple[int, int]:
        row = self._database.execute("SELECT epoch, revision FROM mark WHERE site = ?", (site,)).fetchone()
        return (0, 0) if row is None else (row[0], row[1])
