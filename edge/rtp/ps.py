"""H.264 access units to an MPEG-2 program stream (ISO/IEC 13818-1 2.5) as GB/T 28181 annex C wants it.

One picture is one pack: pack header; on a key frame the system header and the program stream map; then the picture in
video PES packets (stream E0), the first with the presentation time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

CLOCK = 90_000
H264_STREAM_TYPE = 0x1B
#: A PES packet's length field is 16 bits and counts the header behind it.
_PES_PAYLOAD = 65_000
MAX_ACCESS_UNIT_BYTES = 4 << 20
_START = re.compile(b"\x00\x00\x01")
_IDR, _SPS, _AUD = 5, 7, 9


def mux(unit: bytes, pts: int) -> bytes:
    """Return the pack of one access unit (Annex B) shown at ``pts`` (90 kHz).

    Raises:
        ValueError: the unit is empty or longer than MAX_ACCESS_UNIT_BYTES.
    """
    if not 0 < len(unit) <= MAX_ACCESS_UNIT_BYTES:
        raise ValueError("access unit size")
    out = bytearray(_pack_header(pts))
    if is_key(unit):
        out += _SYSTEM_HEADER + _stream_map()
    for at in range(0, len(unit), _PES_PAYLOAD):
        out += _pes(unit[at : at + _PES_PAYLOAD], pts if at == 0 else None)
    return bytes(out)


def is_key(unit: bytes) -> bool:
    """Return whether an access unit holds an IDR picture or its parameter sets."""
    return any(kind in (_IDR, _SPS) for kind in nal_types(unit))


def nal_types(unit: bytes) -> Iterator[int]:
    for start in _START.finditer(unit):
        if start.end() < len(unit):
            yield unit[start.end()] & 0x1F


def _pack_header(scr: int) -> bytes:
    """2.5.3.3, table 2-33; the rate is a round upper bound."""
    rate = 50_000
    base = scr & 0x1FFFFFFFF
    first = 0x44 | (base >> 27 & 0x38) | (base >> 28 & 0x03)
    clock = bytes(
        (
            first,
            base >> 20 & 0xFF,
            0x04 | (base >> 12 & 0xF8) | (base >> 13 & 0x03),
            base >> 5 & 0xFF,
            0x04 | (base << 3 & 0xF8),
            0x01,
        )
    )
    return b"\x00\x00\x01\xba" + clock + (rate << 2 | 0x03).to_bytes(3, "big") + b"\xf8"


def _system_header() -> bytes:
    """2.5.3.5: one video stream, buffer bound 400 * 1024 bytes."""
    body = (0x800001 | 50_000 << 1).to_bytes(3, "big") + b"\x00\xe1\x7f" + b"\xe0" + (0xE000 | 400).to_bytes(2, "big")
    return b"\x00\x00\x01\xbb" + len(body).to_bytes(2, "big") + body


_SYSTEM_HEADER = _system_header()


def _stream_map() -> bytes:
    """2.5.4: E0 is H.264."""
    entry = bytes((H264_STREAM_TYPE, 0xE0, 0, 0))
    body = b"\xe0\xff" + b"\x00\x00" + len(entry).to_bytes(2, "big") + entry
    head = b"\x00\x00\x01\xbc" + (len(body) + 4).to_bytes(2, "big") + body
    return head + crc32(head).to_bytes(4, "big")


def crc32(data: bytes) -> int:
    """CRC-32 of ISO/IEC 13818-1 annex A, over everything before it."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def _pes(payload: bytes, pts: int | None) -> bytes:
    header = b"\x80\x00\x00" if pts is None else b"\x80\x80\x05" + _timestamp(pts)
    return b"\x00\x00\x01\xe0" + (len(header) + len(payload)).to_bytes(2, "big") + header + payload


def _timestamp(pts: int) -> bytes:
    return bytes(
        (
            0x21 | (pts >> 29 & 0x0E),
            pts >> 22 & 0xFF,
            0x01 | (pts >> 14 & 0xFE),
            pts >> 7 & 0xFF,
            0x01 | (pts << 1 & 0xFE),
        )
    )


class Units:
    """Access units out of an Annex B byte stream that has an access unit delimiter before each: of H.264, if not of ``h265``."""

    def __init__(self, h265: bool = False) -> None:
        self._buffer = bytearray()
        self._mark = re.compile(b"\x00\x00\x00\x01" + (b"\x46\x01" if h265 else b"[\x09\x29\x49\x69]"))

    def feed(self, data: bytes) -> list[bytes]:
        """Return the units that ``data`` completes."""
        self._buffer += data
        marks = [m.start() for m in self._mark.finditer(bytes(self._buffer))]
        units = [bytes(self._buffer[a:b]) for a, b in zip(marks, marks[1:], strict=False)]
        if marks:
            del self._buffer[: marks[-1]]
        if len(self._buffer) > MAX_ACCESS_UNIT_BYTES:
            self._buffer.clear()
        return units
