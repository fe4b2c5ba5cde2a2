"""The relay worker beside its peers: CPU a packet in the same run, in short turns, medians.

The worker is the product's own, with its filter loaded and every packet checked and rebuilt. Beside it stand the same
worker without inspection, Debian's rtpengine in user space, and two bare loops that look at nothing; all get the same
300 Mbit/s. They stand ready at once and get a block of packets in turn, so that whoever else keeps the machine busy
disturbs all alike: a ratio is the median of the turns' ratios. Processor time is that of the contender's own threads.
"""

from __future__ import annotations

import math
import os
import resource
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.ferry import relay, seccomp
from edge.lab import private
from edge.rtp.inspection import PsInspection
from tests.bench import bare, figures, road, rtpengine, traffic

CALLS = (1, 64, 1000)
ROUNDS, TURNS, BLOCK_PACKETS = 2, 3, 10_700
#: What comes before a turn and is not measured. The worker finds out by its reports, twice a second, how busy it is.
RUN_IN_PACKETS, WORKER_RUN_IN_PACKETS = 2_000, 16_000
LATE_SECONDS, MOST_LOST = 0.5, 0.01
#: Beside rtpengine by number of calls, and with inspection beside without.
LIMITS = {1: 1.1, 64: 1.0, 1000: 0.85}
INSPECTION_LIMIT, BARE_LIMIT = 2.0, 1.35
RELAY, UNSEEN, RTPENGINE = "relay", "relay_uninspected", "rtpengine"
BARE = tuple(loop.__name__ for loop in bare.LOOPS)
ABSENT, LOST = figures.absent(RTPENGINE), "not measured: every turn lost packets"
_BUFFER_BYTES = 4 << 20


@dataclass(slots=True)
class Contender:
    """Who stands ready between camera and city, where its packets go in, and how that is asked for anew."""

    pids: list[int]
    sender: socket.socket
    targets: list[tuple[str, int]]
    anew: Callable[[], list[tuple[str, int]]] = list
    run_in_packets: int = RUN_IN_PACKETS

    def generator(self, pattern: traffic.Pattern) -> traffic.Generator:
        return traffic.Generator(self.sender, self.targets, pattern)

    def cpu_ns(self) -> int:
        return sum(map(traffic.cpu_ns, self.pids))


class Unseen(PsInspection):
    """Inspection that is off: every packet goes on."""

    def take(self, data: bytearray, start: int, end: int, marker: bool, gap: bool) -> None:
        self.left = 1 << 29


# -- contenders ------------------------------------------------------------------------------------------------------


@contextmanager
def contender(name: str, calls: int, sink: tuple[str, int], workers: int = 1) -> Iterator[Contender]:
    """Let one stand ready for so many calls that end at ``sink``."""
    sender = road.udp(road.CAMERA, road.CAMERA_ADDRESS)
    with ExitStack() as open_:
        open_.enter_context(sender)
        if name == RTPENGINE:
            log = Path("/run/rtpengine.log")
            core = traffic.core(traffic.MEASURED)
            daemon = open_.enter_context(rtpengine.daemon(road.BOX, road.BOX_ADDRESS, core, log))
            peer = sender.getsockname()

            def targets() -> list[tuple[str, int]]:
                ports = [daemon.open_call(peer, sink, traffic.PAYLOAD_TYPE) for _ in range(calls)]
                return [(road.BOX_ADDRESS, port) for port in ports]

            yield Contender([daemon.pid], sender, targets(), targets)
            return
        sources, sinks = _sockets(sender.getsockname(), calls, sink)
        ports = [opened.getsockname() for opened in sources]
        pids = []
        for at in range(workers):
            core = (traffic.MEASURED, traffic.OTHERS)[at % 2]
            pid = _start(name, sources, sinks, range(at, calls, workers), core, open_)
            open_.callback(traffic.stop, pid)
            pids.append(pid)
        for opened in (*sources, *sinks):
            opened.close()  # whom they are for has them by now
        run_in = RUN_IN_PACKETS if name in BARE else WORKER_RUN_IN_PACKETS
        yield Contender(pids, sender, ports, run_in_packets=run_in)


