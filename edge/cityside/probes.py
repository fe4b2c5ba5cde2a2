"""The sockets that probes go by: one a tunnel, bound to its device and its own address, connected to its concentrator."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable

from edge.cityside.choice import PROBE_BYTES
from edge.io.road import Road
from netconf.model import PROBE_PORT

_MOST_PER_WAKE = 8


class Probes:
    """Sends probes and tells ``on_answer(tunnel, octets)`` what came back."""

    def __init__(self, roads: Iterable[Road], on_answer: Callable[[str, bytes], None]) -> None:
        self._roads = {road.name: road for road in roads}
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        #: Tunnel -> the number that its device had, and the socket.
        self._open: dict[str, tuple[int, socket.socket]] = {}

    def send(self, tunnel: str, data: bytes) -> None:
        """Send one probe; what cannot be sent is not answered either, and counts as that."""
        road = self._roads[tunnel]
        index = road.index()
        known = self._open.get(tunnel)
        if known is not None and known[0] != index:
            self._close(tunnel)  # the device was made anew: this socket is bound to one that is gone
        try:
            if index is not None and tunnel not in self._open:
                self._begin(road, index)
            if tunnel in self._open:
                self._open[tunnel][1].send(data)
        except BlockingIOError:
            return
        except OSError:
            self._close(tunnel)

    def _begin(self, road: Road, index: int) -> None:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            road.take(opened, PROBE_PORT)
            opened.connect((str(road.probe), PROBE_PORT))
        except OSError:
            opened.close()
            raise
        self._open[road.name] = (index, opened)
        self._loop.add_reader(opened.fileno(), self._read, road.name)

    def _read(self, tunnel: str) -> None:
        for _ in range(_MOST_PER_WAKE):
            try:
                data = self._open[tunnel][1].recv(PROBE_BYTES + 1)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error about an earlier probe
            self._on_answer(tunnel, data)

    def _close(self, tunnel: str) -> None:
        _, opened = self._open.pop(tunnel, (0, None))
        if opened is not None:
            self._loop.remove_reader(opened.fileno())
            opened.close()

    def close(self) -> None:
        for tunnel in list(self._open):
            self._close(tunnel)
