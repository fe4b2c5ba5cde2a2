"""From what is to what should be, as steps that print like the command a person would type. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface

from netconf.state import LinkState, Neighbour, NetworkState, Route


@dataclass(frozen=True, slots=True)
class SetSysctl:
    key: str
    value: str

    def __str__(self) -> str:
        return f"sysctl -w {self.key.replace('/', '.')}={self.value}"


@dataclass(frozen=True, slots=True)
class SetUp:
    link: str

    def __str__(self) -> str:
        return f"ip link set {self.link} up"


@dataclass(frozen=True, slots=True)
class SetMtu:
    link: str
    mtu: int

    def __str__(self) -> str:
        return f"ip link set {self.link} mtu {self.mtu}"


@dataclass(frozen=True, slots=True)
class AddAddress:
    link: str
    address: IPv4Interface

    def __str__(self) -> str:
        return f"ip address add {self.address} dev {self.link}"


@dataclass(frozen=True, slots=True)
class DeleteAddress:
    link: str
    address: IPv4Interface

    def __str__(self) -> str:
        return f"ip address del {self.address} dev {self.link}"


@dataclass(frozen=True, slots=True)
class SetRoute:
    link: str
    route: Route

    def __str__(self) -> str:
        via = f"via {self.route.via} " if self.route.via else ""
        return f"ip route replace {self.route.network} {via}dev {self.link}"


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    link: str
    route: Route

    def __str__(self) -> str:
        return f"ip route del {self.route.network} dev {self.link}"


@dataclass(frozen=True, slots=True)
class SetNeighbour:
    link: str
    neighbour: Neighbour

    def __str__(self) -> str:
        who = self.neighbour
        return f"ip neighbour replace {who.address} lladdr {who.mac} dev {self.link} nud permanent"


Step = SetSysctl | SetUp | SetMtu | AddAddress | DeleteAddress | SetRoute | DeleteRoute | SetNeighbour


def diff(wanted: NetworkState, actual: NetworkState) -> list[Step]:
    """Return the steps from ``actual`` to ``wanted``; links that are not there have none."""
    now = dict(actual.sysctls)
    steps: list[Step] = [SetSysctl(key, value) for key, value in wanted.sysctls if now.get(key) != value]
    for link in wanted.links:
        found = actual.link(link.name)
        if found is not None:
            steps += _link(link, found)
    return steps


def _link(wanted: LinkState, actual: LinkState) -> Iterator[Step]:
    """Up comes before routes, which the kernel only takes on a link that is up."""
    name = wanted.name
    if wanted.mtu is not None and wanted.mtu != actual.mtu:
        yield SetMtu(name, wanted.mtu)
    yield from (AddAddress(name, address) for address in sorted(wanted.addresses - actual.addresses))
    yield from (DeleteAddress(name, address) for address in sorted(actual.addresses - wanted.addresses))
    yield from (SetNeighbour(name, who) for who in sorted(wanted.neighbours - actual.neighbours))
    if wanted.up and not actual.up:
        yield SetUp(name)
    yield from (SetRoute(name, route) for route in sorted(wanted.routes - actual.routes, key=str))
    yield from (DeleteRoute(name, route) for route in sorted(actual.routes - wanted.routes, key=str))


def missing(wanted: NetworkState, actual: NetworkState) -> list[str]:
    """Return what of ``wanted`` does not hold, in words; empty when all does."""
    gone = [f"no link {link.name}" for link in wanted.links if actual.link(link.name) is None]
    return gone + [str(step) for step in diff(wanted, actual)]
