"""The ferry as a script: what the sides say, what it does. Every road in and every road out of a view."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from edge.control.wire import ClosePin, OpenIn, OpenOut, RenewPin
from edge.ferry.calls import TABLE, CallRefused, Event, PassedSocket, Pull, State
from edge.ferry.commands import (
    AskKeeper,
    CloseDescriptor,
    DropSide,
    JoinRelay,
    LeaveRelay,
    Send,
    StartRelay,
    StopRelay,
    WriteReceipt,
)
from edge.ferry.core import Ferry
from edge.ferry.relay import StreamTold
from edge.ferry.views import FOREIGN_SECONDS, SILENCE_SECONDS
from edge.records.codec import encode
from edge.records.types import (
    CallLives,
    CallsTold,
    CatalogItem,
    ChannelState,
    CloseMedia,
    DeviceControl,
    MediaAnswered,
    MediaReady,
    MediaRefused,
    MediaReserved,
    MediaSink,
    OpenMedia,
    Party,
    PinOpened,
    Record,
    WantKeyFrame,
)
from netconf.check import read_site
from netconf.model import Site

SITE, _ = read_site((Path(__file__).parents[2] / "edge/lab/site.toml").read_text(encoding="utf-8"))
assert SITE is not None
CITY = SITE.platform[0].id
NVR, SHARED, PRIVATE = "34020000001180000001", "34020000001310000001", "34020000001310000002"
TUNNEL = "100.64.0.10"
SINK = PassedSocket(10, ("100.64.0.10", 41000), ("100.64.255.10", 40000))
SOURCE = PassedSocket(11, ("192.168.1.2", 30000), ("192.168.1.10", 15060))
ITEM = CatalogItem(NVR, SHARED, "北门", "", "", 0, 1)
IN = OpenIn("in-7", NVR, 30000, (96,), 976, 30)
OUT = OpenOut("out-7", "100.64.255.10", 40000, TUNNEL, 41000, 2048, 30)
OPEN = OpenMedia(7, CITY, NVR, SHARED, "live", "")


class Script:
    """A ferry, a clock, and what it did last."""

    def __init__(self) -> None:
        assert SITE is not None
        self.ferry = Ferry(SITE)
        self.now = 100.0

    def says(self, who: Party, record: Record, *sockets: PassedSocket) -> list[object]:
        self.ferry.on_record(who, encode(record), sockets, self.now)
        return list(self.ferry.commands())

    def opened(self) -> Script:
        self.says(Party.CITY, MediaSink(7, 200001, 96), SINK)
        receipt, passed_on, out = self.says(Party.CITY, OPEN)
        assert isinstance(receipt, WriteReceipt), "the receipt is opened first"
        assert (receipt.event, receipt.call, receipt.told["result"]) == ("opened", 7, "allowed")
        assert passed_on == Send(Party.SITE, OPEN)
        assert out == AskKeeper(OUT)
        self.ferry.media.on_pin(OUT, True, self.now)
        assert self.ferry.commands() == []
        return self

    def reserved(self) -> Script:
        assert self.opened().says(Party.SITE, MediaReserved(7, 30000)) == [AskKeeper(IN)]
        return self

    def pinned(self) -> Script:
        self.reserved().ferry.media.on_pin(IN, True, self.now)
        assert self.ferry.commands() == [Send(Party.SITE, PinOpened(7))]
        return self

    def answered(self) -> Script:
        assert self.pinned().says(Party.SITE, MediaAnswered(7)) == [Send(Party.CITY, MediaAnswered(7))]
        return self

    def flowing(self) -> Script:
        done = self.answered().says(Party.SITE, MediaReady(7, 55, 96), SOURCE)
        assert done == [StartRelay(7, 11, 55, 96), JoinRelay(7, 7, 10, 200001, 96, 1392)]
        return self

    def traffic(self, packets: int, octets: int, later: float = 0.0, stream: int = 7, **dropped: int) -> None:
        """A worker reports."""
        self.ferry.media.on_stream(StreamTold(stream, packets, 0, False, False, {}, dropped), self.now + later)
        self.ferry.media.on_viewer(7, packets, octets, "", self.now + later)

    def wait(self, seconds: float) -> list[object]:
        self.now += seconds
        self.ferry.handle_timer(self.now)
        return list(self.ferry.commands())


def ending(commands: list[object]) -> list[object]:
    return [c if not isinstance(c, WriteReceipt) else c.told["reason"] for c in commands]


def test_a_view_from_request_to_the_city_hanging_up() -> None:
    script = Script().flowing()
    assert ending(script.says(Party.CITY, CloseMedia(7, "ended_normally"))) == [
        LeaveRelay(7, 7),
        CloseDescriptor(10),
        AskKeeper(ClosePin("out-7")),
        "ended_normally",
        AskKeeper(ClosePin("in-7")),
        StopRelay(7),
        CloseDescriptor(11),
        Send(Party.SITE, CloseMedia(7, "ended_normally")),
    ]


def hears(side: Party, reason: str, stage: str) -> Send:
    """What ends a view for a side: the city has had no answer before the recorder's."""
    unanswered = side is Party.CITY and stage in ("opened", "reserved", "pinned")
    return Send(side, MediaRefused(7, 480, reason) if unanswered else CloseMedia(7, reason))


