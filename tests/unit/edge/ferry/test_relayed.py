"""One stream and its viewers over real sockets: what arrives at a viewer is made anew, numbered anew, and fits."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from edge.ferry.relay import StreamTold, reports, stream_line
from edge.ferry.stream import MAX_DROPOUT, Stream, Viewer, heads
from edge.rtp.inspection import PsInspection
from edge.rtp.packet import RtpPacket, packetise
from edge.rtp.ps import mux
from edge.rtp.quality import Meter, Quality

SSRC, OUT = 55, 200001
CODE = b"\x00\x00\x00\x01"
KEY = mux(CODE + b"\x67\x42\x00\x1f" + CODE + b"\x68\xce\x3c\x80" + CODE + b"\x65" + b"\x5a" * 4000, 3600)


def picture(octets: int = 3000) -> bytes:
    return mux(CODE + b"\x41" + b"\xa5" * octets, 7200)


def private(octets: int) -> bytes:
    return b"\x00\x00\x01\xbd" + octets.to_bytes(2, "big") + b"\x70" * octets


def loopback() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("127.0.0.1", 0))
    opened.setblocking(False)
    return opened


class Bench:
    """A recorder's socket, a stream, and its viewers' ends."""

    def __init__(self) -> None:
        self.recorder, source = loopback(), loopback()
        source.connect(self.recorder.getsockname())
        self.recorder.connect(source.getsockname())
        self.stream = Stream(7, source, self.recorder.getsockname(), SSRC, 96, PsInspection())
        self.ends: dict[int, socket.socket] = {}
        self.sequence = random.Random(5).randrange(65536)

    def join(self, call: int, most: int = 1392) -> None:
        end, sink = loopback(), loopback()
        sink.connect(end.getsockname())
        end.settimeout(0.2)
        self.ends[call] = end
        self.stream.join(Viewer(call, sink, OUT + call, 98, 1000, 77, most, heads(96, 98)))

    def send(self, data: bytes) -> None:
        self.recorder.send(data)
        buffer = bytearray(65536)
        views = [memoryview(buffer)[:size] for size in range(2049)]
        for _ in range(2):  # the first one only settles what was queued before
            self.stream.pump(buffer, views, range(64))

    def show(self, unit: bytes) -> None:
        for packet in packetise(unit, 1, self.sequence, SSRC):
            self.send(bytes(packet))
            self.sequence = (packet.sequence + 1) & 0xFFFF

    def seen(self, call: int = 1) -> list[RtpPacket]:
        found = []
        while True:
            try:
                found.append(RtpPacket.parse(self.ends[call].recv(65536)))
            except TimeoutError:
                return found

    def close(self) -> None:
        self.stream.close()
        for opened in (self.recorder, *self.ends.values()):
            opened.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.join(1)
    yield made
    made.close()


def content(packets: list[RtpPacket]) -> bytes:
    return b"".join(packet.payload for packet in packets)


def in_order(packets: list[RtpPacket]) -> bool:
    numbers = [packet.sequence for packet in packets]
    return all((b - a) & 0xFFFF == 1 for a, b in zip(numbers, numbers[1:], strict=False))


def test_each_viewer_has_the_stream_under_its_own_name_and_numbers(bench: Bench) -> None:
    bench.join(2)
    bench.show(KEY)
    bench.show(picture())
    for call in (1, 2):
        seen = bench.seen(call)
        assert content(seen) == KEY + picture()
        assert {(packet.ssrc, packet.payload_type) for packet in seen} == {(OUT + call, 98)}
        assert in_order(seen)
        assert [packet.marker for packet in seen].count(True) == 2


def test_who_leaves_gets_nothing_more_and_the_others_all(bench: Bench) -> None:
    bench.join(2)
    bench.show(KEY)
    assert bench.seen(1)
    assert bench.seen(2)
    bench.stream.leave(1)
    bench.show(picture())
    assert bench.seen(1) == []
    assert content(bench.seen(2)) == picture()


@pytest.mark.parametrize("most", [1280 - 28, 1300, 1392])
def test_no_packet_is_longer_than_the_viewers_tunnel_takes(bench: Bench, most: int) -> None:
    bench.join(2, most)
    for at in range(0, len(KEY), 1388):
        last = at + 1388 >= len(KEY)
        bench.send(bytes(RtpPacket(96, at // 1388, 1, SSRC, KEY[at : at + 1388], last)))
    seen = bench.seen(2)
    assert max(12 + len(packet.payload) for packet in seen) <= most
    assert content(seen) == KEY
    assert in_order(seen)
    assert [packet.marker for packet in seen] == [False] * (len(seen) - 1) + [True]


def test_what_is_cut_out_leaves_no_hole_in_the_numbers(bench: Bench) -> None:
    bench.show(KEY)
    bench.show(private(5000) + picture())
    bench.show(picture())
    seen = bench.seen()
    assert b"\x70\x70" not in content(seen)
    assert content(seen) == KEY + picture() + picture()
    assert in_order(seen)
    assert bench.stream.inspection.counters["ps_private"] == 5006


def test_a_real_loss_is_a_hole_in_the_numbers(bench: Bench) -> None:
    bench.show(KEY)
    bench.sequence += 3
    bench.show(picture())
    seen = bench.seen()
    assert content(seen) == KEY + picture()
    assert not in_order(seen)
    assert bench.stream.lost == 3


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda p: p[:8] + b"\x00\x00\x00\x09" + p[12:], "rtp_ssrc"),
        (lambda p: p[:1] + b"\x61" + p[2:], "rtp_payload_type"),
        (lambda p: b"\x40" + p[1:], "rtp_version"),
        (lambda p: p[:12], "rtp_short"),
        (lambda p: b"\x90" + p[1:12] + b"\x00\x00\xff\xff" + p[12:], "rtp_extension"),
        (lambda p: b"\xa0" + p[1:-1] + b"\x00", "rtp_padding"),
        (lambda p: p[:2] + ((int.from_bytes(p[2:4], "big") + 30000) & 0xFFFF).to_bytes(2, "big") + p[4:], "rtp_sequence"),
        (lambda p: p[:2] + ((int.from_bytes(p[2:4], "big") - 5) & 0xFFFF).to_bytes(2, "big") + p[4:], "rtp_late"),
    ],
)  # fmt: skip
def test_r03_r04_what_is_not_the_streams_does_not_go_on(bench: Bench, change: object, rule: str) -> None:
    bench.show(KEY)
    good = bytes(next(packetise(picture(500), 1, bench.sequence, SSRC)))
    bench.seen()
    bench.send(change(good))  # type: ignore[operator]
    assert bench.seen() == []
    assert bench.stream.dropped == {rule: 1}
    bench.send(good)
    assert content(bench.seen()) == picture(500), "the control"


def test_r03_extension_csrc_and_padding_are_taken_off(bench: Bench) -> None:
    bench.show(KEY)
    bench.seen()
    good = bytes(next(packetise(picture(500), 1, bench.sequence, SSRC)))
    body = good[12:] + b"secret" + b"\x07"
    bench.send(bytes((0x80 | 0x20 | 0x10 | 2,)) + good[1:12] + b"csrccsrc" + b"\xbe\xde\x00\x01secr" + body)
    (seen,) = bench.seen()
    assert bytes(seen)[0] == 0x80
    assert seen.payload == picture(500)


def test_r04_a_jump_is_taken_up_with_its_second_packet(bench: Bench) -> None:
    bench.show(KEY)
    bench.seen()
    bench.sequence = (bench.sequence + MAX_DROPOUT + 1000) & 0xFFFF
    bench.show(picture(6000))
    bench.show(picture())
    assert content(bench.seen()).endswith(picture()), "the picture after the jump is whole"


def test_what_strangers_had_queued_before_the_socket_was_connected_ends_here() -> None:
    source, recorder, stranger, end = (loopback() for _ in range(4))
    for packet in packetise(KEY, 1, 5, SSRC):
        stranger.sendto(bytes(packet), source.getsockname())
        recorder.sendto(bytes(packet), source.getsockname())
    source.connect(recorder.getsockname())
    sink = loopback()
    sink.connect(end.getsockname())
    end.settimeout(0.2)
    stream = Stream(7, source, recorder.getsockname(), SSRC, 96, PsInspection())
    stream.join(Viewer(1, sink, OUT, 98, 0, 0, 1392, heads(96, 98)))
    stream.pump(bytearray(65536), [], range(64))
    seen = b""
    with pytest.raises(TimeoutError):
        while True:
            seen += RtpPacket.parse(end.recv(65536)).payload
    assert seen == KEY
    assert stream.dropped["rtp_source"] == len(list(packetise(KEY, 1, 5, SSRC)))
    for opened in (source, recorder, stranger, end, sink):
        opened.close()


class Listening(Meter):
    """Keeps what it is told."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    def picture(self, now: float, timestamp: int) -> None:
        self.told.append(timestamp)
        super().picture(now, timestamp)


