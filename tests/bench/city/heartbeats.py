"""Heartbeats of 2,000 sites at a registry on SQLite: a second, and how long one waits for its answer.

*paced*: each site once a minute, as its agent does, for a while. *dialled*: as many as can be, each by a connection of its
own as the product's agent does. *kept*: as many as can be by connections that stay, which the product's agent does not do.
"""

from __future__ import annotations

import random
import sys
from typing import Any

from tests.bench.city import boxes, figures
from tests.bench.city.host import Host, host
from tests.bench.city.paced import paced, saturated

SITES, SECONDS = 2000, 20.0
#: Sockets at once, when as many reports as possible come.
THREADS = 16
SHARES = "the generator of heartbeats, whose own CPU stands beside each figure; the server's two processes, its signing process"


def measure(sites: int = SITES, seconds: float = SECONDS) -> dict[str, Any]:
    """Return the figures."""
    found: dict[str, Any] = {"sites": sites, "database": "sqlite", "agent_dials": boxes.AGENT}
    chance = random.Random(1)
    with host(sites) as city, city.serving():
        warm(city, sites)
        rate = sites / 60
        plan = paced(rate, seconds, sites, chance)
        found["paced"] = cost(city, lambda: boxes.run(city, [plan], THREADS))
        figures.note("paced")
        found["dialled"] = cost(city, lambda: saturated(city, sites, seconds, THREADS))
        figures.note("dialled")
        found["kept"] = cost(city, lambda: saturated(city, THREADS, seconds, THREADS, kept=True))
    found["heartbeats_lost"] = sum(found[name]["lost"] for name in ("paced", "dialled", "kept"))
    found["sites_at_one_a_minute"] = int(60 * found["dialled"]["per_second"])
    found["generator_is_bottleneck"] = (
        "shares the cores: dialled and kept are what server and generator reach together, less than the server alone"
    )
    return found


def warm(city: Host, sites: int) -> None:
    """Have libraries loaded and statements prepared before anything is measured."""
    boxes.run(city, [[(0.0, 1 + at % sites, 1) for at in range(min(100, 2 * sites))]], 8)


def cost(city: Host, run: Any) -> dict[str, Any]:
    """Return what came of a run, with the CPU that it took of each process of the city."""
    before = city.cpu()
    heard = run()
    after = city.cpu()
    each = {
        f"{name}_cpu_ms_each": round(1000 * (after[name] - before[name]) / max(1, heard.answered), 3) for name in after
    }
    told: dict[str, Any] = heard.told()
    return told | each


LIMITS = (figures.Limit("heartbeats_lost", most=0),)

if __name__ == "__main__":
    sys.exit(figures.measured("heartbeats", SHARES, LIMITS, measure))