@pytest.mark.parametrize("stage", ["opened", "reserved", "pinned", "answered", "flowing"])
@pytest.mark.parametrize("who", [Party.SITE, Party.CITY])
def test_either_side_may_close_in_every_state(stage: str, who: Party) -> None:
    script: Script = getattr(Script(), stage)()
    done = script.says(who, CloseMedia(7, "cancelled"))
    other = Party.CITY if who is Party.SITE else Party.SITE
    assert hears(other, "cancelled", stage) in done
    assert CloseDescriptor(10) in done
    assert (AskKeeper(ClosePin("in-7")) in done) == (stage != "opened")
    assert not script.ferry.media.views


@pytest.mark.parametrize("stage", ["opened", "reserved", "pinned", "answered"])
@pytest.mark.parametrize("who", [Party.SITE, Party.CITY])
def test_a_lost_side_ends_a_view_without_media_in_every_state(stage: str, who: Party) -> None:
    script: Script = getattr(Script(), stage)()
    script.ferry.on_side_lost(who, script.now)
    done = list(script.ferry.commands())
    other = Party.CITY if who is Party.SITE else Party.SITE
    assert hears(other, "side_lost", stage) in done
    assert CloseDescriptor(10) in done
    assert not script.ferry.media.views


@pytest.mark.parametrize("who", [Party.SITE, Party.CITY])
def test_media_outlives_a_side_that_comes_back_and_ends_without_one_that_does_not(who: Party) -> None:
    script = Script().flowing()
    script.ferry.on_side_lost(who, script.now)
    assert script.ferry.commands() == []
    script.traffic(100, 140_000, 5)
    assert not any(isinstance(done, Send) for done in script.wait(5))
    script.ferry.on_side_up(who)
    assert script.ferry.commands() == [Send(who, CallLives(7)), Send(who, CallsTold(1))]
    script.ferry.on_side_lost(who, script.now)
    done = script.wait(10.5)
    assert Send(Party.CITY if who is Party.SITE else Party.SITE, CloseMedia(7, "side_lost")) in done
    assert not script.ferry.media.views


@pytest.mark.parametrize("who", [Party.SITE, Party.CITY])
def test_an_owned_side_takes_its_views_with_it_at_once(who: Party) -> None:
    script = Script().flowing()
    script.ferry.on_side_away(who, script.now)
    assert CloseDescriptor(10) in script.ferry.commands()
    assert not script.ferry.media.views


