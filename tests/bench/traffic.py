"""A sender of many RTP streams on loopback and a sink that counts: each a process of its own, away from the measured one."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

PAYLOAD_TYPE = 96
SSRC_BASE = 0x10000000
#: 1400 bytes of RTP: what recorders send.
PACKET_BYTES = 1400
_HEADER = struct.Struct("!BBHII")
_BUFFER_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Pattern:
    """How packets follow one another: ``frame_packets`` of one call, then the next call's."""

    name: str
    frame_packets: int


#: A picture at a time, as a recorder at 2 Mbit/s and 25 pictures sends; and each packet alone, the worst case.
PATTERNS = (Pattern("frames", 7), Pattern("single", 1))


def loopback(buffer_bytes: int = 0) -> socket.socket:
    """Return a UDP socket bound on loopback."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if buffer_bytes:
        # 33 is SO_RCVBUFFORCE: more than rmem_max where the capability is there, silently less where not.
        try:
            opened.setsockopt(socket.SOL_SOCKET, 33, buffer_bytes)
        except PermissionError:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    opened.bind(("127.0.0.1", 0))
    return opened


@dataclass(frozen=True, slots=True)
class Lines:
    """The sockets of a measurement: what the measured process reads from and writes to, and the two far ends."""

    sources: tuple[socket.socket, ...]
    sinks: tuple[socket.socket, ...]
    sender: socket.socket
    receiver: socket.socket

    def close(self) -> None:
        for opened in (*self.sources, *self.sinks, self.sender, self.receiver):
            opened.close()


def lines(calls: int) -> Lines:
    """Open and connect the sockets of ``calls`` calls."""
    sender, receiver = loopback(), loopback(_BUFFER_BYTES)
    sources, sinks = [], []
    for _ in range(calls):
        source, sink = loopback(max(_BUFFER_BYTES // calls, 1 << 18)), loopback()
        source.connect(sender.getsockname())
        sink.connect(receiver.getsockname())
        source.setblocking(False)
        sink.setblocking(False)
        sources.append(source)
        sinks.append(sink)
    return Lines(tuple(sources), tuple(sinks), sender, receiver)


def warm(sender: socket.socket, ports: Sequence[int]) -> None:
    """Send the first packet of each call, and give it the time to arrive: what happens once a call is not measured."""
    for at, port in enumerate(ports):
        sender.sendto(
            _HEADER.pack(0x80, PAYLOAD_TYPE, 0, 0, SSRC_BASE + at) + bytes(PACKET_BYTES - 12), ("127.0.0.1", port)
        )
    time.sleep(0.15)


def send(sender: socket.socket, ports: Sequence[int], pattern: Pattern, packets: int, rate: int) -> None:
    """Send ``packets`` in all, ``rate`` a second, paced by the millisecond."""
    payload = bytes(range(256)) * 6
    targets = [("127.0.0.1", port) for port in ports]
    sequences = [0] * len(targets)
    began, sent, at = time.monotonic(), 0, 0
    while sent < packets:
        due = min(packets, int((time.monotonic() - began) * rate))
        while sent < due:
            for left in range(pattern.frame_packets, 0, -1):
                sequences[at] = (sequences[at] + 1) & 0xFFFF
                second = PAYLOAD_TYPE | (0x80 if left == 1 else 0)
                header = _HEADER.pack(0x80, second, sequences[at], sent, SSRC_BASE + at)
                sender.sendto(header + payload[: PACKET_BYTES - 12], targets[at])
            sent += pattern.frame_packets
            at = (at + 1) % len(targets)
        time.sleep(0.001)


def receive(receiver: socket.socket, tally: int) -> None:
    """Empty the sink; once nothing has come for a while, write the count into ``tally``, a pipe's end."""
    buffer = bytearray(2048)
    receiver.settimeout(0.3)
    packets = 0
    while True:
        try:
            receiver.recv_into(buffer)
            packets += 1
        except TimeoutError:
            if packets:
                break
    os.write(tally, packets.to_bytes(8, "big"))


def child(work: object, *arguments: object, core: int | None = None) -> int:
    """Fork a process that does ``work``; it ends with it, or by ``stop``."""
    assert callable(work)  # ours
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if core is not None:
            os.sched_setaffinity(0, {core})
        work(*arguments)
        status = 0
    finally:
        os._exit(status)


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def cpu_ns(pid: int) -> int:
    """Return the time that a process ran so far, user and kernel, in nanoseconds."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])
