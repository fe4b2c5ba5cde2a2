"""The relay worker: one blocking loop over streams and their viewers, from site to city only.

It is forked by the ferry's nursery, never executed, and shares nothing with the ferry's parent but one socket. What a
packet is and what becomes of it is said in ``stream``. Of the city's sockets only reports are read (``reporting``), and
they end here: media toward the site does not exist; what else arrives fills a buffer and is dropped by the kernel.

Orders and reports are fixed-size; both ends check every length.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from edge.ferry.framed import FramedStream, FramedViewer
from edge.ferry.reporting import MOST_READ
from edge.ferry.stream import FAST_BYTES, Inspection, Stream, Viewer, heads
from edge.rtp.es import EsInspection
from edge.rtp.inspection import PsInspection
from edge.rtp.packet import MAX_PACKET_BYTES
from edge.rtp.psm import H264, H265
from edge.rtp.rtcp import MAX_COMPOUND_BYTES
from edge.rtp.sound import SoundInspection

REPORT_SECONDS = 0.5
_MOST_READY = 64
#: Packets read of one stream a wake. A read that finds nothing costs a third of a packet, so one is read and the next
#: wake awaited; only when the same one or two streams are ready again may a burst be there: it is read to its end. Where
#: none was, as with a single stream that comes evenly, it is looked for more and more seldom.
_FEW_READY, _LONG, _ONE, _MOST_PATIENCE = 2, range(64), range(1), 63
#: So many packets since the last report (112 Mbit/s of recorders' packets), and a worker that has done all there is pauses and
#: takes at once what came meanwhile: a wake for each packet costs a fifth of all processor time. A picture lasts forty
#: pauses; shorter, and a thousand streams cost more than they do others; longer, and buffers fill.
BUSY_PACKETS, GATHER_SECONDS = 5000, 0.001
#: Where nothing comes, reports are still due.
_IDLE_SECONDS = 1.0
_HIGHEST_DESCRIPTOR = 16_384
_MAP_BYTES = 16
#: kind, content (of a viewer: whether its reports come to the sink), number, stream, SSRC, payload type, sequence and time stamp
#: offset, longest packet (of a stream: octets before each packet, 0 for datagrams), packets and octets that were sent before,
#: stream types (of a viewer: its name in reports).
_ORDER = struct.Struct(f"!BBIIIBHIHII{_MAP_BYTES}s")
_MOST_DESCRIPTORS = 2
_OPEN, _JOIN, _LEAVE, _CLOSE, _RESET = 1, 2, 3, 4, 5
_CONTENTS = ("ps", "sound", "h264", "h265")
_CODECS = {"h264": H264, "h265": H265}
RULES = (
    "rtp_short", "rtp_version", "rtp_payload_type", "rtp_ssrc", "rtp_sequence", "rtp_late", "rtp_extension",
    "rtp_padding", "rtp_source", "rtcp", "receive_failed", "frame_lost", "frame_stalled",
    "ps_unknown", "ps_start_code", "ps_mpeg1", "ps_header", "ps_map", "ps_no_map", "ps_stream", "ps_private", "ps_nal",
    "ps_gap", "ps_cut_short", "sei_blanked", "sound_long",
    "es_forbidden", "es_length", "es_reserved", "es_stap_b", "es_mtap", "es_fu_b", "es_paci", "es_fragment", "es_nal", "es_unit",
    "es_no_sps", "es_gap", "es_cut",
)  # fmt: skip
#: number, packets, lost, protected, ended, pictures, key pictures, jitter, way between key pictures, stream types, then a
#: count a rule.
_STREAM = struct.Struct(f"!IQIBBIIHI{_MAP_BYTES}s{len(RULES)}I")
#: Jitter is told in tenths of a millisecond; of what is not known, this.
_NO_JITTER = 0xFFFF
_NONE_DROPPED = (0,) * len(RULES)
#: number, packets, octets, failed, re-cut, sequence offset, why it is over, and what the viewer says of it: packets that it has
#: lost, milliseconds there and back; what it says that is no report.
_VIEWER = struct.Struct("!IQQIIHBIHI")
#: What a viewer has not said.
_UNTOLD_LOST, _UNTOLD_TRIP = 0xFFFFFFFF, 0xFFFF
#: Why a viewer's connection is over.
_GONE = ("", "city_media_closed", "city_media_backwards")
#: The longest report: both ends know it.
MAX_REPORT_BYTES = 1 << 16
_DONTWAIT = socket.MSG_DONTWAIT
_ORDER_ROOM = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)


@dataclass(frozen=True, slots=True)
class StreamTold:
    """A stream's totals since its worker has it: good packets, missing ones, and what did not go on, by rule.

    Rules of a packet (``rtp_``) count packets, those of its content (``ps_``, ``es_``, ``sei_``) octets.
    """

    stream: int
    packets: int
    lost: int
    protected: bool
    #: Its connection is over.
    ended: bool
    types: dict[int, int]
    dropped: dict[str, int]
    #: Pictures that began, those of them that stand alone, their jitter and the way between the last two of the latter.
    pictures: int = 0
    keys: int = 0
    jitter_ms: float | None = None
    key_frame_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ViewerTold:
    """A viewer's totals since the worker has it; ``sequence`` is how far its numbers are from the recorder's now.

    ``lost`` and ``trip_ms`` are its own word in its last report: packets since it began, and the way there and back.
    """

    call: int
    packets: int
    octets: int
    failed: int
    recut: int
    sequence: int
    gone: str
    lost: int | None = None
    trip_ms: int | None = None
    #: What it said that is no report.
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a viewer's packets bear, and how long they may be; its name in reports, and what was sent to it before."""

    ssrc: int
    payload_type: int
    sequence: int
    timestamp: int
    most: int
    name: bytes = b""
    packets: int = 0
    octets: int = 0


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


