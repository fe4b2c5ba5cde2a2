"""Chance from the kernel, for identifiers that nobody may guess."""

from __future__ import annotations

import secrets


class SystemChance:
    """See ``edge.sip.chance.Chance``."""

    def token(self, bits: int) -> str:
        return secrets.token_hex((bits + 7) // 8)

    def number(self, below: int) -> int:
        return secrets.randbelow(below)
