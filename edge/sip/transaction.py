"""The four transaction machines of RFC 3261 17, with the accepted state of RFC 6026, as tables.

A cell says: in this state, on this event, go to that state and do these things, in order. The endpoint knows how to
do them; it changes no state by itself. An event without a cell is *stray*: it is counted and changes nothing.

Client INVITE: Timer A resends until anything is heard, B gives up; a final refusal is acknowledged inside, for D; a
2xx is passed up, its repetitions for M, since each needs the user's ACK. Client non-INVITE: E resends, F gives up, K
waits for late repetitions. Server INVITE: a refusal is resent by G until ACK or H; a 2xx by G until the ACK, which
comes with a branch of its own, or L. Server non-INVITE: J keeps the answer for repeated requests. Over TCP nothing is
sent again but a 2xx, and D, I, J, K are over at once: the endpoint sets the timers so.
"""

from __future__ import annotations

import enum

T1, T2, T4 = 0.5, 4.0, 5.0
#: RFC 3261 17.1.1.2: 64*T1.
TIMEOUT = 64 * T1
#: RFC 3261 17.1.1.2: at least 32 s for UDP.
TIMER_D = 32.0


class Kind(enum.StrEnum):
    CLIENT_INVITE = "client_invite"
    CLIENT = "client"
    SERVER_INVITE = "server_invite"
    SERVER = "server"


class State(enum.StrEnum):
    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Event(enum.StrEnum):
    PROVISIONAL = "provisional"
    SUCCESS = "success"
    FAILURE = "failure"
    REQUEST = "request"
    ACK = "ack"
    RESEND = "resend"
    EXPIRE = "expire"


class Action(enum.StrEnum):
    SEND = "send"
    RESEND = "resend"
    PASS = "pass"
    ACK = "ack"
    ACK_AGAIN = "ack_again"
    PASS_ACK = "pass_ack"
    NO_RESEND = "no_resend"
    TIMED_OUT = "timed_out"
    NO_ACK = "no_ack"
    #: Start the resend timer at T1 (A, E, G) or go on doubling it.
    RESEND_FROM_T1 = "resend_from_t1"
    RESEND_LATER = "resend_later"
    RESEND_AT_T2 = "resend_at_t2"
    #: Start the expiry timer: 64*T1 (B, F, H, J, L, M), D, or T4 (K, I).
    EXPIRE_64_T1 = "expire_64_t1"
    EXPIRE_D = "expire_d"
    EXPIRE_T4 = "expire_t4"


_S, _E, _A = State, Event, Action
Cell = tuple[State, tuple[Action, ...]]

