"""A platform that restarts, loses all it knew or refuses everybody: each box is back soon, and none of them storms (F16)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from edge.gb28181.device import Device
from edge.io.tcp import FIRST_REDIAL_SECONDS, LAST_REDIAL_SECONDS, spread
from tests.chance import SeededChance
from tests.playbook.gb28181.test_roles import DEVICE, PLATFORM, Wire

BOXES = 200


def wire(seed: int) -> Wire:
    made = Wire()
    made.device = Device(DEVICE, SeededChance(seed))
    return made.registered()


def sent(wire: Wire, seconds: int) -> list[list[bytes]]:
    """What the box says in each of the next seconds."""
    found = []
    for _ in range(seconds):
        wire.sent.clear()
        wire.wait(1.0)
        found.append([data for data in wire.sent if not data.startswith(b"SIP/2.0")])
    return found


def registers(said: list[list[bytes]]) -> list[int]:
    return [at for at, some in enumerate(said) if any(data.startswith(b"REGISTER") for data in some)]


def test_f16_a_platform_that_says_403_for_ten_minutes_is_asked_once_a_minute_and_no_more() -> None:
    one = wire(1)
    good = one.platform
    one.platform = Wire(platform=replace(PLATFORM, devices=())).platform
    said = sent(one, 600)
    assert max(map(len, said)) <= 2, "a keepalive and a registration at most fall into one second"
    tries = registers(said)
    assert 5 <= len(tries) <= 10
    assert all(later - before >= 60 for before, later in zip(tries[1:], tries[2:], strict=False)), tries
    one.platform = good
    assert registers(sent(one, 76)), "and it is back within a minute and a quarter of the platform"
    assert one.device.facts()["registered"]


@pytest.mark.parametrize(("away", "most"), [("knows nobody any more", 8), ("does not answer for ten minutes", 5)])
def test_f16_of_many_boxes_that_registered_in_one_second_no_second_hears_them_all_again(away: str, most: int) -> None:
    """The platform restarts, and everybody registers at once; when it restarts again they must not come in one moment.

    Of one that was silent, those whose REGISTER is just being said again (17.1.2.2: every four seconds) are heard first.
    """
    again: Counter[int] = Counter()
    for seed in range(BOXES):
        one = wire(seed)
        if away == "does not answer for ten minutes":
            one.lose = lambda _: True
            one.wait(600)
            one.lose = lambda _: False
        one.platform = Wire().platform
        at = next(
            at for at, some in enumerate(sent(one, 300)) if one.device.facts()["registered"] and registers([some])
        )
        again[at] += 1
    assert sum(again.values()) == BOXES
    assert max(again.values()) <= BOXES // most, "of two hundred a second"
    assert max(again) - min(again) >= 30, (min(again), max(again))


def test_f16_boxes_that_dial_are_out_of_step_when_a_platform_was_away_for_ten_minutes() -> None:
    arrivals: Counter[int] = Counter()
    for seed in range(1000):
        chance, at, pause = SeededChance(seed), 0.0, FIRST_REDIAL_SECONDS
        while at < 600:
            assert 0.5 * pause <= (step := spread(pause, chance)) < 1.5 * pause
            at, pause = at + step, min(2 * pause, LAST_REDIAL_SECONDS)
        arrivals[int(at)] += 1
    assert max(arrivals.values()) <= 100, "of a thousand a second"
    assert max(arrivals) - 600 <= 45, "and each is there within three quarters of a minute"
