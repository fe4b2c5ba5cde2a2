"""``python -m edge.siteside``: the site side's process, in the namespace ``lan``."""

from __future__ import annotations

import sys

from edge.siteside.process import main

sys.exit(main())
