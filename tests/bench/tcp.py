"""Media over TCP (RFC 4571) at full rate: CPU a frame beside socat's default, on the same path, in turns.

socat copies octets, 8192 at a time, and knows nothing of frames. The relay reads every frame's length and header, looks
into it, and writes it anew.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from edge.lab import private
from edge.lab.sockets import in_namespace
from tests.bench import figures, relay, road, traffic

TURNS, TURN_FRAMES = 7, 100_000
LIMIT = 0.7
SOCAT = "socat"
ABSENT = figures.absent(SOCAT)
READY_SECONDS, TURN_SECONDS, QUIET_SECONDS = 10.0, 30.0, 1.0
_BUFFER_BYTES = 8 << 20
_SOCAT_PORT = 5004
_FRAME = struct.Struct("!HBBHII")
_NUMBERS = struct.Struct("!HI")


@dataclass(slots=True)
class Contender:
    """Who stands between two connections, and what each turn cost."""

    pid: int
    source: socket.socket
    sink: socket.socket
    frames: Frames
    us_a_frame: list[float] = field(default_factory=list)
    mbit: list[float] = field(default_factory=list)


class Frames:
    """One recorder's stream in frames; its numbers go on from round to round."""

    def __init__(self) -> None:
        pictures = traffic.group(1)
        #: Where each frame begins, and its time stamp in the first round.
        self._begins: list[tuple[int, int]] = []
        self.data = bytearray()
        for number, packets in enumerate(pictures):
            for at, payload in enumerate(packets, 1):
                self._begins.append((len(self.data), number * traffic.PICTURE_TICKS))
                second = traffic.PAYLOAD_TYPE | (0x80 if at == len(packets) else 0)
                self.data += _FRAME.pack(12 + len(payload), 0x80, second, 0, 0, traffic.SSRC_BASE) + payload
        self._round, self._ticks = 0, len(pictures) * traffic.PICTURE_TICKS

    @property
    def count(self) -> int:
        return len(self._begins)

    def renew(self) -> None:
        """Give all frames the numbers of the next round."""
        first, later = self._round * self.count, self._round * self._ticks
        for at, (begin, stamp) in enumerate(self._begins, first):
            _NUMBERS.pack_into(self.data, begin + 4, at & 0xFFFF, stamp + later & 0xFFFFFFFF)
        self._round += 1


# -- contenders ------------------------------------------------------------------------------------------------------


@contextmanager
def _socat() -> Iterator[Contender]:
    with ExitStack() as open_:
        listener = open_.enter_context(_listener(road.CITY, road.CITY_ADDRESS))
        host, port = listener.getsockname()
        words = [SOCAT, f"TCP-LISTEN:{_SOCAT_PORT},bind={road.BOX_ADDRESS},reuseaddr", f"TCP:{host}:{port}"]
        with in_namespace(road.BOX):
            running = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        open_.callback(running.wait, 10)
        open_.callback(running.kill)
        os.sched_setaffinity(running.pid, {traffic.core(traffic.MEASURED)})
        source = open_.enter_context(_connected(road.CAMERA, road.BOX_ADDRESS, _SOCAT_PORT))
        sink = open_.enter_context(listener.accept()[0])
        yield Contender(running.pid, source, sink, Frames())


@contextmanager
def _relay() -> Iterator[Contender]:
    """Our own side: the worker between two connections, as the sides hand them to it."""
    with ExitStack() as open_:
        listeners = [
            open_.enter_context(_listener(space, address))
            for space, address in ((road.BOX, road.BOX_ADDRESS), (road.CITY, road.CITY_ADDRESS))
        ]
        source = open_.enter_context(_connected(road.CAMERA, *listeners[0].getsockname()))
        sink = open_.enter_context(_connected(road.BOX, *listeners[1].getsockname()))
        into, end = (open_.enter_context(each.accept()[0]) for each in listeners)
        pid = relay.start_worker([into], [sink], range(1), traffic.MEASURED, open_, prefix=2)
        open_.callback(traffic.stop, pid)
        into.close()  # whom they are for has them by now
        sink.close()
        yield Contender(pid, source, end, Frames())


def _listener(space: str, address: str) -> socket.socket:
    with in_namespace(space):
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    road.widen(opened, _BUFFER_BYTES)
    opened.bind((address, 0))
    opened.listen(1)
    opened.settimeout(READY_SECONDS)
    return opened


