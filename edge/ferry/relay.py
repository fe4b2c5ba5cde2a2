"""The relay worker: one blocking loop that takes each RTP packet apart and makes it anew, from site to city only.

It is forked by the ferry's nursery, never executed, and shares nothing with the ferry's parent but one socket. A packet goes on when
its version is 2, its payload type and SSRC are the call's, and its sequence number lies in a bounded window; then a
header is built from the parsed values with the city's SSRC, without CSRC, extension or padding. The city's socket is
never read: media toward the site does not exist; what arrives there fills its buffer and is dropped by the kernel.

Orders and reports are fixed-size; both ends check every length.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import functools
import os
import resource
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from edge.rtp.packet import MAX_PACKET_BYTES, RemoteRtpError, RtpPacket

REPORT_SECONDS = 1.0
#: RFC 3550 A.1: what may be lost, and how late a packet may come.
MAX_DROPOUT, MAX_MISORDER = 3000, 100
#: A longer packet (payload above 1372) does not pass a tunnel of 1412 bytes, WireGuard over PPPoE, in one piece.
WHOLE_BYTES = 1384
#: Longer ones take the careful way.
_FAST_BYTES = 2048
_MOST_READY = 64
#: Packets read of one call a wake. A read that finds nothing costs a third of a packet, so one is read and the next
#: wake awaited; only when the same one or two calls are ready again is a burst there, and read to its end.
_FEW_READY, _LONG, _ONE = 2, range(64), range(1)
_HIGHEST_DESCRIPTOR = 16_384
_ORDER = struct.Struct("!BIIBIBHI")
_ADD, _DROP, _RESET = 1, 2, 3
_HEADER = struct.Struct("!HHII")
_unpack, _pack = _HEADER.unpack_from, _HEADER.pack_into
RULES = (
    "rtp_short", "rtp_version", "rtp_payload_type", "rtp_ssrc", "rtp_sequence", "rtp_extension", "rtp_padding",
    "rtp_source", "receive_failed", "send_failed",
)  # fmt: skip
_REPORT = struct.Struct(f"!IQQ{len(RULES) + 1}I")
MAX_REPORTS = 1000
_DONTWAIT = socket.MSG_DONTWAIT


@dataclass(frozen=True, slots=True)
class Traffic:
    """A call's totals since it began: what went on, and what did not by rule; ``oversize`` counts what went on, too."""

    call: int
    packets: int
    octets: int
    dropped: dict[str, int]
    oversize: int


@dataclass(slots=True)
class Relayed:
    """One call in the worker."""

    number: int
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
    oversize: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))
    heads: dict[int, int] = field(init=False)
    receive: Callable[[bytearray, int, int], int] = field(init=False)
    send: Callable[[memoryview, int], int] = field(init=False)

    def __post_init__(self) -> None:
        self.receive, self.send = self.source.recv_into, self.sink.send
        self.heads = _heads(self.payload_type, self.out_payload_type)


@functools.cache
def _heads(payload_type: int, out_payload_type: int) -> dict[int, int]:
    """Return the first two octets of a plain header, without and with marker, each with what is written instead.

    Calls share them: with a thousand calls each memory line of one call's own is a cache miss a packet.
    """
    plain, out = 0x8000 | payload_type, 0x8000 | out_payload_type
    return {plain: out, plain | 0x80: out | 0x80}


# -- the parent's end ------------------------------------------------------------------------------------------------


def live(control: socket.socket, beat: tuple[int, int], confine: Callable[[], None]) -> NoReturn:
    """The worker's whole life: it calls ``confine`` before it reads its first order.

    ``beat`` is the descriptor that it beats on, and with which octet.
    """
    status = 1
    try:
        keep_only(control.fileno(), beat[0])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        confine()
        run(control, beat)
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(status)


def keep_only(*kept: int) -> None:
    """Close every descriptor but the standard ones and those."""
    at = 3
    for descriptor in sorted(kept):
        os.closerange(at, descriptor)
        at = descriptor + 1
    os.closerange(at, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))


