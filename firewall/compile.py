"""Policy to rules: what a site's configuration lets pass in ``lan``, ``vpn`` and ``wan``. Pure.

No rule asks ``ct state``: an *established* accept keeps a closed pin open and makes one-way media two-way, and a
*related* one lets ICMP errors carry foreign bytes (both measured). Everything that is not said is dropped, the box's own
RST and ICMP errors with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from firewall import hole
from firewall.ruleset import Rule, Ruleset, Wire, noting
from netconf.learned import NOTHING, Learned, fitting
from netconf.model import METRICS_PORT, PROBE_PORT, Platform, Recorder, Site

#: What a ping carries on every system that an installer's telephone runs; more would be a road for data.
_PING = "ip length <= 92"
#: First four octets of a WireGuard message: type 1 to 4 and three zeros.
_WIREGUARD = "@th,64,32 { 0x1000000, 0x2000000, 0x3000000, 0x4000000 }"
#: RTP version 2 in a datagram that has a whole header and something behind it.
_RTP = "udp length > 20 @th,64,2 2"
#: The segment that opens a connection, and all others.
_OPENS, _ANSWERS = "tcp flags & (syn | ack) == syn", "tcp flags & (syn | ack) != syn"
#: Where the owner's page is.
PAGE_PORT = 443
_LAN_MEDIA_KEY = "ip saddr . udp dport . @th,73,7"
#: In ``vpn`` a pin names our own address, too: it is of one tunnel.
_VPN_MEDIA_KEY = "ip saddr . ip daddr . udp dport . udp sport"
_LAN_SOUND_KEY, _VPN_SOUND_KEY = "ip daddr . udp dport . udp sport", "ip daddr . ip saddr . udp sport . udp dport"
#: G.711 A-law, at most 120 ms of it: what goes to a loudspeaker (``edge.rtp.sound``).
_SOUND = "udp length > 20 udp length <= 980 @th,64,2 2 @th,73,7 8"
_LAN_FRAMED_KEY, _VPN_FRAMED_KEY = "ip saddr . tcp dport", "ip saddr . ip daddr . tcp dport . tcp sport"
#: A compound packet that begins with a report (RFC 3550 6.1), and is no longer than ours are, or than receivers write.
_REPORT = "udp length > 15 udp length <= {most} @th,64,2 2 @th,72,8 {kinds}"
_TO_RECORDER = _REPORT.format(most=108, kinds="201")
_TO_CITY, _FROM_CITY = (_REPORT.format(most=most, kinds="{ 200, 201 }") for most in (108, 264))
_LAN_REPORT_KEY = "ip daddr . udp sport"
#: What RTCP says where RTP says its payload type (RFC 5761 4): media it is not.
_NO_RTCP = "@th,72,8 != 192-223"
#: Sixteen octets that a concentrator sends back as they came; a tunnel is asked every two seconds.
_PROBE = f"udp sport {PROBE_PORT} udp dport {PROBE_PORT} udp length 24 limit rate 10/second"
#: A TCP segment that carries nothing: its datagram is as long as both headers, whatever options the second has. (The
#: header's length as an octet: nft 1.0.6 dies when it lists ``tcp doff`` in a concatenation.)
_EMPTY = "ip length . @th,96,8 { " + ", ".join(f"{20 + 4 * words} . {words << 4:#x}" for words in range(5, 16)) + " }"
#: Evidence of what is dropped, for whoever asks why no picture comes: media by source, our port and payload type, and
#: hardware and address that do not belong together, in ``lan``; in ``vpn`` the far address, ICMP's code and the far port
#: of the datagram that an ICMP error is about (RFC 792).
_STRAYS, _FRAGMENTS, _MOVED, _REFUSALS = (
    ("strays", _LAN_MEDIA_KEY),
    ("fragments", "ip saddr"),
    ("moved", "ether saddr . ip saddr"),
    ("refusals", "@th,192,32 . @th,8,8 . @th,240,16"),
)


def rulesets(site: Site, learned: Learned = NOTHING) -> tuple[Ruleset, Ruleset, Ruleset]:
    """Return the rules of ``lan``, ``vpn`` and ``wan``; only those of ``wan`` follow what was learned."""
    return _lan(site), _vpn(site), _wan(site, fitting(site, learned))


def _raw(ports: Iterable[str]) -> list[Rule]:
    """Before anything else: no fragment, no IPv6, no option, no address that is not the port's own (weak host)."""
    return [
        Rule("meta nfproto ipv6", "drop", "no IPv6"),
        Rule("ip frag-off & 0x3fff != 0", "drop", "no fragments"),
        Rule("ip hdrlength != 5", "drop", "no IP options"),
        Rule(f"iifname != {_names(ports)}", "drop", "no other port"),
        Rule("fib daddr . iif type != local", "drop", "only to the port's own address"),
        Rule("fib saddr type local", "drop", "nobody speaks with our own address"),
    ]


