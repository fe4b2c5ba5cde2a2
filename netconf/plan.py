"""From what is to what should be, as steps that print like the command a person would type. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface

from netconf.state import LinkState, Made, Neighbour, NetworkState, Peer, Route, WireguardState

#: A kernel started with ipv6.disable=1 has none of these, and has what they ask for.
_MAY_BE_ABSENT = "net/ipv6/"
#: Switching forwarding off makes the kernel set accept_redirects of ``all`` to 1 (inet_forward_change), after we looked.
_WRITES_OTHERS = ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding")
_IS_WRITTEN = "net/ipv4/conf/"
#: The alias of every link that the box made.
MARK = "snowgate"


@dataclass(frozen=True, slots=True)
class SetSysctl:
    key: str
    value: str

    def __str__(self) -> str:
        # sysctl(8) takes slashes too, and a VLAN's name holds a dot.
        key = self.key if "." in self.key else self.key.replace("/", ".")
        return f"sysctl -w {key}={self.value}"


@dataclass(frozen=True, slots=True)
class AddLink:
    """A VLAN's link is made in its own namespace; a macvlan from its parent's, at once into ``namespace``."""

    link: str
    made: Made
    namespace: str = ""

    def __str__(self) -> str:
        made = self.made
        there = f" netns {self.namespace}" if self.namespace else ""
        mac = f" address {made.mac}" if made.mac else ""
        kind = f"vlan id {made.vlan}" if made.kind == "vlan" else "macvlan mode private"
        return f"ip link add link {made.parent} name {self.link}{there}{mac} type {kind}"


@dataclass(frozen=True, slots=True)
class MarkLink:
    """The mark by which the box knows a link again as its own work."""

    link: str

    def __str__(self) -> str:
        return f"ip link set {self.link} alias {MARK}"


@dataclass(frozen=True, slots=True)
class DeleteLink:
    link: str

    def __str__(self) -> str:
        return f"ip link del {self.link}"


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
        return f"ip route replace {_words(self.route)} dev {self.link}"


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    link: str
    route: Route

    def __str__(self) -> str:
        return f"ip route del {_words(self.route)} dev {self.link}"


@dataclass(frozen=True, slots=True)
class SetNeighbour:
    link: str
    neighbour: Neighbour

    def __str__(self) -> str:
        who = self.neighbour
        return f"ip neighbour replace {who.address} lladdr {who.mac} dev {self.link} nud permanent"


@dataclass(frozen=True, slots=True)
class DeleteNeighbour:
    link: str
    neighbour: Neighbour

    def __str__(self) -> str:
        return f"ip neighbour del {self.neighbour.address} dev {self.link}"


LinkMade = AddLink | MarkLink | DeleteLink
LinkStep = (
    LinkMade | SetUp | SetMtu | AddAddress | DeleteAddress | SetRoute | DeleteRoute | SetNeighbour | DeleteNeighbour
)
Step = SetSysctl | LinkStep


def diff(wanted: NetworkState, actual: NetworkState) -> list[Step]:
    """Return the steps from ``actual`` to ``wanted``; ports that are not there have none."""
    steps: list[Step] = list(_sysctls(wanted.sysctls, actual.sysctls))
    names = {link.name for link in wanted.links}
    steps += [DeleteLink(link.name) for link in actual.links if link.ours and link.name not in names]
    there = {link.name for link in actual.links}
    for link in wanted.links:
        found = actual.link(link.name)
        made, found = _made(link, found, there)
        steps += made
        if found is not None:
            there.add(link.name)
            steps += _link(link, found)
    return steps


def _made(wanted: LinkState, actual: LinkState | None, there: set[str]) -> tuple[list[Step], LinkState | None]:
    """Return the steps that make a link of our own, and what then is there to be set; of a foreign one: nothing."""
    if wanted.made is None:
        return [], actual
    steps: list[Step] = []
    if actual is not None and not _is(wanted.made, actual.made):
        if not actual.ours:
            return [], None
        steps, actual = [DeleteLink(wanted.name)], None
    if actual is not None:
        return ([] if actual.ours else [MarkLink(wanted.name)]), actual
    if wanted.made.kind != "vlan" or wanted.made.parent not in there:
        return steps, None
    return [*steps, AddLink(wanted.name, wanted.made), MarkLink(wanted.name)], LinkState(wanted.name, up=False)


def _is(wanted: Made, actual: Made | None) -> bool:
    if actual is None or (wanted.kind, wanted.vlan) != (actual.kind, actual.vlan):
        return False
    return actual.parent in ("", wanted.parent) and wanted.mac in ("", actual.mac)


def _link(wanted: LinkState, actual: LinkState) -> Iterator[Step]:
    """The new stands before the old goes, so that a link never loses its last address, nor a namespace its route.

    Up comes before routes, which the kernel only takes on a link that is up.
    """
    name = wanted.name
    yield from _sysctls(wanted.sysctls, actual.sysctls)
    if wanted.mtu is not None and wanted.mtu != actual.mtu:
        yield SetMtu(name, wanted.mtu)
    yield from (AddAddress(name, address) for address in sorted(wanted.addresses - actual.addresses))
    yield from (DeleteAddress(name, address) for address in sorted(actual.addresses - wanted.addresses))
    held = {who.address for who in wanted.neighbours}
    yield from (DeleteNeighbour(name, who) for who in sorted(actual.neighbours) if who.address not in held)
    yield from (SetNeighbour(name, who) for who in sorted(wanted.neighbours - actual.neighbours))
    if wanted.up and not actual.up:
        yield SetUp(name)
    yield from (SetRoute(name, route) for route in sorted(wanted.routes - actual.routes, key=str))
    yield from (DeleteRoute(name, route) for route in sorted(actual.routes - wanted.routes, key=str))


def _sysctls(wanted: tuple[tuple[str, str], ...], actual: tuple[tuple[str, str], ...]) -> Iterator[SetSysctl]:
    """``actual`` says "" of a sysctl that this kernel does not have."""
    now = dict(actual)
    rewritten = any(key in _WRITES_OTHERS and now.get(key) != value for key, value in wanted)
    for key, value in wanted:
        found = now.get(key, "")
        if found == "" and key.startswith(_MAY_BE_ABSENT):
            continue
        if found != value or (rewritten and key.startswith(_IS_WRITTEN)):
            yield SetSysctl(key, value)


def _words(route: Route) -> str:
    via = f" via {route.via}" if route.via else ""
    return f"{route.network}{via}{f' metric {route.metric}' if route.metric else ''}"


def missing(wanted: NetworkState, actual: NetworkState) -> list[str]:
    """Return what of ``wanted`` does not hold, in words; empty when all does."""
    steps = diff(wanted, actual)
    made = {step.link for step in steps if isinstance(step, AddLink)}
    gone = [_absent(wanted, link) for link in wanted.links if actual.link(link.name) is None and link.name not in made]
    foreign = [
        f"link {link.name} is not ours"
        for link in wanted.links
        if (found := actual.link(link.name)) and link.made and not found.ours and not _is(link.made, found.made)
    ]
    return gone + foreign + [str(step) for step in steps]


def _absent(wanted: NetworkState, link: LinkState) -> str:
    if link.made is None or link.made.kind == "vlan":
        return f"no link {link.name}"
    return str(AddLink(link.name, link.made, wanted.namespace))


def holds(wanted: NetworkState, actual: NetworkState) -> bool:
    """Say whether ``wanted`` is contained in ``actual``; what is not ours is not looked at."""
    return not missing(wanted, actual)


def wireguard_missing(wanted: WireguardState, actual: WireguardState) -> list[str]:
    """Return what of a device does not hold, as ``wg`` commands; ``wg syncconf`` of its whole text puts it right."""
    name = wanted.name
    steps = [] if wanted.public_key == actual.public_key else [f"wg set {name} private-key FILE"]
    if wanted.listen_port is not None and wanted.listen_port != actual.listen_port:
        steps.append(f"wg set {name} listen-port {wanted.listen_port}")
    known = {peer.public_key for peer in wanted.peers}
    steps += [
        f"wg set {name} peer {peer.public_key} remove"
        for peer in sorted(actual.peers, key=_key)
        if peer.public_key not in known
    ]
    return steps + [_peer_words(name, peer) for peer in sorted(wanted.peers - actual.peers, key=_key)]


def _key(peer: Peer) -> str:
    return peer.public_key


def _peer_words(device: str, peer: Peer) -> str:
    allowed = ",".join(str(network) for network in peer.allowed)
    shared = " preshared-key FILE" if peer.preshared_key else ""
    keepalive = f"persistent-keepalive {peer.keepalive_seconds}"
    return f"wg set {device} peer {peer.public_key}{shared} allowed-ips {allowed} {keepalive}"
