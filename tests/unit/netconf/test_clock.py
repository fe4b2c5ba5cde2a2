"""The clock never goes below what was seen, and a clock that ran ahead once does not take the box along."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netconf import clock
from netconf.clock import BUILT_SECONDS, KEEP_SECONDS, MOST_AHEAD_SECONDS, Floor

NOW, YEAR, HOUR = 1_800_000_000.0, 365 * 86_400.0, 3600.0


@pytest.mark.parametrize(
    ("system", "floor", "told"),
    [(0, NOW, NOW), (NOW + 5, NOW, NOW + 5), (NOW - YEAR, NOW, NOW), (0, 0, BUILT_SECONDS), (-1, NOW, NOW)],
)
def test_wall_time_is_the_systems_but_never_below_the_floor(system: float, floor: float, told: float) -> None:
    assert clock.wall(system, floor) == told


def test_a_dead_battery_starts_where_the_last_life_ended(tmp_path: Path) -> None:
    life = Floor(tmp_path / "seen", 0)
    life.tick(NOW, 10)
    life.keep()
    assert Floor(tmp_path / "seen", 0).wall(0) == NOW


def test_the_floor_is_written_once_an_hour_and_not_more_often(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    life = Floor(path, 0)
    life.tick(NOW, KEEP_SECONDS - 1)
    assert not path.exists()
    life.tick(NOW + 1, KEEP_SECONDS)
    assert clock.read_floor(path) == NOW + 1
    path.unlink()
    life.tick(NOW + 9, KEEP_SECONDS + 9)
    assert not path.exists()


def test_a_year_ahead_and_back_costs_a_day_and_not_a_year(tmp_path: Path) -> None:
    life = Floor(tmp_path / "seen", 0)
    life.tick(NOW, 1)
    life.tick(NOW + YEAR, 2)
    assert life.wall(NOW + 2) <= NOW + 1 + MOST_AHEAD_SECONDS
    assert life.wall(NOW + YEAR) == NOW + YEAR  # the present clock is believed while it says so


def test_f20_an_hour_in_2099_does_not_make_everything_old_for_ever(tmp_path: Path) -> None:
    """The keeper ticks each two seconds; a layer for the next month must be good again once the clock is right."""
    for began in (NOW, 0.0):
        life = Floor(tmp_path / f"seen-{began}", 0)
        if began:
            life.tick(began, 1)
        for at in range(2, int(HOUR), 2):
            life.tick(4_070_908_800.0, float(at))
        assert life.wall(NOW + HOUR) <= NOW + HOUR + 2 * MOST_AHEAD_SECONDS


@given(st.lists(st.tuples(st.floats(-1e9, 4e9), st.floats(0, 1e6)), max_size=20))
def test_the_floor_never_falls(steps: list[tuple[float, float]]) -> None:
    floor = 0.0
    for system, passed in steps:
        higher = clock.raised(floor, system, passed)
        assert higher >= max(floor, BUILT_SECONDS)
        assert clock.wall(system, higher) >= higher
        floor = higher


@pytest.mark.parametrize("data", [b"", b"x", b"nan", b"inf", b"-5", b"1e99", b"9" * 33, b"\xff"])
def test_a_damaged_floor_is_the_time_of_the_build(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "seen"
    path.write_bytes(data)
    assert clock.read_floor(path) == BUILT_SECONDS
    assert clock.read_floor(tmp_path / "none") == BUILT_SECONDS
