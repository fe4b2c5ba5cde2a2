"""The relay worker beside the bare loops: CPU a packet in the same run, alternating, medians.

The worker is the product's own, with its filter loaded and every packet checked and rebuilt. Beside it run two bare
loops; the cheaper one is the measure. Processor time is the process's own (schedstat), so that whoever else keeps the
machine busy disturbs both alike.
"""

from __future__ import annotations

import os
import socket
import statistics
from dataclasses import dataclass

from edge.ferry import relay, seccomp
from tests.bench import bare, traffic

CALLS = (1, 64, 1000)
ROUNDS, SECONDS, RATE = 5, 0.4, 20_000
LIMIT = 1.35
_RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one loop took in one round."""

    us_a_packet: float
    packets: int


def measure() -> dict[str, object]:
    """Measure all; the shape of ``build/bench.json`` under ``relay.udp``."""
    return {str(calls): _with(calls) for calls in CALLS}


def _with(calls: int) -> dict[str, object]:
    found = {pattern.name: _pattern(calls, pattern) for pattern in traffic.PATTERNS}
    return {"ratio": max(facts["ratio"] for facts in found.values()), "limit": LIMIT, **found}


def _pattern(calls: int, pattern: traffic.Pattern) -> dict[str, float]:
    costs: dict[str, list[Cost]] = {}
    for at in range(ROUNDS):
        kinds = [_RELAY, *(loop.__name__ for loop in bare.LOOPS)]
        for kind in kinds if at % 2 else reversed(kinds):
            costs.setdefault(kind, []).append(_round(kind, calls, pattern))
    medians = {kind: statistics.median(c.us_a_packet for c in rounds) for kind, rounds in costs.items()}
    best = min(value for kind, value in medians.items() if kind != _RELAY)
    sent = _packets(pattern) * ROUNDS
    lost = 1 - sum(cost.packets for cost in costs[_RELAY]) / sent
    return {
        "ratio": round(medians[_RELAY] / best, 3),
        "lost": round(lost, 4),
        **{f"{kind}_us": round(value, 2) for kind, value in medians.items()},
    }


def _packets(pattern: traffic.Pattern) -> int:
    return int(RATE * SECONDS) // pattern.frame_packets * pattern.frame_packets


def _round(kind: str, calls: int, pattern: traffic.Pattern) -> Cost:
    lines = traffic.lines(calls)
    cores = sorted(os.sched_getaffinity(0))
    tally, theirs = os.pipe()
    running = [traffic.child(traffic.receive, lines.receiver, theirs, core=cores[-1])]
    pid, control = _start_relay(lines) if kind == _RELAY else (_start_bare(kind, lines), None)
    running.append(pid)
    try:
        os.sched_setaffinity(pid, {cores[0]})
        ports = [source.getsockname()[1] for source in lines.sources]
        traffic.warm(lines.sender, ports)
        before = traffic.cpu_ns(pid)
        sender = traffic.child(traffic.send, lines.sender, ports, pattern, _packets(pattern), RATE, core=cores[-1])
        os.waitpid(sender, 0)
        packets = int.from_bytes(os.read(tally, 8), "big") - calls
        spent = traffic.cpu_ns(pid) - before
    finally:
        for process in running:
            traffic.stop(process)
        for opened in (tally, theirs):
            os.close(opened)
        if control is not None:
            control.close()
        lines.close()
    return Cost(spent / 1000 / max(packets, 1), packets)


def _start_bare(kind: str, lines: traffic.Lines) -> int:
    loop = {loop.__name__: loop for loop in bare.LOOPS}[kind]
    return traffic.child(loop, lines.sources, lines.sinks)


def _start_relay(lines: traffic.Lines) -> tuple[int, socket.socket]:
    """Start the product's worker with its filter, and return when it has taken all calls."""
    worker = relay.start_worker(seccomp.load_worker)
    os.set_blocking(worker.control.fileno(), True)
    for at, (source, sink) in enumerate(zip(lines.sources, lines.sinks, strict=True)):
        one, other = (traffic.SSRC_BASE + at, traffic.PAYLOAD_TYPE), (at, 98)
        relay.add(worker.control, at, (source.fileno(), sink.fileno()), one, other, (7, 7))
    known = 0
    while known < len(lines.sources):
        known = len(list(relay.reports(worker.control.recv(1 << 17))))
    return worker.pid, worker.control
