"""``python -m edge.agent``."""

from __future__ import annotations

import sys

from edge.agent.process import main

if __name__ == "__main__":
    sys.exit(main())
