"""A UDP datagram in an Ethernet frame, written and read by hand: before a lease there is no address to have a socket at."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

CLIENT_PORT, SERVER_PORT = 68, 67
BROADCAST_MAC = b"\xff" * 6
MAX_FRAME_BYTES = 1600
_IPV4, _UDP, _TTL = 0x0800, 17, 64
_ETHERNET = struct.Struct("!6s6sH")
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP_HEAD = struct.Struct("!HHHH")


@dataclass(frozen=True, slots=True)
class Received:
    """A datagram for a DHCP client, and the hardware address that brought it."""

    source_mac: bytes
    payload: bytes


def build(source_mac: bytes, target_mac: bytes, source: IPv4Address, target: IPv4Address, payload: bytes) -> bytes:
    """Return the frame of a datagram from a DHCP client to a server."""
    length = _UDP_HEAD.size + len(payload)
    pseudo = source.packed + target.packed + struct.pack("!BBH", 0, _UDP, length)
    bare = _UDP_HEAD.pack(CLIENT_PORT, SERVER_PORT, length, 0)
    # RFC 768: a sum of zero is sent as all ones, for zero says that there is none.
    total = _sum(pseudo + bare + payload) or 0xFFFF
    udp = _UDP_HEAD.pack(CLIENT_PORT, SERVER_PORT, length, total) + payload
    fields = (0x45, 0, _IP.size + length, 0, 0, _TTL, _UDP)
    ip = _IP.pack(*fields, _sum(_IP.pack(*fields, 0, source.packed, target.packed)), source.packed, target.packed)
    return _ETHERNET.pack(target_mac, source_mac, _IPV4) + ip + udp


def read(frame: bytes) -> Received | None:
    """Return the datagram that a frame carries to a DHCP client, None of any other frame.

    The UDP sum is not checked: a virtual wire leaves it to hardware that is not there, and the transaction's 32 random
    bits are the better proof.
    """
    if not _ETHERNET.size + _IP.size + _UDP_HEAD.size <= len(frame) <= MAX_FRAME_BYTES:
        return None
    _, source_mac, kind = _ETHERNET.unpack_from(frame)
    first, _, total, _, fragment, _, protocol, _, _, _ = _IP.unpack_from(frame, _ETHERNET.size)
    if kind != _IPV4 or first != 0x45 or protocol != _UDP or fragment & 0x3FFF:
        return None
    at = _ETHERNET.size + _IP.size
    source, target, length, _ = _UDP_HEAD.unpack_from(frame, at)
    if (source, target) != (SERVER_PORT, CLIENT_PORT):
        return None
    if length < _UDP_HEAD.size or length + _IP.size != total or at + length > len(frame):
        return None
    return Received(source_mac, frame[at + _UDP_HEAD.size : at + length])


def _sum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