def _whole() -> list[Rule]:
    """What a packet socket could write and no program of ours does; the second piece of a packet has no ports."""
    return [
        Rule("ip frag-off & 0x3fff != 0", "drop", "no fragments"),
        Rule("ip hdrlength != 5", "drop", "no IP options"),
    ]


def _names(ports: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{port}"' for port in ports) + " }"


def _networks(networks: Iterable[IPv4Network]) -> str:
    return "{ " + ", ".join(str(network) for network in sorted(networks)) + " }"


def _recorders(site: Site) -> list[Recorder]:
    return [recorder for recorder in site.recorder if recorder.kind == "gb28181"]


def _lan(site: Site) -> Ruleset:
    port, sip = site.lan.link, site.lan.sip_port
    raw, input_, output, egress = _raw([port]), [], [], _whole()
    own = site.lan.address.ip
    media_ports = f"{site.lan.media_port_range.start}-{site.lan.media_port_range[-1]}"
    stray = f"udp dport {media_ports} {noting(*_STRAYS)}"
    known = sorted({address for r in _recorders(site) for address in (r.address, *r.media_addresses)})
    if known:
        split = f"ip saddr {{ {', '.join(map(str, known))} }} ip frag-off & 0x3fff != 0 {noting(*_FRAGMENTS)}"
        raw.insert(0, Rule(split, "drop", "fragments of recorders, noted"))
    egress.append(Rule(f"arp saddr ip {own}", "accept", "ARP"))
    for recorder in _recorders(site):
        for address in sorted({recorder.address, *recorder.media_addresses}):
            spoofed = f"ip saddr {address} ether saddr != {recorder.mac}"
            raw.append(Rule(f"{spoofed} {noting(*_MOVED)}", "drop", f"spoofed {recorder.id}, noted"))
            raw.append(Rule(spoofed, "drop", f"spoofed {recorder.id}"))
        own_ones = ", ".join(map(str, sorted({recorder.address, *recorder.media_addresses})))
        frame = f"ether saddr {recorder.mac} ip saddr != {{ {own_ones} }}"
        raw.append(Rule(f"{frame} {stray}", "drop", f"media of {recorder.id} under a foreign address, noted"))
        raw.append(Rule(f"{frame} {noting(*_MOVED)}", "drop", f"{recorder.id} under a foreign address, noted"))
        raw.append(Rule(frame, "drop", f"{recorder.id} under a foreign address"))
        peer = f"SIP of {recorder.id}"
        input_.append(Rule(f"ip saddr {recorder.address} udp dport {sip}", "accept", peer))
        output.append(Rule(f'oifname "{port}" ip daddr {recorder.address} udp sport {sip}', "accept", peer))
        opens, goes_on = f"tcp dport {sip} {_OPENS} limit rate 4/second", f"tcp dport {sip} {_ANSWERS}"
        input_ += [Rule(f"ip saddr {recorder.address} {match}", "accept", peer) for match in (opens, goes_on)]
        answers = f"tcp sport {sip} {_ANSWERS}"
        output.append(Rule(f'oifname "{port}" ip daddr {recorder.address} {answers}', "accept", peer))
        frame = f"ether daddr {recorder.mac} ip saddr {own} ip daddr {recorder.address}"
        egress += [Rule(f"{frame} {match}", "accept", peer) for match in (f"udp sport {sip}", answers)]
        frame = f"ether daddr {recorder.mac} ip saddr {own} ip daddr {{ {own_ones} }} tcp sport {media_ports}"
        if recorder.id in site.spoken_to:
            sound = frame.replace("tcp sport", "udp sport") + f" {_SOUND} {_LAN_SOUND_KEY} @sound"
            egress.append(Rule(sound, "accept", f"sound to {recorder.id}"))
        told = frame.replace("tcp sport", "udp sport") + f" {_TO_RECORDER} {_LAN_REPORT_KEY} @reports"
        egress.append(Rule(told, "accept", f"reports to {recorder.id}"))
        word = f"{frame} ip daddr . tcp sport @media_tcp {_EMPTY}"
        egress.append(Rule(word, "accept", f"word to {recorder.id} that its media has come"))
    input_.append(Rule(f"{_RTP} {_LAN_MEDIA_KEY} @media", "accept", "media of open views"))
    input_.append(Rule(f"{_LAN_FRAMED_KEY} @media_tcp", "accept", "media of open views, by TCP"))
    # One way: what we send on such a connection has no content.
    word = f'oifname "{port}" ip daddr . tcp sport @media_tcp {_EMPTY}'
    output.append(Rule(word, "accept", "word that media has come, by TCP"))
    told = f'oifname "{port}" {_TO_RECORDER} {_LAN_REPORT_KEY} @reports'
    output.append(Rule(told, "accept", "reports about open views"))
    if site.spoken_to:
        sound = f'oifname "{port}" {_SOUND} {_LAN_SOUND_KEY} @sound'
        output.append(Rule(sound, "accept", "sound of open talks"))
    input_.append(Rule(stray, "drop", "media of no view, noted"))
    if site.lan.owner_networks:
        owners = _networks(site.lan.owner_networks)
        ping = f"icmp type echo-request {_PING} limit rate 10/second"
        pong = f"icmp type echo-reply {_PING}"
        input_.append(Rule(f"ip saddr {owners} {ping}", "accept", "ping from the owner"))
        output.append(Rule(f'oifname "{port}" ip daddr {owners} {pong}', "accept", "answer to the owner's ping"))
        egress.append(Rule(f"ip saddr {own} ip daddr {owners} {pong}", "accept", "answer to the owner's ping"))
        page = "the owner's page"
        input_.append(Rule(f"ip saddr {owners} tcp dport {PAGE_PORT} {_OPENS} limit rate 20/second", "accept", page))
        input_.append(Rule(f"ip saddr {owners} tcp dport {PAGE_PORT} {_ANSWERS}", "accept", page))
        output.append(Rule(f'oifname "{port}" ip daddr {owners} tcp sport {PAGE_PORT} {_ANSWERS}', "accept", page))
        egress.append(Rule(f"ip saddr {own} ip daddr {owners} tcp sport {PAGE_PORT} {_ANSWERS}", "accept", page))
    notes = (_STRAYS, _FRAGMENTS, _MOVED) if known else (_STRAYS,)
    pins = (("media", _LAN_MEDIA_KEY), ("media_tcp", _LAN_FRAMED_KEY), ("sound", _LAN_SOUND_KEY))
    chains, wires = (tuple(raw), tuple(input_), tuple(output)), (Wire(port, tuple(egress)),)
    upon_wires = ("media_tcp", "sound", "reports")
    return Ruleset("lan", *chains, pins, (("reports", _LAN_REPORT_KEY),), wires, upon_wires, notes)