def _connected(space: str, host: str, port: int) -> socket.socket:
    """Return a connection of a host's, as soon as somebody listens at the other.

    Raises:
        OSError: nobody does for READY_SECONDS.
    """
    until = time.monotonic() + READY_SECONDS
    while True:
        with in_namespace(space):
            opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            opened.connect((host, port))
            return opened
        except OSError:
            opened.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


# -- the measurement -------------------------------------------------------------------------------------------------


def measure() -> dict[str, Any]:
    """Measure what there is; the shape of ``build/bench.json`` under ``relay.tcp``."""
    entrants: dict[str, Callable[[], AbstractContextManager[Contender]]] = {relay.RELAY: _relay}
    if shutil.which(SOCAT):
        entrants[SOCAT] = _socat
    with road.roads(), ExitStack() as open_:
        ready = {name: open_.enter_context(opened()) for name, opened in entrants.items()}
        for turn in range(TURNS + 1):
            for name in ready if turn % 2 else reversed(ready):
                _turn(ready[name])
    found: dict[str, Any] = {"limit": LIMIT, SOCAT: ABSENT}
    for name, one in ready.items():
        own, rates = one.us_a_frame[1:], one.mbit[1:]  # the first turn lets the connections' windows open
        lossy = sum(map(math.isnan, own))
        found[name] = {"us": relay.middle(own), "mbit": round(statistics.median(rates)), "turns_with_loss": lossy}
    peer = ready.get(SOCAT)
    found["ratio_to_socat"] = relay.ratio(ready[relay.RELAY].us_a_frame[1:], peer.us_a_frame[1:]) if peer else ABSENT
    return found


def _turn(one: Contender) -> None:
    """Send a turn's frames as fast as they are taken, while a child reads the other end to its last octet.

    At most two rounds are under way: the relay does not wait for a viewer that does not read, it leaves out packets.
    """
    rounds, octets = TURN_FRAMES // one.frames.count, len(one.frames.data)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader = traffic.child(lambda: _read(one.sink, octets, theirs), traffic.OTHERS)
    theirs.close()
    os.sched_setaffinity(0, {traffic.core(traffic.OTHERS)})
    one.source.settimeout(TURN_SECONDS)
    ours.settimeout(QUIET_SECONDS)
    before, began, came = traffic.cpu_ns(one.pid), time.monotonic(), 0
    with ours, contextlib.suppress(TimeoutError):
        for number in range(rounds):
            one.frames.renew()
            one.source.sendall(one.frames.data)
            came += len(ours.recv(1)) if number else 0
        while came < rounds:
            came += len(ours.recv(1))
    traffic.stop(reader)
    seconds, frames = time.monotonic() - began, rounds * one.frames.count
    one.us_a_frame.append((traffic.cpu_ns(one.pid) - before) / 1000 / frames if came == rounds else math.nan)
    one.mbit.append(rounds * octets * 8 / 1e6 / seconds)


def _read(sink: socket.socket, round_octets: int, tally: socket.socket) -> None:
    """Say each time when a round has come, until killed."""
    sink.settimeout(None)
    buffer, came = bytearray(1 << 20), 0
    while size := sink.recv_into(buffer):
        came += size
        while came >= round_octets:
            came -= round_octets
            tally.send(b"r")


def table(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    lines = [f"TCP at full rate, RFC 4571: us of CPU a frame{'Mbit/s':>10}"]
    for name in (relay.RELAY, SOCAT):
        row = found[name]
        lines.append(f"  {name:<24}{row}" if isinstance(row, str) else f"  {name:<24}{row['us']:>19}{row['mbit']:>10}")
    return [*lines, f"  ratio to socat: {found['ratio_to_socat']}   limit {LIMIT}"]


def broken(found: dict[str, Any]) -> list[str]:
    """Return the keys that exceed their limits."""
    ratio = found["ratio_to_socat"]
    return ["relay.tcp.ratio_to_socat"] if not isinstance(ratio, str) and ratio > LIMIT else []


def main() -> int:
    """Measure, print, and write beside the other figures; 1 when the limit is broken."""
    found = measure()
    figures.show(table(found))
    figures.write("relay", {"tcp": found})
    return figures.verdict(broken(found))


if __name__ == "__main__":
    sys.exit(main() if private.is_inside() else private.run_inside("tests.bench.tcp"))
