"""Which tunnel is used: probes and answers on a clock that is a number."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest

from edge.cityside.choice import (
    DISTRUST_SECONDS,
    MOST_MISSED,
    PROBE_BYTES,
    PROBE_SECONDS,
    REST_SECONDS,
    RETURN_JITTER_SECONDS,
    RETURN_SECONDS,
    SILENT_SECONDS,
    TABLE,
    Chooser,
    Event,
    State,
    Switched,
)
from tests.chance import SeededChance

A, B, C = "wg-a", "wg-b", "wg-c"


@dataclass
class Clock:
    """A city whose concentrators answer or do not, and a box that chooses."""

    chooser: Chooser
    now: float = 0.0
    living: set[str] = field(default_factory=lambda: {A, B})
    watched: bool = False
    unanswered_since: float | None = None
    done: list[Switched] = field(default_factory=list)

    def run(self, seconds: float) -> list[Switched]:
        """Advance by quarters of a second; return what was switched meanwhile."""
        before = len(self.done)
        until = self.now + seconds
        while self.now < until:
            for tunnel, data in self.chooser.probes(self.now):
                assert len(data) == PROBE_BYTES
                if tunnel in self.living:
                    self.chooser.answered(tunnel, data, self.now + 0.03)
            if self.unanswered_since is None:
                self.chooser.heard()
            change = self.chooser.decide(self.now, self.unanswered_since, watched=self.watched)
            if change is not None:
                self.done.append(change)
            self.now += 0.25
        return self.done[before:]


def clock(*names: str, seed: int = 1, **rest: object) -> Clock:
    tunnels = [(name, True) for name in names or (A, B)]
    return Clock(Chooser(tunnels, SeededChance(seed), 0.0, **rest))  # type: ignore[arg-type]


def test_the_table_has_a_cell_for_every_state_and_event() -> None:
    assert {(state, event) for state in TABLE for event in TABLE[state]} == set(itertools.product(State, Event))


def test_the_preferred_one_is_used_as_long_as_it_answers() -> None:
    box = clock()
    assert box.run(600) == []
    assert box.chooser.chosen == A


def test_three_probes_without_an_answer_and_the_other_one_is_used_even_while_somebody_watches() -> None:
    box = clock()
    box.run(10)
    box.living, box.watched = {B}, True
    assert box.run((MOST_MISSED - 1) * PROBE_SECONDS) == []
    assert box.run(2 * PROBE_SECONDS) == [Switched(A, B, "dead")]


def test_two_lost_probes_are_bad_luck() -> None:
    box = clock()
    box.run(10)
    for _ in range(20):
        box.living = {B}
        box.run((MOST_MISSED - 1) * PROBE_SECONDS)
        box.living = {A, B}
        assert box.run(2 * PROBE_SECONDS) == []
    assert box.chooser.chosen == A


@pytest.mark.parametrize("seed", range(8))
def test_back_to_the_preferred_one_only_after_it_has_answered_for_one_to_two_minutes(seed: int) -> None:
    box = clock(seed=seed)
    box.run(10)
    box.living = {B}
    box.run(20)
    box.living = {A, B}
    assert box.run(RETURN_SECONDS - 1) == []
    assert box.run(RETURN_JITTER_SECONDS + 2 * PROBE_SECONDS) == [Switched(B, A, "preferred")]


def test_sites_do_not_return_all_at_once() -> None:
    moments = set()
    for seed in range(8):
        box = clock(seed=seed, chosen=B)
        while not box.run(0.25):
            pass
        moments.add(box.now)
    assert len(moments) > 5


def test_who_watches_is_not_disturbed_by_a_return() -> None:
    box = clock(chosen=B)
    box.watched = True
    assert box.run(1000) == []
    box.watched = False
    assert box.run(1) == [Switched(B, A, "preferred")]


def test_a_preferred_one_that_flaps_is_not_gone_back_to() -> None:
    box = clock()
    box.run(10)
    for _ in range(20):
        box.living = {B}
        box.run(20)
        box.living = {A, B}
        box.run(RETURN_SECONDS - 10)
    assert box.done == [Switched(A, B, "dead")]


def test_if_none_answers_nothing_is_changed() -> None:
    box = clock()
    box.run(10)
    box.living = set()
    assert box.run(600) == []
    assert box.chooser.chosen == A
    assert set(box.chooser.states().values()) == {State.DEAD}


def test_the_first_living_one_in_the_citys_order() -> None:
    box = clock(A, B, C)
    box.living = {A, B, C}
    box.run(10)
    box.living = {C, B}
    assert box.run(20) == [Switched(A, B, "dead")]
    box.living = {C}
    assert box.run(20) == [Switched(B, C, "dead")]


def test_no_platform_answers_for_a_minute_and_the_other_tunnel_lives() -> None:
    box = clock()
    box.run(10)
    box.unanswered_since = box.now
    assert box.run(SILENT_SECONDS - 1) == []
    assert box.run(2) == [Switched(A, B, "silent")]
    box.unanswered_since = None
    assert box.run(DISTRUST_SECONDS - 10) == [], "a tunnel that was left for silence is not trusted at once"


def test_a_platform_that_is_down_is_no_reason_to_change_tunnels_every_minute() -> None:
    box = clock()
    box.run(10)
    box.unanswered_since = box.now
    box.run(4 * 3600)
    assert 2 < len(box.done) < 20
    gaps = [box.chooser.switches, len(box.done)]
    assert gaps[0] == gaps[1]
    before = len(box.done)
    box.run(3600)
    assert len(box.done) - before <= 2


def test_no_silence_counts_where_the_other_tunnel_does_not_live() -> None:
    box = clock()
    box.living = {A}
    box.run(20)
    box.unanswered_since = box.now
    assert box.run(600) == []


def test_a_rotated_tunnel_is_left_alone_for_a_moment() -> None:
    box = clock(chosen=A, rotated=(A,))
    assert box.run(1) == [Switched(A, B, "rotated")]
    assert box.run(REST_SECONDS + 10) == []
    assert box.run(RETURN_SECONDS + RETURN_JITTER_SECONDS) == [Switched(B, A, "preferred")]
    watched = clock(chosen=A, rotated=(A,))
    watched.watched = True
    assert watched.run(600) == [], "a view that runs goes on with the new key"
    late = clock(chosen=A, rotated=(A,))
    late.watched, late.living = True, {B}
    assert late.run(10) == [Switched(A, B, "dead")], "its concentrator did not take it"
    idle = clock(chosen=A, rotated=(B,))
    assert idle.run(600) == [], "the tunnel that carries is not the one that was rotated"


def test_an_answer_that_is_none_counts_for_nothing() -> None:
    box = clock()
    box.run(10)
    box.living = {B}
    sent: list[bytes] = []
    for _ in range(MOST_MISSED + 2):
        for tunnel, data in box.chooser.probes(box.now):
            if tunnel == A:
                sent.append(data)
                for false in (b"", bytes(PROBE_BYTES), data[:-1], data + b"x", *sent[:-1]):
                    box.chooser.answered(A, false, box.now)
            else:
                box.chooser.answered(B, data, box.now)
        box.now += PROBE_SECONDS
    assert box.chooser.states()[A] is State.DEAD
    assert len(set(sent)) == len(sent)


def test_one_tunnel_is_not_probed_and_one_that_cannot_be_is_left_for_silence_alone() -> None:
    assert clock(A).chooser.probes(5.0) == []
    box = Clock(Chooser([(A, False), (B, True)], SeededChance(1), 0.0))
    assert box.run(100) == []
    box.unanswered_since = box.now
    assert box.run(SILENT_SECONDS + 1) == [Switched(A, B, "silent")]
    box.unanswered_since = None
    assert box.run(1000) == [], "nobody knows whether it lives again"


def test_what_is_kept_of_a_tunnel_that_is_no_more_is_the_first_one() -> None:
    assert clock(chosen="wg-z").chooser.chosen == A


def test_the_silence_of_before_does_not_count_against_the_next_tunnel() -> None:
    box = clock(A, B, C)
    box.living = {A, B, C}
    box.run(10)
    box.unanswered_since, box.living = box.now - 1000, {B, C}
    assert [each.tunnel for each in box.run(SILENT_SECONDS - 5)] == [B], "B has its own minute"
    box.run(15)
    assert box.chooser.chosen == C


def test_a_silence_that_leads_nowhere_is_not_held_against_the_tunnel() -> None:
    box = clock()
    box.run(10)
    box.unanswered_since = box.now
    box.run(2 * SILENT_SECONDS + 5)
    assert [each.tunnel for each in box.done] == [B], "A is not trusted again so soon"
    box.run(DISTRUST_SECONDS - SILENT_SECONDS)
    assert [each.tunnel for each in box.done] == [B, A], "two minutes after it was left, and B is left for two minutes"
    before = box.now
    while len(box.done) == 2:
        box.run(0.25)
    assert box.now - before < DISTRUST_SECONDS + 5
