"""What operators of GB/T 28181 sites complain about most, row by row: registration, and being there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.gb28181.device import Registered, RegistrationLost
from edge.gb28181.reports import ChannelChanged, ChannelsFaulty, DeviceOffline, DeviceOnline
from edge.sip.address import Address
from netconf import words
from netconf.model import Platform
from tests.playbook.gb28181.test_roles import CITY, DEVICE, NVR, NVR_ID, PLATFORM, Wire, entries


def test_row_02_a_registration_that_was_lost_for_a_day_comes_back_by_itself() -> None:
    """A cascade goes offline after hours and stays so until a person saves it again: here it tries for ever."""
    wire = Wire().registered()
    wire.lose = lambda data: True
    wire.wait(86_400)
    assert wire.of(RegistrationLost)
    assert wire.of(DeviceOffline)
    wire.lose = lambda data: False
    wire.heard.clear()
    wire.wait(120)
    assert wire.of(Registered) == [Registered()]
    assert wire.of(DeviceOnline) == [DeviceOnline(NVR_ID)]


def test_f16_row_02_a_platform_that_has_forgotten_us_is_registered_with_again() -> None:
    """It was restarted and answers our keepalives with 403: that is no reason to wait for the registration's end."""
    wire = Wire().registered()
    again = Wire()
    wire.platform = again.platform
    wire.heard.clear()
    wire.wait(400)
    assert wire.of(Registered)
    assert wire.of(DeviceOnline)


def test_row_07_a_camera_that_goes_is_off_above_within_ten_seconds_and_on_again() -> None:
    """A child that is away is still shown as online above (and the reverse): each change is told, subscribed or not."""
    platform = replace(PLATFORM, devices=(replace(PLATFORM.devices[0], wants=("Catalog",)),))
    wire = Wire(platform=platform)
    wire.device.set_catalog(entries(3), wire.now)
    wire.registered()
    wire.wait(30)
    for status in ("OFF", "ON"):
        wire.heard.clear()
        first, *rest = entries(3)
        wire.device.set_catalog([first.with_status(status), *rest], wire.now)
        wire.wait(10)
        assert wire.of(ChannelChanged) == [ChannelChanged(NVR_ID, first.device_id, status == "ON")]
        assert wire.of(ChannelsFaulty)[-1].channels == ((first.device_id,) if status == "OFF" else ())


def test_row_08_a_recorder_that_speaks_from_another_port_is_asked_there() -> None:
    """Signalling goes to the old port and a recorder looks online that cannot be played: the last port counts."""
    wire = Wire().registered()
    moved = Address(NVR.host, 40_001)
    wire.device.start(wire.now)
    for _ in range(6):  # challenge, proof, and what follows a registration
        for data, _ in wire.device.datagrams_to_send(wire.now):
            wire.platform.receive_datagram(data, moved, wire.now)
        for data, to in wire.platform.datagrams_to_send(wire.now):
            assert to in (moved, NVR)
            wire.device.receive_datagram(data, CITY, wire.now)
    wire.platform.query_device_info(NVR_ID, wire.now)
    asked = [to for data, to in wire.platform.datagrams_to_send(wire.now) if b"DeviceInfo" in data]
    assert asked == [moved]


@pytest.mark.parametrize(
    ("platform", "cause"),
    [
        ({"devices": ()}, "status_403"),
        ({"devices": (replace(PLATFORM.devices[0], password="other"),)}, "password"),
        ({"realm": "9999999999"}, "digest_realm"),
    ],
)
def test_row_17_why_a_registration_is_refused_is_said(platform: dict[str, object], cause: str) -> None:
    """A refused registration is a riddle for days: the cause is told, and each has its sentence on the page."""
    wire = Wire(platform=replace(PLATFORM, **platform))  # type: ignore[arg-type]
    wire.device.start(wire.now)
    wire.carry()
    causes = [lost.cause for lost in wire.of(RegistrationLost)]
    assert causes[:1] == [cause] or cause == "password" and causes[0].startswith("status_4"), causes
    for code in ("city_password_refused", "city_id_refused", "city_realm_other", "city_registration_refused"):
        assert words.of(code) is not None


def test_row_17_a_challenge_without_algorithm_or_with_qop_is_answered() -> None:
    """Old platforms name no algorithm, some want qop: both are RFC 2617, both register."""
    for change in (
        lambda data: data.replace(b", algorithm=MD5", b""),
        lambda data: data.replace(b"algorithm=MD5", b'algorithm=MD5, qop="auth"'),
    ):
        wire = Wire()
        wire.device.start(wire.now)
        ((register, _),) = wire.device.datagrams_to_send(wire.now)
        wire.platform.receive_datagram(register, NVR, wire.now)
        ((challenge, _),) = wire.platform.datagrams_to_send(wire.now)
        wire.device.receive_datagram(change(challenge), CITY, wire.now)
        ((proof, _),) = wire.device.datagrams_to_send(wire.now)
        assert b"Authorization: Digest" in proof
        assert (b"qop=auth" in proof) == (b"qop" in change(challenge))


def test_row_25_the_box_is_a_lower_platform_in_full() -> None:
    """Small tools lack the lower role: the box registers, shows its catalog, and is watched."""
    wire = Wire()
    wire.device.set_catalog(entries(2), wire.now)
    wire.registered().established()
    assert wire.of(DeviceOnline) == [DeviceOnline(NVR_ID)]


def test_s06_a_challenge_of_another_realm_never_gets_our_proof() -> None:
    """Whoever can answer our REGISTER could collect answers to his own realm and nonce."""
    for realm in ("evil", "3402000000 ", "", "9999999999"):
        wire = Wire(DEVICE)
        wire.device.start(wire.now)
        ((register, _),) = wire.device.datagrams_to_send(wire.now)
        wire.platform.receive_datagram(register, NVR, wire.now)
        ((challenge, _),) = wire.platform.datagrams_to_send(wire.now)
        wire.device.receive_datagram(
            challenge.replace(b'realm="3402000000"', f'realm="{realm}"'.encode()), CITY, wire.now
        )
        assert not any(b"Authorization" in data for data, _ in wire.device.datagrams_to_send(wire.now))
    wire.device.receive_datagram(challenge, Address("192.0.2.66", 5060), wire.now)
    assert not any(b"Authorization" in data for data, _ in wire.device.datagrams_to_send(wire.now)), (
        "nor does a stranger"
    )


def test_row_23_to_a_platform_tcp_is_what_is_spoken_when_nothing_is_said() -> None:
    """Messages over the MTU are lost in pieces: TCP upward is the default."""
    assert Platform.model_fields["transport"].default == "tcp"
