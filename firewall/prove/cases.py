"""The cases: what a site allows and what it forbids, from every side, under the names that the attacks have."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

from firewall import hole, pin
from firewall.prove.flows import EAR_PORT, Pins, own_addresses, passes, recorders, sample
from firewall.prove.packet import ARP, ICMP, TCP, UDP, Case, Packet, Room, Way
from netconf.learned import Learned
from netconf.model import Site

Row = tuple[str, str, Packet, bool]
#: Random packets a run, besides the cases that have names.
DRAWN = 300
_RECORD_ROUTE = b"\x07\x07\x04\0\0\0\0\0"
#: What a box without a tunnel has in ``vpn`` while it is tried: a device all the same, and an address.
SPARE_TUNNEL = ("wg-a", "100.64.0.2")
STRANGER, CITY_DATABASE = "203.0.113.200", "100.64.255.77"
#: What no ruleset can show, and where it is shown instead.
NOT_COVERED = {
    "K09": "rules exchanged under a flood: a property of loading, seen in the laboratory",
    "K10": "rules taken away: forwarding is off, seen in the laboratory",
    "K12": "false ARP: static neighbours, kernel settings",
    "K16": "connection tracking exhausted: nothing here tracks connections, seen in the laboratory",
    "K17": "the time before the rules: closed.nft, seen in the laboratory",
    "W01": "another site's inner address: WireGuard's AllowedIPs at the hub",
    "W04": "floods of handshakes: WireGuard's cookies",
    "R02": "who sends first: the source is fixed by signalling, and by the relay",
    "R04": "numbers and SSRCs: the relay",
    "V01": "identifiers of SIP: made anew by the city side, measured in the laboratory",
    "V02": "what the content says: the relay",
}


def rtp(payload_type: int = 96, size: int = 200, version: int = 2) -> bytes:
    """Return an RTP packet of a kind."""
    return bytes((version << 6, payload_type)) + b"\0\1" + b"\0\0\0\1" + b"\x0b\xeb\xc2\x01" + bytes(size)


def rtcp(kind: int = 201, count: int = 0, more: bytes = b"") -> bytes:
    """Return an RTCP packet of a kind, whole by its own length."""
    body = b"\x0b\xeb\xc2\x01" + more
    return bytes((0x80 | count, kind)) + (len(body) // 4).to_bytes(2, "big") + body


#: What RTCP says beside reports (RFC 3550 6, RFC 3611).
_OTHER_RTCP = (
    ("names", 202, b"\1\x05hello\0"),
    ("farewell", 203, b""),
    ("application data", 204, b"sNgTsNgT"),
    ("an extended report", 207, bytes(8)),
)


def all_cases(site: Site, learned: Learned, seed: int) -> list[Case]:
    """Return every case of a site, those of a drawn packet last."""
    made = [*_lan(site), *_lan_stated(site), *_vpn(site), *_wan(site, learned)]
    return made + list(drawn(site, learned, seed))


def _lan(site: Site) -> Iterator[Case]:
    """From the recorder, from another host of the LAN, and from inside."""
    if not recorders(site):
        return
    pins, own, one = sample(site), str(site.lan.address.ip), recorders(site)[0]
    nvr, mac, media = str(one.address), one.mac, str(one.media_addresses[0])
    other = _neighbour(site)
    base = Packet(media, own, UDP, 15060, pins.lan_udp, rtp(), hardware=mac)

    def said(id_: str, words: str, packet: Packet, good: bool, way: Way = "in") -> Case:
        return Case(id_, "lan", way, words, packet, good)

    sip = replace(base, source=nvr, sport=5060, dport=site.lan.sip_port, payload=b"MESSAGE sip:x SIP/2.0\r\n\r\n")
    yield said("A01", "SIP of a known recorder by UDP", sip, True)
    yield said("A02", "SIP of a known recorder by TCP", replace(sip, protocol=TCP, flags="S", payload=b""), True)
    yield said("A03", "media of an open view", base, True)
    framed = replace(base, protocol=TCP, dport=pins.lan_tcp, flags="PA", payload=b"\0\x0c" + rtp())
    yield said("A04", "media of an open view by TCP", framed, True)
    yield said(
        "K01", "TCP to a host of the city through the box", replace(framed, target=CITY_DATABASE, flags="S"), False
    )
    yield said("K01", "UDP to a host of the city through the box", replace(base, target=CITY_DATABASE), False)
    for port in (22, 53, 80, 161, 443, 1900, 3702, 5353, 8443, 9001, 30500, 65535):
        for protocol in (UDP, TCP):
            aimed = replace(base, protocol=protocol, dport=port, flags="S" if protocol == TCP else "")
            yield said("K01", f"the recorder to the box, port {port}", aimed, False)
    yield said("K02", "the same in IPv6", replace(base, source="fe80::10", target="fe80::2", six=True), False)
    yield _split("lan", "SIP of a known recorder, in two pieces", sip)
    yield _split("lan", "media of an open view, in two pieces", base)
    yield said("A02", "SIP of a known recorder on a connection", replace(sip, protocol=TCP, flags="PA"), True)
    yield said("K04", "to the tunnel's address from the LAN", replace(base, target=_inner(site)), False)
    yield said("K04", "to 127.0.0.1 from the LAN", replace(base, target="127.0.0.1"), False)
    yield said("K04", "from 127.0.0.1", replace(base, source="127.0.0.1"), False)
    yield said("K04", "from the box's own address", replace(base, source=own), False)
    for protocol in (2, 4, 33, 41, 47, 50, 132, 136, 253):
        yield said("K05", f"IP protocol {protocol}", replace(base, protocol=protocol), False)
    yield said("K05", "a ping with 1400 octets", replace(base, protocol=ICMP, payload=bytes(1400)), False)
    yield said("K13", "IP options (record route)", replace(base, options=_RECORD_ROUTE), False)
    yield said("K13", "IP options (loose source route)", replace(base, options=b"\x83\x07\x04\xc0\0\2\1\0"), False)
    yield said("R01", "media of another host", replace(base, source=other, hardware="02:00:00:00:99:99"), False)
    yield said(
        "R01", "media of another host under the recorder's address", replace(base, hardware="02:00:00:00:99:99"), False
    )
    yield said("R01", "media of the recorder under another address", replace(base, source=other), False)
    yield said("R01", "media to a port without a view", replace(base, dport=pins.lan_udp + 6), False)
    yield said("R03", "another payload type", replace(base, payload=rtp(97)), False)
    yield said("R03", "RTP of version 1", replace(base, payload=rtp(version=1)), False)
    yield said("R03", "a header and nothing behind it", replace(base, payload=rtp(size=0)), False)
    yield said("R03", "four octets", replace(base, payload=b"\x80\x60\0\1"), False)
    for words, kind, more in (("reports", 200, bytes(20)), *_OTHER_RTCP):
        for port in (pins.lan_udp, pins.lan_reports):
            aimed = replace(base, dport=port, payload=rtcp(kind, 1, more))
            yield said("R07", f"{words} of the recorder, port {port}", aimed, False)
    yield said(
        "U11", "the page from the recorder", replace(framed, source=nvr, dport=443, flags="S", payload=b""), False
    )
    yield said("K01", "a stranger's SIP", replace(sip, source=other, hardware="02:00:00:00:99:99"), False)
    yield from _owner(site)
    yield from _lan_outward(site, pins)


def _split(room: Room, words: str, packet: Packet) -> Case:
    """What would pass whole, in two pieces of which the first holds the header."""
    whole = packet.sport.to_bytes(2, "big") + packet.dport.to_bytes(2, "big")
    whole += (8 + len(packet.payload)).to_bytes(2, "big") + b"\0\0" + packet.payload
    first = replace(packet, payload=whole[:16], fragment=(0, True))
    return Case(
        "K03", room, "in", words, first, False, also=(replace(packet, payload=whole[16:], fragment=(2, False)),)
    )


def _owner(site: Site) -> Iterator[Case]:
    """The owner's page and his ping, and the answers to both."""
    own = str(site.lan.address.ip)
    for network in site.lan.owner_networks[:1]:
        owner = str(network[1] if network.num_addresses > 2 else network[0])
        ping = Packet(owner, own, ICMP, payload=b"x" * 56, hardware="02:00:00:00:99:96")
        page = replace(ping, protocol=TCP, sport=40000, dport=443, flags="S", payload=b"")
        rows: list[tuple[Way, str, str, Packet, bool]] = [
            ("in", "A30", "the owner's ping", ping, True),
            ("in", "A31", "the owner opens the page", page, True),
            ("in", "A31", "the owner reads the page", replace(page, flags="PA", payload=b"GET / HTTP/1.1"), True),
            ("in", "K05", "a ping of the owner with 1400 octets", replace(ping, payload=bytes(1400)), False),
            ("in", "U11", "the owner's address to another port", replace(page, dport=8080), False),
            ("in", "U11", "the page from no owner", replace(page, source=_neighbour(site)), False),
        ]
        ways: tuple[Way, ...] = ("out", "frame")
        for way in ways:
            rows += [
                (way, "A32", "the answer to the owner's ping", _back(ping, kind=(0, 0), hardware=""), True),
                (way, "A33", "the page", _back(page, flags="PA", payload=b"HTTP/1.1 200 OK", hardware=""), True),
                (way, "K01", "a connection opened to the owner", _back(page, flags="S", hardware=""), False),
                (way, "K05", "a ping to the owner", _back(ping, hardware=""), False),
            ]
        for way, id_, words, packet, good in rows:
            yield Case(id_, "lan", way, words, packet, good)


