"""The transaction tables, walked: every state is reached and left, every pair is a cell or nothing at all."""

from __future__ import annotations

import pytest

from edge.sip.transaction import FIRST_STATE, TABLES, Action, Event, Kind, State


@pytest.mark.parametrize("kind", Kind)
def test_every_state_is_reached_and_ends(kind: Kind) -> None:
    table = TABLES[kind]
    reached, todo = {FIRST_STATE[kind]}, [FIRST_STATE[kind]]
    while todo:
        for state, _ in table.get(todo.pop(), {}).values():
            if state not in reached:
                reached.add(state)
                todo.append(state)
    assert set(table) == reached - {State.TERMINATED}
    for state, cells in table.items():
        assert cells, f"{state} has no way out"
    # Only what waits for its user has no expiry: a server's first answer, a client's INVITE that rings (RFC 3261 17.1.1.2).
    waits = {state for state, cells in table.items() if Event.EXPIRE not in cells}
    assert waits <= {State.TRYING, State.PROCEEDING}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_pair_is_a_cell_or_stray(kind: Kind, state: State, event: Event) -> None:
    cell = TABLES[kind].get(state, {}).get(event)
    if cell is None:
        return
    after, actions = cell
    assert after in State
    assert all(action in Action for action in actions)
    assert len(set(actions)) == len(actions)
    if after is State.TERMINATED:
        assert event is Event.EXPIRE, "a transaction over UDP ends by its timer alone"
    if event is Event.RESEND:
        assert Action.RESEND in actions
        assert after is state


def test_an_answer_once_given_is_kept_for_its_repetition() -> None:
    """RFC 3261 17.2.2: a repeated request is answered from the transaction, never handled twice."""
    for kind in (Kind.SERVER, Kind.SERVER_INVITE):
        for state in (State.PROCEEDING, State.ACCEPTED, State.COMPLETED):
            cell = TABLES[kind].get(state, {}).get(Event.REQUEST)
            assert cell is None or (cell[0] is state and Action.PASS not in cell[1])