def test_a_new_keeper_hears_of_the_pins_of_calls_that_flow() -> None:
    script = Script().flowing()
    script.ferry.media.on_keeper_up()
    assert script.ferry.commands() == [AskKeeper(IN), AskKeeper(OUT)]
    for asked in (IN, OUT):
        script.ferry.media.on_pin(asked, True, script.now)
    assert script.ferry.commands() == [], "its answer changes nothing"


def test_an_unshared_channel_is_refused_and_its_socket_closed() -> None:
    script = Script()
    script.says(Party.CITY, MediaSink(7, 1, 96), SINK)
    done = script.says(Party.CITY, replace(OPEN, channel=PRIVATE))
    assert done[:2] == [CloseDescriptor(10), Send(Party.CITY, MediaRefused(7, 403, "channel_not_shared"))]
    assert not script.ferry.media.views


def receipt(commands: list[object]) -> WriteReceipt:
    (found,) = (command for command in commands if isinstance(command, WriteReceipt))
    return found


def test_a_receipt_says_who_had_what_and_how_it_ended() -> None:
    script = Script()
    script.says(Party.CITY, MediaSink(7, 1, 96), SINK)
    refused = receipt(script.says(Party.CITY, replace(OPEN, channel=PRIVATE, viewer="治安大队")))
    assert (refused.event, refused.told) == (
        "closed",
        {
            "viewer": "治安大队", "platform": CITY, "recorder": NVR, "channel": PRIVATE, "kind": "live", "packets": 0, "bytes": 0,
            "result": "refused", "reason": "channel_not_shared",
        },
    )  # fmt: skip
    script = Script().flowing()
    script.traffic(12, 13_000)
    ended = receipt(script.says(Party.CITY, CloseMedia(7, "ended_normally"))).told
    assert (ended["packets"], ended["bytes"], ended["result"]) == (12, 13_000, "viewed")
    ended = receipt(Script().flowing().says(Party.CITY, CloseMedia(7, "ended_normally"))).told
    assert ended["result"] == "not_viewed"
    ended = receipt(Script().reserved().says(Party.SITE, MediaRefused(7, 480, "recorder_offline"))).told
    assert (ended["result"], ended["reason"]) == ("refused", "recorder_offline")


def test_an_unknown_channel_is_404() -> None:
    script = Script()
    script.says(Party.CITY, MediaSink(7, 1, 96), SINK)
    done = script.says(Party.CITY, replace(OPEN, channel="3" * 20))
    assert Send(Party.CITY, MediaRefused(7, 404, "channel_unknown")) in done


def test_a_refused_pin_refuses_the_view() -> None:
    script = Script().reserved()
    script.ferry.media.on_pin(IN, False, script.now)
    done = list(script.ferry.commands())
    assert Send(Party.CITY, MediaRefused(7, 503, "pin_refused")) in done
    assert Send(Party.SITE, CloseMedia(7, "pin_refused")) in done


def test_steps_may_not_be_skipped() -> None:
    """A site side that is owned has no media without the answer, and no answer without the pin."""
    script = Script().reserved()
    done = script.says(Party.SITE, MediaReady(7, 55, 96), SOURCE)
    assert done == [CloseDescriptor(11), DropSide(Party.SITE, "call_ready_in_waiting_pin")]
    assert script.ferry.faulty[Party.SITE] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        replace(SOURCE, local=("192.168.1.2", 30002)),
        replace(SOURCE, local=("192.168.1.66", 30000)),
        replace(SOURCE, peer=("192.168.1.11", 15060)),
        replace(SOURCE, peer=("100.64.255.10", 40000)),
    ],
)
def test_a_source_that_was_not_reserved_is_closed_and_the_side_dropped(wrong: PassedSocket) -> None:
    done = Script().answered().says(Party.SITE, MediaReady(7, 55, 96), wrong)
    assert done == [CloseDescriptor(11), DropSide(Party.SITE, "source_not_reserved")]