def _lan_outward(site: Site, pins: Pins) -> Iterator[Case]:
    """A captured process of the site side: by a socket, and by a packet socket."""
    own, one = str(site.lan.address.ip), recorders(site)[0]
    nvr, media, other = str(one.address), str(one.media_addresses[0]), _neighbour(site)
    ways: tuple[Way, ...] = ("out", "frame")
    for way in ways:
        sip = Packet(own, nvr, UDP, site.lan.sip_port, 5060, b"SIP/2.0 200 OK\r\n\r\n", hardware=one.mac)
        framed = Packet(own, media, TCP, pins.lan_tcp, 15060, b"", "A", hardware=one.mac)
        rows = [
            ("A05", "SIP to a known recorder", sip, True),
            ("A05", "SIP to a known recorder on a connection", replace(sip, protocol=TCP, flags="PA"), True),
            ("A06", "the word that media has come", framed, True),
            (
                "T03",
                "content on a media connection toward the recorder",
                replace(framed, payload=b"x" * 40, flags="PA"),
                False,
            ),
            *_reports_out(
                replace(sip, target=media, sport=pins.lan_reports, dport=15061, payload=rtcp(201, 1, bytes(24))), (200,)
            ),
            ("K01", "UDP to another host", replace(sip, target=other), False),
            ("K01", "UDP to the recorder from another port", replace(sip, sport=4000), False),
            ("K01", "TCP opened to the recorder", replace(sip, protocol=TCP, dport=80, flags="S", payload=b""), False),
            ("V05", "DNS to the Internet", replace(sip, target="192.0.2.53", sport=4000, dport=53), False),
            (
                "V05",
                "TCP to the Internet",
                replace(framed, target="192.0.2.80", sport=4001, dport=443, flags="S"),
                False,
            ),
            ("K05", "a ping outward", replace(sip, protocol=ICMP), False),
            ("K14", "a foreign source address", replace(sip, source=STRANGER), False),
        ]
        if one.id not in site.spoken_to:
            sound = Packet(own, media, UDP, pins.lan_sound, EAR_PORT, rtp(8, 160), hardware=one.mac)
            rows.append(("A07", "sound to a recorder that nobody may speak to", sound, False))
        else:
            sound = Packet(own, media, UDP, pins.lan_sound, EAR_PORT, rtp(8, 160), hardware=one.mac)
            rows.append(("A07", "sound of an open talk", sound, True))
            rows.append(("A07", "sound that is longer than any", replace(sound, payload=rtp(8, 1200)), False))
        if way == "frame":
            rows.append(
                ("K12", "SIP for the recorder to another's hardware", replace(sip, hardware="02:00:00:00:99:95"), False)
            )
            asks = Packet(own, nvr, ARP)
            rows.append(("A08", "a question for the recorder's hardware address", asks, True))
            rows.append(("K12", "a question in another's name", replace(asks, source=other), False))
            rows.append(
                ("A06", "the same word to a port without a view", replace(framed, sport=pins.lan_tcp + 2), False)
            )
            rows += _unlike(sip)
        for id_, words, packet, good in rows:
            yield Case(id_, "lan", way, words, packet, good)


