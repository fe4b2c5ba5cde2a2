"""What is inside the packets of a stream that is not wrapped: H.264 (RFC 6184) or H.265 (RFC 7798), one codec a stream.

Each packet is one NAL unit, several, or a fragment of one. Most are fragments in a picture's middle, and cost two
comparisons (``quick``). Of the others each unit is judged by itself (``edge.rtp.units``): what the codec does not have,
or is not what it says, does not go on, nor supplemental information beyond its budget. Nothing goes on before a sequence
parameter set, nor, once too much else has come, until the next one.

What is *not* looked at: the coded pictures behind their slice headers.
"""

from __future__ import annotations

from collections import Counter

from edge.rtp.psm import H264, H265
from edge.rtp.units import MAX_SET_BYTES, SLICE_BYTES, Units

#: Units in one packet; real ones have parameter sets and SEI in it, or a picture's small slices.
MAX_UNITS = 64
#: Packets between two pictures that are no elementary stream: then it is taken for none. A vendor's own units beside each
#: picture are fewer; of random octets one in two hundred looks like a picture's begin.
MAX_STRANGE = 16
_UNITS_265 = frozenset(range(48))
#: Ways of packing that are not negotiated or that nobody uses, by the packet's type (RFC 6184 table 1, RFC 7798 4.4).
_REFUSED = {
    H264: {0: "es_reserved", 25: "es_stap_b", 26: "es_mtap", 27: "es_mtap", 29: "es_fu_b", 30: "es_reserved", 31: "es_reserved"},
    H265: {50: "es_paci"} | dict.fromkeys(range(51, 64), "es_reserved"),
}  # fmt: skip
_AGGREGATE, _FRAGMENT = {H264: 24, H265: 48}, {H264: 28, H265: 49}
#: Octets of a unit's header; a fragment's packet has one more.
_HEADER = {H264: 1, H265: 2}
#: Of what belongs to such a stream and does not go on, or not now: it says nothing against the stream.
_HARMLESS = frozenset(("es_cut", "es_gap", "es_no_sps"))
#: Carries the marker of a picture whose last octets were cut out: filler of no octets.
EMPTY = {H264: b"\x0c\x80", H265: b"\x4c\x01\x80"}
#: What a unit is judged by: a whole parameter set, a slice's header.
_LOOK = MAX_SET_BYTES + 1


