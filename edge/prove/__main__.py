"""``python -m edge.prove``: the prover's process, in an empty network namespace."""

from __future__ import annotations

import sys

from edge.prove.process import main

sys.exit(main())
