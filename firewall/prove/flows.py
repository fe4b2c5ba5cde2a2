"""What a site's configuration lets pass, written down a second time: the expectation that rules are held against.

This shares no word with ``compile``: who changes the policy there and not here turns the proof red.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from firewall.prove.packet import ARP, ICMP, TCP, UDP, Packet, Room, Way
from netconf.learned import Learned
from netconf.model import Recorder, Site

#: Where the recorder of the sample hears.
EAR_PORT = 15062
_OUTWARD: tuple[Way, ...] = ("out", "frame")


@dataclass(frozen=True, slots=True)
class Pins:
    """The media paths that are open while a site is proven."""

    lan_udp: int
    lan_tcp: int
    lan_sound: int
    city: str
    city_udp: tuple[int, int]
    city_tcp: tuple[int, int]
    city_sound: tuple[int, int]
    #: Where reports about what goes by UDP come from and go to, one above it.
    lan_reports: int
    city_reports: tuple[int, int]
    payload_type: int = 96
    #: Where the city enrols boxes, and who may go there.
    enrolment: tuple[str, int] = ("203.0.113.77", 8443)


def sample(site: Site) -> Pins:
    """Return pins that fit a site: its first ports, and the first host of its first media network."""
    first = site.lan.media_port_range.start
    if not site.platform:
        return Pins(first, first + 2, first + 4, "", (0, 0), (0, 0), (0, 0), first + 1, (0, 0))
    network = site.platform[0].media_networks[0]
    inside = site.platform[0].address in network
    city = site.platform[0].address if inside or network.num_addresses < 3 else network[1]
    ends = (40000, 41000), (40002, 41002), (40004, 41004)
    return Pins(first, first + 2, first + 4, str(city), *ends, first + 1, (40001, 41001))


def passes(site: Site, learned: Learned, room: Room, way: Way, packet: Packet, door: int = 0) -> bool:
    """Return whether a packet that is sent this way, by this one of the room's ports, must arrive."""
    own = own_addresses(site, learned)[room]
    if packet.protocol == ARP:
        # A tunnel has no hardware addresses to ask for.
        return way == "frame" and room != "vpn" and packet.source in own
    if packet.six or packet.fragment != (0, False) or packet.options:
        return False
    if way == "in" and (packet.target not in own or packet.source in own or packet.source.startswith("127.")):
        return False
    if room == "lan" and way == "in" and not _hardware_is_right(site, packet):
        return False
    if room == "lan" and way == "frame" and not _to_the_right_hardware(site, packet):
        return False
    # A tunnel carries what is for its own address, and from it.
    if room == "vpn" and (packet.target if way == "in" else packet.source) not in own[door : door + 1]:
        return False
    flows = list(_wan(site, learned) if room == "wan" else _vpn(site, door) if room == "vpn" else _lan(site))
    # What a socket sends passes the output chain and then the wire's own.
    stages: tuple[Way, ...] = ("out", "frame") if way == "out" else (way,)
    return all(any(flow.holds(packet) for flow in flows if stage in flow.ways) for stage in stages)


def own_addresses(site: Site, learned: Learned) -> dict[Room, tuple[str, ...]]:
    """Return the box's own addresses by room."""
    lease = learned.lease
    uplink = site.uplink.address if site.uplink.mode == "static" else lease.address if lease else None
    return {
        "lan": (str(site.lan.address.ip),),
        "vpn": tuple(str(tunnel.address.ip) for tunnel in site.tunnel),
        "wan": (str(uplink.ip),) if uplink else (),
    }


def recorders(site: Site) -> list[Recorder]:
    return [recorder for recorder in site.recorder if recorder.kind == "gb28181"]


def addresses(recorder: Recorder) -> set[str]:
    return {str(recorder.address), *map(str, recorder.media_addresses)}


def _hardware_is_right(site: Site, packet: Packet) -> bool:
    for recorder in recorders(site):
        if (packet.source in addresses(recorder)) != (packet.hardware.lower() == recorder.mac.lower()):
            return False
    return True


def _to_the_right_hardware(site: Site, packet: Packet) -> bool:
    """A frame's ``hardware`` is whom it goes to."""
    meant = {r.mac.lower() for r in recorders(site) if packet.target in addresses(r)}
    return not meant or packet.hardware.lower() in meant


