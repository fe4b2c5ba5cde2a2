"""A side's line to the ferry: one unix SOCK_SEQPACKET connection, dialled again whenever it is lost.

A record is one datagram. Descriptors travel with a record as SCM_RIGHTS; the caller keeps its own copies and closes
them. Nothing is queued for a ferry that is away: the caller hears ``on_lost`` and ends its calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

#: Short enough that a restarted ferry is found before a person notices, long enough not to spin.
REDIAL_SECONDS = 0.5
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
        """Send one record; False when the line is down or does not take it, which ends the line."""
        if self._socket is None:
            return False
        try:
            socket.send_fds(self._socket, [data], list(descriptors))
        except OSError:
            self._gone.set()
            return False
        return True

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
