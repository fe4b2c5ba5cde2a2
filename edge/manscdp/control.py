"""DeviceControl and DeviceConfig: one command a message (2016 9.3, 9.5.3, A.2.3; 2022 A.2.3).

Each command is a class, found by the element that names it; ``element`` is that name. A second command beside it would
cross unseen, so there is none: what else a message says is either listed as harmless and dropped, or refuses the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from edge.manscdp import ptz
from edge.manscdp.device import OK_ERROR
from edge.manscdp.form import At, Fixed, Text, Whole, Word
from edge.manscdp.heading import Heading
from edge.manscdp.reader import Element, RemoteManscdpError

_COORDINATE = Whole(0, 65_535)


class _Octets:
    """PTZCmd's sixteen digits."""

    def read(self, text: str) -> ptz.Command:
        return ptz.parse(text)

    def write(self, value: ptz.Command) -> str:
        return ptz.write(value)


@dataclass(frozen=True, slots=True)
class Control(Heading):
    root: ClassVar[str] = "Control"
    command: ClassVar[str] = "DeviceControl"
    #: The element that names the command.
    element: ClassVar[str]


@dataclass(frozen=True, slots=True)
class PtzControl(Control):
    """Turn, zoom, focus, presets (A.3); no answer of its own belongs to it."""

    element: ClassVar[str] = "PTZCmd"
    ptz: Annotated[ptz.Command, At("PTZCmd", _Octets())]


@dataclass(frozen=True, slots=True)
class TeleBoot(Control):
    element: ClassVar[str] = "TeleBoot"
    boot: Annotated[str, At("TeleBoot", Word(("Boot",)))] = "Boot"


@dataclass(frozen=True, slots=True)
class RecordControl(Control):
    element: ClassVar[str] = "RecordCmd"
    what: Annotated[str, At("RecordCmd", Word(("Record", "StopRecord")))]


@dataclass(frozen=True, slots=True)
class GuardControl(Control):
    element: ClassVar[str] = "GuardCmd"
    what: Annotated[str, At("GuardCmd", Word(("SetGuard", "ResetGuard")))]


@dataclass(frozen=True, slots=True)
class AlarmReset(Control):
    element: ClassVar[str] = "AlarmCmd"
    what: Annotated[str, At("AlarmCmd", Word(("ResetAlarm",)))] = "ResetAlarm"
    method: Annotated[int | None, At("Info/AlarmMethod", Whole(0, 7))] = None
    alarm_type: Annotated[int | None, At("Info/AlarmType", Whole(0, 99))] = None


@dataclass(frozen=True, slots=True)
class KeyFrame(Control):
    """Send a key frame. The earlier edition prints IFameCmd, the later one IFrameCmd: both are heard."""

    element: ClassVar[str] = "IFameCmd"
    also: ClassVar[tuple[str, ...]] = ("IFrameCmd",)
    what: Annotated[str, At("IFameCmd", Word(("Send",)), in_2022="IFrameCmd")] = "Send"


@dataclass(frozen=True, slots=True)
class DragZoom(Control):
    """Zoom to (or, from) a rectangle of the picture, in pixels of the window it was drawn in."""

    element: ClassVar[str] = "DragZoomIn"
    length: Annotated[int, At("DragZoomIn/Length", _COORDINATE)]
    width: Annotated[int, At("DragZoomIn/Width", _COORDINATE)]
    mid_x: Annotated[int, At("DragZoomIn/MidPointX", _COORDINATE)]
    mid_y: Annotated[int, At("DragZoomIn/MidPointY", _COORDINATE)]
    length_x: Annotated[int, At("DragZoomIn/LengthX", _COORDINATE)]
    length_y: Annotated[int, At("DragZoomIn/LengthY", _COORDINATE)]


@dataclass(frozen=True, slots=True)
class DragZoomOut(Control):
    element: ClassVar[str] = "DragZoomOut"
    length: Annotated[int, At("DragZoomOut/Length", _COORDINATE)]
    width: Annotated[int, At("DragZoomOut/Width", _COORDINATE)]
    mid_x: Annotated[int, At("DragZoomOut/MidPointX", _COORDINATE)]
    mid_y: Annotated[int, At("DragZoomOut/MidPointY", _COORDINATE)]
    length_x: Annotated[int, At("DragZoomOut/LengthX", _COORDINATE)]
    length_y: Annotated[int, At("DragZoomOut/LengthY", _COORDINATE)]


