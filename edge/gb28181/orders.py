"""DeviceControl and the actions that may cross: the one made of the other, on either side of the gap."""

from __future__ import annotations

from edge.manscdp import control, ptz
from edge.manscdp.control import Control

#: Three ways of turning, as whole numbers: left, still, right.
_STILL = 1
_TILT_OFFSET = 3000
#: Commands that are answered with a Response of their own (2016 9.3.1); the others by their 200 alone.
ANSWERED = (control.RecordControl, control.GuardControl, control.AlarmReset, control.HomePosition)
#: Commands that only the later edition knows.
LATER = (control.PrecisePtz, control.FormatSdCard, control.TargetTrack, control.DeviceUpgrade)


def action_of(asked: Control) -> tuple[str, tuple[int, ...]] | None:
    """Return the action that a command is, with its numbers; None for what cannot cross."""
    if isinstance(asked, control.PtzControl):
        return _turning(asked.ptz)
    if isinstance(asked, control.DragZoom | control.DragZoomOut):
        name = "zoom_to" if isinstance(asked, control.DragZoom) else "zoom_from"
        return name, (asked.length, asked.width, asked.mid_x, asked.mid_y, asked.length_x, asked.length_y)
    if isinstance(asked, control.HomePosition):
        return "home", (asked.enabled, asked.reset_time or 0, asked.preset or 0)
    if isinstance(asked, control.PrecisePtz):
        if asked.pan is None or asked.tilt is None or asked.zoom is None:
            return None
        return "turn_to", (asked.pan, asked.tilt + _TILT_OFFSET, asked.zoom)
    if isinstance(asked, control.KeyFrame):
        return "key_frame", ()
    if isinstance(asked, control.RecordControl):
        return ("record_start", ()) if asked.what == "Record" else None
    if isinstance(asked, control.GuardControl):
        return ("guard_set", ()) if asked.what == "SetGuard" else None
    if isinstance(asked, control.AlarmReset):
        return "alarm_reset", (asked.method or 0, asked.alarm_type or 0)
    return None


def _turning(asked: ptz.Command) -> tuple[str, tuple[int, ...]]:
    if isinstance(asked, ptz.Move):
        ways = (asked.pan + _STILL, asked.tilt + _STILL, asked.zoom + _STILL)
        return "move", (*ways, asked.pan_speed, asked.tilt_speed, asked.zoom_speed)
    if isinstance(asked, ptz.Lens):
        return "lens", (asked.focus + _STILL, asked.iris + _STILL, asked.focus_speed, asked.iris_speed)
    if isinstance(asked, ptz.Preset):
        return f"preset_{asked.what}", (asked.number,)
    if isinstance(asked, ptz.Cruise):
        return f"cruise_{asked.what}", (asked.group, asked.value)
    if isinstance(asked, ptz.Scan):
        return f"scan_{asked.what}", (asked.group, asked.value) if asked.what == "speed" else (asked.group,)
    return "auxiliary", (asked.number, int(asked.on))


def control_of(action: str, values: tuple[int, ...], sn: int, device_id: str) -> Control:
    """Return the command that does ``action``; ``values`` are as many as ``records.ACTIONS`` says, each in its range."""
    first, _, rest = action.partition("_")
    if action == "move":
        pan, tilt, zoom = (way - _STILL for way in values[:3])
        return control.PtzControl(sn, device_id, ptz.Move(pan, tilt, zoom, *values[3:]))
    if action == "lens":
        return control.PtzControl(sn, device_id, ptz.Lens(values[0] - _STILL, values[1] - _STILL, *values[2:]))
    if first == "preset":
        return control.PtzControl(sn, device_id, ptz.Preset(rest, *values))
    if first == "cruise":
        return control.PtzControl(sn, device_id, ptz.Cruise(rest, *values))
    if first == "scan":
        return control.PtzControl(sn, device_id, ptz.Scan(rest, *values))
    if action == "auxiliary":
        return control.PtzControl(sn, device_id, ptz.Auxiliary(values[0], bool(values[1])))
    return _other(action, values, sn, device_id)


def _other(action: str, values: tuple[int, ...], sn: int, device_id: str) -> Control:
    if action == "zoom_to":
        return control.DragZoom(sn, device_id, *values)
    if action == "zoom_from":
        return control.DragZoomOut(sn, device_id, *values)
    if action == "home":
        return control.HomePosition(sn, device_id, *values)
    if action == "turn_to":
        return control.PrecisePtz(sn, device_id, values[0], values[1] - _TILT_OFFSET, values[2])
    if action == "key_frame":
        return control.KeyFrame(sn, device_id)
    if action == "record_start":
        return control.RecordControl(sn, device_id, "Record")
    if action == "guard_set":
        return control.GuardControl(sn, device_id, "SetGuard")
    assert action == "alarm_reset", action  # the list of actions is closed
    method, alarm_type = values
    return control.AlarmReset(sn, device_id, method=method or None, alarm_type=alarm_type or None)
