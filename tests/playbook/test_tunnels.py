"""A site with two tunnels: a view is of one of them, and ends when the side goes to the other."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from edge.cityside.core import CloseTalkPort, DropDial, OpenSink, SendRecord
from edge.control.pins import objection, pin_of
from edge.control.wire import ClosePin, OpenFrom, OpenOut
from edge.ferry.calls import PassedSocket
from edge.ferry.commands import AskKeeper, CloseDescriptor, DropSide, LeaveRelay, Send
from edge.ferry.core import Ferry
from edge.gb28181.device import UNREACHED_SECONDS, Device
from edge.lab.hubs import SECOND_TUNNEL_IP, two_tunnels
from edge.records.types import (
    CatalogItem,
    CloseMedia,
    MediaDial,
    MediaSink,
    OpenMedia,
    OpenTalk,
    Party,
    TalkAnswered,
    TalkReady,
)
from edge.sip.address import Address
from netconf.check import read_site
from tests.chance import SeededChance
from tests.playbook import test_ferry as ferry
from tests.playbook.field.test_field_media import OFFER, city_side, invited
from tests.playbook.gb28181.test_roles import DEVICE

TEXT = (Path(__file__).parents[2] / "edge/lab/site.toml").read_text(encoding="utf-8")
TWO, _ = read_site(two_tunnels(TEXT))
assert TWO is not None
OWN, OTHER, LAN = "100.64.0.10", SECOND_TUNNEL_IP, "192.168.1.2"
OUT = replace(ferry.OUT, local=OTHER)
SINK = replace(ferry.SINK, local=(OTHER, 41000))
FAR = int(IPv4Address("100.64.255.10"))


class Script(ferry.Script):
    def __init__(self) -> None:
        super().__init__()
        assert TWO is not None
        self.ferry = Ferry(TWO)


@pytest.mark.parametrize(("own", "good"), [(OWN, True), (OTHER, True), (LAN, False), ("100.64.0.12", False)])
def test_a_views_socket_is_of_one_of_the_sites_tunnels_and_its_pin_too(own: str, good: bool) -> None:
    script = Script()
    script.says(Party.CITY, MediaSink(7, 200001, 96), replace(ferry.SINK, local=(own, 41000)))
    done = script.says(Party.CITY, ferry.OPEN)
    assert (AskKeeper(replace(ferry.OUT, local=own)) in done) is good
    dialled = Script()
    said = dialled.says(Party.CITY, MediaDial(7, 200001, 96, FAR, 40000, int(IPv4Address(own)), 41000))
    assert (DropSide(Party.CITY, "sink_foreign_address") in said) is not good


@pytest.mark.parametrize(
    ("own", "rule"), [(OWN, None), (OTHER, None), (LAN, "pin_tunnel"), ("100.64.0.12", "pin_tunnel")]
)
def test_a_pin_is_from_a_tunnels_own_address(own: str, rule: str | None) -> None:
    assert TWO is not None
    talk = TWO.model_copy(update={
        "platform": tuple(p.model_copy(update={"rights": ("talk",)}) for p in TWO.platform),
        "channel": tuple(c.model_copy(update={"allow": ("talk",)}) for c in TWO.channel),
    })  # fmt: skip
    out = OpenOut("out-7", "100.64.255.10", 40000, own, 41000, 2048, 30)
    sound = OpenFrom("from-7", "100.64.255.10", 41000, own, 42000, 30)
    assert objection(out, (), TWO) == rule
    assert objection(sound, (), talk) == rule
    if rule is None:
        assert pin_of(out, TWO).keys == (f"{own} . 100.64.255.10 . 40000 . 41000",)
        assert pin_of(replace(out, transport="tcp"), TWO).keys == (f"{own} . 100.64.255.10 . 40000 . 41000",)
        assert pin_of(sound, talk).keys == (f"{own} . 100.64.255.10 . 41000 . 42000",)


def test_a_view_that_is_left_with_its_tunnel_closes_pin_and_socket_and_the_recorders_leg() -> None:
    script = Script().flowing()
    done = script.says(Party.CITY, CloseMedia(7, "tunnel_switched"))
    assert LeaveRelay(7, 7) in done
    assert CloseDescriptor(10) in done
    assert AskKeeper(ClosePin("out-7")) in done
    assert AskKeeper(ClosePin("in-7")) in done
    assert Send(Party.SITE, CloseMedia(7, "tunnel_switched")) in done
    assert not [c for c in done if isinstance(c, Send) and c.to is Party.CITY], "it told us itself"


def test_sound_by_the_other_tunnel_has_its_pin_there() -> None:
    script = ferry.Script()
    script.ferry = Ferry(ferry.granted("talk").model_copy(update={"tunnel": TWO.tunnel}))  # type: ignore[union-attr]
    script.says(Party.CITY, OpenTalk(9, ferry.CITY, ferry.NVR, ferry.SHARED, ""))
    script.says(Party.SITE, TalkAnswered(9))
    source = PassedSocket(20, (OTHER, 42000), ("100.64.255.10", 41000))
    done = script.says(Party.CITY, TalkReady(9), source)
    assert AskKeeper(OpenFrom("from-9", "100.64.255.10", 41000, OTHER, 42000, 30)) in done


def test_who_leaves_a_tunnel_tells_the_ferry_first_and_hangs_up_on_everybody(tmp_path: Path) -> None:
    side, channel = city_side(tmp_path)
    assert not side.watched
    side.on_event(invited(channel, OFFER), 1.0)
    (opened,) = (command for command in side.commands() if isinstance(command, OpenSink))
    side.on_sink(opened.call, Address(OWN, 41000), 1.0)
    assert [c.record for c in side.commands() if isinstance(c, SendRecord) and isinstance(c.record, OpenMedia)]
    assert side.watched
    refused: list[tuple[str, int]] = []
    side._device.refuse = lambda leg, status, reason, now: refused.append((leg, status))  # type: ignore[method-assign]
    side.leave("tunnel_switched", 2.0)
    first, *rest = side.commands()
    assert first == SendRecord(CloseMedia(opened.call, "tunnel_switched"))
    assert DropDial(opened.call) in rest
    assert not [c for c in rest if isinstance(c, CloseTalkPort)]
    assert refused == [("leg", 480)]
    assert not side.watched


def test_who_follows_shows_what_was_shown(tmp_path: Path) -> None:
    before, channel = city_side(tmp_path)
    before.on_record(CatalogItem(ferry.NVR, ferry.SHARED, "北门", "", "", 0, 1), 1.0)
    before.publish(1.0)
    after, _ = city_side(tmp_path)
    assert after.status()["channels"] == {}
    after.follow(before)
    after.publish(2.0)
    assert after.status()["channels"] == {channel: "ON"}


def test_since_when_a_platform_answers_nothing() -> None:
    device = Device(DEVICE, SeededChance(1))
    assert device.unanswered_since is None, "nothing was asked"
    device.start(5.0)
    assert device.unanswered_since == 5.0
    device.handle_timer(6.0)
    assert device.unanswered_since == 5.0, "the first question counts"
    silent = Device(replace(DEVICE, server=Address("100.64.255.10", 5060, "tcp")), SeededChance(1))
    silent.not_reached("silent", 9.0)
    silent.disconnected(20.0)
    assert silent.unanswered_since == 9.0
    assert UNREACHED_SECONDS > 60
