"""How often a password may be tried: a device that guesses is not answered with a new challenge for a while."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

#: A person who mistypes gets a third try; a program that guesses gets 432 a day.
MAX_WRONG = 3
WINDOW_SECONDS = 600.0


@dataclass(slots=True)
class Tries:
    """The wrong tries of one device in the last ten minutes."""

    _at: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_WRONG))

    def wrong(self, now: float) -> bool:
        """Count one; return whether that was the last that is let through."""
        self._at.append(now)
        return self.locked(now)

    def right(self) -> None:
        """Somebody knows the password: what was tried before is forgiven."""
        self._at.clear()

    def locked(self, now: float) -> bool:
        return len(self._at) == MAX_WRONG and now - self._at[0] < WINDOW_SECONDS
