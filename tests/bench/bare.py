"""The bare loops that the relay is measured against: receive, send, no look at the packet, no filter."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence

_BATCH = 64


def one_a_wake(sources: Sequence[socket.socket], sinks: Sequence[socket.socket]) -> None:
    """Receive and send one packet for each readable socket."""
    poll, views, buffer = _prepare(sources)
    pairs = {a.fileno(): (a.recv_into, b.send) for a, b in zip(sources, sinks, strict=True)}
    while True:
        for descriptor, _ in poll.poll(-1, _BATCH):
            receive, send = pairs[descriptor]
            send(views[receive(buffer)])


def until_empty(sources: Sequence[socket.socket], sinks: Sequence[socket.socket]) -> None:
    """Receive and send until the socket is empty."""
    poll, views, buffer = _prepare(sources)
    pairs = {a.fileno(): (a.recv_into, b.send) for a, b in zip(sources, sinks, strict=True)}
    while True:
        for descriptor, _ in poll.poll(-1, _BATCH):
            receive, send = pairs[descriptor]
            try:
                while True:
                    send(views[receive(buffer)])
            except BlockingIOError:
                continue


LOOPS = (one_a_wake, until_empty)


def _prepare(sources: Sequence[socket.socket]) -> tuple[select.epoll, list[memoryview], bytearray]:
    poll = select.epoll()
    for source in sources:
        poll.register(source.fileno(), select.EPOLLIN)
    buffer = bytearray(2048)
    return poll, [memoryview(buffer)[:size] for size in range(2049)], buffer
