"""The head of a key picture that a stream sends again and again: judged once, then recognised.

A recorder repeats system header, stream map and parameter sets octet by octet; between two of its heads only the clock, the
times and the length of the picture differ. What was judged and passed unchanged passes again as long as it is the same.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Collection
from dataclasses import dataclass

from edge.rtp.nal import SEI_BYTES_A_PICTURE, Kind, is_key, kind_of

#: Longer heads are judged each time.
MAX_SEEN_BYTES = 512
_START = b"\x00\x00\x01"
_PACK = _START + b"\xba"
_SYSTEM, _MAP = 0xBB, 0xBC
#: Behind a PES packet's start code: length, flags, octets of times.
_PES = struct.Struct("!HHB")
#: The flags that a PES header may have, aligned or not, and how many octets of times they announce: then it has nothing else.
TIMES = {first << 8 | times: size for first in (0x80, 0x84) for times, size in ((0, 0), (0x80, 5), (0xC0, 10))}
#: A pack header's last octet, the number of its stuffing octets, when there are none.
PACK_BYTES = 14


@dataclass(frozen=True, slots=True)
class Head:
    """What does not change: from the pack header's last octet to the PES start code, and the NAL units to the slice's first octet."""

    middle: bytes
    units: bytes
    #: Whether the picture stands alone, and how many octets of supplemental information stand before it.
    key: bool
    sei: int

    def left(self, data: bytearray, start: int, end: int) -> int:
        """Return how many octets of the picture follow ``data[start:end]``, -1 if that does not begin with this head."""
        if (
            not data.startswith(_PACK, start)
            or data[start + 4] & 0xC0 != 0x40
            or not data.startswith(self.middle, start + PACK_BYTES - 1)
        ):
            return -1
        at = start + PACK_BYTES - 1 + len(self.middle)
        if end - at < _PES.size + 10 + len(self.units):
            return -1
        length, flags, size = _PES.unpack_from(data, at)
        body = at + _PES.size + size
        if TIMES.get(flags) != size or not data.startswith(self.units, body):
            return -1
        left: int = length - 3 - size - (end - body)
        return left if left >= 0 else -1


def learn(data: bytes, codecs: dict[int, int]) -> Head | None:
    """Return what is to be recognised of a head that was judged good and passed unchanged, None when that would not be safe.

    ``codecs``: start code of the PES packets that carry pictures -> their codec. Supplemental information of more octets than
    a picture is granted is judged each time, for its budget may be used up.
    """
    at = PACK_BYTES
    while at + 6 <= len(data) and data[at + 3] in (_SYSTEM, _MAP):
        at += 6 + int.from_bytes(data[at + 4 : at + 6], "big")
    pes, at = int.from_bytes(data[at : at + 4], "big"), at + 4
    if pes not in codecs or at + _PES.size > len(data):
        return None
    _, flags, size = _PES.unpack_from(data, at)
    body = at + _PES.size + size
    if TIMES.get(flags) != size:
        return None
    units = _units(data, body, codecs[pes])
    return None if units is None else _shared(data[PACK_BYTES - 1 : at], *units)


def _units(data: bytes, body: int, codec: int) -> tuple[bytes, bool, int] | None:
    """Return the octets up to the first slice's first one, whether that is of a key picture, and the octets of SEI."""
    sei, begun, kind = 0, body, Kind.OTHER
    found = data.find(_START, body)
    while 0 <= found < len(data) - 3:
        # A start code of four octets keeps its first.
        sei += found - (not data[found - 1]) - begun if kind is Kind.SEI else 0
        kind = kind_of(codec, data[found + 3]) or Kind.FILLER
        if kind is Kind.FILLER or sei > SEI_BYTES_A_PICTURE:
            return None
        if kind is Kind.SLICE:
            return data[body : found + 4], bool(is_key(codec, data[found + 3])), sei
        begun = found + 3
        found = data.find(_START, begun)
    return None


@functools.lru_cache(maxsize=4096)
def _shared(middle: bytes, units: bytes, key: bool, sei: int) -> Head:
    """Cameras of one make send the same: with a thousand streams each memory line of one's own is a cache miss."""
    return Head(middle, units, key, sei)


def video(types: dict[int, int], codecs: Collection[int]) -> dict[int, int]:
    """Return the start codes of the streams that ``types`` (stream id -> stream type) says are of ``codecs``."""
    return {0x100 | stream: codec for stream, codec in types.items() if codec in codecs}
