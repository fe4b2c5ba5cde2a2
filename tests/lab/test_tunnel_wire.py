"""A captured process of ``vpn`` with a packet socket, which no output chain sees: what may leave the tunnel's device is said there.

    vpn                                               city
packet socket ── wg-a ══ rules of the wire ══ WireGuard ══ wg0 ── capture
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import re
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import craft, topology
from edge.lab.capture import PREFIX, Capture
from edge.lab.orders import order
from edge.lab.sockets import in_namespace, packet_in
from edge.lab.street import RUN, Street, eventually

ORDERS = RUN / "city.sock"
OWN, CITY = topology.TUNNEL_IP, topology.CITY_IP
IPV4, IPV6, ODD = 0x0800, 0x86DD, 0x88B5
#: packet(7), linux/if_packet.h: the queue is passed over, and with it everything that stands upon the queue.
PACKET_QDISC_BYPASS, SOL_PACKET = 20, 263
#: linux/if_xdp.h
AF_XDP, SOL_XDP, XDP_COPY, XDP_PGOFF_TX_RING = 44, 283, 1 << 1, 0x80000000
XDP_MMAP_OFFSETS, XDP_TX_RING, XDP_UMEM_REG, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING = 1, 3, 4, 5, 6
CAP_NET_RAW = 13


@pytest.fixture
def capture(street: Street) -> Iterator[Capture]:
    made = Capture("city")
    yield made
    made.close()


@pytest.fixture
def call(street: Street, playing: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """Our end and the city's of the open view."""
    (view,) = street.said("ferry")["views"].values()
    ours, theirs = view["sink"]
    return (ours[0], ours[1]), (theirs[0], theirs[1])


def forbidden(ours: tuple[str, int], theirs: tuple[str, int], marker: bytes) -> dict[str, tuple[int, bytes]]:
    """What is neither signalling to the platform nor media of an open view; the hub's AllowedIPs would let each through."""
    rtp = craft.rtp(1, 1, 1, marker * 4)
    media = craft.udp(ours, theirs, rtp)
    pieces = craft.fragments(ours, theirs, craft.rtp(1, 1, 1, marker * 40), 160)
    # Twenty octets of option, all of them "no operation" (RFC 791).
    optional = bytes([0x4A]) + media[1:2] + (len(media) + 20).to_bytes(2, "big") + media[4:10] + b"\0\0" + media[12:20]
    optional += b"\1" * 20
    optional = optional[:10] + craft.checksum(optional).to_bytes(2, "big") + optional[12:]
    return {
        "udp": (IPV4, craft.udp((OWN, 41000), (CITY, 9), marker)),
        "another host": (IPV4, craft.udp(ours, ("100.64.255.77", theirs[1]), rtp)),
        "from another port": (IPV4, craft.udp((OWN, ours[1] + 7), theirs, rtp)),
        "to another port": (IPV4, craft.udp(ours, (CITY, theirs[1] + 7), rtp)),
        "no RTP": (IPV4, craft.udp(ours, theirs, b"GET /" + marker * 4)),
        "DNS": (IPV4, craft.udp((OWN, 41000), (CITY, 53), marker)),
        "TCP": (IPV4, craft.tcp_syn((OWN, 41000), (CITY, 80), 7, marker)),
        "ICMP": (IPV4, craft.icmp_error(OWN, CITY, media)),
        "first piece": (IPV4, pieces[0]),
        "later piece": (IPV4, pieces[1]),
        "options": (IPV4, optional + media[20:]),
        "IPv4 under another protocol's number": (ODD, craft.udp((OWN, 41000), (CITY, 9), marker)),
    }


def sent(kind: int, packet: bytes, bypass: bool = False) -> None:
    line = packet_in("vpn", "wg-a")
    with contextlib.closing(line), contextlib.suppress(OSError):  # what the chain drops is told the sender (ENOBUFS)
        line.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, int(bypass))
        line.sendto(packet, ("wg-a", kind))


def arrived(capture: Capture, marker: bytes, send: Callable[[], None]) -> int:
    """Send, and say how often the marker came out at the city within a moment that others' packets take."""
    before = capture.markers[marker]
    for _ in range(3):
        send()
    time.sleep(0.25)
    return capture.markers[marker] - before


def right() -> int:
    return int(order(ORDERS, "facts")["judge"]["right"])


def nft(*words: str) -> str:
    done = subprocess.run(topology.inside("vpn", "nft", *words), capture_output=True, text=True, check=True, timeout=20)
    return done.stdout


def markers(names: dict[str, Any]) -> dict[str, bytes]:
    return {name: PREFIX + bytes((0xA0, 0, 0, at)) for at, name in enumerate(names)}


def test_a_packet_socket_in_vpn_sends_nothing_that_is_not_allowed(
    street: Street, capture: Capture, call: tuple[tuple[str, int], tuple[str, int]]
) -> None:
    ours, theirs = call
    names = forbidden(ours, theirs, PREFIX + bytes(4))
    marks = markers(names)
    shots = {name: forbidden(ours, theirs, marks[name])[name] for name in names}

    def seen(bypass: bool = False) -> dict[str, int]:
        return {name: arrived(capture, marks[name], lambda s=shot: sent(*s, bypass)) for name, shot in shots.items()}

    before = right()
    assert not any(seen().values())
    assert not any(seen(bypass=True).values()), "a socket that passes the queue over"
    eventually(lambda: right() > before + 25, 20, "pictures meanwhile")
    with street.held("keeper"):
        nft("delete", "table", "netdev", "snowgate")
        control = seen()
        assert "netdev" not in nft("list", "tables"), "nobody has put it back meanwhile"
    assert all(control.values()), f"each arrives where the wire has no rules: {control}"
    eventually(lambda: "egress-wg-a" in nft("list", "ruleset"), 20, "the rules of the wire again")
    assert not any(seen().values())
    before = right()
    eventually(lambda: right() > before + 25, 20, "the open view's pin is back upon the wire as well")


