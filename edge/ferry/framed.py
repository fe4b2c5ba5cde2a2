"""Streams and viewers over TCP: RTP packets in frames of two octets of length (RFC 4571) or of RTSP's four (RFC 2326 10.12).

A connection has one reader and no memory of frames: whoever reads it anew, after a worker died in the middle of one,
finds the next frame by the stream's SSRC. A viewer that does not read loses packets, whole ones and the newest first.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import ClassVar

from edge.ferry.reporting import Clock
from edge.ferry.stream import Stream, Viewer
from edge.rtp.rtcp import PACKET_TYPES, SENDER_REPORT

#: The longest frame, and room to read behind its beginning: all that a connection may hold of ours.
KEPT_BYTES = 3 << 15
#: What waits for a viewer beside the kernel's own queue.
MAX_WAITING_BYTES = 1 << 17
#: The longest frame that a viewer may send back: RTCP in one packet of the tunnel.
MAX_HEARD_BYTES = 1472
#: Reports without a good frame, though octets came: 5 s. Shorter, and a key frame on a bad line is cut off; longer, and
#: whoever sends one octet a second keeps one of the recorder's few connections.
MAX_STALLED_REPORTS = 10
_HEADER = struct.Struct("!HHII")
_unpack, _pack = _HEADER.unpack_from, _HEADER.pack_into
#: RFC 4571: the length, and such a header.
_FRAME_BYTES = 2 + 12
_unpack_frame, _pack_frame = struct.Struct("!HHHQ").unpack_from, struct.Struct("!HHQ").pack_into
_DONTWAIT = socket.MSG_DONTWAIT


@dataclass(slots=True)
class FramedViewer(Viewer):
    """A viewer at the other end of a connection. ``gone`` names why it is over, "" while it lasts."""

    framed: ClassVar[bool] = True
    #: The kernel has no room, and says when it has.
    blocked: bool = False
    waiting: bytearray = field(default_factory=bytearray)
    heard: bytearray = field(default_factory=bytearray)
    gone: str = ""

    def __post_init__(self) -> None:
        Viewer.__post_init__(self)
        self.send = self._frame

    def _frame(self, packet: memoryview | bytes, _: int) -> int:
        """Queue a packet for ``flush``.

        Raises:
            BlockingIOError: too much waits already.
        """
        if len(self.waiting) > MAX_WAITING_BYTES:
            raise BlockingIOError
        self.waiting += len(packet).to_bytes(2, "big")
        self.waiting += packet
        return len(packet)

    def pass_on(self, frames: memoryview) -> None:
        """Hand whole frames to the kernel while nothing waits; what it does not take waits, and ``flush`` says why."""
        sent = 0
        with contextlib.suppress(OSError):
            sent = self.sink.send(frames, _DONTWAIT)
        if sent < len(frames):
            self.waiting += frames[sent:]

    def flush(self) -> bool:
        """Hand what waits to the kernel; return whether some is left."""
        try:
            sent = self.sink.send(self.waiting, _DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            self.gone = "city_media_closed"
            self.waiting.clear()
            return False
        del self.waiting[:sent]
        return bool(self.waiting)

    def hear(self) -> None:
        """Read what comes back: a report is taken, all other RTCP thrown away, and whatever else it is ends the connection."""
        try:
            came = self.sink.recv(MAX_HEARD_BYTES, _DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        if not came:
            self.gone = "city_media_closed"
        self.heard += came
        while len(heard := self.heard) >= 4 and not self.gone:
            size = heard[0] << 8 | heard[1]
            if size > MAX_HEARD_BYTES or size < 4 or heard[2] >> 6 != 2 or heard[3] not in PACKET_TYPES:
                self.gone = "city_media_backwards"
            if len(heard) < 2 + size:
                return
            if not self.gone:
                self.told.hear(heard[2 : 2 + size], time.time())
            del heard[: 2 + size]

    def tell(self, clock: Clock | None, now: float, wall: float) -> None:
        """Queue a report behind the packets: none while none go, for some receivers take what comes then for a new stream."""
        report = self.told.make(clock, now, wall, self.packets, self.octets)
        if report[1] == SENDER_REPORT:
            with contextlib.suppress(BlockingIOError):
                self.send(report, _DONTWAIT)


@dataclass(slots=True)
class FramedStream(Stream):
    """A stream over a connection. ``prefix`` is how many octets stand before a packet; the last two are its length."""

    prefix: int = 2
    kept: bytearray = field(default_factory=lambda: bytearray(KEPT_BYTES))
    view: memoryview = field(init=False)
    end: int = 0
    synced: bool = False
    #: Octets since the last good frame, and the reports that saw some.
    unframed: int = 0
    stalled: int = 0

    def __post_init__(self) -> None:
        Stream.__post_init__(self)
        self.longest = 65_535
        self.view = memoryview(self.kept)

    def pump(self, buffer: bytearray, views: list[memoryview], turns: range) -> None:
        """Relay what one read brings; what is left of a frame waits for its rest."""
        if self.ended:
            return
        try:
            size = self.source.recv_into(self.view[self.end :], 0, _DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self.ended = True
            return
        self.end += size
        self.unframed += size
        begun = self._frames(self.end)
        if begun:
            self.kept[: self.end - begun] = self.kept[begun : self.end]
            self.end -= begun

    def beat(self) -> None:
        """Twice a second: a connection on which octets come and no frame is over."""
        self.stalled = self.stalled + 1 if self.unframed else 0
        if self.stalled > MAX_STALLED_REPORTS:
            self.dropped["frame_stalled"] += 1
            self.ended = True

    def _frames(self, end: int) -> int:
        """Take the whole frames of what is kept; return where what is left begins."""
        at, kept, prefix, ssrc = 0, self.kept, self.prefix, self.ssrc.to_bytes(4, "big")
        in_place = prefix == 2 and len(self.viewers) == len(self.framed) == 1
        while True:
            if in_place and self.synced:
                # What was made with care goes first; where there is no room for it there is none for more.
                in_place = not (self.framed[0].waiting and self.framed[0].flush())
                at = self._run(at, end)
            if not self.synced:
                at = self._next_frame(at, end)
                if not self.synced:
                    return at
            body = at + prefix
            if body + 13 > end:
                return at
            size = kept[body - 2] << 8 | kept[body - 1]
            # An urgent octet that the kernel left before a frame makes another one of it.
            shifted = not kept.startswith(ssrc, body + 8) and kept.startswith(ssrc, body + 9)
            if not size and not shifted:  # RFC 4571 2: a null packet is let pass
                at = body
                continue
            if size <= 12 or kept[body] >> 6 != 2 or shifted:
                self.synced = False
                self.dropped["frame_lost"] += 1
                at += 1
                continue
            if body + size > end:
                return at
            self._take(body, size)
            at = body + size

    def _run(self, at: int, end: int) -> int:
        """Make anew where they are the frames that look like most; return where the first other one begins.

        Its only viewer gets the same frames, so that all of them go out as they lie there, by one call.
        """
        viewer, kept, quick = self.framed[0], self.kept, self.quick
        if viewer.waiting or viewer.gone:
            return at
        begun, left, out, longest, last = at, self.left, viewer.heads, self.most, end - _FRAME_BYTES
        wanted, ahead = self.last + 1, viewer.sequence
        # A picture's packets have one time stamp: with the SSRC behind it, and what is written for both.
        picture = made = -1
        with contextlib.suppress(KeyError):  # another payload type
            while at < last:
                size, head, sequence, named = _unpack_frame(kept, at)
                to, rest, mark = at + 2 + size, left + 12 - size, out[head]
                if sequence != wanted or to > end or not 12 < size <= longest:
                    break
                if named != picture:
                    if named & 0xFFFFFFFF != self.ssrc:
                        break
                    picture, made = named, (((named >> 32) + viewer.timestamp) & 0xFFFFFFFF) << 32 | viewer.ssrc
                if rest < 0 and (left or (rest := quick(kept, at + _FRAME_BYTES, to)) < 0):
                    break
                _pack_frame(kept, at + 2, mark, (sequence + ahead) & 0xFFFF, made)
                # The frame whose number goes round is none of those that look like most.
                left, wanted, at = rest, sequence + 1, to
        frames = wanted - 1 - self.last
        if frames:
            self.last, self.left, self.unframed = wanted - 1, left, 0
            self.packets += frames
            viewer.packets += frames
            viewer.octets += at - begun - 2 * frames
            viewer.pass_on(self.view[begun:at])
        return at

    def _next_frame(self, at: int, end: int) -> int:
        """Find the next frame by the stream's SSRC; return where it, or what may be one, begins."""
        head, ssrc = self.prefix + 8, self.ssrc.to_bytes(4, "big")
        found = self.kept.find(ssrc, at + head, end)
        while found >= 0:
            body = found - 8
            size = self.kept[body - 2] << 8 | self.kept[body - 1]
            if self.kept[body] << 8 | self.kept[body + 1] in self.heads and size > 12:
                self.synced = True
                return body - self.prefix
            found = self.kept.find(ssrc, found + 1, end)
        return max(at, end - head - 3)

    def _take(self, at: int, size: int) -> None:
        """Relay the packet at ``at``: as ``Stream.pump`` does, out of what is kept."""
        kept = self.kept
        head, sequence, timestamp, ssrc = _unpack(kept, at)
        good = self.packets
        if head not in self.heads or ssrc != self.ssrc or (sequence - self.last) & 0xFFFF != 1 or size > self.most:
            self.pass_carefully(bytes(self.view[at : at + size]))
            if self.packets != good:
                self.unframed = 0
            return
        self.unframed = 0
        left = self.left + 12 - size
        if left >= 0 or not self.left and (left := self.quick(kept, at + 12, at + size)) >= 0:
            self.left = left
        elif not self.walk(kept, at, size, head):
            return
        self.last = sequence
        self.packets += 1
        packet = self.view[at : at + size]
        for viewer in self.viewers:
            _pack(kept, at, viewer.heads[head], (sequence + viewer.sequence) & 0xFFFF,
                  (timestamp + viewer.timestamp) & 0xFFFFFFFF, viewer.ssrc)  # fmt: skip
            try:
                viewer.send(packet, _DONTWAIT)
            except OSError:
                viewer.failed += 1
                continue
            viewer.packets += 1
            viewer.octets += size