def _reports_out(report: Packet, foreign: tuple[int, ...]) -> list[Row]:
    """A report of ours, and what is none; in ``foreign`` are kinds of report that this way does not take."""
    others = [(f"a report of kind {kind}", kind, bytes(20)) for kind in foreign]
    rows = [
        ("A09", "a report of ours", report, True),
        ("R07", "a report that is longer than any", replace(report, payload=report.payload + bytes(80)), False),
        ("R07", "a report of no view", replace(report, sport=report.sport + 2), False),
    ]
    for words, kind, more in (*_OTHER_RTCP, *others):
        rows.append(("R07", f"{words} of ours", replace(report, payload=rtcp(kind, 1, more)), False))
    return rows


def _unlike(packet: Packet) -> list[Row]:
    """What only a packet socket can write, near a packet that may go."""
    whole = (8 + len(packet.payload)).to_bytes(2, "big") + b"\0\0" + packet.payload
    first = packet.sport.to_bytes(2, "big") + packet.dport.to_bytes(2, "big") + whole[:12]
    return [
        ("K02", "a frame of IPv6", replace(packet, source="fe80::2", target="fe80::10", six=True), False),
        (
            "K03",
            "a frame with the first piece of what may go",
            replace(packet, payload=first, fragment=(0, True)),
            False,
        ),
        ("K03", "a frame with a later piece of it", replace(packet, payload=bytes(16), fragment=(2, False)), False),
        ("K13", "a frame with IP options", replace(packet, options=_RECORD_ROUTE), False),
        ("K05", "a frame of IP protocol 47", replace(packet, protocol=47), False),
    ]


