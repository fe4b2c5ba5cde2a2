"""In the street: how much later the first picture comes through the box, and each process's memory (PSS)."""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from typing import Any

from edge.lab.orders import order
from edge.lab.street import RUN, Street, eventually

TRIES = 5
ORDERS = RUN / "city.sock"


def measure() -> dict[str, Any]:
    street = Street(Path("build/lab/bench-log"))
    try:
        street.open()
        eventually(lambda: order(ORDERS, "facts")["online"], 40, "the registration")
        channels = eventually(lambda: order(ORDERS, "catalog")["channels"], 20, "the catalog")
        times = [_view(street, next(iter(channels))) for _ in range(TRIES)]
        order(ORDERS, f"play {next(iter(channels))}")
        eventually(lambda: order(ORDERS, "facts")["judge"].get("right", 0) > 25, 20, "pictures")
        memory = _memory()
    finally:
        street.close()
    return {"first_packet_ms": times, "first_packet_ms_median": statistics.median(times), "pss_kb": memory}


def _view(street: Street, channel: str) -> float:
    """Return milliseconds from the city's INVITE to its first media packet."""
    order(ORDERS, f"play {channel}")
    facts = eventually(lambda: (f := order(ORDERS, "facts")).get("packets") and f, 20, "a packet")
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the end")
    return round(1000 * (facts["first_packet_at"] - facts["asked_at"]), 1)


def _memory() -> dict[str, int]:
    """Return kB of proportional set size of each process of the box, hands and workers by their number."""
    found: dict[str, int] = {}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda p: int(p.name)):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            pss = re.search(r"^Pss:\s+(\d+)", (folder / "smaps_rollup").read_text(), re.M)
        except OSError:
            continue
        name = next((w.decode()[5:] for w in words if w.startswith(b"edge.") and b"lab" not in w), None)
        if name is not None and pss is not None and b"python" in words[0]:
            same = sum(key.partition("#")[0] == name for key in found)
            found[f"{name}#{same + 1}" if same else name] = int(pss[1])
    return found


def table(facts: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    lines = [
        f"first media packet at the city after its INVITE: {facts['first_packet_ms_median']} ms (median of {TRIES})"
    ]
    lines += [f"{name:<14}{pss / 1024:8.1f} MB PSS" for name, pss in facts["pss_kb"].items()]
    return [*lines, f"{'together':<14}{sum(facts['pss_kb'].values()) / 1024:8.1f} MB PSS"]
