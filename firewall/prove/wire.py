"""Packets to octets by scapy, and the ears that hear what passes: raw sockets behind a room's rules, a packet socket at the
far end of its cable. Ears know a packet by its IP identification, which is its case's number."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Iterable

from firewall.prove.packet import ARP, ICMP, TCP, UDP, Packet

logging.getLogger("scapy").setLevel(logging.ERROR)

from scapy.config import conf  # noqa: E402 - what it says while it is loaded is of no use

conf.verb = 0

from scapy.layers.inet import ICMP as IcmpLayer  # noqa: E402
from scapy.layers.inet import IP, IPOption  # noqa: E402
from scapy.layers.inet import TCP as TcpLayer  # noqa: E402
from scapy.layers.inet import UDP as UdpLayer  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.l2 import ARP as ArpLayer  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

_ALL, _OUTGOING = 0x0003, 4
_BUFFER_BYTES = 1 << 22
_IP, _IP6, _ARP = b"\x08\x00", b"\x86\xdd", b"\x08\x06"
#: Before the case's number in a question for a hardware address, where the answer will stand.
_ASKED = b"\x02\xa5\x5a\xa5"
#: Before the case's number in a packet of IPv6, which has no identification.
_MARK = b"snowgate-proof"
_STRANGE_MAC = "02:00:00:00:99:98"


def datagram(packet: Packet, number: int) -> bytes:
    """Return the IP datagram of a packet."""
    if packet.six:
        payload = _MARK + number.to_bytes(2, "big")
        return bytes(IPv6(src=packet.source, dst=packet.target) / UdpLayer(sport=9, dport=packet.dport) / Raw(payload))
    offset, more = packet.fragment
    options = [IPOption(packet.options)] if packet.options else []
    head = IP(src=packet.source, dst=packet.target, id=number, ttl=packet.ttl, proto=packet.protocol, frag=offset,
              flags="MF" if more else 0, options=options)  # fmt: skip
    body = Raw(packet.payload) if packet.payload else None
    if offset or more:  # a piece of something: it is what it says
        made = head
    elif packet.protocol == UDP:
        made = head / UdpLayer(sport=packet.sport, dport=packet.dport)
    elif packet.protocol == TCP:
        made = head / TcpLayer(sport=packet.sport, dport=packet.dport, flags=packet.flags or "A", seq=1000, ack=1000)
    elif packet.protocol == ICMP:
        made = head / IcmpLayer(type=packet.kind[0], code=packet.kind[1])
    else:
        made = head
    return bytes(made / body if body is not None else made)


def frame(packet: Packet, number: int, to: str, sender: str = "") -> bytes:
    """Return the Ethernet frame of a packet."""
    if packet.protocol == ARP:
        asks = ArpLayer(
            op=1, hwsrc=sender, psrc=packet.source, pdst=packet.target, hwdst=_ASKED + number.to_bytes(2, "big")
        )
        return bytes(Ether(src=sender, dst="ff:ff:ff:ff:ff:ff") / asks)
    kind = 0x86DD if packet.six else 0x0800
    head = Ether(src=sender or packet.hardware or _STRANGE_MAC, dst=to, type=kind)
    return bytes(head) + datagram(packet, number)


class Inner:
    """Ears in a room, behind its input chain: what they hear has passed all rules."""

    def __init__(self, protocols: Iterable[int]) -> None:
        self._ears = [_raw(socket.AF_INET, protocol) for protocol in sorted(set(protocols))]
        self._six = _raw(socket.AF_INET6, UDP)

    def heard(self) -> Counter[int]:
        """Return how often each case's packet was heard since the last time."""
        found: Counter[int] = Counter()
        for ear in self._ears:
            for data in _drain(ear):
                found[int.from_bytes(data[4:6], "big")] += 1
        for data in _drain(self._six):
            at = data.find(_MARK)
            if at >= 0:
                found[int.from_bytes(data[at + len(_MARK) :][:2], "big")] += 1
        return found

    def close(self) -> None:
        for ear in (*self._ears, self._six):
            ear.close()


class Outer:
    """The far end of a room's cable: frames are sent from here, and what leaves the room is heard here."""

    def __init__(self, port: str) -> None:
        self._line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._line.bind((port, 0))
        self._line.setblocking(False)

    def send(self, *frames: bytes) -> None:
        for data in frames:
            with contextlib.suppress(OSError):  # a frame longer than the cable takes arrives nowhere
                self._line.send(data)

    def heard(self) -> Counter[int]:
        """Return how often each case's packet has left the room since the last time."""
        found: Counter[int] = Counter()
        while True:
            try:
                data, where = self._line.recvfrom(65536)
            except OSError:
                return found
            if where[2] == _OUTGOING:
                continue
            if data[12:14] == _IP:
                found[int.from_bytes(data[18:20], "big")] += 1
            if data[12:14] == _ARP and data[32:36] == _ASKED:
                found[int.from_bytes(data[36:38], "big")] += 1
            at = data.find(_MARK) if data[12:14] == _IP6 else -1
            if at >= 0:
                found[int.from_bytes(data[at + len(_MARK) :][:2], "big")] += 1

    def close(self) -> None:
        self._line.close()


class Captured:
    """A captured process of the room: a socket that may write its own IP headers, and one that writes frames."""

    def __init__(self, port: str) -> None:
        self._socket = _raw(socket.AF_INET, socket.IPPROTO_RAW)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, port.encode("ascii"))
        self._line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._line.bind((port, 0))

    def send(self, packet: Packet, number: int) -> None:
        with contextlib.suppress(OSError):  # what the output chain drops is refused here
            self._socket.sendto(datagram(packet, number), (packet.target, 0))

    def send_frame(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._line.send(data)

    def close(self) -> None:
        self._socket.close()
        self._line.close()


def _raw(family: int, protocol: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_RAW, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    made.setblocking(False)
    return made


def _drain(ear: socket.socket) -> Iterable[bytes]:
    while True:
        try:
            yield ear.recv(65536)
        except OSError:
            return
