"""What operators complain about, row by row: SDP, headers, subscriptions, alarms, clocks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.gb28181.reports import AlarmReceived, ChannelChanged, DeviceOffline, PositionReceived
from edge.manscdp.events import AlarmNotify
from edge.manscdp.messages import decode
from edge.sdp import description
from edge.sip.message import parse
from tests.playbook.gb28181.test_roles import CAMERA, CITY, NVR, PLATFORM, Wire, entries

HEAD = b"v=0\r\no=34020000001310000001 0 0 IN IP4 192.168.1.10\r\ns=Play\r\nc=IN IP4 192.168.1.10\r\nt=0 0\r\nm=video 15060 "


def watched() -> Wire:
    """Registered at a platform that subscribes to all there is."""
    wants = ("Catalog", "Alarm", "MobilePosition")
    wire = Wire(platform=replace(PLATFORM, devices=(replace(PLATFORM.devices[0], wants=wants),)))
    wire.device.set_catalog(entries(2), wire.now)
    return wire.registered()


def test_row_13_no_clock_of_ours_or_of_the_citys_is_given_to_a_recorder() -> None:
    """A server's Date in UTC sets cameras eight hours off: a recorder gets no Date at all."""
    wire = watched()
    wire.established()
    wire.wait(200)
    sent = [parse(data) for data in wire.sent]
    assert len(sent) > 20
    assert not [message for message in sent if message.headers.get("date") is not None]


@pytest.mark.parametrize(
    "rest",
    [
        b"RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\ny=0200004321\r\nf=v/2/5/25/1/4000a///\r\n",
        b"RTP/AVP 96\r\ny=0200004321\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\n",
        b"RTP/AVP 96 97\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\na=rtpmap:97 MPEG4/90000\r\na=username:x\r\na=filesize:0\r\ny=0200004321\r\n",
        b"RTP/AVP 96\r\na=rtpmap:96 PS/90000\r\na=sendonly\r\nf=\r\ny=0200004321\r\n\r\n",
    ],
)
def test_row_15_an_answer_is_read_in_whatever_order_and_an_offer_is_written_in_one(rest: bytes) -> None:
    """y= that is not last gives 415, a missing f= breaks strict peers: lenient below, one canonical order upward."""
    read = description.parse(HEAD + rest)
    assert (read.address, read.port, read.ssrc, read.payload_types[0]) == ("192.168.1.10", 15060, 200_004_321, 96)
    names = [line[:1] for line in bytes(replace(read, form="v/2/5/25/1/4000a///")).decode().split("\r\n") if line]
    assert names[:6] == ["v", "o", "s", "c", "t", "m"]
    assert names[-2:] == ["y", "f"]
    assert read.origin_id == CAMERA, "o= is the channel"


def test_row_16_answers_go_where_the_question_came_from_with_contact_and_no_route() -> None:
    """Devices drop what does not come from the Via's address, want a Contact, and stumble over Route."""
    wire = watched()
    wire.established()
    for data in wire.sent:
        message = parse(data)
        assert message.headers.get("route") is None
        assert message.headers.get("record-route") is None
        assert "rport" in (message.headers.get("via") or "")
        method = getattr(message, "method", "")
        if method in ("INVITE", "SUBSCRIBE", "REGISTER", "NOTIFY") or (
            getattr(message, "status", 0) == 200 and " INVITE" in (message.headers.get("cseq") or "")
        ):
            assert message.headers.get("contact"), data
    ask = next(data for data in wire.sent if data.startswith(b"MESSAGE") and b"Catalog" in data)
    routed = ask.replace(b"Via:", b"Route: <sip:192.0.2.9;lr>\r\nVia:", 1).replace(b"z9hG4bK", b"z9hG4bKagain", 1)
    wire.device.receive_datagram(routed, CITY, wire.now)
    answers = wire.device.datagrams_to_send(wire.now)
    assert {to for _, to in answers} == {CITY}
    assert answers[0][0].startswith(b"SIP/2.0 200")


