"""Who brings relay workers up: a child of the ferry that never reads a word from outside, and forks what dies.

The ferry's parent holds every socket and may not fork; so a worker's death costs nothing but the moments until the next
one is there: the parent hears which place was filled anew and orders its calls again. The control sockets outlive the
workers: both ends of each are made before anybody is confined.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge.ferry import relay

#: A worker that dies as soon as it lives must not keep a core busy with being born.
RESPAWN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Nursery:
    """The parent's side: a control socket a place, and where the numbers of places come that are filled anew."""

    pid: int
    controls: tuple[socket.socket, ...]
    notice: int


def start(places: int, confine: Callable[[], None], confine_worker: Callable[[], None]) -> Nursery:
    """Fork the nursery; it calls ``confine``, each worker ``confine_worker``, before anything else."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(places)]
    heard, said = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    pid = os.fork()
    if pid == 0:
        _live([theirs for _, theirs in pairs], said, confine, confine_worker)
    os.close(said)
    controls = []
    for at, (ours, theirs) in enumerate(pairs):
        theirs.close()
        ours.setblocking(False)
        controls.append(relay.out_of_reach(ours, at))
    return Nursery(pid, tuple(controls), heard)


def _live(
    controls: list[socket.socket], said: int, confine: Callable[[], None], confine_worker: Callable[[], None]
) -> None:
    """The nursery's whole life; does not return."""
    status = 1
    try:
        relay.keep_only(*(control.fileno() for control in controls), said)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        confine()
        workers = {_fork(controls, place, confine_worker): place for place in range(len(controls))}
        while True:
            gone, result = os.wait()
            if os.waitstatus_to_exitcode(result) == 0:
                break  # the parent is gone, and so are the others
            time.sleep(RESPAWN_SECONDS)
            place = workers.pop(gone)
            workers[_fork(controls, place, confine_worker)] = place
            with contextlib.suppress(BlockingIOError):
                os.write(said, bytes((place,)))
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _fork(controls: list[socket.socket], place: int, confine: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        relay.live(controls[place], confine)
    return pid
