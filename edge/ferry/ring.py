"""The files of the receipts: segments used in turn, opened before the seccomp filter, a line durable before it counts.

One line is one write and one fdatasync, so after a power cut at most the last line is torn. What cannot be written for
want of room is ``NoRoom``: nothing has changed and it may be tried again. What a sync refuses is ``Untrusted``: the
kernel has forgotten which octets it lost (PostgreSQL's lesson of 2018), so this process never writes there again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge.ferry.receipts import (
    MAX_LINE_BYTES,
    Draft,
    Head,
    Line,
    Moment,
    Tail,
    Value,
    draft,
    old_enough,
    seal,
    tail,
    unended,
)

#: How far back the last life's beginning is looked for: some 1,700 lines.
LOOK_BACK_BYTES = 1 << 20
_T = TypeVar("_T")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


class NoRoom(Exception):
    """The disk is full or read-only; ``reason`` is the error's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Untrusted(Exception):
    """What the disk holds is no longer known; ``reason`` is the error's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Disk:
    """What the ring needs of the kernel; each may raise OSError."""

    def folder(self, path: Path) -> None:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)

    def open(self, path: Path) -> int:
        """Return a descriptor for reading and writing, of a file that stays there."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(above)
        finally:
            os.close(above)
        return descriptor

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        return os.pread(descriptor, size, offset)

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        return os.pwrite(descriptor, data, offset)

    def cut(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)


@dataclass(frozen=True, slots=True)
class Layout:
    """The ring's size: ``segments`` files of ``segment_bytes`` each."""

    segments: int = 16
    segment_bytes: int = 32 << 20


LAYOUT = Layout()


@dataclass(slots=True)
class _Segment:
    descriptor: int
    size: int = 0
    last: Line | None = None


class Ring:
    """The segments, and the chain's head in them.

    Raises:
        OSError: no segment can be opened, or one cannot be read.
    """

    def __init__(self, folder: Path, disk: Disk, layout: Layout) -> None:
        self._disk, self._layout = disk, layout
        disk.folder(folder)
        # All or none: a ring that skipped one could not say what it overwrites.
        self._segments = [_Segment(disk.open(folder / f"{n:02d}.jsonl")) for n in range(layout.segments)]
        self._scraps: list[_Segment] = []
        self._at = 0
        self._rest = 0
        self._broken = b""
        self.torn = 0
        self.unended = 0
        self.short = 0
        found = [self._look(segment) for segment in self._segments]
        self.head = self._begin(found)

    # -- finding the end -----------------------------------------------------------------------------------------

    def _look(self, segment: _Segment) -> Tail | None:
        """Find a segment's last good line: near its end, or else anywhere."""
        size = segment.size = self._disk.size(segment.descriptor)
        for near in (2 * MAX_LINE_BYTES, size):
            offset = max(0, size - near)
            seen = tail(self._read(segment, offset), offset)
            if seen is not None:
                segment.last = seen.last
                return seen
        return None

    def _read(self, segment: _Segment, offset: int) -> bytes:
        pieces = []
        while offset < segment.size:
            piece = self._disk.read(segment.descriptor, segment.size - offset, offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def _begin(self, found: list[Tail | None]) -> Head:
        """Choose the newest segment and say where writing goes on; ``torn`` octets are behind it."""
        newest, seen = max(enumerate(found), key=lambda one: one[1].last.head.sequence if one[1] else 0)
        for segment, its in zip(self._segments, found, strict=True):
            if its is None and 0 < segment.size <= MAX_LINE_BYTES:  # a segment's first line, cut short
                self.torn += segment.size
                self._scraps.append(segment)
        self._at, segment = newest, self._segments[newest]
        if seen is None:
            if segment in self._scraps:
                self._rest, segment.size = segment.size, 0
            self._broken = b"\n" if segment.size else b""
            return Head()
        self.unended = unended(self._read(segment, max(0, segment.size - LOOK_BACK_BYTES)))
        if seen.torn:
            self.torn += len(seen.rest)
            self._rest, segment.size = len(seen.rest), seen.end
        elif seen.rest and not seen.rest.endswith(b"\n"):
            self._broken = b"\n"
        return seen.head

    # -- writing -------------------------------------------------------------------------------------------------

    def append(self, waiting: Draft, at: Moment) -> None:
        """Add a line; when this returns it is durable and ``head`` names it.

        Raises:
            NoRoom: it is not there, and may be tried again.
            Untrusted: whether it is there is not known.
        """
        segment = self._segments[self._at]
        length = len(seal(self.head, waiting)[0])
        # Kept free at the end: for the line that covers torn octets there, and for the one that names what is dropped.
        full = segment.size + length > self._layout.segment_bytes - 2 * MAX_LINE_BYTES
        if full and segment.last is not None and not self._rest:
            self._turn(at)
        self._write(waiting)
        for scrap in self._scraps:
            if scrap.last is None:
                self._empty(scrap)
        self._scraps.clear()

    def _turn(self, at: Moment) -> None:
        """Go on in the next segment; what it held is named in the chain first, then overwritten."""
        following = (self._at + 1) % len(self._segments)
        segment, fresh = self._segments[self._at], self._segments[following]
        old = fresh.last
        if old is not None and (segment.last is None or segment.last.event != "turned"):
            told: dict[str, Value] = {"dropped_to": old.head.sequence, "dropped_until": old.head.time}
            self._write(draft(at, "turned", told))
        if fresh in self._scraps:
            self._rest = fresh.size
        else:
            self._empty(fresh)
        fresh.size, fresh.last = 0, None
        if old is not None and not old_enough(old.head.time, at.time):
            self.short += 1
        self._at, self._broken = following, b""

    def _empty(self, segment: _Segment) -> None:
        if segment.size:
            self._do(lambda: self._disk.cut(segment.descriptor, 0))
            self._do(lambda: self._disk.sync(segment.descriptor), syncing=True)

    def _write(self, waiting: Draft) -> None:
        line, head = seal(self.head, waiting)
        segment = self._segments[self._at]
        data = self._broken + line
        if self._rest:
            # Torn octets are zeros before the line that counts them covers them: power may go again while it does, and
            # a mixture of two lines would look like one that somebody changed.
            self._put(segment, b"\0" * self._rest)
            self._do(lambda: self._disk.sync(segment.descriptor), syncing=True)
        self._put(segment, data)
        self._do(lambda: self._disk.sync(segment.descriptor), syncing=True)
        if self._rest > len(data):
            self._do(lambda: self._disk.cut(segment.descriptor, segment.size + len(data)))
            self._do(lambda: self._disk.sync(segment.descriptor), syncing=True)
        self._rest, self._broken = 0, b""
        segment.size += len(data)
        segment.last = Line(head, waiting.event)
        self.head = head

    def _put(self, segment: _Segment, data: bytes) -> None:
        """Write behind a segment's end, whole or not at all."""
        written = self._do(lambda: self._disk.write(segment.descriptor, data, segment.size))
        if written != len(data):
            torn, self._rest = self._rest, max(self._rest, written)
            if not torn:
                self._do(lambda: self._disk.cut(segment.descriptor, segment.size))
                self._rest = 0
            raise NoRoom("ENOSPC")

    def _do(self, act: Callable[[], _T], syncing: bool = False) -> _T:
        try:
            return act()
        except OSError as wrong:
            name = errno.errorcode.get(wrong.errno or 0, "EIO")
            if wrong.errno in _NO_ROOM and not syncing:
                raise NoRoom(name) from None
            raise Untrusted(name) from None
