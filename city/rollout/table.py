"""What may become of a rollout: one table, and an event that has no cell is refused by name.

A rollout goes on by itself only from ring to ring while all is well. Whatever is not well stops it, also while it is
paused; only a person makes it go on, or back. What was rolled back stays so: going forth again is a new rollout.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Sequence


class State(enum.StrEnum):
    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    HALTED = "halted"
    DONE = "done"
    ROLLED_BACK = "rolled_back"


class Event(enum.StrEnum):
    START = "start"
    #: All sites of the ring use it, and are as well as they were.
    RING_GOOD = "ring_good"
    #: The same of the last ring.
    ALL_GOOD = "all_good"
    #: A box has undone it, or did not take it.
    REVERTED = "reverted"
    #: A site that was well is not, or is not heard of any more.
    HEALTH_FELL = "health_fell"
    PAUSE = "pause"
    RESUME = "resume"
    ROLL_BACK = "roll_back"


_S, _E = State, Event
TABLE: dict[State, dict[Event, State]] = {
    _S.DRAFT: {_E.START: _S.RUNNING},
    _S.RUNNING: {
        _E.RING_GOOD: _S.RUNNING,
        _E.ALL_GOOD: _S.DONE,
        _E.REVERTED: _S.HALTED,
        _E.HEALTH_FELL: _S.HALTED,
        _E.PAUSE: _S.PAUSED,
        _E.ROLL_BACK: _S.ROLLED_BACK,
    },
    _S.PAUSED: {
        _E.REVERTED: _S.HALTED,
        _E.HEALTH_FELL: _S.HALTED,
        _E.RESUME: _S.RUNNING,
        _E.ROLL_BACK: _S.ROLLED_BACK,
    },
    _S.HALTED: {_E.RESUME: _S.RUNNING, _E.ROLL_BACK: _S.ROLLED_BACK},
    _S.DONE: {_E.ROLL_BACK: _S.ROLLED_BACK},
    _S.ROLLED_BACK: {},
}
#: Of a hundred sites, how many have it after each ring; the first ring is one site, whatever their number.
PERCENT = (1, 10, 50, 100)


def rings(sites: Sequence[str], salt: str) -> dict[str, int]:
    """Return each site's ring, from 0: one site, then 1 %, 10 %, 50 %, all. Drawn by ``salt``, so that no district is first."""
    drawn = sorted(sites, key=lambda site: hashlib.sha256(f"{salt} {site}".encode()).digest())
    bounds = [1, *(max(1, -(-len(drawn) * percent // 100)) for percent in PERCENT)]
    found: dict[str, int] = {}
    for at, site in enumerate(drawn):
        ring = next(n for n, bound in enumerate(bounds) if at < bound)
        found[site] = ring
    # A small fleet fills no ring between: those are left out.
    kept = {ring: n for n, ring in enumerate(sorted(set(found.values())))}
    return {site: kept[ring] for site, ring in found.items()}
