"""What the fields of a site must be to each other. Every error at once, each with its path."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from netconf.finding import Finding, Severity, finding
from netconf.hosts import is_end, is_host
from netconf.model import MAX_FINDINGS, Site, parse, validate

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)


def read_site(text: str) -> tuple[Site | None, tuple[Finding, ...]]:
    """Return the site that ``text`` says, and all findings; the site is None when one of them is an error."""
    return _judged(*parse(text))


def read_parsed(raw: dict[str, Any]) -> tuple[Site | None, tuple[Finding, ...]]:
    """Return the same of a document that was parsed already."""
    return _judged(*validate(raw))


def _judged(site: Site | None, wrong: tuple[Finding, ...]) -> tuple[Site | None, tuple[Finding, ...]]:
    if site is None:
        return None, wrong
    found = sorted(check(site), key=lambda f: f.severity is not Severity.ERROR)
    return (None if found and found[0].severity is Severity.ERROR else site), tuple(found[:MAX_FINDINGS])


def check(site: Site) -> Iterator[Finding]:
    """Yield what does not fit together."""
    for rule in (
        _city,
        _ports,
        _uplink,
        _addresses,
        _networks,
        _tunnels,
        _platforms,
        _identities,
        _recorders,
        _channels,
        _not_yet,
    ):
        yield from rule(site)


def _city(site: Site) -> Iterator[Finding]:
    """The city's part is there as a whole, or not at all: then the box is not enrolled yet."""
    needed = {"site": site.enrolled, "tunnel": bool(site.tunnel), "platform": bool(site.platform)}
    if any(needed.values()) or site.control is not None or site.monitoring.readers:
        for name, there in needed.items():
            if not there:
                yield finding("city_part_missing", f"/{name}", name=name)


def _ports(site: Site) -> Iterator[Finding]:
    if site.lan.mode == "two_ports" and site.uplink.port == site.lan.port:
        yield finding("ports_same", "/lan/port", port=site.lan.port)
    if site.lan.mode == "one_arm" and site.uplink.port != site.lan.port:
        yield finding("one_arm_ports", "/lan/port", port=site.lan.port, uplink=site.uplink.port)
    if site.uplink.mac is not None and site.uplink.mac == site.lan.mac:
        yield finding("ports_same", "/lan/mac", port=site.lan.mac)
    low, high = site.lan.media_port_range.start, site.lan.media_port_range.stop - 1
    if not 1024 <= low < high <= 65535:
        yield finding("media_ports_range", "/lan/media_ports", ports=site.lan.media_ports)
    elif low <= site.lan.sip_port <= high:
        yield finding("media_ports_hold_sip", "/lan/media_ports", port=site.lan.sip_port)
    elif (high - low + 1) // 2 < site.max_calls:
        yield finding("media_ports_few", "/lan/media_ports", calls=site.max_calls)


def _uplink(site: Site) -> Iterator[Finding]:
    uplink = site.uplink
    if uplink.mode == "static":
        yield from _static(site)
        for at, tunnel in enumerate(site.tunnel):
            if tunnel.endpoint_address is None and not uplink.dns:
                yield finding("dns_missing", f"/tunnel/{at}/endpoint", name=tunnel.endpoint_host)
    else:
        for field, value in (("address", uplink.address), ("gateway", uplink.gateway)):
            if value is not None:
                yield finding("uplink_field_given", f"/uplink/{field}", mode=uplink.mode)
    other_side = [network for tunnel in site.tunnel for network in tunnel.allowed]
    other_side += [] if site.one_wire else [site.lan.address.network]
    for field, named in (("ntp", uplink.ntp), ("dns", uplink.dns)):
        for at, address in enumerate(named):
            if not is_host(address):
                yield finding("address_no_host", f"/uplink/{field}/{at}", address=address)
            elif any(address in network for network in other_side):
                yield finding("address_other_side", f"/uplink/{field}/{at}", address=address)


def _static(site: Site) -> Iterator[Finding]:
    uplink = site.uplink
    if uplink.address is None:
        yield finding("field_missing", "/uplink/address")
    elif uplink.gateway is None:
        away = [tunnel.endpoint_address for tunnel in site.tunnel if tunnel.endpoint_address is not None]
        for host in (*away, *uplink.dns):
            if host not in uplink.address.network:
                yield finding("gateway_missing", "/uplink/gateway", address=host)
    elif uplink.gateway not in uplink.address.network:
        yield finding("gateway_outside", "/uplink/gateway", gateway=uplink.gateway)


