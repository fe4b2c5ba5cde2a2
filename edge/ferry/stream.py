"""One stream in the relay worker: its packets are taken apart once and made anew for each of its viewers.

A packet goes on when its version is 2, its payload type and SSRC are the stream's, its number follows, and what is in
it is what the stream has announced (``edge.rtp.inspection``). Each viewer has an SSRC, numbers and time stamps of its
own; nothing of the recorder's header is copied, and CSRC lists, extensions and padding do not exist.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from edge.ferry.reporting import Clock, ToRecorder, ToViewer, fresh_name
from edge.rtp.packet import RemoteRtpError, RtpPacket
from edge.rtp.quality import Meter
from edge.rtp.rtcp import PACKET_TYPES

if TYPE_CHECKING:
    from edge.ferry.framed import FramedViewer

#: RFC 3550 A.1: what may be lost, and how late a packet may come before its number is a jump.
MAX_DROPOUT, MAX_MISORDER = 3000, 100
#: Longer packets take the careful way.
FAST_BYTES = 2048
_HEADER = struct.Struct("!HHII")
_unpack, _pack = _HEADER.unpack_from, _HEADER.pack_into
_DONTWAIT = socket.MSG_DONTWAIT


@dataclass(slots=True)
class Viewer:
    """Where one copy goes, and what is stamped into it. ``most`` is the longest packet that its tunnel takes whole."""

    framed: ClassVar[bool] = False
    call: int
    sink: socket.socket
    ssrc: int
    payload_type: int
    sequence: int
    timestamp: int
    most: int
    heads: dict[int, int]
    send: Callable[[memoryview | bytes, int], int] = field(init=False)
    packets: int = 0
    octets: int = 0
    failed: int = 0
    recut: int = 0
    #: Where its reports go and come from, if not in the frames of its connection: a socket of its own, or the sink.
    reports: socket.socket | None = None
    #: Its name in reports, and what workers before this one have sent it.
    name: bytes = b""
    before: tuple[int, int] = (0, 0)
    told: ToViewer = field(init=False)

    def __post_init__(self) -> None:
        self.send = self.sink.send
        self.told = ToViewer(self.ssrc, self.name or fresh_name(), self.before)

    def give(self, packet: RtpPacket, cut: Callable[[bytes, int], list[bytes]]) -> None:
        """Make a packet of ``packet``'s payload, or several where one would not pass the tunnel whole."""
        pieces = cut(packet.payload, self.most - 12)
        for number, piece in enumerate(pieces, 1):
            last = number == len(pieces)
            made = RtpPacket(
                self.payload_type,
                (packet.sequence + self.sequence) & 0xFFFF,
                (packet.timestamp + self.timestamp) & 0xFFFFFFFF,
                self.ssrc,
                piece,
                packet.marker and last,
            )
            if not last:
                self.sequence = (self.sequence + 1) & 0xFFFF
                self.recut += 1
            try:
                self.send(bytes(made), _DONTWAIT)
            except OSError:  # no room, or the city's host has said by ICMP that nobody listens
                self.failed += 1
                continue
            self.packets += 1
            self.octets += 12 + len(piece)

    def tell(self, clock: Clock | None, now: float, wall: float) -> None:
        """Send a report of what it was sent."""
        if self.reports is not None:
            with contextlib.suppress(OSError):  # nobody need hear it
                self.reports.send(self.told.make(clock, now, wall, self.packets, self.octets), _DONTWAIT)

    def let_go(self) -> None:
        self.sink.close()
        if self.reports is not None:
            self.reports.close()


class Inspection(Protocol):
    """What judges the payloads of a stream (``edge.rtp.inspection``, ``edge.rtp.es``), and cuts what is too long."""

    left: int
    types: dict[int, int]
    counters: Counter[str]
    protected: bool
    keys: int

    @property
    def pictures(self) -> int: ...
    def take(self, data: bytearray, start: int, end: int, marker: bool, gap: bool) -> bytes | None: ...
    def quick(self, data: bytearray, start: int, end: int) -> int: ...
    def pieces(self, payload: bytes, room: int) -> list[bytes]: ...


@functools.cache
def heads(payload_type: int, out_payload_type: int) -> dict[int, int]:
    """Return the first two octets of a plain header, without and with marker, each with what is written instead.

    Viewers share them: with a thousand calls each memory line of one's own is a cache miss a packet.
    """
    plain, out = 0x8000 | payload_type, 0x8000 | out_payload_type
    return {plain: out, plain | 0x80: out | 0x80}


