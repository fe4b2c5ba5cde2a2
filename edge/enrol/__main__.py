"""``python -m edge.enrol``."""

from __future__ import annotations

import sys

from edge.enrol.process import main

if __name__ == "__main__":
    sys.exit(main())