def test_what_is_allowed_leaves_by_a_packet_socket_too(
    street: Street, capture: Capture, call: tuple[tuple[str, int], tuple[str, int]]
) -> None:
    """What stays possible: a captured process of ``vpn`` can say to the city what its sockets may say."""
    marker = PREFIX + b"\xa1\0\0\1"
    media = craft.udp(*call, craft.rtp(1, 1, 1, marker * 4))
    assert arrived(capture, marker, lambda: sent(IPV4, media)) == 3


def test_a_pin_that_is_closed_is_closed_upon_the_wire(street: Street, capture: Capture, channel: str) -> None:
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 5, 30, "pictures")
    (view,) = street.said("ferry")["views"].values()
    ours, theirs = view["sink"]
    marker = PREFIX + b"\xa1\0\0\2"
    packet = craft.udp((ours[0], ours[1]), (theirs[0], theirs[1]), craft.rtp(1, 1, 1, marker * 4))
    assert arrived(capture, marker, lambda: sent(IPV4, packet)) == 3, "while it is open"
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")
    eventually(lambda: not arrived(capture, marker, lambda: sent(IPV4, packet)), 10, "the pin is closed upon the wire")


def test_a_device_that_is_made_anew_has_its_rules_before_it_is_up(
    street: Street, capture: Capture, channel: str
) -> None:
    """wireguard-go dies, and its device with it; somebody sends all the while."""
    marker = PREFIX + b"\xa1\0\0\3"
    packet = craft.udp((OWN, 41000), (CITY, 9), marker)

    def index() -> int:
        with in_namespace("vpn"):
            try:
                return socket.if_nametoindex("wg-a")
            except OSError:
                return 0

    def tried(there: Callable[[], bool]) -> bool:
        with contextlib.suppress(OSError):  # no such device, for now
            sent(IPV4, packet)
        return there()

    before = index()
    street.kill("wg-a")
    eventually(lambda: tried(lambda: index() not in (0, before)), 30, "another device")
    eventually(lambda: tried(lambda: street.upper().get("registered") is True), 60, "the city again")
    until = time.monotonic() + 2
    eventually(lambda: tried(lambda: time.monotonic() > until), 5, "two seconds more")
    assert capture.markers[marker] == 0
    with street.held("keeper"):
        shown = nft("list", "chain", "netdev", "snowgate", "egress-wg-a")
        met = re.search(r'counter packets (\d+) bytes \d+ drop comment "closed"', shown)
        assert met, shown
        assert int(met[1]) > 0, "the new device's chain has stopped them"
        nft("delete", "table", "netdev", "snowgate")
        eventually(lambda: tried(lambda: capture.markers[marker] > 0), 20, "it arrives without the rules")
    eventually(lambda: "egress-wg-a" in nft("list", "ruleset"), 20, "the rules of the wire again")


def xdp(packet: bytes) -> None:
    """Send a packet by a socket of the kind that passes no rule at all; one frame of memory, one descriptor."""
    with in_namespace("vpn"):
        line = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
        index = socket.if_nametoindex("wg-a")
    with contextlib.closing(line):
        memory = mmap.mmap(-1, 16 * 4096)
        memory[: len(packet)] = packet
        at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        line.setsockopt(SOL_XDP, XDP_UMEM_REG, struct.pack("QQIIII", at, len(memory), 4096, 0, 0, 0))
        for ring in (XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_TX_RING):
            line.setsockopt(SOL_XDP, ring, 16)
        producer, _, descriptors, _ = struct.unpack("16Q", line.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, 128))[4:8]
        ring_memory = mmap.mmap(line.fileno(), descriptors + 16 * 16, offset=XDP_PGOFF_TX_RING)
        libc = ctypes.CDLL(None, use_errno=True)
        address = struct.pack("HHIII", AF_XDP, XDP_COPY, index, 0, 0)
        assert libc.bind(line.fileno(), address, len(address)) == 0, ctypes.get_errno()
        ring_memory[descriptors : descriptors + 16] = struct.pack("QII", 0, len(packet), 0)
        ring_memory[producer : producer + 4] = struct.pack("I", 1)
        assert libc.sendto(line.fileno(), None, 0, socket.MSG_DONTWAIT, None, 0) == 0, ctypes.get_errno()


def test_an_xdp_socket_passes_no_rule_and_no_program_of_the_box_may_open_one(street: Street, capture: Capture) -> None:
    """The limit that is written down (docs/README.md), and what holds instead."""
    marker = PREFIX + b"\xa1\0\0\4"
    xdp(craft.udp((OWN, 41000), (CITY, 9), marker))
    eventually(lambda: capture.markers[marker], 5, "it arrives past the rules")
    for name in ("siteside", "webui", "cityside", "agent", "ferry"):
        text = Path(f"/proc/{street.pid(name)}/status").read_text(encoding="ascii")
        may = {key: int(value, 16) for key, value in re.findall(r"(Cap\w+):\s*([0-9a-f]+)", text)}
        assert not any(may[key] >> CAP_NET_RAW & 1 for key in ("CapEff", "CapPrm", "CapInh", "CapAmb")), name
