"""The eight octets of PTZCmd (GB/T 28181-2016 A.3) as typed commands, read strictly and written in one form.

    A5 | version, check | address low | instruction | data 1 | data 2 | data 3, address high | sum of the seven mod 256

The address is of RS-485 days: DeviceID names the target, so it is read and not kept, and written as 0. What an octet says
beyond what its command has a field for does not come through: a command is made anew from what was understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from edge.manscdp.reader import RemoteManscdpError

_HEX = re.compile(r"[0-9A-Fa-f]{16}", re.ASCII)
_START = 0xA5
_ZOOM_OUT, _ZOOM_IN, _UP, _DOWN, _LEFT, _RIGHT = 0x20, 0x10, 0x08, 0x04, 0x02, 0x01
_LENS = 0x40
_IRIS_CLOSE, _IRIS_OPEN, _FOCUS_NEAR, _FOCUS_FAR = 0x08, 0x04, 0x02, 0x01
MOST_SPEED, MOST_ZOOM_SPEED, MOST_PRESET = 0xFF, 0x0F, 0xFF


@dataclass(frozen=True, slots=True)
class Move:
    """Turn and zoom; -1, 0 or 1 each (right, up and in are 1), speeds of 0 to 255 and 0 to 15. All still is the stop."""

    pan: int = 0
    tilt: int = 0
    zoom: int = 0
    pan_speed: int = 0
    tilt_speed: int = 0
    zoom_speed: int = 0


@dataclass(frozen=True, slots=True)
class Lens:
    """Focus (far is 1) and iris (open is 1); all still is the lens' stop."""

    focus: int = 0
    iris: int = 0
    focus_speed: int = 0
    iris_speed: int = 0


@dataclass(frozen=True, slots=True)
class Preset:
    """``set``, ``call`` or ``delete`` a preset of 1 to 255."""

    WORDS: ClassVar[dict[int, str]] = {0x81: "set", 0x82: "call", 0x83: "delete"}
    what: str
    number: int


@dataclass(frozen=True, slots=True)
class Cruise:
    """A cruise of presets: ``add``, ``delete`` (preset 0: the whole cruise), ``speed``, ``dwell`` (12 bits), ``start``."""

    WORDS: ClassVar[dict[int, str]] = {0x84: "add", 0x85: "delete", 0x86: "speed", 0x87: "dwell", 0x88: "start"}
    what: str
    group: int
    value: int = 0


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan between two edges: ``start``, ``left``, ``right`` (set the edge), ``speed`` (12 bits)."""

    WORDS: ClassVar[tuple[str, ...]] = ("start", "left", "right")
    what: str
    group: int
    value: int = 0


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """An auxiliary switch; 1 is the wiper."""

    number: int
    on: bool


Command = Move | Lens | Preset | Cruise | Scan | Auxiliary


def parse(text: str) -> Command:
    """Read the sixteen hexadecimal digits.

    Raises:
        RemoteManscdpError: ``ptz_form`` (digits, start, check or sum are wrong), ``ptz_contrary`` (left and right at
            once), ``ptz_unknown`` (an instruction that A.3 does not list).
    """
    if not _HEX.fullmatch(text):
        raise RemoteManscdpError("ptz_form")
    octets = bytes.fromhex(text)
    version = octets[1] >> 4
    if octets[0] != _START or octets[1] & 0x0F != (0x0A + 0x05 + version) % 16 or sum(octets[:7]) % 256 != octets[7]:
        raise RemoteManscdpError("ptz_form")
    instruction, one, two, three = octets[3], octets[4], octets[5], octets[6] >> 4
    if instruction < 0x40:
        return _move(instruction, one, two, three)
    if instruction < 0x50:
        return _lens(instruction, one, two)
    if instruction in Preset.WORDS and two:
        return Preset(Preset.WORDS[instruction], two)
    if instruction in Cruise.WORDS:
        # Speed and dwell are 12 bits: the low eight in data 2, the high four in data 3.
        value = two | three << 8 if instruction in (0x86, 0x87) else two
        return Cruise(Cruise.WORDS[instruction], one, value)
    if instruction == 0x89 and two < len(Scan.WORDS):
        return Scan(Scan.WORDS[two], one)
    if instruction == 0x8A:
        return Scan("speed", one, two | three << 8)
    if instruction in (0x8C, 0x8D):
        return Auxiliary(one, instruction == 0x8C)
    raise RemoteManscdpError("ptz_unknown")


def _move(instruction: int, one: int, two: int, three: int) -> Move:
    pan, tilt, zoom = (
        _way(instruction, more, less) for more, less in ((_RIGHT, _LEFT), (_UP, _DOWN), (_ZOOM_IN, _ZOOM_OUT))
    )
    # Speeds of what stands still say nothing: a stop is one stop.
    return Move(pan, tilt, zoom, one if pan else 0, two if tilt else 0, three if zoom else 0)


def _lens(instruction: int, one: int, two: int) -> Lens:
    focus = _way(instruction, _FOCUS_FAR, _FOCUS_NEAR)
    iris = _way(instruction, _IRIS_OPEN, _IRIS_CLOSE)
    # Some platforms put the focus' speed where the iris' belongs, and the other way round.
    return Lens(focus, iris, (one or two) if focus else 0, (two or one) if iris else 0)


def _way(instruction: int, more: int, less: int) -> int:
    if instruction & more and instruction & less:
        raise RemoteManscdpError("ptz_contrary")
    return int(bool(instruction & more)) - int(bool(instruction & less))


def write(command: Command) -> str:
    """Return the sixteen digits, with address 0."""
    instruction, one, two, three = _octets(command)
    octets = bytes((_START, 0x0F, 0, instruction, one, two, three << 4))
    return (octets + bytes((sum(octets) % 256,))).hex().upper()


def _octets(command: Command) -> tuple[int, int, int, int]:
    if isinstance(command, Move):
        bits = _bit(command.pan, _RIGHT, _LEFT) | _bit(command.tilt, _UP, _DOWN)
        bits |= _bit(command.zoom, _ZOOM_IN, _ZOOM_OUT)
        return bits, command.pan_speed, command.tilt_speed, command.zoom_speed
    if isinstance(command, Lens):
        bits = _LENS | _bit(command.focus, _FOCUS_FAR, _FOCUS_NEAR) | _bit(command.iris, _IRIS_OPEN, _IRIS_CLOSE)
        return bits, command.focus_speed, command.iris_speed, 0
    if isinstance(command, Preset):
        return _code(Preset.WORDS, command.what), 0, command.number, 0
    if isinstance(command, Cruise):
        return _code(Cruise.WORDS, command.what), command.group, command.value & 0xFF, command.value >> 8
    if isinstance(command, Scan):
        if command.what == "speed":
            return 0x8A, command.group, command.value & 0xFF, command.value >> 8
        return 0x89, command.group, Scan.WORDS.index(command.what), 0
    return 0x8C if command.on else 0x8D, command.number, 0, 0


def _bit(way: int, more: int, less: int) -> int:
    return more if way > 0 else less if way < 0 else 0


def _code(words: dict[int, str], word: str) -> int:
    return next(code for code, each in words.items() if each == word)
