"""PTZCmd against the standard's examples, what the field sends, and every instruction there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.manscdp.ptz import Auxiliary, Command, Cruise, Lens, Move, Preset, Scan, parse, write
from edge.manscdp.reader import RemoteManscdpError

EXAMPLES = {
    "A50F000800640020": Move(tilt=1, tilt_speed=100),
    "A50F0000000000B4": Move(),
    "A50F01021F0000D6": Move(pan=-1, pan_speed=31),
    "A50F4D1000001021": Move(zoom=1, zoom_speed=1),
    "A50F0141002000" + "16": Lens(focus=1, focus_speed=32),
}


def made(instruction: int, one: int = 0, two: int = 0, three: int = 0, address: int = 0) -> str:
    octets = bytes((0xA5, 0x0F, address, instruction, one, two, three << 4))
    return (octets + bytes((sum(octets) % 256,))).hex()


@pytest.mark.parametrize("text", EXAMPLES)
def test_what_the_standard_and_the_field_write_is_understood(text: str) -> None:
    assert parse(text) == EXAMPLES[text]
    assert parse(text.lower()) == EXAMPLES[text]
    assert parse(write(EXAMPLES[text])) == EXAMPLES[text]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (made(0x81, 0, 7), Preset("set", 7)), (made(0x82, 0, 255), Preset("call", 255)), (made(0x83, 9, 1), Preset("delete", 1)),
        (made(0x84, 1, 5), Cruise("add", 1, 5)), (made(0x85, 1, 0), Cruise("delete", 1)), (made(0x86, 1, 0x34, 2), Cruise("speed", 1, 0x234)),
        (made(0x87, 1, 0x34, 0xF), Cruise("dwell", 1, 0xF34)), (made(0x88, 3), Cruise("start", 3)),
        (made(0x89, 2, 0), Scan("start", 2)), (made(0x89, 2, 1), Scan("left", 2)), (made(0x89, 2, 2), Scan("right", 2)),
        (made(0x8A, 2, 1, 1), Scan("speed", 2, 0x101)), (made(0x8C, 1), Auxiliary(1, True)), (made(0x8D, 1), Auxiliary(1, False)),
        (made(0x29, 1, 2, 3), Move(1, 1, -1, 1, 2, 3)), (made(0x46, 1, 2), Lens(-1, 1, 1, 2)), (made(0x40), Lens()),
    ],
)  # fmt: skip
def test_each_instruction_of_a3(text: str, command: Command) -> None:
    assert parse(text) == command
    assert parse(write(command)) == command


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "ptz_form"), ("A50F0008006400", "ptz_form"), ("A50F00080064002000", "ptz_form"), ("A50F0008006400 20", "ptz_form"),
        ("A50F000800640021", "ptz_form"), ("A60F000800640021", "ptz_form"), ("A50E00080064001F", "ptz_form"),
        ("Ａ50F000800640020", "ptz_form"), ("A50F00080064002\u0660", "ptz_form"),
        (made(0x03), "ptz_contrary"), (made(0x0C), "ptz_contrary"), (made(0x30), "ptz_contrary"), (made(0x43), "ptz_contrary"),
        (made(0x4C), "ptz_contrary"), (made(0x50), "ptz_unknown"), (made(0x80), "ptz_unknown"), (made(0x81), "ptz_unknown"),
        (made(0x89, 0, 3), "ptz_unknown"), (made(0x8B), "ptz_unknown"), (made(0x8E), "ptz_unknown"), (made(0xFF), "ptz_unknown"),
    ],
)  # fmt: skip
def test_what_is_no_command_is_refused_by_name(text: str, rule: str) -> None:
    with pytest.raises(RemoteManscdpError) as refused:
        parse(text)
    assert refused.value.rule == rule


@given(st.binary(min_size=4, max_size=4), st.integers(0, 255))
def test_whatever_is_understood_is_made_anew_and_means_the_same(data: bytes, address: int) -> None:
    """The address and idle octets do not come through: no channel of their own in what a camera is told."""
    text = made(data[0], data[1], data[2], data[3] >> 4, address)
    try:
        command = parse(text)
    except RemoteManscdpError:
        return
    again = write(command)
    assert parse(again) == command
    assert again[4:6] == "00"
    assert write(parse(again)) == again
