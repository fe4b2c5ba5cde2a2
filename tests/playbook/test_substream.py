"""Two streams of one camera: what the city asks for, what it gets when the line is full, and what that costs others."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.cityside.core import CitySide, OpenSink
from edge.cityside.tree import Tree
from edge.control.pins import pin_of
from edge.control.wire import OpenIn
from edge.ferry.commands import AskKeeper, DropSide, JoinRelay, Send, StartRelay
from edge.ferry.core import Ferry
from edge.ferry.views import PIN_RENEW_SECONDS
from edge.gb28181.legs import CallAnswered
from edge.gb28181.platform import Platform
from edge.gb28181.reports import DeviceOnline
from edge.io.log import Log
from edge.manscdp.catalog import CatalogResponse
from edge.manscdp.messages import encode as encode_message
from edge.records.codec import encode
from edge.records.types import (
    CatalogItem,
    CloseMedia,
    MediaAnswered,
    MediaReady,
    MediaRefused,
    MediaReserved,
    MediaSink,
    OpenMedia,
    Party,
    PinOpened,
)
from edge.sdp import description
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from edge.siteside.core import Say, SendRecord, SiteSide
from edge.siteside.process import platform_config
from firewall.pin import opened
from netconf.model import Channel, Site
from tests.chance import SeededChance
from tests.playbook.field.test_field_media import OFFER, TUNNEL, city_side, invited
from tests.playbook.test_ferry import (
    CITY_LEVEL,
    COUNTY_LEVEL,
    NVR,
    OPEN,
    SHARED,
    SINK,
    SITE,
    SOURCE,
    Script,
    receipt,
)

assert SITE is not None
#: A main stream of 2 Mbit/s, a sub-stream of 0.5.
CAMERA = SITE.channel[0].model_copy(update={"mbit": 2, "sub_stream": True, "sub_mbit": 0.5})
BARE = CAMERA.model_copy(update={"id": "34020000001310000003", "sub_stream": False})


def site(mbit_up: int | None, *channels: Channel, attribute: str = "streamnumber") -> Site:
    assert SITE is not None
    recorder = SITE.recorder[0].model_copy(update={"stream_attribute": attribute})
    uplink = SITE.uplink.model_copy(update={"mbit_up": mbit_up})
    return SITE.model_copy(update={"uplink": uplink, "recorder": (recorder,), "channel": channels or (CAMERA, BARE)})


def ferry(mbit_up: int | None) -> Script:
    script = Script()
    script.ferry = Ferry(site(mbit_up))
    return script


def asks(script: Script, call: int, stream: int = 0, channel: str = SHARED, viewer: str = "") -> list[object]:
    """Somebody asks for a live view; each a second after the one before."""
    script.now += 1
    script.says(Party.CITY, MediaSink(call, 1, 96), replace(SINK, descriptor=100 + call))
    return script.says(Party.CITY, replace(OPEN, call=call, stream=stream, channel=channel, viewer=viewer))


def given(script: Script) -> dict[int, int]:
    return {call: view.request.stream for call, view in script.ferry.media.views.items()}


# -- what is asked for -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [0, 1])
def test_with_room_the_city_gets_the_stream_that_it_asks_for(stream: int) -> None:
    for mbit_up in (None, 10):
        script = ferry(mbit_up)
        assert Send(Party.SITE, replace(OPEN, stream=stream)) in asks(script, 7, stream)


def test_a_camera_without_a_sub_stream_gives_the_main_one() -> None:
    script = ferry(None)
    asks(script, 7, 1, BARE.id)
    assert given(script) == {7: 0}


def test_of_a_recording_there_is_no_sub_stream() -> None:
    assert SITE is not None
    platform = SITE.platform[0].model_copy(update={"rights": ("playback",)})
    camera = CAMERA.model_copy(update={"allow": ("playback",)})
    script = Script()
    script.ferry = Ferry(site(1, camera).model_copy(update={"platform": (platform,)}))
    script.says(Party.CITY, MediaSink(7, 1, 96), SINK)
    refused = script.says(Party.CITY, replace(OPEN, kind="playback", start=1, end=2, stream=1))
    assert Send(Party.CITY, MediaRefused(7, 486, "uplink_full")) in refused, "2 Mbit/s do not fit"


def test_main_and_sub_of_one_camera_are_two_pulls_each_with_its_viewers() -> None:
    script = ferry(None)
    for call, stream in ((7, 0), (8, 1), (9, 0), (10, 1)):
        asks(script, call, stream)
    pulls = script.ferry.media.pulls
    assert {number: pull.views for number, pull in pulls.items()} == {7: {7, 9}, 8: {8, 10}}


def pin(script: Script, call: int, port: int) -> OpenIn:
    (asked,) = script.says(Party.SITE, MediaReserved(call, port))
    assert isinstance(asked, AskKeeper) and isinstance(asked.request, OpenIn)
    return asked.request


def mbit_between_renewals(asked: OpenIn) -> float:
    """Return the mean of what nft lets through at most: its text says rate and burst, and its bucket holds both together."""
    assert SITE is not None
    text = opened(pin_of(asked, SITE), 30)["lan"]
    found = re.search(r"limit rate ([0-9]+) kbytes/second burst ([0-9]+) kbytes timeout 30s", text)
    assert found is not None
    rate, burst = int(found[1]), int(found[2])
    return (rate * PIN_RENEW_SECONDS + rate + burst) / PIN_RENEW_SECONDS * 1024 * 8 / 1e6


@pytest.mark.parametrize("media", ["udp", "tcp_passive", "tcp_active"])
def test_r08_the_pin_of_each_stream_lets_in_a_fifth_more_than_its_encoder_is_set_to(media: str) -> None:
    script, configured = ferry(None), site(None)
    recorder = configured.recorder[0].model_copy(update={"media": media})
    script.ferry = Ferry(configured.model_copy(update={"recorder": (recorder,)}))
    asks(script, 7, 0)
    asks(script, 8, 1)
    main, sub = pin(script, 7, 30000), pin(script, 8, 30002)
    for asked, mbit in ((main, 2), (sub, 0.5)):
        most = mbit_between_renewals(asked)
        assert 1.18 * mbit < most <= 1.2 * mbit
        assert asked.transport == ("udp" if media == "udp" else "tcp")


# -- what is given over the budget -------------------------------------------------------------------------------------


def test_over_the_budget_a_view_gets_the_sub_stream_and_the_city_is_told() -> None:
    script = ferry(3)
    asks(script, 6, 0, BARE.id)
    opened = asks(script, 7)
    asked = replace(OPEN, stream=1)
    assert Send(Party.SITE, asked) in opened
    assert (receipt(opened).told["stream"], receipt(opened).told["asked"]) == ("sub", "main")
    script.ferry.media.on_pin(next(c.request for c in opened if isinstance(c, AskKeeper)), True, script.now)  # type: ignore[arg-type]
    inward = pin(script, 7, 30000)
    script.ferry.media.on_pin(inward, True, script.now)
    script.ferry.commands()
    assert script.says(Party.SITE, MediaAnswered(7, 1)) == [Send(Party.CITY, MediaAnswered(7, 1))]
    flows = script.says(Party.SITE, MediaReady(7, 55, 96), SOURCE)
    assert [type(each) for each in flows] == [StartRelay, JoinRelay]


def test_a_site_side_that_was_owned_cannot_give_another_stream_than_was_granted() -> None:
    script = ferry(None)
    opened = asks(script, 7, 1)
    script.ferry.media.on_pin(next(c.request for c in opened if isinstance(c, AskKeeper)), True, script.now)  # type: ignore[arg-type]
    script.ferry.media.on_pin(pin(script, 7, 30000), True, script.now)
    script.ferry.commands()
    assert script.says(Party.SITE, MediaAnswered(7, 0)) == [DropSide(Party.SITE, "stream_not_asked")]


def test_where_not_even_the_sub_stream_fits_a_view_is_refused_and_nobody_elses_changes() -> None:
    script = ferry(2)
    asks(script, 6, 0, BARE.id)
    refused = asks(script, 7)
    assert Send(Party.CITY, MediaRefused(7, 486, "uplink_full")) in refused
    assert Send(Party.CITY, MediaRefused(8, 486, "uplink_full")) in asks(script, 8, 0, BARE.id), "it has no sub-stream"
    assert given(script) == {6: 0}
    assert "stream" not in receipt(refused).told or receipt(refused).told["stream"] == "sub"


def test_a_higher_level_takes_the_sub_stream_before_it_takes_somebodys_picture() -> None:
    script = ferry(3)
    asks(script, 6, 0, BARE.id)
    asks(script, 7, viewer=CITY_LEVEL)
    assert given(script) == {6: 0, 7: 1}, "both see something"


def test_where_the_sub_stream_does_not_fit_lower_levels_end_and_none_in_vain() -> None:
    script = ferry(3)
    asks(script, 5, 0, BARE.id)
    asks(script, 6, 1)
    asks(script, 7, 1, viewer=COUNTY_LEVEL)
    assert given(script) == {5: 0, 6: 1, 7: 1}, "3 Mbit/s are full"
    done = asks(script, 8, 0, viewer=CITY_LEVEL)
    assert Send(Party.CITY, MediaRefused(6, 480, "uplink_yielded")) in done, "the lowest and youngest is enough"
    assert given(script) == {5: 0, 7: 1, 8: 1}
    done = asks(script, 9, 0, BARE.id, viewer=CITY_LEVEL)
    assert Send(Party.CITY, MediaRefused(5, 480, "uplink_yielded")) in done
    assert given(script) == {7: 1, 8: 1, 9: 0}, "two megabits are had of one view: the county's stays"


def test_a_view_that_runs_is_never_switched() -> None:
    script = ferry(3)
    asks(script, 6, 0)
    asks(script, 7, 0)
    assert given(script) == {6: 0, 7: 1}
    script.says(Party.CITY, closes(6))
    assert given(script) == {7: 1}
    asks(script, 8, 0)
    assert given(script) == {7: 1, 8: 0}, "there is room again, for who asks again"


def closes(call: int) -> CloseMedia:
    return CloseMedia(call, "ended_normally")


# -- what is written and read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("", 0), ("a=streamnumber:0", 0), ("a=streamnumber:1", 1), ("a=streamnumber:2", 1), ("a=streamprofile:1", 1),
        ("a=stream:1", 1), ("a=streamMode:SUB", 1), ("a=streamMode:main", 0), ("a=streamnumber:x", 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("got", [0, 1])
def test_the_city_hears_in_its_own_words_what_it_got(tmp_path: Path, line: str, asked: int, got: int) -> None:
    side, channel = city_side(tmp_path)
    offer = description.parse(bytes(OFFER) + (line + "\r\n").encode() * bool(line))
    side.on_event(invited(channel, offer), 1.0)
    (opened,) = (command for command in side.commands() if isinstance(command, OpenSink))
    side.on_sink(opened.call, Address(TUNNEL, 41000), 1.0)
    (request,) = (
        c.record for c in side.commands() if type(c).__name__ == "SendRecord" and isinstance(c.record, OpenMedia)
    )
    assert request.stream == asked
    answer = answered(side, MediaAnswered(opened.call, got))
    said = [each for each in answer.split("\r\n") if each.startswith("a=stream")]
    word = line.partition(":")[0] if offer.stream is not None else "a=streamnumber"
    value = ("main", "sub")[got] if "Mode" in line else got
    assert said == ([f"{word}:{value}"] if got or offer.stream is not None else [])


def answered(side: CitySide, record: MediaAnswered) -> str:
    answers: list[bytes] = []
    side._device.accept = lambda leg, answer, now: answers.append(bytes(answer))  # type: ignore[method-assign,assignment]
    side.on_record(record, 2.0)
    return answers[0].decode("ascii")


def site_side(tmp_path: Path, configured: Site) -> tuple[SiteSide, list[MediaDescription]]:
    down = SiteSide(
        configured, Platform(platform_config(configured, tmp_path, Log("test")), SeededChance(1)), SeededChance(2)
    )
    offers: list[MediaDescription] = []
    down._platform.invite = lambda device, channel, offer, now: offers.append(offer) or "leg"  # type: ignore[method-assign,assignment,func-returns-value]
    down.on_event(DeviceOnline(NVR), 1.0)
    return down, offers


def views(down: SiteSide, **more: Any) -> None:
    down.on_record(encode(replace(OPEN, **more)), 1.0)
    down.on_port(OPEN.call, 30000, 1.0)
    down.on_record(encode(PinOpened(OPEN.call)), 1.0)
    down.commands()


@pytest.mark.parametrize(
    ("attribute", "main", "sub"),
    [
        ("streamnumber", "a=streamnumber:0", "a=streamnumber:1"),
        ("streamprofile", "a=streamprofile:0", "a=streamprofile:1"),
        ("stream", "a=stream:0", "a=stream:1"),
        ("streamMode", "a=streamMode:main", "a=streamMode:sub"),
    ],
)
def test_a_recorder_is_asked_in_its_own_words(tmp_path: Path, attribute: str, main: str, sub: str) -> None:
    for stream, line in ((0, main), (1, sub)):
        down, offers = site_side(tmp_path, site(None, attribute=attribute))
        views(down, stream=stream)
        assert line in bytes(offers[0]).decode().split("\r\n")
        assert bytes(offers[0]).count(b"a=stream") == 1


def test_a_recorder_is_told_nothing_of_streams_where_there_is_but_one(tmp_path: Path) -> None:
    down, offers = site_side(tmp_path, site(None))
    views(down, channel=BARE.id)
    assert b"a=stream" not in bytes(offers[0])


@pytest.mark.parametrize(("names", "told"), [(1, False), (None, False), (0, True)])
def test_a_recorder_that_names_another_stream_is_told_of(tmp_path: Path, names: int | None, told: bool) -> None:
    down, offers = site_side(tmp_path, site(None))
    views(down, stream=1)
    answer = offers[0].answer(origin_id=NVR, address="192.168.1.10", port=15060, payload_type=96, ssrc=1)
    down.on_event(CallAnswered("leg", replace(answer, stream=names)), 2.0)
    commands = down.commands()
    assert (Say("stream_other", NVR) in commands) is told
    assert SendRecord(MediaAnswered(OPEN.call, 1)) in commands


@pytest.mark.parametrize(("edition", "listed"), [(2022, True), (2016, False)])
def test_a_platform_of_2022_sees_which_cameras_have_two_streams(edition: int, listed: bool) -> None:
    configured = site(None)
    tree = Tree(configured, configured.platform[0])
    for camera, has in ((CAMERA, True), (BARE, False)):
        entry = tree.entry("34020000001320000001", CatalogItem(NVR, camera.id, "门", "", "", 0, 1))
        written = encode_message(CatalogResponse(1, configured.site.id, 1, (entry,)), edition=edition)
        assert (b"<StreamNumberList>0/1</StreamNumberList>" in written) is (listed and has)
        assert (b"StreamNumberList" in written) is (listed and has)
