"""``python -m tests``: pytest inside private namespaces, so that the lab's tests can build their street."""

from __future__ import annotations

import sys

from edge.lab import lacks, private
from netconf import words

if __name__ == "__main__":
    found = lacks.lacks()
    for line in words.report(found):
        print(line, file=sys.stderr)
    sys.exit(1 if found else private.run_inside("pytest", *sys.argv[1:]))
