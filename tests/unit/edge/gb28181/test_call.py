"""A leg's table, walked."""

from __future__ import annotations

import pytest

from edge.gb28181.call import TABLE, Action, Event, State

ASKING = {State.INVITING, State.CANCELLING}
ASKED = {State.OFFERED, State.ACCEPTED, State.LEAVING}
#: What a peer or our user can do at any time, where it can come at all.
OURS = {Event.ACCEPT, Event.REFUSE, Event.HANG_UP}


def test_every_state_has_a_row_and_can_end() -> None:
    assert set(TABLE) == set(State)
    for state in State:
        seen, todo = {state}, [state]
        while todo:
            for after, _ in TABLE[todo.pop()].values():
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        assert State.ENDED in seen, state


@pytest.mark.parametrize("state", [s for s in State if s is not State.ENDED])
def test_hanging_up_is_heard_in_every_state(state: State) -> None:
    assert Event.HANG_UP in TABLE[state]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_pair_is_a_cell_or_refused(state: State, event: Event) -> None:
    cell = TABLE[state].get(event)
    if cell is None:
        return
    after, actions = cell
    assert after in State
    assert all(action in Action for action in actions)
    if after is State.ENDED and event not in OURS and state not in (State.CANCELLING, State.LEAVING):
        assert {Action.TELL_ENDED, Action.TELL_FAILED} & set(actions), "its user hears of an end it did not ask for"
    if state in ASKING:
        assert event not in (Event.ACCEPT, Event.REFUSE, Event.CANCELLED)
    if state in ASKED:
        assert event not in (Event.ANSWERED, Event.FAILED, Event.PROGRESS)


def test_no_200_stays_without_ack_and_no_dialog_without_bye() -> None:
    """RFC 3261 13.2.2.4 and 15: the 200 that crosses our CANCEL opens a dialog that is ended at once."""
    assert TABLE[State.INVITING][Event.ANSWERED][1][0] is Action.SEND_ACK
    assert TABLE[State.CANCELLING][Event.ANSWERED][1] == (Action.SEND_ACK, Action.SEND_BYE)
    assert Action.SEND_BYE not in TABLE[State.ACCEPTED][Event.HANG_UP][1], "BYE may not overtake the ACK"
