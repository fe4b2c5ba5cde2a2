"""Every record that may cross, with the alphabet of each of its fields and its road.

A new record is a new class here, a line in ``edge.ferry.verify`` and nothing else. Fields are small on purpose:
whatever cannot be said with them does not cross.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, get_args, get_type_hints

from edge.records.alphabet import Alphabet, Choice, Digits, Label, Numbers, Some, Whole

#: One record is one datagram; no record comes near this.
MAX_RECORD_BYTES = 1024


class Party(enum.StrEnum):
    """Who speaks on a ferry socket. The ferry itself is a party: some records end with it."""

    SITE = "site"
    FERRY = "ferry"
    CITY = "city"


#: Why a view was refused or ended. The sentences stand in ``netconf.words``.
REASONS = (
    "cancelled", "channel_not_admitted", "channel_not_shared", "channel_unknown", "city_forgot",
    "city_media_backwards", "city_media_closed", "city_media_unreached", "city_unreached", "done", "edition_lacks",
    "encoding_not_carried", "ended_normally", "ferry_unreachable", "format_not_offered", "media_address_foreign",
    "media_foreign", "media_stopped", "no_media", "pin_refused", "recorder_no_answer", "recorder_offline",
    "recorder_refused", "right_not_allowed", "right_not_granted", "sdp_unacceptable", "side_lost", "too_many_calls",
    "tunnel_switched", "uplink_full", "uplink_yielded",
)  # fmt: skip
#: What may be viewed: now, what was recorded, and what was recorded as fast as it goes.
KINDS = ("live", "playback", "download")
#: What may be granted for a channel: the kinds of view, and what else the city may do with it or hear from it.
RIGHTS = (*KINDS, "talk", "ptz", "alarms", "positions")
RECORDING_KINDS = ("time", "alarm", "manual", "all")
#: A ``StreamNumber`` in words.
STREAMS = ("main", "sub")
_STILL, _OCTET, _TWELVE, _PIXEL = (0, 2), (0, 255), (0, 4095), (0, 65535)
#: What may be ordered of a channel, with the right that it takes and the range of each of its numbers. Of three ways (left,
#: still, right) the middle one is 1. What is not listed (restarting, formatting, upgrading, configuring, disarming, ending
#: a recording) cannot be said in a record.
ACTIONS: dict[str, tuple[str, tuple[tuple[int, int], ...]]] = {
    "move": ("ptz", (_STILL, _STILL, _STILL, _OCTET, _OCTET, (0, 15))),
    "lens": ("ptz", (_STILL, _STILL, _OCTET, _OCTET)),
    "preset_set": ("ptz", ((1, 255),)),
    "preset_call": ("ptz", ((1, 255),)),
    "preset_delete": ("ptz", ((1, 255),)),
    "cruise_add": ("ptz", (_OCTET, _OCTET)),
    "cruise_delete": ("ptz", (_OCTET, _OCTET)),
    "cruise_speed": ("ptz", (_OCTET, _TWELVE)),
    "cruise_dwell": ("ptz", (_OCTET, _TWELVE)),
    "cruise_start": ("ptz", (_OCTET, _OCTET)),
    "scan_start": ("ptz", (_OCTET,)),
    "scan_left": ("ptz", (_OCTET,)),
    "scan_right": ("ptz", (_OCTET,)),
    "scan_speed": ("ptz", (_OCTET, _TWELVE)),
    "auxiliary": ("ptz", (_OCTET, (0, 1))),
    "zoom_to": ("ptz", (_PIXEL,) * 6),
    "zoom_from": ("ptz", (_PIXEL,) * 6),
    "home": ("ptz", ((0, 1), (0, 86400), _OCTET)),
    "turn_to": ("ptz", ((0, 36000), (0, 12000), (0, 100000))),
    "key_frame": ("live", ()),
    "record_start": ("playback", ()),
    "guard_set": ("alarms", ()),
    "alarm_reset": ("alarms", ((0, 7), (0, 99))),
}
#: What may be in the packets: a program stream, or an elementary one that is not wrapped; and the payload types by which
#: recorders are asked for it (GB/T 28181-2016 annex C.2.4, 2022).
FORMATS = {"ps": 96, "h264": 98, "h265": 100}
#: How a recorder's packets come: each in a datagram, or in a connection's frames (RFC 4571, RFC 2326 10.12).
FRAMINGS = ("datagram", "length", "interleaved")
REFUSAL_STATUS = (403, 404, 408, 480, 486, 488, 503)

Code = Annotated[str, Digits(20)]
CallNumber = Annotated[int, Whole(1, 0xFFFFFFFF)]
Ssrc = Annotated[int, Whole(0, 0xFFFFFFFF)]
PayloadType = Annotated[int, Whole(96, 127)]
#: 0: it is not offered.
OfferedType = Annotated[int, Whole(96, 127, none=True)]
Format = Annotated[str, Choice(tuple(FORMATS))]
Port = Annotated[int, Whole(1024, 65535)]
Ipv4 = Annotated[int, Whole(0, 0xFFFFFFFF)]
Flag = Annotated[int, Whole(0, 1)]
#: 0 the main stream of a camera, 1 its sub-stream.
StreamNumber = Annotated[int, Whole(0, 1)]
Name = Annotated[str, Label(96)]
Order = Annotated[int, Whole(1, 0xFFFFFFFF)]
#: Seconds of the epoch.
Seconds = Annotated[int, Whole(0, 4_102_444_800)]
#: Millionths of a degree, counted from 180 west and 90 south.
Longitude = Annotated[int, Whole(0, 360_000_000)]
Latitude = Annotated[int, Whole(0, 180_000_000)]
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
    """Where the city wants a call's media by UDP: a socket connected to it, and what to stamp into each packet.

    The payload type is that of the format that comes, each as the city's own offer has it.
    """

    number: ClassVar[int] = 3
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.CITY, Party.FERRY),)
    descriptors: ClassVar[int] = 1
    call: CallNumber
    ssrc: Ssrc
    ps: OfferedType
    h264: OfferedType = 0
    h265: OfferedType = 0
    #: Reports go and come by the same socket (RFC 5761).
    mux: Flag = 0


@dataclass(frozen=True, slots=True)
class OpenMedia:
    """A platform asks for a view. ``viewer`` is the organisation as it names itself, "" when it does not.

    ``start`` and ``end`` bound what is asked of a recording, ``speed`` is a download's; all 0 for what is live. ``stream``
    is which one the city asks for, and toward the site which one it gets; of a recording always 0.
    """

    number: ClassVar[int] = 4
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _DOWN
    descriptors: ClassVar[int] = 0
    call: CallNumber
    platform: Code
    recorder: Code
    channel: Code
    kind: Annotated[str, Choice(KINDS)]
    viewer: Name
    start: Seconds = 0
    end: Seconds = 0
    speed: Annotated[int, Whole(0, 256)] = 0
    stream: StreamNumber = 0


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
    """The keeper opened the pin: the recorder may be asked to send, in one of these formats, which the viewer takes."""

    number: ClassVar[int] = 6
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.FERRY, Party.SITE),)
    descriptors: ClassVar[int] = 0
    call: CallNumber
    formats: Annotated[str, Some(tuple(FORMATS))] = "ps"


@dataclass(frozen=True, slots=True)
class MediaAnswered:
    """The recorder agreed to send; the city hears which stream it is that it gets, and in which format.

    ``payload_type`` is the one of the side that speaks or is spoken to: from the site the recorder's, to the city that of
    the city's own offer.
    """

    number: ClassVar[int] = 7
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    call: CallNumber
    stream: StreamNumber = 0
    format: Format = "ps"
    payload_type: PayloadType = FORMATS["ps"]


@dataclass(frozen=True, slots=True)
class MediaReady:
    """The recorder's first good packet is there: the socket connected to its source, and what it sends.

    ``framing`` is what stands before each packet of a connection: two octets of length, or RTSP's four.
    """

    number: ClassVar[int] = 8
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.SITE, Party.FERRY),)
    descriptors: ClassVar[int] = 1
    call: CallNumber
    ssrc: Ssrc
    payload_type: PayloadType
    framing: Annotated[str, Choice(FRAMINGS)] = "datagram"


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


@dataclass(frozen=True, slots=True)
class PlaybackControl:
    """Play, pause, seek, speed (2016 annex B). ``scale`` in hundredths, 0 leaves it; ``position`` in milliseconds."""

    number: ClassVar[int] = 13
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _DOWN
    descriptors: ClassVar[int] = 0
    call: CallNumber
    order: Order
    action: Annotated[str, Choice(("play", "pause", "stop"))]
    scale: Annotated[int, Whole(0, 6400)]
    backwards: Flag
    seeks: Flag
    position: Annotated[int, Whole(0, 2_678_400_000)]


@dataclass(frozen=True, slots=True)
class PlaybackAnswer:
    """What the recorder answered to a PlaybackControl: a SIP status."""

    number: ClassVar[int] = 14
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    call: CallNumber
    order: Order
    status: Annotated[int, Whole(200, 699)]


@dataclass(frozen=True, slots=True)
class MediaFinished:
    """The recording was sent to its end (MediaStatus 121)."""

    number: ClassVar[int] = 15
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    call: CallNumber


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which recordings of a channel are there?"""

    number: ClassVar[int] = 16
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _DOWN
    descriptors: ClassVar[int] = 0
    order: Order
    platform: Code
    recorder: Code
    channel: Code
    viewer: Name
    start: Seconds
    end: Seconds
    kind: Annotated[str, Choice(RECORDING_KINDS)]


