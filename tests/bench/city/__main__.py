"""Run all figures, or those that are named; exit status 1 when a limit is broken.

    python -m tests.bench.city [FIGURE ...]

Each figure is a process of its own and writes ``build/bench-city.json`` itself: what was measured stays when the rest is cut off.
"""

from __future__ import annotations

import subprocess
import sys
import time

from edge.lab import lacks
from netconf import words
from tests.bench.city import figures

#: ``storm`` last, for it keeps the machine busy longest.
FIGURES = ("heartbeats", "node", "memory", "approval", "hub", "change", "storm")


def main() -> int:
    """Measure, and say at the end which figures broke a limit."""
    wanted = sys.argv[1:] or list(FIGURES)
    if unknown := [name for name in wanted if name not in FIGURES]:
        print(f"no such figure: {', '.join(unknown)}; there are: {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    found = lacks.lacks()
    for line in words.report(found):
        print(line, file=sys.stderr)
    if found:
        return 1
    if not sys.argv[1:]:
        figures.OUT.unlink(missing_ok=True)
    began, broken = time.monotonic(), []
    for name in wanted:
        if subprocess.run([sys.executable, "-m", f"tests.bench.city.{name}"], check=False).returncode:
            broken.append(name)
    print(f"{time.monotonic() - began:.0f} s in all; details: {figures.OUT}")
    for name in broken:
        print(f"LIMIT BROKEN: {name}", file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