def out_of_reach(opened: socket.socket, place: int) -> socket.socket:
    """Move a worker's control socket to a number above all that come later.

    The parent's filter knows it by its number alone, so that number must never name another socket: the filter refuses
    to close it, and refuses it by comparing with the lowest such number (``seccomp.load_parent``).
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    high = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, min(limit, _HIGHEST_DESCRIPTOR) - 16 + place)
    opened.close()
    return socket.socket(fileno=high)


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


def reset(control: socket.socket) -> None:
    """Order every call let go: the worker is a new one, and what the one before was told is told again."""
    control.send(_ORDER.pack(_RESET, 0, 0, 0, 0, 0, 0, 0))


def reports(data: bytes) -> Iterator[Traffic]:
    """Yield the totals in a worker's report; a length that is none of ours yields nothing."""
    if len(data) % _REPORT.size:
        return
    for call, packets, octets, oversize, *dropped in _REPORT.iter_unpack(data):
        yield Traffic(call, packets, octets, {rule: n for rule, n in zip(RULES, dropped, strict=True) if n}, oversize)


# -- the worker's end ------------------------------------------------------------------------------------------------


def run(control: socket.socket, beat: tuple[int, int]) -> None:
    """Relay until the parent is gone, or gives an order that is none.

    Reports are sent by a signal's handler: a clock read at each wake would cost as much as a packet's checks.
    """
    calls: dict[int, Relayed] = {}
    poll = select.epoll()
    poll.register(control.fileno(), select.EPOLLIN)
    buffer = bytearray(MAX_PACKET_BYTES + 1)
    views = [memoryview(buffer)[:size] for size in range(_FAST_BYTES + 1)]
    signal.signal(signal.SIGALRM, lambda *_: _report(control, calls, beat))
    signal.setitimer(signal.ITIMER_REAL, REPORT_SECONDS, REPORT_SECONDS)
    before: list[tuple[int, int]] = []
    while True:
        ready = poll.poll(-1, _MOST_READY)
        turns = _LONG if len(ready) <= _FEW_READY and ready == before else _ONE
        before = ready
        for descriptor, _ in ready:
            call = calls.get(descriptor)
            if call is not None:
                pump(call, buffer, views, turns)
            elif descriptor == control.fileno() and not _take_order(control, poll, calls):
                return


def _take_order(control: socket.socket, poll: select.epoll, calls: dict[int, Relayed]) -> bool:
    """Do what the parent says; False when it is gone or says what it cannot say."""
    room = socket.CMSG_SPACE(2 * array.array("i").itemsize)
    try:
        data, ancillary, _, _ = control.recvmsg(_ORDER.size + 1, room)
    except ConnectionError:
        return False  # killed with orders of its own unread
    came = array.array("i")
    for _, _, value in ancillary:
        came.frombytes(value)
    if len(data) != _ORDER.size:
        return False
    kind, call, *facts = _ORDER.unpack(data)
    if kind == _ADD and len(came) == 2:
        _take_call(call, socket.socket(fileno=came[0]), socket.socket(fileno=came[1]), facts, poll, calls)
        return True
    if kind not in (_DROP, _RESET) or came:
        return False
    for descriptor, relayed in list(calls.items()):
        if relayed.number == call or kind == _RESET:
            poll.unregister(descriptor)
            del calls[descriptor]
            relayed.source.close()
            relayed.sink.close()
    return True


def _take_call(
    call: int,
    source: socket.socket,
    sink: socket.socket,
    facts: list[int],
    poll: select.epoll,
    calls: dict[int, Relayed],
) -> None:
    try:
        peer = source.getpeername()
    except OSError:  # its side, which still held it, took it apart: the call will end as a silent one
        source.close()
        sink.close()
        return
    ssrc, payload_type, out_ssrc, out_payload_type, sequence, timestamp = facts
    calls[source.fileno()] = Relayed(
        call, source, sink, peer, ssrc, payload_type, out_ssrc, out_payload_type, sequence, timestamp
    )
    poll.register(source.fileno(), select.EPOLLIN)


def _report(control: socket.socket, calls: dict[int, Relayed], beat: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):
        os.write(beat[0], bytes((beat[1],)))
    lines = [
        _REPORT.pack(c.number, c.packets, c.octets, *(min(n, 0xFFFFFFFF) for n in (c.oversize, *c.dropped.values())))
        for c in calls.values()
    ]
    for at in range(0, len(lines), MAX_REPORTS):
        with contextlib.suppress(BlockingIOError):  # a parent that does not listen does not hold up the media
            control.send(b"".join(lines[at : at + MAX_REPORTS]), _DONTWAIT)


