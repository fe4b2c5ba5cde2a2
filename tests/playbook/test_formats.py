"""Who agrees with whom about what is in the packets: the city's offer, the recorder's answer, and the firewall between them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.cityside.core import OpenSink, PassSink, SendRecord
from edge.control.wire import ControlError, OpenIn, decode_request, encode_request
from edge.ferry.calls import State
from edge.ferry.commands import AskKeeper, CloseDescriptor, DropSide, JoinRelay, Send, StartRelay
from edge.ferry.core import Ferry
from edge.gb28181.legs import CallAnswered
from edge.gb28181.platform import Platform
from edge.gb28181.reports import DeviceOnline
from edge.io.log import Log
from edge.records.codec import encode
from edge.records.types import (
    FORMATS,
    CloseMedia,
    MediaAnswered,
    MediaDial,
    MediaReady,
    MediaRefused,
    MediaReserved,
    MediaSink,
    OpenMedia,
    Party,
    PinOpened,
)
from edge.sdp.description import FRAMED, MediaDescription, parse
from edge.sdp.formats import ENCODINGS, carried, named
from edge.sip.address import Address
from edge.siteside.core import SendRecord as SiteSends
from edge.siteside.core import SiteSide, WatchPort
from edge.siteside.process import platform_config
from tests.chance import SeededChance
from tests.playbook import test_ferry as ferry
from tests.playbook.field.test_field_media import OFFER, TUNNEL, city_side, invited
from tests.playbook.test_substream import site as two_streams

ALL = MediaSink(7, 200001, 96, 110, 111)
IN_ALL = replace(ferry.IN, payload_types=(96, 98, 100))


class Script(ferry.Script):
    """A view of a city that takes all three formats, by payload types of its own."""

    def asked(self, sink: MediaSink = ALL) -> Script:
        self.says(Party.CITY, sink, ferry.SINK)
        self.says(Party.CITY, ferry.OPEN)
        self.ferry.media.on_pin(ferry.OUT, True, self.now)
        (pin,) = self.says(Party.SITE, MediaReserved(7, 30000))
        assert isinstance(pin, AskKeeper) and isinstance(pin.request, OpenIn)
        self.pin = pin.request
        self.ferry.media.on_pin(self.pin, True, self.now)
        (opened,) = self.ferry.commands()
        assert isinstance(opened, Send) and isinstance(opened.record, PinOpened)
        self.formats = opened.record.formats
        return self


def test_the_formats_are_the_same_words_in_descriptions_and_in_records() -> None:
    assert set(ENCODINGS.values()) == set(FORMATS)


# -- the ferry -------------------------------------------------------------------------------------------------------


def test_the_recorder_is_asked_for_what_the_viewer_takes_and_no_more_is_let_in() -> None:
    script = Script().asked()
    assert (script.pin, script.formats) == (IN_ALL, "ps,h264,h265")
    only = Script().asked(MediaSink(7, 1, 0, 0, 111))
    assert (only.pin.payload_types, only.formats) == ((100,), "h265")


@pytest.mark.parametrize(("format_", "south", "north"), [("ps", 96, 96), ("h264", 98, 110), ("h265", 99, 111)])
def test_what_the_recorder_chose_is_all_that_comes_in_and_goes_out_under_the_citys_type(
    format_: str, south: int, north: int
) -> None:
    """A payload type that recorders are not asked for (99 for H.265) is let in once they have named it."""
    script = Script().asked()
    narrowed = replace(ferry.IN, payload_types=(south,))
    assert script.says(Party.SITE, MediaAnswered(7, 0, format_, south)) == [
        AskKeeper(narrowed), Send(Party.CITY, MediaAnswered(7, 0, format_, north)),
    ]  # fmt: skip
    script.ferry.media.on_pin(narrowed, True, script.now)
    assert script.ferry.commands() == []
    assert script.says(Party.SITE, MediaReady(7, 55, south), ferry.SOURCE) == [
        StartRelay(7, 11, 55, south, content=format_), JoinRelay(7, 7, 10, 200001, north, 1392),
    ]  # fmt: skip


def test_a_pin_that_cannot_be_narrowed_ends_the_view() -> None:
    script = Script().asked()
    script.says(Party.SITE, MediaAnswered(7, 0, "h264", 98))
    script.ferry.media.on_pin(replace(ferry.IN, payload_types=(98,)), False, script.now)
    assert Send(Party.CITY, CloseMedia(7, "pin_refused")) in script.ferry.commands()


def test_what_was_not_answered_does_not_flow() -> None:
    script = Script().asked()
    script.says(Party.SITE, MediaAnswered(7, 0, "h264", 98))
    done = script.says(Party.SITE, MediaReady(7, 55, 96), ferry.SOURCE)
    assert done[-1] == DropSide(Party.SITE, "payload_type_not_answered")
    assert not [each for each in done if isinstance(each, StartRelay)]


def test_a_recorder_that_answers_what_the_city_does_not_take_is_hung_up_on_and_the_city_refused() -> None:
    script = Script().asked(MediaSink(7, 1, 96))
    done = script.says(Party.SITE, MediaAnswered(7, 0, "h264", 98))
    assert Send(Party.CITY, MediaRefused(7, 488, "format_not_offered")) in done
    assert Send(Party.SITE, CloseMedia(7, "format_not_offered")) in done
    assert ferry.receipt(done).told["result"] == "refused"
    assert script.ferry.counters["format_not_offered"] == 1
    assert not script.ferry.media.pulls


@pytest.mark.parametrize(("rule", "ends"), [
    ("es_unit", True), ("es_reserved", True), ("es_fragment", True), ("es_cut", False), ("es_gap", False), ("es_no_sps", False),
])  # fmt: skip
def test_what_is_no_elementary_stream_is_cut_off_by_name(rule: str, ends: bool) -> None:
    """What belongs to such a stream and does not go on now, as before the first key picture, says nothing against it."""
    script = Script().asked()
    script.says(Party.SITE, MediaAnswered(7, 0, "h264", 98))
    script.says(Party.SITE, MediaReady(7, 55, 98), ferry.SOURCE)
    for octets in range(8):
        script.now += 0.5
        script.traffic(0, 0, **{rule: 1000 * octets})
    done = script.ferry.commands()
    assert (Send(Party.CITY, CloseMedia(7, "media_foreign")) in done) is ends


def second(script: Script, sink: MediaSink) -> list[object]:
    script.says(Party.CITY, sink, ferry.SECOND)
    done = script.says(Party.CITY, replace(ferry.OPEN, call=8))
    script.ferry.media.on_pin(ferry.OUT_8, True, script.now)
    return [*done, *script.ferry.commands()]


def test_who_joins_must_take_what_flows() -> None:
    script = Script().asked()
    script.says(Party.SITE, MediaAnswered(7, 0, "h264", 98))
    script.says(Party.SITE, MediaReady(7, 55, 98), ferry.SOURCE)
    refused = second(script, MediaSink(8, 2, 96, 0, 100))
    assert Send(Party.CITY, MediaRefused(8, 488, "format_not_offered")) in refused
    assert CloseDescriptor(20) in refused
    assert ferry.receipt(refused).told["reason"] == "format_not_offered"
    joined = second(script, MediaSink(8, 2, 96, 120))
    assert JoinRelay(7, 8, 20, 2, 120, 1392) in joined, "the control"
    assert Send(Party.CITY, MediaAnswered(8, 0, "h264", 120)) in joined


def test_who_cannot_join_the_main_stream_has_the_sub_stream_if_the_camera_gives_one() -> None:
    """It is asked for by itself, in what that viewer takes (docs/adr/0020: a smaller picture before nobody's)."""
    script = Script()
    script.ferry = Ferry(two_streams(None))
    script.asked()
    script.says(Party.SITE, MediaAnswered(7, 0, "h264", 98))
    script.says(Party.SITE, MediaReady(7, 55, 98), ferry.SOURCE)
    done = second(script, MediaSink(8, 2, 96))
    assert Send(Party.SITE, replace(ferry.OPEN, call=8, stream=1)) in done
    assert set(script.ferry.media.pulls) == {7, 8}


def test_who_joined_before_the_answer_and_does_not_take_it_is_refused_alone() -> None:
    script = Script().asked()
    second(script, MediaSink(8, 2, 96))
    done = script.says(Party.SITE, MediaAnswered(7, 0, "h264", 98))
    assert Send(Party.CITY, MediaRefused(8, 488, "format_not_offered")) in done
    assert Send(Party.CITY, MediaAnswered(7, 0, "h264", 110)) in done
    assert script.ferry.media.pulls[7].state is State.WAITING_MEDIA


def test_a_sink_that_takes_nothing_is_nobodys() -> None:
    script = Script()
    assert script.says(Party.CITY, MediaSink(7, 1, 0), ferry.SINK)[-1] == DropSide(Party.CITY, "sink_unexpected")


@pytest.mark.parametrize("types", [[], [95], [96, 128], [96, 97, 98, 99], [True], ["96"], 96])
def test_a_pin_has_one_to_three_dynamic_payload_types(types: Any) -> None:
    with pytest.raises(ControlError):
        decode_request("ferry", encode_request(1, replace(ferry.IN, payload_types=types)))
    assert decode_request("ferry", encode_request(1, IN_ALL)) == (1, IN_ALL), "the control"


# -- the city side ---------------------------------------------------------------------------------------------------


def described(types: str, *maps: str, transport: str = "RTP/AVP") -> MediaDescription:
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 192.168.1.10",
        "s=Play",
        "c=IN IP4 192.168.1.10",
        "t=0 0",
        f"m=video 15060 {transport} {types}",
    ]
    return parse("\r\n".join([*lines, *(f"a=rtpmap:{each}" for each in maps), ""]).encode())


