"""A side's troubles of late: the last one of each thing, few, and gone when the thing works again."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

#: Beyond it the oldest is forgotten: who reads them reads the first few.
MOST_TROUBLES = 32
_MOST_CHARACTERS = 120


class Noted:
    """Troubles by what they are about; ``at`` is when, on the machine's monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._all: dict[Hashable, dict[str, Any]] = {}

    def put(self, key: Hashable, now: float, /, **facts: str | int | list[str]) -> None:
        """Keep the facts of a trouble, by what it is about, in place of the last one of the same thing; long texts are cut."""
        self._all.pop(key, None)
        if len(self._all) >= MOST_TROUBLES:
            self._all.pop(next(iter(self._all)))
        cut = {name: fact[:_MOST_CHARACTERS] if isinstance(fact, str) else fact for name, fact in facts.items()}
        self._all[key] = {**cut, "at": round(now, 1)}

    def clear(self, key: Hashable) -> None:
        """It works again."""
        self._all.pop(key, None)

    def told(self) -> list[dict[str, Any]]:
        """Return them for a status file, the last one first."""
        return [dict(facts) for facts in reversed(self._all.values())]
