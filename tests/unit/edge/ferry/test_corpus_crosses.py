"""A media server's real streams, as they were captured, through the relay: decoded behind it, every picture is the same.

The stream's own map loses its descriptors, so it is the pictures that are compared, by ffmpeg's checksum of each.
"""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
from pathlib import Path

import pytest

from edge.ferry.framed import FramedStream, FramedViewer
from edge.ferry.stream import Stream, Viewer, heads
from edge.rtp.inspection import PsInspection
from edge.rtp.packet import RtpPacket
from tests.unit.edge.ferry.test_framed import pair
from tests.unit.edge.ferry.test_relayed import loopback

CORPUS = Path(__file__).parents[5] / "shared/corpus/media"
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real streams is not beside this checkout")


def payloads(name: str) -> list[bytes]:
    """What the UDP datagrams or TCP segments of a capture carry (pcap of Ethernet frames on a loopback)."""
    data, at, found = (CORPUS / name).read_bytes(), 24, []
    while at + 16 <= len(data):
        size = int.from_bytes(data[at + 8 : at + 12], "little")
        frame = data[at + 16 : at + 16 + size]
        at += 16 + size
        if frame[12:14] != b"\x08\0" or frame[23] not in (6, 17):
            continue
        packet = frame[14 : 14 + int.from_bytes(frame[16:18], "big")]
        head = 4 * (packet[0] & 0xF)
        head += 8 if packet[9] == 17 else 4 * (packet[head + 12] >> 4)
        if packet[head:]:
            found.append(packet[head:])
    return found


def pictures(ps: bytes) -> list[str]:
    """The checksum of each picture that ffmpeg decodes."""
    command = ["ffmpeg", "-loglevel", "quiet", "-f", "mpeg", "-i", "pipe:0", "-map", "0:v", "-f", "framemd5", "pipe:1"]
    done = subprocess.run(command, input=ps, capture_output=True, timeout=100, check=True)
    return [line.split(b",")[-1].decode().strip() for line in done.stdout.splitlines() if not line.startswith(b"#")]


def through_datagrams(packets: list[bytes]) -> tuple[bytes, Stream]:
    first = RtpPacket.parse(packets[0])
    recorder, source, end, sink = loopback(), loopback(), loopback(), loopback()
    source.connect(recorder.getsockname())
    sink.connect(end.getsockname())
    stream = Stream(1, source, recorder.getsockname(), first.ssrc, first.payload_type, PsInspection())
    stream.join(Viewer(1, sink, 7, 96, 0, 0, 1392, heads(first.payload_type, 96)))
    buffer, out = bytearray(65536), []
    views = [memoryview(buffer)[:size] for size in range(2049)]
    for data in packets:
        recorder.sendto(data, source.getsockname())
        stream.pump(buffer, views, range(4))
        stream.pump(buffer, views, range(4))
        while True:
            try:
                out.append(RtpPacket.parse(end.recv(65536)).payload)
            except BlockingIOError:
                break
    for each in (recorder, end):
        each.close()
    stream.close()
    return b"".join(out), stream


def through_frames(octets: bytes, seed: int) -> tuple[bytes, Stream]:
    first = RtpPacket.parse(octets[2 : 2 + int.from_bytes(octets[:2], "big")])
    (recorder, source), (end, sink) = pair(), pair()
    stream = FramedStream(1, source, ("", 0), first.ssrc, first.payload_type, PsInspection(), prefix=2)
    viewer = FramedViewer(1, sink, 7, 96, 0, 0, 65_507, heads(first.payload_type, 96))
    stream.join(viewer)
    end.settimeout(0.2)
    dice, at, came = random.Random(seed), 0, b""
    while at < len(octets) or viewer.waiting:
        size = dice.choice((3, 900, 9000))
        recorder.sendall(octets[at : at + size])
        at += size
        stream.pump(bytearray(), [], range(1))
        viewer.flush()
        end.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            came += end.recv(1 << 20)
    came += _rest(stream, viewer, end)
    out = []
    while came:
        size = int.from_bytes(came[:2], "big")
        out.append(RtpPacket.parse(came[2 : 2 + size]).payload)
        came = came[2 + size :]
    for each in (recorder, end):
        each.close()
    stream.close()
    return b"".join(out), stream


def _rest(stream: FramedStream, viewer: FramedViewer, end: socket.socket) -> bytes:
    came = b""
    end.settimeout(0.2)
    while True:
        stream.pump(bytearray(), [], range(1))
        viewer.flush()
        try:
            came += end.recv(1 << 20)
        except TimeoutError:
            return came


def test_a_stream_by_udp_crosses_to_its_last_picture() -> None:
    packets = payloads("zlm_ps_udp.pcap")
    sent = pictures(b"".join(RtpPacket.parse(data).payload for data in packets))
    out, stream = through_datagrams(packets)
    assert len(sent) > 200
    assert pictures(out) == sent
    assert (stream.lost, set(stream.dropped)) == (0, set())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_stream_by_tcp_crosses_to_its_last_picture(seed: int) -> None:
    octets = b"".join(payloads("zlm_ps_tcp.pcap"))
    whole, at = [], 0
    while at + 2 <= len(octets):
        size = int.from_bytes(octets[at : at + 2], "big")
        whole.append(RtpPacket.parse(octets[at + 2 : at + 2 + size]).payload)
        at += 2 + size
    sent = pictures(b"".join(whole))
    out, stream = through_frames(octets, seed)
    assert len(sent) > 200
    assert pictures(out) == sent
    assert (stream.lost, set(stream.dropped)) == (0, set())


def test_a_stream_of_another_age_is_refused_by_name() -> None:
    """MPEG-1 pack headers and no map: nothing of it crosses, and what it is is counted."""
    ps = (CORPUS / "testsrc_h264.ps.mpg").read_bytes()
    packets = [bytes(RtpPacket(96, n, 0, 9, ps[n * 1300 : (n + 1) * 1300])) for n in range(len(ps) // 1300)]
    out, stream = through_datagrams(packets)
    assert out == b""
    assert stream.inspection.counters["ps_mpeg1"]