@pytest.mark.parametrize(("found", "types", "name"), [
    (described("96"), {"ps": 96}, ""),
    (described("96 98 97", "96 PS/90000", "98 H264/90000", "97 MPEG4/90000"), {"ps": 96, "h264": 98}, "PS/90000"),
    (described("98", "98 h264/90000"), {"h264": 98}, "h264/90000"),
    (described("96", "96 H264/90000"), {"h264": 96}, "H264/90000"),
    (described("99", "99 H265/90000"), {"h265": 99}, "H265/90000"),
    (described("99"), {}, ""),
    (described("100 96"), {"h265": 100, "ps": 96}, ""),
    (described("96", "96 DAHUA/90000"), {}, "DAHUA/90000"),
    (described("96 98", "96 HIKVISION/90000", "98 H264/90000"), {"h264": 98}, "HIKVISION/90000"),
    (described("96 97", "97 PS/90000", "96 HIKVISION/90000"), {"ps": 97}, "HIKVISION/90000"),
    (described("96", "96 PS/90000", "96 DAHUA/90000"), {"ps": 96}, "PS/90000"),
    (described("33", "33 PS/90000"), {}, "PS/90000"),
    (described("99", "99 SVAC/90000"), {}, "SVAC/90000"),
])  # fmt: skip
def test_a_payload_is_what_it_is_named(found: MediaDescription, types: dict[str, int], name: str) -> None:
    assert carried(found) == types
    assert list(carried(found)) == list(types), "in the order of the description"
    assert named(found) == name


