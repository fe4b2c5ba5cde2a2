"""Packets made by hand, octet by octet: an attacker does not ask his kernel."""

from __future__ import annotations

import socket
import struct

UDP, TCP, ICMP, ICMP6 = 17, 6, 1, 58
SYN, RST, PSH, ACK, URG = 0x02, 0x04, 0x08, 0x10, 0x20


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source: str, target: str, protocol: int, payload: bytes, *, fragment: int = 0, number: int = 1) -> bytes:
    """Return an IPv4 packet; ``fragment`` is the flags-and-offset field."""

    def header(check: int) -> bytes:
        return struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), number, fragment, 64, protocol, check,
            socket.inet_aton(source), socket.inet_aton(target),
        )  # fmt: skip

    return header(checksum(header(0))) + payload


def _pseudo(source: str, target: str, protocol: int, size: int) -> bytes:
    return socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, protocol, size)


def udp(source: tuple[str, int], target: tuple[str, int], payload: bytes) -> bytes:
    return ipv4(source[0], target[0], UDP, udp_datagram(source, target, payload))


def udp_datagram(source: tuple[str, int], target: tuple[str, int], payload: bytes) -> bytes:
    head = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0)
    check = checksum(_pseudo(source[0], target[0], UDP, 8 + len(payload)) + head + payload) or 0xFFFF
    return head[:6] + check.to_bytes(2, "big") + payload


def tcp_syn(source: tuple[str, int], target: tuple[str, int], sequence: int, payload: bytes) -> bytes:
    return tcp(source, target, (sequence, 0), SYN, payload)


def tcp(
    source: tuple[str, int], target: tuple[str, int], numbers: tuple[int, int], flags: int, payload: bytes
) -> bytes:
    """Return a segment; ``numbers`` are its own and the one that it acknowledges."""
    own, other = (number & 0xFFFFFFFF for number in numbers)
    head = struct.pack("!HHIIBBHHH", source[1], target[1], own, other, 0x50, flags, 65535, 0, 0)
    check = checksum(_pseudo(source[0], target[0], TCP, len(head) + len(payload)) + head + payload)
    return ipv4(source[0], target[0], TCP, head[:16] + check.to_bytes(2, "big") + head[18:] + payload)


def icmp_error(source: str, target: str, inner: bytes) -> bytes:
    """Return "port unreachable" about ``inner``."""
    head = struct.pack("!BBHI", 3, 3, 0, 0)
    check = checksum(head + inner)
    return ipv4(source, target, ICMP, head[:2] + check.to_bytes(2, "big") + head[4:] + inner)


def fragments(source: tuple[str, int], target: tuple[str, int], payload: bytes, size: int) -> list[bytes]:
    """Return the fragments of a UDP packet, ``size`` octets each (a multiple of eight)."""
    whole = udp_datagram(source, target, payload)
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    return [
        ipv4(source[0], target[0], UDP, part, number=4711,
             fragment=(0x2000 if at < len(parts) - 1 else 0) | at * size // 8)
        for at, part in enumerate(parts)
    ]  # fmt: skip


def _ipv6(source: str, target: str, protocol: int, body: bytes, check_at: int) -> bytes:
    """Return an IPv6 packet with the checksum of its body, which stands at ``check_at``; neighbours ask for hop limit 255."""
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    check = checksum(ends + struct.pack("!II", len(body), protocol) + body) or 0xFFFF
    body = body[:check_at] + check.to_bytes(2, "big") + body[check_at + 2 :]
    return struct.pack("!IHBB", 0x60000000, len(body), protocol, 255) + ends + body


def ipv6_udp(source: str, target: str, port: int, payload: bytes) -> bytes:
    return _ipv6(source, target, UDP, struct.pack("!HHHH", port, port, 8 + len(payload), 0) + payload, 6)


def ipv6_syn(source: str, target: str, port: int, payload: bytes) -> bytes:
    head = struct.pack("!HHIIBBHHH", 41000, port, 7, 0, 0x50, SYN, 65535, 0, 0)
    return _ipv6(source, target, TCP, head + payload, 16)


def solicitation(source: str, target: str, payload: bytes) -> bytes:
    """Return a neighbour solicitation (RFC 4861 4.3) to the solicited-node address of ``target``."""
    asked = socket.inet_pton(socket.AF_INET6, target)
    group = socket.inet_ntop(socket.AF_INET6, bytes.fromhex("ff0200000000000000000001ff") + asked[-3:])
    return _ipv6(source, group, ICMP6, struct.pack("!BBHI", 135, 0, 0, 0) + asked + payload, 2)


def advertisement(source: str, prefix: str, mac: str) -> bytes:
    """Return a router's advertisement (RFC 4861 4.2) of a default route and a prefix to make an address from."""
    network = socket.inet_pton(socket.AF_INET6, prefix)
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + b"\1\1" + bytes.fromhex(mac.replace(":", ""))
    body += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + network
    return _ipv6(source, "ff02::1", ICMP6, body, 2)


def rtp(sequence: int, timestamp: int, ssrc: int, payload: bytes, *, version: int = 2, payload_type: int = 96) -> bytes:
    return struct.pack("!BBHII", version << 6, payload_type, sequence, timestamp, ssrc) + payload


def arp(source: str, mac: str, target: str, *, answers: bool = False) -> bytes:
    """Return a question for ``target``'s hardware address, or an answer to nobody (RFC 826), that claims ``source``."""
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2 if answers else 1)
    return head + bytes.fromhex(mac.replace(":", "")) + socket.inet_aton(source) + bytes(6) + socket.inet_aton(target)


def ethernet(target: str, source: str, kind: int, packet: bytes) -> bytes:
    return bytes.fromhex(target.replace(":", "") + source.replace(":", "")) + kind.to_bytes(2, "big") + packet