@dataclass(frozen=True, slots=True)
class RecordItem:
    """One recording; ``total`` is how many the recorder says there are. Its file's name and place have no field."""

    number: ClassVar[int] = 17
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    order: Order
    total: Annotated[int, Whole(0, 1_000_000)]
    name: Name
    start: Seconds
    end: Seconds
    kind: Annotated[str, Choice(RECORDING_KINDS)]
    secrecy: Flag


@dataclass(frozen=True, slots=True)
class PresetQuery:
    """Which presets does a camera know?"""

    number: ClassVar[int] = 18
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _DOWN
    descriptors: ClassVar[int] = 0
    order: Order
    platform: Code
    recorder: Code
    channel: Code
    viewer: Name


@dataclass(frozen=True, slots=True)
class PresetItem:
    number: ClassVar[int] = 19
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    order: Order
    preset: Annotated[int, Whole(0, 255)]
    name: Name


@dataclass(frozen=True, slots=True)
class DeviceControl:
    """Do something with a camera: one of ``ACTIONS``, with its numbers."""

    number: ClassVar[int] = 20
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _DOWN
    descriptors: ClassVar[int] = 0
    order: Order
    platform: Code
    recorder: Code
    channel: Code
    viewer: Name
    action: Annotated[str, Choice(tuple(ACTIONS))]
    values: Annotated[str, Numbers(6, 100_000)]


