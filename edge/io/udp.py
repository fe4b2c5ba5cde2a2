"""The one shell around the SIP machines: a UDP socket, perhaps connections, a timer, and nothing that thinks."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from edge.io.road import bind_device
from edge.sip.address import Address

#: A burst of recorders after a power cut; 64 kB a message at most.
RECEIVE_BUFFER_BYTES = 4 << 20
#: ip(7) IP_FREEBIND, which the socket module does not name: an address may be bound before the port has it. The keeper
#: may be moving it (from two ports to one arm, say) just when a side starts.
IP_FREEBIND = 15
_MOST_PER_WAKE = 64
_MOST_BYTES = 65536


class Machine(Protocol):
    """The five calls."""

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None: ...
    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]: ...
    def get_timer(self) -> float | None: ...
    def handle_timer(self, now: float) -> None: ...
    def next_event(self) -> Any: ...


class Lines(Protocol):
    """Where messages to an address over TCP go (``edge.io.tcp``)."""

    def send(self, data: bytes, to: Address) -> None: ...


class UdpShell:
    """Run ``machine`` on one UDP socket; each of its events goes to ``on_event(event, now)``.

    It goes by ``device`` alone if one is named. What the machine sends over TCP goes to ``lines``; what comes by them is handed to ``receive``.
    """

    def __init__(
        self, machine: Machine, local: Address, on_event: Callable[[Any, float], None], device: str = ""
    ) -> None:
        self.lines: Lines | None = None
        self._machine = machine
        self._local = local
        self._device = device
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Bind and begin; an address that is not there yet is served once it is.

        Raises:
            OSError: the address is taken, or the device that it is to go by is not there.
        """
        bind_device(self._socket, self._device)
        self._socket.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        self._socket.bind((self._local.host, self._local.port))
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._loop.add_reader(self._socket.fileno(), self._read)
        self.flush()

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        if self._timer is not None:
            self._timer.cancel()
        self._socket.close()

    def flush(self) -> None:
        """Send what the machine wants sent and arm its timer; call after every call into the machine."""
        for data, to in self._machine.datagrams_to_send(time.monotonic()):
            if to.transport == "tcp":
                if self.lines is not None:
                    self.lines.send(data, to)
                continue
            try:
                self._socket.sendto(data, (to.host, to.port))
            except OSError:
                continue  # a lost datagram: SIP sends again
        self._arm()

    def _arm(self) -> None:
        """Wake when the machine wants it; a wake too early costs less than one armed anew for every datagram."""
        due = self._machine.get_timer()
        if due is None or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._tick)  # the loop's clock is time.monotonic

    def say(self, data: bytes, to: Address) -> None:
        """Send octets that need not be a message."""
        self._socket.sendto(data, (to.host, to.port))

    def receive(self, data: bytes, source: Address) -> None:
        """Take one whole message that came over a connection."""
        self._machine.receive_datagram(data, source, time.monotonic())
        self.drain()

    def _tick(self) -> None:
        self._timer = None
        self._machine.handle_timer(time.monotonic())
        self.drain()

    def _read(self) -> None:
        for _ in range(_MOST_PER_WAKE):
            try:
                data, source = self._socket.recvfrom(_MOST_BYTES)
            except BlockingIOError:
                break
            except OSError:
                continue  # an ICMP error about an earlier datagram
            self._machine.receive_datagram(data, Address(*source), time.monotonic())
        self.drain()

    def drain(self) -> None:
        """Hand out what the machine tells, then flush; call after a call into the machine that may tell something."""
        while (event := self._machine.next_event()) is not None:
            self._on_event(event, time.monotonic())
        self.flush()
