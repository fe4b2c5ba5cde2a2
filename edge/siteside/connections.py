"""A recorder's media connections: taken or dialled, and watched until one of them brings a good packet.

Like datagrams, frames are looked at with MSG_PEEK and stay where they are. Which framing a recorder uses shows in its
first octets: two of length (RFC 4571), or RTSP's ``$``, channel and two of length (RFC 2326 10.12).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

HEADER = struct.Struct("!BBHII")
#: Connections that have shown nothing yet; honest recorders open one.
MAX_WAITING = 4
#: What a connection has shown by then is a good packet, or it is closed.
SHOW_SECONDS = 5.0
_DIAL_SECONDS = 5.0
#: RTSP's prefix and a whole header: fewer octets wake nobody.
_ENOUGH_BYTES = 4 + HEADER.size
_PREFIXES = {"length": 2, "interleaved": 4}


class Connections:
    """The connections of one view. ``tell`` hears of the first good packet's connection, its SSRC, type and framing."""

    def __init__(
        self,
        opened: socket.socket,
        sources: frozenset[str],
        payload_type: int,
        tell: Callable[[socket.socket, int, int, str], None],
    ) -> None:
        self._opened = opened
        self._sources = sources
        self._payload_type = payload_type
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._dialling: asyncio.Task[None] | None = None
        self.foreign = 0

    def begin(self, dial: tuple[str, int] | None) -> None:
        """Take connections, or dial the recorder."""
        if dial is None:
            self._loop.add_reader(self._opened.fileno(), self._accept)
        else:
            self._dialling = asyncio.create_task(self._dial(dial))

    async def _dial(self, recorder: tuple[str, int]) -> None:
        try:
            await asyncio.wait_for(self._loop.sock_connect(self._opened, recorder), _DIAL_SECONDS)
        except (OSError, TimeoutError):
            return  # the view ends as one without media
        self._watch(self._opened)

    def _accept(self) -> None:
        try:
            taken, peer = self._opened.accept()
        except OSError:
            return
        if peer[0] not in self._sources or len(self._waiting) >= MAX_WAITING:
            self.foreign += 1
            taken.close()
            return
        taken.setblocking(False)
        self._watch(taken)

    def _watch(self, taken: socket.socket) -> None:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _ENOUGH_BYTES)
        self._waiting[taken] = self._loop.call_later(SHOW_SECONDS, self._drop, taken)
        self._loop.add_reader(taken.fileno(), self._look, taken)

    def _look(self, taken: socket.socket) -> None:
        try:
            head = taken.recv(_ENOUGH_BYTES, socket.MSG_PEEK)
        except OSError:
            head = b""
        framing = framing_of(head, self._payload_type)
        if framing is None:
            self.foreign += 1
            self._drop(taken)
            return
        self._forget(taken)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        at = _PREFIXES[framing]
        self.close()
        if taken is not self._opened:
            self._opened.close()
        self._tell(taken, HEADER.unpack_from(head, at)[4], self._payload_type, framing)

    def _forget(self, taken: socket.socket) -> None:
        self._loop.remove_reader(taken.fileno())
        self._waiting.pop(taken).cancel()

    def _drop(self, taken: socket.socket) -> None:
        self._forget(taken)
        if taken is not self._opened:
            taken.close()

    def close(self) -> None:
        """Look no more; what has shown nothing is closed."""
        self._loop.remove_reader(self._opened.fileno())
        if self._dialling is not None:
            self._dialling.cancel()
        for taken in list(self._waiting):
            self._drop(taken)


def framing_of(head: bytes, payload_type: int) -> str | None:
    """Return how a connection is framed that begins with ``head``; None when no good packet stands there."""
    for framing, at in _PREFIXES.items():
        size = int.from_bytes(head[at - 2 : at], "big")
        channel = framing == "length" or (head[:1] == b"$" and not head[1] & 1)
        if channel and size > HEADER.size and good(head[at : at + HEADER.size], payload_type):
            return framing
    return None


def good(head: bytes, payload_type: int) -> bool:
    """Return whether ``head`` begins an RTP packet (RFC 3550 5.1) of the agreed payload type."""
    return len(head) == HEADER.size and head[0] >> 6 == 2 and head[1] & 0x7F == payload_type