@dataclass(frozen=True, slots=True)
class OrderDone:
    """An order is over: ``done``, or why not; ``count`` items came before this."""

    number: ClassVar[int] = 21
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = (*_UP, (Party.FERRY, Party.CITY))
    descriptors: ClassVar[int] = 0
    order: Order
    reason: Reason
    count: Annotated[int, Whole(0, 1_000_000)]


@dataclass(frozen=True, slots=True)
class AlarmNotice:
    """An alarm of a channel (2016 A.2.5.3); without a place ``located`` is 0."""

    number: ClassVar[int] = 22
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    recorder: Code
    channel: Code
    priority: Annotated[int, Whole(1, 4)]
    method: Annotated[int, Whole(1, 7)]
    kind: Annotated[int, Whole(0, 99)]
    event: Annotated[int, Whole(0, 9)]
    at: Seconds
    text: Annotated[str, Label(300)]
    located: Flag
    longitude: Longitude
    latitude: Latitude


@dataclass(frozen=True, slots=True)
class PositionNotice:
    """Where a mobile camera is: speed in tenths of km/h, direction in hundredths of a degree, altitude in tenths of a
    metre, counted from 1000 m below the sea."""

    number: ClassVar[int] = 23
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    recorder: Code
    channel: Code
    at: Seconds
    longitude: Longitude
    latitude: Latitude
    speed: Annotated[int, Whole(0, 20_000)]
    direction: Annotated[int, Whole(0, 36_000)]
    altitude: Annotated[int, Whole(0, 210_000)]


