"""The one place that writes what must survive a power cut.

Temporary file, fsync, rename, fsync of the folder; only when ``write`` has returned may anybody be told that it is so.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class TooLong(ValueError):
    """A file holds more than its reader allows."""


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace ``path`` by ``data``: after a power cut it is the old or the new, never torn.

    Raises:
        OSError: nothing was changed.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            _give(file.fileno(), path.parent)
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make durable what was renamed in a folder.

    Raises:
        OSError: it may or may not be.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give(descriptor: int, folder: Path) -> None:
    """What root writes into a program's folder is that program's."""
    if os.geteuid() == 0 and (owner := os.stat(folder).st_uid) != 0:
        os.fchown(descriptor, owner, -1)


def read(path: Path, most_bytes: int) -> bytes:
    """Return what ``path`` holds.

    Raises:
        TooLong: it holds more than ``most_bytes``.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise TooLong(str(path))
    return data
