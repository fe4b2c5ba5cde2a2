"""The relay worker beside bare loops: CPU a packet in the same run, in short turns, medians.

The worker is the product's own, with its filter loaded and every packet checked and rebuilt. Beside it live two bare
loops; the cheaper one is the measure. All three stand ready at once and get a block of packets in turn, so that
whoever else keeps the machine busy disturbs all alike. Processor time is the process's own (schedstat).
"""

from __future__ import annotations

import os
import resource
import socket
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from edge.ferry import relay, seccomp
from tests.bench import bare, traffic

CALLS = (1, 64, 1000)
TURNS, BLOCK_PACKETS, RATE = 15, 2100, 21_000
LIMIT, MOST_LOST = 1.35, 0.01
_RELAY = "relay"


@dataclass(slots=True)
class Contender:
    """A loop that stands ready, where its packets go in, and what each block cost."""

    pid: int
    sender: traffic.Sender
    us_a_packet: list[float] = field(default_factory=list)


def measure() -> dict[str, object]:
    """Measure all; the shape of ``build/bench.json`` under ``relay.udp``."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    found: dict[str, object] = {}
    for calls in CALLS:
        patterns = {pattern.name: beside(calls, pattern) for pattern in traffic.PATTERNS}
        found[str(calls)] = {"ratio": max(p["ratio"] for p in patterns.values()), "limit": LIMIT, **patterns}
    return found


def beside(calls: int, pattern: traffic.Pattern) -> dict[str, float]:
    """Return the relay's cost beside the bare loops', for one number of calls and one pattern of packets."""
    with ExitStack() as open_:
        sink = open_.enter_context(traffic.sink())
        names = [_RELAY, *(loop.__name__ for loop in bare.LOOPS)]
        contenders = {name: open_.enter_context(_contender(name, calls, sink)) for name in names}
        for turn in range(TURNS):
            for name in names if turn % 2 else reversed(names):
                one = contenders[name]
                before = traffic.cpu_ns(one.pid)
                one.sender.send(pattern, BLOCK_PACKETS, RATE)
                one.us_a_packet.append((traffic.cpu_ns(one.pid) - before) / 1000 / BLOCK_PACKETS)
        sent = len(names) * (TURNS * BLOCK_PACKETS + calls)
        lost = 1 - sink.count() / sent
    cost = {name: statistics.median(one.us_a_packet) for name, one in contenders.items()}
    best = min(value for name, value in cost.items() if name != _RELAY)
    facts = {"ratio": round(cost[_RELAY] / best, 3), "lost": round(lost, 4)}
    return facts | {f"{name}_us": round(value, 2) for name, value in cost.items()}


@contextmanager
def _contender(name: str, calls: int, sink: traffic.Sink) -> Iterator[Contender]:
    lines = traffic.lines(calls, sink.address)
    control = None
    if name == _RELAY:
        pid, control = _relay(lines)
    else:
        loop = {loop.__name__: loop for loop in bare.LOOPS}[name]
        pid = traffic.child(lambda: loop(lines.sources, lines.sinks), core=traffic.MEASURED)
    try:
        lines.hand_over()
        sender = traffic.Sender(lines)
        sender.warm()
        yield Contender(pid, sender)
    finally:
        traffic.stop(pid)
        if control is not None:
            control.close()
        lines.sender.close()


def _relay(lines: traffic.Lines) -> tuple[int, socket.socket]:
    """Start the product's worker under both its filters, and return when it has taken all calls."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def work() -> None:
        control.close()
        beat = (os.open(os.devnull, os.O_WRONLY), 0)  # nobody listens whether this one hangs
        seccomp.load_nursery()
        relay.live(theirs, beat, seccomp.load_worker)

    pid = traffic.child(work, traffic.MEASURED)
    theirs.close()
    for at, (source, sink) in enumerate(zip(lines.sources, lines.sinks, strict=True)):
        relay.open_stream(control, at, source.fileno(), traffic.SSRC_BASE + at, traffic.PAYLOAD_TYPE, 0, {0xE0: 0x1B})
        relay.join(control, at, at, sink.fileno(), relay.Stamp(at, 98, 7, 7, 1400))
    taken: set[int] = set()
    while len(taken) < len(lines.sources):
        taken |= {told.call for told in relay.reports(control.recv(1 << 17)) if isinstance(told, relay.ViewerTold)}
    control.setblocking(False)
    return pid, control