@pytest.mark.parametrize(
    "wrong",
    [replace(SINK, peer=("192.168.1.10", 40000)), replace(SINK, peer=("100.65.0.1", 40000)),
     replace(SINK, local=("192.168.1.2", 41000))],
)  # fmt: skip
def test_a_sink_outside_the_citys_media_network_is_closed_and_the_side_dropped(wrong: PassedSocket) -> None:
    done = Script().says(Party.CITY, MediaSink(7, 1, 96), wrong)
    assert done == [CloseDescriptor(10), DropSide(Party.CITY, "sink_foreign_address")]


def test_silence_ends_a_view_on_both_sides() -> None:
    script = Script().flowing()
    script.traffic(100, 100_000)
    done = script.wait(SILENCE_SECONDS + 0.1)
    assert Send(Party.CITY, CloseMedia(7, "media_stopped")) in done
    assert Send(Party.SITE, CloseMedia(7, "media_stopped")) in done


def test_the_pin_is_renewed_only_while_good_packets_come() -> None:
    script = Script().flowing()
    script.now += 9
    script.traffic(100, 100_000)
    assert script.wait(1.1) == [AskKeeper(RenewPin("in-7", 30)), AskKeeper(RenewPin("out-7", 30))]
    assert script.wait(10.1) == [], "no good packet since"


@pytest.mark.parametrize(("stage", "reason"), [("opened", "recorder_no_answer"), ("pinned", "recorder_no_answer")])
def test_a_side_that_hangs_cannot_hold_a_view_for_ever(stage: str, reason: str) -> None:
    script: Script = getattr(Script(), stage)()
    assert Send(Party.CITY, MediaRefused(7, 408, reason)) in script.wait(14)


def test_what_is_not_shared_never_reaches_the_city() -> None:
    script = Script()
    assert script.says(Party.SITE, ITEM) == [Send(Party.CITY, ITEM)]
    assert script.says(Party.SITE, replace(ITEM, channel=PRIVATE)) == []
    assert script.ferry.counters["channel_not_shared"] == 1


def test_a_city_side_that_comes_later_hears_what_was_said_before() -> None:
    script = Script()
    script.says(Party.SITE, ITEM)
    script.says(Party.SITE, ChannelState(NVR, SHARED, 0))
    script.ferry.on_side_up(Party.CITY)
    assert script.ferry.commands() == [Send(Party.CITY, CallsTold(0)), Send(Party.CITY, replace(ITEM, online=0))]


def test_a_lost_site_side_takes_its_channels_offline() -> None:
    script = Script()
    script.says(Party.SITE, ITEM)
    script.ferry.on_side_lost(Party.SITE, script.now)
    assert script.wait(9) == []
    assert script.wait(2) == [Send(Party.CITY, ChannelState(NVR, SHARED, 0))]


def test_every_state_and_event_stands_in_the_table_or_is_refused_by_name() -> None:
    for state in State:
        for event in Event:
            call = Pull(OPEN, state)
            if event in TABLE[state]:
                call.step(event, 1.0)
                assert call.state is TABLE[state][event]
            else:
                with pytest.raises(CallRefused) as refused:
                    call.step(event, 1.0)
                assert refused.value.rule == f"call_{event}_in_{state}"
                assert call.state is state


OTHER = "34020000002000000002"


def two() -> Script:
    """A ferry below two platforms: the other one has its media elsewhere, and may turn cameras and hear alarms."""
    assert SITE is not None
    first = SITE.platform[0]
    other = first.model_copy(update={
        "id": OTHER, "media_networks": (IPv4Network("100.64.255.11/32"),), "rights": ("ptz", "alarms"),
    })  # fmt: skip
    channel = SITE.channel[0].model_copy(update={"allow": ("live", "ptz", "alarms")})
    script = Script()
    script.ferry = Ferry(SITE.model_copy(update={"platform": (first, other), "channel": (channel, *SITE.channel[1:])}))
    return script


