"""Where a datagram comes from or goes to."""

from __future__ import annotations

from typing import NamedTuple


class Address(NamedTuple):
    """An IPv4 address as text, and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
