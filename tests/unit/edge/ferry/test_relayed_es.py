"""An elementary stream through the relay over real sockets: to each viewer in packets that his tunnel takes."""

from __future__ import annotations

import contextlib
import socket

import pytest

from edge.ferry.framed import FramedStream, FramedViewer
from edge.ferry.relay import StreamTold, reports, stream_line
from edge.ferry.stream import Stream, Viewer, heads
from edge.lab.elementary import Unpacking, packets
from edge.rtp.es import EsInspection
from edge.rtp.packet import RtpPacket
from edge.rtp.psm import H264, H265
from tests.unit.edge.ferry.test_relayed import loopback
from tests.unit.edge.rtp.elementary import annex_b, decoded

CODECS = {"H264": H264, "H265": H265}


def access_units(encoding: str, pictures: int) -> list[bytes]:
    mark = b"\0\0\0\1\x09" if encoding == "H264" else b"\0\0\0\1\x46\x01"
    return [mark + each for each in annex_b(encoding, pictures).split(mark)[1:]]


def sent(encoding: str, pictures: int, room: int) -> list[RtpPacket]:
    made: list[RtpPacket] = []
    for at, unit in enumerate(access_units(encoding, pictures)):
        made += packets(unit, encoding, 3600 * at, len(made), 55, 98, room)
    return made


def drained(end: socket.socket) -> list[RtpPacket]:
    found = []
    while True:
        try:
            found.append(RtpPacket.parse(end.recv(65536)))
        except BlockingIOError:
            return found


@pytest.mark.parametrize("room", [500, 1360, 1440, 5000])
@pytest.mark.parametrize("encoding", CODECS)
def test_no_packet_is_longer_than_the_viewers_tunnel_takes_and_each_picture_has_one_marker(
    encoding: str, room: int
) -> None:
    recorder, source = loopback(), loopback()
    source.connect(recorder.getsockname())
    recorder.connect(source.getsockname())
    stream = Stream(7, source, recorder.getsockname(), 55, 98, EsInspection(CODECS[encoding]))
    ends = []
    for call, most in ((1, 1392), (2, 1252)):
        end, sink = loopback(), loopback()
        sink.connect(end.getsockname())
        stream.join(Viewer(call, sink, 200 + call, 110, 1000, 77, most, heads(98, 110)))
        ends.append((end, most, list[RtpPacket]()))
    buffer = bytearray(65536)
    views = [memoryview(buffer)[:size] for size in range(2049)]
    stream.pump(buffer, views, range(1))
    for packet in sent(encoding, 12, room):
        recorder.send(bytes(packet))
        stream.pump(buffer, views, range(64))
        for end, _, found in ends:
            found += drained(end)
    for end, most, found in ends:
        assert max(12 + len(packet.payload) for packet in found) <= most
        numbers = [packet.sequence for packet in found]
        assert all((b - a) & 0xFFFF == 1 for a, b in zip(numbers, numbers[1:], strict=False))
        assert sum(packet.marker for packet in found) == 12
        for before, after in zip(found, found[1:], strict=False):
            assert before.marker is (before.timestamp != after.timestamp), "on a picture's last packet and no other"
        unpacking = Unpacking(encoding)
        pictures = decoded(encoding, b"".join(unpacking.feed(packet.payload) for packet in found))
        assert pictures == decoded(encoding, annex_b(encoding, 12))
        assert not unpacking.wrong
        end.close()
    (told,) = reports(b"s" + stream_line(stream))
    assert isinstance(told, StreamTold)
    assert (told.pictures, told.keys, told.types) == (12, 2, {0xE0: CODECS[encoding]})
    assert stream.keys == 2, "the meter is told of each key picture"
    assert told.key_frame_ms is not None
    assert set(told.dropped) <= {"es_no_sps", "es_cut"}
    recorder.close()
    stream.close()


@pytest.mark.parametrize("encoding", CODECS)
def test_over_connections_it_is_the_same(encoding: str) -> None:
    (recorder, source), (end, sink) = socket.socketpair(), socket.socketpair()
    stream = FramedStream(7, source, ("", 0), 55, 98, EsInspection(CODECS[encoding]))
    viewer = FramedViewer(1, sink, 201, 110, 0, 0, 65_507, heads(98, 110))
    stream.join(viewer)
    end.setblocking(False)
    came = b""
    for packet in sent(encoding, 12, 9000):
        recorder.sendall(len(bytes(packet)).to_bytes(2, "big") + bytes(packet))
        stream.pump(bytearray(), [], range(1))
        viewer.flush()
        with contextlib.suppress(BlockingIOError):
            came += end.recv(1 << 20)
    unpacking, out = Unpacking(encoding), b""
    while came:
        size = int.from_bytes(came[:2], "big")
        out += unpacking.feed(RtpPacket.parse(came[2 : 2 + size]).payload)
        came = came[2 + size :]
    assert decoded(encoding, out) == decoded(encoding, annex_b(encoding, 12))
    assert stream.keys == 2
    for each in (recorder, end):
        each.close()
    stream.close()
