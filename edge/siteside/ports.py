"""The media ports of the site side: one port a view, watched until the recorder's first good packet.

The packet is looked at with MSG_PEEK and stays in the queue, so that nothing of the opening key frame is lost. It
fixes the source port and the SSRC (recorders ignore ``y=``); then the socket is connected to that source and handed
to the ferry. What strangers had queued before the connect is the relay's to skip: it reads the source of each.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from edge.sip.chance import Chance
from edge.siteside.connections import HEADER, Connections, good

#: One second of 8 Mbit/s, so that the key frame that opens a stream is not lost while the socket changes hands.
RECEIVE_BUFFER_BYTES = 1 << 20
#: A connection is read as fast as it fills; the kernel holds twice this for it.
FRAMED_BUFFER_BYTES = 1 << 16
_MOST_PER_WAKE = 256


class MediaPorts:
    """Reserve, watch and give back ports of ``range`` on ``host``."""

    def __init__(
        self, host: str, ports: range, on_first_packet: Callable[[int, int, int, str], None], chance: Chance
    ) -> None:
        self._host = host
        self._range = ports
        self._next = chance.number(len(ports))
        self._on_first_packet = on_first_packet
        self._sockets: dict[int, socket.socket] = {}
        #: The port above a call's, for reports to its recorder, and which port of his they go to if he has said so.
        self._reports: dict[int, tuple[socket.socket, int | None]] = {}
        self._connections: dict[int, Connections] = {}
        self._loop = asyncio.get_running_loop()
        self.foreign = 0

    def reserve(self, call: int, media: str = "udp") -> int | None:
        """Return an even port of the range bound for ``call``, or None when none is free.

        ``media`` is "udp", "tcp_passive" (recorders are listened for from now on) or "tcp_active".

        Ports are taken in turn from one drawn by lot, so that a late packet of an ended view does not meet a new
        one, nor the stream that a recorder still sends to a site side that died.
        """
        evens = self._range[self._range.start % 2 :: 2]
        for step in range(len(evens)):
            port = evens[(self._next + step) % len(evens)]
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if media == "udp" else socket.SOCK_STREAM)
            opened.setblocking(False)
            size = RECEIVE_BUFFER_BYTES if media == "udp" else FRAMED_BUFFER_BYTES
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            try:
                opened.bind((self._host, port))
                if media == "tcp_passive":
                    opened.listen(2)
            except OSError:
                opened.close()
                continue
            self._next = (self._next + step + 1) % len(evens)
            self._sockets[call] = opened
            if media == "udp" and port + 1 in self._range:
                self._hold_reports(call, port + 1)
            return port
        return None

    def _hold_reports(self, call: int, port: int) -> None:
        """Hold the port above a call's; a view without reports is better than none."""
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.setblocking(False)
        try:
            held.bind((self._host, port))
        except OSError:
            held.close()
        else:
            self._reports[call] = (held, None)

    def watch(
        self, call: int, sources: frozenset[str], payload_type: int, dial: tuple[str, int] | None = None,
        reports: int | None = None,
    ) -> None:  # fmt: skip
        """Begin to look for the first good packet of ``call``; ``dial`` the recorder where it is the one to listen.

        It hears reports at its port ``reports``, or one above the port that its packets come from (RFC 3550 11).
        """
        if call in self._reports:
            self._reports[call] = (self._reports[call][0], reports)
        opened = self._sockets[call]
        if opened.type == socket.SOCK_STREAM:
            self._connections[call] = Connections(
                opened, sources, payload_type, lambda taken, *found: self._framed(call, taken, *found)
            )
            self._connections[call].begin(dial)
            return
        self._loop.add_reader(opened.fileno(), self._look, call, sources, payload_type)
        self._look(call, sources, payload_type)

    def _look(self, call: int, sources: frozenset[str], payload_type: int) -> None:
        opened = self._sockets.get(call)
        if opened is None:
            return
        for _ in range(_MOST_PER_WAKE):
            try:
                head, source = opened.recvfrom(HEADER.size, socket.MSG_PEEK)
            except OSError:
                return
            if source[0] in sources and good(head, payload_type):
                self._loop.remove_reader(opened.fileno())
                opened.connect(source)
                self._aim_reports(call, source)
                self._on_first_packet(call, HEADER.unpack(head)[4], payload_type, "datagram")
                return
            self.foreign += 1
            with contextlib.suppress(OSError):
                opened.recv(1)

    def _aim_reports(self, call: int, source: tuple[str, int]) -> None:
        held, told = self._reports.pop(call, (None, None))
        port = told or source[1] + 1
        if held is None:
            return
        if port > 65535 or port == source[1]:
            held.close()
            return
        held.connect((source[0], port))
        self._reports[call] = (held, port)

    def reports(self, call: int) -> int | None:
        """Return the descriptor of what reports to the call's recorder go by, if there is one."""
        held, port = self._reports.get(call, (None, None))
        return held.fileno() if held is not None and port is not None else None

    def _framed(self, call: int, taken: socket.socket, ssrc: int, payload_type: int, framing: str) -> None:
        """The call's first good packet came on this connection; the listener is closed."""
        self.foreign += self._connections.pop(call).foreign
        self._sockets[call] = taken
        self._on_first_packet(call, ssrc, payload_type, framing)

    def connect(self, call: int, ear: tuple[str, int]) -> bool:
        """Connect the call's socket with where its sound goes; False when there is no way to it."""
        try:
            self._sockets[call].connect(ear)
        except (KeyError, OSError):
            return False
        return True

    def descriptor(self, call: int) -> int:
        return self._sockets[call].fileno()

    def release(self, call: int) -> None:
        """Close our copy of the call's socket."""
        connections = self._connections.pop(call, None)
        if connections is not None:
            self.foreign += connections.foreign
            connections.close()
        held, _ = self._reports.pop(call, (None, None))
        if held is not None:
            held.close()
        opened = self._sockets.pop(call, None)
        if opened is not None:
            self._loop.remove_reader(opened.fileno())
            opened.close()

    def close(self) -> None:
        for call in list(self._sockets):
            self.release(call)
