"""The RTP packet (RFC 3550 5.1), read within bounds and written without extras: no CSRC, extension or padding."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = struct.Struct("!BBHII")
MAX_PACKET_BYTES = 65507
#: A packet of this payload is 1400 bytes of IPv4 and passes a 1420-byte tunnel whole.
PAYLOAD_BYTES = 1360


class RemoteRtpError(Exception):
    """They sent what is no RTP packet; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class RtpPacket:
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Read a packet; extension, CSRC list and padding are taken off.

        Raises:
            RemoteRtpError: ``rtp_short``, ``rtp_version``, ``rtp_extension`` or ``rtp_padding``.
        """
        if not HEADER.size < len(data) <= MAX_PACKET_BYTES:
            raise RemoteRtpError("rtp_short")
        first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
        if first >> 6 != 2:
            raise RemoteRtpError("rtp_version")
        start, end = payload_bounds(first, data, len(data))
        return cls(second & 0x7F, sequence, timestamp, ssrc, bytes(data[start:end]), bool(second & 0x80))

    def __bytes__(self) -> bytes:
        second = self.payload_type | (0x80 if self.marker else 0)
        return HEADER.pack(0x80, second, self.sequence, self.timestamp, self.ssrc) + self.payload


def payload_bounds(first: int, data: bytes | bytearray | memoryview, size: int) -> tuple[int, int]:
    """Return where the payload begins and ends in a packet of ``size`` octets whose first octet is ``first``.

    Raises:
        RemoteRtpError: ``rtp_extension`` or ``rtp_padding`` when the packet's own lengths do not fit it.
    """
    start, end = 12 + 4 * (first & 0x0F), size
    if first & 0x10:
        if start + 4 > size:
            raise RemoteRtpError("rtp_extension")
        start += 4 + 4 * (data[start + 2] << 8 | data[start + 3])
    if first & 0x20:
        end -= data[size - 1] or size
    if start >= end:
        raise RemoteRtpError("rtp_padding" if first & 0x20 else "rtp_extension")
    return start, end


def packetise(ps: bytes, timestamp: int, sequence: int, ssrc: int, payload_type: int = 96) -> Iterator[RtpPacket]:
    """Yield the packets of one picture, marker on the last (GB/T 28181 annex C)."""
    for at in range(0, len(ps), PAYLOAD_BYTES):
        chunk = ps[at : at + PAYLOAD_BYTES]
        last = at + PAYLOAD_BYTES >= len(ps)
        yield RtpPacket(payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, chunk, last)
        sequence += 1


def slices(payload: bytes, room: int) -> list[bytes]:
    """Cut a payload whose octets may go in any packets, to at most ``room`` octets each."""
    return [payload[at : at + room] for at in range(0, len(payload), room)]
