"""Whether a NAL unit that stands alone is what it says (H.264 7.3, H.265 7.3): by its header and its first fields.

An elementary stream has no lengths and no map of its own around its pictures: only parameter sets and slice headers
tell it from any other octets. Pictures are not looked into behind the slice header; everything else has a budget.
"""

from __future__ import annotations

from edge.rtp.nal import SEI_BYTES_A_PICTURE, SEI_BYTES_AT_ONCE
from edge.rtp.psm import H264, H265

#: Real parameter sets are below 300 octets; a set that is not known yet is paid from a budget of its own.
MAX_SET_BYTES, SET_BYTES_A_PICTURE = 1024, 8
#: Real streams have three or four.
MAX_SETS = 16
#: Octets that a slice header's judged fields fit in.
SLICE_BYTES = 24
#: 36864 macroblocks in level 5.2, 139264 in 6.2 (H.264 table A-1).
_MAX_BLOCKS = 139_264
_NO_PICTURE = 1 << 30
_MAX_ZEROS = 17
#: H.264 A.2: constrained baseline to high 4:4:4 intra, with scalable and multiview ones, whose base is an ordinary stream.
_PROFILES_264 = frozenset((44, 66, 77, 83, 86, 88, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))
_LEVELS_264 = frozenset((9, 10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52, 60, 61, 62))
_LEVELS_265 = frozenset((30, 60, 63, 90, 93, 120, 123, 150, 153, 156, 180, 183, 186))
_SLICES = {H264: frozenset((1, 5)), H265: frozenset((*range(10), *range(16, 22)))}
_SEI = {H264: frozenset((6,)), H265: frozenset((39, 40))}
_FILLER = {H264: 12, H265: 38}
#: Sequence, picture and video parameter sets.
_SPS, _PPS, _VPS = {H264: 7, H265: 33}, {H264: 8, H265: 34}, {H264: 256, H265: 32}
#: Delimiters, ends of sequence and stream, and SVC's prefix unit (temporal layers), with the most octets of each.
_SHORT = {H264: {9: 4, 10: 1, 11: 1, 14: 16}, H265: {35: 5, 36: 2, 37: 2}}


class _Implausible(Exception):
    """No such unit begins so."""


