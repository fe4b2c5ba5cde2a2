"""What one namespace looks like: one shape for what should be and what is (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A route of the main table; two that differ in ``metric`` alone stand side by side in the kernel."""

    network: IPv4Network
    via: IPv4Address | None = None
    metric: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Neighbour:
    """A static neighbour: who answers at an address is settled by configuration, not by ARP."""

    address: IPv4Address
    mac: str


@dataclass(frozen=True, slots=True, order=True)
class Made:
    """How a link comes to be that no port is: ``parent`` "" is one that cannot be seen from here, ``mac`` "" any."""

    kind: Literal["macvlan", "vlan"]
    parent: str
    vlan: int = 0
    mac: str = ""


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link; ``sysctls`` are the link's own, as paths below /proc/sys.

    ``made`` is set where the box itself makes the link; ``ours`` where a link carries the box's mark: only such a one
    is ever removed.
    """

    name: str
    up: bool = True
    mtu: int | None = None
    addresses: frozenset[IPv4Interface] = frozenset()
    routes: frozenset[Route] = frozenset()
    neighbours: frozenset[Neighbour] = frozenset()
    sysctls: tuple[tuple[str, str], ...] = ()
    made: Made | None = None
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Peer:
    """A WireGuard peer; ``allowed`` sorted by text. Its endpoint is not here: it follows the peer's last good packet, and rightly so.

    ``preshared_key`` "" is none; it is compared and never shown.
    """

    public_key: str
    allowed: tuple[IPv4Network | IPv6Network, ...] = ()
    keepalive_seconds: int = 0
    preshared_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class WireguardState:
    """One WireGuard device; of its own key only the public half. ``listen_port`` None is any."""

    name: str
    public_key: str
    peers: frozenset[Peer] = frozenset()
    listen_port: int | None = None


@dataclass(frozen=True, slots=True)
class NetworkState:
    """One namespace. What is not named here is not ours and not looked at."""

    namespace: str
    links: tuple[LinkState, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()

    def link(self, name: str) -> LinkState | None:
        return next((link for link in self.links if link.name == name), None)
