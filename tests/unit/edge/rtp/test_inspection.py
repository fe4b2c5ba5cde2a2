"""The walk over a program stream: what is good goes on octet for octet however it is cut, and nothing else does."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.rtp.inspection import EMPTY, PsInspection
from edge.rtp.nal import SEI_BYTES_AT_ONCE
from edge.rtp.packet import PAYLOAD_BYTES
from edge.rtp.ps import crc32, mux
from edge.rtp.psm import read_map

CORPUS = Path(__file__).parents[5] / "shared/corpus/media"
CODE = b"\x00\x00\x00\x01"
PARAMETERS = CODE + b"\x67\x42\x00\x1f\xe9" + CODE + b"\x68\xce\x3c\x80"


def key(octets: int = 5000) -> bytes:
    return mux(PARAMETERS + CODE + b"\x65" + b"\x5a" * octets, 3600)


def picture(octets: int = 3000, before: bytes = b"") -> bytes:
    return mux(before + CODE + b"\x41" + b"\xa5" * octets, 7200)


def pes(stream: int, payload: bytes, header: bytes = b"\x80\x00\x00") -> bytes:
    return b"\x00\x00\x01" + bytes((stream,)) + (len(header) + len(payload)).to_bytes(2, "big") + header + payload


def cut(unit: bytes, size: int = PAYLOAD_BYTES) -> Iterator[tuple[bytes, bool]]:
    for at in range(0, len(unit), size):
        yield unit[at : at + size], at + size >= len(unit)


class Walk:
    """An inspection, and everything that went on; as the relay asks it: only where ``left`` does not settle it."""

    def __init__(self, types: dict[int, int] | None = None) -> None:
        self.inspection = PsInspection(types)
        self.out = b""

    def packet(self, payload: bytes, marker: bool, gap: bool = False) -> bytes:
        data = bytearray(12) + payload
        if not gap and self.inspection.left >= len(payload):
            self.inspection.left -= len(payload)
            said: bytes | None = None
        else:
            said = self.inspection.take(data, 12, len(data), marker, gap)
        went = bytes(data[12:]) if said is None else said
        self.out += went
        return went

    def units(self, units: Iterable[bytes], size: int = PAYLOAD_BYTES) -> bytes:
        for unit in units:
            for payload, marker in cut(unit, size):
                self.packet(payload, marker)
        return self.out


def rules(walk: Walk) -> set[str]:
    return set(walk.inspection.counters)


@pytest.mark.parametrize("size", [1, 3, 7, 13, 100, 1360, 9000, 70000])
def test_a_good_stream_goes_on_octet_for_octet_however_it_is_cut(size: int) -> None:
    units = [key(), picture(), picture(200_000), key(150_000), picture(1)]
    walk = Walk()
    assert walk.units(units, size) == b"".join(units)
    assert not walk.inspection.counters


def test_most_packets_are_not_even_looked_at() -> None:
    walk = Walk()
    walk.packet(key()[:1360], False)
    assert walk.inspection.left == len(key()) - 1360


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=40), st.integers(1, 2**32))
def test_any_cuts_of_a_good_stream_change_nothing(cuts: list[int], seed: int) -> None:
    rest = key(random.Random(seed).randrange(1, 9000)) + picture(
        2000, CODE + b"\x06\x05\x10" + bytes(range(1, 17)) + b"\x80"
    )
    walk, whole = Walk(), rest
    for size in cuts:
        walk.packet(rest[:size], False)
        rest = rest[size:]
    walk.packet(rest or b"\x00\x00\x01\xb9", True)
    assert walk.out.startswith(whole)


@given(st.lists(st.binary(max_size=1500), max_size=30), st.randoms())
def test_octets_that_nobody_made_crash_nothing_and_pass_only_inside_what_was_announced(
    junk: list[bytes], chance: random.Random
) -> None:
    walk = Walk()
    for each in junk:
        data = each if chance.random() < 0.5 else key(500)[: chance.randrange(1, 400)] + each
        if data:
            walk.packet(data, chance.random() < 0.3, chance.random() < 0.1)


def test_before_a_pack_header_nothing_goes_on() -> None:
    walk = Walk()
    for junk in (
        b"\x17\x03\x03\x00\x50" * 200,
        b"GET / HTTP/1.1\r\n" * 80,
        b"PK\x03\x04" * 300,
        random.Random(1).randbytes(1300),
    ):
        assert walk.packet(junk, True) == b""
    assert rules(walk) == {"ps_unknown"}
    assert walk.units([key()]) == key(), "the control"


def test_what_stops_being_a_program_stream_stops() -> None:
    walk = Walk()
    walk.units([key()])
    went = len(walk.out)
    for _ in range(50):
        walk.packet(b"\x17\x03\x03\x00\x50" * 200, True)
    assert len(walk.out) == went
    assert rules(walk) == {"ps_start_code", "ps_unknown"}


def test_a_lost_packet_costs_its_picture_and_lets_no_more_pass_than_was_announced() -> None:
    walk, unit = Walk(), picture(10_000)
    walk.units([key()])
    walk.out = b""
    packets = list(cut(unit))
    walk.packet(*packets[0])
    for payload, marker in packets[2:]:
        walk.packet(payload, marker, gap=payload is packets[2][0])
    assert len(walk.out) <= len(unit)
    junk = random.Random(2).randbytes(PAYLOAD_BYTES)
    walk.packet(junk, False)
    walk.packet(junk, False)
    assert len(walk.out) <= len(unit)
    walk.out = b""
    assert walk.units([picture(), key()]) == picture() + key(), "the next pack header says where we are"


def test_a_lost_frame_start_lets_nothing_pass_until_the_next() -> None:
    walk = Walk()
    walk.units([key()])
    went, packets = len(walk.out), list(cut(picture(10_000)))
    for payload, marker in packets[1:]:
        walk.packet(payload, marker, gap=payload is packets[1][0])
    assert len(walk.out) == went


@pytest.mark.parametrize("stream", [0xBD, 0xBE, 0xBF, 0xF0, 0xFF, 0xE1, 0xC0])
@pytest.mark.parametrize("size", [7, 300, 1360])
def test_what_is_not_in_the_map_is_cut_out_and_the_rest_is_whole(stream: int, size: int) -> None:
    foreign = pes(stream, b"secret" * 700)
    walk = Walk()
    assert b"secret" not in walk.units([key() + foreign + key(), foreign, picture(), foreign + picture()], size)
    assert walk.out.replace(EMPTY, b"") == key() + key() + picture() + picture()
    assert rules(walk) <= {"ps_private", "ps_stream"}


def test_without_a_map_no_stream_is_carried() -> None:
    walk = Walk()
    assert b"\xa5\xa5" not in walk.units([picture(), picture()])
    assert rules(walk) == {"ps_no_map"}
    assert Walk({0xE0: 0x1B}).units([picture()]) == picture(), "one who takes over from another knows the map"


def stream_map(descriptors: bytes, stream_descriptors: bytes = b"") -> bytes:
    entry = b"\x1b\xe0" + len(stream_descriptors).to_bytes(2, "big") + stream_descriptors
    body = b"\xe0\xff" + len(descriptors).to_bytes(2, "big") + descriptors + len(entry).to_bytes(2, "big") + entry
    head = b"\x00\x00\x01\xbc" + (len(body) + 4).to_bytes(2, "big") + body
    return head + crc32(head).to_bytes(4, "big")


def test_the_map_loses_its_descriptors() -> None:
    clean, unit = stream_map(b""), key()
    assert clean in unit
    said = unit.replace(clean, stream_map(b"\x40\x0esecret secrets", b"\x42\x06secret"))
    assert Walk().units([said]) == unit


@pytest.mark.parametrize("size", [13, 1360])
def test_a_pes_header_loses_all_but_its_times(size: int) -> None:
    private = b"\x80\x81\x16" + b"\x21\x00\x01\x00\x01" + b"\x80" + b"secretsecretsecr"
    unit = key() + pes(0xE0, CODE + b"\x41" + b"\x11" * 500, private)
    walk = Walk()
    assert b"secret" not in walk.units([unit], size)
    assert len(walk.out) == len(unit)
    assert walk.out.endswith(b"\x80\x80\x16\x21\x00\x01\x00\x01" + b"\xff" * 17 + CODE + b"\x41" + b"\x11" * 500)


def sei(octets: int) -> bytes:
    return CODE + b"\x06\x05" + b"\x2a" * octets + b"\x80"


def test_a_little_supplemental_information_goes_on() -> None:
    units = [key(), *(picture(500, sei(60)) for _ in range(200))]
    assert Walk().units(units) == b"".join(units)


@pytest.mark.parametrize("size", [7, 50, 1360])
def test_more_than_its_budget_becomes_filler_of_the_same_length(size: int) -> None:
    unit = picture(500, sei(3500))
    walk = Walk()
    walk.units([key()])
    walk.out = b""
    walk.units([unit], size)
    assert walk.out.count(b"\x2a") <= SEI_BYTES_AT_ONCE
    assert len(walk.out) == len(unit)
    assert walk.out.endswith(CODE + b"\x41" + b"\xa5" * 500), "the picture is whole"
    assert walk.inspection.counters["sei_blanked"] >= 3500 - SEI_BYTES_AT_ONCE


def test_a_unit_type_that_no_stream_has_ends_it() -> None:
    walk = Walk()
    walk.units([key()])
    went = len(walk.out)
    walk.units([mux(CODE + b"\x1f" + b"\xa5" * 3000, 1)])
    assert b"\xa5" not in walk.out[went:]
    assert "ps_nal" in rules(walk)


def test_mpeg_1_is_refused_by_name() -> None:
    walk = Walk()
    unit = b"\x00\x00\x01\xba\x21\x00\x01\x00\x01\x80\x1b\x91" + pes(0xE0, CODE + b"\x41" + b"\xa5" * 2000)
    assert walk.units([unit, unit]) == b""
    assert "ps_mpeg1" in rules(walk)


def test_a_picture_of_no_stated_length_ends_with_its_marker() -> None:
    open_ended = bytearray(picture(5000))
    at = open_ended.index(b"\x00\x00\x01\xe0") + 4
    open_ended[at : at + 2] = b"\x00\x00"
    walk = Walk()
    assert walk.units([key(), bytes(open_ended), picture()]) == key() + bytes(open_ended) + picture()


def test_what_is_scrambled_passes_untouched_and_is_named() -> None:
    scrambled = key() + pes(0xE0, random.Random(3).randbytes(4000), b"\x90\x00\x00")
    walk = Walk()
    assert walk.units([scrambled]) == scrambled
    assert walk.inspection.protected


@pytest.mark.skipif(not CORPUS.exists(), reason="real streams lie beside the checkout where somebody put them")
def test_a_real_stream_with_sound_goes_on_whole() -> None:
    stream = (CORPUS / "zlm_h264_pcma.ps").read_bytes()
    told = stream[stream.index(b"\x00\x00\x01\xbc") :]
    told = told[: 6 + int.from_bytes(told[4:6], "big")]
    read = read_map(told)
    assert read is not None
    assert read.types == {0xE0: 0x1B, 0xC0: 0x90}
    walk = Walk()
    assert walk.units([stream]) == stream.replace(told, read.clean)
    refused = Walk()
    assert refused.units([(CORPUS / "testsrc_h264.ps.mpg").read_bytes()]) == b""
    assert "ps_mpeg1" in rules(refused)


@pytest.mark.parametrize("size", [7, 100, 1360, 70000])
def test_pictures_are_counted_however_they_are_cut(size: int) -> None:
    walk = Walk()
    walk.units(
        [key(), picture(), picture(200_000), key(150_000), picture(1), picture(before=CODE + b"\x06\x05\x01\x80")], size
    )
    assert (walk.inspection.pictures, walk.inspection.keys) == (6, 2)


def test_a_map_before_every_picture_makes_no_key_picture_of_it() -> None:
    walk = Walk()
    headers = key(1)[: key(1).find(b"\x00\x00\x01\xe0")]
    walk.units([key(), headers + picture()[14:], headers + picture()[14:]])
    assert (walk.inspection.pictures, walk.inspection.keys) == (3, 1)


def test_sound_is_no_picture() -> None:
    walk = Walk()
    walk.units([key(), picture()[:14] + pes(0xC0, b"\xd5" * 320), picture()])
    assert (walk.inspection.pictures, walk.inspection.keys) == (2, 1)


def test_where_the_codec_does_not_say_the_map_does() -> None:
    walk = Walk()
    scrambled = bytearray(key())
    scrambled[scrambled.find(b"\x00\x00\x01\xe0") + 6] |= 0x10
    plain = bytearray(picture())
    plain[plain.find(b"\x00\x00\x01\xe0") + 6] |= 0x10
    walk.units([bytes(scrambled), bytes(plain), bytes(plain)])
    assert walk.inspection.protected
    assert (walk.inspection.pictures, walk.inspection.keys) == (3, 1)
