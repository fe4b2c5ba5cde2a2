"""Packets that mean ill, from an owned recorder and from another host of the LAN: cases K, R and V of the threat list, by id.

    nvr, nvr2, pc ── lan0 │ the box │ wg-a ══ wg0 city
                                    │ wan0 ── internet

Judged by a capture at the victim's end. Where nothing may arrive, the same octets arrive in the open twin, or at the box's port.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from edge.lab import craft, private, topology
from edge.lab.capture import PREFIX, Capture
from edge.lab.naive import NaiveRelay
from edge.lab.orders import order
from edge.lab.probes import NO_CALL_PORT, LiveCall, Shot, fire
from edge.lab.recorder import MEDIA_PORT, mark
from edge.lab.sockets import in_namespace, udp_in
from edge.lab.street import Street, eventually
from edge.lab.topology import CITY_IP, INTERNET_IP, LAN0_MAC, LAN_IP, NVR2_IP, NVR_IP, NVR_MAC, TUNNEL_IP
from firewall.compile import rulesets
from firewall.nft import Nft
from tests.conftest import ORDERS, whole
from tests.lab.barrage import barrage
from tests.lab.signalling import NVR
from tests.lab.streets.test_faults_named import said

pytestmark = pytest.mark.timeout(300)
NVR2_MAC, PC_MAC = "02:00:00:00:00:11", "02:00:00:00:00:66"
IPV4, IPV6 = 0x0800, 0x86DD
#: How long the slowest packet of a lab under load is waited for before nothing is taken for nothing.
SETTLE_SECONDS = 0.4


@dataclass
class Judges:
    """Captures at every victim's end, in the street and in the twin's, from when its namespaces stand."""

    made: dict[str, Capture] = field(default_factory=dict)

    def open(self) -> None:
        for name in ("city", "internet", "lan", "nvr", "nvr2", "t-city", "t-internet"):
            self.made[name] = Capture(name)

    def __getitem__(self, name: str) -> Capture:
        return self.made[name]

    def count(self, marker: bytes, *names: str) -> int:
        time.sleep(SETTLE_SECONDS)
        return sum(self[name].markers[marker] for name in names)

    def close(self) -> None:
        for capture in self.made.values():
            capture.close()


@dataclass
class Begun:
    """A street, and what came out of it while it was being started under a flood (K17)."""

    street: Street
    judges: Judges
    marker: bytes
    leaked: int = 0
    #: Namespace -> the rules that stood before the first program ran.
    rules: dict[str, str] = field(default_factory=dict)


def fresh() -> bytes:
    return PREFIX + os.urandom(4)


def lan(packet: bytes, kind: int = IPV4, target: str = LAN0_MAC, source: str = NVR_MAC) -> bytes:
    return craft.ethernet(target, source, kind, packet)


def outward(marker: bytes) -> list[bytes]:
    """What a recorder sends to hosts beyond the box, which it takes for its router."""
    packets = [
        craft.udp((NVR_IP, 41000), (CITY_IP, 5060), marker), craft.tcp_syn((NVR_IP, 41000), (CITY_IP, 80), 7, marker),
        craft.udp((NVR_IP, 41000), (INTERNET_IP, 53), marker), craft.udp((NVR_IP, 41000), (LAN_IP, 9999), marker),
    ]  # fmt: skip
    return [lan(packet) for packet in packets]


def in_twin(*frames: bytes, host: str = "nvr") -> None:
    """Send the same frames to the open twin."""
    shots = [Shot(host, "eth0", _mac(f[:6]), _mac(f[6:12]), int.from_bytes(f[12:14], "big"), f[14:]) for f in frames]
    assert fire(shots, twin=True) == len(frames)


def _mac(octets: bytes) -> str:
    return octets.hex(":")


def send(*frames: bytes, host: str = "nvr") -> None:
    shots = [Shot(host, "eth0", _mac(f[:6]), _mac(f[6:12]), int.from_bytes(f[12:14], "big"), f[14:]) for f in frames]
    assert fire(shots, twin=False) == len(frames)


@pytest.fixture(scope="module")
def begun() -> Iterator[Begun]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    made = Begun(Street(Path("build/lab/hostile-packets-log")), Judges(), fresh())
    try:
        made.street.build()
        made.rules = {name: nft(name, "list", "ruleset") for name in ("lan", "vpn", "wan")}
        made.judges.open()
        with barrage("nvr", "eth0", outward(made.marker)):
            made.street.start()
            made.street.start_hub()
            eventually(lambda: order(ORDERS, "facts")["online"], 60, "the site's registration, under the flood")
        made.leaked = made.judges.count(made.marker, "city", "internet")
        yield made
    finally:
        made.judges.close()
        made.street.close()


@pytest.fixture
def street(begun: Begun) -> Street:
    eventually(lambda: whole(begun.street), 90, "the whole street")
    return begun.street


@pytest.fixture
def judges(begun: Begun) -> Judges:
    return begun.judges


@pytest.fixture
def channel(street: Street) -> str:
    found: dict[str, Any] = eventually(
        lambda: {c: f for c, f in order(ORDERS, "catalog")["channels"].items() if f[1] == "ON"}, 60, "a channel"
    )
    return next(iter(found))


def ended(street: Street) -> None:
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 30, "the view's end")
    eventually(lambda: not street.said("siteside").get("views"), 30, "the recorder's leg")


@pytest.fixture
def playing(street: Street, channel: str) -> Iterator[str]:
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 10, 40, "pictures")
    yield channel
    for words in ("send right", "goes_on 0"):
        order(NVR, words)
    ended(street)


def right() -> int:
    return int(order(ORDERS, "facts")["judge"].get("right", 0))


def pictures_go_on() -> None:
    before = right()
    eventually(lambda: right() > before + 25, 30, "a second of pictures")


def view(street: Street) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(street.said("ferry").get("views", {}).values()), {})
    return found


def live(street: Street) -> LiveCall:
    """The open call, with the recorder's present numbers."""
    found = view(street)
    tap = Capture("nvr", outgoing=True)
    try:
        head: tuple[int, int, int] = eventually(lambda: tap.last_rtp(found["lan_port"]), 10, "a packet of the recorder")
    finally:
        tap.close()
    sink = found["sink"]
    return LiveCall(found["lan_port"], found["source"][1], head[2], sink[1][1], sink[0][1], head[0], head[1])


