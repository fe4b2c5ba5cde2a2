"""The forbidden things, each with the proof that it would arrive: the same octets through the open twin.

A probe builds packets; they are sent once in the street and once, octet for octet, in the twin's, from equal hosts.
Arrival is a marker seen by a capture at a victim's end. ``holds_without_nft`` says beforehand whether a wall other than
the rules holds; where only the rules hold it is false, and shown.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from edge.ferry import seccomp
from edge.lab import craft
from edge.lab.capture import PREFIX, Capture, Watch
from edge.lab.sockets import in_namespace, packet_in, udp_in
from edge.lab.topology import (
    CITY_IP,
    INTERNET_IP,
    LAN0_MAC,
    LAN_IP,
    NVR2_IP,
    NVR_IP,
    NVR_MAC,
    PC_IP,
    ROUTER_IP,
    ROUTER_MAC,
    TUNNEL_IP,
    TWIN_CITY_MAC,
    TWIN_VPN_MAC,
    WAN0_MAC,
    WAN_IP,
)

PORTS = (22, 80, 443, 554, 1935, 3702, 5060, 5061, 8000, 8080, 9000, 15060, 30000, 40000, 51820)
NO_CALL_PORT = 30_998
FORWARDING, NO_ROAD, RELAY, SPOOF, OUTPUT, SECCOMP = (
    "no forwarding between namespaces",
    "no road: no interface leads there",
    "the relay rebuilds each packet and knows its SSRC",
    "nft: the recorder's hardware address",
    "nft: output of lan and its frames",
    "seccomp: no other address for a passed socket",
)


@dataclass(frozen=True, slots=True)
class LiveCall:
    """The open call that the probes attack."""

    lan_port: int
    recorder_port: int
    ssrc: int
    city_port: int
    city_local_port: int
    sequence: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Shot:
    """One packet as it is sent: from which host, on which link, to which hardware address ("" on a tunnel)."""

    host: str
    link: str
    target_mac: str
    source_mac: str
    kind: int
    packet: bytes


@dataclass(frozen=True, slots=True)
class Probe:
    id: str
    victims: tuple[str, ...]
    wall: str
    shots: Callable[[LiveCall, bytes], list[Shot]]
    holds_without_nft: bool = True
    watch: Callable[[bytes], Watch] | None = None


@dataclass(frozen=True, slots=True)
class ProbeResult:
    id: str
    round: int
    sent: int
    control_arrived: int
    arrived: int
    holds_without_nft: bool
    wall: str

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def leaked(self) -> bool:
        return self.arrived > 0 and (self.round == 1 or self.holds_without_nft)


def _lan(host: str, packet: bytes, target: str = LAN0_MAC, source: str = "", kind: int = 0x0800) -> Shot:
    macs = {"nvr": NVR_MAC, "nvr2": "02:00:00:00:00:11", "pc": "02:00:00:00:00:66", "lan": LAN0_MAC}
    return Shot(host, "lan0" if host == "lan" else "eth0", target, source or macs[host], kind, packet)


def _wan(packet: bytes) -> Shot:
    return Shot("internet", "up0", WAN0_MAC, "02:00:00:00:01:01", 0x0800, packet)


def _city(packet: bytes) -> Shot:
    return Shot("city", "wg0", "", "", 0x0800, packet)


def _scan(shot: Callable[[bytes], Shot], source: str, target: str, protocols: str = "both") -> Any:
    def shots(_: LiveCall, marker: bytes) -> list[Shot]:
        made = []
        for port in PORTS:
            if protocols != "udp":
                made.append(shot(craft.tcp_syn((source, 41000), (target, port), 7, marker)))
            if protocols != "tcp":
                made.append(shot(craft.udp((source, 41000), (target, port), marker)))
        return made

    return shots


def _rtp(host: str, source: str, *, version: int = 2, payload_type: int = 96, wrong: int = 1, port: int = 0) -> Any:
    def shots(call: LiveCall, marker: bytes) -> list[Shot]:
        ends = ((source, call.recorder_port), (LAN_IP, port or call.lan_port))
        made = []
        for ahead in range(1, 9):
            packet = craft.rtp(call.sequence + ahead & 0xFFFF, call.timestamp, call.ssrc ^ wrong, marker * 4,
                               version=version, payload_type=payload_type)  # fmt: skip
            made.append(_lan(host, craft.udp(*ends, packet)))
        return made

    return shots


def _fragments(call: LiveCall, marker: bytes) -> list[Shot]:
    ends = ((NVR_IP, call.recorder_port), (LAN_IP, call.lan_port))
    packet = craft.rtp(call.sequence + 1 & 0xFFFF, call.timestamp, call.ssrc ^ 1, marker * 40)
    return [_lan("nvr", part) for size in (8, 16, 160) for part in craft.fragments(*ends, packet, size)]


def _icmp_city(call: LiveCall, marker: bytes) -> list[Shot]:
    inner = craft.udp((NVR_IP, call.recorder_port), (CITY_IP, call.city_port), marker * 60)
    return [_city(craft.icmp_error(CITY_IP, NVR_IP, inner))]


def _icmp_nvr(call: LiveCall, marker: bytes) -> list[Shot]:
    inner = craft.udp((CITY_IP, call.city_port), (NVR_IP, call.recorder_port), marker * 60)
    return [_lan("nvr", craft.icmp_error(NVR_IP, CITY_IP, inner))]


def _sip(host: str, source: str, method: str) -> Any:
    def shots(_: LiveCall, marker: bytes) -> list[Shot]:
        name = marker.hex()
        text = (
            f"{method} sip:34020000002008000001@{LAN_IP}:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {source}:5060;branch=z9hG4bK{name}\r\n"
            f"From: <sip:34020000001180000099@3402000000>;tag=1\r\nTo: <sip:34020000001180000099@3402000000>\r\n"
            f"Call-ID: {name}\r\nCSeq: 1 {method}\r\nContent-Length: 8\r\n\r\n"
        ).encode()
        return [_lan(host, craft.udp((source, 5060), (LAN_IP, 5060), text + marker))] * 4

    return shots


def _ipv6(_: LiveCall, marker: bytes) -> list[Shot]:
    targets = ("fd00:255::10", "ff02::1", "fe80::1")
    return [_lan("nvr", craft.ipv6_udp("fd00:1::10", to, 5060, marker), kind=0x86DD) for to in targets]


def _rtp_back(call: LiveCall, marker: bytes) -> list[Shot]:
    ends = ((CITY_IP, call.city_port), (TUNNEL_IP, call.city_local_port))
    return [_city(craft.udp(*ends, craft.rtp(n, n, call.ssrc, marker * 4))) for n in range(8)]


def _rst(_: bytes) -> Watch:
    """See a RST that comes from the box's uplink address."""
    own = socket.inet_aton(WAN_IP)
    return lambda frame: frame[12:14] == b"\x08\0" and frame[26:30] == own and frame[23] == 6 and bool(frame[47] & 4)