@dataclass(frozen=True, slots=True)
class OpenTalk:
    """The city wants to speak to a channel (2016 9.12)."""

    number: ClassVar[int] = 24
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _DOWN
    descriptors: ClassVar[int] = 0
    call: CallNumber
    platform: Code
    recorder: Code
    channel: Code
    viewer: Name


@dataclass(frozen=True, slots=True)
class TalkAnswered:
    """The recorder takes the broadcast, and has asked for the sound."""

    number: ClassVar[int] = 25
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _UP
    descriptors: ClassVar[int] = 0
    call: CallNumber


@dataclass(frozen=True, slots=True)
class TalkReady:
    """The city's source of sound has answered: with it the socket connected to it. The site hears the word alone."""

    number: ClassVar[int] = 26
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = _DOWN
    descriptors: ClassVar[int] = 1
    call: CallNumber


@dataclass(frozen=True, slots=True)
class WantKeyFrame:
    """Somebody joins a stream that flows: the recorder is asked for a key frame."""

    number: ClassVar[int] = 27
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.FERRY, Party.SITE),)
    descriptors: ClassVar[int] = 0
    call: CallNumber


@dataclass(frozen=True, slots=True)
class MediaDial:
    """Where the city wants a call's media by TCP, IPv4 as a number: it listens there, we dial once it has the answer.

    ``local`` is the address of the tunnel that it will be dialled from.
    """

    number: ClassVar[int] = 28
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.CITY, Party.FERRY),)
    descriptors: ClassVar[int] = 0
    call: CallNumber
    ssrc: Ssrc
    ps: OfferedType
    address: Ipv4
    port: Port
    local: Ipv4
    local_port: Port
    h264: OfferedType = 0
    h265: OfferedType = 0


@dataclass(frozen=True, slots=True)
class MediaDialled:
    """The city's listener has taken the connection of the call's ``MediaDial``."""

    number: ClassVar[int] = 29
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.CITY, Party.FERRY),)
    descriptors: ClassVar[int] = 1
    call: CallNumber


@dataclass(frozen=True, slots=True)
class TalkSink:
    """The recorder waits for the sound: the socket connected to it, and what it wants in the packets."""

    number: ClassVar[int] = 30
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.SITE, Party.FERRY),)
    descriptors: ClassVar[int] = 1
    call: CallNumber
    ssrc: Ssrc


@dataclass(frozen=True, slots=True)
class MediaReports:
    """Where the far end of a call's media hears reports by UDP (RTCP): a socket connected to it.

    From the city it comes behind the call's ``MediaSink``, from the site before its ``MediaReady``.
    """

    number: ClassVar[int] = 31
    roads: ClassVar[tuple[tuple[Party, Party], ...]] = ((Party.CITY, Party.FERRY), (Party.SITE, Party.FERRY))
    descriptors: ClassVar[int] = 1
    call: CallNumber


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
    | PlaybackControl
    | PlaybackAnswer
    | MediaFinished
    | RecordQuery
    | RecordItem
    | PresetQuery
    | PresetItem
    | DeviceControl
    | OrderDone
    | AlarmNotice
    | PositionNotice
    | OpenTalk
    | TalkAnswered
    | TalkReady
    | WantKeyFrame
    | MediaDial
    | MediaDialled
    | TalkSink
    | MediaReports
)

#: Every class of record.
REGISTRY: tuple[type[Record], ...] = get_args(Record)


def alphabets(kind: type[Record]) -> tuple[tuple[str, Alphabet], ...]:
    """Return the fields of a record class in wire order, each with its alphabet."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple((field.name, hints[field.name].__metadata__[0]) for field in fields(kind))
