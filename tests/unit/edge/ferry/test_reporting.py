"""Reports over real sockets: a viewer hears what it was sent, a recorder what has come; a viewer's word is two figures."""

from __future__ import annotations

import socket
import struct

import pytest

from edge.ferry.framed import FramedViewer
from edge.ferry.relay import ViewerTold, reports, viewer_line
from edge.ferry.reporting import Clock, Pace, ToRecorder, ToViewer, fresh_name
from edge.ferry.stream import Viewer, heads
from edge.rtp.rtcp import ReportBlock, middle, ntp, parse, receiver_report
from tests.unit.edge.ferry.test_framed import pair
from tests.unit.edge.ferry.test_relayed import KEY, OUT, SSRC, Bench, loopback, picture

NAME, WALL = b"n" * 16, 1_800_000_000.25


def answer(ssrc: int, lost: int, stamp: int, delay: float) -> bytes:
    return receiver_report(9, (ReportBlock(ssrc, 0, lost, 5, 0, stamp, round(delay * 65_536)),), b"peer")


def test_the_first_report_is_soon_and_the_others_every_five_seconds() -> None:
    pace = Pace()
    due = [pace.due() for _ in range(2000)]
    assert due.index(True) == 1, "after a second"
    at = [number for number, is_due in enumerate(due) if is_due]
    gaps = [b - a for a, b in zip(at, at[1:], strict=False)]
    assert set(gaps) <= set(range(8, 13)), "four to six seconds"
    assert len(set(gaps)) > 1, "by lot"


def test_a_viewer_hears_what_it_was_sent_by_its_own_clock() -> None:
    told = ToViewer(OUT, NAME)
    made = told.make(Clock(10.0, 1000), 11.5, WALL, 7, 7 * 12 + 900)
    ssrc, stamp, timestamp, packets, octets = struct.unpack_from("!IQIII", made, 4)
    assert (ssrc, stamp, packets, octets) == (OUT, ntp(WALL), 7, 900)
    assert timestamp == 1000 + 1.5 * 90_000


def test_who_was_sent_nothing_since_hears_that_we_are_there() -> None:
    told = ToViewer(OUT, NAME)
    assert told.make(None, 1.0, WALL, 5, 500)[1] == 201, "no picture yet: no clock"
    assert told.make(Clock(1.0, 0), 1.0, WALL, 9, 900)[1] == 200
    assert told.make(Clock(1.0, 0), 6.0, WALL, 9, 900)[1] == 201
    assert told.make(Clock(1.0, 0), 6.0, WALL, 10, 900)[1] == 200, "the control"


def test_the_next_worker_goes_on_with_the_counts_and_the_name() -> None:
    made = ToViewer(OUT, NAME, (100, 5200)).make(Clock(0.0, 0), 0.0, WALL, 1, 62)
    assert struct.unpack_from("!II", made, 20) == (101, 5262 - 12 * 101)
    assert NAME in made


def test_names_are_by_lot_and_say_nothing() -> None:
    names = {fresh_name() for _ in range(50)}
    assert len(names) == 50
    assert all(len(name) == 16 for name in names)


def test_what_a_viewer_says_is_its_loss_and_the_way() -> None:
    told = ToViewer(OUT, NAME)
    told.make(Clock(0.0, 0), 0.0, WALL, 1, 62)
    told.hear(answer(OUT, 3, middle(ntp(WALL)), 0.5), WALL + 0.62)
    assert told.lost == 3
    assert told.trip == pytest.approx(0.12, abs=0.001)


@pytest.mark.parametrize(("stamp", "delay"), [(0, 0.0), (12345, 0.5), (middle(ntp(WALL)), 9.0)])
def test_a_way_that_cannot_be_is_none(stamp: int, delay: float) -> None:
    """No answer to a report of ours, or one from before it was asked."""
    told = ToViewer(OUT, NAME)
    told.make(Clock(0.0, 0), 0.0, WALL, 1, 62)
    told.hear(answer(OUT, 3, stamp, delay), WALL + 0.62)
    assert (told.lost, told.trip) == (3, None)


def test_of_another_stream_nothing_is_heard_and_a_farewell_takes_the_figures_along() -> None:
    told = ToViewer(OUT, NAME)
    told.hear(answer(OUT + 1, 3, 0, 0), WALL)
    assert told.lost is None
    told.hear(answer(OUT, -3, 0, 0), WALL)
    assert told.lost == 0, "duplicates are no loss"
    told.hear(receiver_report(9, (), b"p") + b"\x81\xcb\0\x01\0\0\0\x09", WALL)
    assert told.lost is None


