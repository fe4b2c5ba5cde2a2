"""How far the receipts have come, kept where the ferry cannot write: what it tells later may add to it, never go back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.control.wire import ReceiptHead
from netconf import durable

_MOST_BYTES = 1024


class Heads:
    """The last head that the ferry told, in a file of the keeper's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: ReceiptHead | None = None
        self._time = self._wrong = ""
        try:
            self._read()
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError):
            self._wrong = "head_unreadable"

    def _read(self) -> None:
        said = json.loads(durable.read(self._path, _MOST_BYTES))
        self._kept, self._time = ReceiptHead(int(said["sequence"]), str(said["head"])), str(said["time"])

    def take(self, told: ReceiptHead) -> str | None:
        """Keep a head durably; return the rule it breaks, if any: then the kept one stays."""
        kept = self._kept
        if kept is not None and (told.sequence < kept.sequence or (told.sequence == kept.sequence and told != kept)):
            self._wrong = "head_went_back"
            return self._wrong
        time = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            durable.write(
                self._path, json.dumps({"sequence": told.sequence, "head": told.head, "time": time}).encode("ascii")
            )
        except OSError:
            return "head_not_kept"
        self._kept, self._time = told, time
        return None

    def facts(self) -> dict[str, Any]:
        """Return the kept head, since when, and what was wrong with the file or with what was told."""
        kept = self._kept
        return {
            "sequence": kept.sequence if kept else 0,
            "hash": kept.head if kept else "",
            "time": self._time,
            "wrong": self._wrong,
        }
