"""The contract between the halves: codec and verify agree on every record, and on every refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ferry.verify import TABLE, VerifyRefused, verify, wire
from edge.records.alphabet import Choice, Digits, Label, Numbers, Some, Whole
from edge.records.codec import LocalRecordError, RemoteRecordError, decode, encode
from edge.records.types import (
    MAX_RECORD_BYTES,
    REGISTRY,
    CatalogItem,
    MediaSink,
    OpenMedia,
    Party,
    PinOpened,
    Record,
    alphabets,
)

ITEM = CatalogItem("3" * 20, "4" * 20, "北门", "maker", "model", 1, 1)
MIN_CLASSES = 12


def _strategy(alphabet: object) -> st.SearchStrategy[str | int]:
    if isinstance(alphabet, Digits):
        return st.text("0123456789", min_size=alphabet.length, max_size=alphabet.length)
    if isinstance(alphabet, Whole):
        numbers_of = st.integers(alphabet.low, alphabet.high)
        return st.just(0) | numbers_of if alphabet.none else numbers_of
    if isinstance(alphabet, Choice):
        return st.sampled_from(alphabet.words)
    if isinstance(alphabet, Some):
        chosen = st.sets(st.sampled_from(alphabet.words), min_size=1)
        return chosen.map(lambda some: ",".join(word for word in alphabet.words if word in some))
    if isinstance(alphabet, Numbers):
        numbers = st.lists(st.integers(0, alphabet.high), max_size=alphabet.most)
        return numbers.map(lambda each: ",".join(map(str, each)))
    assert isinstance(alphabet, Label)
    return st.text("北门 abc<>'\"&\\-", max_size=30).filter(alphabet.holds)


def records() -> st.SearchStrategy[Record]:
    def of(kind: type[Record]) -> st.SearchStrategy[Record]:
        return st.builds(kind, **{name: _strategy(alphabet) for name, alphabet in alphabets(kind)})

    return st.sampled_from(REGISTRY).flatmap(of)


def test_the_registry_is_not_empty() -> None:
    assert len(REGISTRY) >= MIN_CLASSES
    assert len({kind.number for kind in REGISTRY}) == len(REGISTRY)


@given(records())
def test_a_record_comes_back_as_it_went(record: Record) -> None:
    data = encode(record)
    assert len(data) <= MAX_RECORD_BYTES
    assert decode(data) == record
    assert wire(record) == data


@given(records(), st.sampled_from((Party.SITE, Party.CITY)))
def test_verify_reads_what_the_codec_wrote_from_whom_may_say_it(record: Record, sender: Party) -> None:
    may = any(road[0] is sender for road in record.roads)
    if may:
        assert verify(sender, encode(record), record.descriptors) == record
    else:
        with pytest.raises(VerifyRefused):
            verify(sender, encode(record), record.descriptors)


@given(st.binary(max_size=80), st.sampled_from((Party.SITE, Party.CITY)))
def test_any_bytes_are_a_record_or_a_named_refusal_for_both_readers(data: bytes, sender: Party) -> None:
    for prefix in (b"", b"\x01\x04", b"\x01\x0a"):
        try:
            record = verify(sender, prefix + data, 0)
        except VerifyRefused as refused:
            assert refused.rule.startswith("verify_")
        else:
            assert decode(prefix + data) == record
        try:
            decode(prefix + data)
        except RemoteRecordError as refused:
            assert refused.rule.startswith("record_")


def test_verify_knows_each_record_that_is_not_the_ferrys_own() -> None:
    from_sides = {kind.number for kind in REGISTRY if any(road[0] is not Party.FERRY for road in kind.roads)}
    assert set(TABLE) == from_sides
    for number, line in TABLE.items():
        assert line.kind.number == number
        assert line.sender == {road[0] for road in line.kind.roads} - {Party.FERRY}
        assert line.descriptors == line.kind.descriptors
        assert len(line.readers) == len(alphabets(line.kind))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("北门\n", "verify_label_character"),
        ("\u202e门", "verify_label_character"),
        ("a\u200bb", "verify_label_character"),
        ("门" * 33, "verify_label_long"),
    ],
)
def test_verify_refuses_text_that_the_codec_might_let_by(name: str, rule: str) -> None:
    good = encode(ITEM)
    old, new = ITEM.name.encode(), name.encode()
    data = good.replace(len(old).to_bytes(2, "big") + old, len(new).to_bytes(2, "big") + new)
    with pytest.raises(VerifyRefused) as refused:
        verify(Party.SITE, data, 0)
    assert refused.value.rule == rule


@pytest.mark.parametrize("channel", ["３" * 20, "1" * 19, "1" * 21, "1" * 19 + "\n", "1" * 18 + "%33"])
def test_a_code_is_twenty_ascii_digits(channel: str) -> None:
    with pytest.raises(LocalRecordError):
        encode(replace(ITEM, channel=channel))
    raw = channel.encode()
    good = encode(ITEM)
    data = good.replace(b"\x00\x14" + b"4" * 20, len(raw).to_bytes(2, "big") + raw)
    with pytest.raises(VerifyRefused):
        verify(Party.SITE, data, 0)


@pytest.mark.parametrize("number", ["01", "+1", "-1", "1_0", " 1", "4294967296", "", "1e3", "９"])
def test_a_number_has_one_form(number: str) -> None:
    raw = number.encode()
    body = (
        len(raw).to_bytes(2, "big") + raw + b"\x00\x14" + b"3" * 20 + b"\x00\x14" + b"4" * 20 + b"\x00\x04live\x00\x00"
    )
    with pytest.raises(VerifyRefused):
        verify(Party.CITY, b"\x01\x04" + body, 0)
    with pytest.raises(RemoteRecordError):
        decode(b"\x01\x04" + body)


def test_a_side_cannot_speak_for_the_ferry() -> None:
    for sender in (Party.SITE, Party.CITY):
        with pytest.raises(VerifyRefused) as refused:
            verify(sender, encode(PinOpened(7)), 0)
        assert refused.value.rule == "verify_unknown_record"


def test_the_site_side_cannot_ask_for_a_view() -> None:
    with pytest.raises(VerifyRefused) as refused:
        verify(Party.SITE, encode(OpenMedia(7, "2" * 20, "3" * 20, "4" * 20, "live", "")), 0)
    assert refused.value.rule == "verify_wrong_sender"


@pytest.mark.parametrize("formats", ["", "h264,ps", "ps,ps", "ps,", "ps,h266", "PS"])
def test_formats_are_named_once_and_in_their_order(formats: str) -> None:
    with pytest.raises(LocalRecordError):
        encode(PinOpened(7, formats))
    assert decode(encode(PinOpened(7, "ps,h265"))) == PinOpened(7, "ps,h265"), "the control"


@pytest.mark.parametrize("number", [1, 8, 95, 128])
def test_a_payload_type_is_a_dynamic_one_or_none(number: int) -> None:
    with pytest.raises(LocalRecordError):
        encode(MediaSink(7, 1, 96, number))
    good = encode(MediaSink(7, 1, 96, 98))
    with pytest.raises(VerifyRefused):
        verify(Party.CITY, good.replace(b"\x00\x0298", len(str(number)).to_bytes(2, "big") + str(number).encode()), 1)
    assert verify(Party.CITY, good, 1) == MediaSink(7, 1, 96, 98), "the control"
