"""``python -m tests``: pytest inside private namespaces, so that the lab's tests can build their street.

``tests/host`` runs outside of them: what is installed there comes from the network.

Each file of ``tests/lab/streets`` and ``tests/interop`` has a street of its own, with the same names: it runs in
namespaces of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge.lab import lacks, private
from netconf import words

STREETS, HOST = (Path("tests/lab/streets"), Path("tests/interop")), Path("tests/host")


def runs(given: list[str]) -> list[list[str]]:
    """Return the words of each run of pytest: as asked for, or else everything."""
    if any(not word.startswith("-") for word in given):
        return [given]
    own = sorted(str(path) for folder in STREETS for path in folder.glob("test_*.py"))
    return [[*given, *(f"--ignore={folder}" for folder in (*STREETS, HOST))], *([*given, path] for path in own)]


if __name__ == "__main__":
    found = lacks.lacks()
    for line in words.report(found):
        print(line, file=sys.stderr)
    if found:
        sys.exit(1)
    results = [private.run_inside("pytest", *each) for each in runs(sys.argv[1:])]
    if all(word.startswith("-") for word in sys.argv[1:]):
        results.append(
            subprocess.run([sys.executable, "-m", "pytest", *sys.argv[1:], str(HOST)], check=False).returncode
        )
    sys.exit(max(results))
