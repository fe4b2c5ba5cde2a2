"""What devices and platforms report: alarms, the end of a file, broadcasts, and the later edition's notices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from edge.manscdp.device import OK_ERROR
from edge.manscdp.form import LATITUDE, LONGITUDE, MAX_DESCRIPTION_CHARACTERS, At, Code, Text, Time, Values, Whole
from edge.manscdp.heading import Heading, Sn

#: A file was sent to its end (2016 A.2.5.4).
END_OF_FILE = 121


@dataclass(frozen=True, slots=True)
class AlarmQuery(Heading):
    """Which alarms one subscribes to, or asks for (2016 A.2.4.5); 0 is every priority, method or type."""

    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "Alarm"
    start_priority: Annotated[int | None, At("StartAlarmPriority", Whole(0, 4))] = None
    end_priority: Annotated[int | None, At("EndAlarmPriority", Whole(0, 4))] = None
    method: Annotated[str, At("AlarmMethod", Text(16))] = ""
    alarm_type: Annotated[str, At("AlarmType", Text(64))] = ""
    start: Annotated[int | None, At("StartAlarmTime", Time(), also=("StartTime",))] = None
    end: Annotated[int | None, At("EndAlarmTime", Time(), also=("EndTime",))] = None


@dataclass(frozen=True, slots=True)
class AlarmNotify(Heading):
    """An alarm (2016 A.2.5.3): priority 1 (highest) to 4; method 2 a device's, 5 the picture's, 6 a fault."""

    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "Alarm"
    priority: Annotated[int, At("AlarmPriority", Whole(1, 4))] = 4
    method: Annotated[int, At("AlarmMethod", Whole(1, 7))] = 7
    time: Annotated[int | None, At("AlarmTime", Time())] = None
    description: Annotated[str, At("AlarmDescription", Text(MAX_DESCRIPTION_CHARACTERS))] = ""
    longitude: Annotated[int | None, At("Longitude", LONGITUDE)] = None
    latitude: Annotated[int | None, At("Latitude", LATITUDE)] = None
    alarm_type: Annotated[int | None, At("Info/AlarmType", Whole(0, 99), also=("AlarmType",))] = None
    event_type: Annotated[int | None, At("Info/AlarmTypeParam/EventType", Whole(0, 9))] = None


@dataclass(frozen=True, slots=True)
class AlarmResponse(Heading):
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "Alarm"
    result: Annotated[str, At("Result", OK_ERROR)] = "OK"


@dataclass(frozen=True, slots=True)
class MediaStatus(Heading):
    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "MediaStatus"
    notify_type: Annotated[int, At("NotifyType", Whole(0, 999))] = END_OF_FILE


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Somebody wants to speak to ``target_id`` (2016 9.12, A.2.5.5); it names no DeviceID."""

    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "Broadcast"
    sn: Sn
    source_id: Annotated[str, At("SourceID", Code())]
    target_id: Annotated[str, At("TargetID", Code())]

    @property
    def device_id(self) -> str:
        return self.target_id


@dataclass(frozen=True, slots=True)
class BroadcastResponse(Heading):
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "Broadcast"
    result: Annotated[str, At("Result", OK_ERROR)] = "OK"


@dataclass(frozen=True, slots=True)
class SnapshotsUploaded(Heading):
    """2022 A.2.5.7."""

    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "UploadSnapShotFinished"
    session: Annotated[str, At("SessionID", Text(128))] = ""
    files: Annotated[tuple[str, ...], At("SnapShotList/SnapShotFileID", Values(Text(), 64))] = ()


@dataclass(frozen=True, slots=True)
class UpgradeResult(Heading):
    """2022 A.2.5.8."""

    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "DeviceUpgradeResult"
    session: Annotated[str, At("SessionID", Text(128))] = ""
    result: Annotated[str, At("UpgradeResult", OK_ERROR)] = "OK"
    firmware: Annotated[str, At("Firmware", Text())] = ""
    reason: Annotated[str, At("UpgradeFailedReason", Text())] = ""


@dataclass(frozen=True, slots=True)
class VideoUpload(Heading):
    """2022 A.2.5.9: a mobile recorder would like to send what it holds."""

    root: ClassVar[str] = "Notify"
    command: ClassVar[str] = "VideoUploadNotify"
    time: Annotated[int | None, At("Time", Time())] = None
    longitude: Annotated[int | None, At("Longitude", LONGITUDE)] = None
    latitude: Annotated[int | None, At("Latitude", LATITUDE)] = None
