"""The two roles over connections: nothing is sent twice, a lost connection is a new registration, calls go on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.gb28181.device import Registered, RegistrationLost
from edge.gb28181.legs import CallAnswered, CallEnded, CallEstablished, InviteReceived
from edge.gb28181.platform import DeviceOnline
from edge.manscdp.messages import CatalogEntry
from edge.sip.address import Address
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
    wire.device.set_catalog([CatalogEntry(roles.CAMERA, name="北门")])
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
    wire.device.disconnected()
    wire.carry()
    assert wire.of(RegistrationLost) == [RegistrationLost("connection")]
    assert not wire.of(CallEnded)
    again = Address("192.0.2.10", 49153, "tcp")
    monkeypatch.setattr(roles, "NVR", again)
    connect(wire)
    assert len(wire.of(Registered)) == 2
    wire.platform.hang_up(name, wire.now)
    assert [to for data, to in wire.platform.datagrams_to_send(wire.now) if data.startswith(b"BYE")] == [again]
