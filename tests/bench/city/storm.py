"""Ten thousand boxes whose registry went away and came back.

First by the agent's own word alone (``edge.agent.pace``, with a clock that is a number): when does each dial again, after an
outage that found them spread as they always are, and after one that found them in step, all in one second. Then for real: a
server that has just been started, and the dials of the worse of the two, at their own moments; who is not answered tries
again when the agent would. None may be lost.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from edge.agent import pace
from tests.bench.city import boxes, figures
from tests.bench.city.figures import Limit
from tests.bench.city.host import host

BOXES, INTERVAL = 10_000, 60.0
#: A box whose registry does not even refuse waits so long for it (``edge.agent.link``).
DEADLINE = 10.0
SHARES = "the generator of the dials, PostgreSQL, the server's two processes, its signing process"
LIMITS = (Limit("storm_spread_seconds", least=60.0), Limit("storm_lost", most=0))


def returns(count: int, away: tuple[float, float], first: Callable[[], float], chance: random.Random) -> list[float]:
    """Return when each box is heard again, in seconds after the registry is back; ``first``: when one dials first."""
    found = []
    for _ in range(count):
        at = first()
        while at < away[1]:
            lost = at >= away[0]
            waited = chance.choice((0.0, DEADLINE)) if lost else 0.0
            at += waited + pace.seconds(INTERVAL, heard=not lost, chance=chance.random)
        found.append(at - away[1])
    return sorted(found)


def spread(found: list[float]) -> dict[str, float]:
    """Return over how many seconds they come, all and all but one in a hundred at each end; and the busiest second."""
    inner = found[len(found) * 99 // 100] - found[len(found) // 100]
    return {
        "first_to_last_seconds": round(found[-1] - found[0], 1), "middle_98_percent_seconds": round(inner, 1),
        "most_in_a_second": max(Counter(map(int, found)).values()),
    }  # fmt: skip


def measure(count: int = BOXES, scale: float = 1.0) -> dict[str, Any]:
    """Return the figures; ``scale`` makes the real burst shorter (for a test)."""
    chance = random.Random(3)
    ways = {
        "spread_before_ten_minutes_away": returns(count, (600.0, 1200.0), lambda: chance.uniform(0, INTERVAL), chance),
        "spread_before_restart": returns(count, (600.0, 605.0), lambda: chance.uniform(0, INTERVAL), chance),
        "in_step_power_came_back": returns(count, (0.0, 1.0), lambda: chance.uniform(0, 0.999), chance),
    }
    found: dict[str, Any] = {
        "boxes": count,
        "by_the_agents_schedule": {name: spread(way) for name, way in ways.items()},
    }
    found["storm_spread_seconds"] = min(
        one["middle_98_percent_seconds"] for one in found["by_the_agents_schedule"].values()
    )
    worst = max(ways, key=lambda name: spread(ways[name])["most_in_a_second"])
    with host(count, "postgresql") as city, city.serving():
        figures.note("the registry is back")
        plan = [(max(0.001, at * scale), number + 1, 2) for number, at in enumerate(ways[worst])]
        chance.shuffle(plan)
        burst = boxes.run(city, [plan], 128, mode="whole", retry=True).told()
    return found | {"burst_of": worst, "burst": burst, "storm_lost": count - burst["answered"]}


if __name__ == "__main__":
    sys.exit(figures.measured("storm", SHARES, LIMITS, measure))
