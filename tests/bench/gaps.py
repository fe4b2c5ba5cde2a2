"""kill -9 of every process in turn while a picture runs: how long the city misses media, and whether anything leaked."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.lab.capture import Uplink
from edge.lab.orders import order
from edge.lab.street import RUN, Street, eventually
from edge.lab.topology import CITY_PUBLIC, HUB_PORT
from netconf import durable

ORDERS = RUN / "city.sock"
PROGRAMS = ("keeper", "siteside", "cityside", "agent", "webui", "uplink", "ferry", "wg-a")
#: Looked at for so long after each death; what has not come back by then is told as that.
LOOK_SECONDS = 15.0


def measure() -> dict[str, Any]:
    """Return, by program, the longest time without a media packet at the city, and frames on the uplink that may not be."""
    street = Street(Path("build/lab/gaps-log"))
    uplink = Uplink((CITY_PUBLIC, HUB_PORT))
    try:
        street.open()
        uplink.open("internet", "up0")
        eventually(lambda: order(ORDERS, "facts")["online"], 40, "the registration")
        found: dict[str, Any] = {}
        for name in [name for name in PROGRAMS if street.runs(name)]:
            found[name] = _after(street, lambda name=name: street.kill(name))  # type: ignore[misc]
        found["relay worker"] = _after(street, lambda: _kill_worker(street))
        found["all of the box"] = _after(street, lambda: [street.kill(one) for one in PROGRAMS if street.runs(one)])
        uplink.close()
    finally:
        street.close()
    return {"gap_seconds": found, "leaked": len(uplink.violations)}


def _after(street: Street, death: Callable[[], object]) -> dict[str, Any]:
    """Let one view run, bring death, and say how long media was away and whether the view is the same."""
    _play(street)
    views = set(street.said("ferry")["views"])
    death()
    until, last, longest = time.monotonic() + LOOK_SECONDS, time.monotonic(), 0.0
    before = _packets()
    while time.monotonic() < until:
        now = _packets()
        if now != before:
            longest, last, before = max(longest, time.monotonic() - last), time.monotonic(), now
        time.sleep(0.02)
    same = set(street.said("ferry").get("views", {})) == views
    facts = {"gap": round(max(longest, time.monotonic() - last), 2), "same_view": same}
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 60, "the view's end")
    return facts


def _play(street: Street) -> None:
    """Open a view as soon as one can be had."""

    def pictures() -> bool:
        facts = order(ORDERS, "facts")
        if facts["call"] not in ("answered", "asked") or not facts["online"]:
            channels = [code for code, said in order(ORDERS, "catalog")["channels"].items() if said[1] == "ON"]
            if channels:
                order(ORDERS, f"play {channels[0]}")
            time.sleep(1.0)
        return bool(facts["judge"].get("right", 0) > 25) if facts["call"] == "answered" else False

    order(ORDERS, "stop")
    eventually(pictures, 120, "a view")


def _packets() -> int:
    count: int = order(ORDERS, "facts")["packets"]
    return count


def _kill_worker(street: Street) -> None:
    pid = street.pid("ferry")
    (nursery,) = _children(pid or 0)
    for worker in _children(nursery):
        os.kill(worker, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def table(facts: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    lines = [f"{'kill -9 of':<16}{'gap':>9}   the same view goes on"]
    for name, row in facts["gap_seconds"].items():
        gap = f"{row['gap']:.2f} s" if row["gap"] < LOOK_SECONDS - 1 else "ended"
        lines.append(f"{name:<16}{gap:>9}   {'yes' if row['same_view'] else 'no: it must be opened anew'}")
    return [*lines, f"leaked on the uplink meanwhile: {facts['leaked']}"]


def main() -> int:
    """Measure, print, and write beside the other figures; 1 when anything leaked."""
    facts = measure()
    print("\n".join(table(facts)))
    out = Path("build/bench.json")
    others = json.loads(out.read_bytes()) if out.exists() else {}
    durable.write(out, json.dumps({**others, "gaps": facts}, indent=1).encode() + b"\n", mode=0o644)
    return int(facts["leaked"] > 0)


if __name__ == "__main__":
    sys.exit(main())
