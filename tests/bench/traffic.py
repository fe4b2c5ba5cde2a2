"""Many recorders at once: program streams with groups of pictures, sent at a rate, by one process without a copy.

All packets of a round are laid out once, as the kernel takes them (``sendmmsg``); between two rounds only numbers and
time stamps change. So the generator costs little more than the kernel's own work, and can outrun what is measured.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.rtp.ps import mux

PAYLOAD_TYPE = 96
SSRC_BASE = 0x10000000
#: What recorders send.
PACKET_BYTES = 1400
#: 300 Mbit/s of such packets, in all calls together.
RATE = 26_800
PICTURES_A_SECOND = 25
#: All packets of a picture have one time stamp, in 1/90000 s.
PICTURE_TICKS = 90_000 // PICTURES_A_SECOND
#: A camera of 6 Mbit/s; a stream that is faster than that has more pictures, not larger ones.
MOST_PICTURE_PACKETS = 24
#: A group of pictures is a second; its first is so many times larger.
KEY_TIMES = 4
#: The measured process has the first processor; generator and sink share the last.
MEASURED, OTHERS = 0, -1
#: Whoever was kept from running for longer than this does not make up for it: a burst that nobody ordered would be lost.
MOST_BEHIND_SECONDS, FEWEST_AT_ONCE = 0.0005, 8
TICK_SECONDS = 0.00005
_HEADER = struct.Struct("!BBHII")
_NUMBERS = struct.Struct("!HI")
_STAMP = struct.Struct("=Q")
_ROOM = PACKET_BYTES - _HEADER.size
#: struct mmsghdr, struct iovec and struct sockaddr_in of 64-bit Linux.
_MESSAGE, _VECTOR, _ADDRESS = struct.Struct("=QIxxxxQQQQixxxxIxxxx"), struct.Struct("=QQQQ"), struct.Struct("=H")
_PR_SET_TIMERSLACK = 29
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Pattern:
    """How the calls' packets follow one another: a picture in one go (``whole``), or all calls' packets in turn."""

    name: str
    whole: bool


#: A recorder that sends a picture as fast as its line takes it; recorders that pace, or whose lines cross on the way.
BURSTS, SPREAD = Pattern("bursts", True), Pattern("spread", False)


def patterns(calls: int) -> tuple[Pattern, ...]:
    """Return the patterns that differ with so many calls."""
    return (BURSTS, SPREAD) if calls > 1 else (SPREAD,)


def picture(packets: int, key: bool = False) -> list[bytes]:
    """Return the payloads of a program stream's picture that fills so many packets to the last octet."""
    start = b"\x00\x00\x00\x01"
    head = start + b"\x41"
    if key:
        sets = start + b"\x67" + b"\x4d" * 24 + start + b"\x68" + b"\xee" * 4
        head = sets + start + b"\x06\x05\x10" + b"\x5a" * 16 + b"\x80" + start + b"\x65"
    wanted = packets * _ROOM
    fill = wanted - len(mux(head, 0))
    fill -= len(mux(head + b"\xa5" * fill, 0)) - wanted  # a long picture has more than one PES packet
    unit = mux(head + b"\xa5" * fill, 0)
    return [unit[at : at + _ROOM] for at in range(0, wanted, _ROOM)]


def group(calls: int) -> list[list[bytes]]:
    """Return a second of one of so many calls: a key picture and what follows it."""
    size = max(1, min(MOST_PICTURE_PACKETS, round(RATE / calls / PICTURES_A_SECOND)))
    return [picture(size * KEY_TIMES, True), *[picture(size)] * (PICTURES_A_SECOND - 1)]