def open_stream(
    control: socket.socket, stream: int, sources: list[int], ssrc: int, payload_type: int, prefix: int, content: str,
    types: dict[int, int],
) -> None:  # fmt: skip
    """Order a stream read: its connected socket, what it bears and how it is framed, and its map if one is known.

    A second of ``sources`` is where the recorder hears reports.
    """
    order = _ORDER.pack(
        _OPEN, _CONTENTS.index(content), stream, stream, ssrc, payload_type, 0, 0, prefix, 0, 0, _map_out(types)
    )
    control.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", sources))])


def join(control: socket.socket, stream: int, call: int, sinks: list[int], stamp: Stamp, mux: bool = False) -> None:
    """Order a stream sent to one more; its reports go to the second of ``sinks``, or with ``mux`` to the first."""
    order = _ORDER.pack(
        _JOIN, mux, call, stream, stamp.ssrc, stamp.payload_type, stamp.sequence, stamp.timestamp, stamp.most,
        stamp.packets & 0xFFFFFFFF, stamp.octets & 0xFFFFFFFF, stamp.name,
    )  # fmt: skip
    control.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", sinks))])


def leave(control: socket.socket, stream: int, call: int) -> None:
    """Order a viewer let go."""
    control.send(_ORDER.pack(_LEAVE, 0, call, stream, 0, 0, 0, 0, 0, 0, 0, b""))


def close_stream(control: socket.socket, stream: int) -> None:
    """Order a stream and all its viewers let go."""
    control.send(_ORDER.pack(_CLOSE, 0, stream, stream, 0, 0, 0, 0, 0, 0, 0, b""))


def reset(control: socket.socket) -> None:
    """Order every stream let go: the worker is a new one, and what the one before was told is told again."""
    control.send(_ORDER.pack(_RESET, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b""))


def reports(data: bytes) -> Iterator[StreamTold | ViewerTold]:
    """Yield what a worker reports; a length that is none of ours yields nothing."""
    kind, rest = data[:1], data[1:]
    if kind == b"s" and len(rest) % _STREAM.size == 0:
        yield from map(_stream_told, _STREAM.iter_unpack(rest))
    elif kind == b"v" and len(rest) % _VIEWER.size == 0:
        for call, packets, octets, failed, recut, sequence, gone, lost, trip, unread in _VIEWER.iter_unpack(rest):
            why = _GONE[gone] if gone < len(_GONE) else ""
            said = (None if lost == _UNTOLD_LOST else lost, None if trip == _UNTOLD_TRIP else trip)
            yield ViewerTold(call, packets, octets, failed, recut, sequence, why, *said, unread)