def nft(namespace: str, *words: str) -> str:
    done = subprocess.run(topology.inside(namespace, "nft", *words), capture_output=True, text=True, check=True)
    return done.stdout


# -- the rules, before anything and while they change ----------------------------------------------------------------


def test_k17_while_the_box_starts_under_a_flood_nothing_comes_out(begun: Begun, street: Street) -> None:
    """Without a boot: the rules of ``closed.nft`` stand before the first program, then the box is started."""
    for namespace, rules in begun.rules.items():
        verdicts = set(re.findall(r"counter packets \d+ bytes \d+ (\w+)", rules))
        assert verdicts == {"drop"}, namespace
        assert rules.count("policy drop") == 4, namespace
    assert begun.leaked == 0
    in_twin(*outward(begun.marker))
    assert begun.judges.count(begun.marker, "t-city", "t-internet") >= 3, "the control"
    unit = Path("systemd/snowgate-closed.service").read_text(encoding="utf-8")
    assert re.search(r"^Before=.*\bnetwork-pre\.target\b", unit, re.MULTILINE)


def test_k09_rules_reloaded_under_a_flood_let_nothing_through(street: Street) -> None:
    """The victim is a socket behind the input chain; a hundred times the whole text, as the keeper loads it."""
    assert street.site is not None
    text = rulesets(street.site)[0].text()
    marker = fresh()
    victim = udp_in("lan", (LAN_IP, 9999))
    victim.settimeout(0.2)
    frames = [lan(craft.udp((NVR_IP, 41000), (LAN_IP, 9999), marker))] * 16
    with victim, barrage("nvr", "eth0", frames), in_namespace("lan"):
        rules = Nft()
        with pytest.raises(TimeoutError):
            victim.recv(64)
        for _ in range(100):
            rules.run(text)
        with pytest.raises(TimeoutError):
            victim.recv(64)
        with street.held("keeper"):
            rules.run("flush ruleset")
            assert marker in victim.recv(64), "without rules it arrives"
    eventually(lambda: "closed" in nft("lan", "list", "ruleset"), 20, "the rules again")


