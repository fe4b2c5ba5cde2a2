"""Records to bytes and back, for the two sides.

Layout: version octet 1, record number octet, then per field a 16-bit big-endian length and that many octets: text as
UTF-8, numbers as decimal ASCII without sign or leading zero. Nothing follows the last field. One value has one form.
"""

from __future__ import annotations

from typing import Any

from edge.records.alphabet import Alphabet, Whole
from edge.records.types import MAX_RECORD_BYTES, REGISTRY, Record, alphabets

VERSION = 1
_BY_NUMBER = {kind.number: (kind, alphabets(kind)) for kind in REGISTRY}


class LocalRecordError(ValueError):
    """We tried to send a record whose field is outside its alphabet."""


class RemoteRecordError(ValueError):
    """The bytes are no record; ``rule`` names what they break."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def encode(record: Record) -> bytes:
    """Return the wire form.

    Raises:
        LocalRecordError: a field is outside its alphabet.
    """
    out = bytearray((VERSION, record.number))
    for name, alphabet in _BY_NUMBER[record.number][1]:
        value = getattr(record, name)
        if not alphabet.holds(value):
            raise LocalRecordError(f"{type(record).__name__}.{name}")
        raw = str(value).encode("utf-8")
        out += len(raw).to_bytes(2, "big") + raw
    return bytes(out)


def decode(data: bytes) -> Record:
    """Return the record that ``data`` is.

    Raises:
        RemoteRecordError: with the rule that it breaks.
    """
    if not 2 <= len(data) <= MAX_RECORD_BYTES:
        raise RemoteRecordError("record_size")
    if data[0] != VERSION:
        raise RemoteRecordError("record_version")
    if data[1] not in _BY_NUMBER:
        raise RemoteRecordError("record_number")
    kind, spec = _BY_NUMBER[data[1]]
    values: list[str | int] = []
    at = 2
    for _, alphabet in spec:
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise RemoteRecordError("record_truncated")
        values.append(_value(data[at + 2 : end], alphabet))
        at = end
    if at != len(data):
        raise RemoteRecordError("record_trailing")
    make: Any = kind
    made: Record = make(*values)
    return made


def _value(raw: bytes, alphabet: Alphabet) -> str | int:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise RemoteRecordError("record_text") from None
    value: str | int = text
    if isinstance(alphabet, Whole):
        if not (text.isascii() and text.isdigit() and len(text) <= 10) or (text != "0" and text.startswith("0")):
            raise RemoteRecordError("record_alphabet")
        value = int(text)
    if not alphabet.holds(value):
        raise RemoteRecordError("record_alphabet")
    return value
