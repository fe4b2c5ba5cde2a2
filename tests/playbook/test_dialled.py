"""A city that listens for its media, as a script: it is dialled after it was answered, and nothing goes out before."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from edge.ferry.calls import PassedSocket
from edge.ferry.commands import AskKeeper, CloseDescriptor, DropSide, JoinRelay, Send, StartRelay
from edge.ferry.core import Ferry
from edge.ferry.relay import StreamTold
from edge.ferry.views import DIAL_SECONDS
from edge.records.types import (
    CloseMedia,
    MediaAnswered,
    MediaDial,
    MediaDialled,
    MediaReady,
    MediaReserved,
    Party,
    PinOpened,
)
from edge.rtp.packet import MAX_PACKET_BYTES
from tests.playbook import test_ferry as ferry

DIAL = MediaDial(7, 200001, 96, int(IPv4Address("100.64.255.10")), 40000, int(IPv4Address("100.64.0.10")), 41000)
SINK = replace(ferry.SINK, transport="tcp")
OUT = replace(ferry.OUT, transport="tcp")


class Script(ferry.Script):
    def flowing(self) -> Script:
        self.says(Party.CITY, DIAL)
        assert AskKeeper(OUT) in self.says(Party.CITY, ferry.OPEN)
        self.ferry.on_pin(OUT, True, self.now)
        self.says(Party.SITE, MediaReserved(7, 30000))
        self.ferry.on_pin(ferry.IN, True, self.now)
        assert self.ferry.commands() == [Send(Party.SITE, PinOpened(7))]
        assert self.says(Party.SITE, MediaAnswered(7)) == [Send(Party.CITY, MediaAnswered(7))]
        assert self.says(Party.SITE, MediaReady(7, 55, 96), ferry.SOURCE) == [StartRelay(7, 11, 55, 96)]
        return self


def test_packets_go_out_once_the_city_has_taken_the_connection() -> None:
    done = Script().flowing().says(Party.CITY, MediaDialled(7), SINK)
    assert done == [JoinRelay(7, 7, 10, 200001, 96, MAX_PACKET_BYTES)]


@pytest.mark.parametrize("other", [
    replace(SINK, peer=("100.64.255.10", 40001)), replace(SINK, peer=("203.0.113.9", 40000)),
    replace(SINK, local=("100.64.0.10", 41001)), replace(SINK, transport="udp"),
])  # fmt: skip
def test_another_connection_than_the_one_that_was_named_is_refused(other: PassedSocket) -> None:
    done = Script().flowing().says(Party.CITY, MediaDialled(7), other)
    assert done[:2] == [CloseDescriptor(10), DropSide(Party.CITY, "sink_foreign_address")]


def test_d03_a_listener_outside_the_citys_media_networks_is_not_dialled() -> None:
    script = ferry.Script()
    foreign = replace(DIAL, address=int(IPv4Address("192.168.1.10")))
    assert DropSide(Party.CITY, "sink_foreign_address") in script.says(Party.CITY, foreign)


def test_a_connection_before_the_answer_is_refused() -> None:
    script = ferry.Script()
    script.says(Party.CITY, DIAL)
    script.says(Party.CITY, ferry.OPEN)
    assert DropSide(Party.CITY, "sink_unexpected") in script.says(Party.CITY, MediaDialled(7), SINK)


def test_a_city_that_never_takes_it_is_hung_up_on() -> None:
    script = Script().flowing()
    script.ferry.media.on_stream(StreamTold(7, 1, 0, False, False, {}, {}), script.now + DIAL_SECONDS)
    assert Send(Party.CITY, CloseMedia(7, "city_media_unreached")) in script.wait(DIAL_SECONDS + 1)


@pytest.mark.parametrize("gone", ["city_media_closed", "city_media_backwards"])
def test_the_end_of_its_connection_ends_the_view(gone: str) -> None:
    script = Script().flowing()
    script.says(Party.CITY, MediaDialled(7), SINK)
    script.ferry.on_viewer(7, 10, 100, gone, script.now)
    done = script.ferry.commands()
    assert Send(Party.CITY, CloseMedia(7, gone)) in done
    assert Send(Party.SITE, CloseMedia(7, gone)) in done


@pytest.mark.parametrize(("kind", "ends"), [("live", True), ("playback", False)])
def test_a_recorder_that_hangs_up_ends_what_is_live(kind: str, ends: bool) -> None:
    """What follows a recording's last packet is its end, which the recorder tells itself."""
    script = ferry.Script().flowing()
    pull = script.ferry.media.pulls[7]
    pull.request = replace(pull.request, kind=kind)
    script.ferry.media.on_stream(StreamTold(7, 9, 0, False, True, {}, {}), script.now)
    assert (Send(Party.CITY, CloseMedia(7, "media_stopped")) in script.ferry.commands()) is ends


def test_a_recorder_set_to_tcp_has_its_pin_and_its_socket_so() -> None:
    assert ferry.SITE is not None
    recorder = ferry.SITE.recorder[0].model_copy(update={"media": "tcp_passive"})
    script = ferry.Script()
    script.ferry = Ferry(ferry.SITE.model_copy(update={"recorder": (recorder,)}))
    script.opened()
    assert script.says(Party.SITE, MediaReserved(7, 30000)) == [AskKeeper(replace(ferry.IN, transport="tcp"))]
    script.ferry.on_pin(replace(ferry.IN, transport="tcp"), True, script.now)
    script.says(Party.SITE, MediaAnswered(7))
    wrong = script.says(Party.SITE, MediaReady(7, 55, 96), ferry.SOURCE)
    assert DropSide(Party.SITE, "source_not_reserved") in wrong


def test_what_came_by_tcp_is_read_as_it_is_framed() -> None:
    assert ferry.SITE is not None
    recorder = ferry.SITE.recorder[0].model_copy(update={"media": "tcp_active"})
    for framing, prefix in (("length", 2), ("interleaved", 4)):
        script = ferry.Script()
        script.ferry = Ferry(ferry.SITE.model_copy(update={"recorder": (recorder,)}))
        script.opened().says(Party.SITE, MediaReserved(7, 30000))
        script.ferry.on_pin(replace(ferry.IN, transport="tcp"), True, script.now)
        script.says(Party.SITE, MediaAnswered(7))
        source = replace(ferry.SOURCE, transport="tcp")
        done = script.says(Party.SITE, MediaReady(7, 55, 96, framing), source)
        assert StartRelay(7, 11, 55, 96, prefix) in done