def test_k09_the_wire_of_the_tunnel_reloaded_under_a_flood_lets_nothing_through(street: Street, judges: Judges) -> None:
    assert street.site is not None
    text = rulesets(street.site)[1].text()
    marker = fresh()
    packet = craft.udp((TUNNEL_IP, 41000), (CITY_IP, 9), marker)
    with barrage("vpn", "wg-a", [packet] * 16, kind=IPV4), in_namespace("vpn"):
        rules = Nft()
        for _ in range(100):
            rules.run(text)
        assert judges.count(marker, "city") == 0
        with street.held("keeper"):
            rules.run("delete table netdev snowgate")
            eventually(lambda: judges["city"].markers[marker], 10, "without the wire's rules it arrives")
    eventually(lambda: "egress-wg-a" in nft("vpn", "list", "ruleset"), 20, "the rules again")


def test_k10_rules_flushed_under_a_flood_are_back_and_said(street: Street, judges: Judges) -> None:
    marker = fresh()
    with barrage("nvr", "eth0", outward(marker)):
        for _ in range(3):
            for namespace in ("lan", "vpn", "wan"):
                nft(namespace, "flush", "ruleset")
            eventually(lambda: all("closed" in nft(n, "list", "ruleset") for n in ("lan", "vpn", "wan")), 20, "rules")
    assert judges.count(marker, "city", "internet") == 0
    in_twin(*outward(marker))
    assert judges.count(marker, "t-city", "t-internet") >= 3, "the control"
    eventually(lambda: "somebody_changes" in said(), 30, "the doctor says that somebody changes the rules")


def test_k16_floods_from_everywhere_fill_no_table(street: Street, judges: Judges, playing: str) -> None:
    """Twenty thousand senders and more. No rule asks for connections, so none is remembered; notes have a bound."""

    def remembered(namespace: str) -> int:
        shown = topology.inside(namespace, "cat", "/proc/sys/net/netfilter/nf_conntrack_count")
        return int(subprocess.run(shown, capture_output=True, text=True, check=True).stdout)

    def flood(mac: str, port: int) -> list[bytes]:
        return [lan(craft.udp((str(IPv4Address(0xC0A80180 + n % 64)), 1024 + n), (LAN_IP, port), b"x"), source=mac)
                for n in range(10_000)]  # fmt: skip

    lost = order(ORDERS, "facts")["judge"].get("wrong", 0)
    with barrage("nvr", "eth0", flood(NVR_MAC, 5060)), barrage("pc", "eth0", flood(PC_MAC, 30001)):
        pictures_go_on()
        pictures_go_on()
        assert [remembered(name) for name in ("lan", "vpn", "wan")] == [0, 0, 0]
    for name in ("moved", "strays"):
        assert nft("lan", "list", "set", "inet", "snowgate", name).count("counter packets") <= 256
    assert order(ORDERS, "facts")["judge"].get("wrong", 0) == lost
    nft("twin", "add table inet k16; add chain inet k16 c { type filter hook input priority 0; }; "
        "add rule inet k16 c ct state new accept")  # fmt: skip
    in_twin(*flood(PC_MAC, 30001)[:2000], host="pc")
    assert remembered("twin") > 500, "the control: where a rule asks, connections are remembered"
    nft("twin", "delete", "table", "inet", "k16")


