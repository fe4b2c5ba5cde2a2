"""The states of one leg, asking or asked, as a table.

An asking leg is *inviting* until a final answer; hung up before, it is *cancelling*, and a 200 that crosses the CANCEL
is acknowledged and ended with BYE at once (RFC 3261 9.1, 15). An asked leg is *offered* until we accept or refuse;
*accepted* until the ACK; hung up in between it is *leaving*: BYE may not overtake the ACK (RFC 3261 15). Both meet in
*established*. CANCEL and BYE are heard wherever they can come.

A cell says where to go and what to do, in order. An event without a cell is refused by name and changes nothing.
"""

from __future__ import annotations

import enum


class State(enum.StrEnum):
    INVITING = "inviting"
    CANCELLING = "cancelling"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    LEAVING = "leaving"
    ESTABLISHED = "established"
    ENDED = "ended"


class Event(enum.StrEnum):
    PROGRESS = "progress"
    ANSWERED = "answered"
    FAILED = "failed"
    ACCEPT = "accept"
    REFUSE = "refuse"
    CANCELLED = "cancelled"
    ACKED = "acked"
    ACK_MISSING = "ack_missing"
    BYE = "bye"
    HANG_UP = "hang_up"
    #: The other end knows nothing of it any more, or is not reached.
    GONE = "gone"


class Action(enum.StrEnum):
    SEND_ACK = "send_ack"
    SEND_CANCEL = "send_cancel"
    SEND_BYE = "send_bye"
    RESPOND_OK = "respond_ok"
    RESPOND_REFUSAL = "respond_refusal"
    RESPOND_TERMINATED = "respond_terminated"
    TELL_PROGRESS = "tell_progress"
    TELL_ANSWERED = "tell_answered"
    TELL_FAILED = "tell_failed"
    TELL_ESTABLISHED = "tell_established"
    TELL_ENDED = "tell_ended"


_S, _E, _A = State, Event, Action
TABLE: dict[State, dict[Event, tuple[State, tuple[Action, ...]]]] = {
    _S.INVITING: {
        _E.PROGRESS: (_S.INVITING, (_A.TELL_PROGRESS,)),
        _E.ANSWERED: (_S.ESTABLISHED, (_A.SEND_ACK, _A.TELL_ANSWERED)),
        _E.FAILED: (_S.ENDED, (_A.TELL_FAILED,)),
        _E.HANG_UP: (_S.CANCELLING, (_A.SEND_CANCEL,)),
    },
    _S.CANCELLING: {
        _E.PROGRESS: (_S.CANCELLING, ()),
        _E.ANSWERED: (_S.ENDED, (_A.SEND_ACK, _A.SEND_BYE)),
        _E.FAILED: (_S.ENDED, ()),
        _E.HANG_UP: (_S.CANCELLING, ()),
    },
    _S.OFFERED: {
        _E.ACCEPT: (_S.ACCEPTED, (_A.RESPOND_OK,)),
        _E.REFUSE: (_S.ENDED, (_A.RESPOND_REFUSAL,)),
        _E.CANCELLED: (_S.ENDED, (_A.RESPOND_TERMINATED, _A.TELL_ENDED)),
        _E.HANG_UP: (_S.ENDED, (_A.RESPOND_REFUSAL,)),
    },
    _S.ACCEPTED: {
        _E.ACKED: (_S.ESTABLISHED, (_A.TELL_ESTABLISHED,)),
        _E.ACK_MISSING: (_S.ENDED, (_A.SEND_BYE, _A.TELL_ENDED)),
        _E.BYE: (_S.ENDED, (_A.TELL_ENDED,)),
        _E.HANG_UP: (_S.LEAVING, ()),
    },
    _S.LEAVING: {
        _E.ACKED: (_S.ENDED, (_A.SEND_BYE,)),
        _E.ACK_MISSING: (_S.ENDED, (_A.SEND_BYE,)),
        _E.BYE: (_S.ENDED, ()),
        _E.HANG_UP: (_S.LEAVING, ()),
    },
    _S.ESTABLISHED: {
        _E.BYE: (_S.ENDED, (_A.TELL_ENDED,)),
        _E.HANG_UP: (_S.ENDED, (_A.SEND_BYE,)),
        _E.GONE: (_S.ENDED, (_A.TELL_ENDED,)),
        _E.ACKED: (_S.ESTABLISHED, ()),
    },
    _S.ENDED: {},
}