@dataclass(frozen=True, slots=True)
class Flow:
    """One thing that may pass. What is None is open; networks are of the far end's addresses."""

    ways: tuple[Way, ...]
    protocol: int
    sources: Collection[str] | None = None
    targets: Collection[str] | None = None
    sports: Collection[int] | None = None
    dports: Collection[int] | None = None
    #: Whether a connection may be opened, and whether a segment may carry something.
    opens: bool = True
    laden: bool = True
    content: str = ""

    def holds(self, packet: Packet) -> bool:
        """Return whether a packet is of this flow."""
        pairs: tuple[tuple[object, Collection[object] | None], ...] = (
            (packet.source, self.sources), (packet.target, self.targets), (packet.sport, self.sports), (packet.dport, self.dports),
        )  # fmt: skip
        if packet.protocol != self.protocol or any(among is not None and one not in among for one, among in pairs):
            return False
        if packet.protocol == TCP:
            opening = "S" in packet.flags and "A" not in packet.flags
            return (self.opens or not opening) and (self.laden or not packet.payload)
        return _CONTENTS[self.content](packet)


class Within(Collection[str]):
    """The addresses of some networks."""

    def __init__(self, networks: tuple[IPv4Network, ...]) -> None:
        self._networks = networks

    def __contains__(self, address: object) -> bool:
        return any(IPv4Address(str(address)) in network for network in self._networks)

    def __iter__(self) -> Iterator[str]:
        return (str(host) for network in self._networks for host in network)

    def __len__(self) -> int:
        return sum(network.num_addresses for network in self._networks)


def _rtp(packet: Packet, payload_type: int | None = None) -> bool:
    data = packet.payload
    if len(data) <= 12 or data[0] >> 6 != 2:
        return False
    return payload_type is None or data[1] & 0x7F == payload_type


def _media(packet: Packet) -> bool:
    """RTP that could be taken for nothing else: in its second octet RTCP has its types."""
    return _rtp(packet) and not 192 <= packet.payload[1] <= 223


def _report(packet: Packet, first: tuple[int, ...], most: int) -> bool:
    data = packet.payload
    return 8 <= len(data) <= most and data[0] >> 6 == 2 and data[1] in first


_CONTENTS: dict[str, Callable[[Packet], bool]] = {
    "": lambda p: True,
    "rtp": _media,
    "report to a recorder": lambda p: _report(p, (201,), 100),
    "report to the city": lambda p: _report(p, (200, 201), 100),
    "report of the city": lambda p: _report(p, (200, 201), 256),
    "rtp 96": lambda p: _rtp(p, 96),
    "sound": lambda p: _rtp(p, 8) and len(p.payload) <= 972,
    "probe": lambda p: len(p.payload) == 16,
    #: A message's type and three zeros.
    "wireguard": lambda p: p.payload[:4] in (b"\1\0\0\0", b"\2\0\0\0", b"\3\0\0\0", b"\4\0\0\0"),
    "ping": lambda p: p.kind[0] == 8 and len(p.payload) <= 64,
    "pong": lambda p: p.kind[0] == 0 and len(p.payload) <= 64,
}


def _lan(site: Site) -> Iterator[Flow]:
    pins, own, sip = sample(site), (str(site.lan.address.ip),), (site.lan.sip_port,)
    for at, recorder in enumerate(recorders(site)):
        host, media = (str(recorder.address),), tuple(map(str, recorder.media_addresses))
        for protocol in (UDP, TCP):
            yield Flow(("in",), protocol, host, dports=sip)
            yield Flow(("out", "frame"), protocol, own, host, sports=sip, opens=False)
        if at == 0:
            yield Flow(("in",), UDP, media, dports=(pins.lan_udp,), content="rtp 96")
            yield Flow(("in",), TCP, media, dports=(pins.lan_tcp,))
            yield Flow(("out", "frame"), TCP, own, media, sports=(pins.lan_tcp,), laden=False)
            yield Flow(("out", "frame"), UDP, own, media, sports=(pins.lan_reports,), content="report to a recorder")
        if at == 0 and recorder.id in site.spoken_to:
            ear, from_ = (media[0],), (pins.lan_sound,)
            yield Flow(("out", "frame"), UDP, own, ear, from_, (EAR_PORT,), content="sound")
    owners = Within(site.lan.owner_networks)
    yield Flow(("in",), ICMP, owners, content="ping")
    yield Flow(("out",), ICMP, None, owners, content="pong")
    yield Flow(("frame",), ICMP, own, owners, content="pong")
    yield Flow(("in",), TCP, owners, dports=(443,))
    yield Flow(("out",), TCP, None, owners, sports=(443,), opens=False)
    yield Flow(("frame",), TCP, own, owners, sports=(443,), opens=False)