def opened(side: Any) -> int:
    (sink,) = (command for command in side.commands() if isinstance(command, OpenSink))
    return int(sink.call)


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_the_city_is_answered_with_a_type_of_its_own_offer(tmp_path: Path, over: str) -> None:
    side, channel = city_side(tmp_path)
    offer = replace(
        OFFER, payload_types=(96, 110, 111), rtpmap=((96, "PS/90000"), (110, "H264/90000"), (111, "H265/90000"))
    )
    side.on_event(invited(channel, offer if over == "udp" else replace(offer, transport=FRAMED, setup="passive")), 1.0)
    call = next(iter(side.views))
    side.commands()
    side.on_sink(call, Address(TUNNEL, 41000), 1.0)
    told = side.commands()[0]
    if over == "udp":
        assert isinstance(told, PassSink)
        assert told.record == MediaSink(call, OFFER.ssrc or 0, 96, 110, 111)
    else:
        assert isinstance(told, SendRecord) and isinstance(told.record, MediaDial)
        assert (told.record.ps, told.record.h264, told.record.h265) == (96, 110, 111)
    answers: list[MediaDescription] = []
    side._device.accept = lambda leg, answer, now: answers.append(answer)  # type: ignore[method-assign,assignment]
    side.on_record(MediaAnswered(call, 0, "h264", 110), 2.0)
    assert (answers[0].payload_types, answers[0].rtpmap) == ((110,), ((110, "H264/90000"),))


