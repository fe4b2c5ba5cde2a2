"""Where enrolling stands, and when the city is asked next. A table, and how long to wait in each state. Pure.

The hole has a reason, or it has none: ``idle`` asks nobody. Each answer of the city moves the state and sets the pause:
longer each time that the answer is the same, shorter by none, and never the same at two boxes.
"""

from __future__ import annotations

import enum
from collections.abc import Callable


class State(enum.StrEnum):
    IDLE = "idle"
    ASKING = "asking"
    PENDING = "pending"
    TRYING = "trying"
    REFUSED = "refused"
    REVOKED = "revoked"


class Event(enum.StrEnum):
    #: The hole has a reason now, or has none any more.
    WANTED = "wanted"
    UNWANTED = "unwanted"
    #: Another bundle was given.
    ANEW = "anew"
    AWAY = "away"
    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    REVOKED = "revoked"


_S, _E = State, Event
_ANSWERS = {_E.PENDING: _S.PENDING, _E.APPROVED: _S.TRYING, _E.REFUSED: _S.REFUSED, _E.REVOKED: _S.REVOKED}
_ENDS = {_E.UNWANTED: _S.IDLE, _E.ANEW: _S.ASKING}
TABLE: dict[State, dict[Event, State]] = {
    _S.IDLE: {_E.WANTED: _S.ASKING, _E.ANEW: _S.IDLE},
    _S.ASKING: {_E.AWAY: _S.ASKING, **_ANSWERS, **_ENDS},
    _S.PENDING: {_E.AWAY: _S.PENDING, **_ANSWERS, **_ENDS},
    _S.TRYING: {_E.AWAY: _S.TRYING, **_ANSWERS, **_ENDS},
    _S.REFUSED: {_E.AWAY: _S.REFUSED, **_ANSWERS, **_ENDS},
    # What the city signed of this box stands until it says otherwise itself, whether the hole has a reason or not.
    _S.REVOKED: {_E.AWAY: _S.REVOKED, **_ANSWERS, _E.UNWANTED: _S.REVOKED, _E.WANTED: _S.REVOKED, _E.ANEW: _S.ASKING},
}
#: First and longest pause in seconds. Pending: a person reads six digits and approves, and the installer stands beside
#: the box. Trying: a change takes a proof, a handshake and a report. Refused: what a person must change first.
PAUSES: dict[State, tuple[float, float]] = {
    _S.ASKING: (5.0, 60.0),
    _S.PENDING: (3.0, 60.0),
    _S.TRYING: (180.0, 900.0),
    _S.REFUSED: (300.0, 3600.0),
    _S.REVOKED: (86_400.0, 86_400.0),
}
#: For so long the first pause stays as it is: whoever installs the box stands beside it and waits for a person's word, and
#: what that person says should be done within seconds. A box that nobody approves for longer asks as rarely as the others.
STEADY_SECONDS: dict[State, float] = {_S.PENDING: 900.0}


class Machine:
    """``now`` is monotonic; ``chance`` gives numbers from 0 to 1."""

    def __init__(self, chance: Callable[[], float], revoked: bool = False) -> None:
        self._chance = chance
        self.state = State.REVOKED if revoked else State.IDLE
        self._pause = 0.0
        self._due = 0.0
        self._since = 0.0

    def on(self, event: Event, now: float) -> None:
        """Take what happened; an event that does not belong to the state changes nothing."""
        before = self.state
        self.state = TABLE[before].get(event, before)
        if event in (Event.WANTED, Event.UNWANTED) and before is self.state:
            return
        if event in (Event.WANTED, Event.ANEW):
            self._pause = self._due = 0.0
        elif self.state in PAUSES:
            first, most = PAUSES[self.state]
            if before is not self.state:
                self._since = now
            same = before is self.state and self._pause >= first
            steady = now - self._since < STEADY_SECONDS.get(self.state, 0.0)
            self._pause = min(2 * self._pause, most) if same and not steady else first
            self._due = now + self._pause * (0.8 + 0.4 * self._chance())

    def due(self, now: float) -> bool:
        """Say whether the city is to be asked now."""
        return self.state is not State.IDLE and now >= self._due

    def wait(self, now: float, most: float) -> float:
        """Return how long nothing is due, ``most`` at the most."""
        return min(most, max(0.0, self._due - now)) if self.state is not State.IDLE and self._due > now else most
