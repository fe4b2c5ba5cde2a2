"""Many RTP streams on loopback: a sender, and a sink that counts in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge.rtp.ps import mux

PAYLOAD_TYPE = 96
SSRC_BASE = 0x10000000
#: What recorders send.
PACKET_BYTES = 1400
#: The measured process has the first processor; sender and sink share the last.
MEASURED, OTHERS = 0, -1
_HEADER = struct.Struct("!BBHII")
_ROOM = PACKET_BYTES - _HEADER.size
_BUFFER_BYTES = 4 << 20
_SO_RCVBUFFORCE = 33


@dataclass(frozen=True, slots=True)
class Pattern:
    """How packets follow one another: ``frame_packets`` of one call, then the next call's."""

    name: str
    frame_packets: int


#: A picture at a time, as a recorder of 2 Mbit/s and 25 pictures sends it; and each packet alone, the worst case.
PATTERNS = (Pattern("frames", 7), Pattern("single", 1))


def picture(packets: int) -> list[bytes]:
    """Return the payloads of a program stream's picture that fills so many packets to the last octet."""
    empty = mux(b"\x00\x00\x00\x01\x41", 0)
    unit = mux(b"\x00\x00\x00\x01\x41" + b"\xa5" * (packets * _ROOM - len(empty)), 0)
    return [unit[at : at + _ROOM] for at in range(0, len(unit), _ROOM)]


@dataclass(frozen=True, slots=True)
class Lines:
    """The sockets of a measured process, and the one that feeds them."""

    sources: tuple[socket.socket, ...]
    sinks: tuple[socket.socket, ...]
    sender: socket.socket
    ports: tuple[int, ...]

    def hand_over(self) -> None:
        """Close our copies of what the measured process holds by now."""
        for opened in (*self.sources, *self.sinks):
            opened.close()


def lines(calls: int, sink: tuple[str, int]) -> Lines:
    """Open and connect the sockets of ``calls`` calls that end at ``sink``."""
    sender = _loopback()
    sources, sinks = [], []
    for _ in range(calls):
        sources.append(_loopback(max(_BUFFER_BYTES // calls, 1 << 18)))
        sources[-1].connect(sender.getsockname())
        sinks.append(_loopback())
        sinks[-1].connect(sink)
    for opened in (*sources, *sinks):
        opened.setblocking(False)
    return Lines(tuple(sources), tuple(sinks), sender, tuple(opened.getsockname()[1] for opened in sources))


def _loopback(buffer_bytes: int = 0) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if buffer_bytes:
        try:
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
        except PermissionError:  # then it is as large as it may be
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    opened.bind(("127.0.0.1", 0))
    return opened


class Sender:
    """Feeds the calls of one measured process; each call's numbers go on from block to block."""

    def __init__(self, lines: Lines) -> None:
        self._socket = lines.sender
        self._targets = [("127.0.0.1", port) for port in lines.ports]
        self._sequences = [0] * len(self._targets)
        self._at = 0
        self._pictures = {
            packets: picture(packets) for packets in {1, *(pattern.frame_packets for pattern in PATTERNS)}
        }

    def warm(self) -> None:
        """Send each call's first packet and let it pass: what happens once in a call is not measured."""
        for at in range(len(self._targets)):
            self._frame(at, 1)
        time.sleep(0.2)

    def send(self, pattern: Pattern, packets: int, rate: int) -> None:
        """Send ``packets``, ``rate`` a second, and give the last the time to pass."""
        os.sched_setaffinity(0, {core(OTHERS)})
        began, sent = time.monotonic(), 0
        while sent < packets:
            due = min(packets, int((time.monotonic() - began) * rate))
            while sent < due:
                self._frame(self._at, pattern.frame_packets)
                sent += pattern.frame_packets
                self._at = (self._at + 1) % len(self._targets)
            time.sleep(0.001)
        time.sleep(0.01)

    def _frame(self, at: int, packets: int) -> None:
        for number, payload in enumerate(self._pictures[packets], 1):
            self._sequences[at] = (self._sequences[at] + 1) & 0xFFFF
            second = PAYLOAD_TYPE | (0x80 if number == packets else 0)
            header = _HEADER.pack(0x80, second, self._sequences[at], self._sequences[at] // 7, SSRC_BASE + at)
            self._socket.sendto(header + payload, self._targets[at])


@dataclass(frozen=True, slots=True)
class Sink:
    """Where all packets end, and its count."""

    address: tuple[str, int]
    tally: socket.socket

    def count(self) -> int:
        """Return how many packets came."""
        self.tally.send(b"?")
        return int.from_bytes(self.tally.recv(8), "big")


@contextmanager
def sink() -> Iterator[Sink]:
    """Open a sink in a process of its own."""
    receiver = _loopback(_BUFFER_BYTES)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = child(lambda: _empty(receiver, theirs), core=OTHERS)
    theirs.close()
    address = receiver.getsockname()
    receiver.close()
    try:
        yield Sink(address, ours)
    finally:
        stop(pid)
        ours.close()


def _empty(receiver: socket.socket, tally: socket.socket) -> None:
    buffer = bytearray(2048)
    receiver.settimeout(0.1)
    tally.setblocking(False)
    packets = 0
    while True:
        try:
            receiver.recv_into(buffer)
            packets += 1
        except TimeoutError:
            try:
                tally.recv(1)
            except BlockingIOError:
                continue
            tally.send(packets.to_bytes(8, "big"))


def core(which: int) -> int:
    """Return the number of a processor: MEASURED or OTHERS."""
    return _CORES[which]


#: Read once: a sender binds itself, and would afterwards see but one.
_CORES = sorted(os.sched_getaffinity(0))


def child(work: Callable[[], None], core: int) -> int:
    """Fork a process on a processor; it ends by ``stop``."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.sched_setaffinity(0, {_CORES[core]})
        work()
    finally:
        os._exit(1)


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def cpu_ns(pid: int) -> int:
    """Return the time that a process ran so far, user and kernel, in nanoseconds."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])
