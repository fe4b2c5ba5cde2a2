"""What is inside the packets of a stream: a program stream (ISO/IEC 13818-1 2.5, GB/T 28181 annex C).

Nothing is decoded. The stream is walked from length to length; a start code is looked for only where a boundary must be,
so that most packets cost one comparison (``left``). What has no place in a surveillance stream does not go on: private
streams and padding are cut out, the stream map loses its descriptors, PES headers lose all but their times, supplemental
information (SEI) beyond its budget becomes filler. What is no program stream goes nowhere until a pack header comes.

What is *not* looked at: the coded pictures and sounds themselves, and NAL units behind the first slice of a picture.
"""

from __future__ import annotations

import functools
import struct
from collections import Counter

from edge.rtp.nal import SEI_BYTES_AT_ONCE, Heads, Kind, is_key, kind_of
from edge.rtp.packet import slices
from edge.rtp.psm import H264, H265, MAX_MAP_BYTES, VIDEO_TYPES, read_map
from edge.rtp.seen import MAX_SEEN_BYTES, TIMES, Head, learn, video

MAX_SYSTEM_BYTES = 6 + 6 + 3 * 16
#: A PES packet of no stated length ends with its picture; no picture is longer (``edge.rtp.ps``).
MAX_OPEN_BYTES = 4 << 20
_PACK, _SYSTEM, _MAP, _END = 0xBA, 0xBB, 0xBC, 0xB9
_PACK_START = b"\x00\x00\x01\xba"
#: A picture's usual first octets: pack header without stuffing, PES header up to its length; then a slice's start.
_PICTURE, _SLICE = struct.Struct("!IB8xBIHHB"), struct.Struct("!IB")
_picture, _slice = _PICTURE.unpack_from, _SLICE.unpack_from
_QUICK_BYTES = _PICTURE.size + 10 + 6
#: At most so many pictures in a row pass by ``quick`` before ``take`` is asked, where pictures are timed: those that RFC 3550
#: 6.4.1 compares need not be neighbours. With a thousand streams of one packet a picture timing cost as much as inspection.
QUICK_PICTURES = 8
#: The first octets of slices that do not stand alone, by codec.
_SLICES = {
    codec: frozenset(first for first in range(256) if kind_of(codec, first) is Kind.SLICE and not is_key(codec, first))
    for codec in (H264, H265)
}
#: Octets of times behind a PES header, by its PTS_DTS_flags; 01 is forbidden (2.4.3.7).
_TIMES = {0x00: 0, 0x80: 5, 0xC0: 10}
#: Carries the marker of a picture whose last octets were cut out: a padding PES packet of two octets.
EMPTY = b"\x00\x00\x01\xbe\x00\x02\xff\xff"


@functools.lru_cache(maxsize=64)
def _slices(types: tuple[tuple[int, int], ...]) -> dict[int, frozenset[int]]:
    """Return by a PES packet's start code what most slices in it begin with; streams share it."""
    return {code: _SLICES[codec] for code, codec in video(dict(types), _SLICES).items()}


