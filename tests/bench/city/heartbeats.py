"""Heartbeats of 2,000 sites at a registry on SQLite: a second, and how long one waits for its answer.

*paced*: each site once a minute, as its agent does, for a while. *resumed*: as many as can be, each by a connection of its own
that goes on with the last one's TLS session, as the product's agent does. *whole*: with a whole handshake each, as after a
restart of the server. *kept*: by connections that stay, which the product's agent does not do.
"""

from __future__ import annotations

import os
import random
import sys
from typing import Any

from tests.bench.city import boxes, figures
from tests.bench.city.boxes import Mode
from tests.bench.city.host import Host, host
from tests.bench.city.paced import paced, saturated

SITES, SECONDS = 2000, 15.0
MODES: tuple[Mode, ...] = ("resumed", "whole", "kept")
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
        found["paced"] = boxes.run(city, [plan], THREADS, greet=True).told()
        for mode in MODES:
            number = THREADS if mode == "kept" else sites
            found[mode] = saturated(city, number, seconds, THREADS, mode=mode).told()
            figures.note(f"{mode}: {found[mode]['per_second']} a second")
    found["heartbeats_lost"] = sum(found[name]["lost"] for name in ("paced", *MODES))
    found["sites_at_one_a_minute"] = int(60 * found["resumed"]["per_second"])
    found["generator"] = (
        "shares the two cores with the server and is as much of a bottleneck as it: what the server's CPU for each heartbeat "
        "would allow if the cores were its own stands in server_alone_per_second"
    )
    alone = (
        (os.cpu_count() or 1) * 1000 / found["resumed"]["api_cpu_ms_each"] if found["resumed"]["api_cpu_ms_each"] else 0
    )
    return found | {"server_alone_per_second": round(alone)}


def warm(city: Host, sites: int) -> None:
    """Have libraries loaded and statements prepared before anything is measured."""
    boxes.run(city, [[(0.0, 1 + at % sites, 1) for at in range(min(100, 2 * sites))]], 8)


LIMITS = (figures.Limit("heartbeats_lost", most=0),)

if __name__ == "__main__":
    sys.exit(figures.measured("heartbeats", SHARES, LIMITS, measure))
