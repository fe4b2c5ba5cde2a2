"""What the fields of a site must be to each other. Every error at once, each with its path."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from netconf.finding import Finding, Severity, finding
from netconf.model import Site, parse


def read_site(text: str) -> tuple[Site | None, tuple[Finding, ...]]:
    """Return the site that ``text`` says, and all findings; the site is None when one of them is an error."""
    site, wrong = parse(text)
    if site is None:
        return None, wrong
    found = tuple(check(site))
    return (None if any(f.severity is Severity.ERROR for f in found) else site), found


def check(site: Site) -> Iterator[Finding]:
    """Yield what does not fit together."""
    for rule in (_ports, _networks, _tunnels, _platform, _recorders, _channels, _not_yet):
        yield from rule(site)


def _ports(site: Site) -> Iterator[Finding]:
    if site.uplink.port == site.lan.port:
        yield finding("ports_same", "/lan/port", port=site.lan.port)
    if site.uplink.mac is not None and site.uplink.mac == site.lan.mac:
        yield finding("ports_same", "/lan/mac", port=site.lan.mac)
    low, high = site.lan.media_port_range.start, site.lan.media_port_range.stop - 1
    if not 1024 <= low < high <= 65535:
        yield finding("media_ports_range", "/lan/media_ports", ports=site.lan.media_ports)
    elif low <= site.lan.sip_port <= high:
        yield finding("media_ports_hold_sip", "/lan/media_ports", port=site.lan.sip_port)
    elif (high - low + 1) // 2 < site.max_calls:
        yield finding("media_ports_few", "/lan/media_ports", calls=site.max_calls)
    if site.uplink.mode == "static":
        if site.uplink.address is None:
            yield finding("field_missing", "/uplink/address")
        elif site.uplink.gateway is not None and site.uplink.gateway not in site.uplink.address.network:
            yield finding("gateway_outside", "/uplink/gateway", gateway=site.uplink.gateway)


def _networks(site: Site) -> Iterator[Finding]:
    """A packet must have one right side: LAN, uplink and tunnel networks share no address."""
    places: list[tuple[str, str, IPv4Network]] = [("/lan/address", "lan", site.lan.address.network)]
    if site.uplink.address is not None:
        places.append(("/uplink/address", "uplink", site.uplink.address.network))
    for at, tunnel in enumerate(site.tunnel):
        places.append((f"/tunnel/{at}/address", "tunnel", tunnel.address.network))
        places += [(f"/tunnel/{at}/allowed/{n}", "tunnel", net) for n, net in enumerate(tunnel.allowed)]
    for at, (path, side, network) in enumerate(places):
        for _, other_side, other in places[:at]:
            if side != other_side and network.overlaps(other):
                yield finding("networks_overlap", path, network=network, other=other)
    for at, owner in enumerate(site.lan.owner_networks):
        if not owner.subnet_of(site.lan.address.network):
            yield finding("outside_lan", f"/lan/owner_networks/{at}", address=owner)


def _tunnels(site: Site) -> Iterator[Finding]:
    yield from _repeated("tunnel_repeated", "/tunnel/{}/name", (t.name for t in site.tunnel))
    for at, tunnel in enumerate(site.tunnel):
        if tunnel.name in (site.lan.port, site.uplink.port, "lo"):
            yield finding("tunnel_name_is_port", f"/tunnel/{at}/name", name=tunnel.name)
        if tunnel.address.network.prefixlen != 32:
            yield finding("tunnel_address_wide", f"/tunnel/{at}/address", address=tunnel.address)
        if not 1 <= tunnel.endpoint_port <= 65535:
            yield finding("field_value", f"/tunnel/{at}/endpoint", what="port 1 to 65535")
        try:
            host = IPv4Address(tunnel.endpoint_host)
        except ValueError:
            yield finding("endpoint_name_not_yet", f"/tunnel/{at}/endpoint", name=tunnel.endpoint_host)
            continue
        if any(host in network for network in (site.lan.address.network, *tunnel.allowed)):
            yield finding("endpoint_inside", f"/tunnel/{at}/endpoint", address=host)
        yield from (
            finding("allowed_everything", f"/tunnel/{at}/allowed/{n}", network=net)
            for n, net in enumerate(tunnel.allowed)
            if net.prefixlen < 8
        )


def _platform(site: Site) -> Iterator[Finding]:
    allowed = [network for tunnel in site.tunnel for network in tunnel.allowed]
    if not any(site.platform.address in network for network in allowed):
        yield finding("platform_outside_tunnel", "/platform/address", address=site.platform.address)
    for at, media in enumerate(site.platform.media_networks):
        if not any(media.subnet_of(network) for network in allowed):
            yield finding("media_outside_tunnel", f"/platform/media_networks/{at}", network=media)


def _recorders(site: Site) -> Iterator[Finding]:
    yield from _repeated("recorder_id_repeated", "/recorder/{}/id", (r.id for r in site.recorder))
    yield from _repeated("recorder_mac_repeated", "/recorder/{}/mac", (r.mac for r in site.recorder))
    yield from _repeated("recorder_address_repeated", "/recorder/{}/address", (r.address for r in site.recorder))
    lan = site.lan.address
    for at, recorder in enumerate(site.recorder):
        named = [("address", recorder.address)]
        named += [(f"media_addresses/{n}", address) for n, address in enumerate(recorder.media_addresses)]
        for field, address in named:
            if address not in lan.network or address == lan.ip:
                yield finding("outside_lan", f"/recorder/{at}/{field}", address=address)
            elif any(address in network for network in site.lan.owner_networks):
                yield finding("recorder_among_owner", f"/recorder/{at}/{field}", address=address)


def _channels(site: Site) -> Iterator[Finding]:
    known = {recorder.id for recorder in site.recorder}
    yield from _repeated(
        "channel_repeated", "/channel/{}/id", ((c.recorder, c.id) for c in site.channel), lambda k: k[1]
    )
    for at, channel in enumerate(site.channel):
        if channel.recorder not in known:
            yield finding("channel_without_recorder", f"/channel/{at}/recorder", recorder=channel.recorder)
        if channel.share and channel.coverage == "B":
            yield finding("coverage_b_shared", f"/channel/{at}/share", name=channel.name)


def _not_yet(site: Site) -> Iterator[Finding]:
    if site.uplink.mode == "dhcp":
        yield finding("uplink_dhcp_not_yet", "/uplink/mode")
    if site.platform.transport == "tcp":
        yield finding("transport_tcp_not_yet", "/platform/transport")
    for at, recorder in enumerate(site.recorder):
        if recorder.kind != "gb28181":
            yield finding("recorder_kind_not_yet", f"/recorder/{at}/kind", Severity.WARNING, kind=recorder.kind)


def _repeated(
    code: str, path: str, values: Iterable[Hashable], shown: Callable[..., object] = lambda value: value
) -> Iterator[Finding]:
    seen: set[Hashable] = set()
    for at, value in enumerate(values):
        if value in seen:
            yield finding(code, path.format(at), value=shown(value))
        seen.add(value)
