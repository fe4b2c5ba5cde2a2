"""The two roles over connections: nothing is sent twice, a lost connection is a new registration, calls go on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.gb28181.device import UNREACHED_SECONDS, Registered, RegistrationLost
from edge.gb28181.legs import CallAnswered, CallEnded, CallEstablished, InviteReceived
from edge.gb28181.platform import Platform
from edge.gb28181.reports import DeviceOnline
from edge.manscdp.catalog import CatalogEntry
from edge.sip.address import Address
from tests.chance import SeededChance
from tests.playbook.gb28181 import test_roles as roles

#: What the platform sees of the device is the connection's far end; what the device dialled is the platform itself.
SEEN, DIALLED = Address("192.0.2.10", 49152, "tcp"), Address("192.0.2.1", 5060, "tcp")
DEVICE = replace(roles.DEVICE, server=DIALLED)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> roles.Wire:
    monkeypatch.setattr(roles, "NVR", SEEN)
    monkeypatch.setattr(roles, "CITY", DIALLED)
    return roles.Wire(DEVICE)


def connect(wire: roles.Wire) -> None:
    wire.device.reconnected(wire.now)
    wire.carry()


def test_registration_catalog_and_call_over_one_connection(wire: roles.Wire) -> None:
    wire.device.set_catalog([CatalogEntry(roles.CAMERA, name="北门")], wire.now)
    connect(wire)
    assert Registered() in wire.heard
    assert wire.of(DeviceOnline)
    assert all(b"SIP/2.0/TCP" in data for data in wire.sent if not data.startswith(b"SIP/2.0 "))
    assert any(b";transport=tcp>" in data for data in wire.sent if data.startswith(b"REGISTER"))
    name = wire.platform.invite(roles.NVR_ID, roles.CAMERA, roles.OFFER, wire.now)
    assert name is not None
    wire.carry()
    (invited,) = wire.of(InviteReceived)
    answer = invited.offer.answer(origin_id="1", address="192.0.2.10", port=15060, payload_type=96, ssrc=1)
    wire.device.accept(invited.call, answer, wire.now)
    wire.carry()
    assert wire.of(CallAnswered)
    assert wire.of(CallEstablished)


def test_what_was_lost_with_a_connection_is_not_sent_again(wire: roles.Wire) -> None:
    """RFC 3261 17.1.2.2: E is for UDP alone; F tells that nobody answered."""
    wire.lose = lambda data: True
    connect(wire)
    wire.wait(31)
    assert sum(data.startswith(b"REGISTER") for data in wire.sent) == 1
    wire.wait(2)
    assert wire.of(RegistrationLost)


def test_a_new_connection_registers_at_once_and_the_call_goes_on_over_it(
    wire: roles.Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(wire)
    name = wire.platform.invite(roles.NVR_ID, roles.CAMERA, roles.OFFER, wire.now)
    assert name is not None
    wire.carry()
    (invited,) = wire.of(InviteReceived)
    answer = invited.offer.answer(origin_id="1", address="192.0.2.10", port=15060, payload_type=96, ssrc=1)
    wire.device.accept(invited.call, answer, wire.now)
    wire.carry()
    wire.device.disconnected(wire.now)
    wire.carry()
    assert wire.of(RegistrationLost) == [RegistrationLost("connection")]
    assert not wire.of(CallEnded)
    again = Address("192.0.2.10", 49153, "tcp")
    monkeypatch.setattr(roles, "NVR", again)
    connect(wire)
    assert len(wire.of(Registered)) == 2
    wire.platform.hang_up(name, wire.now)
    assert [to for data, to in wire.platform.datagrams_to_send(wire.now) if data.startswith(b"BYE")] == [again]


# -- a BYE that was lost with its connection -------------------------------------------------------------------------


def on_the_phone(wire: roles.Wire) -> tuple[str, str]:
    """A call stands, and then the connection is gone."""
    connect(wire)
    names = wire.established()
    assert wire.of(CallEstablished)
    wire.device.disconnected(wire.now)
    return names


def asked(wire: roles.Wire) -> int:
    return sum(data.startswith(b"OPTIONS") for data in wire.sent)


def test_a_call_that_the_platform_still_knows_goes_on_over_the_next_connection(wire: roles.Wire) -> None:
    on_the_phone(wire)
    connect(wire)
    assert asked(wire) == 1
    assert any(data.startswith(b"SIP/2.0 200") and b"OPTIONS" in data for data in wire.sent)
    assert not wire.of(CallEnded)


def test_a_call_whose_bye_was_lost_with_the_connection_ends_after_the_next_registration(wire: roles.Wire) -> None:
    asking, in_question = on_the_phone(wire)
    wire.platform.hang_up(asking, wire.now)
    wire.lose = lambda data: data.startswith(b"BYE")
    wire.carry()
    assert not wire.of(CallEnded)
    connect(wire)
    assert wire.of(CallEnded) == [CallEnded(in_question, "forgotten")]
    assert any(data.startswith(b"SIP/2.0 481") for data in wire.sent)
    wire.wait(UNREACHED_SECONDS + 10)
    assert len(wire.of(CallEnded)) == 1


def test_a_platform_that_restarted_knows_no_call(wire: roles.Wire) -> None:
    _, in_question = on_the_phone(wire)
    wire.platform = Platform(roles.PLATFORM, SeededChance(9))
    connect(wire)
    assert wire.of(CallEnded) == [CallEnded(in_question, "forgotten")]


@pytest.mark.parametrize(
    "status", [b"405 Method Not Allowed", b"501 Not Implemented", b"404 Not Found", b"403 Forbidden"]
)
def test_what_a_platform_thinks_of_options_ends_no_call(wire: roles.Wire, status: bytes) -> None:
    """Only 481 says that there is no such dialog (RFC 3261 12.2.1.2)."""
    on_the_phone(wire)
    real = wire.device.receive_datagram

    def answered(data: bytes, addr: Address, now: float) -> None:
        if b"OPTIONS" in data and data.startswith(b"SIP/2.0 200"):
            data = data.replace(b"SIP/2.0 200 OK", b"SIP/2.0 " + status)
        real(data, addr, now)

    wire.device.receive_datagram = answered  # type: ignore[method-assign]
    connect(wire)
    assert asked(wire) == 1
    wire.wait(40)
    assert not wire.of(CallEnded)


def test_a_platform_that_says_nothing_to_options_keeps_its_calls(wire: roles.Wire) -> None:
    on_the_phone(wire)
    wire.lose = lambda data: data.startswith(b"OPTIONS")
    connect(wire)
    wire.wait(100)
    assert not wire.of(CallEnded)


def test_without_any_signalling_a_call_stands_for_three_minutes(wire: roles.Wire) -> None:
    _, in_question = on_the_phone(wire)
    wire.lose = lambda data: True
    wire.wait(UNREACHED_SECONDS - 1)
    assert not wire.of(CallEnded)
    wire.wait(2)
    assert wire.of(CallEnded) == [CallEnded(in_question, "unreached")]


def test_the_three_minutes_begin_anew_with_each_registration(wire: roles.Wire) -> None:
    on_the_phone(wire)
    wire.wait(UNREACHED_SECONDS - 20)
    connect(wire)
    wire.device.disconnected(wire.now)
    wire.wait(UNREACHED_SECONDS - 20)
    assert not wire.of(CallEnded)
