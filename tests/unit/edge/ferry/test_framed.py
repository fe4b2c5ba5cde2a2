"""A stream over a connection, over real sockets: every cut of the octets gives the same packets, and no lie of a length
stops those that come after it."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from edge.ferry.framed import KEPT_BYTES, MAX_STALLED_REPORTS, MAX_WAITING_BYTES, FramedStream, FramedViewer
from edge.ferry.stream import heads
from edge.rtp.inspection import PsInspection
from edge.rtp.packet import RtpPacket, packetise
from edge.rtp.ps import mux

SSRC, OUT = 0x0BEB_C201, 200001
CODE = b"\x00\x00\x00\x01"
KEY = mux(CODE + b"\x67\x42\x00\x1f" + CODE + b"\x68\xce\x3c\x80" + CODE + b"\x65" + b"\x5a" * 4000, 3600)


def picture(octets: int = 3000) -> bytes:
    return mux(CODE + b"\x41" + b"\xa5" * octets, 7200)


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other


class Bench:
    """A recorder's connection, a stream, and one viewer's connection."""

    def __init__(self, prefix: int = 2) -> None:
        self.recorder, source = pair()
        self.end, sink = pair()
        self.prefix = prefix
        self.stream = FramedStream(7, source, ("127.0.0.1", 1), SSRC, 96, PsInspection(), prefix=prefix)
        self.viewer = FramedViewer(1, sink, OUT, 98, 1000, 77, 65_507, heads(96, 98))
        self.stream.join(self.viewer)
        self.sequence = random.Random(5).randrange(65536)
        self.end.settimeout(0.2)

    def frames(self, unit: bytes) -> bytes:
        made = b""
        for packet in packetise(unit, 1, self.sequence, SSRC):
            made += self.framed(bytes(packet))
            self.sequence = (packet.sequence + 1) & 0xFFFF
        return made

    def framed(self, data: bytes) -> bytes:
        return (b"$\0" if self.prefix == 4 else b"") + len(data).to_bytes(2, "big") + data

    def send(self, data: bytes) -> None:
        self.recorder.sendall(data)
        for _ in range(2 + len(data) // KEPT_BYTES):
            self.stream.pump(bytearray(), [], range(1))

    def seen(self) -> list[RtpPacket]:
        self.viewer.flush()
        data, found = b"", []
        while True:
            try:
                data += self.end.recv(65536)
            except TimeoutError:
                if not self.viewer.waiting:
                    break
                self.viewer.flush()
        while data:
            size = int.from_bytes(data[:2], "big")
            assert len(data) >= 2 + size, "a frame was cut"
            found.append(RtpPacket.parse(data[2 : 2 + size]))
            data = data[2 + size :]
        return found

    def close(self) -> None:
        self.stream.close()
        self.recorder.close()
        self.end.close()


@pytest.fixture(params=[2, 4])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    made.close()


def shown(packets: list[RtpPacket]) -> bytes:
    return b"".join(packet.payload for packet in packets)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_cut_the_packets_are_the_same(bench: Bench, seed: int) -> None:
    dice, data, at = random.Random(seed), bench.frames(KEY) + bench.frames(picture()) + bench.frames(picture(70)), 0
    while at < len(data):
        size = dice.choice((1, 2, 3, 13, 700, 5000))
        bench.send(data[at : at + size])
        at += size
    packets = bench.seen()
    assert shown(packets) == KEY + picture() + picture(70)
    assert {(packet.ssrc, packet.payload_type) for packet in packets} == {(OUT, 98)}
    assert [(b.sequence - a.sequence) & 0xFFFF for a, b in zip(packets, packets[1:], strict=False)] == [1] * (
        len(packets) - 1
    )
    assert not bench.stream.dropped


def test_a_worker_that_begins_in_the_middle_of_a_frame_finds_the_next(bench: Bench) -> None:
    data = bench.frames(KEY)
    bench.send(data[700:] + bench.frames(KEY))
    assert shown(bench.seen()).endswith(KEY)


@pytest.mark.parametrize(
    "lie", [b"\x00\x05hello", b"\xff\xff" + b"GET / HTTP/1.1\r\n", b"\x17\x03\x03" * 9, b"\x00\x0c"]
)
def test_t01_a_length_that_lies_costs_what_it_hides_and_no_more(bench: Bench, lie: bytes) -> None:
    bench.send(bench.frames(KEY) + lie + bench.frames(KEY))
    assert shown(bench.seen()).endswith(KEY)
    assert bench.stream.dropped["frame_lost"]


def test_t02_an_octet_before_a_frame_costs_no_packet_whatever_its_length(bench: Bench) -> None:
    """The kernel leaves an urgent octet in the stream when another one comes before it is read."""
    bench.send(bench.frames(KEY))
    first = bench.seen()[-1].sequence
    # Behind the octet a length reads as one of 8 kbytes, and of some its second octet as the beginning of a header.
    sizes = range(100, 600, 3)
    for size in sizes:
        bench.send(b"!" + bench.frames(picture(size)))
    assert [(packet.sequence - first) & 0xFFFF for packet in bench.seen()] == list(range(1, len(sizes) + 1))
    assert not bench.stream.lost and bench.stream.dropped["frame_lost"] == len(sizes)


def test_t01_a_null_frame_is_let_pass() -> None:
    bench = Bench()
    bench.send(bench.frames(KEY) + bytes(2 * 50) + bench.frames(picture()))
    assert shown(bench.seen()) == KEY + picture()
    bench.close()


def test_t01_a_frame_that_never_ends_ends_the_connection(bench: Bench) -> None:
    bench.send(bench.frames(KEY) + bench.framed(bytes(65_000))[: bench.prefix + 1])
    for _ in range(MAX_STALLED_REPORTS):
        bench.send(b"\x80")
        bench.stream.beat()
    assert not bench.stream.ended
    bench.stream.beat()
    assert bench.stream.ended and bench.stream.dropped["frame_stalled"] == 1


def test_whoever_pauses_between_frames_is_waited_for(bench: Bench) -> None:
    bench.send(bench.frames(KEY))
    for _ in range(5 * MAX_STALLED_REPORTS):
        bench.stream.beat()
    assert not bench.stream.ended


def test_t01_whatever_comes_a_connection_holds_what_it_may(bench: Bench) -> None:
    dice = random.Random(3)
    for _ in range(40):
        bench.send(dice.randbytes(30_000))
        assert len(bench.stream.kept) == KEPT_BYTES
    bench.send(bench.frames(KEY) * 2)
    assert not bench.stream.ended
    assert {packet.ssrc for packet in bench.seen()} <= {OUT}


def test_the_recorders_end_is_the_streams_end(bench: Bench) -> None:
    bench.recorder.close()
    bench.stream.pump(bytearray(), [], range(1))
    assert bench.stream.ended


def test_r07_rtcp_among_the_frames_ends_here(bench: Bench) -> None:
    report = bytes([0x80, 200]) + (6).to_bytes(2, "big") + SSRC.to_bytes(4, "big") + b"SECRETSECRETSECRET.."
    bench.send(bench.frames(KEY) + bench.framed(report) + bench.frames(picture()))
    assert shown(bench.seen()) == KEY + picture()
    assert bench.stream.dropped["rtcp"] == 1


def test_t02_a_viewer_that_does_not_read_loses_whole_packets_and_stops_nobody() -> None:
    bench = Bench()
    bench.send(bench.frames(KEY))
    for _ in range(900):
        bench.send(bench.frames(picture(20_000)))
        bench.viewer.flush()
    assert bench.viewer.failed
    assert len(bench.viewer.waiting) <= MAX_WAITING_BYTES + 70_000
    assert bench.seen(), "what was taken arrives, frame by frame"
    bench.send(bench.frames(KEY))
    assert shown(bench.seen()).endswith(KEY)
    bench.close()


def test_t03_what_a_city_says_ends_the_connection_unless_it_is_rtcp() -> None:
    bench = Bench()
    report = bytes([0x80, 201]) + (1).to_bytes(2, "big") + bytes(4)
    for octet in len(report).to_bytes(2, "big") + report:
        bench.end.sendall(bytes([octet]))
        bench.viewer.hear()
    assert not bench.viewer.gone and not bench.viewer.heard
    bench.end.sendall(b"\x00\x20" + b"open the gate, please")
    bench.viewer.hear()
    assert bench.viewer.gone == "city_media_backwards"
    bench.close()


def test_a_city_that_hangs_up_is_named() -> None:
    bench = Bench()
    bench.end.close()
    bench.viewer.hear()
    assert bench.viewer.gone == "city_media_closed"
    bench.close()


@pytest.mark.parametrize("seed", range(8))
def test_frames_made_anew_where_they_lie_are_those_that_are_made_one_by_one(seed: int) -> None:
    """One viewer's frames go out in place; with a second one each is copied. Both get the same, whatever comes."""
    chance = random.Random(seed)
    alone, shared = Bench(), Bench()
    other_end, other_sink = pair()
    shared.stream.join(FramedViewer(2, other_sink, OUT, 98, 0, 0, 65_507, heads(96, 98)))
    for each in (alone.end, shared.end):
        each.settimeout(0.01)
    octets = b""
    for number in range(40):
        whole = alone.frames(KEY if number % 9 == 0 else picture(chance.choice((20, 3000, 30_000))))
        if chance.random() < 0.1:
            at = chance.randrange(len(whole))
            whole = (
                whole[:at] + bytes(chance.randrange(256) for _ in range(chance.choice((0, 1, 40)))) + whole[at + 1 :]
            )
        if chance.random() < 0.1:
            whole += alone.framed(b"\x80\xc8" + bytes(26)) + alone.framed(b"")
        octets += whole
    came: dict[int, list[bytes]] = {0: [], 1: []}
    while octets:
        size = chance.choice((700, 9000, 40_000))
        for at, bench in enumerate((alone, shared)):
            bench.send(octets[:size])
            came[at] += [bytes(packet) for packet in bench.seen()]
        octets = octets[size:]
    assert came[0] == came[1]
    assert len(came[0]) > 10
    one, other = alone.stream, shared.stream
    assert (one.packets, one.lost, one.dropped) == (other.packets, other.lost, other.dropped)
    assert (one.last, one.left, one.inspection.counters) == (other.last, other.left, other.inspection.counters)
    assert (alone.viewer.packets, alone.viewer.octets) == (shared.viewer.packets, shared.viewer.octets)
    for bench in (alone, shared):
        bench.close()
    other_end.close()
