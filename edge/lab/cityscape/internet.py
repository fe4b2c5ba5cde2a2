"""What the sites have in common, drawn and built.

 site 1 ── wan0 198.51.100.2 ──┐             ┌─ .10 hub-a 10.20.0.1 ──┐
 site 2 ── wan0 198.51.100.18 ─┼─ internet ──┼─ .11 hub-b 10.20.0.2 ──┼─ sw-city ─ city 10.20.0.11, .12, .13
 site 3 ── wan0 198.51.100.34 ─┘      203.0.113.0/24                  │            three platforms
                                             └─ .20 registry 10.20.0.6 ┘

Each site is a street of its own (``edge.lab.topology``), in its own namespaces; its uplink alone is plugged in here.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.lab.topology import ip, sysctl

REGISTRY_PUBLIC, REGISTRY_INNER, REGISTRY_PORT = "203.0.113.20", "10.20.0.6", 8443
CITY_NETWORK = "10.20.0.0/16"
SITES = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Hub:
    """One concentrator: its host, the tunnels' plane, where it is outside and inside, and its sites' addresses.

    ``device``: one host's devices must not be called like another's, for wireguard-go's sockets are in one folder.
    """

    host: str
    plane: str
    device: str
    public: str
    city: str
    network: str
    inner: str


HUBS = (
    Hub("hub-a", "wg-a", "wg-ha", "203.0.113.10", "10.20.0.1", "100.64.0.0/18", "100.64.0.1"),
    Hub("hub-b", "wg-b", "wg-hb", "203.0.113.11", "10.20.0.2", "100.96.0.0/18", "100.96.0.1"),
)
HUB_PORT = 51820


@dataclass(frozen=True, slots=True)
class Place:
    """Where site ``number`` is plugged in, what it is called, and which platform is its."""

    number: int

    @property
    def id(self) -> str:
        return f"3402000000200800{self.number:04d}"

    @property
    def uplink(self) -> str:
        return f"198.51.100.{16 * (self.number - 1) + 2}"

    @property
    def gateway(self) -> str:
        return f"198.51.100.{16 * (self.number - 1) + 1}"

    @property
    def platform(self) -> str:
        return f"3402000000200000{self.number:04d}"

    @property
    def platform_address(self) -> str:
        return f"10.20.0.{10 + self.number}"


def build() -> None:
    """Make the common namespaces; the sites come by ``plug``.

    Raises:
        LabBroken: the tool's own words.
    """
    for name in ("internet", "sw-city", "registry", "city", *(hub.host for hub in HUBS)):
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
    for switch, address in (("internet", "203.0.113.1/24"), ("sw-city", "")):
        ip("-n", switch, "link", "add", "br0", "type", "bridge")
        ip("-n", switch, "link", "set", "br0", "up")
        if address:
            ip("-n", switch, "addr", "add", address, "dev", "br0")
    for host, public, city in (
        ("registry", REGISTRY_PUBLIC, (REGISTRY_INNER,)),
        ("city", "", tuple(Place(number).platform_address for number in SITES)),
        *((hub.host, hub.public, (hub.city,)) for hub in HUBS),
    ):
        if public:
            _wire(host, "c0", "internet", (public,), 24)
            ip("-n", host, "route", "add", "default", "via", "203.0.113.1")
        _wire(host, "e0", "sw-city", city, 16)
    for hub in HUBS:
        for host in ("registry", "city"):
            ip("-n", host, "route", "add", hub.network, "via", hub.city)
    for host in ("internet", *(hub.host for hub in HUBS)):
        sysctl(host, "net/ipv4/ip_forward", "1")


def _wire(host: str, link: str, switch: str, addresses: tuple[str, ...], bits: int) -> None:
    ip("link", "add", link, "netns", host, "type", "veth", "peer", "name", f"p-{host}", "netns", switch)
    ip("-n", switch, "link", "set", f"p-{host}", "master", "br0", "up")
    for address in addresses:
        ip("-n", host, "addr", "add", f"{address}/{bits}", "dev", link)
    ip("-n", host, "link", "set", link, "up")


def plug(place: Place, pid: int) -> None:
    """Lay a site's cable: one end at the Internet, the other, ``out0``, in the first namespace of process ``pid``.

    Raises:
        LabBroken: the tool's own words.
    """
    link = f"site-{place.number}"
    ip("link", "add", link, "netns", "internet", "type", "veth", "peer", "name", "out0", "netns", str(pid))
    ip("-n", "internet", "addr", "add", f"{place.gateway}/28", "dev", link)
    ip("-n", "internet", "link", "set", link, "up")


DRAWING = "\n".join((__doc__ or "").split("\n")[2:6])
