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
_PLACES = {"run": "/run/snowgate", "state": "/var/lib/snowgate", "secrets": "/etc/snowgate/secrets"}


@dataclass(frozen=True, slots=True)
class Places:
    """The three folders of the box: ``run`` on tmpfs, ``state`` that survives, ``secrets``.

    In each a program has a folder of its own, named after it, that no other program can write.
    """

    run: Path
    state: Path
    secrets: Path


def places(program: str) -> Places:
    """Read the folders from the command line of ``program``."""
    parser = argparse.ArgumentParser(prog=program)
    add_places(parser, "run", "state", "secrets")
    given = parser.parse_args()
    return Places(given.run, given.state, given.secrets)


def add_places(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the options of these folders; where they are told nothing, the environment rules (SNOWGATE_RUN, ...)."""
    for name in names:
        default = os.environ.get(f"SNOWGATE_{name.upper()}", _PLACES[name])
        parser.add_argument(f"--{name}", type=Path, default=Path(default), help=argparse.SUPPRESS)


class Confirmed:
    """The file ``<run>/keeper/site.json``: what it says, and whether it is still the one that was read.

    With ``name`` another of the keeper's files: the ferry's has what concerns the ferry alone, and changes only with that.
    """

    def __init__(self, run: Path, name: str = "site.json") -> None:
        self._path = run / "keeper" / name
        self._mark: tuple[int, int] | None = None
        self._bare = False

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

    def read_enrolled(self) -> Site | None:
        """Return the configuration, or None while it has no city's part: the sides and the ferry have nothing to do then."""
        if self._bare and not self.changed():
            return None
        found = self.read()
        self._bare = found is not None and not found.enrolled
        return None if self._bare else found

    def changed(self) -> bool:
        """Return whether the file is another one than the one that was read."""
        try:
            told = os.stat(self._path)
        except FileNotFoundError:
            return self._mark is not None
        return (told.st_ino, told.st_mtime_ns) != self._mark
