"""``python -m edge.ferry``: the ferry's process, in its own empty namespace."""

from __future__ import annotations

import sys

from edge.ferry.process import main

sys.exit(main())