def _stream_told(line: tuple[Any, ...]) -> StreamTold:
    stream, packets, lost, protected, ended, pictures, keys, jitter, key_frame, types, *dropped = line
    counts = {rule: n for rule, n in zip(RULES, dropped, strict=True) if n}
    facts = (stream, packets, lost, bool(protected), bool(ended), _map_in(types), counts)
    return StreamTold(*facts, pictures, keys, None if jitter == _NO_JITTER else jitter / 10, key_frame or None)


def _map_out(types: dict[int, int]) -> bytes:
    return bytes(octet for pair in types.items() for octet in pair)


def _map_in(raw: bytes) -> dict[int, int]:
    return {raw[at]: raw[at + 1] for at in range(0, len(raw), 2) if raw[at]}


# -- the worker's end ------------------------------------------------------------------------------------------------


class _Worker:
    """The streams by their number, and by their source's descriptor; viewers' connections and ears for reports by theirs."""

    def __init__(self, control: socket.socket, beat: tuple[int, int]) -> None:
        self._control = control
        self._beat = beat
        self._poll = select.epoll()
        self._poll.register(control.fileno(), select.EPOLLIN)
        self.sources: dict[int, Stream] = {}
        self._streams: dict[int, Stream] = {}
        self._counted, self._busy = 0, False
        self._sinks: dict[int, FramedViewer] = {}
        self._ears: dict[int, Viewer] = {}
        self._due = False

    def run(self) -> None:
        """Relay until the parent is gone, or gives an order that is none."""
        buffer = bytearray(MAX_PACKET_BYTES + 1)
        views = [memoryview(buffer)[:size] for size in range(FAST_BYTES + 1)]
        poll, sources, control = self._poll.poll, self.sources, self._control.fileno()
        before: list[tuple[int, int]] = []
        same = patience = 0
        wait = _IDLE_SECONDS
        while True:
            ready = poll(wait, _MOST_READY)
            if self._due:
                self._report_on()
            if not ready:
                time.sleep(GATHER_SECONDS)
                wait = _IDLE_SECONDS
                continue
            wait = 0.0 if self._busy else _IDLE_SECONDS
            same = same + 1 if len(ready) <= _FEW_READY and ready == before else 0
            before = ready
            turns = _LONG if same > patience else _ONE
            had = self._packets(ready) if turns is _LONG else 0
            for descriptor, _ in ready:
                stream = sources.get(descriptor)
                if stream is not None:
                    stream.pump(buffer, views, turns)
                    if stream.ended:
                        self._unwatch(stream)
                    for viewer in stream.framed:
                        self._flush(viewer)
                elif descriptor == control:
                    if not self._take_order():
                        return
                elif descriptor in self._sinks:
                    self._hear(self._sinks[descriptor])
                elif descriptor in self._ears:
                    self._hear_report(self._ears[descriptor])
            if turns is _LONG:
                found = self._packets(ready) - had > len(ready)
                same, patience = (same, 0) if found else (0, min(2 * patience + 1, _MOST_PATIENCE))

    def _packets(self, ready: list[tuple[int, int]]) -> int:
        return sum(stream.packets for descriptor, _ in ready if (stream := self.sources.get(descriptor)))

    def _take_order(self) -> bool:
        """Do what the parent says; False when it is gone or says what it cannot say."""
        try:
            data, ancillary, _, _ = self._control.recvmsg(_ORDER.size + 1, _ORDER_ROOM)
        except ConnectionError:
            return False  # killed with orders of its own unread
        came = array.array("i")
        for _, _, value in ancillary:
            came.frombytes(value)
        if len(data) != _ORDER.size or len(came) > _MOST_DESCRIPTORS:
            return False
        kind, content, number, at, ssrc, payload_type, sequence, timestamp, most, *before, named = _ORDER.unpack(data)
        if kind in (_OPEN, _JOIN) and came:
            opened = [socket.socket(fileno=descriptor) for descriptor in came]
            if kind == _OPEN:
                self._open(number, opened, ssrc, payload_type, most, _inspection(content, named))
            else:
                stamp = Stamp(ssrc, payload_type, sequence, timestamp, most, named, *before)
                self._join(number, at, opened + opened[:1] * bool(content), stamp)
            return True
        if came or kind not in (_LEAVE, _CLOSE, _RESET):
            return False
        for stream in list(self._streams.values()):
            if kind == _LEAVE and stream.number == at:
                self._leave(stream, number)
            elif kind == _RESET or (kind == _CLOSE and stream.number == number):
                self._close(stream)
        return True

    def _open(
        self, number: int, opened: list[socket.socket], ssrc: int, payload_type: int, prefix: int, content: Inspection
    ) -> None:
        source = opened[0]
        try:
            peer = source.getpeername()
        except OSError:  # its side, which still held it, took it apart: the stream will end as a silent one
            for each in opened:
                each.close()
            return
        if source.type == socket.SOCK_STREAM:
            stream: Stream = FramedStream(number, source, peer, ssrc, payload_type, content, prefix=prefix)
        else:
            stream = Stream(number, source, peer, ssrc, payload_type, content)
        stream.back = opened[1] if len(opened) > 1 else None
        self._streams[number] = self.sources[source.fileno()] = stream

    def _join(self, call: int, number: int, opened: list[socket.socket], stamp: Stamp) -> None:
        stream = self._streams.get(number)
        if stream is None:
            for each in opened:
                each.close()
            return
        sink = opened[0]
        reports = opened[1] if len(opened) > 1 and sink.type == socket.SOCK_DGRAM else None
        if not stream.viewers:  # what came before is for the first of them
            self._poll.register(stream.source.fileno(), select.EPOLLIN)
        out = heads(stream.payload_type, stamp.payload_type)
        kind = FramedViewer if sink.type == socket.SOCK_STREAM else Viewer
        viewer = kind(call, sink, stamp.ssrc, stamp.payload_type, stamp.sequence, stamp.timestamp, stamp.most, out,
                      reports=reports, name=stamp.name, before=(stamp.packets, stamp.octets))  # fmt: skip
        stream.join(viewer)
        if reports is not None:
            self._ears[reports.fileno()] = viewer
            self._poll.register(reports.fileno(), select.EPOLLIN)
        if isinstance(viewer, FramedViewer):
            self._sinks[sink.fileno()] = viewer
            self._poll.register(sink.fileno(), select.EPOLLIN)

    def _leave(self, stream: Stream, call: int) -> None:
        watched = bool(stream.viewers)
        for viewer in stream.viewers:
            if viewer.call == call:
                self._forget(viewer)
        stream.leave(call)
        if watched and not stream.viewers:
            self._unwatch(stream)

    def _close(self, stream: Stream) -> None:
        for viewer in stream.viewers:
            self._forget(viewer)
        if stream.viewers:
            self._unwatch(stream)
        del self._streams[stream.number], self.sources[stream.source.fileno()]
        stream.close()

    def _unwatch(self, stream: Stream) -> None:
        with contextlib.suppress(FileNotFoundError):  # it has ended
            self._poll.unregister(stream.source.fileno())

    def _flush(self, viewer: FramedViewer) -> None:
        """Send what waits for a viewer; where the kernel has no room, it says when there is some."""
        if not viewer.waiting or viewer.gone:
            return
        blocked = viewer.flush()
        if viewer.gone:
            self._forget(viewer)
        elif blocked is not viewer.blocked:
            viewer.blocked = blocked
            self._poll.modify(viewer.sink.fileno(), select.EPOLLIN | (select.EPOLLOUT if blocked else 0))

    def _hear(self, viewer: FramedViewer) -> None:
        viewer.hear()
        if viewer.gone:
            self._forget(viewer)
        else:
            self._flush(viewer)

    def _hear_report(self, viewer: Viewer) -> None:
        for _ in range(MOST_READ):
            try:
                came = viewer.reports.recv(MAX_COMPOUND_BYTES + 1, _DONTWAIT) if viewer.reports is not None else b""
            except OSError:
                return
            viewer.told.hear(came, time.time())

    def _report_on(self) -> None:
        """Send the reports that are due. Not in the timer's handler: it may come in the middle of a frame."""
        self._due = False
        now, wall = time.monotonic(), time.time()
        for stream in self._streams.values():
            for viewer in stream.report(now, wall):
                if isinstance(viewer, FramedViewer):
                    self._flush(viewer)

    def _forget(self, viewer: Viewer) -> None:
        """Look no more at a viewer's connection, nor for its reports."""
        for watched, opened in ((self._sinks, viewer.sink), (self._ears, viewer.reports)):
            if opened is not None and watched.pop(opened.fileno(), None) is not None:
                self._poll.unregister(opened.fileno())

    def report(self) -> None:
        """Beat, and send the totals: called by a signal, for a clock read at each wake would cost as much as a packet."""
        self._due = True
        with contextlib.suppress(OSError):
            os.write(self._beat[0], bytes((self._beat[1],)))
        for stream in self._streams.values():
            stream.beat()
        packets, before = sum(stream.packets for stream in self._streams.values()), self._counted
        self._counted, self._busy = packets, packets - before > BUSY_PACKETS
        streams = [stream_line(stream) for stream in self._streams.values()]
        viewers = [viewer_line(each) for stream in self._streams.values() for each in stream.viewers]
        self._say(b"s", streams)
        self._say(b"v", viewers)

    def _say(self, kind: bytes, lines: list[bytes]) -> None:
        # An empty report is one, too: the parent hears that we live.
        most = (MAX_REPORT_BYTES - 1) // max(map(len, lines), default=1)
        for at in range(0, len(lines) or 1, most):
            with contextlib.suppress(OSError):  # a parent that does not listen, or is gone, does not hold up the media
                self._control.send(kind + b"".join(lines[at : at + most]), _DONTWAIT)