def _addresses(site: Site) -> Iterator[Finding]:
    """An address that a host can have, is its network's, and is not the box's own."""
    inside = {site.lan.address.ip, *(recorder.address for recorder in site.recorder)}
    own = {site.lan.address.ip, *(tunnel.address.ip for tunnel in site.tunnel)}
    own |= {site.uplink.address.ip} if site.uplink.address else set()
    mine: list[tuple[str, IPv4Interface]] = [("/lan/address", site.lan.address)]
    mine += [("/uplink/address", site.uplink.address)] if site.uplink.address else []
    mine += [(f"/tunnel/{at}/address", tunnel.address) for at, tunnel in enumerate(site.tunnel)]
    for path, interface in mine:
        if not is_host(interface.ip) or is_end(interface.ip, interface.network):
            yield finding("address_no_host", path, address=interface)
    if site.one_wire and site.uplink.address is not None and site.uplink.address.ip in inside:
        yield finding("address_taken", "/uplink/address", address=site.uplink.address.ip)
    theirs = list(_servers(site))
    theirs += [("/uplink/gateway", site.uplink.gateway)] if site.uplink.gateway else []
    theirs += [(f"/recorder/{at}/address", recorder.address) for at, recorder in enumerate(site.recorder)]
    for at, tunnel in enumerate(site.tunnel):
        theirs += [(f"/tunnel/{at}/endpoint", host)] if (host := tunnel.endpoint_address) else []
        theirs += [(f"/tunnel/{at}/probe", tunnel.probe)] if tunnel.probe else []
    for path, address in theirs:
        if address in own:
            yield finding("address_own", path, address=address)
        elif not is_host(address):
            yield finding("address_no_host", path, address=address)


def _networks(site: Site) -> Iterator[Finding]:
    """A packet must have one right side: LAN, uplink and tunnel networks share no address.

    Where one untagged wire carries both, the site's router is in both: what parts them is the namespace alone.
    """
    places: list[tuple[str, str, IPv4Network]] = [("/lan/address", "lan", site.lan.address.network)]
    if site.uplink.address is not None:
        places.append(("/uplink/address", "uplink", site.uplink.address.network))
    for at, tunnel in enumerate(site.tunnel):
        places.append((f"/tunnel/{at}/address", "tunnel", tunnel.address.network))
        places += [(f"/tunnel/{at}/allowed/{n}", "tunnel", net) for n, net in enumerate(tunnel.allowed)]
    for at, (path, side, network) in enumerate(places):
        for _, other_side, other in places[:at]:
            shared = site.one_wire and {side, other_side} == {"lan", "uplink"}
            if side != other_side and not shared and network.overlaps(other):
                yield finding("networks_overlap", path, network=network, other=other)
    for at, owner in enumerate(site.lan.owner_networks):
        if not owner.subnet_of(site.lan.address.network):
            yield finding("outside_lan", f"/lan/owner_networks/{at}", address=owner)


def _tunnels(site: Site) -> Iterator[Finding]:
    yield from _repeated("tunnel_repeated", "/tunnel/{}/name", (t.name for t in site.tunnel))
    yield from _repeated("tunnel_address_repeated", "/tunnel/{}/address", (t.address.ip for t in site.tunnel))
    # One key at both ends of the city is one concentrator: there is nothing to go to when it fails.
    yield from _repeated("tunnel_key_repeated", "/tunnel/{}/public_key", (t.public_key for t in site.tunnel))
    yield from _repeated("tunnel_endpoint_repeated", "/tunnel/{}/endpoint", (t.endpoint.lower() for t in site.tunnel))
    networks = [
        (f"/tunnel/{at}/allowed/{n}", net) for at, t in enumerate(site.tunnel) for n, net in enumerate(t.allowed)
    ]
    for at, tunnel in enumerate(site.tunnel):
        for n, network in enumerate(tunnel.allowed):
            # Two routes to one network take turns in pushing each other out; of two tunnels they stand side by side.
            if network in tunnel.allowed[:n]:
                yield finding("tunnel_network_repeated", f"/tunnel/{at}/allowed/{n}", network=network)
    yield from _probes(site)
    ports = [(at, tunnel.listen_port) for at, tunnel in enumerate(site.tunnel) if tunnel.listen_port]
    for place, (at, port) in enumerate(ports):
        if port in (other for _, other in ports[:place]):
            yield finding("listen_port_repeated", f"/tunnel/{at}/listen_port", port=port)
    inside = [site.lan.address.network, *(network for _, network in networks)]
    made = {site.lan.arm} if site.lan.mode == "one_arm" else set()
    made |= {site.lan.link} if site.lan.vlan is not None else set()
    for name in sorted(made & {site.uplink.port, site.lan.port}):
        yield finding("link_name_taken", "/lan/port", name=name)
    for at, tunnel in enumerate(site.tunnel):
        if tunnel.name in (site.lan.port, site.uplink.port):
            yield finding("tunnel_name_is_port", f"/tunnel/{at}/name", name=tunnel.name)
        elif tunnel.name in made:
            yield finding("link_name_taken", f"/tunnel/{at}/name", name=tunnel.name)
        if tunnel.address.network.prefixlen != 32:
            yield finding("tunnel_address_wide", f"/tunnel/{at}/address", address=tunnel.address)
        host = tunnel.endpoint_address
        if not 1 <= tunnel.endpoint_port <= 65535 or (host is None and not _is_name(tunnel.endpoint_host)):
            yield finding("endpoint_form", f"/tunnel/{at}/endpoint")
        if host is not None and any(host in network for network in inside):
            yield finding("endpoint_inside", f"/tunnel/{at}/endpoint", address=host)
        yield from (
            finding("allowed_everything", f"/tunnel/{at}/allowed/{n}", network=net)
            for n, net in enumerate(tunnel.allowed)
            if net.prefixlen < 8
        )


