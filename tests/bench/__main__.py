"""Run all measurements, print them, write ``build/bench.json``; exit status 1 when a limit is broken."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from edge.lab import lacks, private
from netconf import durable, words
from tests.bench import relay, street

OUT = Path("build/bench.json")
#: The first writes the figures anew, each other one adds its own.
ROOMS = (
    "tests.bench",
    "tests.bench.gaps",
    "tests.bench.messages",
    "tests.bench.catalog",
    "tests.bench.flood",
    "tests.bench.powercut",
)


def table(measured: dict[str, Any]) -> list[str]:
    """Return the lines of the relay's table."""
    lines = [
        f"{'calls':>6} {'pattern':>8} {'relay':>8} {'bare, one':>10} {'bare, all':>10} {'ratio':>6}   (us of CPU a packet)"
    ]
    for calls, facts in measured.items():
        for name in ("frames", "single"):
            row = facts[name]
            lines.append(
                f"{calls:>6} {name:>8} {row['relay_us']:>8.2f} {row['one_a_wake_us']:>10.2f} "
                f"{row['until_empty_us']:>10.2f} {row['ratio']:>6.2f}   lost {row['lost']:.2%}"
            )
        lines.append(
            f"{calls:>6} {'worst':>8} {'':>8} {'':>10} {'':>10} {facts['ratio']:>6.2f}   limit {facts['limit']}"
        )
    return lines


def main() -> int:
    """Measure; the ratio of each number of calls must keep its limit."""
    if not private.is_inside():
        found = lacks.lacks()
        for line in words.report(found):
            print(line, file=sys.stderr)
        # Two streets have one set of names: each is in namespaces of its own.
        return 1 if found else max([private.run_inside(room) for room in ROOMS])
    measured: dict[str, Any] = relay.measure()
    print("\n".join(table(measured)))
    seen = street.measure()
    print("\n".join(street.table(seen)))
    OUT.parent.mkdir(exist_ok=True)
    durable.write(OUT, json.dumps({"relay": {"udp": measured}, "street": seen}, indent=1).encode() + b"\n", mode=0o644)
    return 0 if all(facts["ratio"] <= facts["limit"] for facts in measured.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
