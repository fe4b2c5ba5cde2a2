"""``python -m edge.uplink``: in the box's first namespace (``wan``)."""

from __future__ import annotations

import sys

from edge.uplink.process import main

sys.exit(main())
