"""What a daemon leaves on tmpfs for the process that comes after it: one small JSON file, replaced whole.

It need not survive the power: after that no call lives. It must never be half of something: it is renamed into place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 22


class Outlives:
    """The file ``<run>/<name>/kept.json``."""

    def __init__(self, run: Path, name: str) -> None:
        self._path = run / name / "kept.json"
        self._last: Mapping[str, Any] | None = None

    def read(self) -> dict[str, Any] | None:
        """Return what the process before us left, or None."""
        try:
            with self._path.open("rb") as file:
                found = json.loads(file.read(MAX_BYTES))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, facts: Mapping[str, Any]) -> None:
        """Replace the file if ``facts``, which are the file's from now on, differ from what it says."""
        if facts == self._last:
            return
        text = json.dumps(facts, ensure_ascii=False)
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(fresh, self._path)
        self._last = facts
