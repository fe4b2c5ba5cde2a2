"""``python -m edge.cityside``: the city side's process, in the namespace ``vpn``."""

from __future__ import annotations

import sys

from edge.cityside.process import main

sys.exit(main())
