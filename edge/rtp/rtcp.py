"""RTCP (RFC 3550 6), read within bounds and written without free text.

Of what a peer says only two things are kept: its report about one stream, and that it leaves (BYE). Names, notes,
application data and extended reports are stepped over by their lengths. What is written is one report and one CNAME.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

#: Packet types of RTCP (RFC 5761 4): on a media port they are no media.
PACKET_TYPES = range(192, 224)
SENDER_REPORT, RECEIVER_REPORT, DESCRIPTION, BYE = 200, 201, 202, 203
#: The longest compound packet that is read: one packet of the tunnel.
MAX_COMPOUND_BYTES = 1472
#: A CNAME by lot: 96 bits in base64 (RFC 7022 4.2).
NAME_BYTES = 16
_CNAME = 1
#: From 1900, where NTP begins, to 1970.
_NTP_EPOCH = 2_208_988_800
_HEAD, _WORD, _BLOCK = struct.Struct("!BBH"), struct.Struct("!I"), struct.Struct("!IIIIII")
_SENDER = struct.Struct("!IQIII")
_LOST_MOST, _LOST_LEAST = 0x7FFFFF, -0x800000


class RemoteRtcpError(Exception):
    """They sent what is no RTCP compound packet; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says of one stream (6.4.1): ``fraction`` of 256 lost since its last report, ``lost`` in all.

    ``highest`` is the highest number it has seen with its cycles, ``jitter`` in units of the stream's clock; ``last_sr`` and
    ``delay`` (1/65536 s) are 0 where it has seen no sender report.
    """

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    last_sr: int = 0
    delay: int = 0

    def __bytes__(self) -> bytes:
        lost = max(_LOST_LEAST, min(self.lost, _LOST_MOST)) & 0xFFFFFF
        second = min(self.fraction, 0xFF) << 24 | lost
        jitter = min(self.jitter, 0xFFFFFFFF)
        return _BLOCK.pack(self.ssrc, second, self.highest & 0xFFFFFFFF, jitter, self.last_sr, self.delay)


@dataclass(frozen=True, slots=True)
class Heard:
    """What of a compound packet is kept: who sent it, its report about our stream, and whether that receiver leaves."""

    sender: int
    block: ReportBlock | None
    leaves: bool


def parse(data: bytes | bytearray, ssrc: int) -> Heard:
    """Read a compound packet for what it says of the stream ``ssrc``.

    Raises:
        RemoteRtcpError: ``rtcp_long``, ``rtcp_short`` (a length that does not fit), ``rtcp_version`` or ``rtcp_first``
            (it does not begin with a report, 6.1).
    """
    if len(data) > MAX_COMPOUND_BYTES:
        raise RemoteRtcpError("rtcp_long")
    at, sender, block, leaves = 0, 0, None, False
    while at < len(data):
        if at + 8 > len(data):
            raise RemoteRtcpError("rtcp_short")
        first, kind, words = _HEAD.unpack_from(data, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2:
            raise RemoteRtcpError("rtcp_version")
        if not words or end > len(data):
            raise RemoteRtcpError("rtcp_short")
        if not at and kind not in (SENDER_REPORT, RECEIVER_REPORT):
            raise RemoteRtcpError("rtcp_first")
        count = first & 0x1F
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            sender = sender or _WORD.unpack_from(data, at + 4)[0]
            block = _about(data, at + (28 if kind == SENDER_REPORT else 8), end, count, ssrc) or block
        elif kind == BYE:
            leaves = leaves or _names(data, at + 4, end, count, sender)
        at = end
    if not at:
        raise RemoteRtcpError("rtcp_short")
    return Heard(sender, block, leaves)


def _about(data: bytes | bytearray, at: int, end: int, count: int, ssrc: int) -> ReportBlock | None:
    """Return the block about a stream among ``count`` of them."""
    if at + 24 * count > end:
        raise RemoteRtcpError("rtcp_short")
    for _ in range(count):
        of, second, highest, jitter, last_sr, delay = _BLOCK.unpack_from(data, at)
        if of == ssrc:
            lost = second & 0xFFFFFF
            lost -= (lost & 0x800000) << 1
            return ReportBlock(of, second >> 24, lost, highest, jitter, last_sr, delay)
        at += 24
    return None


def _names(data: bytes | bytearray, at: int, end: int, count: int, sender: int) -> bool:
    """Return whether a BYE's list of sources has the one that sent it."""
    if at + 4 * count > end:
        raise RemoteRtcpError("rtcp_short")
    return any(_WORD.unpack_from(data, at + 4 * number)[0] == sender for number in range(count))


def sender_report(ssrc: int, ntp: int, timestamp: int, packets: int, octets: int, name: bytes) -> bytes:
    """Return SR and SDES: at ``ntp`` the stream's clock says ``timestamp``, and so much of payload was sent (6.4.1)."""
    told = _SENDER.pack(ssrc, ntp, timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    return _packet(0, SENDER_REPORT, told) + _description(ssrc, name)


def receiver_report(ssrc: int, blocks: tuple[ReportBlock, ...], name: bytes) -> bytes:
    """Return RR and SDES (6.4.2)."""
    return _packet(len(blocks), RECEIVER_REPORT, _WORD.pack(ssrc) + b"".join(map(bytes, blocks))) + _description(
        ssrc, name
    )


def _description(ssrc: int, name: bytes) -> bytes:
    item = bytes((_CNAME, len(name))) + name
    return _packet(1, DESCRIPTION, _WORD.pack(ssrc) + item + bytes(4 - len(item) % 4))


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body


def ntp(seconds: float) -> int:
    """Return a moment, in seconds of the epoch, as 64 bits of NTP (4)."""
    return int((seconds + _NTP_EPOCH) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def middle(stamp: int) -> int:
    """Return the middle 32 bits of an NTP time stamp: what reports give back."""
    return stamp >> 16 & 0xFFFFFFFF