def _uplink(protocol: str) -> Any:
    def shots(_: LiveCall, marker: bytes) -> list[Shot]:
        ends = ((INTERNET_IP, 42000), (WAN_IP, 8080))
        packet = craft.tcp_syn(*ends, 9, b"") if protocol == "tcp" else craft.udp(*ends, marker * 2)
        return [_wan(packet)] * 3

    return shots


def _raw_router(_: LiveCall, marker: bytes) -> list[Shot]:
    packet = craft.udp((LAN_IP, 5060), (INTERNET_IP, 53), marker)
    return [Shot("lan", "lan0", ROUTER_MAC, LAN0_MAC, 0x0800, packet)] * 3


def _plain_router(_: LiveCall, marker: bytes) -> list[Shot]:
    packet = craft.udp((LAN_IP, 5062), (ROUTER_IP, 53), marker)
    return [Shot("lan", "lan0", ROUTER_MAC, LAN0_MAC, 0x0800, packet)] * 3


def _raw_city(_: LiveCall, marker: bytes) -> list[Shot]:
    packet = craft.udp((TUNNEL_IP, 41002), (CITY_IP, 53), marker)
    return [Shot("vpn", "wg-a", "", "", 0x0800, packet)] * 3


def _spoof(call: LiveCall, marker: bytes) -> list[Shot]:
    """The recorder's address, port, SSRC and next numbers, from another hardware address; harmless PS padding inside."""
    ends = ((NVR_IP, call.recorder_port), (LAN_IP, call.lan_port))
    padding = b"\0\0\1\xbe" + struct.pack("!H", len(marker)) + marker
    return [
        _lan("nvr2", craft.udp(*ends, craft.rtp(call.sequence + ahead & 0xFFFF, call.timestamp, call.ssrc, padding)))
        for ahead in range(1, 40)
    ]


def _city_icmp(_: bytes) -> Watch:
    own = socket.inet_aton(WAN_IP)
    return lambda frame: frame[12:14] == b"\x08\0" and frame[26:30] == own and frame[23] == 1


def _one(shot: Callable[[bytes], Shot], packet: Callable[[bytes], bytes]) -> Any:
    return lambda _, marker: [shot(packet(marker))] * 4


