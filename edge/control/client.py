"""Ask the keeper, as one of its callers."""

from __future__ import annotations

import socket
from pathlib import Path

from edge.control.wire import MAX_REQUEST_BYTES, Answer, Request, decode_answer, encode_request

#: An apply checks, loads and reads back three namespaces; a busy ARM box needs a few seconds.
ANSWER_SECONDS = 60.0


def ask(run: Path, request: Request, caller: str = "operator") -> Answer:
    """Return the keeper's answer.

    Raises:
        OSError: the keeper does not answer.
        ControlError: it answers what is no answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.settimeout(ANSWER_SECONDS)
        line.connect(str(run / f"keeper-{caller}.sock"))
        line.send(encode_request(1, request))
        return decode_answer(line.recv(MAX_REQUEST_BYTES))[1]
