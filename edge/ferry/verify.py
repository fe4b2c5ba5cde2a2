"""The second reading of every record: other code than ``edge.records.codec``, and stricter about who may say what.

This module imports no parser and no codec. It knows the record types and reads their bytes character by character
against a table of its own; a test holds the two tables against each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from edge.records.types import (
    ACTIONS,
    FORMATS,
    FRAMINGS,
    KINDS,
    REASONS,
    RECORDING_KINDS,
    AlarmNotice,
    CatalogItem,
    ChannelState,
    CloseMedia,
    DeviceControl,
    MediaAnswered,
    MediaDial,
    MediaDialled,
    MediaFinished,
    MediaReady,
    MediaRefused,
    MediaReports,
    MediaReserved,
    MediaSink,
    OpenMedia,
    OpenTalk,
    OrderDone,
    Party,
    PlaybackAnswer,
    PlaybackControl,
    PositionNotice,
    PresetItem,
    PresetQuery,
    Record,
    RecordItem,
    RecordQuery,
    TalkAnswered,
    TalkReady,
    TalkSink,
)

_WIRE_VERSION = 1
_MOST_BYTES = 1024
_MOST_DIGITS = 10
_ZERO, _NINE = 0x30, 0x39
# Invisible or direction-changing characters that isprintable() of some Python versions lets through.
_NEVER = frozenset("\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")


class VerifyRefused(Exception):
    """A record that may not cross; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def _digits(raw: bytes) -> None:
    if not raw or any(octet < _ZERO or octet > _NINE for octet in raw):
        raise VerifyRefused("verify_digits")


def _code(raw: bytes) -> str:
    if len(raw) != 20:
        raise VerifyRefused("verify_code")
    _digits(raw)
    return "".join(chr(octet) for octet in raw)


def _whole(low: int, high: int) -> Callable[[bytes], int]:
    def read(raw: bytes) -> int:
        _digits(raw)
        if len(raw) > _MOST_DIGITS or (len(raw) > 1 and raw[0] == _ZERO):
            raise VerifyRefused("verify_number")
        value = 0
        for octet in raw:
            value = value * 10 + octet - _ZERO
        if not low <= value <= high:
            raise VerifyRefused("verify_range")
        return value

    return read


def _or_none(read_one: Callable[[bytes], int]) -> Callable[[bytes], int]:
    return lambda raw: 0 if raw == b"0" else read_one(raw)


def _word(words: tuple[str, ...]) -> Callable[[bytes], str]:
    known = {word.encode("ascii"): word for word in words}

    def read(raw: bytes) -> str:
        if raw not in known:
            raise VerifyRefused("verify_word")
        return known[raw]

    return read


def _label(most: int) -> Callable[[bytes], str]:
    def read(raw: bytes) -> str:
        if len(raw) > most:
            raise VerifyRefused("verify_label_long")
        try:
            text = str(raw, "utf-8", "strict")
        except UnicodeDecodeError:
            raise VerifyRefused("verify_label_utf8") from None
        for character in text:
            if not character.isprintable() or character in _NEVER:
                raise VerifyRefused("verify_label_character")
        return text

    return read


def _numbers(most: int, high: int) -> Callable[[bytes], str]:
    read_one = _whole(0, high)

    def read(raw: bytes) -> str:
        parts = raw.split(b",") if raw else []
        if len(parts) > most:
            raise VerifyRefused("verify_numbers")
        return ",".join(str(read_one(part)) for part in parts)

    return read


_call = _whole(1, 0xFFFFFFFF)
_ssrc = _whole(0, 0xFFFFFFFF)
_payload_type = _whole(96, 127)
_offered = _or_none(_payload_type)
_flag = _whole(0, 1)
_stream = _whole(0, 1)
_port = _whole(1024, 65535)
_reason = _word(REASONS)
_name = _label(96)
_order = _whole(1, 0xFFFFFFFF)
_seconds = _whole(0, 4_102_444_800)
_longitude, _latitude = _whole(0, 360_000_000), _whole(0, 180_000_000)
_recordings = _word(RECORDING_KINDS)

Reader = Callable[[bytes], str | int]


@dataclass(frozen=True, slots=True)
class _Line:
    """One record as the ferry accepts it: who may send it, where it ends, how many descriptors come with it."""

    kind: type[Record]
    sender: frozenset[Party]
    descriptors: int
    readers: tuple[Reader, ...]