def test_r07_what_is_no_report_is_counted_and_changes_nothing() -> None:
    told = ToViewer(OUT, NAME)
    told.hear(answer(OUT, 3, 0, 0), WALL)
    for octets in (b"", b"\x81\xca\0\x01\0\0\0\x09", b"GET / HTTP/1.1\r\n\r\n", bytes(1473)):
        told.hear(octets, WALL)
    assert (told.lost, told.heard, told.refused) == (3, 1, 4)


def test_a_recorder_hears_how_much_of_its_stream_has_come() -> None:
    told = ToRecorder()
    assert told.make(SSRC, 0, None) == b"", "nothing has come yet"
    told.look(65_000)
    first = parse(told.make(SSRC, 0, 10.0), SSRC).block
    assert first == ReportBlock(SSRC, 0, 0, 65_000, 900), "10 ms of jitter are 900 ticks"
    told.look(65_500)
    told.look(464)
    second = parse(told.make(SSRC, 250, None), SSRC).block
    assert second is not None
    assert second.highest == 65_536 + 464, "once around"
    assert (second.lost, second.fraction) == (250, 64), "a quarter of a thousand"
    told.look(400)
    third = parse(told.make(SSRC, 250, None), SSRC).block
    assert third is not None
    assert third.highest == 65_536 + 400, "a step back is no way around"


def test_reports_go_over_sockets_of_their_own() -> None:
    bench, ear, end = Bench(), loopback(), loopback()
    ear.connect(end.getsockname())
    back, recorder = loopback(), loopback()
    back.connect(recorder.getsockname())
    sink = loopback()
    sink.connect(end.getsockname())
    bench.stream.back = back
    viewer = Viewer(1, sink, OUT, 98, 1000, 77, 1392, heads(96, 98), reports=ear)
    bench.stream.join(viewer)
    bench.show(KEY)
    bench.show(picture())
    told = [bench.stream.report(5.0, WALL) for _ in range(2)]
    assert told == [(), (viewer,)]
    while (made := end.recv(2000))[1] != 200:
        continue
    assert struct.unpack_from("!II", made, 20) == (viewer.packets, viewer.octets - 12 * viewer.packets)
    heard = parse(recorder.recv(2000), SSRC).block
    assert heard is not None
    assert (heard.highest, heard.lost) == (bench.stream.last, 0)
    bench.close()
    assert ear.fileno() == back.fileno() == -1, "they are closed with the stream"
    for opened in (end, recorder):
        opened.close()


def test_on_a_connection_a_report_is_a_frame_between_packets_and_only_while_packets_go() -> None:
    end, sink = pair()
    end.settimeout(0.2)
    viewer = FramedViewer(1, sink, OUT, 98, 0, 0, 65_507, heads(96, 98))
    viewer.tell(Clock(0.0, 0), 0.0, WALL)
    assert not viewer.waiting, "some receivers take what comes first for the stream"
    viewer.packets = 3
    viewer.tell(Clock(0.0, 0), 0.0, WALL)
    viewer.flush()
    frame = end.recv(1000)
    assert (int.from_bytes(frame[:2], "big"), frame[3]) == (56, 200)
    said = answer(OUT, 7, 0, 0)
    end.sendall(len(said).to_bytes(2, "big") + said)
    viewer.hear()
    assert (viewer.told.lost, viewer.gone) == (7, "")
    end.close()
    sink.close()


@pytest.mark.parametrize(("lost", "trip", "seen"), [(None, None, (None, None)), (0, 0.0, (0, 0)), (9, 1.5, (9, 1500))])
def test_what_a_viewer_says_comes_to_the_parent(
    lost: int | None, trip: float | None, seen: tuple[object, object]
) -> None:
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    viewer = Viewer(1, sink, OUT, 98, 0, 0, 1392, heads(96, 98))
    viewer.told.lost, viewer.told.trip, viewer.told.refused = lost, trip, 4
    (told,) = reports(b"v" + viewer_line(viewer))
    assert isinstance(told, ViewerTold)
    assert (told.lost, told.trip_ms) == seen
    assert told.unread == 4
    sink.close()
