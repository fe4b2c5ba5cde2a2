"""A side's line to the ferry: one unix SOCK_SEQPACKET connection, dialled again whenever it is lost.

A record is one datagram. Descriptors travel with a record as SCM_RIGHTS; the caller keeps its own copies and closes
them. Nothing is queued for a ferry that is away: the caller hears ``on_lost`` and ends its calls. What a ferry that is
there does not take just now, waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

#: Short enough that a restarted ferry is found before a person notices, long enough not to spin.
REDIAL_SECONDS = 0.5
#: The kernel holds some 200 records for a line; a site of 4,096 channels is told at once, and then their states.
MAX_WAITING = 16384
_MOST_BYTES = 4096
_MOST_PER_WAKE = 64


def listen(path: Path, backlog: int) -> socket.socket:
    """Return a listener at ``path``, whoever may enter its folder may connect.

    Raises:
        OSError: there is no such folder, or it is not ours.
    """
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    path.chmod(0o660)
    listener.listen(backlog)
    return listener


class Outbox:
    """What a line does not take yet, in order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[bytes, list[int]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def send(self, line: socket.socket, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a record after those that wait.

        Raises:
            OSError: the line is gone, or takes nothing for so long that its other end must hang.
        """
        if not self._waiting:
            with contextlib.suppress(BlockingIOError):
                _write(line, data, descriptors)
                return
        if len(self._waiting) >= MAX_WAITING:
            raise BlockingIOError
        self._waiting.append((data, [os.dup(descriptor) for descriptor in descriptors]))

    def flush(self, line: socket.socket) -> None:
        """Send what the line takes now of what waits.

        Raises:
            OSError: the line is gone.
        """
        with contextlib.suppress(BlockingIOError):
            while self._waiting:
                _write(line, *self._waiting[0])
                self._drop_first()

    def clear(self) -> None:
        while self._waiting:
            self._drop_first()

    def _drop_first(self) -> None:
        for descriptor in self._waiting.popleft()[1]:
            os.close(descriptor)


def _write(line: socket.socket, data: bytes, descriptors: Sequence[int]) -> None:
    if descriptors:
        socket.send_fds(line, [data], list(descriptors))
    else:
        line.send(data)  # the ferry's filter knows no sendmsg to a side


class FerryLine:
    """Dial ``path``, deliver each datagram to ``on_datagram``, tell of ``on_up`` and ``on_lost``.

    ``on_drained`` is called when what was waiting is delivered.
    """

    def __init__(
        self,
        path: Path,
        on_up: Callable[[], None],
        on_datagram: Callable[[bytes], None],
        on_lost: Callable[[], None],
        on_drained: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._on_up = on_up
        self._on_datagram = on_datagram
        self._on_lost = on_lost
        self._on_drained = on_drained
        self._socket: socket.socket | None = None
        self._outbox = Outbox()
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()

    @property
    def up(self) -> bool:
        return self._socket is not None

    async def run(self) -> None:
        """Keep the line up until cancelled."""
        while True:
            self._gone.clear()
            try:
                self._dial()
            except OSError:
                await asyncio.sleep(REDIAL_SECONDS)
                continue
            self._on_up()
            try:
                await self._gone.wait()
            finally:
                self._hang_up()
            self._on_lost()

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> bool:
        """Send one record, or let it wait; False when the line is down or hangs, which ends it."""
        if self._socket is None or self._gone.is_set():
            return False
        try:
            self._outbox.send(self._socket, data, descriptors)
        except OSError:
            self._gone.set()
            return False
        if self._outbox:
            self._loop.add_writer(self._socket.fileno(), self._flush)
        return True

    def _flush(self) -> None:
        if self._socket is None:
            return
        try:
            self._outbox.flush(self._socket)
        except OSError:
            self._outbox.clear()
            self._gone.set()
        if not self._outbox:
            self._loop.remove_writer(self._socket.fileno())

    def _dial(self) -> None:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            line.connect(str(self._path))
        except OSError:
            line.close()
            raise
        line.setblocking(False)
        self._socket = line
        self._loop.add_reader(line.fileno(), self._read)

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._outbox.clear()
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        self._deliver()
        self._on_drained()

    def _deliver(self) -> None:
        for _ in range(_MOST_PER_WAKE):
            if self._socket is None:
                return
            try:
                data = self._socket.recv(_MOST_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._gone.set()
                self._loop.remove_reader(self._socket.fileno())
                return
            self._on_datagram(data)
