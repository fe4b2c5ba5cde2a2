"""``make demo-city``: run the story inside private namespaces; 0 only if every promise was kept."""

from __future__ import annotations

import sys

from edge.lab import lacks, private
from edge.lab.cityscape.story import Story
from netconf import words


def main() -> int:
    """Say what this machine lacks, else run inside private namespaces."""
    if not private.is_inside():
        found = lacks.lacks()
        for line in words.report(found):
            print(line, file=sys.stderr)
        return 1 if found else private.run_inside("edge.lab.cityscape")
    return Story().run()


if __name__ == "__main__":
    sys.exit(main())