def test_k01_every_port_of_a_host_of_the_city_is_asked_for_and_nothing_comes(street: Street, judges: Judges) -> None:
    marker = fresh()
    ports = [*range(1, 65536)]
    frames = [lan(craft.tcp_syn((NVR_IP, 41000), (CITY_IP, port), 7, marker)) for port in ports]
    frames += [lan(craft.udp((NVR_IP, 41000), (CITY_IP, port), marker)) for port in ports[::33]]
    send(*frames)
    assert judges.count(marker, "city") == 0
    in_twin(*frames[::16])
    assert judges.count(marker, "t-city") > 1000, "the control"


def test_k12_false_arp_leads_nobody_astray(street: Street, judges: Judges, playing: str) -> None:
    """Somebody claims the recorder's address and the router's, a thousand times and more.

    That a recorder believes who claims the *box's* address is beyond the box: its pictures then go astray in the LAN.
    """

    def hardware(namespace: str, address: str) -> str:
        command = ["ip", "-n", namespace, "neigh", "show", address]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    heard: list[bytes] = []
    judges["nvr2"].watches[b"k12"] = lambda frame: frame[12:14] == b"\x08\0" and heard.append(frame) is not None
    everybody = "ff:ff:ff:ff:ff:ff"
    claims = [craft.arp(address, NVR2_MAC, to, answers=answers) for address in (NVR_IP, topology.ROUTER_IP)
              for to in (LAN_IP, address, topology.PC_IP) for answers in (False, True)]  # fmt: skip
    topology.ip("-n", "pc", "neigh", "replace", NVR_IP, "lladdr", NVR_MAC, "dev", "eth0", "nud", "reachable")
    with barrage("nvr2", "eth0", [lan(claim, 0x0806, everybody, NVR2_MAC) for claim in claims]):
        eventually(lambda: NVR2_MAC in hardware("pc", NVR_IP), 20, "the control: a host that believes it")
        pictures_go_on()
        pictures_go_on()
    assert NVR_MAC in hardware("lan", NVR_IP)
    assert "PERMANENT" in hardware("lan", NVR_IP)
    judges["nvr2"].watches.pop(b"k12")
    assert not [frame for frame in heard if frame[26:30] == IPv4Address(LAN_IP).packed], "nothing of the box goes there"
    topology.ip("-n", "pc", "neigh", "flush", "dev", "eth0")


# -- shapes of packets ------------------------------------------------------------------------------------------------


def test_k02_ipv6_of_every_kind_reaches_nobody_and_gives_no_address(street: Street, judges: Judges) -> None:
    marker, prefix = fresh(), "2001:db8:bad::"
    own = "fe80::ff:fe00:10"
    all_nodes, dhcp = "33:33:00:00:00:01", "33:33:00:01:00:02"
    ula = lan(craft.ipv6_udp("fd00:1::10", "fd00:255::10", 5060, marker), IPV6)
    frames = [
        ula,
        lan(craft.ipv6_udp("2001:db8:1::10", "2001:db8:255::10", 5060, marker), IPV6),
        lan(craft.ipv6_syn("2001:db8:1::10", "2001:db8:255::10", 80, marker), IPV6),
        lan(craft.ipv6_udp(own, "fe80::2", 5060, marker), IPV6),
        lan(craft.ipv6_udp(own, "ff02::1", 5353, marker), IPV6, all_nodes),
        lan(craft.solicitation(own, "fd00:255::10", marker), IPV6, "33:33:ff:00:00:10"),
        lan(craft.ipv6_udp(own, "ff02::1:2", 547, marker), IPV6, dhcp),
        lan(craft.advertisement(own, prefix, NVR_MAC), IPV6, all_nodes),
    ]
    at_port = judges["lan"]
    with barrage("nvr", "eth0", frames, most=1600):
        eventually(lambda: at_port.markers[marker] >= 7 * 100, 20, "all of them at the box's port")
        eventually(lambda: addresses("pc", prefix), 10, "the control: a host that believes the advertisement")
    assert judges.count(marker, "city", "internet") == 0
    for namespace in ("lan", "vpn", "wan"):
        assert not addresses(namespace, ""), namespace
    in_twin(ula)
    assert judges.count(marker, "t-city") > 0, "the control"
    topology.ip("-n", "pc", "-6", "addr", "flush", "dev", "eth0", "scope", "global")
    topology.ip("-n", "pc", "-6", "route", "flush", "proto", "ra")