_SITE, _CITY = frozenset({Party.SITE}), frozenset({Party.CITY})
TABLE: dict[int, _Line] = {
    1: _Line(CatalogItem, _SITE, 0, (_code, _code, _name, _name, _name, _whole(0, 7), _flag)),
    2: _Line(ChannelState, _SITE, 0, (_code, _code, _flag)),
    3: _Line(MediaSink, _CITY, 1, (_call, _ssrc, _offered, _offered, _offered, _flag)),
    4: _Line(
        OpenMedia,
        _CITY,
        0,
        (_call, _code, _code, _code, _word(KINDS), _name, _seconds, _seconds, _whole(0, 256), _stream),
    ),
    5: _Line(MediaReserved, _SITE, 0, (_call, _port)),
    7: _Line(MediaAnswered, _SITE, 0, (_call, _stream, _word(tuple(FORMATS)), _payload_type)),
    8: _Line(MediaReady, _SITE, 1, (_call, _ssrc, _payload_type, _word(FRAMINGS))),
    9: _Line(MediaRefused, _SITE, 0, (_call, _whole(400, 699), _reason)),
    10: _Line(CloseMedia, _SITE | _CITY, 0, (_call, _reason)),
    13: _Line(
        PlaybackControl,
        _CITY,
        0,
        (_call, _order, _word(("play", "pause", "stop")), _whole(0, 6400), _flag, _flag, _whole(0, 2_678_400_000)),
    ),
    14: _Line(PlaybackAnswer, _SITE, 0, (_call, _order, _whole(200, 699))),
    15: _Line(MediaFinished, _SITE, 0, (_call,)),
    16: _Line(RecordQuery, _CITY, 0, (_order, _code, _code, _code, _name, _seconds, _seconds, _recordings)),
    17: _Line(RecordItem, _SITE, 0, (_order, _whole(0, 1_000_000), _name, _seconds, _seconds, _recordings, _flag)),
    18: _Line(PresetQuery, _CITY, 0, (_order, _code, _code, _code, _name)),
    19: _Line(PresetItem, _SITE, 0, (_order, _whole(0, 255), _name)),
    20: _Line(
        DeviceControl, _CITY, 0, (_order, _code, _code, _code, _name, _word(tuple(ACTIONS)), _numbers(6, 100_000))
    ),
    21: _Line(OrderDone, _SITE, 0, (_order, _reason, _whole(0, 1_000_000))),
    22: _Line(
        AlarmNotice,
        _SITE,
        0,
        (
            _code,
            _code,
            _whole(1, 4),
            _whole(1, 7),
            _whole(0, 99),
            _whole(0, 9),
            _seconds,
            _label(300),
            _flag,
            _longitude,
            _latitude,
        ),
    ),
    23: _Line(
        PositionNotice,
        _SITE,
        0,
        (_code, _code, _seconds, _longitude, _latitude, _whole(0, 20_000), _whole(0, 36_000), _whole(0, 210_000)),
    ),
    24: _Line(OpenTalk, _CITY, 0, (_call, _code, _code, _code, _name)),
    25: _Line(TalkAnswered, _SITE, 0, (_call,)),
    26: _Line(TalkReady, _CITY, 1, (_call,)),
    28: _Line(
        MediaDial,
        _CITY,
        0,
        (_call, _ssrc, _offered, _whole(0, 0xFFFFFFFF), _port, _whole(0, 0xFFFFFFFF), _port, _offered, _offered),
    ),
    29: _Line(MediaDialled, _CITY, 1, (_call,)),
    30: _Line(TalkSink, _SITE, 1, (_call, _ssrc)),
    31: _Line(MediaReports, _SITE | _CITY, 1, (_call,)),
}


def verify(sender: Party, data: bytes, descriptors: int) -> Record:
    """Return the record in ``data`` if ``sender`` may send it with that many descriptors.

    Raises:
        VerifyRefused: with the rule it breaks.
    """
    if len(data) < 2 or len(data) > _MOST_BYTES or data[0] != _WIRE_VERSION:
        raise VerifyRefused("verify_frame")
    line = TABLE.get(data[1])
    if line is None:
        raise VerifyRefused("verify_unknown_record")
    if sender not in line.sender:
        raise VerifyRefused("verify_wrong_sender")
    if descriptors != line.descriptors:
        raise VerifyRefused("verify_descriptors")
    values: list[str | int] = []
    rest = memoryview(data)[2:]
    for reader in line.readers:
        if len(rest) < 2:
            raise VerifyRefused("verify_short")
        size = rest[0] << 8 | rest[1]
        if len(rest) < 2 + size:
            raise VerifyRefused("verify_short")
        values.append(reader(bytes(rest[2 : 2 + size])))
        rest = rest[2 + size :]
    if len(rest):
        raise VerifyRefused("verify_trailing")
    make: Any = line.kind
    record: Record = make(*values)
    return record


def wire(record: Record) -> bytes:
    """Return the bytes of a verified record, written by this module's own hand: nothing received is sent on."""
    out = bytes((_WIRE_VERSION, record.number))
    for field in fields(record):
        raw = bytes(str(getattr(record, field.name)), "utf-8")
        out += bytes((len(raw) >> 8, len(raw) & 0xFF)) + raw
    return out