@dataclass(frozen=True, slots=True)
class HomePosition(Control):
    """Where the camera looks when nobody turns it: a preset, taken after ``reset_time`` seconds."""

    element: ClassVar[str] = "HomePosition"
    enabled: Annotated[int, At("HomePosition/Enabled", Whole(0, 1))]
    reset_time: Annotated[int | None, At("HomePosition/ResetTime", Whole(0, 86_400))] = None
    preset: Annotated[int | None, At("HomePosition/PresetIndex", Whole(0, 255))] = None


@dataclass(frozen=True, slots=True)
class PrecisePtz(Control):
    """2022: turn to a place; hundredths of a degree, and of a zoom step."""

    element: ClassVar[str] = "PTZPreciseCtrl"
    pan: Annotated[int | None, At("PTZPreciseCtrl/Pan", Fixed(0, 360, 2))] = None
    tilt: Annotated[int | None, At("PTZPreciseCtrl/Tilt", Fixed(-30, 90, 2))] = None
    zoom: Annotated[int | None, At("PTZPreciseCtrl/Zoom", Fixed(0, 1000, 2))] = None


@dataclass(frozen=True, slots=True)
class FormatSdCard(Control):
    """2022; 0 is every card."""

    element: ClassVar[str] = "FormatSDCard"
    card: Annotated[int, At("FormatSDCard", Whole(0, 255))]


@dataclass(frozen=True, slots=True)
class TargetTrack(Control):
    """2022."""

    element: ClassVar[str] = "TargetTrack"
    what: Annotated[str, At("TargetTrack", Word(("Auto", "Manual", "Stop")))]


@dataclass(frozen=True, slots=True)
class DeviceUpgrade(Control):
    """2022. FileURL has no field: a device would fetch from wherever it says."""

    element: ClassVar[str] = "DeviceUpgrade"
    firmware: Annotated[str, At("DeviceUpgrade/Firmware", Text())] = ""
    session: Annotated[str, At("DeviceUpgrade/SessionID", Text(128))] = ""


@dataclass(frozen=True, slots=True)
class ControlResponse(Heading):
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "DeviceControl"
    result: Annotated[str, At("Result", OK_ERROR)] = "OK"


@dataclass(frozen=True, slots=True)
class DeviceConfig(Heading):
    """Set a device. What it would set is named and has no field: nothing of it is ever sent on."""

    root: ClassVar[str] = "Control"
    command: ClassVar[str] = "DeviceConfig"


@dataclass(frozen=True, slots=True)
class ConfigResponse(Heading):
    root: ClassVar[str] = "Response"
    command: ClassVar[str] = "DeviceConfig"
    result: Annotated[str, At("Result", OK_ERROR)] = "OK"


CONTROLS: tuple[type[Control], ...] = (
    PtzControl, TeleBoot, RecordControl, GuardControl, AlarmReset, KeyFrame, DragZoom, DragZoomOut, HomePosition, PrecisePtz,
    FormatSdCard, TargetTrack, DeviceUpgrade,
)  # fmt: skip
_BY_ELEMENT: dict[str, type[Control]] = {
    name.lower(): kind for kind in CONTROLS for name in (kind.element, *getattr(kind, "also", ()))
}
#: What may stand beside the command; of the first, an alarm's reset alone makes use.
_BESIDE = frozenset(("cmdtype", "sn", "deviceid", "info", "ptzcmdparams", "extrainfo"))


def control_of(root: Element) -> type[Any]:
    """Return the class of the one command that a DeviceControl holds.

    Raises:
        RemoteManscdpError: ``command_unknown``: it holds none that is known, or more than one.
    """
    told = [child.name for child in root.children if child.name not in _BESIDE]
    if len(told) != 1 or told[0] not in _BY_ELEMENT:
        raise RemoteManscdpError("command_unknown")
    return _BY_ELEMENT[told[0]]
