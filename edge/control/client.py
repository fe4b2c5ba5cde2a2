"""Ask the keeper, as one of its callers."""

from __future__ import annotations

import socket
from pathlib import Path

from edge.control.wire import MAX_REQUEST_BYTES, Answer, Request, decode_answer, encode_request

#: An apply checks, loads and reads back three namespaces; a busy ARM box needs a few seconds.
ANSWER_SECONDS = 60.0
#: For a word that changes nothing: a program that hangs with the keeper would be killed with it.
SMALL_SECONDS = 5.0


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
