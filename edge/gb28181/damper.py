"""When a change of state is told: soon, but not each flicker of a camera whose cable is loose.

A change waits a moment, in which it may be taken back; after it was told, that channel is left alone for a while. So
what is told is true within ``HOLD_SECONDS + BEAT_SECONDS + REST_SECONDS``, and a channel says at most one thing in that
time. What falls due in one beat is told together: after a power cut that is a whole site.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

HOLD_SECONDS = 1.5
REST_SECONDS = 6.0
BEAT_SECONDS = 0.5


@dataclass(slots=True)
class Damper:
    """What was told of each id, and what is to be told when."""

    told: dict[str, str] = field(default_factory=dict)
    _due: dict[str, tuple[float, str]] = field(default_factory=dict)
    _rest: dict[str, float] = field(default_factory=dict)

    def note(self, device_id: str, status: str, now: float) -> None:
        """Take a state; the first one of an id is known without being told: the catalog says it."""
        if device_id not in self.told:
            self.told[device_id] = status
        elif self.told[device_id] == status:
            self._due.pop(device_id, None)
        elif device_id not in self._due:
            at = max(now + HOLD_SECONDS, self._rest.get(device_id, 0.0))
            self._due[device_id] = (math.ceil(at / BEAT_SECONDS) * BEAT_SECONDS, status)

    def timer(self) -> float | None:
        return min((at for at, _ in self._due.values()), default=None)

    def due(self, now: float) -> dict[str, str]:
        """Return, once, the states that are to be told."""
        ready = {device_id: status for device_id, (at, status) in self._due.items() if at <= now}
        for device_id, status in ready.items():
            del self._due[device_id]
            self.told[device_id] = status
            self._rest[device_id] = now + REST_SECONDS
        return ready
