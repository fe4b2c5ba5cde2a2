"""Every record that may cross, with the alphabet of each of its fields and its road.

A new record is a new class here, a line in ``edge.ferry.verify`` and nothing else. Fields are small on purpose:
whatever cannot be said with them does not cross.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, get_type_hints

#: One record is one datagram; no record comes near this.
MAX_RECORD_BYTES = 1024


class Party(enum.StrEnum):
    """Who speaks on a ferry socket. The ferry itself is a party: some records end with it."""

    SITE = "site"
    FERRY = "ferry"
    CITY = "city"


@dataclass(frozen=True, slots=True)
class Digits:
    """Alphabet: exactly ``length`` ASCII digits (GB/T 28181 annex D codes)."""

    length: int

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and len(value) == self.length and value.isascii() and value.isdigit()


@dataclass(frozen=True, slots=True)
class Whole:
    """Alphabet: a whole number from ``low`` to ``high``, both included."""

    low: int
    high: int

    def holds(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Choice:
    """Alphabet: one of a closed list of words."""

    words: tuple[str, ...]

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and value in self.words


@dataclass(frozen=True, slots=True)
class Label:
    """Alphabet: text a person wrote, at most ``most_bytes`` of UTF-8, every character of it printable.

    ``str.isprintable`` refuses controls, separators other than the space, bidirectional overrides and surrogates.
    """

    most_bytes: int

    def holds(self, value: object) -> bool:
        return (
            isinstance(value, str) and value.isprintable() and len(value.encode("utf-8", "replace")) <= self.most_bytes
        )


Alphabet = Digits | Whole | Choice | Label

#: Why a view was refused or ended. The sentences stand in ``netconf.words``.
REASONS = (
    "cancelled",
    "channel_not_admitted",
    "channel_not_shared",
    "channel_unknown",
    "city_forgot",
    "city_unreached",
    "ended_normally",
    "ferry_unreachable",
    "media_address_foreign",
    "media_stopped",
    "no_media",
    "pin_refused",
    "recorder_no_answer",
    "recorder_offline",
    "recorder_refused",
    "right_not_granted",
    "sdp_unacceptable",
    "side_lost",
    "too_many_calls",
)
KINDS = ("live",)
REFUSAL_STATUS = (403, 404, 408, 480, 486, 488, 503)

Code = Annotated[str, Digits(20)]
CallNumber = Annotated[int, Whole(1, 0xFFFFFFFF)]
Ssrc = Annotated[int, Whole(0, 0xFFFFFFFF)]
PayloadType = Annotated[int, Whole(96, 127)]
Port = Annotated[int, Whole(1024, 65535)]
Flag = Annotated[int, Whole(0, 1)]
Name = Annotated[str, Label(96)]
Reason = Annotated[str, Choice(REASONS)]

_UP = ((Party.SITE, Party.CITY),)
_DOWN = ((Party.CITY, Party.SITE),)


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """A shared channel as the recorder describes it. Address, port, password and owner have no field here."""

    number: ClassVar[int] = 1
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    recorder: Code
    channel: Code
    name: Name
    manufacturer: Name
    model: Name
    ptz_type: Annotated[int, Whole(0, 7)]
    online: Flag


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A shared channel came or went."""

    number: ClassVar[int] = 2
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    recorder: Code
    channel: Code
    online: Flag


@dataclass(frozen=True, slots=True)
class MediaSink:
    """Where the city wants a call's media: a socket connected to it, and what to stamp into each packet."""

    number: ClassVar[int] = 3
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.CITY, Party.FERRY),)
    descriptors: ClassVar[int] = 1
    call: CallNumber
    ssrc: Ssrc
    payload_type: PayloadType


@dataclass(frozen=True, slots=True)
class OpenMedia:
    """The city asks for a view. ``viewer`` is the organisation as it names itself, "" when it does not."""

    number: ClassVar[int] = 4
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _DOWN
    descriptors: ClassVar[int] = 0
    call: CallNumber
    recorder: Code
    channel: Code
    kind: Annotated[str, Choice(KINDS)]
    viewer: Name


@dataclass(frozen=True, slots=True)
class MediaReserved:
    """The site side holds this port of its LAN address for the call: the pin can be opened."""

    number: ClassVar[int] = 5
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.SITE, Party.FERRY),)
    descriptors: ClassVar[int] = 0
    call: CallNumber
    port: Port


@dataclass(frozen=True, slots=True)
class PinOpened:
    """The keeper opened the pin: the recorder may be asked to send."""

    number: ClassVar[int] = 6
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.FERRY, Party.SITE),)
    descriptors: ClassVar[int] = 0
    call: CallNumber


@dataclass(frozen=True, slots=True)
class MediaAnswered:
    """The recorder agreed to send."""

    number: ClassVar[int] = 7
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    call: CallNumber


@dataclass(frozen=True, slots=True)
class MediaReady:
    """The recorder's first good packet is there: the socket connected to its source, and what it sends."""

    number: ClassVar[int] = 8
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.SITE, Party.FERRY),)
    descriptors: ClassVar[int] = 1
    call: CallNumber
    ssrc: Ssrc
    payload_type: PayloadType


@dataclass(frozen=True, slots=True)
class MediaRefused:
    """The view does not come about; ``status`` is the SIP status for the city (RFC 3261 21)."""

    number: ClassVar[int] = 9
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = (*_UP, (Party.FERRY, Party.CITY))
    descriptors: ClassVar[int] = 0
    call: CallNumber
    status: Annotated[int, Whole(400, 699)]
    reason: Reason


@dataclass(frozen=True, slots=True)
class CloseMedia:
    """The view ends."""

    number: ClassVar[int] = 10
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = (
        *_UP,
        *_DOWN,
        (Party.FERRY, Party.SITE),
        (Party.FERRY, Party.CITY),
    )
    descriptors: ClassVar[int] = 0
    call: CallNumber
    reason: Reason


@dataclass(frozen=True, slots=True)
class CallLives:
    """To a side that was started again: media of this call flows."""

    number: ClassVar[int] = 11
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.FERRY, Party.SITE), (Party.FERRY, Party.CITY))
    descriptors: ClassVar[int] = 0
    call: CallNumber


@dataclass(frozen=True, slots=True)
class CallsTold:
    """To a side that was started again: those were all; what it holds beside them is over."""

    number: ClassVar[int] = 12
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.FERRY, Party.SITE), (Party.FERRY, Party.CITY))
    descriptors: ClassVar[int] = 0
    count: Annotated[int, Whole(0, 4096)]


Record = (
    CatalogItem
    | ChannelState
    | MediaSink
    | OpenMedia
    | MediaReserved
    | PinOpened
    | MediaAnswered
    | MediaReady
    | MediaRefused
    | CloseMedia
    | CallLives
    | CallsTold
)

REGISTRY: tuple[type[Record], ...] = (
    CatalogItem,
    ChannelState,
    MediaSink,
    OpenMedia,
    MediaReserved,
    PinOpened,
    MediaAnswered,
    MediaReady,
    MediaRefused,
    CloseMedia,
    CallLives,
    CallsTold,
)


def alphabets(kind: type[Record]) -> tuple[tuple[str, Alphabet], ...]:
    """Return the fields of a record class in wire order, each with its alphabet."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple((field.name, hints[field.name].__metadata__[0]) for field in fields(kind))
