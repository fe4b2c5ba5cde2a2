"""RTCP is read for one stream's report and a farewell, whatever else stands around them, and written without free text."""

from __future__ import annotations

import pytest

from edge.rtp.rtcp import (
    MAX_COMPOUND_BYTES,
    Heard,
    RemoteRtcpError,
    ReportBlock,
    middle,
    ntp,
    parse,
    receiver_report,
    sender_report,
)

SSRC, PEER, NAME = 200_004_321, 77, b"A" * 16
BLOCK = ReportBlock(SSRC, 12, 345, 0x1_0007, 90, 0x1234_5678, 65_536)


def packet(kind: int, body: bytes, count: int = 0, version: int = 2, words: int | None = None) -> bytes:
    size = len(body) // 4 if words is None else words
    return bytes((version << 6 | count, kind)) + size.to_bytes(2, "big") + body


OWN = PEER.to_bytes(4, "big")
EMPTY = packet(201, OWN)


def test_a_report_is_read_as_it_was_written() -> None:
    written = receiver_report(PEER, (ReportBlock(1, 0, 0, 0, 0), BLOCK), NAME)
    assert parse(written, SSRC) == Heard(PEER, BLOCK, False)
    assert parse(written, 5) == Heard(PEER, None, False), "it says nothing of another stream"


def test_a_loss_below_zero_is_duplicates() -> None:
    written = receiver_report(PEER, (ReportBlock(SSRC, 0, -3, 9, 0),), NAME)
    heard = parse(written, SSRC).block
    assert heard is not None
    assert heard.lost == -3


def test_figures_too_large_for_their_field_are_the_largest() -> None:
    heard = parse(receiver_report(PEER, (ReportBlock(SSRC, 999, 1 << 30, 1 << 40, 1 << 40),), NAME), SSRC).block
    assert heard is not None
    assert (heard.fraction, heard.lost, heard.jitter) == (255, 0x7FFFFF, 0xFFFFFFFF)


def test_a_sender_report_is_as_rfc_3550_draws_it() -> None:
    written = sender_report(SSRC, ntp(0.5), 1 << 32 | 9, 3, 4000, NAME)
    assert written[:8] == b"\x80\xc8\x00\x06" + SSRC.to_bytes(4, "big")
    assert written[8:12] == (2_208_988_800).to_bytes(4, "big"), "1970 by a clock that began in 1900"
    assert written[12:16] == b"\x80\0\0\0", "and half a second"
    assert written[16:28] == b"\0\0\0\x09\0\0\0\x03\0\0\x0f\xa0"
    assert written[28:] == b"\x81\xca\x00\x06" + SSRC.to_bytes(4, "big") + b"\x01\x10" + NAME + b"\0\0"


@pytest.mark.parametrize("size", range(1, 24))
def test_a_name_ends_with_a_zero_and_on_a_whole_word(size: int) -> None:
    written = receiver_report(PEER, (), b"n" * size)
    assert len(written) % 4 == 0
    assert written.endswith((b"n\0", b"\0\0"))
    assert parse(written, SSRC) == Heard(PEER, None, False)


def test_the_middle_of_a_moment() -> None:
    assert middle(0x0123_4567_89AB_CDEF) == 0x4567_89AB


def test_names_notes_and_foreign_packets_are_stepped_over() -> None:
    names = packet(202, OWN + b"\x01\x05hello\x07\x03abc\0\0" + bytes(2), 1)
    own = packet(204, OWN + b"sNgTsNgT")
    extended = packet(207, OWN + bytes(40))
    unknown = packet(222, bytes(4))
    written = EMPTY + names + own + extended + unknown + receiver_report(PEER, (BLOCK,), NAME)
    assert parse(written, SSRC) == Heard(PEER, BLOCK, False)


def test_a_report_within_a_sender_report_counts_as_well() -> None:
    written = packet(200, OWN + bytes(20) + bytes(BLOCK), 1)
    assert parse(written, SSRC).block == BLOCK


def test_a_farewell_counts_for_the_one_that_sends_it() -> None:
    assert parse(EMPTY + packet(203, OWN, 1), SSRC).leaves
    assert parse(EMPTY + packet(203, bytes(4) + OWN, 2), SSRC).leaves
    assert not parse(EMPTY + packet(203, bytes(4), 1), SSRC).leaves
    assert not parse(EMPTY + packet(203, OWN, 0), SSRC).leaves


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "rtcp_short"),
        (b"\x80\xc9\0\x01", "rtcp_short"),
        (EMPTY[:7], "rtcp_short"),
        (packet(201, OWN, words=0), "rtcp_short"),
        (packet(201, OWN, words=2), "rtcp_short"),
        (packet(201, OWN, 1), "rtcp_short"),
        (packet(200, OWN + bytes(20), 1), "rtcp_short"),
        (EMPTY + packet(203, OWN, 2), "rtcp_short"),
        (EMPTY + b"\x80\xca", "rtcp_short"),
        (packet(201, OWN, version=1), "rtcp_version"),
        (EMPTY + packet(201, OWN, version=3), "rtcp_version"),
        (packet(202, OWN), "rtcp_first"),
        (packet(203, OWN, 1), "rtcp_first"),
        (packet(204, OWN + b"name"), "rtcp_first"),
        (packet(207, OWN), "rtcp_first"),
        (EMPTY * 200, "rtcp_long"),
    ],
)
def test_r07_what_does_not_fit_is_refused_by_name(data: bytes, rule: str) -> None:
    with pytest.raises(RemoteRtcpError) as refused:
        parse(data, SSRC)
    assert refused.value.rule == rule
    assert len(EMPTY * 200) > MAX_COMPOUND_BYTES
