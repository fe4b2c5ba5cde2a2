"""What a daemon says of itself, for ``snowgate status``: one small JSON file, replaced whole.

It lives on tmpfs and is rewritten at most once a second; it need not survive anything, so nothing is fsynced.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 20
MAX_STAT_BYTES = 1024
#: The ferry can rename nothing: it writes into its file, and who reads meanwhile reads again.
_TRIES, _AGAIN_SECONDS = 3, 0.01


def path(run: Path, name: str) -> Path:
    """Return where ``name`` says it."""
    return run / name / "status.json"


def read(run: Path, name: str) -> Any:
    """Return what ``name`` says of itself; None when that cannot be read, or whoever said it is dead: a killed program
    leaves its last word behind."""
    for _ in range(_TRIES):
        try:
            with path(run, name).open("rb") as file:
                said = json.loads(file.read(MAX_BYTES))
            return said if not isinstance(said, dict) or _lives(said.get("pid")) else None
        except OSError:
            return None
        except (ValueError, RecursionError):
            time.sleep(_AGAIN_SECONDS)
    return None


def _lives(pid: object) -> bool:
    if not isinstance(pid, int):
        return True
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return not file.read(MAX_STAT_BYTES).rpartition(b")")[2].startswith(b" Z")  # a corpse, not yet fetched
    except OSError:
        pass  # gone, or another user's, which some boxes hide
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


class StatusFile:
    """The file ``<run>/<name>/status.json``: each program writes in a folder of its own alone."""

    def __init__(self, run: Path, name: str) -> None:
        self._path = path(run, name)
        self._last = ""

    def write(self, facts: Mapping[str, Any]) -> None:
        """Replace the file if ``facts`` differ from what it says."""
        text = json.dumps({**facts, "pid": os.getpid()}, ensure_ascii=False, sort_keys=True)
        if text == self._last:
            return
        fresh = self._path.with_suffix(".new")
        fresh.write_text(text + "\n", encoding="utf-8")
        os.replace(fresh, self._path)
        self._last = text
