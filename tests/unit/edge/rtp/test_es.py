"""What of an elementary stream goes on: real ones octet for octet, of others nothing but what is judged good."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.lab.elementary import Unpacking, packets, units_of
from edge.rtp.es import EMPTY, MAX_STRANGE, MAX_UNITS, EsInspection
from edge.rtp.nal import SEI_BYTES_A_PICTURE, SEI_BYTES_AT_ONCE
from edge.rtp.ps import mux
from edge.rtp.psm import H264, H265
from edge.rtp.units import MAX_SETS
from tests.unit.edge.rtp.elementary import annex_b, decoded, packed_by_ffmpeg, payloads

CODECS = {"H264": H264, "H265": H265}
SPS, PPS = bytes.fromhex("6742c01eda0280bfe5c044000003000400000300ca3c58ba80"), bytes.fromhex("68ce0fc8")
IDR, PICTURE = b"\x65\x88\x84" + b"\x5a" * 400, b"\x41\x9a\x22" + b"\xa5" * 300
VPS_5 = bytes.fromhex("40010c01ffff01600000030090000003000003003fba0240")
SPS_5 = bytes.fromhex("42010101600000030090000003000003003fa005020171f2e5ba4a4c2f016808000003000800000300c840")
PPS_5, IDR_5, PICTURE_5 = (
    bytes.fromhex("4401c0718312"),
    b"\x28\x01\xad" + b"\x5a" * 400,
    b"\x02\x01\xd0" + b"\xa5" * 300,
)
SETS = {"H264": [SPS, PPS], "H265": [VPS_5, SPS_5, PPS_5]}
KEY, NEXT = {"H264": IDR, "H265": IDR_5}, {"H264": PICTURE, "H265": PICTURE_5}


class Walk:
    """An inspection, and what went on of each packet; as the relay asks it."""

    def __init__(self, encoding: str = "H264", known: bool = False) -> None:
        self.inspection = EsInspection(CODECS[encoding], known)
        self.out: list[bytes] = []

    def packet(self, payload: bytes, marker: bool = False, gap: bool = False) -> bytes:
        data = bytearray(12) + payload
        said: bytes | None = None
        if gap or self.inspection.quick(data, 12, len(data)) < 0:
            said = self.inspection.take(data, 12, len(data), marker, gap)
        went = bytes(data[12:]) if said is None else said
        if went:
            self.out.append(went)
        return went

    def packets(self, payloads: Iterable[tuple[bytes, bool]]) -> list[bytes]:
        return [went for payload, marker in payloads if (went := self.packet(payload, marker))]

    @property
    def rules(self) -> set[str]:
        return set(self.inspection.counters)


def begun(encoding: str = "H264") -> Walk:
    """A walk in whose stream a key picture came."""
    walk = Walk(encoding)
    for unit in (*SETS[encoding], KEY[encoding]):
        assert walk.packet(unit, unit is KEY[encoding]) == unit
    assert not walk.rules
    walk.out.clear()
    return walk


# -- what is good ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("encoding", CODECS)
def test_what_ffmpeg_encodes_and_packs_goes_on_to_its_last_picture(encoding: str, slices: int) -> None:
    sent = payloads(packed_by_ffmpeg(encoding, 20, slices))
    walk = Walk(encoding)
    went = walk.packets(sent)
    assert (walk.inspection.pictures, walk.inspection.keys) == (20, 2)
    assert walk.rules <= {"es_no_sps", "es_cut"}, "the first delimiter, and what an encoder says of itself"
    unpacking = Unpacking(encoding)
    assert len(decoded(encoding, b"".join(map(unpacking.feed, went)))) == 20
    assert not unpacking.wrong


@pytest.mark.parametrize("room", [120, 1360, 60_000])
@pytest.mark.parametrize("encoding", CODECS)
def test_pictures_are_the_same_however_they_are_packed(encoding: str, room: int) -> None:
    stream = b"".join(b"\0\0\0\1" + unit for unit in units_of(annex_b(encoding)) if not is_sei(encoding, unit))
    sent = [(packet.payload, packet.marker) for packet in packets(stream, encoding, 0, 0, 1, 98, room)]
    walk, unpacking = Walk(encoding), Unpacking(encoding)
    went = walk.packets(sent)
    assert walk.rules <= {"es_no_sps"}
    assert decoded(encoding, b"".join(map(unpacking.feed, went))) == decoded(encoding, stream)
    assert not unpacking.wrong


def is_sei(encoding: str, unit: bytes) -> bool:
    return unit[0] & 0x1F == 6 if encoding == "H264" else unit[0] >> 1 in (39, 40)


@pytest.mark.parametrize("encoding", CODECS)
def test_most_packets_are_not_even_taken(encoding: str) -> None:
    seen = EsInspection(CODECS[encoding])
    quick = 0
    for payload, marker in payloads(packed_by_ffmpeg(encoding)):
        data = bytearray(12) + payload
        if seen.quick(data, 12, len(data)) == 0:
            quick += 1
        else:
            seen.take(data, 12, len(data), marker, False)
    assert quick > 0.6 * len(payloads(packed_by_ffmpeg(encoding)))


@pytest.mark.parametrize("encoding", CODECS)
def test_who_takes_over_in_the_middle_goes_on_at_the_next_picture(encoding: str) -> None:
    walk = Walk(encoding, known=True)
    assert walk.packet(NEXT[encoding]) == NEXT[encoding]
    assert Walk(encoding).packet(NEXT[encoding]) == b"", "the control: one who begins waits for the parameter sets"


# -- what is not -----------------------------------------------------------------------------------------------------

REFUSED = {
    "es_forbidden": {"H264": [b"\xe5" + IDR[1:], b"\xfc\x85" + IDR], "H265": [b"\xa6" + IDR_5[1:]]},
    "es_reserved": {"H264": [b"\x00abc", b"\x7eabc", b"\x7fabc"], "H265": [b"\x66\x01abc", b"\x7e\x01abc"]},
    "es_stap_b": {"H264": [b"\x79\0\1\0\4" + SPS[:4]]},
    "es_mtap": {"H264": [b"\x7a\0\1\0\4abcd", b"\x7b\0\1\0\4abcd"]},
    "es_fu_b": {"H264": [b"\x7d\x85\0\1" + IDR[1:]]},
    "es_paci": {"H265": [b"\x64\x01\x00\x00" + IDR_5]},
    "es_nal": {
        "H264": [bytes((kind,)) + b"\xa5" * 20 for kind in (2, 3, 4, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23)],
        "H265": [bytes((kind << 1, 1)) + b"\xa5" * 20 for kind in (10, 15, 22, 31, 41, 47)]
                + [b"\x03\x01" + PICTURE_5[2:], b"\x02\x09" + PICTURE_5[2:], b"\x02\x00" + PICTURE_5[2:]],
    },
    "es_length": {
        "H264": [b"\x41", b"\x7c\x85", b"\x78", b"\x78\0\x20\x41\x9a", b"\x78\0\1", b"\x78\0\0", b"\x78\0\2\x41\x9a\0",
                 b"\x78" + (b"\0\2\x09\xf0" * (MAX_UNITS + 1))],
        "H265": [b"\x02\x01", b"\x62\x01\x81", b"\x60\x01\0\x20\x02\x01"],
    },
    "es_fragment": {
        "H264": [b"\x7c\xc5" + IDR[1:], b"\x7c\xa5" + IDR[1:], b"\x7c\x98" + IDR[1:], b"\x7c\x05" + IDR[1:]],
        "H265": [b"\x62\x01\xd4" + IDR_5[2:], b"\x62\x01\xb1" + IDR_5[2:], b"\x62\x01\x13" + IDR_5[2:]],
    },
    "es_unit": {
        "H264": [
            b"\x41\x52\x22" + b"\xa5" * 9,       # a later slice that begins where the one before it did
            b"\x65\xb4" + b"\xa5" * 9,           # an IDR slice that is not intra
            b"\x41\xd0\x41\xa5\xa5",             # of a picture parameter set that never came
            b"\x41\0\0\0\0\0\0\0\0\0",           # numbers without an end
            b"\x67\x45T / HTTP/1.1", b"\x68TTP/1.1 200 OK\r\n", b"\x67" + SPS[1:] + b"\x11" * 1100,
            PPS + b"secret", b"\x09\xf0abcd", b"\x0bx", b"\x7c\x87" + SPS[1:], b"\x6e" + b"x" * 30,
        ],
        "H265": [VPS_5.replace(b"\xff\xff", b"\xff\xfe"), SPS_5.replace(b"\x3f\xa0", b"\x3e\xa0"), b"\x44\x01\xa0\x11",
                 b"\x02\x01\x82" + b"\xa5" * 9, b"\x46\x01\x50abcd"],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "encoding", "at"),
    [(rule, encoding, at) for rule, of in REFUSED.items() for encoding, them in of.items() for at in range(len(them))],
)
def test_what_is_no_such_unit_does_not_go_on_and_is_named(rule: str, encoding: str, at: int) -> None:
    walk, payload = begun(encoding), REFUSED[rule][encoding][at]
    assert walk.packet(payload, True) == b""
    assert walk.rules == {rule}
    assert walk.packet(NEXT[encoding], True) == NEXT[encoding], "the control: the next picture goes on"


@pytest.mark.parametrize("encoding", CODECS)
def test_before_the_parameter_sets_nothing_goes_on(encoding: str) -> None:
    walk = Walk(encoding)
    for unit in (NEXT[encoding], KEY[encoding], EMPTY[CODECS[encoding]]):
        assert walk.packet(unit, True) == b""
    assert walk.rules <= {"es_no_sps", "es_cut"}, "which says nothing against a stream that is joined in its middle"
    assert walk.inspection.types == {}
    assert [walk.packet(unit) for unit in (*SETS[encoding], KEY[encoding])] == [*SETS[encoding], KEY[encoding]]
    assert walk.inspection.types == {0xE0: CODECS[encoding]}


FOREIGN = {
    "tls": lambda dice: b"\x17\x03\x03\x04\x00" + dice.randbytes(1200),
    "http": lambda dice: b"HTTP/1.1 200 OK\r\n\r\n" + dice.randbytes(1200),
    "zip": lambda dice: b"PK\x03\x04" + dice.randbytes(1200),
    "noise": lambda dice: dice.randbytes(1200),
    "short noise": lambda dice: dice.randbytes(dice.randrange(1, 40)),
    "text": lambda dice: bytes(dice.choices(range(32, 127), k=900)),
    "english": lambda dice: b"all eyes are elsewhere and nobody sees what is written here" * 9,
    "ps": lambda dice: mux(b"\0\0\0\1" + IDR, dice.randrange(1 << 30))[: dice.randrange(20, 400)],
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("encoding", CODECS)
def test_what_is_no_elementary_stream_stops_and_stays_so(encoding: str, what: str) -> None:
    """Of random octets one in fifty looks like a slice: when they come alone, they stop being looked at as such."""
    for seed in range(20):
        dice, walk = random.Random(seed), begun(encoding)
        for _ in range(4 * MAX_STRANGE):
            walk.packet(FOREIGN[what](dice), dice.random() < 0.1)
        before = len(walk.out)
        for _ in range(300):
            walk.packet(FOREIGN[what](dice), dice.random() < 0.1)
        assert len(walk.out) == before, "after the first moments nothing"
        assert before <= 8, "and in them next to nothing"
        assert walk.inspection.types == {}
        assert [walk.packet(unit) for unit in (*SETS[encoding], KEY[encoding])] == [*SETS[encoding], KEY[encoding]]


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("encoding", CODECS)
def test_what_never_was_one_never_begins(encoding: str, what: str) -> None:
    dice, walk = random.Random(1), Walk(encoding)
    for _ in range(600):
        assert walk.packet(FOREIGN[what](dice), dice.random() < 0.1) == b""
    assert walk.rules - {"es_no_sps", "es_gap", "es_cut"}, "it is named"


# -- budgets ---------------------------------------------------------------------------------------------------------


def sei(octets: int, encoding: str = "H264") -> bytes:
    head = b"\x06\x05" if encoding == "H264" else b"\x4e\x01\x05"
    return head + b"\x2a" * octets + b"\x80"


@pytest.mark.parametrize("encoding", CODECS)
def test_a_little_supplemental_information_goes_on(encoding: str) -> None:
    walk = begun(encoding)
    for _ in range(200):
        assert walk.packet(sei(60, encoding)) == sei(60, encoding)
        assert walk.packet(NEXT[encoding], True) == NEXT[encoding]
    assert not walk.rules


@pytest.mark.parametrize("encoding", CODECS)
def test_more_than_its_budget_does_not(encoding: str) -> None:
    walk, pictures = begun(encoding), 50
    for _ in range(pictures):
        for _ in range(20):
            walk.packet(sei(300, encoding))
        assert walk.packet(NEXT[encoding], True) == NEXT[encoding], "the pictures go on"
    assert sum(each.count(b"\x2a") for each in walk.out) <= SEI_BYTES_AT_ONCE + pictures * SEI_BYTES_A_PICTURE
    assert walk.rules == {"es_cut"}
    assert walk.inspection.types, "it says nothing against the stream"


@pytest.mark.parametrize("encoding", CODECS)
def test_what_is_cut_out_leaves_its_marker(encoding: str) -> None:
    walk = begun(encoding)
    assert walk.packet(sei(2000, encoding), True) == EMPTY[CODECS[encoding]]
    assert walk.packet(EMPTY[CODECS[encoding]] + b"\xff" * 30, True) == EMPTY[CODECS[encoding]]
    assert walk.packet(EMPTY[CODECS[encoding]], False) == b""


def test_of_several_units_in_one_packet_the_bad_ones_are_taken_out() -> None:
    def together(*units: bytes) -> bytes:
        return b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)

    walk, short = Walk(), b"\x41\x9a" + b"\xa5" * 20
    assert walk.packet(together(SPS, PPS, IDR)) == together(SPS, PPS, IDR)
    assert walk.packet(together(sei(2000), short, b"\x1fsecret", sei(9)), True) == together(short, sei(9))
    assert walk.packet(together(sei(2000), short), True) == short
    assert walk.packet(together(sei(2000), b"\x0c\xff\x80"), True) == EMPTY[H264]
    assert walk.packet(together(b"\x78\0\1\x41", b"\x7c\x85\x88\x80\x10"), True) == b""
    assert walk.rules == {"es_cut", "es_nal"}
    assert (walk.inspection.pictures, walk.inspection.keys) == (3, 1)


def test_a_long_sei_in_fragments_is_cut_out_to_its_end() -> None:
    walk = begun()
    parts = [b"\x1c\x86" + b"\x2a" * 1000, b"\x1c\x06" + b"\x2a" * 1000, b"\x1c\x46" + b"\x2a" * 9]
    assert [walk.packet(part) for part in parts] == [b"", b"", b""]
    assert walk.rules == {"es_cut"}
    assert walk.packet(PICTURE, True) == PICTURE


def test_parameter_sets_that_come_again_are_free_and_new_ones_are_not() -> None:
    walk = begun()
    for _ in range(1000):
        assert walk.packet(SPS) == SPS
        assert walk.packet(PPS) == PPS
    passed = sum(bool(walk.packet(SPS + bytes((1 + n % 250, 1 + n // 250)) + b"secret" * 10)) for n in range(1000))
    assert passed * 72 <= SEI_BYTES_AT_ONCE
    assert walk.rules == {"es_cut"}


# -- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", range(3))
@pytest.mark.parametrize("encoding", CODECS)
def test_a_lost_fragment_costs_its_unit_and_says_nothing_against_the_stream(encoding: str, lost: int) -> None:
    walk, unit = begun(encoding), NEXT[encoding][:3] + b"\xa5" * 5000
    parts = [packet.payload for packet in packets(b"\0\0\1" + unit, encoding, 0, 0, 1, 98)]
    for at, part in enumerate(parts):
        if at != lost:
            assert walk.packet(part, gap=at == lost + 1) == (part if at < lost else b"")
    assert walk.rules == {"es_gap"}
    assert walk.packet(NEXT[encoding], True) == NEXT[encoding]


def later(block: int) -> bytes:
    """A P slice that begins at a macroblock from 7 to 14."""
    return b"\x41" + ((block + 1) << 9 | 0b11 << 7).to_bytes(2, "big") + b"\xa5" * 30


def test_after_a_loss_the_other_slices_of_a_picture_go_on() -> None:
    walk = begun()
    assert walk.packet(later(12)) == later(12)
    assert walk.packet(later(9)) == b"", "the control: slices come in their order"
    assert walk.packet(later(9), gap=True) == later(9), "of the next picture, whose first one is lost"


def test_before_the_parameter_sets_no_picture_begins() -> None:
    walk = Walk()
    assert walk.packet(PPS) + walk.packet(PICTURE) == b""
    assert walk.rules == {"es_no_sps"}
    assert walk.packet(SPS) + walk.packet(PPS) == SPS + PPS
    assert walk.packet(later(9)) == b""
    assert walk.inspection.pictures == 0
    assert walk.packet(PICTURE) + walk.packet(later(9)) == PICTURE + later(9), "the control"


# -- packets that are too long ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [60, 500, 1240, 1380])
@pytest.mark.parametrize("encoding", CODECS)
def test_a_packet_that_is_too_long_is_cut_as_its_rfc_says(encoding: str, room: int) -> None:
    stream = annex_b(encoding, 12)
    sent = [packet.payload for packet in packets(stream, encoding, 0, 0, 1, 98, 9000)]
    whole = EsInspection(CODECS[encoding])
    pieces = [piece for payload in sent for piece in whole.pieces(payload, room)]
    assert max(map(len, pieces)) <= room
    first, second = Unpacking(encoding), Unpacking(encoding)
    assert b"".join(map(second.feed, pieces)) == b"".join(map(first.feed, sent))
    assert not second.wrong
    again = Walk(encoding)
    again.packets((piece, False) for piece in pieces)
    assert (again.inspection.pictures, again.inspection.keys) == (12, 2)
    assert again.rules <= {"es_cut", "es_no_sps"}, "what we make of a packet we would take ourselves"


def test_a_fragment_is_cut_into_fragments_whose_bits_say_where_the_unit_begins_and_ends() -> None:
    bits = {b"\x85": [0x85, 0x05, 0x05], b"\x05": [0x05] * 3, b"\x45": [0x05, 0x05, 0x45]}
    for how, expected in bits.items():
        pieces = EsInspection(H264).pieces(b"\x7c" + how + b"\x5a" * 250, 102)
        assert [piece[1] for piece in pieces] == expected
        assert {piece[0] for piece in pieces} == {0x7C}
        assert b"".join(piece[2:] for piece in pieces) == b"\x5a" * 250


# -- anything --------------------------------------------------------------------------------------------------------

PACKETS = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.sampled_from([SPS, PPS, IDR, PICTURE, VPS_5, SPS_5, PPS_5, IDR_5, PICTURE_5, sei(60), EMPTY[H264]]),
    st.tuples(st.sampled_from([b"\x7c\x85", b"\x7c\x05", b"\x7c\x45", b"\x62\x01\x94", b"\x62\x01\x14", b"\x62\x01\x54", b"\x78",
                               b"\x60\x01"]), st.binary(max_size=40)).map(b"".join),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["H264", "H265"]),
    st.lists(st.tuples(PACKETS, st.booleans(), st.integers(0, 9)), max_size=40),
    st.booleans(),
    st.integers(20, 80),
)
def test_whatever_comes_what_goes_on_would_go_on_again(
    encoding: str, sent: list[tuple[bytes, bool, int]], known: bool, room: int
) -> None:
    walk, again, missing = Walk(encoding, known), Walk(encoding, known), False
    for payload, marker, dice in sent:
        went = walk.packet(payload, marker, gap=not dice)
        missing |= not dice
        assert len(went) <= max(len(payload), len(EMPTY[CODECS[encoding]]))
        assert len(walk.inspection._units._sets) <= MAX_SETS
        if went and went != EMPTY[CODECS[encoding]]:
            assert again.packet(went, marker, missing) == went
            assert max(map(len, walk.inspection.pieces(went, room))) <= room
            missing = False
    assert walk.inspection.left == 0
