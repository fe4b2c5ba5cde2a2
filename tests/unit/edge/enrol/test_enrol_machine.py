"""The table of enrolling: every event in every state, and how long is waited."""

from __future__ import annotations

import pytest

from edge.enrol.machine import PAUSES, STEADY_SECONDS, TABLE, Event, Machine, State

ANSWERS = {
    Event.PENDING: State.PENDING,
    Event.APPROVED: State.TRYING,
    Event.REFUSED: State.REFUSED,
    Event.REVOKED: State.REVOKED,
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_event_in_every_state_leads_somewhere_or_changes_nothing(state: State, event: Event) -> None:
    machine = Machine(lambda: 0.5)
    machine.state = state
    machine.on(event, 100.0)
    assert machine.state is TABLE[state].get(event, state)
    assert not machine.due(100.0) or event in (Event.WANTED, Event.ANEW, Event.UNWANTED) or state is State.IDLE


def test_an_answer_of_the_city_says_where_it_stands_from_everywhere_but_idle() -> None:
    for state in set(State) - {State.IDLE}:
        assert {event: TABLE[state][event] for event in ANSWERS} == ANSWERS
    assert not ANSWERS.keys() & TABLE[State.IDLE].keys()


def test_nobody_is_asked_without_a_reason_and_at_once_with_one() -> None:
    machine = Machine(lambda: 0.5)
    assert not machine.due(1e9)
    machine.on(Event.WANTED, 10.0)
    assert machine.due(10.0)
    machine.on(Event.AWAY, 10.0)
    machine.on(Event.WANTED, 11.0)
    assert not machine.due(11.0), "that there is still a reason shortens no pause"
    machine.on(Event.UNWANTED, 12.0)
    assert not machine.due(1e9)


@pytest.mark.parametrize("event", [Event.AWAY, Event.PENDING, Event.REFUSED, Event.APPROVED])
def test_the_same_answer_again_is_asked_for_more_and_more_rarely(event: Event) -> None:
    machine, now, waits = Machine(lambda: 0.5), 0.0, []
    machine.on(Event.WANTED, now)
    machine.on(event, now)
    now += STEADY_SECONDS.get(machine.state, 0.0)
    for _ in range(12):
        machine.on(event, now)
        began = now
        while not machine.due(now):
            now += 1.0
        waits.append(now - began)
    first, most = PAUSES[machine.state]
    assert waits[0] == pytest.approx(min(2 * first, most), abs=1)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(most, abs=1)


def test_no_two_boxes_ask_in_step() -> None:
    early, late = Machine(lambda: 0.0), Machine(lambda: 1.0)
    for machine in (early, late):
        machine.on(Event.WANTED, 0.0)
        machine.on(Event.PENDING, 0.0)
    assert early.due(2.5)
    assert not late.due(3.5)
    assert late.due(3.7)


def test_a_revoked_box_asks_once_a_day_and_forgets_it_by_the_citys_word_alone() -> None:
    machine = Machine(lambda: 0.5)
    machine.on(Event.WANTED, 0.0)
    machine.on(Event.REVOKED, 0.0)
    assert not machine.due(86_000.0)
    assert machine.due(86_400.0)
    for event in (Event.AWAY, Event.UNWANTED, Event.WANTED):
        machine.on(event, 86_400.0)
        assert machine.state is State.REVOKED
    machine.on(Event.APPROVED, 86_400.0)
    assert machine.state is State.TRYING
    assert Machine(lambda: 0.5, revoked=True).state is State.REVOKED, "a restart has not forgotten it"


def test_another_bundle_begins_anew_whatever_was_answered() -> None:
    machine = Machine(lambda: 0.5)
    machine.on(Event.WANTED, 0.0)
    machine.on(Event.REFUSED, 0.0)
    machine.on(Event.ANEW, 1.0)
    assert machine.state is State.ASKING
    assert machine.due(1.0)


def test_who_waits_for_a_persons_word_has_it_within_seconds_for_a_quarter_of_an_hour() -> None:
    machine, now = Machine(lambda: 1.0), 0.0
    machine.on(Event.WANTED, now)
    while now < 14 * 60:
        machine.on(Event.PENDING, now)
        assert not machine.due(now + 3.5)
        assert machine.due(now + 3.61)
        now += 3.61
    while now < 17 * 60:
        machine.on(Event.PENDING, now)
        now += 3.61
    assert not machine.due(now + 30.0), "nobody has come: it asks more rarely"


def test_nobody_sleeps_past_what_is_due() -> None:
    machine = Machine(lambda: 0.5)
    assert machine.wait(0.0, 2.0) == 2.0, "without a reason nothing is due"
    machine.on(Event.WANTED, 0.0)
    assert machine.wait(0.0, 2.0) == 2.0, "what is due now is tried in this turn"
    machine.on(Event.PENDING, 0.0)
    assert machine.wait(0.0, 2.0) == 2.0
    assert machine.wait(2.5, 2.0) == pytest.approx(0.5)
