"""Reports about media as a script: which sockets may carry them, which pins let them pass, and that they end with their media."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from edge.cityside.core import OpenSink, PassSink
from edge.control.pins import objection, pin_of
from edge.control.wire import ClosePin, ControlError, OpenOut, decode_request, encode_request
from edge.ferry.calls import PassedSocket
from edge.ferry.commands import AskKeeper, CloseDescriptor, DropSide, JoinRelay, StartRelay
from edge.ferry.relay import ViewerTold
from edge.records.types import (
    CloseMedia,
    MediaAnswered,
    MediaDial,
    MediaReady,
    MediaReports,
    MediaReserved,
    MediaSink,
    Party,
)
from edge.rtp.quality import verdict
from edge.sdp import description
from edge.sip.address import Address
from edge.siteside.ports import MediaPorts
from firewall import pin as pins
from firewall.ruleset import FRAMES, TABLE
from tests.chance import SeededChance
from tests.playbook.field import test_field_media as field
from tests.playbook.test_ferry import IN, OPEN, OUT, SINK, SITE, SOURCE, Script, receipt

EARS = PassedSocket(20, ("100.64.0.10", 41001), ("100.64.255.10", 40001))
BACK = PassedSocket(21, ("192.168.1.2", 30001), ("192.168.1.10", 15061))
OUT_TOLD = replace(OUT, report_port=40001, report_local_port=41001)
BOTH = (TABLE, FRAMES)


def held(*more: tuple[MediaReports, PassedSocket], mux: int = 0) -> Script:
    script = Script()
    script.says(Party.CITY, MediaSink(7, 200001, 96, mux=mux), SINK)
    for record, passed in more:
        assert script.says(Party.CITY, record, passed) == []
    return script


def answered(script: Script, pin: OpenOut) -> Script:
    """Bring a view that is held until its recorder has agreed."""
    done = script.says(Party.CITY, OPEN)
    assert done[-1] == AskKeeper(pin), "one pin for both"
    script.ferry.media.on_pin(pin, True, script.now)
    script.ferry.commands()
    script.says(Party.SITE, MediaReserved(7, 30000))
    script.ferry.media.on_pin(IN, True, script.now)
    script.ferry.commands()
    script.says(Party.SITE, MediaAnswered(7))
    return script


def test_both_ends_hear_reports_over_sockets_of_their_own() -> None:
    script = answered(held((MediaReports(7), EARS)), OUT_TOLD)
    assert script.says(Party.SITE, MediaReports(7), BACK) == []
    done = script.says(Party.SITE, MediaReady(7, 55, 96), SOURCE)
    assert done == [StartRelay(7, 11, 55, 96, back=21), JoinRelay(7, 7, 10, 200001, 96, 1392, 20)]
    ended = script.says(Party.CITY, CloseMedia(7, "ended_normally"))
    assert [each.descriptor for each in ended if isinstance(each, CloseDescriptor)] == [10, 20, 11, 21]
    assert {AskKeeper(ClosePin("out-7")), AskKeeper(ClosePin("in-7"))} <= {
        each for each in ended if isinstance(each, AskKeeper)
    }


def test_by_one_port_reports_go_by_the_medias_own_socket() -> None:
    script = answered(held(mux=1), replace(OUT, report_port=40000, report_local_port=41000))
    done = script.says(Party.SITE, MediaReady(7, 55, 96), SOURCE)
    assert done[-1] == JoinRelay(7, 7, 10, 200001, 96, 1392, None, True)


def test_without_reports_all_is_as_it_was() -> None:
    script = answered(held(), OUT)
    assert script.says(Party.SITE, MediaReady(7, 55, 96), SOURCE)[-1] == JoinRelay(7, 7, 10, 200001, 96, 1392)


def test_a_recorder_that_ends_before_its_first_packet_leaves_no_socket_behind() -> None:
    script = answered(held((MediaReports(7), EARS)), OUT_TOLD)
    script.says(Party.SITE, MediaReports(7), BACK)
    ended = script.says(Party.SITE, CloseMedia(7, "no_media"))
    assert [each.descriptor for each in ended if isinstance(each, CloseDescriptor)] == [21, 10, 20]
    assert script.says(Party.SITE, MediaReports(7), BACK) == [CloseDescriptor(21)], "it was on its way"


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (replace(EARS, peer=("100.64.255.11", 40001)), "sink_foreign_address"),
        (replace(EARS, peer=("192.168.1.10", 40001)), "sink_foreign_address"),
        (replace(EARS, local=("100.64.0.10", 41003)), "sink_foreign_address"),
        (replace(EARS, local=("192.168.1.2", 41001)), "sink_foreign_address"),
        (replace(EARS, transport="tcp"), "descriptor_not_udp"),
    ],
)
def test_a_city_side_that_is_owned_sends_reports_nowhere_else(wrong: PassedSocket, rule: str) -> None:
    script = Script()
    script.says(Party.CITY, MediaSink(7, 200001, 96), SINK)
    assert script.says(Party.CITY, MediaReports(7), wrong) == [CloseDescriptor(20), DropSide(Party.CITY, rule)]


@pytest.mark.parametrize("before", ["nothing", "twice", "mux", "tcp", "open"])
def test_reports_come_once_behind_the_sink_that_they_are_of(before: str) -> None:
    script = Script()
    if before in ("twice", "open"):
        script = held((MediaReports(7), EARS))
    if before == "open":
        script.says(Party.CITY, OPEN)
    if before == "mux":
        script = held(mux=1)
    if before == "tcp":
        city, own = int(IPv4Address("100.64.255.10")), int(IPv4Address("100.64.0.10"))
        script.says(Party.CITY, MediaDial(7, 1, 96, city, 40000, own, 41000))
    assert script.says(Party.CITY, MediaReports(7), EARS)[-1] == DropSide(Party.CITY, "reports_unexpected")


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (replace(BACK, peer=("192.168.1.11", 15061)), "source_not_reserved"),
        (replace(BACK, peer=("100.64.255.10", 40000)), "source_not_reserved"),
        (replace(BACK, local=("192.168.1.2", 30003)), "source_not_reserved"),
        (replace(BACK, transport="tcp"), "descriptor_not_udp"),
    ],
)
def test_a_site_side_that_is_owned_sends_reports_nowhere_else(wrong: PassedSocket, rule: str) -> None:
    script = answered(held(), OUT)
    assert script.says(Party.SITE, MediaReports(7), wrong) == [CloseDescriptor(21), DropSide(Party.SITE, rule)]


def test_a_recorder_is_reported_to_once_and_not_before_it_has_agreed() -> None:
    script = answered(held(), OUT)
    script.says(Party.SITE, MediaReports(7), BACK)
    assert script.says(Party.SITE, MediaReports(7), BACK)[-1] == DropSide(Party.SITE, "reports_unexpected")
    script = Script().reserved()
    assert script.says(Party.SITE, MediaReports(7), BACK)[-1] == DropSide(Party.SITE, "reports_unexpected")


def test_a_viewers_word_is_two_figures_of_its_own_view() -> None:
    script = answered(held((MediaReports(7), EARS)), OUT_TOLD)
    script.says(Party.SITE, MediaReady(7, 55, 96), SOURCE)
    told = ViewerTold(7, 4000, 4_000_000, 0, 0, 1, "", 8, 42)
    script.ferry.on_viewer(7, told.packets, told.octets, told.gone, script.now + 1, (told.lost, told.trip_ms))
    view, pull = script.ferry.media.views[7], script.ferry.media.pulls[7]
    quality = view.quality(pull)
    assert (quality.viewer_loss_ppm, quality.round_trip_ms) == (2000, 42)
    assert verdict(quality) == ("quality_viewer_loss",)
    assert quality.loss_ppm is None, "the pull's own is another figure"
    ended = receipt(script.says(Party.CITY, CloseMedia(7, "ended_normally"))).told
    assert (ended["viewer_loss_ppm"], ended["round_trip_ms"]) == (2000, 42)


def test_nobody_loses_more_than_he_was_sent() -> None:
    script = answered(held((MediaReports(7), EARS)), OUT_TOLD)
    script.says(Party.SITE, MediaReady(7, 55, 96), SOURCE)
    script.ferry.on_viewer(7, 2000, 1, "", script.now, (0x7FFFFF, None))
    view = script.ferry.media.views[7]
    assert view.quality(script.ferry.media.pulls[7]).viewer_loss_ppm == 1_000_000


# -- pins ------------------------------------------------------------------------------------------------------------


def test_the_pins_of_reports_live_and_end_with_their_medias() -> None:
    assert SITE is not None
    out, into = pin_of(OUT_TOLD, SITE), pin_of(IN, SITE)
    key = "100.64.0.10 . 100.64.255.10 . 40001 . 41001"
    assert out.reports == (("reports", key), ("returns", key)), "both ends have a name"
    assert into.reports == (("reports", "192.168.1.10 . 30001"),)
    for pin, name, tables in ((out, "reports", BOTH), (out, "returns", BOTH[:1]), (into, "reports", BOTH)):
        opened, closed = pins.opened(pin, 30)[pin.namespace], pins.closed(pin)[pin.namespace]
        assert [table for table in BOTH if f" element {table} {name} {{" in opened] == list(tables), (
            "what goes out is a frame"
        )
        for table in tables:
            assert opened.count(f" element {table} {name} {{") == 3
            assert closed.count(f"delete element {table} {name} {{") == 1
        assert "limit rate 4/second burst 8 packets timeout 30s" in opened
    assert pin_of(OUT, SITE).reports == ()
    assert pin_of(replace(IN, lan_port=30999), SITE).reports == (), "the range ends there"
    assert pin_of(replace(IN, transport="tcp"), SITE).reports == (), "what goes to a recorder by TCP has no content"


def test_a_pin_that_is_narrowed_lets_its_reports_go_on() -> None:
    assert SITE is not None
    wide, narrow = pin_of(replace(IN, payload_types=(96, 98)), SITE), pin_of(IN, SITE)
    said = pins.changed(wide, narrow, 30)["lan"]
    gone, opened = said[: said.index(" timeout 30s")], pins.opened(narrow, 30)["lan"]
    assert said.endswith(opened) and "delete element inet snowgate media { 192.168.1.10 . 30000 . 98 }" in gone
    assert "reports" not in said.removesuffix(opened)
    elsewhere = pin_of(replace(IN, lan_port=30002), SITE)
    assert "delete element inet snowgate reports { 192.168.1.10 . 30001 }" in pins.changed(narrow, elsewhere, 30)["lan"]


@pytest.mark.parametrize(("far", "own", "rule"), [
    (40001, 41001, None), (40000, 41000, None), (5060, 41001, None), (40001, 41002, "pin_reports"),
    (40001, 40999, "pin_reports"), (0, 0, None),
])  # fmt: skip
def test_our_port_of_reports_is_beside_the_medias(far: int, own: int, rule: str | None) -> None:
    assert SITE is not None
    assert objection(replace(OUT, report_port=far, report_local_port=own), (), SITE) == rule


@pytest.mark.parametrize("wrong", [
    {"report_port": 40001}, {"report_local_port": 41001}, {"report_port": 80, "report_local_port": 41001},
    {"report_port": 70000, "report_local_port": 41001}, {"report_port": 40001, "report_local_port": 41001, "transport": "tcp"},
])  # fmt: skip
def test_a_pins_ports_of_reports_are_two_ports_and_of_datagrams(wrong: dict[str, object]) -> None:
    assert decode_request("ferry", encode_request(1, OUT_TOLD))[1] == OUT_TOLD, "the control"
    with pytest.raises(ControlError, match="request_range"):
        decode_request("ferry", encode_request(1, replace(OUT, **wrong)))  # type: ignore[arg-type]


# -- where reports are to go -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lines", "port", "mux"), [
    (b"", 40001, 0), (b"a=rtcp-mux\r\n", 0, 1), (b"a=rtcp:45678\r\n", 45678, 0),
    (b"a=rtcp:45678 IN IP4 100.64.255.10\r\n", 45678, 0), (b"a=rtcp:45678 IN IP4 192.168.1.10\r\n", 40001, 0),
    (b"a=rtcp:40000\r\n", 0, 0), (b"a=rtcp:80\r\n", 40001, 0), (b"a=rtcp:99999\r\n", 40001, 0),
    (b"a=rtcp:x\r\n", 40001, 0),
])  # fmt: skip
def test_the_city_says_where_it_hears_reports(tmp_path: Path, lines: bytes, port: int, mux: int) -> None:
    offer = description.parse(bytes(field.OFFER) + lines)
    side, channel = field.city_side(tmp_path)
    side.on_event(field.invited(channel, offer), 1.0)
    (opened,) = (command for command in side.commands() if isinstance(command, OpenSink))
    assert opened.reports == port
    side.on_sink(opened.call, Address(field.TUNNEL, 41000), 1.0)
    (passed,) = (command for command in side.commands() if isinstance(command, PassSink))
    assert passed.record.mux == mux
    answer = offer.answer(origin_id="x", address=field.TUNNEL, port=41000, payload_type=96, ssrc=1)
    assert (b"a=rtcp-mux" in bytes(answer)) is bool(mux)
    assert b"a=rtcp:" not in bytes(answer), "ours are one above our media's"


@pytest.mark.parametrize(("said", "port"), [(None, 1), (39_999, None)])
def test_the_site_side_reports_to_the_port_above_the_one_that_a_recorder_sends_from(
    said: int | None, port: int | None
) -> None:
    async def run() -> None:
        found: list[tuple[object, ...]] = []
        ports = MediaPorts("127.0.0.1", range(33_100, 33_110), lambda *what: found.append(what), SeededChance(1))
        own = ports.reserve(7)
        assert own is not None
        assert ports.reports(7) is None, "nobody is known yet"
        recorder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        recorder.bind(("127.0.0.1", 0))
        ports.watch(7, frozenset({"127.0.0.1"}), 96, None, said)
        recorder.sendto(b"\x80\x60" + bytes(20), ("127.0.0.1", own))
        while not found:
            await asyncio.sleep(0.01)
        descriptor = ports.reports(7)
        assert descriptor is not None
        held_one = socket.socket(fileno=descriptor)
        assert held_one.getsockname() == ("127.0.0.1", own + 1)
        assert held_one.getpeername() == ("127.0.0.1", said or recorder.getsockname()[1] + (port or 0))
        held_one.detach()
        ports.close()
        again = ports.reserve(8)
        assert again is not None
        ports.close()
        recorder.close()

    asyncio.run(asyncio.wait_for(run(), 10))
