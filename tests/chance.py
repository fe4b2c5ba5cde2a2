"""Chance that a test can repeat."""

from __future__ import annotations

import random


class SeededChance:
    """See ``edge.sip.chance.Chance``."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, bits: int) -> str:
        return f"{self._random.getrandbits(bits):0{bits // 4}x}"

    def number(self, below: int) -> int:
        return self._random.randrange(below)
