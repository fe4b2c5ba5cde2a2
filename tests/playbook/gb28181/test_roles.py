"""A device and a platform talk to each other; datagrams are carried by hand and time is a number.

The first thing to read to understand a registration, a catalog or a call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edge.gb28181.device import Device, DeviceConfig, Registered, RegistrationLost
from edge.gb28181.legs import CallAnswered, CallEnded, CallEstablished, CallFailed, InviteReceived
from edge.gb28181.platform import KnownDevice, Platform, PlatformConfig
from edge.gb28181.reports import CatalogReceived, DeviceOffline, DeviceOnline
from edge.gb28181.role import Refused
from edge.manscdp.catalog import CatalogEntry
from edge.manscdp.control import TeleBoot
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from tests.chance import SeededChance

NVR, CITY = Address("192.0.2.10", 5060), Address("192.0.2.1", 5060)
NVR_ID, CITY_ID, CAMERA = "34020000001180000001", "34020000002000000001", "34020000001310000001"
DEVICE = DeviceConfig(NVR_ID, "3402000000", NVR, CITY, CITY_ID, "3402000000", "secret", 3600, 60)
PLATFORM = PlatformConfig(
    CITY_ID, "3402000000", CITY, "3402000000", (KnownDevice(NVR_ID, "secret", frozenset({NVR.host})),)
)
OFFER = MediaDescription.offer(
    session_name="Play", origin_id=CITY_ID, address="192.0.2.1", port=30000, payload_types=(96,), ssrc=200001
)

Filter = Callable[[bytes], bool]


class Wire:
    """Both ends and the clock."""

    def __init__(self, device: DeviceConfig = DEVICE, platform: PlatformConfig = PLATFORM) -> None:
        self.now = 1000.0
        self.device = Device(device, SeededChance(1))
        self.platform = Platform(platform, SeededChance(2))
        self.heard: list[Any] = []
        self.sent: list[bytes] = []
        self.lose: Filter = lambda data: False

    def carry(self) -> None:
        """Carry datagrams until both are silent."""
        for _ in range(20_000):
            moved = False
            for end, other, source in ((self.device, self.platform, NVR), (self.platform, self.device, CITY)):
                for data, _to in end.datagrams_to_send(self.now):
                    moved = True
                    self.sent.append(data)
                    if not self.lose(data):
                        other.receive_datagram(data, source, self.now)
                while (event := end.next_event()) is not None:
                    self.heard.append(event)
            if not moved:
                return
        raise AssertionError("they never fall silent")

    def wait(self, seconds: float) -> None:
        """Let time pass, from timer to timer."""
        until = self.now + seconds
        while True:
            due = [at for at in (self.device.get_timer(), self.platform.get_timer()) if at is not None]
            self.now = min([until, *[max(at, self.now) for at in due]])
            self.device.handle_timer(self.now)
            self.platform.handle_timer(self.now)
            self.carry()
            if self.now >= until:
                return
            self.now += 0.001

    def registered(self) -> Wire:
        self.device.start(self.now)
        self.carry()
        assert Registered() in self.heard
        return self

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]

    def called(self) -> tuple[str, str]:
        """Invite; return the asking and the asked end's names of the call."""
        call = self.platform.invite(NVR_ID, CAMERA, OFFER, self.now)
        assert call is not None
        self.carry()
        return call, self.of(InviteReceived)[-1].call

    def established(self) -> tuple[str, str]:
        asking, asked = self.called()
        answer = OFFER.answer(origin_id=CAMERA, address=NVR.host, port=15060, payload_type=96, ssrc=200001)
        self.device.accept(asked, answer, self.now)
        self.carry()
        return asking, asked


def entries(count: int) -> tuple[CatalogEntry, ...]:
    return tuple(CatalogEntry(f"3402000000131{at:07d}", name=f"摄像机{at}") for at in range(count))


def test_registers_with_digest() -> None:
    wire = Wire().registered()
    assert wire.of(DeviceOnline) == [DeviceOnline(NVR_ID)]
    assert not any(b"secret" in data for data in wire.sent)


def test_a_wrong_password_is_refused_and_then_locked_out() -> None:
    wire = Wire(device=replace(DEVICE, password="guess", retry_seconds=1.0))
    wire.device.start(wire.now)
    wire.carry()
    wire.wait(10)
    assert [r.rule for r in wire.of(Refused)][:3] == ["wrong_password"] * 3
    assert not wire.of(DeviceOnline)
    assert any(data.startswith(b"SIP/2.0 403") for data in wire.sent)


def test_a_wrong_password_is_not_called_a_stale_nonce() -> None:
    """``stale=true`` means: the password is right, say it again (RFC 2617 3.2.1), and so runs into the lock."""
    wire = Wire(device=replace(DEVICE, password="guess", retry_seconds=1.0))
    wire.device.start(wire.now)
    wire.carry()
    challenges = [data for data in wire.sent if data.startswith(b"SIP/2.0 401")]
    assert len(challenges) == 2
    assert not any(b"stale=true" in data for data in challenges)


