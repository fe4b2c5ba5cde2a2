"""A disk that forgets at a power cut what was not synced, below the product's own ``netconf.durable``.

Files lie in a folder of this machine's memory; what the product asks of the operating system goes through ``Hand``, which
counts the steps, knows what was synced, and lets the power go in the middle.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netconf import durable, rotation

Image = dict[str, bytes]


class Ended(Exception):
    """The process was ended in the middle; ``power``: with its machine."""

    def __init__(self, power: bool) -> None:
        super().__init__("power" if power else "kill")
        self.power = power


class Disk:
    """One machine's files below ``root``."""

    def __init__(self, root: Path, chance: random.Random, image: Image) -> None:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        self.root, self._chance = root, chance
        self._durable: Image = dict(image)
        self._synced: dict[int, bytes] = {}
        self._fuse: int | None = None
        self._power = False
        self.steps = 0
        self._lay(image)

    def burn(self, steps: int, *, power: bool) -> None:
        """End the process after so many steps from now."""
        self._fuse, self._power = steps, power

    def whole(self) -> None:
        """Let the next steps be."""
        self._fuse = None

    def step(self) -> None:
        """Something is about to be done.

        Raises:
            Ended: it is not.
        """
        self.steps += 1
        if self._fuse is not None:
            self._fuse -= 1
            if self._fuse < 0:
                self._fuse = None
                raise Ended(self._power)

    def image(self) -> Image:
        """Return all files as they are."""
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def created(self, path: str) -> None:
        """A file is empty from now on, whatever the number of its node was before."""
        self._synced.pop(os.stat(path).st_ino, None)

    def sync(self, path: str) -> None:
        """Make a file's octets durable, or a folder's names."""
        if not os.path.isdir(path):
            self._synced[os.stat(path).st_ino] = Path(path).read_bytes()
            return
        folder = Path(path)
        there = {str(file.relative_to(self.root)): self._octets(file) for file in folder.iterdir() if file.is_file()}
        for name in [name for name in self._durable if (self.root / name).parent == folder]:
            del self._durable[name]
        self._durable |= there

    def cut(self) -> None:
        """The power was away: of each name stands what was durable, or what was on its way there."""
        live = {str(path.relative_to(self.root)): self._octets(path) for path in self.root.rglob("*") if path.is_file()}
        left: Image = {}
        for name in sorted({*live, *self._durable}):
            chosen = self._chance.choice((live.get(name), self._durable.get(name)))
            if chosen is not None:
                left[name] = chosen
        shutil.rmtree(self.root)
        self.root.mkdir()
        self._lay(left)
        self._durable, self._synced = left, {}

    def _octets(self, path: Path) -> bytes:
        """What of a file survives: all of it, or nothing when it was never synced."""
        info = path.stat()
        name = str(path.relative_to(self.root))
        if info.st_ino in self._synced:
            return self._synced[info.st_ino]
        return self._durable.get(name, b"")

    def _lay(self, image: Image) -> None:
        for name, octets in image.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets)


class Hand:
    """``os`` for the product's durable writes: what happens below a simulated disk's root is that disk's matter."""

    def __init__(self) -> None:
        self.disks: dict[str, Disk] = {}
        self._open: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        """See ``os.open``."""
        disk = self._of(path)
        if disk is not None and flags & os.O_CREAT:
            disk.step()
        descriptor = os.open(path, flags, mode)
        self._open[descriptor] = str(path)
        if disk is not None and flags & os.O_TRUNC:
            disk.created(str(path))
        return descriptor

    def fsync(self, descriptor: int) -> None:
        """See ``os.fsync``."""
        path = self._open.get(descriptor, "")
        disk = self._of(path)
        if disk is None:
            os.fsync(descriptor)
            return
        disk.step()
        disk.sync(path)

    def replace(self, old: Any, new: Any) -> None:
        """See ``os.replace``."""
        disk = self._of(new)
        if disk is not None:
            disk.step()
        os.replace(old, new)

    def _of(self, path: Any) -> Disk | None:
        text = f"{path}/"
        return next((disk for root, disk in self.disks.items() if text.startswith(root)), None)


@contextlib.contextmanager
def installed(hand: Hand) -> Iterator[None]:
    """Put a hand under the product's durable writes for a while."""
    rooms: tuple[Any, ...] = (durable, rotation)
    for room in rooms:
        room.os = hand
    try:
        yield
    finally:
        for room in rooms:
            room.os = os