def test_the_meter_is_told_of_key_pictures_and_of_one_of_eight_that_begin_as_most_do(bench: Bench) -> None:
    meter = bench.stream.meter = Listening()
    for number, unit in enumerate((KEY, picture(), picture(30_000), KEY, *[picture()] * 20)):
        for packet in packetise(unit, number * 3600, bench.sequence, SSRC):
            bench.send(bytes(packet))
            bench.sequence = (packet.sequence + 1) & 0xFFFF
    assert meter.told == [number * 3600 for number in (0, 1, 3, 12, 20)]
    assert bench.stream.inspection.pictures == 24
    assert bench.stream.keys == 2
    assert meter.figures().key_frame_ms is not None


def test_a_report_carries_the_figures_to_the_other_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        bench.show(KEY)
        bench.show(picture())
    monkeypatch.setattr(Meter, "figures", lambda _: Quality(jitter_ms=12.3, key_frame_ms=2040))
    (told,) = reports(b"s" + stream_line(bench.stream))
    assert isinstance(told, StreamTold)
    assert (told.pictures, told.keys, told.jitter_ms, told.key_frame_ms) == (4, 2, 12.3, 2040)
    monkeypatch.setattr(Meter, "figures", lambda _: Quality())
    (told,) = reports(b"s" + stream_line(bench.stream))
    assert isinstance(told, StreamTold)
    assert (told.jitter_ms, told.key_frame_ms) == (None, None)