def _probes(site: Site) -> Iterator[Finding]:
    """A concentrator answers inside its tunnel; and nobody may send the box packets in its own name."""
    for at, tunnel in enumerate(site.tunnel):
        if tunnel.probe is not None and not any(tunnel.probe in network for network in tunnel.allowed):
            yield finding("probe_outside_tunnel", f"/tunnel/{at}/probe", address=tunnel.probe)
        elif tunnel.probe is None and len(site.tunnel) > 1:
            yield finding("probe_missing", f"/tunnel/{at}/probe", Severity.WARNING, name=tunnel.name)
        for n, network in enumerate(tunnel.allowed):
            for own in (each.address.ip for each in site.tunnel):
                if own in network:
                    yield finding("allowed_own", f"/tunnel/{at}/allowed/{n}", network=network, address=own)


def _is_name(host: str) -> bool:
    """RFC 1123 2.1; a last label of digits alone is a mistyped address."""
    labels = host.split(".")
    return not labels[-1].isdigit() and all(_LABEL.fullmatch(label) for label in labels)


def _servers(site: Site) -> Iterator[tuple[str, IPv4Address]]:
    """Where platforms are, or may send us to."""
    for at, platform in enumerate(site.platform):
        yield f"/platform/{at}/address", platform.address
        for place, server in enumerate(platform.redirect):
            yield f"/platform/{at}/redirect/{place}/address", server.address


def _platforms(site: Site) -> Iterator[Finding]:
    allowed = [network for tunnel in site.tunnel for network in tunnel.allowed]
    yield from _repeated("platform_repeated", "/platform/{}/id", (p.id for p in site.platform))
    yield from _repeated("platform_port_repeated", "/platform/{}/local_port", (p.local_port for p in site.platform))
    for path, address in _servers(site):
        if not any(address in network for network in allowed):
            yield finding("platform_outside_tunnel", path, address=address)
    for at, platform in enumerate(site.platform):
        for place, media in enumerate(platform.media_networks):
            if not any(media.subnet_of(network) for network in allowed):
                yield finding("media_outside_tunnel", f"/platform/{at}/media_networks/{place}", network=media)
    if site.control is not None and not any(site.control.address in network for network in allowed):
        yield finding("platform_outside_tunnel", "/control/address", address=site.control.address)
    for at, reader in enumerate(site.monitoring.readers):
        if not any(reader in network for network in allowed):
            yield finding("reader_outside_tunnel", f"/monitoring/readers/{at}", address=reader)


def _identities(site: Site) -> Iterator[Finding]:
    """Site, platform and recorders speak to each other by their ids."""
    ours = {site.site.id if site.site is not None else None} | {platform.known_as for platform in site.platform}
    theirs = {platform.id for platform in site.platform}
    for at, platform in enumerate(site.platform):
        if platform.id in ours:
            yield finding("id_taken", f"/platform/{at}/id", value=platform.id)
    for at, recorder in enumerate(site.recorder):
        if recorder.id in ours | theirs:
            yield finding("id_taken", f"/recorder/{at}/id", value=recorder.id)


def _recorders(site: Site) -> Iterator[Finding]:
    yield from _repeated("recorder_id_repeated", "/recorder/{}/id", (r.id for r in site.recorder))
    yield from _repeated("recorder_mac_repeated", "/recorder/{}/mac", (r.mac for r in site.recorder))
    yield from _repeated("recorder_address_repeated", "/recorder/{}/address", (r.address for r in site.recorder))
    lan = site.lan.address
    for at, recorder in enumerate(site.recorder):
        if recorder.mac in (site.lan.mac, site.uplink.mac):
            yield finding("address_own", f"/recorder/{at}/mac", address=recorder.mac)
    for at, recorder in enumerate(site.recorder):
        named = [("address", recorder.address)]
        named += [(f"media_addresses/{n}", address) for n, address in enumerate(recorder.media_addresses)]
        for field, address in named:
            if address not in lan.network or address == lan.ip or is_end(address, lan.network):
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
        if channel.sub_stream and channel.sub_mbit > channel.mbit:
            yield finding("sub_stream_faster", f"/channel/{at}/sub_mbit", name=channel.name, most=channel.mbit)


def _not_yet(site: Site) -> Iterator[Finding]:
    if site.uplink.mode in ("pppoe", "4g"):
        yield finding("uplink_mode_not_yet", "/uplink/mode", mode=site.uplink.mode)
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