class _Bits:
    """A unit's bits behind its header, without emulation prevention (H.264 7.3.1, 9.1)."""

    __slots__ = ("_size", "_value", "at")

    def __init__(self, octets: bytes) -> None:
        octets = octets.replace(b"\0\0\3", b"\0\0")
        self._value, self._size, self.at = int.from_bytes(octets, "big"), 8 * len(octets), 0

    def take(self, bits: int) -> int:
        self.at += bits
        if self.at > self._size:
            raise _Implausible
        return self._value >> self._size - self.at & (1 << bits) - 1

    def golomb(self, most: int) -> int:
        """Return an unsigned Exp-Golomb number of at most ``most``."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _MAX_ZEROS:
                raise _Implausible
        value = (1 << zeros) - 1 + self.take(zeros)
        if value > most:
            raise _Implausible
        return value

    def signed(self, low: int, high: int) -> int:
        """Return a signed Exp-Golomb number within bounds."""
        code = self.golomb(1 << _MAX_ZEROS)
        value = (code + 1) // 2 if code & 1 else -(code // 2)
        if not low <= value <= high:
            raise _Implausible
        return value

    def at_end(self) -> bool:
        """Return whether only the stop bit and zeros follow (7.3.2.11)."""
        left = self._size - self.at
        rest = self._value & (1 << left) - 1
        return left > 0 and rest.bit_length() == left and not rest & (1 << left - 1) - 1


class Units:
    """The NAL units of one stream of H.264 or H.265, in order.

    ``begins``: the unit judged last is the first slice of a picture, and ``key`` whether that picture stands alone.
    ``budget``: octets of supplemental information that may still pass.
    """

    __slots__ = ("_block", "_codec", "_complete", "_new", "_sets", "begins", "budget", "key")

    def __init__(self, codec: int, joined: bool = False) -> None:
        self._codec = codec
        self.begins = self.key = False
        self.budget = self._new = SEI_BYTES_AT_ONCE
        #: Parameter sets by their type and number.
        self._sets: dict[tuple[int, int], bytes] = {}
        #: A sequence parameter set has come: what is named must have come, too.
        self._complete = False
        #: Where the last slice of the picture began; of a stream that is joined in its middle nobody knows.
        self._block = 0 if joined else _NO_PICTURE

    def lose(self) -> None:
        """Packets are missing: what comes may be a later slice of a picture whose first one is lost."""
        if self._block != _NO_PICTURE:
            self._block = 0

    def judge(self, unit: bytes, size: int, whole: bool) -> str:
        """Return the rule that a unit breaks, "" when it may go on.

        Of its ``size`` octets ``unit`` holds the first ones, all of a parameter set; a first fragment is not ``whole``.
        """
        self.begins = False
        number = self._number(unit)
        if number in _SLICES[self._codec]:
            return self._slice(unit, number)
        if number in _SEI[self._codec] or number == _FILLER[self._codec]:
            if not whole or size > self.budget or number == _FILLER[self._codec]:
                return "es_cut"
            self.budget -= size
            return ""
        if number in (_SPS[self._codec], _PPS[self._codec], _VPS[self._codec]):
            return self._set(unit, number) if whole and size <= MAX_SET_BYTES else "es_unit"
        most = _SHORT[self._codec].get(number)
        if most is None:
            return "es_nal"
        if not whole or size > most:
            return "es_unit"
        if size > self.budget:
            return "es_cut"
        self.budget -= size
        return ""

    def opens(self, unit: bytes) -> bool:
        """Return whether a unit that was let pass is what a stream can be decoded from: its sequence's parameters."""
        return self._number(unit) in (_SPS[self._codec], _VPS[self._codec])

    def _number(self, unit: bytes) -> int:
        """Return a unit's type, -1 of one whose header no stream of the codec has."""
        if self._codec == H264:
            number = unit[0] & 0x1F
            # 7.4.1: what others are predicted from is never without reference.
            return -1 if number in (5, 7, 8) and not unit[0] & 0x60 else number
        # One layer, and a temporal number (H.265 7.4.2.2).
        good = len(unit) > 1 and not unit[0] & 1 and not unit[1] >> 3 and unit[1] & 7
        return unit[0] >> 1 & 0x3F if good else -1

    # -- slices --------------------------------------------------------------------------------------------------

    def _slice(self, unit: bytes, number: int) -> str:
        try:
            block = self._slice_264(unit, number) if self._codec == H264 else self._slice_265(unit, number)
        except _Implausible:
            return "es_unit"
        if block and not self._follows(block):
            return "es_unit"
        self._block = block
        if not block:
            self.begins, self.key = True, number == 5 if self._codec == H264 else number >= 16
            self.budget = min(SEI_BYTES_AT_ONCE, self.budget + SEI_BYTES_A_PICTURE)
            self._new = min(MAX_SET_BYTES, self._new + SET_BYTES_A_PICTURE)
        return ""

    def _follows(self, block: int) -> bool:
        """A picture's slices come in their order; H.265 does not say in octets where one begins."""
        return self._block != _NO_PICTURE and (self._codec == H265 or block > self._block)

    def _slice_264(self, unit: bytes, number: int) -> int:
        """Return where a slice begins (7.3.3)."""
        bits = _Bits(unit[1 : 1 + SLICE_BYTES])
        block, kind = bits.golomb(_MAX_BLOCKS), bits.golomb(9)
        if number == 5 and kind % 5 not in (2, 4):  # an IDR picture holds intra slices alone
            raise _Implausible
        self._named(8, bits.golomb(255))
        return block

    def _slice_265(self, unit: bytes, number: int) -> int:
        """Return 0 of a picture's first slice segment, 1 of others (7.3.6.1)."""
        bits = _Bits(unit[2 : 2 + SLICE_BYTES])
        first = bits.take(1)
        if number >= 16:
            bits.take(1)
        self._named(34, bits.golomb(63))
        return 1 - first

    def _named(self, number: int, one: int) -> None:
        """A parameter set that is spoken of must be there."""
        if self._complete and (number, one) not in self._sets:
            raise _Implausible

    # -- parameter sets ------------------------------------------------------------------------------------------

    def _set(self, unit: bytes, number: int) -> str:
        try:
            key = (number, _READ[self._codec, number](self, unit))
        except _Implausible:
            return "es_unit"
        if self._sets.get(key) == unit:
            return ""
        if len(unit) > self._new or (len(self._sets) >= MAX_SETS and key not in self._sets):
            return "es_cut"
        self._new -= len(unit)
        self._sets[key] = unit
        self._complete |= number == _SPS[self._codec]
        return ""

    def _sps_264(self, unit: bytes) -> int:
        """7.3.2.1.1, up to what is told for displays (VUI)."""
        bits = _Bits(unit[1:].rstrip(b"\0"))
        profile, _, level = bits.take(8), bits.take(8), bits.take(8)
        if profile not in _PROFILES_264 or level not in _LEVELS_264:
            raise _Implausible
        one = bits.golomb(31)
        if profile not in (66, 77, 88):
            chroma = bits.golomb(3)
            bits.take(chroma == 3)
            for _ in range(2):
                bits.golomb(6)
            bits.take(1)
            if bits.take(1):
                _scaling(bits, 12 if chroma == 3 else 8)
        bits.golomb(12)
        _order(bits)
        bits.golomb(16)
        bits.take(1)
        wide, high = bits.golomb(1055), bits.golomb(1055)
        if not bits.take(1):
            bits.take(1)
        bits.take(1)
        if bits.take(1):
            for most in (wide, wide, high, high):
                bits.golomb(16 * most + 16)
        if (wide + 1) * (high + 1) > _MAX_BLOCKS or not (bits.take(1) or bits.at_end()):
            raise _Implausible
        return one

    def _pps_264(self, unit: bytes) -> int:
        """7.3.2.2, to its end: text and other octets often begin like one."""
        bits = _Bits(unit[1:].rstrip(b"\0"))
        one = bits.golomb(255)
        self._named(7, bits.golomb(31))
        bits.take(2)
        bits.golomb(0)  # slice groups: of the extended profile alone, which no camera has
        for _ in range(2):
            bits.golomb(31)
        bits.take(1)
        if bits.take(2) == 3:
            raise _Implausible
        for low, high in ((-62, 25), (-26, 25), (-12, 12)):
            bits.signed(low, high)
        bits.take(3)
        if not bits.at_end():
            transform = bits.take(1)
            if bits.take(1):
                _scaling(bits, 6 + 2 * transform)
            bits.signed(-12, 12)
            if not bits.at_end():
                raise _Implausible
        return one

    def _vps_265(self, unit: bytes) -> int:
        """7.3.2.1."""
        bits = _Bits(unit[2:])
        one = bits.take(4)
        bits.take(12)
        if bits.take(16) != 0xFFFF:
            raise _Implausible
        return one

    def _sps_265(self, unit: bytes) -> int:
        """7.3.2.2.1 and 7.3.3."""
        bits = _Bits(unit[2:])
        bits.take(4)
        layers = bits.take(3)
        bits.take(1)
        space, _, profile = bits.take(2), bits.take(1), bits.take(5)
        bits.take(80)
        if layers > 6 or space or not 1 <= profile <= 11 or bits.take(8) not in _LEVELS_265:
            raise _Implausible
        present = [bits.take(2) for _ in range(layers)]
        bits.take(2 * (8 - layers) if layers else 0)
        for each in present:
            bits.take(88 * (each >> 1) + 8 * (each & 1))
        return bits.golomb(15)

    def _pps_265(self, unit: bytes) -> int:
        """7.3.2.3.1."""
        bits = _Bits(unit[2:])
        one = bits.golomb(63)
        self._named(33, bits.golomb(15))
        return one


def _order(bits: _Bits) -> None:
    """Go over how pictures are ordered (H.264 7.3.2.1.1)."""
    kind = bits.golomb(2)
    if kind == 0:
        bits.golomb(12)
    elif kind == 1:
        bits.take(1)
        for _ in range(2):
            bits.signed(-(1 << 16), 1 << 16)
        for _ in range(bits.golomb(255)):
            bits.signed(-(1 << 16), 1 << 16)


def _scaling(bits: _Bits, lists: int) -> None:
    """Go over scaling lists (H.264 7.3.2.1.1.1)."""
    for number in range(lists):
        if not bits.take(1):
            continue
        last = following = 8
        for _ in range(16 if number < 6 else 64):
            if following:
                following = (last + bits.signed(-128, 127)) % 256
            last = following or last


_READ = {
    (H264, 7): Units._sps_264, (H264, 8): Units._pps_264,
    (H265, 32): Units._vps_265, (H265, 33): Units._sps_265, (H265, 34): Units._pps_265,
}  # fmt: skip