def _sockets(peer: tuple[str, int], calls: int, sink: tuple[str, int]) -> tuple[list[socket.socket], ...]:
    """Return the box's sockets, connected as the sides connect them."""
    sources = [road.udp(road.BOX, road.BOX_ADDRESS, max(_BUFFER_BYTES // calls, 1 << 18)) for _ in range(calls)]
    sinks = [road.udp(road.BOX, road.BOX_OUT_ADDRESS) for _ in range(calls)]
    for opened, other in (*((each, peer) for each in sources), *((each, sink) for each in sinks)):
        opened.connect(other)
        opened.setblocking(False)
    return sources, sinks


def _start(
    name: str, sources: list[socket.socket], sinks: list[socket.socket], own: range, core: int, open_: ExitStack
) -> int:
    """Start one process for the calls of ``own``, and return when it has taken them."""
    if name in BARE:
        loop = bare.LOOPS[BARE.index(name)]
        return traffic.child(lambda: loop([sources[at] for at in own], [sinks[at] for at in own]), core)
    return start_worker(sources, sinks, own, core, open_, unseen=name == UNSEEN)


def start_worker(
    sources: Sequence[socket.socket], sinks: Sequence[socket.socket], own: range, core: int, open_: ExitStack,
    unseen: bool = False, prefix: int = 0,
) -> int:  # fmt: skip
    """Start the product's worker for the calls of ``own``; ``prefix`` as ``relay.open_stream`` has it."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = traffic.child(_work(theirs, control, unseen), core)
    theirs.close()
    open_.callback(control.close)
    for at in own:
        ssrc = traffic.SSRC_BASE + at
        relay.open_stream(control, at, [sources[at].fileno()], ssrc, traffic.PAYLOAD_TYPE, prefix, "ps", {0xE0: 0x1B})
        relay.join(control, at, at, [sinks[at].fileno()], relay.Stamp(at, 98, 7, 7, traffic.PACKET_BYTES))
    control.settimeout(30)
    taken: set[int] = set()
    while len(taken) < len(own):
        taken |= {told.call for told in relay.reports(control.recv(1 << 17)) if isinstance(told, relay.ViewerTold)}
    control.setblocking(False)
    return pid


def _work(theirs: socket.socket, ours: socket.socket, unseen: bool) -> Callable[[], None]:
    """Return the product's worker, under both its filters."""

    def work() -> None:
        ours.close()
        beat = (os.open(os.devnull, os.O_WRONLY), 0)  # nobody listens whether this one hangs
        seccomp.load_nursery()
        if unseen:
            vars(relay)["PsInspection"] = Unseen
        relay.live(theirs, beat, seccomp.load_worker)

    return work


# -- the measurement -------------------------------------------------------------------------------------------------


def measure() -> dict[str, Any]:
    """Measure all; the shape of ``build/bench.json`` under ``relay.udp``."""
    raise_limits()
    found: dict[str, Any] = {}
    with road.roads():
        for calls in CALLS:
            rows = {pattern.name: beside(calls, pattern) for pattern in traffic.patterns(calls)}
            found[str(calls)] = _summed(calls, rows)
    return found


def raise_limits() -> None:
    """Have as many descriptors as a thousand calls need."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _summed(calls: int, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the worst of each ratio over the patterns, its limit, and the rows."""
    limits = {"ratio_to_rtpengine": LIMITS[calls], "inspection_ratio": INSPECTION_LIMIT, "ratio_to_bare": BARE_LIMIT}
    return {**{key: worst(row[key] for row in rows.values()) for key in limits}, "limits": limits, **rows}


def beside(calls: int, pattern: traffic.Pattern) -> dict[str, Any]:
    """Return what each contender costs, and the ratios, for one number of calls and one pattern of packets.

    Each round has fresh processes: where a process' memory happens to lie makes a difference of some hundredths.
    """
    names = [RELAY, UNSEEN, *BARE, *([RTPENGINE] if rtpengine.is_there() else [])]
    costs: dict[str, list[float]] = {name: [] for name in names}
    sent, came = Counter[str](), Counter[str]()
    for _ in range(ROUNDS):
        with ExitStack() as open_:
            bottomless = open_.enter_context(road.bottomless())
            sink = (road.CITY_ADDRESS, bottomless.getsockname()[1])
            ready = {name: open_.enter_context(contender(name, calls, sink)) for name in names}
            generators = {name: one.generator(pattern) for name, one in ready.items()}
            for generator in generators.values():
                generator.warm()
            for number in range(TURNS):
                for name in names if number % 2 else reversed(names):
                    cost, arrived = turn(ready[name], generators[name])
                    costs[name].append(cost)
                    sent[name] += BLOCK_PACKETS
                    came[name] += arrived
                    if name == RTPENGINE and math.isnan(cost):
                        generators[name] = _again(ready[name], pattern)
    facts: dict[str, Any] = {
        name: {"us": middle(cost), "lost": max(0.0, round(1 - came[name] / sent[name], 5))}
        for name, cost in costs.items()
    }
    peer = costs.get(RTPENGINE)
    return facts | {
        "ratio_to_rtpengine": ratio(costs[RELAY], peer) if peer else ABSENT,
        "uninspected_ratio_to_rtpengine": ratio(costs[UNSEEN], peer) if peer else ABSENT,
        "inspection_ratio": ratio(costs[RELAY], costs[UNSEEN]),
        "ratio_to_bare": worst(ratio(costs[RELAY], costs[name]) for name in BARE),
    }


def _again(one: Contender, pattern: traffic.Pattern) -> traffic.Generator:
    """Open calls anew: rtpengine 10.5 never reads a call again whose queue was once full (see ``rates``)."""
    one.targets = one.anew()
    generator = one.generator(pattern)
    generator.warm()
    return generator


def turn(one: Contender, generator: traffic.Generator) -> tuple[float, int]:
    """Let one have its turn, and wait until all of it has arrived; what is still missing then is lost.

    Returns microseconds a packet, and how many came. A turn that lost more than a hundredth says nothing about costs
    (NaN): somebody else had the processor.
    """
    generator.send(one.run_in_packets, traffic.RATE)
    before, seen = one.cpu_ns(), road.arrived()
    generator.send(BLOCK_PACKETS, traffic.RATE)
    until = time.monotonic() + LATE_SECONDS
    while (came := road.arrived() - seen) < BLOCK_PACKETS and time.monotonic() < until:
        time.sleep(0.005)
    cost = (one.cpu_ns() - before) / 1000 / BLOCK_PACKETS
    return (cost if came > BLOCK_PACKETS * (1 - MOST_LOST) else math.nan), came


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | str:
    """Return the median of what we cost of theirs, over the turns that both have; words when there is none."""
    pairs = [mine / other for mine, other in zip(ours, theirs, strict=True) if not math.isnan(mine + other)]
    return round(statistics.median(pairs), 3) if pairs else LOST


def middle(turns: Sequence[float]) -> float | str:
    """Return the median over the turns that count; words when none does."""
    counted = [each for each in turns if not math.isnan(each)]
    return round(statistics.median(counted), 2) if counted else LOST


def worst(ratios: Iterable[float | str]) -> float | str:
    """Return the largest of what was measured, or why nothing was."""
    found = list(ratios)
    return max((each for each in found if not isinstance(each, str)), default=found[0])


# -- the table -------------------------------------------------------------------------------------------------------


def table(measured: dict[str, Any]) -> list[str]:
    """Return the lines of the relay's table."""
    names = (RELAY, UNSEEN, RTPENGINE, *BARE)
    lines = [f"us of CPU a packet at 300 Mbit/s{'':<4}" + "".join(f"{name:>19}" for name in names)]
    for calls, facts in measured.items():
        for pattern in (each.name for each in traffic.patterns(int(calls))):
            row = facts[pattern]
            cells = (f"{row[name]['us']:>11} {row[name]['lost']:>7.2%}" if name in row else "-" for name in names)
            lines.append(f"{calls:>8} calls, {pattern:<20}" + "".join(f"{cell:>19}" for cell in cells))
        for key, limit in facts["limits"].items():
            lines.append(f"{calls:>8} calls, {key:<20}{facts[key]!s:>19}   limit {limit}")
    return lines


def broken(measured: dict[str, Any]) -> list[str]:
    """Return the keys that exceed their limits."""
    return [
        f"relay.udp.{calls}.{key}"
        for calls, facts in measured.items()
        for key, limit in facts["limits"].items()
        if not isinstance(facts[key], str) and facts[key] > limit
    ]


def main() -> int:
    """Measure, print, and write beside the other figures; 1 when a limit is broken."""
    measured = measure()
    figures.show(table(measured))
    figures.write("relay", {"udp": measured})
    return figures.verdict(broken(measured))


if __name__ == "__main__":
    sys.exit(main() if private.is_inside() else private.run_inside("tests.bench.relay"))
