"""RecordInfo: which recordings there are (2016 A.2.4.4, A.2.6.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from edge.manscdp.form import At, Code, Several, Text, Time, Whole, Word
from edge.manscdp.heading import Heading

MAX_RECORDS_PER_MESSAGE = 1000
KINDS = ("time", "alarm", "manual", "all")
_KIND, _FLAG, _LABEL = Word(KINDS), Whole(0, 1), Text()


@dataclass(frozen=True, slots=True)
class RecordInfoQuery(Heading):
    """Asks for a channel's recordings between two times. Paths and recorders have no field: they do not cross."""

    root: ClassVar[str] = "Query"
    command: ClassVar[str] = "RecordInfo"
    start: Annotated[int, At("StartTime", Time())]
    end: Annotated[int, At("EndTime", Time())]
    secrecy: Annotated[int, At("Secrecy", _FLAG)] = 0
    kind: Annotated[str, At("Type", _KIND)] = "all"
    stream: Annotated[int | None, At("StreamNumber", Whole(0, 9), only=2022)] = None


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording; its size in bytes where the recorder says it. FilePath and RecorderID have no field."""

    device_id: Annotated[str, At("DeviceID", Code("item_device_id"))]
    name: Annotated[str, At("Name", _LABEL, always=True)] = ""
    start: Annotated[int | None, At("StartTime", Time())] = None
    end: Annotated[int | None, At("EndTime", Time())] = None
    secrecy: Annotated[int, At("Secrecy", _FLAG)] = 0
    kind: Annotated[str, At("Type", _KIND)] = "time"
    size: Annotated[int | None, At("FileSize", Whole(0, 999_999_999_999))] = None


@dataclass(frozen=True, slots=True)
class RecordInfoResponse(Heading):
    """One page: ``total`` counts the recordings of all pages together."""

    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "RecordInfo"
    name: Annotated[str, At("Name", _LABEL)] = ""
    total: Annotated[int | None, At("SumNum", Whole(0, 1_000_000))] = None
    items: Annotated[tuple[Recording, ...], At("RecordList", Several("Item", Recording, MAX_RECORDS_PER_MESSAGE))] = ()
