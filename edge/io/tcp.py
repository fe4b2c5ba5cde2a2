"""SIP over TCP: the connections, with a deadline on everything (RFC 3261 18).

The site side listens: recorders dial in, and what is for one goes down the connection it registered over. The city side
dials, and dials again for ever. A connection that says what is no SIP, that begins a message and does not end it, that
keeps silent too long, or that does not take what is sent to it, is closed; whoever is honest dials again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

from edge.io.chance import SystemChance
from edge.io.road import bind_device
from edge.io.udp import IP_FREEBIND
from edge.sip.address import Address
from edge.sip.chance import Chance
from edge.sip.errors import RemoteSipError
from edge.sip.stream import PONG, Stream

#: A recorder has one connection and, while it dials anew, two; a stranger in the LAN must not take all places.
MOST_PER_HOST, MOST_CONNECTIONS = 8, 256
#: A message fits into one segment or few: who needs longer is not on this LAN, or does not mean well.
MESSAGE_SECONDS = 10.0
#: Three missed keepalives of a minute; the first message must come much sooner.
IDLE_SECONDS, FIRST_SECONDS = 180.0, 15.0
MAX_UNSENT_BYTES = 1 << 20
DIAL_SECONDS, FIRST_REDIAL_SECONDS, LAST_REDIAL_SECONDS = 10.0, 1.0, 30.0
TICK_SECONDS = 1.0
#: A tunnel that was away for a quarter of a minute leaves the kernel waiting as long again before it tries once more;
#: a connection whose far end does not acknowledge for ten seconds is worth less than a new one (tcp(7)).
_PACE = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
_READ_BYTES = 65536


def spread(seconds: float, chance: Chance) -> float:
    """Return a pause of about that length, from half as long to half as long again: boxes that a platform has lost in one
    moment must not dial in step for as long as it is away."""
    return seconds * (500 + chance.number(1000)) / 1000


class TcpLines:
    """The connections of one shell. ``on_message`` takes whole messages; ``on_up`` and ``on_lost`` are of the
    dialled one, ``on_closed`` of any; ``on_unreached`` says why a dial came to nothing: refused, silent or no_road."""

    def __init__(
        self,
        on_message: Callable[[bytes, Address], None],
        on_up: Callable[[], None] = lambda: None,
        on_lost: Callable[[], None] = lambda: None,
        on_closed: Callable[[Address], None] = lambda _: None,
        on_unreached: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._on_message = on_message
        self._on_up = on_up
        self._on_lost = on_lost
        self._on_closed = on_closed
        self._on_unreached = on_unreached
        self._lines: dict[Address, _Line] = {}
        self._server: Address | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.counters: Counter[str] = Counter()

    async def listen(self, local: Address) -> None:
        """Take connections at ``local``, from when it is there.

        Raises:
            OSError: the address is taken.
        """
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((local.host, local.port))
            listener.listen(64)
        except OSError:
            listener.close()
            raise
        listener.setblocking(False)
        self._own(self._accept(listener))

    def dial(self, local_host: str, server: Address, device: str = "") -> None:
        """Keep a connection to ``server`` for ever, from ``local_host``, by ``device`` alone if one is named."""
        self._server = server
        self._own(self._dial(local_host, device))

    def redial(self, server: Address) -> None:
        """The server is elsewhere: end the connection that was dialled, if there is one, and dial there."""
        before, self._server = self._server, server
        line = self._lines.get(before) if before is not None else None
        if line is not None and before != server:
            line.close()

    def send(self, data: bytes, to: Address) -> None:
        """Send one message down the connection to ``to``; without one it is lost, as on UDP."""
        line = self._lines.get(to)
        if line is None:
            self.counters["tcp_no_connection"] += 1
            return
        line.send(data)

    def say(self, data: bytes) -> None:
        """Send octets that need not be a message down every connection."""
        for line in list(self._lines.values()):
            line.send(data)

    def close(self) -> None:
        """End all."""
        for task in list(self._tasks):
            task.cancel()
        for line in list(self._lines.values()):
            line.close()

    def _own(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    opened, (host, port) = await loop.sock_accept(listener)
                except OSError:
                    await asyncio.sleep(0.1)  # out of descriptors: those in use end by their deadlines
                    continue
                peer = Address(host, port, "tcp")
                if sum(other.host == host for other in self._lines) >= MOST_PER_HOST:
                    self._refuse(opened, "tcp_too_many_of_one_host")
                elif len(self._lines) >= MOST_CONNECTIONS:
                    self._refuse(opened, "tcp_too_many")
                else:
                    opened.setblocking(False)
                    self._own(self._serve(opened, peer, FIRST_SECONDS))

    def _refuse(self, opened: socket.socket, rule: str) -> None:
        self.counters[rule] += 1
        opened.close()

    async def _dial(self, local_host: str, device: str) -> None:
        pause = FIRST_REDIAL_SECONDS
        while (server := self._server) is not None:
            opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                opened.setblocking(False)
                bind_device(opened, device)
                opened.bind((local_host, 0))
                connecting = asyncio.get_running_loop().sock_connect(opened, (server.host, server.port))
                await asyncio.wait_for(connecting, DIAL_SECONDS)
            except (OSError, TimeoutError) as wrong:
                opened.close()
                self._on_unreached(_why(wrong))
                await asyncio.sleep(spread(pause, SystemChance()))
                pause = min(2 * pause, LAST_REDIAL_SECONDS)
                continue
            began = asyncio.get_running_loop().time()
            await self._serve(opened, server, IDLE_SECONDS, self._on_up)
            self._on_lost()
            # A server that takes connections and ends them at once is not asked sixty times a minute.
            lived = asyncio.get_running_loop().time() - began
            pause = FIRST_REDIAL_SECONDS if lived > LAST_REDIAL_SECONDS else min(2 * pause, LAST_REDIAL_SECONDS)
            await asyncio.sleep(spread(pause, SystemChance()))

    async def _serve(
        self, opened: socket.socket, peer: Address, first_seconds: float, on_up: Callable[[], None] = lambda: None
    ) -> None:
        for level, option, value in _PACE:
            opened.setsockopt(level, option, value)
        line = _Line(opened, first_seconds, lambda data: self._on_message(data, peer))
        self._lines[peer] = line
        try:
            on_up()
            await line.run()
        except RemoteSipError as broken:
            self.counters[broken.rule] += 1
        finally:
            if self._lines.get(peer) is line:
                del self._lines[peer]
            line.close()
            self._on_closed(peer)


def _why(wrong: OSError) -> str:
    if isinstance(wrong, ConnectionRefusedError):
        return "refused"
    return "silent" if isinstance(wrong, TimeoutError) else "no_road"


class _Line:
    """One connection."""

    def __init__(self, opened: socket.socket, first_seconds: float, on_message: Callable[[bytes], None]) -> None:
        self._socket = opened
        self._loop = asyncio.get_running_loop()
        self._stream = Stream()
        self._on_message = on_message
        self._unsent = bytearray()
        self._gone = False
        now = self._loop.time()
        self._silent_until = now + first_seconds
        self._message_until: float | None = None

    async def run(self) -> None:
        """Read until it ends.

        Raises:
            RemoteSipError: it says what is no SIP, or says it too slowly.
        """
        while not self._gone:
            try:
                data = await asyncio.wait_for(self._loop.sock_recv(self._socket, _READ_BYTES), TICK_SECONDS)
            except TimeoutError:
                self._judge_pace()
                continue
            except OSError:
                return
            if not data:
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        messages = self._stream.receive(data)
        now = self._loop.time()
        for message in messages:
            self._on_message(message)
        pings = self._stream.pings()
        if pings:
            self.send(PONG * min(pings, 4))
        if messages or pings:
            self._silent_until = now + IDLE_SECONDS
        if not self._stream.waiting:
            self._message_until = None
        elif messages or self._message_until is None:
            self._message_until = now + MESSAGE_SECONDS
        self._judge_pace()

    def _judge_pace(self) -> None:
        now = self._loop.time()
        if self._message_until is not None and now > self._message_until:
            raise RemoteSipError("tcp_message_slow", 408)
        if now > self._silent_until:
            raise RemoteSipError("tcp_silent", 408)

    def send(self, data: bytes) -> None:
        """Send at once what the kernel takes, and the rest when it takes more."""
        if self._gone:
            return
        if len(self._unsent) + len(data) > MAX_UNSENT_BYTES:
            self.close()
            return
        waiting = bool(self._unsent)
        self._unsent += data
        if not waiting:
            self._push()

    def _push(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            self._loop.add_writer(self._socket.fileno(), self._push)
            return
        except OSError:
            self.close()
            return
        self._loop.remove_writer(self._socket.fileno())

    def close(self) -> None:
        """End it; the reader finds out by itself."""
        if self._gone:
            return
        self._gone = True
        with contextlib.suppress(OSError, ValueError):
            self._loop.remove_writer(self._socket.fileno())
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