def _lan_stated(site: Site) -> Iterator[Case]:
    """What depends on what was before: a pin that was closed, and one that is asked too much."""
    if not recorders(site):
        return
    own, one = str(site.lan.address.ip), recorders(site)[0]
    first, media = site.lan.media_port_range.start, str(one.media_addresses[0])
    held = pin.inward(one.media_addresses, first + 8, (96,), 2048)
    script = pin.opened(held, 600)["lan"] + pin.closed(held)["lan"]
    packet = Packet(media, own, UDP, 15060, first + 8, rtp(), hardware=one.mac)
    yield Case("K08", "lan", "in", "media after the view was closed", packet, False, before=script)
    slow = pin.inward(one.media_addresses, first + 10, (96,), 64)
    packet = replace(packet, dport=first + 10, payload=rtp(size=988))
    words = "three times what a view of 64 kbytes a second may bring at once"
    yield Case("R08", "lan", "in", words, packet, True, times=400, most=260, before=pin.opened(slow, 600)["lan"])


def _vpn(site: Site) -> Iterator[Case]:
    """From the city, from another host inside the tunnel, and from inside."""
    if not site.platform:
        yield from _vpn_without_city()
        return
    yield from _vpn_doors(site)
    pins, own, above = sample(site), str(site.tunnel[0].address.ip), site.platform[0]
    tcp = above.transport == "tcp"
    host, port = str(above.address), above.port
    answer = Packet(host, own, TCP if tcp else UDP, port, above.local_port, b"" if tcp else b"x", "A" if tcp else "")
    asks = Packet(own, host, answer.protocol, above.local_port, port, answer.payload, "S" if tcp else "")
    media = Packet(own, pins.city, UDP, pins.city_udp[1], pins.city_udp[0], rtp())
    framed = Packet(own, pins.city, TCP, pins.city_tcp[1], pins.city_tcp[0], b"\0\x0c" + rtp(), "PA")
    inside: tuple[Way, list[Row]] = ("in", [
        ("A10", "SIP of the platform", answer, True),
        ("A11", "the word that media has come, by TCP", _back(framed, flags="A", payload=b""), True),
        ("K07", "media toward the recorder, on the way that an open view takes", _back(media), False),
        ("K07", "a connection opened toward an open view's port", _back(framed, flags="S", payload=b""), False),
        ("S16", "SIP of another host in the tunnel", replace(answer, source=CITY_DATABASE), False),
        ("S16", "a connection opened to our SIP port", replace(answer, protocol=TCP, sport=4000, flags="S", payload=b""), False),
        ("K04", "to the LAN's address through the tunnel", replace(answer, target=str(site.lan.address.ip)), False),
        ("K01", "to a recorder through the tunnel", replace(answer, target=_neighbour(site)), False),
        ("K06", "an ICMP error that embeds an open view and 480 octets",
         replace(_back(media), protocol=ICMP, kind=(3, 3), payload=_embedded(media)), False),
        ("K05", "a ping", replace(answer, protocol=ICMP, payload=b"x" * 32), False),
        ("K04", "to 127.0.0.1 through the tunnel", replace(answer, target="127.0.0.1"), False),
        ("K13", "IP options", replace(answer, options=_RECORD_ROUTE), False),
        ("U11", "the page", replace(answer, protocol=TCP, sport=4000, dport=443, flags="S", payload=b""), False),
        *((("N02", f"a probe of port {port}", replace(answer, protocol=UDP, sport=4000, dport=port, flags="", payload=b"x"), False))
          for port in (53, 161, 1900, 3702, 5353)),
    ])  # fmt: skip
    outside: list[Row] = [
        ("A12", "SIP to the platform", asks, True),
        ("A13", "media of an open view", media, True),
        ("A14", "media of an open view by TCP", framed, True),
        ("K01", "media to another port of the city", replace(media, dport=40100), False),
        ("K01", "media from another port of ours", replace(media, sport=41100), False),
        ("K01", "media to another host of the city", replace(media, target=CITY_DATABASE), False),
        ("R03", "what is no RTP, on an open view's way", replace(media, payload=b"GET / HTTP/1.1\r\n\r\n" + bytes(20)), False),
        ("K01", "a connection to another host of the city", replace(asks, protocol=TCP, flags="S", target=CITY_DATABASE, payload=b""), False),
        ("W08", "DNS inside the tunnel", replace(media, dport=53, payload=b"x" * 40), False),
        ("K05", "a ping", replace(media, protocol=ICMP, payload=b"x" * 32), False),
        ("K14", "media under a foreign address", replace(media, source=CITY_DATABASE), False),
        ("K14", "SIP to the platform under a foreign address", replace(asks, source=STRANGER), False),
    ]  # fmt: skip
    heard, told = _vpn_reports(own, pins, media)
    inside[1].extend(heard)
    outside.extend(told)
    for way, rows in (inside, ("out", outside)):
        for id_, words, packet, good in rows:
            yield Case(id_, "vpn", way, words, packet, good)
    asked = ("K05", "a question for a hardware address", Packet(own, host, ARP), False)
    for at, tunnel in enumerate(site.tunnel):
        for id_, words, packet, good in (*outside, *_unlike(media), asked):
            # The first tunnel's address by another tunnel: none of it passes.
            id_, good = (id_, good) if at == 0 else ("K14" if good else id_, False)
            yield Case(id_, "vpn", "frame", f"{tunnel.name}: {words}", packet, good, door=at)
    sound = Packet(pins.city, own, UDP, *pins.city_sound, rtp(8, 160))
    yield from _vpn_services(site, own)
    good = bool(recorders(site)) and recorders(site)[0].id in site.spoken_to
    if not tcp:
        yield _split("vpn", "SIP of the platform, in two pieces", answer)
    yield Case("A15", "vpn", "in", "sound of an open talk" if good else "sound where nobody may speak", sound, good)
    yield Case("A15", "vpn", "in", "pictures instead of sound", replace(sound, payload=rtp(96)), False)


