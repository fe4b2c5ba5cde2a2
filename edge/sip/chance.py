"""Where branches, tags and SSRCs come from: given from outside, so that a test can choose them."""

from __future__ import annotations

from typing import Protocol


class Chance(Protocol):
    """A source of identifiers."""

    def token(self, bits: int) -> str:
        """Return at least ``bits`` unguessable bits as lower-case hexadecimal."""
        ...

    def number(self, below: int) -> int:
        """Return a whole number from 0 to ``below`` - 1."""
        ...
