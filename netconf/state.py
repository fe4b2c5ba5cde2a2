"""What one namespace looks like: one shape for what should be and what is (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network


@dataclass(frozen=True, slots=True, order=True)
class Route:
    network: IPv4Network
    via: IPv4Address | None = None


@dataclass(frozen=True, slots=True, order=True)
class Neighbour:
    """A static neighbour: who answers at an address is settled by configuration, not by ARP."""

    address: IPv4Address
    mac: str


@dataclass(frozen=True, slots=True)
class LinkState:
    name: str
    up: bool = True
    mtu: int | None = None
    addresses: frozenset[IPv4Interface] = frozenset()
    routes: frozenset[Route] = frozenset()
    neighbours: frozenset[Neighbour] = frozenset()


@dataclass(frozen=True, slots=True)
class NetworkState:
    """One namespace. What is not named here is not ours and not looked at."""

    namespace: str
    links: tuple[LinkState, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()

    def link(self, name: str) -> LinkState | None:
        return next((link for link in self.links if link.name == name), None)