def _vpn_services(site: Site, own: str) -> Iterator[Case]:
    """Beside SIP and media: the city's control, which the box calls, and its monitoring, which asks the box."""
    if site.control is not None:
        door = Packet(own, str(site.control.address), TCP, 40111, site.control.port, b"", "S")
        yield Case("A16", "vpn", "out", "reports to the city's control", door, True)
        yield Case("A16", "vpn", "in", "its answers", _back(door, flags="SA"), True)
        yield Case("C02", "vpn", "in", "a connection opened by the city's control", _back(door, flags="S"), False)
    for reader in site.monitoring.readers[:1]:
        asks = Packet(str(reader), own, TCP, 40112, 9750, b"", "S")
        yield Case("A17", "vpn", "in", "the city's monitoring asks for figures", asks, True)
        yield Case("A17", "vpn", "out", "and has them", _back(asks, flags="PA", payload=b"HTTP/1.1 200 OK"), True)
        yield Case("U11", "vpn", "in", "somebody else asks for figures", replace(asks, source=CITY_DATABASE), False)


def _vpn_reports(own: str, pins: Pins, media: Packet) -> tuple[list[Row], list[Row]]:
    """Reports about a view from the city, and to it."""
    report = Packet(own, pins.city, UDP, pins.city_reports[1], pins.city_reports[0], rtcp(200, 0, bytes(20)))
    told = _reports_out(report, ())
    for words, kind, more in (("a report", 201, bytes(24)), *_OTHER_RTCP):
        told.append(("R07", f"{words}, on an open view's way", replace(media, payload=rtcp(kind, 1, more)), False))
    back = _back(report, payload=rtcp(201, 1, bytes(24)))
    long = replace(back, payload=rtcp(201, 1, bytes(260)))
    heard = [
        ("A19", "a viewer's report about an open view", back, True),
        ("R07", "a viewer's report from another host", replace(back, source=CITY_DATABASE), False),
        ("R07", "a viewer's report that is longer than any", long, False),
    ]
    for words, kind, more in _OTHER_RTCP:
        heard.append(("R07", f"{words} of the city", replace(back, payload=rtcp(kind, 1, more)), False))
    return heard, told


