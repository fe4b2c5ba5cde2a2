"""``python -m tests``: pytest inside private namespaces, so that the lab's tests can build their street.

Each file of ``tests/lab/streets`` has a street of its own, with the same names: it runs in namespaces of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge.lab import lacks, private
from netconf import words

STREETS = Path("tests/lab/streets")


def runs(given: list[str]) -> list[list[str]]:
    """Return the words of each run of pytest: as asked for, or else everything."""
    if any(not word.startswith("-") for word in given):
        return [given]
    own = sorted(str(path) for path in STREETS.glob("test_*.py"))
    return [[*given, f"--ignore={STREETS}"], *([*given, path] for path in own)]


if __name__ == "__main__":
    found = lacks.lacks()
    for line in words.report(found):
        print(line, file=sys.stderr)
    sys.exit(1 if found else max(private.run_inside("pytest", *each) for each in runs(sys.argv[1:])))
