"""The relay worker: one blocking loop that takes each RTP packet apart and makes it anew, from site to city only.

It is forked from the ferry's parent, never executed, and shares nothing with it but one socket. A packet goes on when
its version is 2, its payload type and SSRC are the call's, and its sequence number lies in a bounded window; then a
header is built from the parsed values with the city's SSRC, without CSRC, extension or padding. The city's socket is
never read: media toward the site does not exist.

Orders and reports are fixed-size; both ends check every length.
"""

from __future__ import annotations

import array
import contextlib
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from edge.rtp.packet import HEADER, PAYLOAD_BYTES, RemoteRtpError, payload_bounds

REPORT_SECONDS = 1.0
#: RFC 3550 A.1: what may be lost, and how late a packet may come.
MAX_DROPOUT, MAX_MISORDER = 3000, 100
_BATCH = 64
_BUFFER_BYTES = 65536
_ORDER = struct.Struct("!BIIBIBHI")
_ADD, _DROP = 1, 2
RULES = (
    "rtp_short", "rtp_version", "rtp_payload_type", "rtp_ssrc", "rtp_sequence", "rtp_shape", "rtp_source", "send_failed",
    "oversize",
)  # fmt: skip
_REPORT = struct.Struct(f"!IQQ{len(RULES)}I")
MAX_REPORTS = 1000


@dataclass(frozen=True, slots=True)
class Worker:
    """A relay worker, seen from the parent."""

    pid: int
    control: socket.socket


@dataclass(frozen=True, slots=True)
class Traffic:
    """A call's totals since it began."""

    call: int
    packets: int
    octets: int
    dropped: dict[str, int]


@dataclass(slots=True)
class Relayed:
    """One call in the worker."""

    source: socket.socket
    sink: socket.socket
    peer: tuple[str, int]
    ssrc: int
    payload_type: int
    out_ssrc: int
    out_payload_type: int
    sequence_offset: int
    timestamp_offset: int
    last: int = -1
    probation: int = -1
    settled: bool = False
    packets: int = 0
    octets: int = 0
    dropped: list[int] = field(default_factory=lambda: [0] * len(RULES))


# -- the parent's end ------------------------------------------------------------------------------------------------


def start_worker(confine: Callable[[], None]) -> Worker:
    """Fork a worker; it calls ``confine`` before it reads its first order."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _keep_only(theirs.fileno())
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            confine()
            run(theirs)
            status = 0
        finally:
            os._exit(status)
    theirs.close()
    os.set_blocking(ours.fileno(), False)
    return Worker(pid, ours)


def _keep_only(kept: int) -> None:
    highest = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, kept)
    os.closerange(kept + 1, min(highest, 1 << 16))


def add(
    control: socket.socket,
    call: int,
    sockets: tuple[int, int],
    source: tuple[int, int],
    sink: tuple[int, int],
    offsets: tuple[int, int],
) -> None:
    """Order a call relayed: (source, sink) descriptors, (SSRC, payload type) of each, (sequence, timestamp) offsets."""
    order = _ORDER.pack(_ADD, call, source[0], source[1], sink[0], sink[1], offsets[0], offsets[1])
    control.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", sockets))])


def drop(control: socket.socket, call: int) -> None:
    """Order a call let go."""
    control.send(_ORDER.pack(_DROP, call, 0, 0, 0, 0, 0, 0))


def reports(data: bytes) -> Iterator[Traffic]:
    """Yield the totals in a worker's report; a length that is none of ours yields nothing."""
    if len(data) % _REPORT.size:
        return
    for call, packets, octets, *dropped in _REPORT.iter_unpack(data):
        yield Traffic(call, packets, octets, {rule: n for rule, n in zip(RULES, dropped, strict=True) if n})


# -- the worker's end ------------------------------------------------------------------------------------------------


