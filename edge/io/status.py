"""What a daemon says of itself, for ``snowgate status``: one small JSON file, replaced whole.

It lives on tmpfs and is rewritten at most once a second; it need not survive anything, so nothing is fsynced.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class StatusFile:
    """The file ``<run>/<name>.status.json``."""

    def __init__(self, run: Path, name: str) -> None:
        self._path = run / f"{name}.status.json"
        self._last = ""

    def write(self, facts: Mapping[str, Any]) -> None:
        """Replace the file if ``facts`` differ from what it says."""
        text = json.dumps(facts, ensure_ascii=False, sort_keys=True)
        if text == self._last:
            return
        fresh = self._path.with_suffix(".new")
        fresh.write_text(text + "\n", encoding="utf-8")
        os.replace(fresh, self._path)
        self._last = text
