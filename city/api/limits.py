"""How often one source may ask: a bucket of tokens each. Of one process; several have as many times as much."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

#: Sources that are remembered; the one that was away longest is forgotten first.
MOST_SOURCES = 65_536


@dataclass(slots=True)
class Limit:
    """``burst`` at once, then ``per_second``."""

    burst: float
    per_second: float
    _known: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def takes(self, source: str, now: float) -> bool:
        """Return whether ``source`` may ask now."""
        with self._lock:
            left, at = self._known.pop(source, (self.burst, now))
            left = min(self.burst, left + max(0.0, now - at) * self.per_second)
            fits = left >= 1.0
            self._known[source] = (left - 1.0 if fits else left, now)
            while len(self._known) > MOST_SOURCES:
                self._known.popitem(last=False)
        return fits
