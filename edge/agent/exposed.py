"""Figures for the city's monitoring, on each tunnel's address: one answer a connection, then it is over.

The firewall lets nobody here but the readers whom the city's layer names; it is asked again. A thread of its own: a reader
that hangs does not keep the agent from reporting, and the other way round.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from edge.io.log import Log
from edge.io.road import Road, roads
from edge.metrics.exposition import CONTENT_TYPE
from netconf.model import METRICS_PORT, Site

#: From the first octet of a request to the last one of its answer.
DEADLINE_SECONDS = 2.0
MAX_REQUEST_BYTES = 4096
#: A tunnel's address may come after us.
AGAIN_SECONDS = 2.0
#: Several readers, one look.
FRESH_SECONDS = 1.0
_BACKLOG = 8


class Exposed:
    """The listeners that a site asks for; ``read`` returns what they answer."""

    def __init__(self, read: Callable[[], str], log: Log, port: int = METRICS_PORT) -> None:
        self._read = read
        self._log = log
        self._port = port
        self._readers: frozenset[str] = frozenset()
        self._listeners: dict[str, socket.socket] = {}
        self._again = 0.0
        self._page: tuple[float, str] | None = None
        self._lock = threading.Lock()

    def follow(self, site: Site | None) -> None:
        """Listen where ``site`` says and nowhere else; called often, and cheap when nothing changed."""
        readers = site.monitoring.readers if site is not None else ()
        wanted = {road.address: road for road in roads(site).values()} if site is not None and readers else {}
        self._readers = frozenset(map(str, readers))
        for address in self._listeners.keys() - wanted.keys():
            self._stop(address)
        if wanted.keys() - self._listeners.keys() and time.monotonic() >= self._again:
            for address in wanted.keys() - self._listeners.keys():
                self._start(wanted[address])
            self._again = time.monotonic() + AGAIN_SECONDS

    def close(self) -> None:
        """Listen nowhere."""
        for address in list(self._listeners):
            self._stop(address)

    def _start(self, road: Road) -> None:
        address = road.address
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            road.take(listener, self._port)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            return
        self._listeners[address] = listener
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
        self._log.say("metrics_open", address)

    def _stop(self, address: str) -> None:
        listener = self._listeners.pop(address)
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in accept
        listener.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                line, (host, _) = listener.accept()
            except ConnectionAbortedError:
                continue
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                if host in self._readers:
                    self._answer(line)

    def _answer(self, line: socket.socket) -> None:
        until = time.monotonic() + DEADLINE_SECONDS
        request = b""
        while b"\r\n\r\n" not in request:
            line.settimeout(max(0.001, until - time.monotonic()))
            came = line.recv(1024)
            if not came or len(request) > MAX_REQUEST_BYTES:
                return
            request += came
        status, body = self._said(request.partition(b"\r\n")[0])
        page = body.encode("utf-8")
        head = f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
        line.settimeout(max(0.001, until - time.monotonic()))
        line.sendall(head.encode("ascii") + page)

    def _said(self, asked: bytes) -> tuple[str, str]:
        """Return the answer to a request's first line."""
        match asked.split(b" "):
            case [b"GET", target, b"HTTP/1.1" | b"HTTP/1.0"]:
                if target.partition(b"?")[0] == b"/metrics":
                    return "200 OK", self._fresh()
                return "404 Not Found", ""
            case [_, _, b"HTTP/1.1" | b"HTTP/1.0"]:
                return "405 Method Not Allowed", ""
        return "400 Bad Request", ""

    def _fresh(self) -> str:
        with self._lock:
            if self._page is None or time.monotonic() - self._page[0] > FRESH_SECONDS:
                page = self._read()
                self._page = (time.monotonic(), page)
            return self._page[1]
