"""Who beats and who hangs, with a clock that is a number."""

from __future__ import annotations

from edge.watchdog.silence import MAX_WORD_BYTES, MOST_SILENCE_SECONDS, START_SECONDS, Silence


def judged(silence: Silence, begin: float, end: float) -> list[tuple[str, int]]:
    """Who is found by a judge who looks each second up to ``end``."""
    found, now = [], begin
    while now < end:
        found += silence.silent(now)
        now += 1.0
    return found + silence.silent(end)


def test_a_program_that_beats_is_left_alone_and_one_that_stops_is_found_once() -> None:
    silence = Silence()
    silence.lives({"siteside": 10, "webui": 11}, 0.0)
    for pid in (10, 11):
        silence.hear(pid, b"WATCHDOG_USEC=10000000", 1.0)
        silence.hear(pid, b"WATCHDOG=1", 1.0)
    silence.hear(10, b"WATCHDOG=1", 9.0)
    assert silence.silent(11.5) == [("webui", 11)]
    assert judged(silence, 12.0, 19.0) == [], "once is enough: it has been killed"
    assert silence.silent(19.5) == [("siteside", 10)]


def test_a_program_may_allow_itself_more_but_not_for_ever() -> None:
    silence = Silence()
    silence.lives({"agent": 7}, 0.0)
    silence.hear(7, b"WATCHDOG_USEC=80000000\nWATCHDOG=1", 0.0)
    assert judged(silence, 0.0, 79.0) == []
    silence.hear(7, b"WATCHDOG_USEC=99999999999\nWATCHDOG=1", 79.0)
    assert judged(silence, 79.0, 79.0 + MOST_SILENCE_SECONDS) == []
    assert silence.silent(79.1 + MOST_SILENCE_SECONDS) == [("agent", 7)]


def test_the_time_before_the_first_beat_is_longer() -> None:
    silence = Silence()
    silence.lives({"webui": 5}, 100.0)
    silence.hear(5, b"WATCHDOG_USEC=10000000", 101.0)
    assert judged(silence, 101.0, 100.0 + START_SECONDS) == []
    assert silence.silent(100.5 + START_SECONDS) == [("webui", 5)]


def test_a_new_pid_is_a_new_life_and_an_old_ones_words_count_no_more() -> None:
    silence = Silence()
    silence.lives({"webui": 5}, 0.0)
    silence.hear(5, b"READY=1\nWATCHDOG=1", 1.0)
    assert silence.ready(["webui"])
    silence.lives({"webui": 6}, 2.0)
    assert not silence.ready(["webui"])
    silence.hear(5, b"READY=1", 3.0)
    assert not silence.ready(["webui"])
    silence.lives({}, 4.0)
    assert silence.silent(1000.0) == []


def test_words_that_are_none_are_nothing() -> None:
    silence = Silence()
    silence.lives({"webui": 5}, 0.0)
    silence.hear(5, b"WATCHDOG_USEC=10000000\nWATCHDOG=1", 0.0)
    for word in (b"", b"\xff" * 40, b"WATCHDOG_USEC=-1", b"WATCHDOG_USEC=", b"WATCHDOG_USEC=" + b"9" * 30,
                 b"WATCHDOG=1" + b" " * MAX_WORD_BYTES):  # fmt: skip
        silence.hear(5, word, 9.0)
    silence.hear(99, b"WATCHDOG=1", 9.0)
    assert silence.silent(10.5) == [("webui", 5)]


def test_a_judge_who_stood_still_himself_blames_nobody() -> None:
    silence = Silence()
    silence.lives({"webui": 5}, 0.0)
    silence.hear(5, b"WATCHDOG_USEC=10000000\nWATCHDOG=1", 0.0)
    assert judged(silence, 0.0, 5.0) == []
    assert silence.silent(400.0) == [], "the whole machine was asleep"
    assert judged(silence, 401.0, 405.0) == []
    assert judged(silence, 405.5, 406.0) == [("webui", 5)]
