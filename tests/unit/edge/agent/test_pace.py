"""When boxes speak: never in step for long, never more often than once an interval on the average."""

from __future__ import annotations

import random

import pytest

from city.truth.verdict import SILENT_SECONDS
from edge.agent import pace

BOXES, INTERVAL = 5000, 60.0


def pauses(*, heard: bool) -> list[float]:
    chance = random.Random(7).random
    return sorted(pace.seconds(INTERVAL, heard=heard, chance=chance) for _ in range(BOXES))


def test_who_was_heard_comes_again_after_an_interval_nearly() -> None:
    found = pauses(heard=True)
    assert found[0] >= 0.8 * INTERVAL and found[-1] <= 1.2 * INTERVAL


def test_boxes_that_were_not_heard_in_the_same_second_do_not_come_again_in_the_same_minute() -> None:
    found = pauses(heard=False)
    assert found[BOXES * 99 // 100] - found[BOXES // 100] >= 60.0
    busiest = max(sum(at <= one < at + 1 for one in found) for at in range(int(found[-1]) + 1))
    assert busiest < 2 * BOXES / INTERVAL, "no second has twice what an ordinary second has"


@pytest.mark.parametrize("heard", [True, False])
def test_on_the_average_it_is_once_an_interval(heard: bool) -> None:
    assert sum(pauses(heard=heard)) / BOXES == pytest.approx(INTERVAL, rel=0.03)


def test_a_city_hears_a_box_that_failed_once_before_it_calls_it_silent() -> None:
    most = pace.seconds(INTERVAL, heard=True, chance=lambda: 1.0) + pace.seconds(
        INTERVAL, heard=False, chance=lambda: 1.0
    )
    assert most <= SILENT_SECONDS