TABLES: dict[Kind, dict[State, dict[Event, Cell]]] = {
    Kind.CLIENT_INVITE: {
        _S.CALLING: {
            _E.RESEND: (_S.CALLING, (_A.RESEND, _A.RESEND_LATER)),
            _E.EXPIRE: (_S.TERMINATED, (_A.TIMED_OUT,)),
            _E.PROVISIONAL: (_S.PROCEEDING, (_A.NO_RESEND, _A.PASS)),
            _E.SUCCESS: (_S.ACCEPTED, (_A.NO_RESEND, _A.EXPIRE_64_T1, _A.PASS)),
            _E.FAILURE: (_S.COMPLETED, (_A.NO_RESEND, _A.EXPIRE_D, _A.ACK, _A.PASS)),
        },
        _S.PROCEEDING: {
            _E.PROVISIONAL: (_S.PROCEEDING, (_A.PASS,)),
            _E.SUCCESS: (_S.ACCEPTED, (_A.EXPIRE_64_T1, _A.PASS)),
            _E.FAILURE: (_S.COMPLETED, (_A.EXPIRE_D, _A.ACK, _A.PASS)),
        },
        _S.ACCEPTED: {
            _E.SUCCESS: (_S.ACCEPTED, (_A.ACK_AGAIN,)),
            _E.EXPIRE: (_S.TERMINATED, ()),
        },
        _S.COMPLETED: {
            _E.FAILURE: (_S.COMPLETED, (_A.ACK,)),
            _E.EXPIRE: (_S.TERMINATED, ()),
        },
    },
    Kind.CLIENT: {
        _S.TRYING: {
            _E.RESEND: (_S.TRYING, (_A.RESEND, _A.RESEND_LATER)),
            _E.EXPIRE: (_S.TERMINATED, (_A.TIMED_OUT,)),
            _E.PROVISIONAL: (_S.PROCEEDING, (_A.PASS,)),
            _E.SUCCESS: (_S.COMPLETED, (_A.NO_RESEND, _A.EXPIRE_T4, _A.PASS)),
            _E.FAILURE: (_S.COMPLETED, (_A.NO_RESEND, _A.EXPIRE_T4, _A.PASS)),
        },
        _S.PROCEEDING: {
            _E.RESEND: (_S.PROCEEDING, (_A.RESEND, _A.RESEND_AT_T2)),
            _E.EXPIRE: (_S.TERMINATED, (_A.TIMED_OUT,)),
            _E.PROVISIONAL: (_S.PROCEEDING, (_A.PASS,)),
            _E.SUCCESS: (_S.COMPLETED, (_A.NO_RESEND, _A.EXPIRE_T4, _A.PASS)),
            _E.FAILURE: (_S.COMPLETED, (_A.NO_RESEND, _A.EXPIRE_T4, _A.PASS)),
        },
        _S.COMPLETED: {
            _E.EXPIRE: (_S.TERMINATED, ()),
        },
    },
    Kind.SERVER_INVITE: {
        _S.PROCEEDING: {
            _E.REQUEST: (_S.PROCEEDING, (_A.RESEND,)),
            _E.PROVISIONAL: (_S.PROCEEDING, (_A.SEND,)),
            _E.SUCCESS: (_S.ACCEPTED, (_A.SEND, _A.RESEND_FROM_T1, _A.EXPIRE_64_T1)),
            _E.FAILURE: (_S.COMPLETED, (_A.SEND, _A.RESEND_FROM_T1, _A.EXPIRE_64_T1)),
        },
        _S.ACCEPTED: {
            _E.REQUEST: (_S.ACCEPTED, (_A.RESEND,)),
            _E.RESEND: (_S.ACCEPTED, (_A.RESEND, _A.RESEND_LATER)),
            _E.ACK: (_S.CONFIRMED, (_A.NO_RESEND, _A.EXPIRE_64_T1, _A.PASS_ACK)),
            _E.EXPIRE: (_S.TERMINATED, (_A.NO_ACK,)),
        },
        _S.COMPLETED: {
            _E.REQUEST: (_S.COMPLETED, (_A.RESEND,)),
            _E.RESEND: (_S.COMPLETED, (_A.RESEND, _A.RESEND_LATER)),
            _E.ACK: (_S.CONFIRMED, (_A.NO_RESEND, _A.EXPIRE_T4)),
            _E.EXPIRE: (_S.TERMINATED, (_A.NO_ACK,)),
        },
        _S.CONFIRMED: {
            _E.ACK: (_S.CONFIRMED, ()),
            _E.REQUEST: (_S.CONFIRMED, ()),
            _E.EXPIRE: (_S.TERMINATED, ()),
        },
    },
    Kind.SERVER: {
        _S.TRYING: {
            _E.REQUEST: (_S.TRYING, ()),
            _E.PROVISIONAL: (_S.PROCEEDING, (_A.SEND,)),
            _E.SUCCESS: (_S.COMPLETED, (_A.SEND, _A.EXPIRE_64_T1)),
            _E.FAILURE: (_S.COMPLETED, (_A.SEND, _A.EXPIRE_64_T1)),
        },
        _S.PROCEEDING: {
            _E.REQUEST: (_S.PROCEEDING, (_A.RESEND,)),
            _E.PROVISIONAL: (_S.PROCEEDING, (_A.SEND,)),
            _E.SUCCESS: (_S.COMPLETED, (_A.SEND, _A.EXPIRE_64_T1)),
            _E.FAILURE: (_S.COMPLETED, (_A.SEND, _A.EXPIRE_64_T1)),
        },
        _S.COMPLETED: {
            _E.REQUEST: (_S.COMPLETED, (_A.RESEND,)),
            _E.EXPIRE: (_S.TERMINATED, ()),
        },
    },
}

FIRST_STATE = {
    Kind.CLIENT_INVITE: State.CALLING,
    Kind.CLIENT: State.TRYING,
    Kind.SERVER_INVITE: State.PROCEEDING,
    Kind.SERVER: State.TRYING,
}


def response_event(status: int) -> Event:
    """Return the event that a response of ``status`` is."""
    if status < 200:
        return Event.PROVISIONAL
    return Event.SUCCESS if status < 300 else Event.FAILURE