def test_what_one_platform_is_granted_another_does_not_get() -> None:
    script = two()
    sink = replace(SINK, peer=("100.64.255.11", 40000))
    script.says(Party.CITY, MediaSink(7, 1, 96), sink)
    refused = script.says(Party.CITY, replace(OPEN, platform=OTHER))
    assert Send(Party.CITY, MediaRefused(7, 403, "right_not_granted")) in refused
    for platform, crosses in ((OTHER, True), (CITY, False), ("3" * 20, False)):
        order = DeviceControl(9 + crosses, platform, NVR, SHARED, "", "preset_call", "3")
        assert (Send(Party.SITE, order) in script.says(Party.CITY, order)) is crosses


def test_media_for_one_platform_does_not_go_to_another() -> None:
    script = two()
    script.says(Party.CITY, MediaSink(7, 1, 96), SINK)
    assert script.says(Party.CITY, replace(OPEN, platform=OTHER)) == [
        CloseDescriptor(SINK.descriptor), DropSide(Party.CITY, "sink_of_another_platform"),
    ]  # fmt: skip
    assert not script.ferry.media.views
    assert two().opened(), "the control"


SECOND = PassedSocket(20, ("100.64.0.10", 41002), ("100.64.255.10", 40002))
OUT_8 = OpenOut("out-8", "100.64.255.10", 40002, TUNNEL, 41002, 2048, 30)


def join(script: Script) -> list[object]:
    """A second viewer of the same camera, up to the keeper's yes; returns what was done all along."""
    script.says(Party.CITY, MediaSink(8, 300001, 98), SECOND)
    done = script.says(Party.CITY, replace(OPEN, call=8, viewer="other"))
    script.ferry.media.on_pin(OUT_8, True, script.now)
    return [*done, *script.ferry.commands()]


def test_two_viewers_share_one_pull_and_the_last_one_ends_it() -> None:
    script = Script().flowing()
    receipt, *rest = join(script)
    assert isinstance(receipt, WriteReceipt)
    assert rest == [
        AskKeeper(OUT_8), Send(Party.CITY, MediaAnswered(8, 0, "ps", 98)), JoinRelay(7, 8, 20, 300001, 98, 1392),
        Send(Party.SITE, WantKeyFrame(7)),
    ]  # fmt: skip
    first = ending(script.says(Party.CITY, CloseMedia(7, "ended_normally")))
    assert first == [LeaveRelay(7, 7), CloseDescriptor(10), AskKeeper(ClosePin("out-7")), "ended_normally"]
    last = script.says(Party.CITY, CloseMedia(8, "ended_normally"))
    assert Send(Party.SITE, CloseMedia(7, "ended_normally")) in last
    assert StopRelay(7) in last
    assert not script.ferry.media.pulls


@pytest.mark.parametrize("stage", ["opened", "reserved", "pinned", "answered"])
def test_who_joins_before_media_flows_gets_it_when_it_does(stage: str) -> None:
    script: Script = getattr(Script(), stage)()
    assert not [done for done in join(script) if isinstance(done, JoinRelay)]
    for step, record in (("opened", MediaReserved(7, 30000)), ("reserved", None), ("pinned", MediaAnswered(7))):
        if ["opened", "reserved", "pinned", "answered"].index(stage) > ["opened", "reserved", "pinned"].index(step):
            continue
        if record is None:
            script.ferry.media.on_pin(IN, True, script.now)
        else:
            script.says(Party.SITE, record)
    done = script.says(Party.SITE, MediaReady(7, 55, 96), SOURCE)
    assert [each.call for each in done if isinstance(each, JoinRelay)] == [7, 8]


def test_a_recording_is_pulled_for_each_viewer() -> None:
    script = Script()
    script.ferry = Ferry(granted("playback"))
    wanted = replace(OPEN, kind="playback", start=1, end=2)
    script.says(Party.CITY, MediaSink(7, 1, 96), SINK)
    assert Send(Party.SITE, wanted) in script.says(Party.CITY, wanted)
    script.says(Party.CITY, MediaSink(8, 1, 96), SECOND)
    assert Send(Party.SITE, replace(wanted, call=8)) in script.says(Party.CITY, replace(wanted, call=8))


