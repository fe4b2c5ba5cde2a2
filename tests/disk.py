"""A disk for tests: it forgets what was not synced, tears what was being written, and says no when told to."""

from __future__ import annotations

import copy
import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.ferry.receipts import Moment
from edge.ferry.ring import Disk

#: Disks lose blocks; a hole of one octet would be mended by the brace that begins whatever is written next.
SMALLEST_HOLE = 16
#: (what, file, data or size, offset); "said" is a promise of the ring's, with the head's number and hash.
Step = tuple[str, int, bytes | int, int]


def apply(files: list[bytearray], step: Step) -> None:
    what, file, data, offset = step
    if what == "write":
        assert isinstance(data, bytes)
        content = files[file]
        content.extend(b"\0" * max(0, offset - len(content)))
        content[offset : offset + len(data)] = data
    elif what == "cut":
        assert isinstance(data, int)
        del files[file][data:]


@dataclass
class ModelDisk(Disk):
    """Files by the number of their opening; ``log`` holds every step in order."""

    files: list[bytearray] = field(default_factory=list)
    log: list[Step] = field(default_factory=list)
    refuses: Callable[[str], int] = lambda what: 0
    short: int | None = None
    opened: int = 0

    def _may(self, what: str) -> None:
        wrong = self.refuses(what)
        if wrong:
            raise OSError(wrong, errno.errorcode[wrong])

    def folder(self, path: Path) -> None:
        self._may("folder")

    def open(self, path: Path) -> int:
        self._may("open")
        number, self.opened = self.opened, self.opened + 1
        if number == len(self.files):
            self.files.append(bytearray())
        return number

    def size(self, descriptor: int) -> int:
        return len(self.files[descriptor])

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        self._may("read")
        return bytes(self.files[descriptor][offset : offset + min(size, 1000)])  # short reads are lawful

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        if self.short is not None:
            data = data[: self.short]
        else:
            self._may("write")
        self._do(("write", descriptor, data, offset))
        return len(data)

    def cut(self, descriptor: int, size: int) -> None:
        self._may("cut")
        self._do(("cut", descriptor, size, 0))

    def sync(self, descriptor: int) -> None:
        self._may("sync")
        self._do(("sync", descriptor, 0, 0))

    def _do(self, step: Step) -> None:
        self.log.append(step)
        apply(self.files, step)

    def again(self) -> ModelDisk:
        """The same disk for the next life."""
        return ModelDisk([bytearray(content) for content in self.files])


def after_power_cut(
    start: list[bytearray], log: list[Step], torn: Callable[[int], Iterator[int]]
) -> Iterator[list[bytearray]]:
    """Yield what the disk may hold when power goes at the end of ``log``: any of the unsynced steps, the last torn.

    A torn write leaves a prefix of its octets with nothing or zeros behind it, or its end with zeros before it.
    """
    durable, pending = copy.deepcopy(start), []
    for step in log:
        pending.append(step)
        if step[0] == "sync":
            for done in [s for s in pending if s[1] == step[1]]:
                apply(durable, done)
            pending = [s for s in pending if s[1] != step[1]]
    pending = [step for step in pending if step[0] in ("write", "cut")]
    for chosen in range(1 << len(pending)):
        files = copy.deepcopy(durable)
        steps = [step for index, step in enumerate(pending) if chosen >> index & 1]
        for step in steps[:-1]:
            apply(files, step)
        if not steps:
            yield files
            continue
        what, file, data, offset = steps[-1]
        if what == "cut" or not isinstance(data, bytes):
            apply(files, steps[-1])
            yield files
            continue
        for kept in torn(len(data)):
            lost = b"\0" * (len(data) - kept)
            ways = [data[:kept], data[:kept] + lost]
            if len(lost) > SMALLEST_HOLE:
                ways.append(lost + data[len(data) - kept :])
            for left in ways:
                one = copy.deepcopy(files)
                apply(one, (what, file, left, offset))
                yield one


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.monotonic = 100.0
        self.day = "2026-03-01"

    def __call__(self) -> Moment:
        self.monotonic += 0.001
        return Moment(
            "b0070000-0000-4000-8000-000000000001", round(self.monotonic, 3), f"{self.day}T08:00:00.000+00:00"
        )
