"""Chance from the kernel, for identifiers that nobody may guess."""

from __future__ import annotations

import os
import secrets


class SystemChance:
    """See ``edge.sip.chance.Chance``."""

    def token(self, bits: int) -> str:
        return os.urandom((bits + 7) // 8).hex()

    def number(self, below: int) -> int:
        return secrets.randbelow(below)