def _vpn_doors(site: Site) -> Iterator[Case]:
    """Each tunnel by itself: its probes, and, of several, that none is the other's."""
    above, view = site.platform[0], sample(site)
    sip = TCP if above.transport == "tcp" else UDP
    for door, tunnel in enumerate(site.tunnel):
        own, far, name = str(tunnel.address.ip), str(tunnel.probe), tunnel.name
        goes = Packet(own, far, UDP, 9751, 9751, bytes(16))
        rows: list[tuple[Way, str, str, Packet, bool]] = []
        if tunnel.probe is not None:
            rows += [
                ("out", "A18", f"a probe of {name}", goes, True),
                ("in", "A18", f"its answer by {name}", _back(goes), True),
                ("in", "R03", f"a longer answer by {name}", _back(goes, payload=bytes(17)), False),
                ("in", "S16", f"somebody else answers by {name}", replace(_back(goes), source=CITY_DATABASE), False),
                ("out", "R03", f"more than a probe by {name}", replace(goes, payload=bytes(80)), False),
                ("out", "K01", f"a probe to somebody else by {name}", replace(goes, target=CITY_DATABASE), False),
            ]
        asks = Packet(own, str(above.address), sip, above.local_port, above.port, b"" if sip == TCP else b"x",
                      "S" if sip == TCP else "")  # fmt: skip
        answer = _back(asks, flags="A" if sip == TCP else "")
        media = Packet(own, view.city, UDP, view.city_udp[1], view.city_udp[0], rtp())
        report = Packet(own, view.city, UDP, view.city_reports[1], view.city_reports[0], rtcp(200, 0, bytes(20)))
        first, of = door == 0, f"of a view of {site.tunnel[0].name}, by {name}"
        for other in (t for t in site.tunnel if t is not tunnel):
            theirs = str(other.address.ip)
            rows += [
                ("in", "A10", f"SIP of the platform by {name}", answer, True),
                ("out", "A12", f"SIP to the platform by {name}", asks, True),
                ("in", "K04", f"what is for {other.name}, by {name}", replace(answer, target=theirs), False),
                ("out", "K14", f"from the address of {other.name}, by {name}", replace(asks, source=theirs), False),
                ("out", "A13" if first else "K14", f"media {of}", media, first),
                ("out", "A09" if first else "K14", f"a report {of}", report, first),
                ("in", "A19" if first else "R07", f"a viewer's report {of}", _back(report), first),
                (
                    "out",
                    "K01",
                    f"media to another host of the city by {name}",
                    replace(media, target=CITY_DATABASE),
                    False,
                ),
            ]
        for way, id_, words, packet, good in rows:
            yield Case(id_, "vpn", way, words, packet, good, door)
            if way == "out":
                yield Case(id_, "vpn", "frame", f"{words}, as a frame", packet, good, door)


def _inner(site: Site) -> str:
    """An address of the box inside a tunnel, or one that it might have."""
    return str(site.tunnel[0].address.ip) if site.tunnel else SPARE_TUNNEL[1]


def _vpn_without_city() -> Iterator[Case]:
    """Before the box is enrolled, not even what looks right passes."""
    came = Packet(CITY_DATABASE, SPARE_TUNNEL[1], TCP, 5060, 5060, b"", "A")
    yield Case("A23", "vpn", "in", "anything, before the box is enrolled", came, False)
    yield Case("A23", "vpn", "in", "a ping, before the box is enrolled", replace(came, protocol=ICMP, flags=""), False)
    goes = _back(came, flags="S")
    yield Case("A23", "vpn", "out", "anything outward, before the box is enrolled", goes, False)
    yield Case(
        "A23", "vpn", "out", "media, before the box is enrolled", replace(goes, protocol=UDP, payload=rtp()), False
    )