PROBES: tuple[Probe, ...] = (
    Probe("scan-nvr-city", ("city",), FORWARDING, _scan(lambda p: _lan("nvr", p), NVR_IP, CITY_IP)),
    Probe("scan-nvr2-city", ("city",), FORWARDING, _scan(lambda p: _lan("nvr2", p), NVR2_IP, CITY_IP)),
    Probe("scan-pc-city", ("city",), FORWARDING, _scan(lambda p: _lan("pc", p), PC_IP, CITY_IP)),
    Probe("scan-nvr-internet", ("internet",), FORWARDING, _scan(lambda p: _lan("nvr", p), NVR_IP, INTERNET_IP)),
    Probe("scan-internet-nvr", ("nvr",), FORWARDING, _scan(_wan, INTERNET_IP, NVR_IP)),
    Probe("scan-internet-city", ("city",), FORWARDING, _scan(_wan, INTERNET_IP, CITY_IP)),
    Probe("scan-city-nvr", ("nvr",), FORWARDING, _scan(_city, CITY_IP, NVR_IP)),
    Probe("rtp-without-call", ("city",), RELAY, _rtp("nvr", NVR_IP, wrong=0, port=NO_CALL_PORT)),
    Probe("rtp-wrong-ssrc", ("city",), RELAY, _rtp("nvr", NVR_IP)),
    Probe("rtp-wrong-payload-type", ("city",), RELAY, _rtp("nvr", NVR_IP, wrong=0, payload_type=0)),
    Probe("rtp-wrong-version", ("city",), RELAY, _rtp("nvr", NVR_IP, wrong=0, version=1)),
    Probe("rtp-from-nvr2", ("city",), RELAY, _rtp("nvr2", NVR2_IP, wrong=0)),
    Probe("ipv6", ("city",), "IPv6 is off", _ipv6),
    Probe("fragments-wrong-ssrc", ("city",), RELAY, _fragments),
    Probe("weak-host-tunnel-address", ("city",), NO_ROAD,
          _one(lambda p: _lan("nvr", p), lambda m: craft.udp((NVR_IP, 41001), (TUNNEL_IP, 5060), m))),
    Probe("weak-host-uplink-address", ("city",), NO_ROAD,
          _one(lambda p: _lan("pc", p), lambda m: craft.udp((PC_IP, 41001), (WAN_IP, 5060), m))),
    Probe("icmp-error-from-city", ("nvr",), FORWARDING, _icmp_city),
    Probe("icmp-error-from-nvr", ("city",), FORWARDING, _icmp_nvr),
    Probe("sip-register-from-nvr2", ("city",), "siteside knows its recorders", _sip("nvr2", NVR2_IP, "REGISTER")),
    Probe("sip-message-from-nvr2", ("city",), "siteside knows its recorders", _sip("nvr2", NVR2_IP, "MESSAGE")),
    Probe("rtp-back-from-city", ("nvr",), "the relay never reads the city's socket", _rtp_back),
    Probe("lan-process-to-router", ("router",), OUTPUT, _plain_router, False),
    Probe("lan-raw-frame-to-internet", ("internet",), OUTPUT, _raw_router, False),
    Probe("vpn-raw-frame-to-city", ("city",), "nft: frames of the tunnel", _raw_city, False),
    Probe("uplink-own-rst", ("internet",), "nft: output of wan", _uplink("tcp"), False, _rst),
    Probe("uplink-own-icmp", ("internet",), "nft: output of wan", _uplink("udp"), False, _city_icmp),
)  # fmt: skip
#: Last of each round: where only nft holds it, it enters the running picture.
SPOOF_PROBE = Probe("spoofed-recorder-tuple", ("city",), SPOOF, _spoof, False)


def fire(shots: list[Shot], twin: bool) -> int:
    """Send packets in the street or in the twin's; return how many the host's kernel took."""
    sent = 0
    opened: dict[tuple[str, str], socket.socket] = {}
    try:
        for shot in shots:
            key = _place(shot) if twin else (shot.host, shot.link)
            if key not in opened:
                opened[key] = packet_in(*key)
            sent += _send(opened[key], shot, twin)
    finally:
        for link in opened.values():
            link.close()
    return sent


def _place(shot: Shot) -> tuple[str, str]:
    """Return the host and link of the twin's street that a shot is sent from."""
    links = {("lan", "lan0"): "lan0", ("vpn", "wg-a"): "vpn0"}
    key = (shot.host, shot.link)
    return ("twin", links[key]) if key in links else (f"t-{shot.host}", shot.link)