def pump(call: Relayed, buffer: bytearray, views: list[memoryview], turns: range) -> None:
    """Relay what is queued for one call: at most a packet for each of ``turns``.

    The flag, not the descriptor's own mode, keeps it from blocking: a side could change that mode at any time.
    """
    if not call.settled:
        _settle(call, buffer)
        return
    for _ in turns:
        try:
            size = call.receive(buffer, 0, _DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            call.dropped["receive_failed"] += 1  # an ICMP error about nothing that we sent
            continue
        head, sequence, timestamp, ssrc = _unpack(buffer)
        plain = call.heads.get(head)
        if (
            plain is None
            or ssrc != call.ssrc
            or not 12 < size <= _FAST_BYTES
            or not 0 < (sequence - call.last) & 0xFFFF < MAX_DROPOUT
        ):
            _pass_carefully(call, bytes(buffer[:size]))
            continue
        call.last = sequence
        sequence = (sequence + call.sequence_offset) & 0xFFFF
        _pack(buffer, 0, plain, sequence, (timestamp + call.timestamp_offset) & 0xFFFFFFFF, call.out_ssrc)
        try:
            call.send(views[size], _DONTWAIT)
        except OSError:
            call.dropped["send_failed"] += 1
            continue
        call.packets += 1
        call.octets += size
        if size > WHOLE_BYTES:
            call.oversize += 1


def _send(call: Relayed, packet: bytes | memoryview, size: int) -> None:
    try:
        call.sink.send(packet, _DONTWAIT)
    except OSError:  # no room, or the city's host has said by ICMP that nobody listens
        call.dropped["send_failed"] += 1
        return
    call.packets += 1
    call.octets += size
    if size > WHOLE_BYTES:
        call.oversize += 1


def _settle(call: Relayed, buffer: bytearray) -> None:
    """Read what was queued before the socket was connected, with its source: strangers' packets end here."""
    for _ in _LONG:
        try:
            size, source = call.source.recvfrom_into(buffer, 0, _DONTWAIT)
        except BlockingIOError:
            call.settled = True
            return
        except OSError:
            call.dropped["receive_failed"] += 1
            continue
        if source == call.peer:
            _pass_carefully(call, bytes(buffer[:size]))
        else:
            call.dropped["rtp_source"] += 1


def _pass_carefully(call: Relayed, data: bytes) -> None:
    """Any shape of packet: its payload alone goes on, or the rule that it breaks is counted."""
    try:
        packet = RtpPacket.parse(data)
        _judge(call, packet)
    except RemoteRtpError as broken:
        call.dropped[broken.rule] += 1
        return
    made = RtpPacket(
        call.out_payload_type,
        (packet.sequence + call.sequence_offset) & 0xFFFF,
        (packet.timestamp + call.timestamp_offset) & 0xFFFFFFFF,
        call.out_ssrc,
        packet.payload,
        packet.marker,
    )
    _send(call, bytes(made), 12 + len(packet.payload))


def _judge(call: Relayed, packet: RtpPacket) -> None:
    """Refuse what is not the call's, and keep the number of the last packet (RFC 3550 A.1).

    A number that does not follow is the call's first, one a little late, or the second in order after a jump: the
    first after a jump is lost, so that a single strange number moves nothing.

    Raises:
        RemoteRtpError: with the rule it breaks.
    """
    if packet.payload_type != call.payload_type:
        raise RemoteRtpError("rtp_payload_type")
    if packet.ssrc != call.ssrc:
        raise RemoteRtpError("rtp_ssrc")
    ahead = (packet.sequence - call.last) & 0xFFFF
    if call.last < 0 or 0 < ahead < MAX_DROPOUT or call.probation == packet.sequence:
        call.last, call.probation = packet.sequence, -1
        return
    if ahead <= 0x10000 - MAX_MISORDER:
        call.probation = (packet.sequence + 1) & 0xFFFF if ahead else call.probation
        raise RemoteRtpError("rtp_sequence")
