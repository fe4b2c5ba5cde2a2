"""Elementary streams in RTP as the lab's recorder packs them and its city unpacks them: RFC 6184 and RFC 7798, own code.

It shares nothing with ``edge.rtp.es``, so that the judge of what the box makes of packets is not the box.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge.rtp.packet import PAYLOAD_BYTES, RtpPacket

#: Octets of a unit's header, by encoding name.
_HEADER = {"H264": 1, "H265": 2}
_START = re.compile(b"\x00\x00\x00?\x01")


def units_of(annex_b: bytes) -> list[bytes]:
    """Return the NAL units of an access unit."""
    return [unit for unit in _START.split(annex_b) if unit]


def packets(
    annex_b: bytes, encoding: str, timestamp: int, sequence: int, ssrc: int, payload_type: int, room: int = PAYLOAD_BYTES
) -> Iterator[RtpPacket]:  # fmt: skip
    """Yield the packets of one picture: what is short together, what is long in fragments, the marker on the last."""
    payloads = list(_payloads(units_of(annex_b), encoding, room))
    for at, payload in enumerate(payloads):
        last = at + 1 == len(payloads)
        yield RtpPacket(payload_type, sequence + at & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload, last)


def _payloads(units: list[bytes], encoding: str, room: int) -> Iterator[bytes]:
    together: list[bytes] = []
    for unit in units:
        if len(unit) < 200 and sum(map(len, together)) < 600:
            together.append(unit)
            continue
        yield from _together(together, encoding)
        together = []
        yield from [unit] if len(unit) <= room else _fragments(unit, encoding, room)
    yield from _together(together, encoding)


def _together(units: list[bytes], encoding: str) -> Iterator[bytes]:
    if len(units) < 2:
        yield from units
    else:
        head = b"\x78" if encoding == "H264" else b"\x60\x01"
        yield head + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def _fragments(unit: bytes, encoding: str, room: int) -> Iterator[bytes]:
    size = _HEADER[encoding]
    kind = unit[0] & 0x1F if encoding == "H264" else unit[0] >> 1 & 0x3F
    head = bytes((unit[0] & 0x60 | 28,)) if encoding == "H264" else bytes((unit[0] & 1 | 49 << 1, unit[1]))
    body, step = unit[size:], room - size - 1
    for at in range(0, len(body), step):
        bits = (0x80 if at == 0 else 0) | (0x40 if at + step >= len(body) else 0)
        yield head + bytes((bits | kind,)) + body[at : at + step]


class Unpacking:
    """NAL units, each behind a start code, out of payloads; what does not fit counts in ``wrong``."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._unit = bytearray()
        self.wrong = 0

    def feed(self, payload: bytes) -> bytes:
        """Return the octets of the units that a payload completes."""
        size = _HEADER[self._encoding]
        kind = payload[0] & 0x1F if self._encoding == "H264" else payload[0] >> 1 & 0x3F
        if kind == (28 if self._encoding == "H264" else 49):
            return self._fragment(payload, size)
        if self._unit:
            self.wrong += 1
            self._unit.clear()
        if kind != (24 if self._encoding == "H264" else 48):
            return b"\0\0\0\1" + payload
        out, at = b"", size
        while at < len(payload):
            to = at + 2 + int.from_bytes(payload[at : at + 2], "big")
            out += b"\0\0\0\1" + payload[at + 2 : to]
            at = to
        self.wrong += at != len(payload)
        return out

    def _fragment(self, payload: bytes, size: int) -> bytes:
        how, body = payload[size], payload[size + 1 :]
        if how & 0x80:
            self.wrong += bool(self._unit)
            kind = how & 0x3F
            if self._encoding == "H264":
                self._unit = bytearray((payload[0] & 0xE0 | kind & 0x1F,)) + body
            else:
                self._unit = bytearray((payload[0] & 0x81 | kind << 1, payload[1])) + body
        elif self._unit:
            self._unit += body
        else:
            self.wrong += 1
        if not how & 0x40 or not self._unit:
            return b""
        whole, self._unit = bytes(self._unit), bytearray()
        return b"\0\0\0\1" + whole
