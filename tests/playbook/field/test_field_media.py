"""What operators complain about, row by row: pictures and sound that do not come, do not stop, or are not right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.access import Access
from edge.cityside.core import CitySide, OpenSink, SendRecord
from edge.cityside.issued import IssuedIds
from edge.cityside.upper import device_config
from edge.ferry.commands import JoinRelay, LeaveRelay, Send
from edge.gb28181.device import Device
from edge.gb28181.legs import InviteReceived
from edge.gb28181.platform import Platform
from edge.gb28181.reports import DeviceOnline
from edge.io.log import Log
from edge.records.codec import encode
from edge.records.types import (
    CloseMedia,
    MediaAnswered,
    MediaReady,
    MediaRefused,
    MediaSink,
    OpenMedia,
    Party,
    PinOpened,
)
from edge.rtp.inspection import PsInspection
from edge.rtp.psm import read_map
from edge.sdp import description
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from edge.siteside.core import SiteSide
from edge.siteside.process import platform_config
from tests.chance import SeededChance
from tests.playbook import test_ferry as ferry
from tests.playbook.gb28181.test_roles import CITY_ID, Wire
from tests.unit.edge.rtp.test_inspection import key, pes, picture, stream_map

SITE = ferry.SITE
assert SITE is not None
TUNNEL, LAN = str(SITE.tunnel[0].address.ip), str(SITE.lan.address.ip)


def city_side(tmp_path: Path) -> tuple[CitySide, str]:
    """A city side whose ferry is there, and the issued id of the shared channel."""
    assert SITE is not None
    ids = IssuedIds(tmp_path / "ids.json", SITE.site.id)
    ids.issue([(ferry.NVR, ferry.SHARED)])
    platform = SITE.platform[0]
    side = CitySide(
        SITE,
        platform,
        Device(device_config(SITE, platform, "x", TUNNEL), SeededChance(1)),
        ids,
        SeededChance(2),
        TUNNEL,
    )
    side.on_ferry_up()
    return side, str(ids.of(ferry.NVR, ferry.SHARED))


def invited(channel: str, offer: MediaDescription) -> Any:
    return InviteReceived("leg", channel, offer, "", "", CITY_ID)


OFFER = MediaDescription.offer(
    session_name="Play", origin_id=CITY_ID, address="100.64.255.10", port=40000, payload_types=(96,), ssrc=200_004_321
)


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "192.168.1.10", "10.0.0.1", "203.0.113.9"])
def test_row_01_an_offer_with_an_address_of_nowhere_is_refused_by_name(tmp_path: Path, address: str) -> None:
    """收流超时: the INVITE is fine and no picture comes, for the SDP names an address of another network."""
    side, channel = city_side(tmp_path)
    side.on_event(invited(channel, replace(OFFER, address=address)), 1.0)
    assert side.counters["media_address_foreign"] == 1
    assert not [command for command in side.commands() if isinstance(command, OpenSink)]
    side.on_event(invited(channel, OFFER), 1.0)
    assert [command for command in side.commands() if isinstance(command, OpenSink)], "the control"


def test_row_01_each_side_is_told_the_boxs_address_on_its_own_side(tmp_path: Path) -> None:
    """One address a side, from the configuration: the tunnel's upward, the LAN's downward."""
    assert SITE is not None
    side, channel = city_side(tmp_path)
    side.on_event(invited(channel, OFFER), 1.0)
    (opened,) = (command for command in side.commands() if isinstance(command, OpenSink))
    side.on_sink(opened.call, Address(TUNNEL, 41000), 1.0)
    answers: list[Any] = []
    side._device.accept = lambda leg, answer, now: answers.append(answer)  # type: ignore[method-assign,assignment]
    side.on_record(MediaAnswered(opened.call), 2.0)
    assert (answers[0].address, answers[0].port, answers[0].ssrc) == (TUNNEL, 41000, OFFER.ssrc)

    down = SiteSide(SITE, Platform(platform_config(SITE, tmp_path, Log("test")), SeededChance(1)), SeededChance(2))
    offers: list[Any] = []
    down._platform.invite = lambda device, channel, offer, now: offers.append(offer) or "leg"  # type: ignore[method-assign,assignment,func-returns-value]
    down.on_event(DeviceOnline(ferry.NVR), 1.0)
    down.on_record(encode(OpenMedia(7, ferry.CITY, ferry.NVR, ferry.SHARED, "live", "")), 1.0)
    down.commands()
    down.on_port(7, 30000, 1.0)
    down.on_record(encode(PinOpened(7)), 1.0)
    assert [(offer.address, offer.port) for offer in offers] == [(LAN, 30000)]


@pytest.mark.parametrize("y", ["y=0000000000", "y=0000001300", "y=null", "y=12345", ""])
def test_row_03_whatever_ssrc_a_recorder_answers_or_sends_the_city_gets_the_one_it_named(y: str) -> None:
    """Recorders ignore y=, answer another one, none, or 0: it is learnt below and stamped anew above."""
    answer = description.parse(
        b"v=0\r\no=- 0 0 IN IP4 192.168.1.10\r\ns=Play\r\nc=IN IP4 192.168.1.10\r\nt=0 0\r\n"
        b"m=video 15060 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\n" + (f"{y}\r\n".encode() if y else b"")
    )
    assert answer.port == 15060
    script = ferry.Script().answered()
    done = script.says(Party.SITE, MediaReady(7, 0, 96), ferry.SOURCE)
    (joined,) = (command for command in done if isinstance(command, JoinRelay))
    assert joined.ssrc == 200001, "what the city's sink was to bear"


def test_row_04_a_lost_packet_is_known_and_the_next_picture_is_whole() -> None:
    """Loss over UDP makes mosaic that nobody can explain: it is noticed, and costs one picture."""
    inspection = PsInspection()
    good = bytearray(key())
    assert inspection.take(good, 0, len(good), True, False) is None
    late = bytearray(picture(3000)[1360:])
    assert inspection.take(late, 0, len(late), True, True) == b""
    assert inspection.counters["ps_gap"]
    again = bytearray(picture())
    assert inspection.take(again, 0, len(again), True, False) is None


def test_row_09_the_stop_of_one_viewer_is_not_the_others_and_the_last_one_stops_the_recorder() -> None:
    """A stream runs on after its viewer stopped, or another viewer's stops with it."""
    script = ferry.Script().flowing()
    ferry.join(script)
    first = script.says(Party.CITY, CloseMedia(8, "ended_normally"))
    assert LeaveRelay(7, 8) in first
    assert not [done for done in first if isinstance(done, Send) and done.to is Party.SITE]
    assert Send(Party.SITE, CloseMedia(7, "ended_normally")) in script.says(Party.CITY, CloseMedia(7, "ended_normally"))
    wire = Wire().registered()
    asking, _ = wire.established()
    bye = len([data for data in wire.sent if data.startswith(b"BYE")])
    wire.platform.hang_up(asking, wire.now)
    wire.platform.hang_up(asking, wire.now)
    wire.carry()
    assert len([data for data in wire.sent if data.startswith(b"BYE")]) == bye + 1


