"""What every message begins with (GB/T 28181-2016 A.2.2): its command, a serial number, the device it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from edge.manscdp.form import At, Code, Whole

Sn = Annotated[int, At("SN", Whole(0, 0xFFFFFFFF), absent=0)]
DeviceId = Annotated[str, At("DeviceID", Code())]


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a message about a device; subclasses name their root element and command."""

    root: ClassVar[str]
    command: ClassVar[str]
    sn: Sn
    device_id: DeviceId
