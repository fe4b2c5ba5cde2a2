"""From the second person's word to the tunnel: three real boxes of ``make demo-city``'s lab, each of which has waited for a while.

The clock starts when the console is told "approve", and stops when a concentrator's WireGuard has a session with the box: it
has answered the box's first handshake, and has heard the box by it. How long a box has waited matters: it asks in pauses.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edge.lab import private
from edge.lab.cityscape.concentrators import Concentrator
from edge.lab.cityscape.scene import Scene
from edge.lab.cityscape.sites import Site
from edge.lab.street import eventually
from tests.bench.city import figures
from tests.bench.city.figures import Limit
from tests.hubworld import run

#: How long the boxes have waited when the second person approves: he stands beside the console; is called; is at lunch.
WAITED_SECONDS = (5.0, 20.0, 50.0)
LIMITS = (Limit("approve_to_up_seconds", most=10.0),)
SHARES = "the whole lab: three boxes of eight programs each, two concentrators, the registry, PostgreSQL"


def sessions(hub: Concentrator, address: str) -> bool:
    """Whether a concentrator has a session with the site that has this inner address."""
    device = f"{hub.hub.device}0"
    dump = run(hub.hub.host, "wg", "show", device, "dump", ok=True).splitlines()[1:]
    return any(words[3] == f"{address}/32" and words[4] != "0" for words in map(str.split, dump))


def enrolled(scene: Scene, site: Site, seconds: float) -> dict[str, float]:
    """Let one box ask, wait, be approved; return what came when, in seconds after the approval."""
    bundle = scene.add_site(site)
    site.order("enrol", within=60, bundle=bundle)
    code = eventually(lambda: scene.waiting(site), 120, "the box asks the city")
    time.sleep(seconds)
    began = time.monotonic()
    scene.desk.ask("wang", "POST", f"/api/sites/{site.place.id}/approve", {"code": code})
    signed = time.monotonic() - began
    tunnels = eventually(lambda: site.order("tunnels"), 150, "the box has its tunnels")
    applied = time.monotonic() - began
    hubs = [(hub, tunnels[hub.hub.plane]) for hub in scene.hubs]
    eventually(lambda: any(sessions(hub, address) for hub, address in hubs), 60, "a handshake")
    up = time.monotonic() - began
    return {
        "waited_seconds": seconds, "signed_seconds": round(signed, 2), "applied_seconds": round(applied, 2),
        "up_seconds": round(up, 2),
    }  # fmt: skip


def measure() -> dict[str, Any]:
    """Build the lab, enrol its boxes at once, each after its own wait."""
    scene = Scene(Path("build/lab/bench-city"))
    try:
        scene.build()
        with ThreadPoolExecutor() as pool:
            opened = pool.submit(scene.open_sites)
            scene.found_city()
            opened.result()
            figures.note("the lab stands")
            boxes = list(pool.map(lambda at: enrolled(scene, *at), zip(scene.sites, WAITED_SECONDS, strict=True)))
        return {"boxes": boxes, "approve_to_up_seconds": max(box["up_seconds"] for box in boxes)}
    finally:
        scene.close()


if __name__ == "__main__":
    if private.is_inside():
        sys.exit(figures.measured("approval", SHARES, LIMITS, measure))
    sys.exit(private.run_inside("tests.bench.city.approval"))
