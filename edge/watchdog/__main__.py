"""``python -m edge.watchdog NAME``: the event listener of supervisord NAME, started by it."""

from __future__ import annotations

import sys

from edge.io.confirmed import places
from edge.watchdog.process import main

sys.exit(main(sys.argv.pop(1), places("snowgate-watchdog")))