def test_row_18_a_481_to_a_notice_ends_that_subscription_and_nothing_else() -> None:
    """Platforms forget their subscriptions and answer 481; some never subscribe: what is off is in the keepalive, too."""
    wire = watched()
    (notify,) = [data for data in _change(wire) if data.startswith(b"NOTIFY")]
    via = [
        line for line in notify.split(b"\r\n") if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq")
    ]
    gone = b"\r\n".join([b"SIP/2.0 481 Subscription Does Not Exist", *via, b"Content-Length: 0", b"", b""])
    wire.device.receive_datagram(gone, CITY, wire.now)
    wire.carry()
    assert not wire.of(DeviceOffline)
    wire.sent.clear()
    _change(wire, "ON")
    wire.wait(15)
    assert not [data for data in wire.sent if data.startswith(b"NOTIFY")]
    assert [data for data in wire.sent if b"<CmdType>Keepalive</CmdType>" in data], (
        "the change is told with the keepalive"
    )


def _change(wire: Wire, status: str = "OFF") -> list[bytes]:
    first, *rest = entries(2)
    wire.device.set_catalog([first.with_status(status), *rest], wire.now)
    wire.now += 11
    wire.device.handle_timer(wire.now)
    return [data for data, _ in wire.device.datagrams_to_send(wire.now)]


def test_row_18_a_position_is_one_by_its_body_whatever_its_event_is_called() -> None:
    """A position comes under Event: Catalog (Kedacom): the body says what it is."""
    wire = watched()
    subscribe = next(data for data in wire.sent if data.startswith(b"SUBSCRIBE") and b"MobilePosition" in data)
    asked = parse(subscribe)
    body = (
        b'<?xml version="1.0"?><Notify><CmdType>MobilePosition</CmdType><SN>1</SN>'
        b"<DeviceID>34020000001310000001</DeviceID><Time>2026-11-01T00:00:00</Time>"
        b"<Longitude>117.2</Longitude><Latitude>31.8</Latitude></Notify>"
    )
    answered = next(
        data
        for data in wire.sent
        if data.startswith(b"SIP/2.0 200") and str(asked.headers.get("call-id")).encode() in data
    )
    to = parse(answered).headers.get("to")
    notify = (
        f"NOTIFY sip:{PLATFORM.id}@{CITY} SIP/2.0\r\nVia: SIP/2.0/UDP {NVR};rport;branch=z9hG4bKpos\r\n"
        f"From: {to}\r\nTo: {asked.headers.get('from')}\r\nCall-ID: {asked.headers.get('call-id')}\r\nCSeq: 9 NOTIFY\r\n"
        f"Event: Catalog\r\nSubscription-State: active\r\nMax-Forwards: 70\r\n"
        f"Content-Type: Application/MANSCDP+xml\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    wire.platform.receive_datagram(notify, NVR, wire.now)
    wire.carry()
    assert [event.position.device_id for event in wire.of(PositionReceived)] == [CAMERA]


def test_row_19_a_recorder_whose_alarms_are_wanted_is_armed_after_it_registers() -> None:
    """No alarm comes until SetGuard; it is sent where alarms are wanted, and nowhere else."""
    armed = [data for data in watched().sent if b"<GuardCmd>SetGuard</GuardCmd>" in data]
    assert len(armed) == 1
    assert not [data for data in Wire().registered().sent if b"SetGuard" in data]


def test_row_19_an_alarm_without_a_type_is_an_alarm() -> None:
    """Parsers crash when AlarmType is missing: every field of an alarm but its sender is optional."""
    body = f"<Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>{CAMERA}</DeviceID></Notify>".encode()
    read = decode(body)
    assert isinstance(read, AlarmNotify)
    assert read.alarm_type is None
    wire = watched()
    wire.device._reply(read, wire.now)
    wire.carry()
    assert [event.alarm.device_id for event in wire.of(AlarmReceived)] == [CAMERA]
    assert not wire.of(ChannelChanged)
