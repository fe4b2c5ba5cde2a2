"""Sound toward a camera as a script: who must have said what before a packet of it crosses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.control.pins import objection
from edge.control.wire import ClosePin, OpenFrom, OpenTo, RenewPin
from edge.ferry.calls import PassedSocket
from edge.ferry.commands import AskKeeper, CloseDescriptor, DropSide, JoinRelay, Send, StartRelay, StopRelay
from edge.ferry.core import Ferry
from edge.ferry.talks import SILENCE_SECONDS, TALK_SECONDS
from edge.records.types import CloseMedia, MediaRefused, OpenTalk, Party, TalkAnswered, TalkReady, TalkSink
from tests.playbook import test_ferry as ferry

TALK = OpenTalk(9, ferry.CITY, ferry.NVR, ferry.SHARED, "")
SOURCE = PassedSocket(20, ("100.64.0.10", 42000), ("100.64.255.10", 41000))
EAR = PassedSocket(21, ("192.168.1.2", 30010), ("192.168.1.10", 15062))
FROM = OpenFrom("from-9", "100.64.255.10", 41000, "100.64.0.10", 42000, 30)
TO = OpenTo("to-9", ferry.NVR, "192.168.1.10", 15062, 30010, 30)


class Script(ferry.Script):
    def __init__(self) -> None:
        super().__init__()
        self.ferry = Ferry(ferry.granted("talk"))

    def agreed(self) -> Script:
        self.says(Party.CITY, TALK)
        assert self.says(Party.SITE, TalkAnswered(9)) == [Send(Party.CITY, TalkAnswered(9))]
        return self

    def ready(self) -> Script:
        done = self.agreed().says(Party.CITY, TalkReady(9), SOURCE)
        assert done == [AskKeeper(FROM), Send(Party.SITE, TalkReady(9))]
        return self

    def flowing(self) -> Script:
        assert self.ready().says(Party.SITE, TalkSink(9, 1), EAR) == [AskKeeper(TO)]
        self.ferry.on_pin(FROM, True, self.now)
        assert self.ferry.commands() == [], "one pin is not enough"
        self.ferry.on_pin(TO, True, self.now)
        assert self.ferry.commands() == [StartRelay(9, 20, 0, 8, content="sound"), JoinRelay(9, 9, 21, 1, 8, 1360)]
        return self


def test_a_talk_from_the_citys_wish_to_its_end() -> None:
    script = Script().flowing()
    script.ferry.on_viewer(9, 50, 8600, "", script.now)
    assert ferry.ending(script.says(Party.CITY, CloseMedia(9, "ended_normally"))) == [
        StopRelay(9),
        AskKeeper(ClosePin("from-9")),
        CloseDescriptor(20),
        AskKeeper(ClosePin("to-9")),
        CloseDescriptor(21),
        Send(Party.SITE, CloseMedia(9, "ended_normally")),
        "ended_normally",
    ]


def test_nobody_speaks_without_the_right() -> None:
    script = ferry.Script()
    assert Send(Party.CITY, MediaRefused(9, 403, "right_not_granted")) in script.says(Party.CITY, TALK)
    assert isinstance(script.says(Party.CITY, TalkReady(9), SOURCE)[-1], CloseDescriptor)


@pytest.mark.parametrize("far", [
    replace(SOURCE, peer=("203.0.113.9", 41000)), replace(SOURCE, local=("192.168.1.2", 42000)),
    replace(SOURCE, transport="tcp"),
])  # fmt: skip
def test_a_source_elsewhere_is_not_listened_to(far: PassedSocket) -> None:
    done = Script().agreed().says(Party.CITY, TalkReady(9), far)
    assert done[:2] == [CloseDescriptor(20), DropSide(Party.CITY, "sink_foreign_address")]


@pytest.mark.parametrize(("far", "rule"), [
    (replace(EAR, peer=("192.168.1.77", 15062)), "source_not_reserved"),
    (replace(EAR, local=("192.168.1.2", 5060)), "port_not_free"),
    (replace(EAR, transport="tcp"), "source_not_reserved"),
])  # fmt: skip
def test_sound_goes_to_the_recorder_and_to_nobody_else(far: PassedSocket, rule: str) -> None:
    done = Script().ready().says(Party.SITE, TalkSink(9, 1), far)
    assert done[:2] == [CloseDescriptor(21), DropSide(Party.SITE, rule)]


def test_no_step_can_be_skipped() -> None:
    script = Script()
    script.says(Party.CITY, TALK)
    assert DropSide(Party.CITY, "talk_ready_unanswered") in script.says(Party.CITY, TalkReady(9), SOURCE)
    script = Script().agreed()
    assert DropSide(Party.SITE, "talk_ready_unanswered") in script.says(Party.SITE, TalkSink(9, 1), EAR)


def test_a_refused_pin_ends_it() -> None:
    script = Script().ready()
    script.ferry.on_pin(FROM, False, script.now)
    assert Send(Party.CITY, CloseMedia(9, "pin_refused")) in script.ferry.commands()


def test_pins_live_as_long_as_somebody_speaks() -> None:
    script = Script().flowing()
    script.ferry.on_viewer(9, 50, 8600, "", script.now + 10)
    assert script.wait(11) == [AskKeeper(RenewPin("from-9", 30)), AskKeeper(RenewPin("to-9", 30))]
    assert Send(Party.SITE, CloseMedia(9, "media_stopped")) in script.wait(SILENCE_SECONDS)


def test_a_step_that_does_not_come_ends_it() -> None:
    assert Send(Party.CITY, CloseMedia(9, "recorder_no_answer")) in Script().agreed().wait(TALK_SECONDS + 1)


def test_the_keeper_asks_the_configuration_and_not_the_ferry() -> None:
    site = ferry.granted("talk")
    assert objection(FROM, (), site) is None
    assert objection(TO, (), site) is None
    assert ferry.SITE is not None
    assert objection(FROM, (), ferry.SITE) == objection(TO, (), ferry.SITE) == "pin_talk"
    assert objection(replace(TO, address="192.168.1.77"), (), site) == "pin_recorder_address"
    assert objection(replace(TO, lan_port=5060), (), site) == "pin_lan_port"
    assert objection(TO, (replace(TO, pin="to-8"),), site) == "pin_lan_port_taken"
    assert objection(replace(FROM, address="203.0.113.9"), (), site) == "pin_city_address"
    assert objection(FROM, (FROM,) * 8, site) == "pin_count"