def run(control: socket.socket) -> None:
    """Relay until the parent is gone."""
    calls: dict[int, tuple[int, Relayed]] = {}
    poll = select.epoll()
    poll.register(control.fileno(), select.EPOLLIN)
    buffer = bytearray(_BUFFER_BYTES)
    views = [memoryview(buffer)[:size] for size in range(_BUFFER_BYTES // 32 + 1)]
    due = time.monotonic() + REPORT_SECONDS
    while True:
        for descriptor, _ in poll.poll(max(0.0, due - time.monotonic()), 64):
            if descriptor != control.fileno():
                known = calls.get(descriptor)
                if known is not None:
                    pump(known[1], buffer, views)
            elif not _take_order(control, poll, calls):
                return
        if time.monotonic() >= due:
            due = time.monotonic() + REPORT_SECONDS
            _report(control, calls)


def _take_order(control: socket.socket, poll: select.epoll, calls: dict[int, tuple[int, Relayed]]) -> bool:
    room = socket.CMSG_SPACE(2 * array.array("i").itemsize)
    data, ancillary, _, _ = control.recvmsg(256, room)
    if len(data) != _ORDER.size:
        return False
    kind, call, ssrc, payload_type, out_ssrc, out_payload_type, sequence, timestamp = _ORDER.unpack(data)
    if kind == _ADD:
        came = array.array("i")
        came.frombytes(ancillary[0][2])
        source, sink = socket.socket(fileno=came[0]), socket.socket(fileno=came[1])
        made = Relayed(
            source, sink, source.getpeername(), ssrc, payload_type, out_ssrc, out_payload_type, sequence, timestamp
        )
        calls[source.fileno()] = (call, made)
        poll.register(source.fileno(), select.EPOLLIN)
        return True
    for descriptor, (number, relayed) in list(calls.items()):
        if number == call:
            poll.unregister(descriptor)
            del calls[descriptor]
            relayed.source.close()
            relayed.sink.close()
    return True


def _report(control: socket.socket, calls: dict[int, tuple[int, Relayed]]) -> None:
    lines = [_REPORT.pack(call, c.packets, c.octets, *c.dropped) for call, c in calls.values()]
    for at in range(0, len(lines), MAX_REPORTS):
        with contextlib.suppress(BlockingIOError):
            control.send(b"".join(lines[at : at + MAX_REPORTS]))


def pump(call: Relayed, buffer: bytearray, views: list[memoryview]) -> None:
    """Relay what is queued for one call, up to a batch."""
    if not call.settled:
        _settle(call, buffer)
        return
    receive, unpack, pack, send = call.source.recv_into, HEADER.unpack_from, HEADER.pack_into, call.sink.send
    for _ in range(_BATCH):
        try:
            size = receive(buffer)
        except BlockingIOError:
            return
        except OSError:
            continue  # an ICMP error about nothing that we sent
        if size < 13:
            call.dropped[0] += 1
            continue
        first, second, sequence, timestamp, ssrc = unpack(buffer)
        if first != 0x80 or second & 0x7F != call.payload_type or ssrc != call.ssrc or size >= len(views):
            _odd(call, buffer, size)
            continue
        ahead = (sequence - call.last) & 0xFFFF
        if not 0 < ahead < MAX_DROPOUT and not _in_window(call, sequence, ahead):
            call.dropped[4] += 1
            continue
        if ahead < 0x8000:
            call.last = sequence
        pack(
            buffer,
            0,
            0x80,
            second & 0x80 | call.out_payload_type,
            (sequence + call.sequence_offset) & 0xFFFF,
            (timestamp + call.timestamp_offset) & 0xFFFFFFFF,
            call.out_ssrc,
        )
        try:
            send(views[size])
        except OSError:
            call.dropped[7] += 1
            continue
        call.packets += 1
        call.octets += size


def _settle(call: Relayed, buffer: bytearray) -> None:
    """Read what was queued before the socket was connected, with its source: strangers' packets end here."""
    for _ in range(_BATCH):
        try:
            size, source = call.source.recvfrom_into(buffer)
        except BlockingIOError:
            call.settled = True
            return
        except OSError:
            continue
        if source != call.peer:
            call.dropped[6] += 1
        else:
            _odd(call, buffer, size)


def _odd(call: Relayed, buffer: bytearray, size: int) -> None:
    """The careful way: any shape of packet; the payload alone goes on, or the rule it breaks is counted."""
    if not 13 <= size <= PAYLOAD_BYTES * 40:
        call.dropped[0] += 1
        return
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(buffer)
    rule = _broken(call, first, second, ssrc)
    ahead = (sequence - call.last) & 0xFFFF
    if rule is None and not 0 < ahead < MAX_DROPOUT and not _in_window(call, sequence, ahead):
        rule = 4
    start = end = 0
    if rule is None:
        try:
            start, end = payload_bounds(first, buffer, size)
        except RemoteRtpError:
            rule = 5
    if rule is not None:
        call.dropped[rule] += 1
        return
    if ahead < 0x8000:
        call.last = sequence
    call.dropped[8] += end - start > PAYLOAD_BYTES + 12
    header = HEADER.pack(
        0x80,
        second & 0x80 | call.out_payload_type,
        (sequence + call.sequence_offset) & 0xFFFF,
        (timestamp + call.timestamp_offset) & 0xFFFFFFFF,
        call.out_ssrc,
    )
    try:
        call.sink.send(header + bytes(buffer[start:end]))
    except OSError:
        call.dropped[7] += 1
        return
    call.packets += 1
    call.octets += 12 + end - start


def _broken(call: Relayed, first: int, second: int, ssrc: int) -> int | None:
    if first >> 6 != 2:
        return 1
    if second & 0x7F != call.payload_type:
        return 2
    return 3 if ssrc != call.ssrc else None


def _in_window(call: Relayed, sequence: int, ahead: int) -> bool:
    """Judge a number that does not follow: the first, one a little late, or the second in order after a jump."""
    if call.last < 0:
        call.last = sequence
        return True
    if ahead == 0 or ahead > 0x10000 - MAX_MISORDER:
        return ahead != 0
    if call.probation == sequence:
        call.last, call.probation = sequence, -1
        return True
    call.probation = (sequence + 1) & 0xFFFF
    return False
