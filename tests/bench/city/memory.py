"""Memory of the server's processes as more and more sites have reported, and of a concentrator's agent as it has more sites.

PSS: what processes share is counted once. The server keeps nothing of a site longer than a second, so that its memory does
not grow with the sites; a concentrator has all its sites at hand, each a key, an address and a preshared key.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from city.registry import peers
from edge.lab import private
from edge.lab.street import eventually
from tests.bench.city import boxes, figures, hub
from tests.bench.city.figures import Limit
from tests.bench.city.host import host, pss_mb
from tests.hubworld import World

STEPS = (500, 1000, 2000, 4000)
SHARES = "the generator of heartbeats while it reports; then a concentrator's wireguard-go"
#: Flat: of a hundred thousand sites the server would grow by less than a gibibyte and a half, on four nodes.
LIMITS = (Limit("api_mb_per_1000_sites", most=4.0), Limit("agent_mb_per_1000_sites", most=8.0))


def slope(points: list[tuple[int, float]]) -> float:
    """Return by how much y grows with a thousand x: the line of least squares."""
    middle = sum(x for x, _ in points) / len(points)
    across = sum((x - middle) ** 2 for x, _ in points)
    return round(1000 * sum((x - middle) * y for x, y in points) / across, 3)


def server(steps: tuple[int, ...]) -> list[tuple[int, float]]:
    """Return (sites that have reported, MB of the server's processes together)."""
    found = []
    with host(steps[-1]) as city, city.serving():
        # As often as makes every thread of every process, and what it keeps, be there before the first figure.
        boxes.run(city, [[(0.0, 1 + at % steps[0], 1) for at in range(2 * steps[0])]], 16)
        for before, after in itertools.pairwise((0, *steps)):
            boxes.run(city, [[(0.0, at + 1, 1) for at in range(before, after)]], 16)
            time.sleep(2.0)
            found.append((after, pss_mb(city.server())))
            figures.note(f"server: {found[-1]}")
    return found


def agent(steps: tuple[int, ...]) -> list[tuple[int, float]]:
    """Return (peers, MB of the concentrator's agent), each with an agent that has just read its snapshot."""
    found = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        world = World(Path(folder), network="100.64.0.0/18")
        try:
            for before, after in itertools.pairwise((0, *steps)):
                world.kill_agent()
                hub.fill(world, after, before)
                (Path(folder) / "state" / "snapshot.json").unlink(missing_ok=True)
                world.start_agent()
                eventually(lambda after=after: len(hub.dumped().peers) >= after, 120, "all peers")  # type: ignore[misc]
                time.sleep(2.0)
                assert world.agent is not None
                found.append((after, pss_mb([world.agent.pid])))
                figures.note(f"agent: {found[-1]}")
            with world.store.read() as session:
                assert len(peers.snapshot(session, "hub-a")[1]) >= steps[-1]
        finally:
            world.close()
    return found


def measure(steps: tuple[int, ...] = STEPS) -> dict[str, Any]:
    """Return the figures."""
    api, hubs = server(steps), agent(steps)
    return {
        "api_mb": dict(api), "api_mb_per_1000_sites": slope(api), "agent_mb": dict(hubs),
        "agent_mb_per_1000_sites": slope(hubs),
        "bound": "server: <= 4 MB for each 1,000 sites, all its processes together; agent: <= 8 MB",
    }  # fmt: skip


if __name__ == "__main__":
    if private.is_inside():
        sys.exit(figures.measured("memory", SHARES, LIMITS, measure))
    sys.exit(private.run_inside("tests.bench.city.memory"))
