"""kill -9 of a relay worker in the middle of eight calls, again and again: how long each call misses media.

Two cameras, four viewers each, two workers: half of the calls are the killed worker's, half are not. A call's gap is the
longest time without a packet at the city, looked at every 10 ms; pictures themselves come every 40 ms.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from edge.lab import private
from edge.lab.orders import order
from edge.lab.sockets import in_namespace
from edge.lab.street import RUN, SITE_FILE, Street, eventually
from tests.bench import figures

ORDERS = RUN / "city.sock"
CALLS, KILLS = 8, 10
#: Looked at for so long after each death, every so often.
LOOK_SECONDS, LOOK_EVERY_SECONDS = 4.0, 0.01
LIMIT_SECONDS = 2.0
_SOCKET = re.compile(r"socket:\[(\d+)\]")


def measure() -> dict[str, Any]:
    """Return gaps in seconds, of the calls of the killed worker and of the others, over all kills."""
    site = Path("build/lab/bench-workers.toml")
    site.parent.mkdir(parents=True, exist_ok=True)
    site.write_text(
        SITE_FILE.read_text(encoding="utf-8").replace('coverage = "B"\nshare = false', 'coverage = "A"\nshare = true'),
        encoding="utf-8",
    )
    street = Street(Path("build/lab/bench-workers-log"), site_file=site)
    gaps: dict[str, list[float]] = {"killed": [], "others": []}
    try:
        street.open()
        _play()
        views = set(eventually(lambda: len(v := street.said("ferry")["views"]) == CALLS and v, 60, "all views"))
        for turn in range(KILLS):
            for mine, gap in _kill(street, turn):
                gaps["killed" if mine else "others"].append(gap)
            eventually(_flows, 30, "packets of every call")
        same = set(street.said("ferry")["views"]) == views
    finally:
        street.close()
    return {
        "calls": CALLS,
        "kills": KILLS,
        "limit_p99_seconds": LIMIT_SECONDS,
        "same_views": same,
        **{name: _summed(each) for name, each in gaps.items()},
    }


def _summed(gaps: list[float]) -> dict[str, float]:
    ordered = sorted(gaps)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return {
        "calls": len(gaps),
        "p50": round(statistics.median(gaps), 2),
        "p99": round(p99, 2),
        "max": round(ordered[-1], 2),
    }


def _play() -> None:
    """Have every viewer see pictures: an even one the first camera, an odd one the second."""
    eventually(lambda: order(ORDERS, "facts")["online"], 60, "the registration")

    def shown() -> list[str]:
        return [code for code, said in order(ORDERS, "catalog")["channels"].items() if said[1] == "ON"]

    channels = sorted(eventually(lambda: len(found := shown()) > 1 and found, 60, "both cameras"))
    for at in range(CALLS):
        order(ORDERS, f"@{at} play {channels[at % 2]}")
        eventually(lambda name=f"@{at}": _packets().get(name), 40, "a viewer's packets")  # type: ignore[misc]


def _packets() -> dict[str, int]:
    return {name: call["packets"] for name, call in order(ORDERS, "facts")["calls"].items()}


def _flows() -> bool:
    before = _packets()
    time.sleep(0.3)
    return all(count > before[name] for name, count in _packets().items())


def _kill(street: Street, turn: int) -> list[tuple[bool, float]]:
    """Kill the worker of one camera; return for each call whether it was that worker's, and its gap."""
    views = {view["sink"][1][1]: view for view in street.said("ferry")["views"].values()}
    ports = {name: call["port"] for name, call in order(ORDERS, "facts")["calls"].items()}
    pulls = {name: views[port]["lan_port"] for name, port in ports.items()}
    port = sorted(set(pulls.values()))[turn % 2]
    pid = _carrier(street, port)
    last = dict.fromkeys(pulls, time.monotonic())
    longest = dict.fromkeys(pulls, 0.0)
    before = _packets()
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + LOOK_SECONDS
    while time.monotonic() < until:
        for name, count in _packets().items():
            if count != before[name]:
                now = time.monotonic()
                longest[name], last[name], before[name] = max(longest[name], now - last[name]), now, count
        time.sleep(LOOK_EVERY_SECONDS)
    now = time.monotonic()
    return [(pulls[name] == port, max(gap, now - last[name])) for name, gap in longest.items()]


def _carrier(street: Street, port: int) -> int:
    """Return the worker that holds the socket of a port on the recorders' side.

    Raises:
        LookupError: none does.
    """
    with in_namespace("lan"):
        lines = Path("/proc/thread-self/net/udp").read_text(encoding="ascii").splitlines()[1:]
    inodes = {line.split()[9] for line in lines if int(line.split()[1].partition(":")[2], 16) == port}
    (nursery,) = _children(street.pid("ferry") or 0)
    for worker in _children(nursery):
        names = [os.readlink(each) for each in Path(f"/proc/{worker}/fd").iterdir()]
        if inodes & {found[1] for name in names if (found := _SOCKET.match(name))}:
            return worker
    raise LookupError(f"no worker holds port {port}")


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def table(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    lines = [
        f"kill -9 of a worker amid {found['calls']} calls, {found['kills']} times: longest gap{'p50':>8}{'p99':>8}{'max':>8}"
    ]
    for name, words in (("killed", "calls of the killed worker"), ("others", "calls of the other")):
        row = found[name]
        lines.append(f"  {words:<54}{row['p50']:>6.2f} s{row['p99']:>6.2f} s{row['max']:>6.2f} s")
    return [
        *lines,
        f"  limit of p99 {found['limit_p99_seconds']} s; the same views go on: {'yes' if found['same_views'] else 'no'}",
    ]


def broken(found: dict[str, Any]) -> list[str]:
    """Return the keys that exceed their limits."""
    late = [f"workers.{name}.p99" for name in ("killed", "others") if found[name]["p99"] > LIMIT_SECONDS]
    return late + ([] if found["same_views"] else ["workers.same_views"])


def main() -> int:
    """Measure, print, and write beside the other figures; 1 when a limit is broken."""
    found = measure()
    figures.show(table(found))
    figures.write("workers", found)
    return figures.verdict(broken(found))


if __name__ == "__main__":
    sys.exit(main() if private.is_inside() else private.run_inside("tests.bench.workers"))
