"""The highest offered rate of which less than 0.1 % is lost, found by halving, for one and two workers and their peers.

The limit beside them is kernel forwarding by a plain router (``ip_forward=1``): C that copies nothing and looks at
nothing. On a veth pair its work is done by whoever sends, so it has no processor of its own and what it reaches is also
the generator's own limit. A second worker shares the generator's processor where there are only two.

rtpengine 10.5 gets fresh calls for each trial: it reads at most 50 packets a wake from an edge-triggered poll, and a call
whose queue once was fuller than that is never read again.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from edge.lab import private
from tests.bench import figures, relay, road, rtpengine, traffic

CALLS, ROUNDS = 64, 3
#: Packets a second; so many halvings leave less than a hundredth of the first between them.
LOWEST, HIGHEST, STEPS = 20_000, 420_000, 6
TRIAL_SECONDS, TRIES = 0.3, 2
MOST_LOST = 0.001
#: A generator that comes no nearer to what is asked of it is itself the limit.
NEAR = 0.95
FORWARD, TWO, CORES = "kernel_forwarding", "relay_two_workers", "processors"


@dataclass(frozen=True, slots=True)
class Trial:
    """One rate, and what became of it; ``generator`` and ``own`` are shares of a processor."""

    rate: float
    lost: float
    generator: float
    own: float
    reached: bool


@dataclass(frozen=True, slots=True)
class Entrant:
    """Whose rate is looked for: no process when it is the kernel."""

    generator: traffic.Generator
    one: relay.Contender | None


#: Lends an entrant for one trial.
Lender = Callable[[], AbstractContextManager[Entrant]]


def measure() -> dict[str, Any]:
    """Measure all that there are; the shape of ``build/bench.json`` under ``relay.rates``."""
    relay.raise_limits()
    found: dict[str, Any] = {"calls": CALLS, CORES: os.cpu_count(), "sink": "no processor: refused by a socket filter"}
    with road.roads(), ExitStack() as open_:
        entrants = _entrants(open_)
        trials: dict[str, list[Trial]] = {name: [] for name in entrants}
        for turn in range(ROUNDS):
            for name in entrants if turn % 2 else reversed(entrants):
                trials[name].append(_highest(entrants[name]))
    for name, best in trials.items():
        found[name] = {
            "packets_a_second": round(statistics.median(each.rate for each in best)),
            "mbit": round(statistics.median(each.rate for each in best) * traffic.PACKET_BYTES * 8 / 1e6),
            "generator_cpu": round(statistics.median(each.generator for each in best), 2),
            "own_cpu": round(statistics.median(each.own for each in best), 2),
            "bound_by_generator": sum(not each.reached for each in best) > ROUNDS // 2,
            "rounds": [round(each.rate) for each in best],
        }
    if rtpengine.is_there():
        rates = [[each.rate for each in trials[name]] for name in (relay.RELAY, relay.RTPENGINE)]
        found["rate_ratio_to_rtpengine"] = relay.ratio(*rates)
    else:
        found[relay.RTPENGINE] = found["rate_ratio_to_rtpengine"] = relay.ABSENT
    return found


def _entrants(open_: ExitStack) -> dict[str, Lender]:
    bottomless = open_.enter_context(road.bottomless())
    port = bottomless.getsockname()[1]
    found: dict[str, Lender] = {}
    for name, kind, workers in ((relay.RELAY,) * 2 + (1,), (TWO, relay.RELAY, 2), (relay.BARE[0],) * 2 + (1,)):
        found[name] = _standing(open_.enter_context(_ready(kind, port, workers)))
    if rtpengine.is_there():
        found[relay.RTPENGINE] = lambda: _ready(relay.RTPENGINE, port)
    plain = open_.enter_context(road.udp(road.CAMERA, "0.0.0.0"))
    targets = [(road.CITY_BY_ROAD, port)] * CALLS
    found[FORWARD] = _standing(Entrant(traffic.Generator(plain, targets, traffic.SPREAD), None))
    return found


@contextmanager
def _ready(kind: str, port: int, workers: int = 1) -> Iterator[Entrant]:
    with relay.contender(kind, CALLS, (road.CITY_ADDRESS, port), workers) as one:
        entrant = Entrant(one.generator(traffic.SPREAD), one)
        entrant.generator.warm()
        yield entrant


def _standing(entrant: Entrant) -> Lender:
    @contextmanager
    def lend() -> Iterator[Entrant]:
        yield entrant

    return lend


def _highest(lend: Lender) -> Trial:
    """Halve between what passes and what does not; return the highest trial that passed.

    A trial that lost has another try: whoever else uses this machine may have had the processor.
    """
    low, high = LOWEST, HIGHEST
    best = Trial(0.0, 1.0, 0.0, 0.0, True)
    for _ in range(STEPS):
        rate = (low + high) // 2
        tried = next((t for t in (_trial(lend, rate) for _ in range(TRIES)) if t.lost < MOST_LOST), None)
        if tried is not None and tried.rate > best.rate:
            best = tried
        if tried is not None and tried.reached:
            low = rate
        else:
            high = rate  # it loses, or no more can be offered
    return best


def _trial(lend: Lender, rate: int) -> Trial:
    packets = int(rate * TRIAL_SECONDS)
    with lend() as entrant:
        generator, one = entrant.generator, entrant.one
        seen, spent, cpu = road.arrived(), generator.cpu_seconds, one.cpu_ns() if one else 0
        seconds = generator.send(packets, rate)
        own = ((one.cpu_ns() - cpu) / 1e9 if one else 0.0) / seconds
        lost = max(0.0, 1 - (road.arrived() - seen) / packets)
        reached = packets / seconds > rate * NEAR
        return Trial(packets / seconds, lost, (generator.cpu_seconds - spent) / seconds, own, reached)


def table(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    lines = [
        f"most with < {MOST_LOST:.1%} lost, {CALLS} calls {'packets/s':>10}{'Mbit/s':>9}{'own CPU':>9}{'generator':>11}"
    ]
    for name in (relay.RELAY, TWO, relay.RTPENGINE, relay.BARE[0], FORWARD):
        row = found[name]
        if isinstance(row, str):
            lines.append(f"  {name:<28}{row}")
            continue
        bound = "   the generator gives no more" if row["bound_by_generator"] else ""
        lines.append(
            f"  {name:<28}{row['packets_a_second']:>10}{row['mbit']:>9}{row['own_cpu']:>9.0%}{row['generator_cpu']:>11.0%}"
            f"{bound}"
        )
    return [
        *lines,
        f"  {found[CORES]} processors: one worker has the first, generator and second worker the last; the sink: none",
        f"  relay's rate of rtpengine's: {found['rate_ratio_to_rtpengine']}",
    ]


def main() -> int:
    """Measure, print, and write beside the other figures."""
    found = measure()
    figures.show(table(found))
    figures.write("relay", {"rates": found})
    return 0


if __name__ == "__main__":
    sys.exit(main() if private.is_inside() else private.run_inside("tests.bench.rates"))
