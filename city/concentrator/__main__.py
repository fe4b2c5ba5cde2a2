"""``python -m city.concentrator FILE``: the same as ``snowgate city concentrator run --config FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

from city.concentrator.commands import run

if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])) if len(sys.argv) == 2 else 2)
