"""A device tells of itself: alive, what it is, how it is, how it is set, what it remembers (2016 A.2.4, A.2.5, A.2.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from edge.manscdp.form import LATITUDE, LONGITUDE, At, Code, Fixed, Several, Text, Time, Values, Whole, Word
from edge.manscdp.heading import Heading

MAX_FAULTY = 1000
MAX_LISTED = 512
_LABEL = Text()
OK_ERROR, ON_OFF = Word(("OK", "ERROR")), Word(("ON", "OFF"))
#: What may be asked of a device's settings (2016 A.2.4.7); the later edition has more of them.
CONFIGURATIONS = ("BasicParam", "VideoParamOpt", "SVACEncodeConfig", "SVACDecodeConfig")
CONFIGURATIONS_2022 = (
    "VideoParamAttribute", "VideoRecordPlan", "VideoAlarmRecord", "PictureMask", "FrameMirror", "AlarmReport", "OSDConfig",
    "SnapShotConfig",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keepalive(Heading):
    """Alive; ``faulty`` are the children that are not (9.6.1)."""

    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "Keepalive"
    status: Annotated[str, At("Status", OK_ERROR)] = "OK"
    faulty: Annotated[tuple[str, ...], At("Info/DeviceID", Values(Code(), MAX_FAULTY))] = ()


@dataclass(frozen=True, slots=True)
class DeviceInfoQuery(Heading):
    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "DeviceInfo"


@dataclass(frozen=True, slots=True)
class DeviceInfoResponse(Heading):
    """What a device is. Vendors add LoginName and Password here: they have no field."""

    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "DeviceInfo"
    name: Annotated[str, At("DeviceName", _LABEL)] = ""
    result: Annotated[str, At("Result", OK_ERROR)] = "OK"
    manufacturer: Annotated[str, At("Manufacturer", _LABEL)] = ""
    model: Annotated[str, At("Model", _LABEL)] = ""
    firmware: Annotated[str, At("Firmware", _LABEL)] = ""
    channels: Annotated[int, At("Channel", Whole(0, 100_000))] = 0


@dataclass(frozen=True, slots=True)
class DeviceStatusQuery(Heading):
    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "DeviceStatus"


@dataclass(frozen=True, slots=True)
class AlarmStatus:
    """An alarm device's duty."""

    device_id: Annotated[str, At("DeviceID", Code())]
    duty: Annotated[str, At("DutyStatus", Word(("ONDUTY", "OFFDUTY", "ALARM")))]


@dataclass(frozen=True, slots=True)
class DeviceStatusResponse(Heading):
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "DeviceStatus"
    result: Annotated[str, At("Result", OK_ERROR)] = "OK"
    online: Annotated[str, At("Online", Word(("ONLINE", "OFFLINE")))] = "ONLINE"
    status: Annotated[str, At("Status", OK_ERROR)] = "OK"
    reason: Annotated[str, At("Reason", _LABEL)] = ""
    encode: Annotated[str, At("Encode", ON_OFF)] = "ON"
    record: Annotated[str, At("Record", ON_OFF)] = "OFF"
    time: Annotated[int | None, At("DeviceTime", Time())] = None
    alarms: Annotated[tuple[AlarmStatus, ...], At("Alarmstatus", Several("Item", AlarmStatus, MAX_LISTED))] = ()


@dataclass(frozen=True, slots=True)
class ConfigDownloadQuery(Heading):
    """Asks for settings; several types are joined by "/"."""

    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "ConfigDownload"
    config: Annotated[str, At("ConfigType", Text(200))] = ""


@dataclass(frozen=True, slots=True)
class ConfigDownloadResponse(Heading):
    """The settings that are told: BasicParam. Times in seconds."""

    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "ConfigDownload"
    result: Annotated[str, At("Result", OK_ERROR)] = "OK"
    name: Annotated[str, At("BasicParam/Name", _LABEL)] = ""
    expiration: Annotated[int | None, At("BasicParam/Expiration", Whole(0, 10_000_000))] = None
    heartbeat_interval: Annotated[int | None, At("BasicParam/HeartBeatInterval", Whole(0, 86_400))] = None
    heartbeat_count: Annotated[int | None, At("BasicParam/HeartBeatCount", Whole(0, 1000))] = None


