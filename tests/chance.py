"""Chance that a test can repeat."""

from __future__ import annotations

import random
from collections.abc import Callable


class SeededChance:
    """See ``edge.sip.chance.Chance``."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, bits: int) -> str:
        return f"{self._random.getrandbits(bits):0{bits // 4}x}"

    def number(self, below: int) -> int:
        return self._random.randrange(below)


def counted(begin: int = 1) -> Callable[[int], bytes]:
    """Chance that is the same in every run, and never the same twice."""
    state = [begin]

    def chance(length: int) -> bytes:
        state[0] += 1
        return state[0].to_bytes(length, "big")

    return chance
