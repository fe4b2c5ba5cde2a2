"""Every action makes a command that is read as that action again; what may not cross is none."""

from __future__ import annotations

import pytest

from edge.gb28181.orders import action_of, control_of
from edge.manscdp import control
from edge.manscdp.control import Control
from edge.manscdp.messages import decode, encode
from edge.records.types import ACTIONS

ID = "34020000001310000001"
#: At the ends of a range a still axis has no speed: these are numbers that all say something.
TELLING = {"move": (2, 0, 2, 9, 8, 7), "lens": (2, 0, 5, 6)}


@pytest.mark.parametrize("action", sorted(ACTIONS))
@pytest.mark.parametrize("edition", [2016, 2022])
def test_an_action_crosses_and_is_itself(action: str, edition: int) -> None:
    highest = tuple(high for _, high in ACTIONS[action][1])
    values = TELLING.get(action, highest)
    read = decode(encode(control_of(action, values, 7, ID), edition))
    assert isinstance(read, Control)
    assert action_of(read) == (action, values)


@pytest.mark.parametrize(
    "denied",
    [
        control.TeleBoot(1, ID),
        control.RecordControl(1, ID, "StopRecord"),
        control.GuardControl(1, ID, "ResetGuard"),
        control.FormatSdCard(1, ID, 0),
        control.TargetTrack(1, ID, "Auto"),
        control.DeviceUpgrade(1, ID, "1", "2"),
        control.PrecisePtz(1, ID, pan=1),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_is_denied_is_no_action(denied: Control) -> None:
    assert action_of(denied) is None