@dataclass(frozen=True, slots=True)
class PresetQuery(Heading):
    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "PresetQuery"


@dataclass(frozen=True, slots=True)
class PresetEntry:
    preset_id: Annotated[int, At("PresetID", Whole(0, 255))]
    name: Annotated[str, At("PresetName", _LABEL)] = ""


@dataclass(frozen=True, slots=True)
class PresetResponse(Heading):
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "PresetQuery"
    total: Annotated[int | None, At("SumNum", Whole(0, MAX_LISTED), only=2022)] = None
    presets: Annotated[tuple[PresetEntry, ...], At("PresetList", Several("Item", PresetEntry, MAX_LISTED))] = ()


@dataclass(frozen=True, slots=True)
class HomePositionQuery(Heading):
    """2022 A.2.4.10."""

    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "HomePositionQuery"


@dataclass(frozen=True, slots=True)
class HomePositionResponse(Heading):
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "HomePositionQuery"
    enabled: Annotated[int | None, At("HomePosition/Enabled", Whole(0, 1))] = None
    reset_time: Annotated[int | None, At("HomePosition/ResetTime", Whole(0, 86_400))] = None
    preset: Annotated[int | None, At("HomePosition/PresetIndex", Whole(0, 255))] = None


@dataclass(frozen=True, slots=True)
class CruiseListQuery(Heading):
    """2022 A.2.4.11."""

    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "CruiseTrackListQuery"


@dataclass(frozen=True, slots=True)
class CruiseTrack:
    number: Annotated[int, At("Number", Whole(0, 255))]
    name: Annotated[str, At("Name", _LABEL)] = ""


@dataclass(frozen=True, slots=True)
class CruiseListResponse(Heading):
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "CruiseTrackListQuery"
    total: Annotated[int | None, At("SumNum", Whole(0, MAX_LISTED))] = None
    tracks: Annotated[
        tuple[CruiseTrack, ...], At("CruiseTrackList", Several("CruiseTrack", CruiseTrack, MAX_LISTED))
    ] = ()


@dataclass(frozen=True, slots=True)
class CruiseQuery(Heading):
    """2022 A.2.4.12."""

    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "CruiseTrackQuery"
    number: Annotated[int, At("Number", Whole(0, 255))] = 0


@dataclass(frozen=True, slots=True)
class CruisePoint:
    preset: Annotated[int, At("PresetIndex", Whole(0, 255))]
    stay: Annotated[int | None, At("StayTime", Whole(0, 86_400))] = None
    speed: Annotated[int | None, At("Speed", Whole(0, 4095))] = None


@dataclass(frozen=True, slots=True)
class CruiseResponse(Heading):
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "CruiseTrackQuery"
    number: Annotated[int | None, At("Number", Whole(0, 255))] = None
    name: Annotated[str, At("Name", _LABEL)] = ""
    total: Annotated[int | None, At("SumNum", Whole(0, MAX_LISTED))] = None
    points: Annotated[
        tuple[CruisePoint, ...], At("CruisePointList", Several("CruisePoint", CruisePoint, MAX_LISTED))
    ] = ()


@dataclass(frozen=True, slots=True)
class PtzPositionQuery(Heading):
    """2022 A.2.4.13; may also be subscribed to."""

    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "PTZPosition"


