"""``python -m firewall.prove``."""

from __future__ import annotations

import sys

from firewall.prove.commands import main

if __name__ == "__main__":
    sys.exit(main())
