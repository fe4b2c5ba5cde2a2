"""What stands before a picture's first slice: NAL units, by their headers alone (H.264 7.4.1, H.265 7.4.2, GB/T 25724).

Supplemental information (SEI) may hold anything; a picture has a budget of it, and what exceeds it is overwritten as
filler data, in place: no length changes, so none above it has to be mended.
"""

from __future__ import annotations

import enum
from collections import Counter

from edge.rtp.psm import H264, H265, MPEG4, SVAC

#: 16 kbit/s at 25 pictures a second, and what one picture may have saved up.
SEI_BYTES_A_PICTURE, SEI_BYTES_AT_ONCE = 80, 1024
#: Parameter sets and SEI before a slice; real ones are below 300 octets.
MAX_HEAD_BYTES = 4096
#: A start code of four octets and a NAL unit header of two.
HEADER_BYTES = 6
_START = b"\x00\x00\x01"
_FILLER = {H264: b"\x0c", H265: b"\x4c\x01"}


class Kind(enum.Enum):
    SLICE = 1
    SEI = 2
    FILLER = 3
    OTHER = 4


#: NAL unit type -> kind; a type that is not listed is reserved or unspecified, and no stream has it.
H264_KINDS = (
    dict.fromkeys((1, 2, 3, 4, 5, 19, 20), Kind.SLICE) | {6: Kind.SEI, 12: Kind.FILLER}
    | dict.fromkeys((7, 8, 9, 10, 11, 13, 14, 15), Kind.OTHER)
)  # fmt: skip
H265_KINDS = (
    dict.fromkeys((*range(10), *range(16, 22)), Kind.SLICE) | {39: Kind.SEI, 40: Kind.SEI, 38: Kind.FILLER}
    | dict.fromkeys(range(32, 38), Kind.OTHER)
)  # fmt: skip
#: MPEG-4 part 2 table 6-3: objects and layers, sequences, user data, groups, planes.
_MPEG4_CODES = frozenset((*range(0x30), 0xB0, 0xB1, 0xB2, 0xB3, 0xB5, 0xB6))


def kind_of(codec: int, first: int) -> Kind | None:
    """Return what a NAL unit is by its first octet, None when no stream of that codec has such a one.

    SVAC (GB/T 25724-2010 7.3.1) and MPEG-4 are asked for a plausible type alone: what begins so counts as a slice.
    """
    if codec == MPEG4:
        return Kind.SLICE if first in _MPEG4_CODES else None
    if first & 0x80:
        return None
    if codec == SVAC:
        return Kind.SLICE if first >> 2 & 0x0F else None
    return H265_KINDS.get(first >> 1) if codec == H265 else H264_KINDS.get(first & 0x1F)


def is_key(codec: int, first: int) -> bool | None:
    """Return whether a slice is of a picture that stands alone, by its first octet; None of a codec that does not say.

    H.264 7.4.1.2.4 (IDR), H.265 7.4.2.2 (IRAP): recovery points that are neither do not count.
    """
    if codec == H264:
        return first & 0x1F == 5
    return 16 <= first >> 1 < 24 if codec == H265 else None


class Heads:
    """The heads of one stream's pictures. ``busy`` from a picture's begin until its first slice.

    ``budget``: octets of supplemental information that may still pass.
    """

    __slots__ = ("_blanking", "_counters", "_kind", "_seen", "budget", "busy", "key", "protected")

    def __init__(self, counters: Counter[str]) -> None:
        self.busy = False
        #: Whether a unit says that it is signed or encrypted (GB 35114 levels B and C in SVAC).
        self.protected = False
        #: What the last slice said of its picture (``is_key``).
        self.key: bool | None = None
        self._counters = counters
        self.budget = SEI_BYTES_AT_ONCE
        self._seen = 0
        self._kind = Kind.OTHER
        self._blanking = False

    def begin(self) -> None:
        """A picture begins."""
        self.budget = min(SEI_BYTES_AT_ONCE, self.budget + SEI_BYTES_A_PICTURE)
        self._seen, self._kind, self._blanking, self.busy = 0, Kind.OTHER, False, True

    def pass_over(self, octets: int) -> None:
        """A picture begins whose head is not looked into; it has so many octets of supplemental information, or none."""
        self.budget = min(SEI_BYTES_AT_ONCE, self.budget + SEI_BYTES_A_PICTURE) - octets

    def leave(self) -> None:
        """Whatever it was, it is over."""
        self.busy = False

    def look(self, codec: int, data: bytearray, at: int, to: int, whole: bool) -> int | None:
        """Go over ``data[at:to]`` up to the first slice.

        Returns up to where it was judged: some octets before ``to`` when more is to come (not ``whole``) and a start code
        could stand across the end; None when it is no picture's head.
        """
        stop = to if whole else max(at, to - HEADER_BYTES + 1)
        if not self._seen and to - at >= HEADER_BYTES and (data[at] or data.find(_START, at, at + 4) < 0):
            return None
        begun, found = at, data.find(_START, at, to)
        last = found
        while found >= 0 and found + 4 < to:
            # A start code of four octets keeps its first.
            self._pay(codec, data, begun, found if data[found - 1] or found == at else found - 1)
            kind = kind_of(codec, data[found + 3])
            if kind is None:
                return None
            if kind is Kind.SLICE:
                self.protected |= codec == SVAC and bool(data[found + 3] & 0x03)
                self.key = is_key(codec, data[found + 3])
                self.busy = False
                return to
            self._kind, self._blanking, begun, last = kind, False, found + 3, found
            found = data.find(_START, begun, to)
        if begun > stop:  # a unit whose header is not past yet is looked at again
            stop = max(at, last)
        self._pay(codec, data, begun, stop)
        self._seen += stop - at
        return stop if self._seen <= MAX_HEAD_BYTES else None

    def _pay(self, codec: int, data: bytearray, begun: int, stop: int) -> None:
        """Take a unit's octets from the budget, or write them over."""
        octets = stop - begun
        if self._kind not in (Kind.SEI, Kind.FILLER) or octets <= 0:
            return
        if self._kind is Kind.SEI and not self._blanking and octets <= self.budget:
            self.budget -= octets
            return
        self._counters["sei_blanked"] += octets
        head = b"" if self._blanking else _FILLER[codec][:octets]
        data[begun:stop] = head + b"\xff" * (octets - len(head))
        self._blanking = True