@dataclass(frozen=True, slots=True)
class PtzPositionResponse(Heading):
    """Where a camera looks: degrees in hundredths, zoom in hundredths, distance in metres."""

    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "PTZPosition"
    pan: Annotated[int | None, At("Pan", Fixed(0, 360, 2))] = None
    tilt: Annotated[int | None, At("Tilt", Fixed(-90, 90, 2))] = None
    zoom: Annotated[int | None, At("Zoom", Fixed(0, 1000, 2))] = None
    horizontal_angle: Annotated[int | None, At("HorizontalFieldAngle", Fixed(0, 360, 2))] = None
    vertical_angle: Annotated[int | None, At("VerticalFieldAngle", Fixed(0, 360, 2))] = None
    distance: Annotated[int | None, At("MaxViewDistance", Fixed(0, 100_000, 2))] = None


@dataclass(frozen=True, slots=True)
class PtzPositionNotify(PtzPositionResponse):
    root: ClassVar[str] = "Notify"


@dataclass(frozen=True, slots=True)
class SdCardQuery(Heading):
    """2022 A.2.4.14."""

    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "SDCardStatus"


@dataclass(frozen=True, slots=True)
class SdCard:
    """A card; capacity and free space in MB, progress in per cent."""

    card_id: Annotated[int, At("ID", Whole(0, 255))]
    name: Annotated[str, At("HddName", _LABEL)] = ""
    status: Annotated[str, At("Status", Text(32))] = ""
    progress: Annotated[int | None, At("FormatProgress", Whole(0, 100))] = None
    capacity: Annotated[int | None, At("Capacity", Whole(0, 100_000_000))] = None
    free: Annotated[int | None, At("FreeSpace", Whole(0, 100_000_000))] = None


@dataclass(frozen=True, slots=True)
class SdCardResponse(Heading):
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "SDCardStatus"
    total: Annotated[int | None, At("SumNum", Whole(0, 64))] = None
    cards: Annotated[tuple[SdCard, ...], At("SDCardStatusInfo", Several("Item", SdCard, 64))] = ()


@dataclass(frozen=True, slots=True)
class PositionQuery(Heading):
    """Where a mobile device is, every ``interval`` seconds (2016 A.2.4.9)."""

    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "MobilePosition"
    interval: Annotated[int | None, At("Interval", Whole(1, 86_400))] = None


@dataclass(frozen=True, slots=True)
class PositionNotify(Heading):
    """2016 A.2.5.6: speed in tenths of km/h, direction in hundredths of a degree, altitude in tenths of a metre."""

    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "MobilePosition"
    time: Annotated[int | None, At("Time", Time())] = None
    longitude: Annotated[int | None, At("Longitude", LONGITUDE)] = None
    latitude: Annotated[int | None, At("Latitude", LATITUDE)] = None
    speed: Annotated[int | None, At("Speed", Fixed(0, 2000, 1))] = None
    direction: Annotated[int | None, At("Direction", Fixed(0, 360, 2))] = None
    altitude: Annotated[int | None, At("Altitude", Fixed(-1000, 20_000, 1))] = None


@dataclass(frozen=True, slots=True)
class Position:
    device_id: Annotated[str, At("DeviceID", Code("item_device_id"))]
    time: Annotated[int | None, At("CaptureTime", Time())] = None
    longitude: Annotated[int | None, At("Longitude", LONGITUDE)] = None
    latitude: Annotated[int | None, At("Latitude", LATITUDE)] = None
    speed: Annotated[int | None, At("Speed", Fixed(0, 2000, 1))] = None
    direction: Annotated[int | None, At("Direction", Fixed(0, 360, 2))] = None
    altitude: Annotated[int | None, At("Altitude", Fixed(-1000, 20_000, 1))] = None


@dataclass(frozen=True, slots=True)
class PositionsNotify(Heading):
    """2022 A.2.5.6: several devices at once."""

    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "MobilePosition"
    time: Annotated[int | None, At("Time", Time())] = None
    total: Annotated[int | None, At("SumNum", Whole(0, MAX_LISTED))] = None
    positions: Annotated[tuple[Position, ...], At("DeviceList", Several("Item", Position, MAX_LISTED))] = ()