def test_a_nonce_that_is_too_old_is_called_stale() -> None:
    wire = Wire()
    wire.device.start(wire.now)
    (challenged,) = wire.device.datagrams_to_send(wire.now)
    wire.platform.receive_datagram(challenged[0], NVR, wire.now)
    (challenge,) = wire.platform.datagrams_to_send(wire.now)
    wire.device.receive_datagram(challenge[0], CITY, wire.now)
    wire.now += 61
    wire.carry()
    assert any(data.startswith(b"SIP/2.0 401") and b"stale=true" in data for data in wire.sent)


def test_a_device_from_another_address_is_refused() -> None:
    elsewhere = replace(PLATFORM, devices=(KnownDevice(NVR_ID, "secret", frozenset({"192.0.2.99"})),))
    wire = Wire(platform=elsewhere)
    wire.device.start(wire.now)
    wire.carry()
    assert [r.rule for r in wire.of(Refused)] == ["unknown_address"]


def test_an_unknown_id_is_refused() -> None:
    wire = Wire(device=replace(DEVICE, id="34020000001180000009"))
    wire.device.start(wire.now)
    wire.carry()
    assert [(r.rule, r.about) for r in wire.of(Refused)] == [("unknown_device", "34020000001180000009")]


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_the_catalog_comes_in_pages_each_after_the_200_before(count: int) -> None:
    wire = Wire()
    wire.device.set_catalog(entries(count), wire.now)
    wire.registered()
    (received,) = wire.of(CatalogReceived)
    assert received.items == entries(count)
    assert received.complete


def test_a_lost_page_leaves_an_incomplete_catalog_not_a_silence() -> None:
    wire = Wire()
    wire.device.set_catalog(entries(5), wire.now)
    wire.lose = lambda data: data.startswith(b"MESSAGE") and b"1310000002" in data
    wire.registered()
    wire.wait(40)
    assert any(not received.complete and len(received.items) == 2 for received in wire.of(CatalogReceived))


def test_three_lost_keepalives_take_a_device_offline_and_make_it_register_again() -> None:
    wire = Wire().registered()
    wire.wait(300)
    assert not wire.of(DeviceOffline)
    wire.lose = lambda data: True
    wire.wait(400)
    assert DeviceOffline(NVR_ID, "keepalive") in wire.heard
    assert wire.of(RegistrationLost)
    wire.lose = lambda data: False
    wire.wait(200)
    assert len(wire.of(DeviceOnline)) == 2


def test_a_call_from_invite_to_bye() -> None:
    wire = Wire().registered()
    asking, asked = wire.established()
    (answered,) = wire.of(CallAnswered)
    assert (answered.call, answered.answer.port, answered.answer.ssrc) == (asking, 15060, 200001)
    assert wire.of(CallEstablished) == [CallEstablished(asked)]
    wire.platform.hang_up(asking, wire.now)
    wire.carry()
    assert wire.of(CallEnded) == [CallEnded(asked, "bye")]


def test_the_device_hangs_up() -> None:
    wire = Wire().registered()
    asking, asked = wire.established()
    wire.device.hang_up(asked, wire.now)
    wire.carry()
    assert wire.of(CallEnded) == [CallEnded(asking, "bye")]


def test_cancel_while_it_rings() -> None:
    wire = Wire().registered()
    asking, asked = wire.called()
    wire.platform.hang_up(asking, wire.now)
    wire.carry()
    assert wire.of(CallEnded) == [CallEnded(asked, "cancel")]
    assert any(data.startswith(b"SIP/2.0 487") for data in wire.sent)
    assert not wire.of(CallFailed)


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_ended() -> None:
    wire = Wire().registered()
    asking, asked = wire.called()
    answer = OFFER.answer(origin_id=CAMERA, address=NVR.host, port=15060, payload_type=96, ssrc=1)
    wire.platform.hang_up(asking, wire.now)
    wire.device.accept(asked, answer, wire.now)
    wire.carry()
    assert not wire.of(CallAnswered)
    assert wire.of(CallEnded) == [CallEnded(asked, "bye")]


def test_a_refusal_reaches_the_asking_end_and_is_acknowledged() -> None:
    wire = Wire().registered()
    asking, asked = wire.called()
    wire.device.refuse(asked, 486, "Busy Here", wire.now)
    wire.carry()
    assert wire.of(CallFailed) == [CallFailed(asking, 486, "Busy Here")]
    assert any(data.startswith(b"ACK ") for data in wire.sent)


def test_a_lost_200_and_a_lost_ack_are_sent_again() -> None:
    wire = Wire().registered()
    losses = [b"SIP/2.0 200", b"ACK "]

    def lose_once(data: bytes) -> bool:
        for prefix in list(losses):
            if data.startswith(prefix):
                losses.remove(prefix)
                return True
        return False

    wire.lose = lose_once
    _asking, asked = wire.established()
    wire.wait(5)
    assert not losses
    assert wire.of(CallEstablished) == [CallEstablished(asked)]