def granted(right: str) -> Site:
    assert SITE is not None
    platform = SITE.platform[0].model_copy(update={"rights": (right,)})
    channel = SITE.channel[0].model_copy(update={"allow": (right,)})
    return SITE.model_copy(update={"platform": (platform,), "channel": (channel, *SITE.channel[1:])})


def test_the_end_of_a_pull_ends_all_its_views() -> None:
    script = Script().flowing()
    join(script)
    done = script.says(Party.SITE, CloseMedia(7, "media_stopped"))
    assert [each for each in done if isinstance(each, Send)] == [
        Send(Party.CITY, CloseMedia(7, "media_stopped")), Send(Party.CITY, CloseMedia(8, "media_stopped")),
    ]  # fmt: skip
    assert not script.ferry.media.views


def test_a_side_that_comes_back_hears_of_pulls_or_of_views() -> None:
    script = Script().flowing()
    join(script)
    script.says(Party.CITY, CloseMedia(7, "ended_normally"))
    script.ferry.on_side_up(Party.SITE)
    assert script.ferry.commands() == [Send(Party.SITE, CallLives(7)), Send(Party.SITE, CallsTold(1))]
    script.ferry.on_side_up(Party.CITY)
    assert script.ferry.commands() == [Send(Party.CITY, CallLives(8)), Send(Party.CITY, CallsTold(1))]


def test_what_is_no_program_stream_is_cut_off_by_name() -> None:
    script = Script().flowing()
    script.traffic(100, 100_000)
    for _ in range(10):
        script.now += 0.5
        script.traffic(100 + int(script.now), 100_000, ps_unknown=int(script.now * 1000))
    assert script.ferry.commands() == [], "while good packets come among it, it is dropped and no more"
    good = 100 + int(script.now)
    began = script.now
    while not (done := list(script.ferry.commands())):
        script.now += 0.5
        script.traffic(good, 100_000, ps_unknown=int(script.now * 1000))
        assert script.now < began + 10
    assert script.now - began <= FOREIGN_SECONDS + 0.5
    assert Send(Party.CITY, CloseMedia(7, "media_foreign")) in done
    assert Send(Party.SITE, CloseMedia(7, "media_foreign")) in done


def narrow(mbit: int) -> Script:
    """A ferry whose site's line carries so much."""
    assert SITE is not None
    script = Script()
    script.ferry = Ferry(SITE.model_copy(update={"uplink": SITE.uplink.model_copy(update={"mbit_up": mbit})}))
    return script


CITY_LEVEL, COUNTY_LEVEL = "34020000002000000001", "34020200002000000001"


def test_over_the_lines_budget_a_view_is_refused() -> None:
    script = narrow(5).flowing()
    script.says(Party.CITY, MediaSink(8, 1, 96), SECOND)
    refused = script.says(Party.CITY, replace(OPEN, call=8))
    assert Send(Party.CITY, MediaRefused(8, 486, "uplink_full")) in refused
    assert list(script.ferry.media.views) == [7]
    assert join(narrow(8).flowing()), "the control"


def test_what_a_view_really_takes_is_what_counts() -> None:
    script = narrow(5).flowing()
    for second in range(60):
        script.traffic(100 * second, 100_000 * second, later=second)
    assert 0.7e6 < script.ferry.media.views[7].rate < 0.9e6
    assert [done for done in join(script) if isinstance(done, JoinRelay)]


def test_a_viewer_of_a_higher_level_goes_first() -> None:
    script = narrow(5)
    script.says(Party.CITY, MediaSink(7, 200001, 96), SINK)
    script.says(Party.CITY, replace(OPEN, viewer=COUNTY_LEVEL))
    script.says(Party.CITY, MediaSink(8, 1, 96), SECOND)
    done = script.says(Party.CITY, replace(OPEN, call=8, viewer=CITY_LEVEL))
    assert Send(Party.CITY, MediaRefused(7, 480, "uplink_yielded")) in done
    assert list(script.ferry.media.views) == [8]
    script.says(Party.CITY, MediaSink(9, 1, 96), replace(SECOND, descriptor=21))
    equal = script.says(Party.CITY, replace(OPEN, call=9, viewer=CITY_LEVEL))
    assert Send(Party.CITY, MediaRefused(9, 486, "uplink_full")) in equal, "its equal does not"