def _vpn(site: Site) -> Ruleset:
    tunnels = [tunnel.name for tunnel in site.tunnel]
    if not tunnels:
        return Ruleset("vpn", (Rule("", "drop", "not enrolled"),), (), ())
    out = f"oifname {_names(tunnels)}"
    refused = f"icmp type destination-unreachable {noting(*_REFUSALS)}"
    raw, input_ = _raw(tunnels), list[Rule]()
    #: What goes out, by a socket or as a frame: match and policy; and what only one tunnel's own does.
    goes: list[tuple[str, str]] = []
    walls, probes = list[Rule](), dict[str, list[tuple[str, str]]]()
    for tunnel in site.tunnel:
        own, name = tunnel.address.ip, tunnel.name
        if len(tunnels) > 1:
            raw.append(Rule(f'iifname "{name}" ip daddr != {own}', "drop", f"{name} brings what is for its address"))
        walls.append(Rule(f'oifname "{name}" ip saddr != {own}', "drop", f"{name} carries its own address alone"))
        probes[name] = []
        if tunnel.probe is not None:
            policy = f"probes of {name}"
            input_.append(Rule(f'iifname "{name}" ip saddr {tunnel.probe} {_PROBE}', "accept", policy))
            probes[name].append((f"ip daddr {tunnel.probe} {_PROBE}", policy))
    for platform in site.platform:
        for host, port in _doors(platform):
            came, ours = _signalling(platform, port)
            input_.append(Rule(f"ip saddr {host} {came}", "accept", f"SIP of {platform.id}"))
            goes.append((f"ip daddr {host} {ours}", f"SIP of {platform.id}"))
    goes.append((f"{_RTP} {_NO_RTCP} {_VPN_MEDIA_KEY} @media", "media of open views"))
    goes.append((f"{_TO_CITY} {_VPN_MEDIA_KEY} @reports", "reports about open views"))
    heard = f"{_FROM_CITY} ip daddr . ip saddr . udp sport . udp dport @returns"
    input_.append(Rule(heard, "accept", "reports about open views"))
    # We dial. What a city says on such a connection is read by nobody but the relay, which ends it (``framed``).
    answer = f"ip daddr . ip saddr . tcp sport . tcp dport @media_tcp {_ANSWERS}"
    input_.append(Rule(answer, "accept", "word that media has come, by TCP"))
    goes.append((f"{_VPN_FRAMED_KEY} @media_tcp", "media of open views, by TCP"))
    if site.spoken_to:
        input_.append(Rule(f"{_SOUND} {_VPN_SOUND_KEY} @sound", "accept", "sound of open talks"))
    if site.control is not None:
        # We call, it answers: a segment that would open a connection to us is no answer.
        host, port, policy = site.control.address, site.control.port, "reports to the city's control"
        input_.append(Rule(f"ip saddr {host} tcp sport {port} {_ANSWERS}", "accept", policy))
        goes.append((f"ip daddr {host} tcp dport {port}", policy))
    for reader in sorted(set(site.monitoring.readers)):
        policy, ours = "figures for the city's monitoring", f"ip saddr {reader} tcp dport {METRICS_PORT}"
        input_.append(Rule(f"{ours} {_OPENS} limit rate 4/second", "accept", policy))
        input_.append(Rule(f"{ours} {_ANSWERS}", "accept", policy))
        goes.append((f"ip daddr {reader} tcp sport {METRICS_PORT} {_ANSWERS}", policy))
    # Most cities hear no reports, which is no fault: not noted, where the error says enough of the datagram to tell.
    unheard = "icmp type destination-unreachable @th,288,2 2 @th,296,8 192-223"
    input_.append(Rule(unheard, "drop", "reports that nobody takes"))
    input_.append(Rule(refused, "drop", "media that the city refuses, noted"))
    pins = (("media", _VPN_MEDIA_KEY), ("media_tcp", _VPN_FRAMED_KEY), ("sound", _VPN_SOUND_KEY))
    reports = (("reports", _VPN_MEDIA_KEY), ("returns", _VPN_MEDIA_KEY))
    output = [*walls]
    for name, asked in probes.items():
        output += [Rule(f'oifname "{name}" {match}', "accept", policy) for match, policy in asked]
    output += [Rule(f"{out} {match}", "accept", policy) for match, policy in goes]
    wires = tuple(
        Wire(tunnel.name, (*_whole(), *(
            Rule(f"ip saddr {tunnel.address.ip} {match}", "accept", policy)
            for match, policy in (*probes[tunnel.name], *goes)
        )))
        for tunnel in site.tunnel
    )  # fmt: skip
    chains, upon_wires = (tuple(raw), tuple(input_), tuple(output)), ("media", "media_tcp", "reports")
    return Ruleset("vpn", *chains, pins, reports, wires, upon_wires, (_REFUSALS,))