def _send(link: socket.socket, shot: Shot, twin: bool) -> int:
    target, source = shot.target_mac, shot.source_mac
    if twin and not target:
        target, source = TWIN_VPN_MAC, TWIN_CITY_MAC
        if shot.host == "vpn":
            target, source = source, target
    try:
        if target:
            link.send(craft.ethernet(target, source, shot.kind, shot.packet))
        else:
            link.sendto(shot.packet, (shot.link, shot.kind))
    except OSError:
        return 0  # the attacker's own packet was refused on its way out: that is a wall too
    return 1


class Captures:
    """A capture in every victim's namespace, in the street and in the twin's."""

    def __init__(self, victims: tuple[str, ...] = ("nvr", "city", "internet", "router", "pc")) -> None:
        self._by_name = {name: Capture(name) for victim in victims for name in (victim, f"t-{victim}")}

    def watch(self, names: list[str], marker: bytes, watch: Watch | None) -> None:
        for name in names:
            if watch is None:
                self._by_name[name].watches.pop(marker, None)
            else:
                self._by_name[name].watches[marker] = watch

    def arrived(self, names: list[str], marker: bytes) -> int:
        return sum(self._by_name[name].markers[marker] for name in names)

    def close(self) -> None:
        for capture in self._by_name.values():
            capture.close()


def run_probe(probe: Probe, captures: Captures, call: LiveCall, round_: int) -> ProbeResult:
    """Send a probe in the street and, with a marker of its own, in the twin's; say what arrived where."""
    counts = []
    for twin in (False, True):
        marker = PREFIX + os.urandom(4)
        names = [f"t-{victim}" if twin else victim for victim in probe.victims]
        if probe.watch is not None:
            captures.watch(names, marker, probe.watch(marker))
        shots = probe.shots(call, marker)
        sent = fire(shots, twin)
        time.sleep(0.15)
        counts.append((len(shots), sent, captures.arrived(names, marker)))
        captures.watch(names, marker, None)
    (wanted, _, arrived), (_, _, control) = counts
    return ProbeResult(probe.id, round_, wanted, control, arrived, probe.holds_without_nft, probe.wall)


def run_insiders(captures: Captures, round_: int) -> list[ProbeResult]:
    """Attacks by processes of the box: the site side toward the Internet, and the ferry, owned."""
    return [
        _insider("lan-process-to-internet", "lan", NO_ROAD, captures, round_),
        _insider("ferry-process-to-internet", "ferry", NO_ROAD, captures, round_),
        _owned_ferry(captures, round_),
    ]


def _insider(name: str, namespace: str, wall: str, captures: Captures, round_: int) -> ProbeResult:
    """A plain UDP socket in a namespace of the box, and the same in the twin."""
    counts = []
    for where, victim in ((namespace, "internet"), ("twin", "t-internet")):
        marker = PREFIX + os.urandom(4)
        with in_namespace(where):
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(3):
            try:
                opened.sendto(marker, (INTERNET_IP, 53))
            except OSError:
                continue  # no route: the wall
        opened.close()
        time.sleep(0.15)
        counts.append(captures.arrived([victim], marker))
    return ProbeResult(name, round_, 3, counts[1], counts[0], True, wall)


def _misuse(passed: socket.socket, marker: bytes, confined: bool) -> None:
    """In a child: send elsewhere with a passed socket, and connect it anew; never returns."""
    try:
        if confined:
            seccomp.load_worker()
        with contextlib.suppress(OSError):
            passed.sendto(marker, (PC_IP, 9))
        with contextlib.suppress(OSError):
            passed.connect((PC_IP, 9))
            passed.send(marker)
    finally:
        os._exit(0)


def _owned_ferry(captures: Captures, round_: int) -> ProbeResult:
    """The ferry's own confinement around a passed socket, used against another host; the control is unconfined."""
    counts = []
    for where, victim, confined in (("lan", "pc", True), ("twin", "t-pc", False)):
        marker = PREFIX + os.urandom(4)
        passed = udp_in(where, (LAN_IP, 30_990))
        pid = os.fork()
        if pid == 0:
            _misuse(passed, marker, confined)
        os.waitpid(pid, 0)
        passed.close()
        time.sleep(0.15)
        counts.append(captures.arrived([victim], marker))
    return ProbeResult("owned-ferry-passed-socket", round_, 2, counts[1], counts[0], True, SECCOMP)


__all__ = ["PROBES", "SPOOF_PROBE", "Captures", "LiveCall", "ProbeResult", "run_insiders", "run_probe"]
