"""The verdict upon a site: what is judged, and when it becomes the verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from city.truth import verdict
from city.truth.verdict import (
    BETTER_SECONDS,
    DEAF_SECONDS,
    FORGOTTEN_SECONDS,
    MEDIA_SECONDS,
    RANK,
    SILENT_SECONDS,
    WORSE_SECONDS,
    Facts,
    Judged,
    Listening,
    Stood,
    Verdict,
    judge,
    settle,
)

NOW = 1_780_000_000.0
LISTENS = Listening(NOW - 1e6, NOW)
WELL = Facts(
    seen_at=NOW - 20, handshakes={"wg-a": 30, "wg-b": 100}, tunnels=("wg-a", "wg-b"), registered=True,
    media_at=NOW - 3600, errors=(), behind_since=None, alive=True, active_since=NOW - 1e6,
)  # fmt: skip
SILENT = replace(WELL, seen_at=NOW - SILENT_SECONDS - 1)


def codes(judged: Judged | None) -> list[str]:
    assert judged is not None
    return [judged.verdict.value, *(found.code for found in judged.reasons)]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (WELL, ["good"]),
        (replace(WELL, registered=False), ["degraded", "not_registered"]),
        # A handshake alone is not good.
        (replace(WELL, registered=None), ["degraded", "registration_unsaid"]),
        (replace(WELL, media_at=None), ["degraded", "no_media_for_days"]),
        (replace(WELL, media_at=None, active_since=NOW - 60), ["good"]),
        (replace(WELL, media_at=NOW - MEDIA_SECONDS - 1), ["degraded", "no_media_for_days"]),
        (replace(WELL, handshakes={"wg-a": 30, "wg-b": 181}), ["degraded", "one_tunnel_dead"]),
        (replace(WELL, handshakes={"wg-a": 30}), ["degraded", "one_tunnel_dead"]),
        (replace(WELL, handshakes={"wg-a": 30, "wg-b": None}), ["degraded", "one_tunnel_dead"]),
        (replace(WELL, handshakes={"wg-a": None, "wg-b": 999}), ["degraded", "tunnels_dead"]),
        (replace(WELL, handshakes={}, tunnels=()), ["degraded", "tunnels_unsaid"]),
        (replace(WELL, behind_since=NOW - 599), ["good"]),
        (replace(WELL, behind_since=NOW - 601), ["degraded", "layer_not_applied"]),
        (replace(WELL, errors=("recorder_silent",)), ["degraded", "recorder_silent"]),
        (replace(WELL, seen_at=NOW - SILENT_SECONDS, alive=False), ["good"]),
        (SILENT, ["degraded", "agent_silent"]),
        (replace(SILENT, alive=False), ["dark", "no_report_no_tunnel"]),
        (replace(SILENT, alive=None), ["unknown", "concentrators_silent"]),
        (replace(WELL, seen_at=None), ["unknown", "site_never_heard"]),
    ],
)
def test_a_site_is_judged_by_all_that_is_known_of_it(facts: Facts, said: list[str]) -> None:
    assert codes(judge(facts, LISTENS, NOW)) == said


def test_nobody_is_dark_for_what_the_registry_could_not_hear() -> None:
    gone = replace(SILENT, seen_at=NOW - 5000, alive=False)
    assert codes(judge(gone, LISTENS, NOW))[0] == "dark"
    for since in (0.0, 1.0, 2 * verdict.INTERVAL_SECONDS, SILENT_SECONDS):
        assert judge(gone, Listening(NOW - since, NOW), NOW) is None
    assert codes(judge(gone, Listening(NOW - SILENT_SECONDS - 1, NOW), NOW))[0] == "dark"
    # While it is down: first what was said holds, then nothing is known.
    heard = replace(WELL, seen_at=NOW, alive=False)
    down = Listening(NOW - 1e6, NOW + 10)
    for later in (SILENT_SECONDS + 1, FORGOTTEN_SECONDS - 1):
        assert judge(heard, down, NOW + later) is None
    assert codes(judge(heard, down, NOW + 10 + FORGOTTEN_SECONDS + 1)) == ["unknown", "registry_deaf"]
    assert judge(heard, Listening(0, NOW + DEAF_SECONDS), NOW + SILENT_SECONDS + 1) is None


def run(said: list[tuple[float, Verdict]]) -> list[tuple[float, Verdict]]:
    """Feed judgements; return when the verdict changed, and to what."""
    stood, changes = Stood(), []
    for at, each in said:
        after = settle(stood, Judged(each), at)
        if after.verdict is not stood.verdict or not stood.since:
            changes.append((at, after.verdict))
        stood = after
    return changes


def test_the_first_judgement_stands_at_once() -> None:
    assert run([(NOW, Verdict.GOOD)]) == [(NOW, Verdict.GOOD)]


@pytest.mark.parametrize(
    ("one", "other", "wait"),
    [(Verdict.GOOD, Verdict.DARK, WORSE_SECONDS), (Verdict.DARK, Verdict.GOOD, BETTER_SECONDS)],
)
def test_a_change_stands_after_its_time_and_keeps_its_since(one: Verdict, other: Verdict, wait: float) -> None:
    stood = settle(Stood(), Judged(one), NOW)
    stood = settle(stood, Judged(other), NOW + 100)
    for at in (0.0, wait / 2, wait - 0.1):
        stood = settle(stood, Judged(other), NOW + 100 + at)
        assert (stood.verdict, stood.since) == (one, NOW)
    stood = settle(stood, Judged(other), NOW + 100 + wait)
    assert (stood.verdict, stood.since) == (other, NOW + 100 + wait)


def test_a_break_begins_the_time_anew_and_so_does_a_registry_that_cannot_say() -> None:
    for between in (Judged(Verdict.GOOD), None):
        stood = settle(Stood(), Judged(Verdict.GOOD), NOW)
        stood = settle(stood, Judged(Verdict.DARK), NOW + 1)
        stood = settle(stood, between, NOW + WORSE_SECONDS)
        stood = settle(stood, Judged(Verdict.DARK), NOW + WORSE_SECONDS + 2)
        assert stood.verdict is Verdict.GOOD


def test_two_bad_states_that_alternate_are_the_milder_of_them() -> None:
    said = [(NOW, Verdict.GOOD)]
    said += [(NOW + 10 * n, (Verdict.DARK, Verdict.DEGRADED)[n % 2]) for n in range(1, 30)]
    assert [each for _, each in run(said)] == [Verdict.GOOD, Verdict.DEGRADED]


VERDICTS = st.sampled_from(list(Verdict))


@given(
    st.sampled_from(list(Verdict)), st.lists(st.tuples(st.floats(0.1, WORSE_SECONDS / 2 - 1), VERDICTS), max_size=60)
)
def test_an_input_that_flaps_faster_than_the_time_changes_nothing(
    first: Verdict, said: list[tuple[float, Verdict]]
) -> None:
    at, fed = NOW, [(NOW, first)]
    for pause, each in said:
        fed.append((at := at + pause, each))
        fed.append((at := at + pause, first))
    assert run(fed) == [(NOW, first)]


@given(st.lists(st.tuples(st.floats(0.1, 200.0), VERDICTS), min_size=1, max_size=60))
def test_every_change_rests_on_what_was_judged_without_a_break(said: list[tuple[float, Verdict]]) -> None:
    at, fed = NOW, []
    for pause, each in said:
        fed.append((at := at + pause, each))
    changes = run(fed)
    for (_, before), (when, after) in zip(changes, changes[1:], strict=False):
        worse = RANK[after] > RANK[before]
        wait = WORSE_SECONDS if worse else BETTER_SECONDS
        lately = [each for moment, each in fed if when - wait <= moment <= when]
        assert all((RANK[each] >= RANK[after]) if worse else (RANK[each] <= RANK[after]) for each in lately)
    moments = [when for when, _ in changes]
    assert all(b - a >= WORSE_SECONDS for a, b in zip(moments, moments[1:], strict=False))


@given(
    st.sampled_from([WELL, SILENT, replace(SILENT, alive=False), replace(WELL, behind_since=NOW - 5), replace(WELL, seen_at=None)]),
    VERDICTS, st.one_of(st.none(), VERDICTS), st.floats(0, 1000),
)  # fmt: skip
def test_the_next_look_is_in_the_future(facts: Facts, now: Verdict, leaning: Verdict | None, before: float) -> None:
    due = verdict.due(Stood(now, NOW - 1e4, (), leaning, NOW - before if leaning else 0.0), facts, LISTENS, NOW)
    assert NOW + 1 <= due <= NOW + 3600


def test_a_silence_is_seen_when_it_is_due() -> None:
    stood = settle(Stood(), judge(WELL, LISTENS, NOW), NOW)
    at = verdict.due(stood, WELL, LISTENS, NOW)
    assert at == WELL.seen_at + SILENT_SECONDS + 1
    gone = replace(WELL, alive=False)
    while stood.verdict is not Verdict.DARK:
        assert at < NOW + 400
        listens = Listening(0, at)
        stood = settle(stood, judge(gone, listens, at), at)
        at = verdict.due(stood, gone, listens, at)
    assert stood.since < NOW + SILENT_SECONDS + WORSE_SECONDS + 3
