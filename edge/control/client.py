"""Ask the keeper, as one of its callers."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from edge.control.wire import MAX_REQUEST_BYTES, Answer, Outcome, Proving, Request, decode_answer, encode_request

#: An apply checks, loads and reads back three namespaces; a busy ARM box needs a few seconds.
ANSWER_SECONDS = 60.0
#: For a word that changes nothing: a program that hangs with the keeper would be killed with it.
SMALL_SECONDS = 5.0
#: How often it is asked what has become of a proposal that is being proven. A keeper that was killed is back in one or two
#: seconds: it is missed so often in a row before it is called away.
ASK_AGAIN_SECONDS = 0.5
MOST_MISSED = 20


def socket_path(run: Path, caller: str) -> Path:
    """Return where the keeper listens for ``caller``: a folder that only this caller may enter."""
    return run / "keeper" / caller / "socket"


def ask(run: Path, request: Request, caller: str = "operator", seconds: float = ANSWER_SECONDS) -> Answer:
    """Return the keeper's answer, for which at most ``seconds`` are waited.

    Raises:
        OSError: the keeper does not answer.
        ControlError: it answers what is no answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.settimeout(seconds)
        line.connect(str(socket_path(run, caller)))
        line.send(encode_request(1, request))
        return decode_answer(line.recv(MAX_REQUEST_BYTES))[1]


def settled(run: Path, answer: Answer, caller: str = "operator") -> Answer:
    """Wait while a proposal is being proven; return what it would have been answered without that.

    The keeper sees to it that a proof ends.

    Raises:
        OSError, ControlError: as for ``ask``, and for some time.
    """
    missed = 0
    while isinstance(answer, Proving):
        time.sleep(ASK_AGAIN_SECONDS)
        try:
            answer, missed = ask(run, Outcome(answer.token), caller), 0
        except OSError:
            missed += 1
            if missed > MOST_MISSED:
                raise
    return answer
