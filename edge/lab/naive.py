"""What the open twin does with what is addressed to itself: passes it on unread, as a naive relay would."""

from __future__ import annotations

import select
import socket
import threading

from edge.lab.sockets import udp_in
from edge.lab.topology import CITY_IP, NVR_IP, TUNNEL_IP

_ELSEWHERE = 5999


class NaiveRelay:
    """Anything toward these ports goes to the city; anything back on the city's tuple goes to the recorder."""

    def __init__(self, site_ports: tuple[int, ...], city_port: int) -> None:
        self._roads: dict[int, tuple[socket.socket, tuple[str, int]]] = {}
        for port in site_ports:
            self._add(("0.0.0.0", port), (CITY_IP, _ELSEWHERE))
        self._add((TUNNEL_IP, city_port), (NVR_IP, _ELSEWHERE))
        self._out = udp_in("twin", ("0.0.0.0", 0))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _add(self, local: tuple[str, int], to: tuple[str, int]) -> None:
        opened = udp_in("twin", local)
        self._roads[opened.fileno()] = (opened, to)

    def _run(self) -> None:
        while not self._ended.is_set():
            ready, _, _ = select.select(list(self._roads), [], [], 0.2)
            for descriptor in ready:
                opened, to = self._roads[descriptor]
                try:
                    self._out.sendto(opened.recv(65536), to)
                except OSError:
                    continue

    def close(self) -> None:
        self._ended.set()
        self._thread.join(2)
        for opened, _ in self._roads.values():
            opened.close()
        self._out.close()