class PsInspection:
    """A program stream over RTP. ``left`` octets may go on unseen while no packet is lost.

    ``types`` is what the stream map says: stream id -> stream type; without a map no stream is carried.
    ``counters`` count octets that did not go on as they came, by rule.
    """

    # With a thousand streams each memory line more is a cache miss a packet.
    __slots__ = (
        "_begun", "_codec", "_cut", "_cut_rule", "_doubt", "_fresh", "_granted", "_headed", "_heads", "_held", "_kept", "_more",
        "_open", "_plain", "_saving", "_seeking", "_seen", "_slices", "counters", "keys", "left", "protected", "types",
    )  # fmt: skip

    def __init__(self, types: dict[int, int] | None = None) -> None:
        self.left = 0
        #: The head of the last key picture, if it passed as it was.
        self._seen: Head | None = None
        self._carry(types or {})
        self.counters: Counter[str] = Counter()
        #: Whether some of it is signed or encrypted (GB 35114 levels B and C).
        self.protected = False
        #: Pictures that began, with those that ``quick`` may still pass; and those that began and stand alone.
        self._begun = self._granted = self.keys = 0
        #: A pack header came and no picture yet; a map or system header came with it.
        self._fresh = self._headed = False
        self._heads = Heads(self.counters)
        self._kept: list[list[int]] = []
        self._held = b""
        self._codec = 0
        #: Octets still to come of an element that is carried, or of one that is cut out.
        self._more = self._cut = 0
        self._cut_rule = ""
        self._open = False
        self._seeking, self._doubt = True, False
        #: Nothing but ``left`` says where we are.
        self._plain = False
        #: The budget of supplemental information is not full.
        self._saving = False

    @property
    def pictures(self) -> int:
        """How many began."""
        return self._begun - self._granted

    def _carry(self, types: dict[int, int]) -> None:
        """Let these streams pass from now on."""
        self.types, self._seen = types, None
        self._slices = _slices(tuple(types.items()))

    def take(self, data: bytearray, start: int, end: int, marker: bool, gap: bool) -> bytes | None:
        """Judge the payload ``data[start:end]``, which may be changed in place.

        Returns what goes on instead, b"" for nothing, None for the payload as it now is. ``gap``: a packet before it
        did not come.
        """
        begins = self._plain and not self.left and not gap
        if begins and (left := self._usual(data, start, end)) >= 0:
            self.left = left
            return None
        before = bytes(data[start : min(end, start + MAX_SEEN_BYTES)]) if begins else b""
        self._more, self.left = self._more + self.left, 0
        given, whole = data, [start, end]
        if gap:
            self._held, self._doubt = b"", True
        elif self._held:
            data = bytearray(self._held + data[start:end])
            start, end, self._held = 0, len(data), b""
        self._kept.clear()
        at = self._regain(data, start, end) if self._doubt else start
        while at < end:
            at = self._step(data, at, end)
        if marker:
            self._end_picture()
        self._plain = not (self._doubt or self._open or self._heads.busy or self._held or self._seeking or self._cut)
        if self._plain:
            self.left, self._more = self._more, 0
            self._saving = self._heads.budget < SEI_BYTES_AT_ONCE
        if data is given and self._kept == [whole]:
            if before and self._plain and data.startswith(before, start):
                self._seen = learn(before, video(self.types, _SLICES)) or self._seen
            return None
        out = b"".join([bytes(data[a:b]) for a, b in self._kept])
        return EMPTY if marker and not out and not self._seeking else out

    def quick(self, data: bytearray, start: int, end: int) -> int:
        """Judge what most pictures begin with: pack header, PES header with times, slice.

        It may be asked when nothing is ``left`` and no packet is missing. Returns how many octets are left then, -1 when
        ``take`` must look.
        """
        if not self._plain or not self._granted or end - start < _QUICK_BYTES:
            return -1
        pack, first, stuffing, pes, length, flags, size = _picture(data, start)
        slices = self._slices.get(pes)
        if slices is None or TIMES.get(flags) != size or pack != 0x1BA or stuffing != 0xF8 or first & 0xC0 != 0x40:
            return -1
        body = start + 23 + size
        begin, unit = _slice(data, body)
        left: int = length - 3 - size - (end - body)
        if begin != 1 or unit not in slices or left < 0:
            return -1
        self._fresh = False
        self._granted -= 1
        if self._saving:
            self._heads.pass_over(0)
            self._saving = self._heads.budget < SEI_BYTES_AT_ONCE
        return left

    def _usual(self, data: bytearray, start: int, end: int) -> int:
        """Judge as ``quick`` does, even if that has passed all that it may; or pass a head that is recognised."""
        self._begun += QUICK_PICTURES - self._granted
        self._granted = QUICK_PICTURES
        left = self.quick(data, start, end)
        return left if left >= 0 else self._recognise(data, start, end)

    def _recognise(self, data: bytearray, start: int, end: int) -> int:
        """Pass a key picture's head that is the same as the last one's."""
        head = self._seen
        if head is None or (left := head.left(data, start, end)) < 0:
            return -1
        self._fresh = self._headed = False
        self._begun += 1
        self.keys += head.key
        self._heads.pass_over(head.sei)
        self._saving = self._heads.budget < SEI_BYTES_AT_ONCE
        return left

    def pieces(self, payload: bytes, room: int) -> list[bytes]:
        """Cut what is too long for one packet: a program stream may be cut anywhere."""
        return slices(payload, room)

    def _count(self, key: bool | None) -> None:
        """A picture begins; where its codec does not say whether it stands alone, what was sent before it does."""
        if self._fresh:
            self._begun += 1
            self.keys += self._headed if key is None else key
            self._fresh = self._headed = False

    def _keep(self, start: int, end: int) -> None:
        if self._kept and self._kept[-1][1] == start:
            self._kept[-1][1] = end
        elif start < end:
            self._kept.append([start, end])

    def _hold(self, data: bytearray, at: int, end: int) -> int:
        """Keep back what the packet's end cuts in two."""
        self._held = bytes(data[at:end])
        return end

    def _lose(self, rule: str, at: int, octets: int = 1) -> int:
        """What begins at ``at`` does not belong here: all that comes before the next pack header ends here."""
        self.counters[rule] += octets
        self._between()
        self._seeking = True
        return at + octets

    def _between(self) -> None:
        """No element is open."""
        self._more = self._cut = 0
        self._open = False
        self._heads.leave()

    def _end_picture(self) -> None:
        if self._open:
            self._between()
        if self._held:
            self._lose("ps_unknown" if self._seeking else "ps_cut_short", 0, len(self._held))
            self._held = b""

    def _regain(self, data: bytearray, start: int, end: int) -> int:
        """Packets are missing: no more passes than was still to come, until a pack header says where we are."""
        found = data.find(_PACK_START, start, end)
        to = found if found >= 0 else end
        size = to - start
        if size <= self._more and not self._heads.busy:
            self._keep(start, to)
            self._more -= size
        elif size <= self._cut:
            self._cut -= size
        elif size:
            self._lose("ps_unknown" if self._seeking else "ps_gap", start, size)
        if found >= 0:
            self._between()
            self._seeking = False
        self._doubt = found < 0 and not self._seeking
        return to

    # -- elements ------------------------------------------------------------------------------------------------

    def _step(self, data: bytearray, at: int, end: int) -> int:
        """Go over one element or a part of it; return where the next begins."""
        if self._seeking:
            return self._seek(data, at, end)
        if self._more and not (self._open and data[at : at + 4] == _PACK_START):
            return self._media(data, at, end)
        if self._cut:
            to = min(end, at + self._cut)
            self._cut -= to - at
            self.counters[self._cut_rule] += to - at
            return to
        self._more, self._open = 0, False
        return self._element(data, at, end)

    def _seek(self, data: bytearray, at: int, end: int) -> int:
        found = data.find(_PACK_START, at, end)
        self._seeking = found < 0
        to = max(at, end - 3) if self._seeking else found
        if to > at:
            self.counters["ps_unknown"] += to - at
        return self._hold(data, to, end) if self._seeking else to

    def _media(self, data: bytearray, at: int, end: int) -> int:
        to = min(end, at + self._more)
        if self._codec and self._heads.busy:
            judged = self._heads.look(self._codec, data, at, to, to < end or to - at == self._more)
            if judged is None:
                return self._lose("ps_nal", at)
            self._keep(at, judged)
            self._more -= judged - at
            self.protected |= self._heads.protected
            if not self._heads.busy:
                self._count(self._heads.key)
            return to if judged == to else self._hold(data, judged, end)
        self._keep(at, to)
        self._more -= to - at
        return to

    def _element(self, data: bytearray, at: int, end: int) -> int:
        """Judge the header of what begins at ``at``."""
        if end - at < 6:
            return (
                self._hold(data, at, end)
                if data.startswith(b"\x00\x00\x01"[: end - at], at)
                else self._lose("ps_start_code", at)
            )
        if data[at : at + 3] != b"\x00\x00\x01":
            return self._lose("ps_start_code", at)
        code = data[at + 3]
        if code == _PACK:
            return self._pack(data, at, end)
        if code == _END:
            self._keep(at, at + 4)
            return at + 4
        length = int.from_bytes(data[at + 4 : at + 6], "big")
        if code in (_SYSTEM, _MAP):
            return self._whole(data, at, end, code, 6 + length)
        if code in self.types:
            return self._pes(data, at, end, code, length)
        media = 0xC0 <= code < 0xF0
        self._cut_rule = "ps_private" if not media else "ps_stream" if self.types else "ps_no_map"
        if length == 0 or code < _PACK:
            return self._lose(self._cut_rule, at)
        self._cut = 6 + length
        return at

    def _pack(self, data: bytearray, at: int, end: int) -> int:
        """2.5.3.3; the stuffing is written anew."""
        if data[at + 4] & 0xC0 != 0x40:
            return self._lose("ps_mpeg1" if data[at + 4] & 0xF0 == 0x20 else "ps_header", at)
        if end - at < 14 or end - at < 14 + (data[at + 13] & 7):
            return self._hold(data, at, end)
        to = at + 14 + (data[at + 13] & 7)
        data[at + 14 : to] = b"\xff" * (to - at - 14)
        self._keep(at, to)
        self._heads.begin()
        self._fresh, self._headed = True, False
        return to

    def _whole(self, data: bytearray, at: int, end: int, code: int, size: int) -> int:
        """The system header and the stream map are short; they are judged when they are there."""
        if size > (MAX_SYSTEM_BYTES if code == _SYSTEM else MAX_MAP_BYTES):
            return self._lose("ps_header", at)
        if end - at < size:
            return self._hold(data, at, end)
        kept = size
        if code == _MAP:
            read = read_map(bytes(data[at : at + size]))
            if read is None:
                return self._lose("ps_map", at)
            self._carry(read.types)
            kept = len(read.clean)
            data[at : at + kept] = read.clean
            if kept < size:
                self.counters["ps_private"] += size - kept
        elif (size - 12) % 3 or any(data[at + 12 + n] < 0xB8 for n in range(0, size - 12, 3)):
            return self._lose("ps_header", at)
        self._keep(at, at + kept)
        self._headed = True
        return at + size

    def _pes(self, data: bytearray, at: int, end: int, code: int, length: int) -> int:
        """2.4.3.6: of the header its times alone stay, the rest of it becomes stuffing."""
        if end - at < 9 or end - at < 9 + data[at + 8]:
            return self._hold(data, at, end)
        size, body = data[at + 8], at + 9 + data[at + 8]
        times = _TIMES.get(data[at + 7] & 0xC0)
        more = length - 3 - size if length else MAX_OPEN_BYTES
        if data[at + 6] & 0xC0 != 0x80 or times is None or times > size or more < 0:
            return self._lose("ps_header", at)
        scrambled = data[at + 6] & 0x30
        self.protected |= bool(scrambled)
        data[at + 6] = 0x80 | scrambled | data[at + 6] & 0x04
        data[at + 7] &= 0xC0
        data[at + 9 + times : body] = b"\xff" * (size - times)
        self._keep(at, body)
        self._more, self._open = more, not length
        video = self.types[code] in VIDEO_TYPES
        self._codec = self.types[code] if video and not scrambled else 0
        if video and scrambled:
            self._count(None)
        return body
