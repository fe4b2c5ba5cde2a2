"""300 Mbit/s in 64 calls: what is lost, and how much later a packet arrives through each road, in turns.

Beside the worker: plain kernel forwarding by a host of its own (``ip_forward=1``, nothing else), and rtpengine. A packet
bears the time when it was sent; when it came is the kernel's own stamp at the city's socket, so neither waits for a
process to be woken that is no part of the road.
"""

from __future__ import annotations

import os
import socket
import statistics
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from edge.lab import private
from tests.bench import figures, relay, road, rtpengine, traffic

CALLS, TURNS, BLOCK_PACKETS = 64, 9, 21_440
FORWARD = "kernel_forwarding"
_SO_TIMESTAMPNS = 35
_TIME = struct.Struct("@qq")
_BUFFER_BYTES = 8 << 20


@dataclass(slots=True)
class Road:
    """Where packets go in, and what arrived of them; microseconds, one each turn."""

    generator: traffic.Generator
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    arrived: int = 0
    cpu_us: float = 0.0


@dataclass(frozen=True, slots=True)
class Sink:
    """A sink that notes how long each packet was under way, in a process of its own."""

    pid: int
    port: int
    tally: socket.socket

    def take(self) -> list[float]:
        """Return microseconds of each packet since it was last asked: p50, p99, and how many came."""
        self.tally.send(b"?")
        return list(struct.unpack("!3d", self.tally.recv(24)))


@contextmanager
def _sink() -> Iterator[Sink]:
    receiver = road.udp(road.CITY, "0.0.0.0", _BUFFER_BYTES)
    receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(30)
    pid = traffic.child(lambda: _note(receiver, theirs), traffic.OTHERS)
    theirs.close()
    port = receiver.getsockname()[1]
    receiver.close()
    try:
        yield Sink(pid, port, ours)
    finally:
        traffic.stop(pid)
        ours.close()


def _note(receiver: socket.socket, tally: socket.socket) -> None:
    receiver.settimeout(0.05)
    tally.setblocking(False)
    under_way: list[int] = []
    while True:
        try:
            data, ancillary, _, _ = receiver.recvmsg(2048, 64)
            seconds, nanoseconds = _TIME.unpack(ancillary[0][2])
            under_way.append(seconds * 1_000_000_000 + nanoseconds - int.from_bytes(data[-8:], "little"))
        except TimeoutError:
            try:
                tally.recv(1)
            except BlockingIOError:
                continue
            under_way.sort()
            count = len(under_way)
            p50, p99 = (under_way[count // 2], under_way[count * 99 // 100]) if count else (0, 0)
            tally.send(struct.pack("!3d", p50 / 1000, p99 / 1000, count))
            under_way.clear()


def measure() -> dict[str, Any]:
    """Measure all roads that there are; the shape of ``build/bench.json`` under ``relay.delay``."""
    relay.raise_limits()
    found: dict[str, Any] = {"calls": CALLS, "mbit": round(traffic.RATE * traffic.PACKET_BYTES * 8 / 1e6)}
    with road.roads(), _sink() as sink, ExitStack() as open_:
        roads = _roads(sink, open_)
        for one in roads.values():
            one.generator.warm()
            one.generator.sent = 0
        sink.take()
        began, spent = traffic.cpu_ns(sink.pid), traffic.cpu_ns(os.getpid())
        for turn in range(TURNS):
            for name in roads if turn % 2 else reversed(roads):
                _turn(roads[name], sink)
        sent = sum(one.generator.sent for one in roads.values())
        found["sink_us"] = round((traffic.cpu_ns(sink.pid) - began) / 1000 / sent, 2)
        found["generator_us"] = round((traffic.cpu_ns(os.getpid()) - spent) / 1000 / sent, 2)
    plain = roads[FORWARD]
    for name, one in roads.items():
        found[name] = {
            "lost": one.generator.sent - one.arrived,
            "sent": one.generator.sent,
            "p50_us": round(statistics.median(one.p50), 1),
            "p99_us": round(statistics.median(one.p99), 1),
            "added_p50_us": round(statistics.median(a - b for a, b in zip(one.p50, plain.p50, strict=True)), 1),
        }
    if rtpengine.is_there():
        found["p50_ratio_to_rtpengine"] = relay.ratio(roads[relay.RELAY].p50, roads[relay.RTPENGINE].p50)
    else:
        found[relay.RTPENGINE] = found["p50_ratio_to_rtpengine"] = relay.ABSENT
    return found


def _roads(sink: Sink, open_: ExitStack) -> dict[str, Road]:
    """Return the roads, all open: calls through the worker and its peer, and straight on through the router."""
    names = [relay.RELAY, *([relay.RTPENGINE] if rtpengine.is_there() else [])]
    found = {}
    for name in names:
        one = open_.enter_context(relay.contender(name, CALLS, (road.CITY_ADDRESS, sink.port)))
        found[name] = Road(one.generator(traffic.SPREAD))
    plain = open_.enter_context(road.udp(road.CAMERA, "0.0.0.0"))
    found[FORWARD] = Road(traffic.Generator(plain, [(road.CITY_BY_ROAD, sink.port)] * CALLS, traffic.SPREAD))
    return found


def _turn(one: Road, sink: Sink) -> None:
    one.generator.send(BLOCK_PACKETS, traffic.RATE, stamped=True)
    p50, p99, count = sink.take()
    one.p50.append(p50)
    one.p99.append(p99)
    one.arrived += int(count)


def table(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    lines = [f"{found['mbit']} Mbit/s in {found['calls']} calls{'lost':>12}{'p50':>12}{'p99':>12}{'added p50':>14}"]
    for name in (relay.RELAY, relay.RTPENGINE, FORWARD):
        row = found[name]
        if isinstance(row, str):
            lines.append(f"  {name:<24}{row}")
            continue
        lines.append(
            f"  {name:<24}{row['lost']:>6} of {row['sent']:<8}{row['p50_us']:>8.1f} us{row['p99_us']:>9.1f} us"
            f"{row['added_p50_us']:>11.1f} us"
        )
    return [
        *lines,
        f"  generator {found['generator_us']} us of CPU a packet, sink {found['sink_us']} us, on one processor;"
        " the relay on the other",
    ]


def broken(found: dict[str, Any]) -> list[str]:
    """Return the keys that exceed their limits: nothing may be lost."""
    return ["relay.delay.relay.lost"] if found[relay.RELAY]["lost"] else []


def main() -> int:
    """Measure, print, and write beside the other figures; 1 when a packet was lost."""
    found = measure()
    figures.show(table(found))
    figures.write("relay", {"delay": found})
    return figures.verdict(broken(found))


if __name__ == "__main__":
    sys.exit(main() if private.is_inside() else private.run_inside("tests.bench.delay"))
