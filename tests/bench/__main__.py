"""Run all measurements, print them, write ``build/bench.json``; exit status 1 when a limit is broken."""

from __future__ import annotations

import sys

from edge.lab import lacks, private
from netconf import words
from tests.bench import figures, street

#: Each adds its own figures. Media first: CPU a packet, delay, rates, TCP, a worker's death; then everything else.
ROOMS = (
    "tests.bench.relay",
    "tests.bench.delay",
    "tests.bench.rates",
    "tests.bench.tcp",
    "tests.bench.workers",
    "tests.bench",
    "tests.bench.gaps",
    "tests.bench.messages",
    "tests.bench.catalog",
    "tests.bench.flood",
    "tests.bench.powercut",
)
MEDIA = 5


def main() -> int:
    """Measure everything, or with the word ``media`` the media alone; inside, the street."""
    if private.is_inside():
        seen = street.measure()
        figures.show(street.table(seen))
        figures.write("street", seen)
        return 0
    found = lacks.lacks()
    for line in words.report(found):
        print(line, file=sys.stderr)
    if found:
        return 1
    only_media = sys.argv[1:] == ["media"]
    if not only_media:
        figures.OUT.unlink(missing_ok=True)
    # Two streets have one set of names: each is in namespaces of its own.
    return max([private.run_inside(room) for room in (ROOMS[:MEDIA] if only_media else ROOMS)])


if __name__ == "__main__":
    sys.exit(main())
