"""Reports that a relay worker makes and hears (RFC 3550 6): none of them ever crosses.

Toward a viewer, what we have sent it; toward a recorder, what has come of its stream. A viewer's own report about what we
sent it is two figures. All else that comes ends in ``edge.rtp.rtcp``.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field

from edge.rtp.quality import CLOCK_HZ
from edge.rtp.rtcp import (
    NAME_BYTES,
    RemoteRtcpError,
    ReportBlock,
    middle,
    ntp,
    parse,
    receiver_report,
    sender_report,
)

#: The worker's timer ticks twice a second: from 4 to 6 s between two reports, by lot (6.3.1: never at the same time).
_LEAST_TICKS, _SPREAD_TICKS = 8, 5
#: So soon the first one: a peer that waits for a sign of life has one.
_FIRST_TICKS = 2
#: Sender reports that a viewer's answer may be about.
_REMEMBERED = 4
#: A way there and back that takes longer is none: it is a clock.
_MOST_TRIP_SECONDS = 30.0
#: Reports that are read at once; the firewall lets through four a second.
MOST_READ = 4


def fresh_name() -> bytes:
    """Return a CNAME by lot: it says nothing of us, and is another one in each view (RFC 7022)."""
    return base64.b64encode(os.urandom(NAME_BYTES * 3 // 4))


def fresh_ssrc() -> int:
    return int.from_bytes(os.urandom(4), "big")


@dataclass(slots=True)
class Pace:
    """When the next report is due."""

    left: int = _FIRST_TICKS

    def due(self) -> bool:
        """Return whether it is, at a tick of the worker's timer."""
        self.left -= 1
        if self.left > 0:
            return False
        self.left = _LEAST_TICKS + os.urandom(1)[0] % _SPREAD_TICKS
        return True


@dataclass(frozen=True, slots=True)
class Clock:
    """At ``at`` (monotonic, seconds) the stream's clock said ``timestamp``."""

    at: float
    timestamp: int

    def says(self, now: float) -> int:
        return self.timestamp + round((now - self.at) * CLOCK_HZ)


@dataclass(slots=True)
class ToViewer:
    """The reports of one view. ``lost`` and ``trip`` are what the viewer says of it: packets, and seconds there and back."""

    ssrc: int
    name: bytes
    #: What workers before this one have sent: packets, and octets with their headers.
    before: tuple[int, int] = (0, 0)
    pace: Pace = field(default_factory=Pace)
    lost: int | None = None
    trip: float | None = None
    heard: int = 0
    refused: int = 0
    _sent: int = 0
    _stamps: tuple[int, ...] = ()

    def make(self, clock: Clock | None, now: float, wall: float, packets: int, octets: int) -> bytes:
        """Return a sender report; a receiver's that says nothing when no packet was sent since the last (6.4)."""
        packets, octets = packets + self.before[0], octets + self.before[1]
        idle, self._sent = packets == self._sent, packets
        if clock is None or idle:
            return receiver_report(self.ssrc, (), self.name)
        stamp = ntp(wall)
        self._stamps = (*self._stamps, stamp)[-_REMEMBERED:]
        return sender_report(self.ssrc, stamp, clock.says(now), packets, octets - 12 * packets, self.name)

    def hear(self, data: bytes | bytearray, wall: float) -> None:
        """Take what a viewer says; what is no report is counted and forgotten."""
        try:
            heard = parse(data, self.ssrc)
        except RemoteRtcpError:
            self.refused += 1
            return
        self.heard += 1
        if heard.leaves:
            self.lost = self.trip = None
        elif heard.block is not None:
            self.lost = max(0, heard.block.lost)
            self.trip = self._trip(heard.block, wall)

    def _trip(self, block: ReportBlock, wall: float) -> float | None:
        """Return how long our last report and its answer were on the way, if it is an answer to one of ours (A.8)."""
        if block.last_sr not in map(middle, self._stamps):
            return None
        passed = (middle(ntp(wall)) - block.last_sr - block.delay & 0xFFFFFFFF) / 65536
        return passed if passed <= _MOST_TRIP_SECONDS else None


@dataclass(slots=True)
class ToRecorder:
    """The reports about one stream."""

    ssrc: int = field(default_factory=fresh_ssrc)
    name: bytes = field(default_factory=fresh_name)
    pace: Pace = field(default_factory=Pace)
    _cycles: int = 0
    _last: int = -1
    #: Highest number and lost packets as the last report had them.
    _told: tuple[int, int] = (-1, 0)

    def look(self, last: int) -> None:
        """See, twice a second, whether the numbers have gone round: half of them take longer than that."""
        if 0 <= last < self._last and self._last - last > 0x8000:
            self._cycles += 1
        self._last = last

    def make(self, of: int, lost: int, jitter_ms: float | None) -> bytes:
        """Return a receiver report about the stream ``of``; b"" before its first packet."""
        if self._last < 0:
            return b""
        highest = self._cycles << 16 | self._last
        before, lost_before = self._told
        expected = highest - before if 0 <= before < highest else 0
        fraction = min(255, 256 * max(0, lost - lost_before) // expected) if expected else 0
        self._told = (highest, lost)
        jitter = round((jitter_ms or 0) * CLOCK_HZ / 1000)
        return receiver_report(self.ssrc, (ReportBlock(of, fraction, lost, highest, jitter),), self.name)