def stream_line(stream: Stream) -> bytes:
    """Return what a report says of a stream; ``reports`` reads it."""
    seen = stream.inspection
    if stream.dropped or seen.counters:
        counts = (stream.dropped.get(rule, 0) + seen.counters.get(rule, 0) for rule in RULES)
        dropped = tuple(min(count, 0xFFFFFFFF) for count in counts)
    else:  # nearly always; with a thousand streams the sums were a tenth of the worker's time
        dropped = _NONE_DROPPED
    figures = stream.meter.figures()
    jitter = _NO_JITTER if figures.jitter_ms is None else min(round(figures.jitter_ms * 10), _NO_JITTER - 1)
    key_frame = min(figures.key_frame_ms or 0, 0xFFFFFFFF)
    totals = (min(total, 0xFFFFFFFF) for total in (seen.pictures, seen.keys))
    facts = (stream.number, stream.packets, min(stream.lost, 0xFFFFFFFF), seen.protected, stream.ended)
    return _STREAM.pack(*facts, *totals, jitter, key_frame, _map_out(seen.types), *dropped)


def viewer_line(viewer: Viewer) -> bytes:
    """Return what a report says of a viewer; ``reports`` reads it."""
    totals = (viewer.call, viewer.packets, viewer.octets, viewer.failed, viewer.recut, viewer.sequence)
    lost, trip = viewer.told.lost, viewer.told.trip
    said = _UNTOLD_LOST if lost is None else lost, _UNTOLD_TRIP if trip is None else min(round(1000 * trip), 0xFFFE)
    return _VIEWER.pack(*totals, _gone(viewer), *said, min(viewer.told.refused, 0xFFFFFFFF))


def _inspection(content: int, types: bytes) -> Inspection:
    name, known = _CONTENTS[content], _map_in(types)
    if name in _CODECS:
        return EsInspection(_CODECS[name], bool(known))
    return SoundInspection() if name == "sound" else PsInspection(known)


def _gone(viewer: Viewer) -> int:
    return _GONE.index(viewer.gone) if isinstance(viewer, FramedViewer) else 0


def run(control: socket.socket, beat: tuple[int, int]) -> None:
    """Relay until the parent is gone, or gives an order that is none."""
    worker = _Worker(control, beat)
    signal.signal(signal.SIGALRM, lambda *_: worker.report())
    signal.setitimer(signal.ITIMER_REAL, REPORT_SECONDS, REPORT_SECONDS)
    worker.run()