def _doors(platform: Platform) -> list[tuple[IPv4Address, int]]:
    """Where a platform may be: its own address, and those that it may send us to."""
    doors = [(platform.address, platform.port), *((server.address, server.port) for server in platform.redirect)]
    return list(dict.fromkeys(doors))


def _signalling(platform: Platform, port: int) -> tuple[str, str]:
    """Return what comes from a platform's door and what goes to it."""
    if platform.transport == "tcp":
        # We dial, for no SIP listener stands in this namespace.
        return f"tcp sport {port} {_ANSWERS}", f"tcp dport {port}"
    own = platform.local_port
    return f"udp sport {port} udp dport {own}", f"udp sport {own} udp dport {port}"


def _wan(site: Site, learned: Learned) -> Ruleset:
    """Each peer by its address; on the wire also what a packet socket sends, which passes no output chain."""
    port, lease = site.uplink.port, learned.lease
    peers = []
    for tunnel in site.tunnel:
        host = tunnel.endpoint_address or learned.endpoint(tunnel.endpoint_host)
        if host is not None:
            peers.append((host, tunnel.endpoint_port, f" {_WIREGUARD}", f"WireGuard {tunnel.name}"))
    ntp = site.uplink.ntp or (lease.ntp if lease else ())
    dns = site.uplink.dns or (lease.dns if lease else ())
    peers += [(server, udp, "", name) for name, udp, named in (("NTP", 123, ntp), ("DNS", 53, dns)) for server in named]
    own = site.uplink.address if site.uplink.mode == "static" else lease.address if lease else None
    input_, output, egress = [], [], _own_frames(site, own)
    for address, udp, head, policy in peers:
        input_.append(Rule(f"ip saddr {address} udp sport {udp}{head}", "accept", policy))
        output.append(Rule(f'oifname "{port}" ip daddr {address} udp dport {udp}{head}', "accept", policy))
        if own:
            egress.append(Rule(f"ip saddr {own.ip} ip daddr {address} udp dport {udp}{head}", "accept", policy))
    policy = "the city's enrolment"
    input_.append(Rule(f"{hole.IN_KEY} @{hole.IN_SET} {_ANSWERS}", "accept", policy))
    output.append(Rule(f'oifname "{port}" {hole.OUT_KEY} @{hole.OUT_SET}', "accept", policy))
    if own:
        egress.append(Rule(f"ip saddr {own.ip} {hole.FRAME_KEY} @{hole.FRAME_SET}", "accept", policy))
    holes, frames = ((hole.OUT_SET, hole.OUT_KEY), (hole.IN_SET, hole.IN_KEY)), ((hole.FRAME_SET, hole.FRAME_KEY),)
    wires = (Wire(port, tuple(egress)),)
    return Ruleset(
        "wan", tuple(_raw([port])), tuple(input_), tuple(output), wires=wires, holes=holes, wire_holes=frames
    )


def _own_frames(site: Site, own: IPv4Interface | None) -> list[Rule]:
    """What else the uplink's wire may carry: ARP, DHCP where it is asked for, and the LAN's half of a one-arm port.

    DHCP goes through a packet socket on both ways: no other chain sees it.
    """
    frames = []
    if site.lan.mode == "one_arm":
        frames.append(Rule(f"ether saddr {site.arm_mac}", "accept", "frames of lan, judged there"))
    frames += _whole()
    if own:
        frames.append(Rule(f"arp saddr ip {own.ip}", "accept", "ARP"))
    if site.uplink.mode == "dhcp":
        frames.append(Rule("ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67", "accept", "DHCP"))
        if own:
            frames.append(Rule(f"ip saddr {own.ip} udp sport 68 udp dport 67", "accept", "DHCP"))
    return frames