@pytest.mark.parametrize(("types", "maps", "told"), [
    ((96,), ((96, "DAHUA/90000"),), "DAHUA/90000"), ((97,), (), "97"), ((99,), ((99, "SVAC/90000"),), "SVAC/90000"),
])  # fmt: skip
def test_an_offer_of_what_is_not_carried_is_refused_by_its_name(
    tmp_path: Path, types: tuple[int, ...], maps: tuple[tuple[int, str], ...], told: str
) -> None:
    side, channel = city_side(tmp_path)
    refused: list[int] = []
    side._device.refuse = lambda leg, status, reason, now: refused.append(status)  # type: ignore[method-assign]
    side.on_event(invited(channel, replace(OFFER, payload_types=types, rtpmap=maps)), 1.0)
    assert refused == [488]
    (noted,) = side.status()["refused"]  # type: ignore[misc,attr-defined]
    assert (noted["reason"], noted["about"]) == ("encoding_not_carried", told)


# -- the site side ---------------------------------------------------------------------------------------------------


class Below:
    """The site side with one view asked for."""

    def __init__(self, folder: Path, formats: str = "ps,h264,h265") -> None:
        assert ferry.SITE is not None
        self.side = SiteSide(
            ferry.SITE, Platform(platform_config(ferry.SITE, folder, Log("test")), SeededChance(1)), SeededChance(2)
        )
        self.offers: list[MediaDescription] = []
        self.side._platform.invite = lambda device, channel, offer, now: self.offers.append(offer) or "leg"  # type: ignore[method-assign,assignment,func-returns-value]
        self.side._platform.hang_up = lambda leg, now: None  # type: ignore[method-assign]
        self.side.on_event(DeviceOnline(ferry.NVR), 1.0)
        self.side.on_record(encode(OpenMedia(7, ferry.CITY, ferry.NVR, ferry.SHARED, "live", "")), 1.0)
        self.side.on_port(7, 30000, 1.0)
        self.side.on_record(encode(PinOpened(7, formats)), 1.0)
        self.side.commands()

    def answered(self, answer: MediaDescription) -> list[Any]:
        self.side.on_event(CallAnswered("leg", answer), 2.0)
        return list(self.side.commands())


def test_the_recorder_is_offered_ps_first_and_the_others_behind_it(tmp_path: Path) -> None:
    (offer,) = Below(tmp_path).offers
    assert offer.payload_types == (96, 98, 100)
    assert offer.rtpmap == ((96, "PS/90000"), (98, "H264/90000"), (100, "H265/90000"))
    assert Below(tmp_path, "h264").offers[0].rtpmap == ((98, "H264/90000"),)


@pytest.mark.parametrize(("answer", "format_", "type_"), [
    (described("96", "96 PS/90000"), "ps", 96),
    (described("98", "98 H264/90000"), "h264", 98),
    (described("99", "99 H265/90000"), "h265", 99),
    (described("96 98 100", "96 PS/90000", "98 H264/90000", "100 H265/90000"), "ps", 96),
    (described("98 96"), "h264", 98),
    (described("96 98", "96 DAHUA/90000", "98 H264/90000"), "h264", 98),
])  # fmt: skip
def test_the_recorders_answer_decides_what_is_waited_for(
    tmp_path: Path, answer: MediaDescription, format_: str, type_: int
) -> None:
    sent, watched = Below(tmp_path).answered(answer)
    assert sent == SiteSends(MediaAnswered(7, 0, format_, type_))
    assert isinstance(watched, WatchPort)
    assert watched.payload_type == type_


@pytest.mark.parametrize("name", ["DAHUA/90000", "HIKVISION/90000", "MPEG4/90000", "SVAC/90000", "X-own_form.2/90000"])
def test_an_answer_in_what_is_not_carried_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    below = Below(tmp_path)
    done = below.answered(described("96", f"96 {name}"))
    assert SiteSends(MediaRefused(7, 488, "encoding_not_carried")) in done
    assert not below.side.views
    (noted,) = below.side.status()["troubles"]  # type: ignore[misc,attr-defined]
    assert (noted["reason"], noted["about"]) == ("encoding_not_carried", name)