@dataclass(slots=True)
class Stream:
    """What one recorder sends of one camera."""

    number: int
    source: socket.socket
    peer: tuple[str, int]
    #: 0: that of the first packet.
    ssrc: int
    payload_type: int
    inspection: Inspection
    viewers: tuple[Viewer, ...] = ()
    #: Those of them that are reached over a connection.
    framed: tuple[FramedViewer, ...] = ()
    receive: Callable[[bytearray, int, int], int] = field(init=False)
    heads: dict[int, int] = field(init=False)
    quick: Callable[[bytearray, int, int], int] = field(init=False)
    #: Octets of payload that may go on unseen, and the longest packet that goes to every viewer as it is.
    left: int = 0
    most: int = 0
    longest: int = FAST_BYTES
    #: The recorder has closed the connection, or what comes on it is no stream.
    ended: bool = False
    last: int = -1
    probation: int = -1
    settled: bool = False
    packets: int = 0
    lost: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    meter: Meter = field(default_factory=Meter)
    #: Key pictures that the meter was told of.
    keys: int = 0
    #: Where the recorder hears what has come of it.
    back: socket.socket | None = None
    told: ToRecorder = field(default_factory=ToRecorder)

    def __post_init__(self) -> None:
        self.receive = self.source.recv_into
        self.quick = self.inspection.quick
        self.heads = heads(self.payload_type, self.payload_type)

    def join(self, viewer: Viewer) -> None:
        """Send to one more from now on."""
        self._set((*self.viewers, viewer))

    def _set(self, viewers: tuple[Viewer, ...]) -> None:
        self.viewers = viewers
        self.framed = tuple(cast("FramedViewer", each) for each in viewers if each.framed)
        self.most = min((self.longest, *(each.most for each in viewers))) if viewers else 0

    def leave(self, call: int) -> None:
        """Send to one less."""
        for viewer in self.viewers:
            if viewer.call == call:
                viewer.let_go()
        self._set(tuple(viewer for viewer in self.viewers if viewer.call != call))

    def beat(self) -> None:
        """Twice a second."""

    def report(self, now: float, wall: float) -> tuple[Viewer, ...]:
        """Send, twice a second, the reports that are due; return the viewers that were sent one."""
        self.told.look(self.last)
        if self.back is not None and self.last >= 0 and self.told.pace.due():
            with contextlib.suppress(OSError):
                self.back.send(self.told.make(self.ssrc, self.lost, self.meter.figures().jitter_ms), _DONTWAIT)
        due = tuple(viewer for viewer in self.viewers if viewer.told.pace.due())
        seen = self.meter.last() if due else None
        for viewer in due:
            clock = None if seen is None else Clock(seen[0], seen[1] + viewer.timestamp)
            viewer.tell(clock, now, wall)
        return due

    def close(self) -> None:
        for opened in (self.source, self.back):
            if opened is not None:
                opened.close()
        for viewer in self.viewers:
            viewer.let_go()

    def pump(self, buffer: bytearray, views: list[memoryview], turns: range) -> None:
        """Relay what is queued: at most a packet for each of ``turns``.

        The flag, not the descriptor's own mode, keeps it from blocking: a side could change that mode at any time.
        """
        if not self.settled:
            self._settle(buffer)
            return
        for _ in turns:
            try:
                size = self.receive(buffer, 0, _DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                self.dropped["receive_failed"] += 1  # an ICMP error about nothing that we sent
                continue
            head, sequence, timestamp, ssrc = _unpack(buffer)
            if (
                head not in self.heads
                or ssrc != self.ssrc
                or (sequence - self.last) & 0xFFFF != 1
                or not 12 < size <= self.most
            ):
                self.pass_carefully(bytes(buffer[:size]))
                continue
            left = self.left + 12 - size
            # Most pictures begin alike: that costs one call, what else a packet may hold costs several.
            if left >= 0 or not self.left and (left := self.quick(buffer, 12, size)) >= 0:
                self.left = left
            elif not self.walk(buffer, 0, size, head):
                continue
            self.last = sequence
            self.packets += 1
            for viewer in self.viewers:
                _pack(
                    buffer,
                    0,
                    viewer.heads[head],
                    (sequence + viewer.sequence) & 0xFFFF,
                    (timestamp + viewer.timestamp) & 0xFFFFFFFF,
                    viewer.ssrc,
                )
                try:
                    viewer.send(views[size], _DONTWAIT)
                except OSError:
                    viewer.failed += 1
                    continue
                viewer.packets += 1
                viewer.octets += size

    def walk(self, buffer: bytearray, at: int, size: int, head: int) -> bool:
        """Look into the packet at ``at``, which follows; False when it does not go on as it is, and is done with."""
        inspection = self.inspection
        before, inspection.left = inspection.pictures, self.left
        said = inspection.take(buffer, at + 12, at + size, bool(head & 0x80), False)
        self.left = inspection.left
        if inspection.pictures != before:
            self.measure(_unpack(buffer, at)[2])
        if said is None:
            return True
        _, sequence, timestamp, _ = _unpack(buffer, at)
        self.last = sequence
        self._give(RtpPacket(0, sequence, timestamp, 0, said, bool(head & 0x80)))
        return False

    def measure(self, timestamp: int) -> None:
        """A picture begins in a packet that was read just now: the clock is read once a picture, not once a packet."""
        now, seen = time.monotonic(), self.inspection
        self.meter.picture(now, timestamp)
        if seen.keys != self.keys:
            self.meter.key(now)
            self.keys = seen.keys

    def _give(self, packet: RtpPacket) -> None:
        """Send what is left of a packet to everybody; where nothing is, its number is the next one's."""
        if packet.payload:
            self.packets += 1
        for viewer in self.viewers:
            if packet.payload:
                viewer.give(packet, self.inspection.pieces)
            else:
                viewer.sequence = (viewer.sequence - 1) & 0xFFFF

    def _settle(self, buffer: bytearray) -> None:
        """Read what was queued before the socket was connected, with its source: strangers' packets end here."""
        for _ in range(64):
            try:
                size, source = self.source.recvfrom_into(buffer, 0, _DONTWAIT)
            except BlockingIOError:
                self.settled = True
                return
            except OSError:
                self.dropped["receive_failed"] += 1
                continue
            if source == self.peer:
                self.pass_carefully(bytes(buffer[:size]))
            else:
                self.dropped["rtp_source"] += 1

    def pass_carefully(self, data: bytes) -> None:
        """Any shape of packet: what of its payload may go on does, or the rule that it breaks is counted."""
        if len(data) > 1 and data[0] >> 6 == 2 and data[1] in PACKET_TYPES:
            self.dropped["rtcp"] += 1
            return
        try:
            packet = RtpPacket.parse(data)
            gap = self._judge(packet)
        except RemoteRtpError as broken:
            self.dropped[broken.rule] += 1
            return
        payload = bytearray(packet.payload)
        before, self.inspection.left = self.inspection.pictures, self.left
        said = self.inspection.take(payload, 0, len(payload), packet.marker, gap)
        self.left = self.inspection.left
        if self.inspection.pictures != before:
            self.measure(packet.timestamp)
        self._give(replace(packet, payload=bytes(payload) if said is None else said))

    def _judge(self, packet: RtpPacket) -> bool:
        """Refuse what is not the stream's, and keep the number of the last packet (RFC 3550 A.1).

        Returns whether packets before it are missing. The first number after a jump is not taken, only the second in
        order, so that a single strange number moves nothing.

        Raises:
            RemoteRtpError: with the rule it breaks.
        """
        if packet.payload_type != self.payload_type:
            raise RemoteRtpError("rtp_payload_type")
        if not self.ssrc and self.last < 0:
            self.ssrc = packet.ssrc
        if packet.ssrc != self.ssrc:
            raise RemoteRtpError("rtp_ssrc")
        ahead = (packet.sequence - self.last) & 0xFFFF
        if self.last < 0 or 0 < ahead < MAX_DROPOUT or self.probation == packet.sequence:
            first, jumped = self.last < 0, self.probation == packet.sequence
            self.lost += ahead - 1 if not first and not jumped else 0
            self.last, self.probation = packet.sequence, -1
            return not first and (jumped or ahead != 1)
        if ahead == 0 or ahead > 0x10000 - MAX_MISORDER:
            raise RemoteRtpError("rtp_late")
        self.probation = (packet.sequence + 1) & 0xFFFF
        raise RemoteRtpError("rtp_sequence")