class Generator:
    """Feeds the calls of one contender: ``targets`` from ``sender``; each call's numbers go on from turn to turn."""

    def __init__(self, sender: socket.socket, targets: Sequence[tuple[str, int]], pattern: Pattern) -> None:
        self._descriptor = sender.fileno()
        pictures = group(len(targets))
        payloads = [payload for each in pictures for payload in each]
        self._round_packets, self._round_ticks = len(payloads), len(pictures) * PICTURE_TICKS
        self._first = ctypes.create_string_buffer(b"".join(payloads), len(payloads) * _ROOM)
        order = list(_order(len(targets), [len(each) for each in pictures], pattern))
        self._size = len(order)
        first = {call: at for at, (call, _, _) in reversed(list(enumerate(order)))}
        self._all_begun = max(first.values()) + 1
        self._payload_of = [payload for _, payload, _ in order]
        self._lay_out(order, targets, payloads)
        self._at = self._round = 0
        self.sent = 0
        self.cpu_seconds = 0.0

    def _lay_out(
        self, order: list[tuple[int, int, bool]], targets: Sequence[tuple[str, int]], payloads: list[bytes]
    ) -> None:
        names = bytearray()
        for host, port in targets:
            names += _ADDRESS.pack(socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton(host))
        self._names = ctypes.create_string_buffer(bytes(names), len(names))
        self._headers = ctypes.create_string_buffer(_HEADER.size * self._size)
        self._vectors = ctypes.create_string_buffer(_VECTOR.size * self._size)
        self._messages = ctypes.create_string_buffer(_MESSAGE.size * self._size)
        name, header, vector, first = map(ctypes.addressof, (self._names, self._headers, self._vectors, self._first))
        numbers, stamps = [0] * len(targets), [0] * len(targets)
        self._numbers: list[tuple[int, int]] = []
        for at, (call, payload, marker) in enumerate(order):
            second = PAYLOAD_TYPE | (0x80 if marker else 0)
            _HEADER.pack_into(self._headers, at * 12, 0x80, second, 0, 0, SSRC_BASE + call)
            _VECTOR.pack_into(self._vectors, at * 32, header + at * 12, 12, first + payload * _ROOM, _ROOM)
            _MESSAGE.pack_into(self._messages, at * 64, name + call * 16, 16, vector + at * 32, 2, 0, 0, 0, 0)
            self._numbers.append((numbers[call], stamps[call]))
            numbers[call] += 1
            stamps[call] += PICTURE_TICKS * marker

    def warm(self) -> None:
        """Send until every call had a packet, and let them pass: what happens once in a call is not measured."""
        self.send(self._all_begun, RATE)
        time.sleep(0.1)

    def send(self, packets: int, rate: int, stamped: bool = False) -> float:
        """Send ``packets``, ``rate`` a second or as fast as they go; return the seconds it took.

        ``stamped``: the last octets of each are the time when it was sent.
        """
        os.sched_setaffinity(0, {core(OTHERS)})
        _libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
        at_once = max(FEWEST_AT_ONCE, int(rate * MOST_BEHIND_SECONDS))
        cpu, first, sent = time.thread_time(), time.monotonic(), 0
        began = first
        while sent < packets:
            due = int((time.monotonic() - began) * rate) + 1
            if due > sent + at_once:
                began += (due - sent - at_once) / rate
                due = sent + at_once
            if due > sent:
                sent += self._some(min(due, packets) - sent, stamped)
            if sent > (time.monotonic() - began) * rate:
                time.sleep(TICK_SECONDS)
        seconds = time.monotonic() - first
        self.cpu_seconds += time.thread_time() - cpu
        self.sent += sent
        time.sleep(0.01)
        return seconds

    def _some(self, packets: int, stamped: bool) -> int:
        begin = self._at
        end = min(begin + packets, self._size)
        ahead, later = self._round * self._round_packets, self._round * self._round_ticks
        headers, pack = self._headers, _NUMBERS.pack_into
        for at in range(begin, end):
            number, stamp = self._numbers[at]
            pack(headers, at * 12 + 2, number + ahead & 0xFFFF, stamp + later & 0xFFFFFFFF)
        if stamped:
            now = time.clock_gettime_ns(time.CLOCK_REALTIME)
            for payload in self._payload_of[begin:end]:
                _STAMP.pack_into(self._first, (payload + 1) * _ROOM - _STAMP.size, now)
        address = ctypes.addressof(self._messages) + begin * 64
        done = int(_libc.sendmmsg(self._descriptor, ctypes.c_void_p(address), end - begin, 0))
        if done < 0:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        self._at += done
        if self._at == self._size:
            self._at, self._round = 0, self._round + 1
        return done


def _order(calls: int, sizes: list[int], pattern: Pattern) -> list[tuple[int, int, bool]]:
    """Return a round in the order of sending: call, which payload, whether it ends its picture.

    Each call begins at another picture: key pictures do not come all at once.
    """
    begins = [sum(sizes[:at]) for at in range(len(sizes))]
    own: list[list[list[tuple[int, int, bool]]]] = []
    for call in range(calls):
        turned = [(call * 7 + at) % len(sizes) for at in range(len(sizes))]
        own.append([[(call, begins[at] + n, n + 1 == sizes[at]) for n in range(sizes[at])] for at in turned])
    if pattern.whole:
        return [packet for at in range(len(sizes)) for call in own for packet in call[at]]
    flat = [[packet for each in call for packet in each] for call in own]
    return [call[at] for at in range(sum(sizes)) for call in flat]


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
    """Return the time that a process' threads ran so far, user and kernel, in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks)