def addresses(namespace: str, prefix: str) -> list[str]:
    """The addresses of IPv6 that a namespace has beside loopback's, of a prefix."""
    shown = subprocess.run(["ip", "-n", namespace, "-6", "-o", "addr"], capture_output=True, text=True, check=True)
    return [line for line in shown.stdout.splitlines() if " lo " not in line and prefix in line]


def pieces(call: LiveCall, marker: bytes) -> dict[str, list[bytes]]:
    """A packet of another SSRC, in pieces of several shapes."""
    ends = ((NVR_IP, call.recorder_port), (LAN_IP, call.lan_port))
    rtp = craft.rtp(call.sequence + 1 & 0xFFFF, call.timestamp, call.ssrc ^ 1, marker * 20)
    whole_ = craft.udp_datagram(*ends, rtp)

    def cut(number: int, *spans: tuple[int, int]) -> list[bytes]:
        """Pieces from one octet to another, of which the last that reaches the end has no more behind it."""
        return [
            lan(craft.ipv4(NVR_IP, LAN_IP, craft.UDP, whole_[a:b], number=number,
                           fragment=(0x2000 if b < len(whole_) else 0) | a // 8))
            for a, b in spans
        ]  # fmt: skip

    end = len(whole_)
    by = {size: [(at, min(at + size, end)) for at in range(0, end, size)] for size in (8, 16)}
    return {
        "whole": [lan(craft.udp(*ends, rtp))],
        "of eight octets": cut(101, *by[8]),
        "of sixteen": cut(102, *by[16]),
        "last first": cut(103, *reversed(by[16])),
        "tiny first": cut(104, (0, 8), (8, end)),
        "each twice": cut(105, *(span for span in by[16] for _ in range(2))),
        "overlapping": cut(106, (0, 64), (32, 96), (64, end)),
    }


def test_k03_a_packet_in_pieces_reaches_no_relay_and_no_city(street: Street, judges: Judges, playing: str) -> None:
    call = live(street)

    def strange() -> int:
        return int(view(street)["dropped"].get("rtp_ssrc", 0))

    naive = NaiveRelay((call.lan_port,), call.city_local_port)
    try:
        for name in pieces(call, fresh()):
            marker = fresh()
            frames = pieces(call, marker)[name]
            before, at_port = strange(), judges["lan"].markers[marker]
            send(*frames)
            time.sleep(0.6)  # the ferry says what it counts twice a second
            assert judges["city"].markers[marker] == 0, name
            if name == "whole":
                eventually(
                    lambda before=before: strange() > before, 5, "the control: it reaches the relay, which refuses it"
                )
            else:
                assert strange() == before, name
            assert judges["lan"].markers[marker] > at_port or name == "of eight octets", "it has come to the port"
            in_twin(*frames)
            # No kernel puts together pieces that differ where they overlap (RFC 5722); the others arrive.
            assert judges.count(marker, "t-city") > 0 or name == "overlapping", name
    finally:
        naive.close()
    pictures_go_on()


def test_k13_no_header_of_ip_says_at_the_city_what_the_recorder_wrote(
    street: Street, judges: Judges, playing: str
) -> None:
    """TTL, DSCP, identification and "don't fragment" by its socket, the evil bit (RFC 3514) beneath it."""
    came: list[tuple[int, ...]] = []
    left: list[tuple[int, ...]] = []

    def heads(found: list[tuple[int, ...]], source: str, target: str) -> Callable[[bytes], bool]:
        ends = IPv4Address(source).packed + IPv4Address(target).packed

        def watch(frame: bytes) -> bool:
            for at in (0, 14):
                if frame[at + 12 : at + 20] == ends and frame[at + 9] == craft.UDP:
                    flags = int.from_bytes(frame[at + 6 : at + 8], "big")
                    found.append(
                        (frame[at], frame[at + 1], int.from_bytes(frame[at + 4 : at + 6], "big"), flags, frame[at + 8])
                    )
            return False

        return watch

    nft("nvr", "add table ip k13; add chain ip k13 c { type filter hook postrouting priority 0; }; "
        "add rule ip k13 c ip frag-off set ip frag-off | 0x8000")  # fmt: skip
    order(NVR, "send headers")
    judges["lan"].watches[b"k13"] = heads(came, NVR_IP, LAN_IP)
    judges["city"].watches[b"k13"] = heads(left, TUNNEL_IP, CITY_IP)
    try:
        pictures_go_on()
        pictures_go_on()
    finally:
        for name in ("lan", "city"):
            judges[name].watches.pop(b"k13")
        nft("nvr", "delete", "table", "ip", "k13")
    assert len(came) > 100
    for at in (1, 2, 4):
        assert len({head[at] for head in came}) > 50, "the control: it says something to the box"
    assert {head[3] for head in came} == {0x8000, 0xC000}
    assert len(left) > 100
    for at in (0, 1, 3, 4):
        assert len({head[at] for head in left}) == 1, "constant at the city"
    numbers = [head[2] for head in left]
    steps = {(b - a) & 0xFFFF for a, b in zip(numbers, numbers[1:], strict=False)}
    assert steps in ({0}, {1}), "the box's own count, or none"


# -- who sends, and when ----------------------------------------------------------------------------------------------


def test_k08_after_the_bye_what_a_recorder_goes_on_to_send_ends_at_the_box(
    street: Street, judges: Judges, playing: str
) -> None:
    """On the same five-tuple, with the same numbers: a recorder that does not care for a BYE."""
    order(NVR, "send behind")
    eventually(lambda: judges["city"].markers[mark("behind")], 20, "the control: it arrives while the view is open")
    call = live(street)
    order(NVR, "goes_on 1")
    ended(street)
    time.sleep(1)
    before = judges["city"].markers[mark("behind")]
    at_port = judges["lan"].markers[mark("behind")]
    time.sleep(4)
    assert judges["lan"].markers[mark("behind")] > at_port + 20, "it is still sent to the same port"
    assert judges["city"].markers[mark("behind")] == before
    assert f". {call.lan_port} ." not in nft("lan", "list", "set", "inet", "snowgate", "media")


def test_r01_media_of_another_host_reaches_nobody_and_is_not_answered(
    street: Street, judges: Judges, playing: str
) -> None:
    call, marker = live(street), fresh()
    naive = NaiveRelay((call.lan_port, NO_CALL_PORT), call.city_local_port)
    heard: list[bytes] = []
    judges["nvr2"].watches[b"r01"] = lambda frame: frame[12:14] == b"\x08\0" and heard.append(frame) is not None
    try:
        for ssrc in (call.ssrc, call.ssrc ^ 1, 0):
            packet = craft.rtp(call.sequence + 1 & 0xFFFF, call.timestamp, ssrc, marker * 4)
            for source, port in ((NVR2_IP, 40000), (NVR2_IP, call.recorder_port), (NVR_IP, call.recorder_port)):
                ports = (*range(30000, 31000, 7), call.lan_port, NO_CALL_PORT)
                frames = [lan(craft.udp((source, port), (LAN_IP, at), packet), source=NVR2_MAC) for at in ports]
                send(*frames, host="nvr2")
                in_twin(*frames, host="nvr2")
        assert judges.count(marker, "t-city") > 0, "the control"
        assert judges.count(marker, "city") == 0
        assert not heard, "nor is the sender answered"
    finally:
        judges["nvr2"].watches.pop(b"r01")
        naive.close()
    pictures_go_on()


def test_r02_who_sends_before_the_recorder_gets_nothing_through(street: Street, judges: Judges, channel: str) -> None:
    """The recorder is silent at first; the attacker knows the port, the SSRC and the payload type."""
    asked: list[int] = []

    def invited(frame: bytes) -> bool:
        found = re.search(rb"\r\ny=(\d{10})\r\n", frame) if b"INVITE sip:" in frame else None
        asked.extend([int(found[1])] if found else [])
        return False

    judges["nvr"].watches[b"r02"] = invited
    order(NVR, "send nothing")
    try:
        order(ORDERS, f"play {channel}")
        port = eventually(lambda: view(street).get("lan_port"), 20, "the view")
        eventually(lambda: f". {port} ." in nft("lan", "list", "set", "inet", "snowgate", "media"), 10, "its pin")
        eventually(lambda: asked, 10, "the SSRC that the recorder was asked for")
        marker, packets = fresh(), []
        for at in range(5):
            data = craft.rtp(0xFFF0 + at, 9000, asked[-1], b"\0\0\1\xbe" + len(marker).to_bytes(2, "big") + marker)
            packets += [lan(craft.udp((source, MEDIA_PORT), (LAN_IP, port), data), source=NVR2_MAC)
                        for source in (NVR2_IP, NVR_IP)]  # fmt: skip
        naive = NaiveRelay((port,), 41999)
        send(*packets, host="nvr2")
        in_twin(*packets, host="nvr2")
        assert judges.count(marker, "t-city") > 0, "the control: they are first where nobody asks who"
        naive.close()
        time.sleep(0.6)
        assert not any(view(street)["dropped"].values()), "the relay has not even seen them"
        first = craft.rtp(0xFFFF, 9000, asked[-1], b"no program stream")
        send(lan(craft.udp((NVR_IP, MEDIA_PORT), (LAN_IP, port), first)))
        eventually(
            lambda: any(view(street)["dropped"].values()), 10, "the control: from the recorder it would be the first"
        )
        order(NVR, "send right")
        eventually(lambda: right() > 25, 40, "the recorder's pictures, late but alone")
        assert view(street)["source"] == [NVR_IP, MEDIA_PORT]
        assert judges.count(marker, "city") == 0
    finally:
        judges["nvr"].watches.pop(b"r02")
        order(NVR, "send right")
        ended(street)


def test_v05_what_vendors_and_malware_say_to_the_internet_goes_nowhere(street: Street, judges: Judges) -> None:
    marker = fresh()
    name = marker.hex().encode()
    ask = b"\0\1\1\0\0\1\0\0\0\0\0\0\x10" + name + b"\3p2p\7example\0\0\1\0\1" + marker
    unicast = [
        lan(craft.udp((NVR_IP, 41000), (INTERNET_IP, 53), ask)),
        lan(craft.udp((NVR_IP, 123), (INTERNET_IP, 123), b"\x23" + bytes(39) + marker)),
        lan(craft.udp((NVR_IP, 41000), (INTERNET_IP, 3478), b"\0\1\0\x08\x21\x12\xa4\x42" + bytes(12) + marker)),
        lan(craft.tcp_syn((NVR_IP, 41000), (INTERNET_IP, 443), 7, marker)),
    ]
    lease = b"\1\1\6\0" + bytes(24) + bytes.fromhex(NVR_MAC.replace(":", "")) + bytes(202)
    lease += b"\x63\x82\x53\x63\x35\1\1\x0c\x08" + marker + b"\xff"
    to_all = [
        lan(craft.udp((NVR_IP, 41000), ("239.255.255.250", 1900), b"M-SEARCH * HTTP/1.1\r\n" + marker), target="01:00:5e:7f:ff:fa"),
        lan(craft.udp(("0.0.0.0", 68), ("255.255.255.255", 67), lease), target="ff:ff:ff:ff:ff:ff"),
    ]  # fmt: skip
    send(*unicast, *to_all)
    assert judges.count(marker, "city", "internet") == 0
    assert judges["lan"].markers[marker] == len(unicast) + len(to_all), "all have come to the box's port"
    in_twin(*unicast)
    assert judges.count(marker, "t-internet") == len(unicast), "the control"
