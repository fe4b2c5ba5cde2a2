"""``python -m edge.keeper``: the keeper's process, in the box's first namespace (``wan``)."""

from __future__ import annotations

import sys

from edge.keeper.process import main

sys.exit(main())
