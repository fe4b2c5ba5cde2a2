"""The confirmed configuration as the keeper publishes it, and how a daemon learns that it changed.

A daemon reads it once, works with it, and ends with status 0 when it changes: its supervisor starts it again. So no
daemon ever works with half of an old and half of a new configuration.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from netconf.model import Site

MAX_SITE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Places:
    """The three folders of a daemon: ``run`` on tmpfs, ``state`` that survives, ``secrets`` (0700)."""

    run: Path
    state: Path
    secrets: Path


def places(program: str) -> Places:
    """Read the folders from the command line of ``program``."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--run", type=Path, default=Path("/run/snowgate"))
    parser.add_argument("--state", type=Path, default=Path("/var/lib/snowgate"))
    parser.add_argument("--secrets", type=Path, default=Path("/etc/snowgate/secrets"))
    given = parser.parse_args()
    return Places(given.run, given.state, given.secrets)


class Confirmed:
    """The file ``<run>/site.json``: what it says, and whether it is still the one that was read."""

    def __init__(self, run: Path) -> None:
        self._path = run / "site.json"
        self._mark: tuple[int, int] | None = None

    def read(self) -> Site | None:
        """Return the configuration, or None when none is confirmed yet."""
        try:
            with self._path.open("rb") as file:
                told = os.fstat(file.fileno())
                text = file.read(MAX_SITE_BYTES)
        except FileNotFoundError:
            return None
        self._mark = (told.st_ino, told.st_mtime_ns)
        return Site.model_validate_json(text)

    def changed(self) -> bool:
        """Return whether the file is another one than the one that was read."""
        try:
            told = os.stat(self._path)
        except FileNotFoundError:
            return self._mark is not None
        return (told.st_ino, told.st_mtime_ns) != self._mark