@pytest.mark.parametrize(("kind", "speed", "kbytes"), [
    ("live", 0, 244), ("playback", 0, 976), ("download", 8, 1953), ("download", 1, 976),
])  # fmt: skip
def test_r08_a_pin_lets_in_what_the_camera_is_set_to_and_a_fifth_more(kind: str, speed: int, kbytes: int) -> None:
    assert SITE is not None
    script = Script()
    camera = granted(kind).channel[0].model_copy(update={"mbit": 2})
    script.ferry = Ferry(granted(kind).model_copy(update={"channel": (camera,)}))
    script.says(Party.CITY, MediaSink(7, 200001, 96), SINK)
    start, end = (0, 0) if kind == "live" else (1000, 2000)
    script.says(Party.CITY, replace(OPEN, kind=kind, start=start, end=end, speed=speed))
    assert script.says(Party.SITE, MediaReserved(7, 30000)) == [AskKeeper(replace(IN, max_kbytes_per_second=kbytes))]


def reports(script: Script, later: float, packets: int, lost: int, keys: int, octets: int = 0) -> None:
    """A worker reports, and of view 7 how much it had."""
    at = script.now + later
    script.ferry.media.on_stream(StreamTold(7, packets, lost, False, False, {}, {}, 25 * keys, keys, 31.5, 2000), at)
    script.ferry.media.on_viewer(7, packets, octets, "", at)


def test_a_receipt_says_how_good_it_was() -> None:
    script = Script().flowing()
    reports(script, 1.2, 200, 0, 0)
    reports(script, 1.7, 300, 0, 1, 300_000)
    reports(script, 11.7, 9_990, 10, 6, 5_850_000)
    ended = receipt(script.says(Party.CITY, CloseMedia(7, "ended_normally"))).told
    assert ended["loss_ppm"] == 1000
    assert (ended["jitter_ms"], ended["key_frame_ms"]) == (32, 2000)
    assert ended["first_picture_ms"] == 1700, "from the city's request to the report of a key picture"
    assert ended["kbit_s"] == 4000


def test_a_view_without_a_picture_has_no_figures() -> None:
    ended = receipt(Script().flowing().says(Party.CITY, CloseMedia(7, "ended_normally"))).told
    assert not {"loss_ppm", "jitter_ms", "key_frame_ms", "first_picture_ms", "kbit_s"} & set(ended)


def test_who_joins_later_is_not_charged_with_what_was_lost_before() -> None:
    script = Script().flowing()
    reports(script, 1.0, 10_000, 5_000, 9)
    join(script)
    view, pull = script.ferry.media.views[8], script.ferry.media.pulls[7]
    reports(script, 2.0, 15_000, 5_000, 9)
    assert view.quality(pull).loss_ppm == 0
    assert view.first_picture_ms is None, "no key picture yet: nothing to be seen"
    reports(script, 2.5, 16_000, 5_000, 10)
    assert view.first_picture_ms == 2500
    assert script.ferry.media.views[7].quality(pull).loss_ppm == round(5e9 / 21_000)


def test_what_a_recording_is_played_at_is_no_jitter() -> None:
    script = Script().flowing()
    reports(script, 1.0, 10_000, 0, 9)
    view, pull = script.ferry.media.views[7], script.ferry.media.pulls[7]
    assert view.quality(pull).jitter_ms == 31.5
    view.request = replace(view.request, kind="playback")
    assert (view.quality(pull).jitter_ms, view.quality(pull).key_frame_ms) == (None, None)