class EsInspection:
    """An elementary stream over RTP, in the shape of ``edge.rtp.inspection.PsInspection``; ``left`` is always 0.

    ``counters`` count octets that did not go on, by rule.
    """

    __slots__ = (
        "_codec", "_cut", "_head", "_last", "_middle", "_open", "_seeking", "_strange", "_units",
        "counters", "keys", "left", "pictures", "protected", "types",
    )  # fmt: skip

    def __init__(self, codec: int, known: bool = False) -> None:
        self.left = 0
        #: As a stream map would say it, once something may go on.
        self.types: dict[int, int] = {0xE0: codec} if known else {}
        self.counters: Counter[str] = Counter()
        self.protected = False
        self.pictures = self.keys = 0
        self._codec, self._head = codec, _HEADER[codec]
        self._units = Units(codec, known)
        #: No sequence parameter set has come yet; whoever goes on where another one ended needs none.
        self._seeking = not known
        self._strange = 0
        #: How the fragments of the unit begin that is on its way, and its last one; whether they go on, or why not.
        self._middle = self._last = b""
        self._open, self._cut = False, "es_gap"

    def quick(self, data: bytearray, start: int, end: int) -> int:
        """Judge what most packets are: the next fragment of the unit that is on its way. Return 0, or -1 if ``take`` must."""
        if self._open and end - start > self._head + 1:
            if data.startswith(self._middle, start):
                return 0
            if data.startswith(self._last, start):
                self._open = False
                return 0
        return -1

    def take(self, data: bytearray, start: int, end: int, marker: bool, gap: bool) -> bytes | None:
        """Judge the payload ``data[start:end]``: None when it goes on, else what goes on instead, b"" for nothing."""
        if gap:
            self._open, self._cut = False, "es_gap"
            self._middle = self._last = b""
            self._units.lose()
        rule, said = self._packet(data, start, end)
        if marker and said == b"" and rule == "es_cut" and not self._seeking:
            return EMPTY[self._codec]
        return said

    def _packet(self, data: bytearray, start: int, end: int) -> tuple[str, bytes | None]:
        size, codec = end - start, self._codec
        kind = data[start] & 0x1F if codec == H264 else data[start] >> 1 & 0x3F
        if data[start] & 0x80:
            return self._refuse("es_forbidden", size)
        if size <= self._head:
            ends = kind in (10, 11) if codec == H264 else size == 2 and kind in (36, 37)
            if not ends:
                return self._refuse("es_length", size)
        if kind == _FRAGMENT[codec]:
            return self._fragment(data, start, end)
        self._open, self._cut = False, ""
        if kind == _AGGREGATE[codec]:
            return self._aggregate(data, start, end)
        rule = _REFUSED[codec].get(kind) or self._unit(bytes(data[start : min(end, start + _LOOK)]), size)
        return self._refuse(rule, size) if rule else ("", None)

    def _refuse(self, rule: str, octets: int) -> tuple[str, bytes]:
        self.counters[rule] += octets
        if rule not in _HARMLESS:
            self._strange += 1
            if self._strange > MAX_STRANGE and not self._seeking:
                self._seeking, self._units, self.types = True, Units(self._codec), {}
        return rule, b""

    def _unit(self, unit: bytes, size: int, whole: bool = True) -> str:
        """Return the rule that a unit breaks, "" when it goes on."""
        if unit[0] & 0x80:
            return "es_forbidden"
        rule = self._units.judge(unit, size, whole)
        if rule:
            return rule
        if self._seeking and not self._units.opens(unit):
            return "es_no_sps"
        if self._seeking:
            self._seeking, self.types, self._units = False, {0xE0: self._codec}, Units(self._codec)
            # What did not go on before is nothing that later units may build on.
            self._units.judge(unit, size, whole)
        if self._units.begins:
            self._strange = 0
            self.pictures += 1
            self.keys += self._units.key
        return ""

    # -- fragments (RFC 6184 5.8, RFC 7798 4.4.3) ----------------------------------------------------------------

    def _fragment(self, data: bytearray, start: int, end: int) -> tuple[str, bytes | None]:
        body = start + self._head + 1
        if body >= end:
            return self._refuse("es_length", end - start)
        how = data[body - 1]
        if how & 0xC0 == 0x80:
            return self._first(data, start, end)
        known = self._middle and (data.startswith(self._middle, start) or data.startswith(self._last, start))
        if known and self._open:
            self._open = not how & 0x40
            return "", None
        if not self._cut or (self._middle and not known):
            # A beginning that never came, or bits that contradict each other.
            self._open, self._cut = False, ""
            return self._refuse("es_fragment", end - start)
        rule = self._cut
        if how & 0x40:
            self._cut = ""
        return self._refuse(rule, end - start)

    def _first(self, data: bytearray, start: int, end: int) -> tuple[str, bytes | None]:
        body = start + self._head + 1
        head, how = bytes(data[start : body - 1]), data[body - 1]
        if self._codec == H264:
            number = how & 0x1F
            unit, good = bytes((head[0] & 0xE0 | number,)), not how & 0x20 and 0 < number < 24
        else:
            number = how & 0x3F
            unit, good = bytes((head[0] & 0x81 | number << 1, head[1])), number in _UNITS_265
        look = unit + bytes(data[body : min(end, body + SLICE_BYTES)])
        rule = self._unit(look, end - start, whole=False) if good else "es_fragment"
        self._middle, self._last = head + bytes((number,)), head + bytes((0x40 | number,))
        self._open, self._cut = not rule, rule
        return self._refuse(rule, end - start) if rule else ("", None)

    # -- several units in one packet (RFC 6184 5.7.1, RFC 7798 4.4.2) --------------------------------------------

    def _aggregate(self, data: bytearray, start: int, end: int) -> tuple[str, bytes | None]:
        if self._codec == H265 and (data[start] & 1 or data[start + 1] >> 3 or not data[start + 1] & 7):
            return self._refuse("es_nal", end - start)
        spans = spans_of(data, start + self._head, end, self._head)
        if spans is None:
            return self._refuse("es_length", end - start)
        kept, rule = [], ""
        for at, to in spans:
            broken = self._unit(bytes(data[at : min(to, at + _LOOK)]), to - at)
            if broken:
                rule, _ = self._refuse(broken, to - at + 2)
            else:
                kept.append(bytes(data[at:to]))
        if len(kept) == len(spans):
            return "", None
        if len(kept) < 2:
            return rule, b"".join(kept)
        head = bytes(data[start : start + self._head])
        return rule, head + b"".join(len(each).to_bytes(2, "big") + each for each in kept)

    # -- packets that are too long -------------------------------------------------------------------------------

    def pieces(self, payload: bytes, room: int) -> list[bytes]:
        """Cut what goes on to packets' payloads of at most ``room`` octets each: units of one packet apart, one that is too
        long into fragments, a fragment into smaller ones."""
        if len(payload) <= room:
            return [payload]
        head, codec = self._head, self._codec
        kind = payload[0] & 0x1F if codec == H264 else payload[0] >> 1 & 0x3F
        if kind == _AGGREGATE[codec]:
            spans = spans_of(payload, head, len(payload), head) or []
            return [piece for at, to in spans for piece in self.pieces(payload[at:to], room)]
        if kind == _FRAGMENT[codec]:
            packed, how, body = payload[:head], payload[head] & 0x3F, payload[head + 1 :]
            first, last = bool(payload[head] & 0x80), bool(payload[head] & 0x40)
        else:
            packed, how, body = self._packed(payload, kind), kind, payload[head:]
            first = last = True
        step = max(1, room - head - 1)
        parts = [body[at : at + step] for at in range(0, len(body), step)]
        bits = [0] * len(parts)
        bits[0] |= 0x80 * first
        bits[-1] |= 0x40 * last
        return [packed + bytes((bit | how,)) + part for bit, part in zip(bits, parts, strict=True)]

    def _packed(self, unit: bytes, kind: int) -> bytes:
        """Return what the packets of a unit's fragments begin with, instead of its own header."""
        if self._codec == H264:
            return bytes((unit[0] & 0xE0 | _FRAGMENT[H264],))
        return bytes((unit[0] & 0x81 | _FRAGMENT[H265] << 1, unit[1]))


def spans_of(data: bytes | bytearray, at: int, end: int, head: int) -> list[tuple[int, int]] | None:
    """Return where the units of an aggregate stand, each behind its length; None when the lengths do not fit."""
    spans: list[tuple[int, int]] = []
    while at < end:
        if at + 2 > end or len(spans) >= MAX_UNITS:
            return None
        to = at + 2 + (data[at] << 8 | data[at + 1])
        if to > end or to - at - 2 < head:
            return None
        spans.append((at + 2, to))
        at = to
    return spans or None