def test_no_ack_at_all_ends_the_call() -> None:
    wire = Wire().registered()
    wire.lose = lambda data: data.startswith(b"ACK ")
    _asking, asked = wire.established()
    wire.wait(40)
    assert CallEnded(asked, "no_ack") in wire.heard


def test_nobody_answers_the_invite() -> None:
    wire = Wire().registered()
    wire.lose = lambda data: data.startswith(b"INVITE")
    call = wire.platform.invite(NVR_ID, CAMERA, OFFER, wire.now)
    wire.wait(40)
    assert wire.of(CallFailed) == [CallFailed(call, 408, "timeout")]


@pytest.mark.parametrize("method", ["REFER", "PUBLISH", "message", "MESSAGEx", "UPDATE"])
def test_a_method_that_is_not_listed_gets_405(method: str) -> None:
    wire = Wire().registered()
    ask(wire, method)
    assert any(data.startswith(b"SIP/2.0 405") for data in wire.sent)
    assert "method_not_allowed" in [refused.rule for refused in wire.of(Refused)]


def test_a_bye_for_no_call_gets_481() -> None:
    wire = Wire().registered()
    ask(wire, "BYE")
    assert any(data.startswith(b"SIP/2.0 481") for data in wire.sent)


def test_a_request_from_a_stranger_is_refused() -> None:
    wire = Wire().registered()
    ask(wire, "MESSAGE", Address("192.0.2.66", 5060))
    assert "unknown_peer" in [refused.rule for refused in wire.of(Refused)]


@pytest.mark.parametrize(
    ("body", "kind", "rule"),
    [
        (b"<Query><CmdType>Reboot</CmdType><SN>1</SN></Query>", b"Application/MANSCDP+xml", "command_unknown"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><Query/>", b"Application/MANSCDP+xml", "xml_doctype"),
        (b"<Query><", b"Application/MANSCDP+xml", "xml_syntax"),
        (b"<Query/>", b"text/plain", "content_type"),
    ],
)
def test_a_body_that_may_not_cross_is_refused_by_name(body: bytes, kind: bytes, rule: str) -> None:
    wire = Wire().registered()
    ask(wire, "MESSAGE", body=body, kind=kind)
    assert rule in [refused.rule for refused in wire.of(Refused)]


def ask(wire: Wire, method: str, source: Address = NVR, body: bytes = b"", kind: bytes = b"text/plain") -> None:
    """Send the platform a hand-written request."""
    text = (
        f"{method} sip:{CITY_ID}@192.0.2.1:5060 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {source};branch=z9hG4bKx{method}\r\n"
        f"From: <sip:{NVR_ID}@3402000000>;tag=1\r\nTo: <sip:{CITY_ID}@3402000000>;tag=9\r\n"
        f"Call-ID: x{method}\r\nCSeq: 1 {method}\r\nContent-Type: {kind.decode()}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    wire.platform.receive_datagram(text + body, source, wire.now)
    wire.carry()


def test_what_a_role_does_not_take_is_refused_and_no_200_promises_it() -> None:
    """Restarting a device is understood, and nobody may."""
    wire = Wire().registered()
    to = wire.platform._bindings[NVR_ID].address
    wire.platform._send_message(NVR_ID, to, TeleBoot(7, CAMERA), wire.now)
    wire.carry()
    assert any(data.startswith(b"SIP/2.0 403") for data in wire.sent)
    assert [r.rule for r in wire.of(Refused)] == ["control_denied"]


def test_notices_follow_one_another_and_wait_for_who_reads_slowly() -> None:
    wire = Wire().registered()
    wire.platform.watch(NVR_ID, "Catalog", wire.now)
    wire.wait(1)
    wire.sent.clear()
    wire.lose = lambda data: data.startswith(b"SIP/2.0 200") and b" NOTIFY\r\n" in data
    wire.device.set_catalog([CatalogEntry(f"3402000000131{at:07d}") for at in range(1000)], wire.now)
    wire.wait(2)
    assert len({data for data in wire.sent if data.startswith(b"NOTIFY")}) == 4
    wire.lose = lambda data: False
    wire.wait(10)
    assert len({data for data in wire.sent if data.startswith(b"NOTIFY")}) == 10


def test_who_saw_an_empty_catalog_hears_of_the_first_channel() -> None:
    wire = Wire().registered()
    wire.platform.watch(NVR_ID, "Catalog", wire.now)
    wire.wait(10)
    wire.heard.clear()
    wire.device.set_catalog([CatalogEntry(CAMERA, status="ON")], wire.now)
    wire.wait(5)
    assert [event.items[0].device_id for event in wire.heard if isinstance(event, CatalogReceived)] == [CAMERA]
