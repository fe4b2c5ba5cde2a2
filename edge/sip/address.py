"""Where a message comes from or goes to."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Address(NamedTuple):
    """An IPv4 address as text, a port, and how one gets there; over TCP it names one connection by its far end."""

    host: str
    port: int
    transport: Literal["udp", "tcp"] = "udp"

    @property
    def reliable(self) -> bool:
        """Whether nothing has to be sent twice (RFC 3261 17)."""
        return self.transport == "tcp"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