def _enrolment(site: Site, own: str, wired: bool) -> Iterator[Case]:
    """The hole toward the city's enrolment: one user, one address, one port, and answers alone come back."""
    city, door = sample(site).enrolment
    asks = Packet(own, city, TCP, 40125, door, b"", "S")
    answers = _back(asks, flags="SA")
    other = hole.opened(os.geteuid() + 1, IPv4Address(city), door + 1, 600)
    rows: list[tuple[str, Way, str, Packet, bool, str]] = [
        ("A24", "out", "a connection to the city's enrolment", asks, wired, ""),
        ("A24", "in", "its answers", answers, wired, ""),
        ("A24", "frame", "a connection to the city's enrolment", asks, wired, ""),
        ("C02", "in", "a connection opened by the city's enrolment", replace(answers, flags="S"), False, ""),
        ("V05", "out", "to another port there", replace(asks, dport=443), False, ""),
        ("V05", "out", "UDP there", replace(asks, protocol=UDP, flags="", payload=b"x"), False, ""),
        ("V05", "frame", "to another port there, as a frame", replace(asks, dport=443), False, ""),
        ("V05", "out", "another user's hole", replace(asks, dport=door + 1), False, other),
        ("V05", "out", "a hole that was closed", asks, False, hole.closed()),
        ("V05", "in", "answers through a hole that was closed", answers, False, hole.closed()),
        ("V05", "frame", "a hole that was closed, as a frame", asks, False, hole.closed()),
        # As it was, for what comes after.
        (
            "A24",
            "out",
            "a hole that was opened again",
            asks,
            wired,
            hole.closed() + hole.opened(os.geteuid(), IPv4Address(city), door, 600),
        ),
    ]
    for id_, way, words, packet, good, before in rows:
        yield Case(id_, "wan", way, words, packet, good, before=before)


def _wan(site: Site, learned: Learned) -> Iterator[Case]:
    """From the Internet, and from inside."""
    own = next(iter(own_addresses(site, learned)["wan"]), "192.0.2.2")
    tunnel = site.tunnel[0] if site.tunnel else None
    hub = None if tunnel is None else tunnel.endpoint_address or learned.endpoint(tunnel.endpoint_host)
    hello = b"\1\0\0\0" + bytes(144)
    rows: list[tuple[Way, str, str, Packet, bool]] = []
    if hub is not None and tunnel is not None:
        came = Packet(str(hub), own, UDP, tunnel.endpoint_port, 40123, b"\2\0\0\0" + bytes(88))
        goes = Packet(own, str(hub), UDP, 40123, tunnel.endpoint_port, hello)
        rows += [
            ("in", "A20", "WireGuard of the hub", came, True),
            ("out", "A21", "WireGuard to the hub", goes, True),
            ("in", "K04", "WireGuard of the hub to 127.0.0.1", replace(came, target="127.0.0.1"), False),
            ("in", "K13", "WireGuard of the hub with IP options", replace(came, options=_RECORD_ROUTE), False),
            ("frame", "A21", "WireGuard to the hub", goes, bool(own_addresses(site, learned)["wan"])),
            (
                "in",
                "W05",
                "what is no WireGuard, from the hub",
                replace(came, payload=b"GET / HTTP/1.1\r\n\r\n"),
                False,
            ),
            ("out", "V05", "what is no WireGuard, to the hub", replace(goes, payload=b"GET / HTTP/1.1\r\n\r\n"), False),
            ("in", "K14", "the hub's address from another port", replace(came, sport=4000), False),
        ]
    scan = Packet(STRANGER, own, UDP, 51820, 40123, hello)
    rows += [
        ("in", "W05", "WireGuard of a stranger", scan, False),
        ("in", "K14", "a stranger under the LAN's address", replace(scan, source=_neighbour(site)), False),
        ("in", "K14", "a stranger under the box's own address", replace(scan, source=own), False),
        ("in", "K04", "to the LAN's address from the Internet", replace(scan, target=str(site.lan.address.ip)), False),
        ("in", "K05", "a ping", replace(scan, protocol=ICMP, payload=b"x" * 32), False),
    ]
    if own_addresses(site, learned)["wan"]:
        asks = Packet(own, "192.0.2.1", ARP)
        rows.append(("frame", "A22", "a question for the router's hardware address", asks, True))
        rows.append(("frame", "K12", "a question in another's name", replace(asks, source=STRANGER), False))
    if hub is not None:
        yield _split("wan", "WireGuard of the hub, in two pieces", came)
    for port in (22, 53, 80, 123, 161, 443, 1900, 3702, 5060, 5353, 8443):
        for protocol in (UDP, TCP):
            probe = replace(scan, protocol=protocol, sport=4000, dport=port, flags="S" if protocol == TCP else "")
            rows.append(("in", "N02", f"a probe of port {port}", probe, False))
    ways: tuple[Way, ...] = ("out", "frame")
    for way in ways:
        leak = Packet(own, STRANGER, UDP, 4000, 4000, b"x" * 64)
        rows += [
            (way, "V05", "UDP to a stranger", leak, False),
            (way, "V05", "DNS to a stranger", replace(leak, dport=53), False),
            (way, "V05", "TCP to a stranger", replace(leak, protocol=TCP, flags="S", payload=b""), False),
            (
                way,
                "V05",
                "SIP in clear to the platform",
                replace(leak, target=str(site.platform[0].address) if site.platform else CITY_DATABASE, dport=5060),
                False,
            ),
            (way, "K05", "a ping outward", replace(leak, protocol=ICMP), False),
        ]
    for way, id_, words, packet, good in rows:
        yield Case(id_, "wan", way, words, packet, good)
    yield from _enrolment(site, own, bool(own_addresses(site, learned)["wan"]))


