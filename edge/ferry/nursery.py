"""Who brings relay workers up: a child of the ferry that never reads a word from outside, and forks what dies.

The ferry's parent holds every socket and may not fork; so a worker's death, or its end when it hangs, costs nothing but the moments until the next
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
CHECK_SECONDS = 1.0
#: A worker beats with each report. Its calls end after 15 s of silence, so it is to be replaced well before; a box
#: whose cores are all busy may keep it from its turn for a second or two.
SILENT_SECONDS = 5.0


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
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        _Cradle(controls, said, confine_worker).rock(confine)
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


class _Cradle:
    """The workers by their pid, and when each was last heard."""

    def __init__(self, controls: list[socket.socket], said: int, confine: Callable[[], None]) -> None:
        self._controls = controls
        self._said = said
        self._confine = confine
        self._beats, self._beat = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._workers: dict[int, int] = {}
        self._heard: dict[int, float] = {}
        self._looked = time.monotonic()

    def rock(self, confine: Callable[[], None]) -> None:
        """Keep every place filled until the parent is gone, which the workers are the first to see."""
        confine()
        for place in range(len(self._controls)):
            self._fork(place)
        while True:
            signal.sigtimedwait({signal.SIGCHLD}, CHECK_SECONDS)
            while self._workers:
                gone, result = os.waitpid(-1, os.WNOHANG)
                if gone == 0:
                    break
                if os.waitstatus_to_exitcode(result) == 0:
                    return
                time.sleep(RESPAWN_SECONDS)
                place = self._workers.pop(gone)
                self._fork(place)
                with contextlib.suppress(BlockingIOError):
                    os.write(self._said, bytes((place,)))
            self._end_silent()

    def _end_silent(self) -> None:
        now, before = time.monotonic(), self._looked
        self._looked = now
        if now - before > 3 * CHECK_SECONDS:  # we were stopped ourselves, and so may they have been
            self._heard = dict.fromkeys(self._heard, now)
        with contextlib.suppress(BlockingIOError):
            self._heard.update(dict.fromkeys(os.read(self._beats, 4096), now))
        for pid, place in self._workers.items():
            if now - self._heard[place] > SILENT_SECONDS:
                self._heard[place] = now
                os.kill(pid, signal.SIGKILL)

    def _fork(self, place: int) -> None:
        pid = os.fork()
        if pid == 0:
            relay.live(self._controls[place], (self._beat, place), self._confine)
        self._workers[pid], self._heard[place] = place, time.monotonic()
