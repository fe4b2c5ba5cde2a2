"""What one node carries on PostgreSQL, and how many such nodes a hundred thousand sites need.

A node is this machine: two cores, on which server, signing process and PostgreSQL run. First as many heartbeats as can be;
then nine tenths of that rate for a while, paced, which must be answered without loss and before the agent's deadline: that is
*sustained*. The generator works on the same two cores, so a node without it carries more; the plan is therefore made of the
CPU that a heartbeat costs, measured while the cores are full.
"""

from __future__ import annotations

import math
import os
import random
import sys
from typing import Any

from tests.bench.city import boxes, figures
from tests.bench.city.figures import Limit
from tests.bench.city.heartbeats import warm
from tests.bench.city.host import host
from tests.bench.city.paced import MOVED, paced, saturated

SITES, SECONDS, THREADS = 6000, 20.0, 16
#: Of them so many report, the more often: each has first been heard once, which takes a while.
REPORTING = 1500
#: Most of a node's CPU that a plan may use; the rest is for what persons and rollouts ask, and for one node less.
USED = 0.7
PLANNED_SITES = 100_000
SHARES = "the generator of heartbeats, PostgreSQL, the server's two processes, its signing process"
LIMITS = (Limit("nodes_for_100000", most=4), Limit("sustained_lost", most=0))


def measure(sites: int = SITES, reporting: int = REPORTING, seconds: float = SECONDS) -> dict[str, Any]:
    """Return the figures."""
    chance = random.Random(2)
    with host(sites, "postgresql") as city, city.serving():
        warm(city, sites)
        full = saturated(city, reporting, seconds, THREADS).told()
        figures.note(f"saturated: {full['per_second']} a second")
        plan = paced(0.9 * full["per_second"], seconds, reporting, chance)
        sustained = boxes.run(city, [plan], 4 * THREADS, greet=True).told()
        figures.note(f"sustained: {sustained['per_second']} a second, 99 of 100 within {sustained['p99_ms']} ms")
        whole = saturated(city, reporting, seconds / 2, THREADS, mode="whole").told()
    found = {"sites": sites, "database": "postgresql", "agent_dials": boxes.AGENT, "saturated": full}
    found |= {"sustained": sustained, "whole_handshakes": whole, "sustained_lost": sustained["lost"]}
    found["sites_carried"] = int(60 * sustained["per_second"])
    return found | planned(sustained) | {"plan_if_no_session_were_resumed": planned(whole)["plan"]["nodes"]}


def planned(measured: dict[str, Any]) -> dict[str, Any]:
    """Return the plan for a hundred thousand sites, and what it rests on."""
    cores = os.cpu_count() or 1
    rate = PLANNED_SITES / 60
    api = rate * (measured["api_cpu_ms_each"] + measured["signing_cpu_ms_each"]) / 1000
    database = rate * measured["database_cpu_ms_each"] / 1000
    room = USED * cores
    return {
        "nodes_for_100000": math.ceil((api + database) / room),
        "plan": {
            "heartbeats_per_second": round(rate), "cores_for_api": round(api, 2), "cores_for_database": round(database, 2),
            "cores_of_a_node": cores, "part_of_a_node_used": USED, "nodes": round((api + database) / room, 2),
            "database_fits_one_node": database <= room,
            "assumes": f"nodes of {cores} cores like these, {USED:.0%} of their CPU used; stateless server processes on all of "
            "them, PostgreSQL on one, which takes as many fewer heartbeats; a balancer of TCP connections that leads a box to "
            f"the same node, so that its TLS session is resumed; {MOVED:.0%} of the heartbeats bring new receipts; CPU of a "
            "heartbeat as measured here, beside its generator and whatever else ran",
        },
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(figures.measured("node", SHARES, LIMITS, measure))