def _neighbour(site: Site) -> str:
    """A host of the LAN that is nobody we know."""
    known = {site.lan.address.ip, *(a for r in site.recorder for a in (r.address, *r.media_addresses))}
    network = site.lan.address.network
    free = (network[at] for at in range(network.num_addresses - 2, 0, -1))
    return str(next(h for h in free if h not in known and not any(h in n for n in site.lan.owner_networks)))


def _back(packet: Packet, **change: object) -> Packet:
    turned = replace(packet, source=packet.target, target=packet.source, sport=packet.dport, dport=packet.sport)
    return replace(turned, **change)  # type: ignore[arg-type]


def _embedded(packet: Packet) -> bytes:
    """What an ICMP error says of a packet, and a secret behind it."""
    head = b"\x45\0\x02\0" + bytes(4) + b"\x40\x11\0\0"
    head += IPv4Address(packet.source).packed + IPv4Address(packet.target).packed
    return head + packet.sport.to_bytes(2, "big") + packet.dport.to_bytes(2, "big") + b"\x01\xe8\0\0" + b"S" * 480


def drawn(site: Site, learned: Learned, seed: int) -> Iterator[Case]:
    """Packets by lot, near what is allowed: of each the flows say whether it passes."""
    dice = random.Random(seed)  # noqa: S311 - a draw that can be repeated
    named = [
        case
        for case in (*_lan(site), *_vpn(site), *_wan(site, learned))
        if not case.packet.six and not case.also and case.packet.protocol != ARP
    ]
    for _ in range(DRAWN if named else 0):
        case = dice.choice(named)
        others = [each.packet for each in named if each.room == case.room]
        packet = _stirred(case.packet, dice, others)
        if case.way != "in":  # whose hardware a frame goes to is not drawn
            packet = replace(packet, hardware=case.packet.hardware)
        good = passes(site, learned, case.room, case.way, packet, case.door)
        yield Case("draw", case.room, case.way, f"by lot, near: {case.words}", packet, good, case.door)


def _stirred(packet: Packet, dice: random.Random, others: list[Packet]) -> Packet:
    for _ in range(dice.randint(1, 2)):
        other = dice.choice(others)
        change: dict[str, object] = dice.choice([
            {"source": other.source}, {"target": other.target}, {"sport": other.sport}, {"dport": other.dport},
            {"protocol": other.protocol, "flags": other.flags}, {"payload": other.payload},
            {"dport": dice.randint(1, 65535)}, {"sport": dice.randint(1, 65535)}, {"hardware": other.hardware},
            {"ttl": dice.choice((1, 2, 255))}, {"payload": packet.payload[: dice.randint(0, len(packet.payload))]},
        ])  # fmt: skip
        packet = replace(packet, **change)  # type: ignore[arg-type]
    if packet.protocol == TCP and not packet.flags:
        packet = replace(packet, flags=dice.choice(("S", "A", "PA", "R", "SA")))
    return replace(packet, flags="") if packet.protocol != TCP else packet
