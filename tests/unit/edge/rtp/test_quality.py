"""The meter against the formula of RFC 3550 6.4.1 done otherwise, in whole numbers as its appendix A.8 does it."""

from __future__ import annotations

import random

import pytest

from edge.rtp.quality import CLOCK_HZ, MAX_STEP_SECONDS, Meter, Quality, loss_ppm, verdict


def appendix_a8(arrivals: list[tuple[float, int]]) -> float:
    """Return the jitter in ms as A.8 computes it: transit times in ticks, the estimate scaled by sixteen."""
    transit, jitter = 0, 0
    for number, (seconds, timestamp) in enumerate(arrivals):
        now = round(seconds * CLOCK_HZ) - timestamp
        if number:
            jitter += abs(now - transit) - ((jitter + 8) >> 4)
        transit = now
    return (jitter >> 4) * 1000 / CLOCK_HZ


def pictures(spread: float, count: int = 2000, seed: int = 7) -> list[tuple[float, int]]:
    """Return 25 pictures a second, each up to ``spread`` seconds late."""
    chance = random.Random(seed)
    return [(n / 25 + chance.uniform(0, spread), n * CLOCK_HZ // 25) for n in range(count)]


def measured(arrivals: list[tuple[float, int]], first: int = 0) -> float:
    meter = Meter()
    for seconds, timestamp in arrivals:
        meter.picture(seconds, (timestamp + first) & 0xFFFFFFFF)
    jitter = meter.figures().jitter_ms
    assert jitter is not None
    return jitter


@pytest.mark.parametrize("spread", [0.0, 0.002, 0.03, 0.2])
def test_is_the_jitter_of_the_appendix(spread: float) -> None:
    arrivals = pictures(spread)
    assert measured(arrivals) == pytest.approx(appendix_a8(arrivals), abs=0.3)


def test_no_jitter_in_what_is_evenly_late() -> None:
    assert measured([(3.0 + at, stamp) for at, stamp in pictures(0.0)]) == 0.0


def test_a_time_stamp_that_goes_round_is_no_jitter() -> None:
    arrivals = pictures(0.03)
    assert measured(arrivals, 0xFFFFFFFF - 90_000) == measured(arrivals)


def test_a_pause_is_no_jitter_and_what_follows_is_measured() -> None:
    arrivals = pictures(0.03)
    half = len(arrivals) // 2
    paused = arrivals[:half] + [(at + MAX_STEP_SECONDS + 60, stamp) for at, stamp in arrivals[half:]]
    assert measured(paused) == pytest.approx(measured(arrivals), abs=3)
    short = arrivals[:half] + [(at + MAX_STEP_SECONDS - 1, stamp) for at, stamp in arrivals[half : half + 1]]
    assert measured(short) > 200


def test_knows_nothing_of_one_picture() -> None:
    meter = Meter()
    meter.picture(1.0, 1)
    meter.key(1.0)
    assert meter.figures() == Quality()


def test_the_way_between_the_last_two_key_pictures() -> None:
    meter = Meter()
    for at in (0.0, 2.0, 6.5):
        meter.key(at)
    assert meter.figures().key_frame_ms == 4500


def test_loss_is_of_what_was_sent() -> None:
    assert loss_ppm(999_000, 1_000) == 1_000
    assert loss_ppm(900, 99) is None
    assert loss_ppm(0, 0) is None


def test_what_is_below_the_standard() -> None:
    assert verdict(Quality()) == ()
    assert verdict(Quality(1_000, 50.0, 4_000, 60_000, 1)) == ()
    assert verdict(Quality(1_001, 50.1, 4_001, 1, 1)) == ("quality_loss", "quality_jitter", "quality_first_picture")
    assert verdict(Quality(jitter_ms=51)) == ("quality_jitter",)
    assert verdict(Quality(viewer_loss_ppm=1_001, round_trip_ms=9_999)) == ("quality_viewer_loss",)
    assert verdict(Quality(viewer_loss_ppm=1_000)) == ()