def test_row_14_nobody_speaks_to_a_camera_whose_owner_and_city_do_not_both_say_so() -> None:
    """Talk kills the picture or makes noise: it is a right of its own, which nobody has by default."""
    assert SITE is not None
    assert SITE.channel[0].allow == ("live",)
    refusal = Access(SITE).refuses(ferry.CITY, ferry.NVR, ferry.SHARED, "talk")
    assert refusal is not None
    assert refusal.reason == "right_not_granted"
    granted = ferry.granted("talk")
    assert Access(granted).refuses(ferry.CITY, ferry.NVR, ferry.SHARED, "talk") is None, "the control"


def test_row_21_one_platforms_stop_and_rights_are_not_the_others() -> None:
    """Sessions of two platforms fight: what each may and watches is its own."""
    script = ferry.two()
    script.says(Party.CITY, MediaSink(7, 1, 96), replace(ferry.SINK, peer=("100.64.255.11", 40000)))
    refused = script.says(Party.CITY, replace(ferry.OPEN, platform=ferry.OTHER))
    assert Send(Party.CITY, MediaRefused(7, 403, "right_not_granted")) in refused
    assert ferry.two().opened(), "and the first one has it"


def test_row_22_a_second_view_of_a_camera_asks_the_recorder_for_nothing() -> None:
    """Two INVITEs for one channel open two streams, or end the first one."""
    script = ferry.Script().flowing()
    done = ferry.join(script)
    assert not [each for each in done if isinstance(each, Send) and isinstance(each.record, OpenMedia)]
    assert [each.call for each in done if isinstance(each, JoinRelay)] == [8]


def test_row_24_what_is_g711_below_is_the_same_g711_above() -> None:
    """A-law arrives as u-law: the stream map's types are neither guessed nor changed, and nothing is transcoded."""
    for kind in (0x90, 0x91):
        section = bytearray(stream_map(b""))
        at = section.index(b"\x1b\xe0")
        section[at : at + 2] = bytes((kind, 0xC0))
        read = read_map(bytes(section))
        assert read is not None
        assert read.types == {0xC0: kind}
        sound = pes(0xC0, b"\xd5" * 320)
        pack = key()[:14]
        data = bytearray(pack + read.clean + sound)
        whole = bytes(data)
        assert PsInspection().take(data, 0, len(data), True, False) is None
        assert bytes(data) == whole


@pytest.mark.parametrize("change", [
    {"transport": "TCP/RTP/AVP"}, {"transport": "TCP/RTP/AVP", "setup": "active"}, {"payload_types": (97,)}, {"port": 80},
])  # fmt: skip
def test_d03_an_offer_that_we_cannot_serve_is_refused_488(tmp_path: Path, change: dict[str, Any]) -> None:
    """setup:active would have the city connect into the site."""
    side, channel = city_side(tmp_path)
    refused: list[int] = []
    side._device.refuse = lambda leg, status, reason, now: refused.append(status)  # type: ignore[method-assign]
    side.on_event(invited(channel, replace(OFFER, **change)), 1.0)
    assert refused == [488]
    assert not [command for command in side.commands() if isinstance(command, OpenSink | SendRecord)]