def _vpn(site: Site, by: int) -> Iterator[Flow]:
    if not site.platform:
        return  # not enrolled: nothing
    pins = sample(site)
    probed = site.tunnel[by].probe
    if probed is not None:
        answers, echo = (str(probed),), (9751,)
        yield Flow(("in",), UDP, answers, None, echo, echo, content="probe")
        yield Flow(_OUTWARD, UDP, None, answers, echo, echo, content="probe")
    for platform in site.platform:
        for host, port in ((platform.address, platform.port), *((s.address, s.port) for s in platform.redirect)):
            far, door = (str(host),), (port,)
            if platform.transport == "tcp":
                yield Flow(("in",), TCP, far, None, door, opens=False)
                yield Flow(_OUTWARD, TCP, None, far, None, door)
            else:
                yield Flow(("in",), UDP, far, None, door, (platform.local_port,))
                yield Flow(_OUTWARD, UDP, None, far, (platform.local_port,), door)
    if site.control is not None:
        far, door = (str(site.control.address),), (site.control.port,)
        yield Flow(("in",), TCP, far, None, door, opens=False)
        yield Flow(_OUTWARD, TCP, None, far, None, door)
    if site.monitoring.readers:
        readers = tuple(map(str, site.monitoring.readers))
        yield Flow(("in",), TCP, readers, dports=(9750,))
        yield Flow(_OUTWARD, TCP, None, readers, sports=(9750,), opens=False)
    city = (pins.city,)
    (udp_far, udp_own), (tcp_far, tcp_own), (said, heard) = pins.city_udp, pins.city_tcp, pins.city_sound
    if by:  # the sample's pins are the first tunnel's
        return
    yield Flow(_OUTWARD, UDP, None, city, (udp_own,), (udp_far,), content="rtp")
    (told_far, told_own) = pins.city_reports
    yield Flow(_OUTWARD, UDP, None, city, (told_own,), (told_far,), content="report to the city")
    yield Flow(("in",), UDP, city, None, (told_far,), (told_own,), content="report of the city")
    yield Flow(_OUTWARD, TCP, None, city, (tcp_own,), (tcp_far,))
    yield Flow(("in",), TCP, city, None, (tcp_far,), (tcp_own,), opens=False)
    if site.spoken_to:
        yield Flow(("in",), UDP, city, None, (said,), (heard,), content="sound")


def _wan(site: Site, learned: Learned) -> Iterator[Flow]:
    own, lease = own_addresses(site, learned)["wan"], learned.lease
    doors = []
    for tunnel in site.tunnel:
        host = tunnel.endpoint_address or learned.endpoint(tunnel.endpoint_host)
        if host is not None:
            doors.append((str(host), tunnel.endpoint_port, "wireguard"))
    doors += [(str(server), 123, "") for server in site.uplink.ntp or (lease.ntp if lease else ())]
    doors += [(str(server), 53, "") for server in site.uplink.dns or (lease.dns if lease else ())]
    for far, port, content in doors:
        yield Flow(("in",), UDP, (far,), None, (port,), content=content)
        yield Flow(("out",), UDP, None, (far,), None, (port,), content=content)
        yield Flow(("frame",), UDP, own, (far,), None, (port,), content=content)
    # The user whose hole it is sends in the trial, too.
    city, door = sample(site).enrolment
    yield Flow(("in",), TCP, (city,), None, (door,), opens=False)
    yield Flow(("out",), TCP, None, (city,), None, (door,))
    yield Flow(("frame",), TCP, own, (city,), None, (door,))
