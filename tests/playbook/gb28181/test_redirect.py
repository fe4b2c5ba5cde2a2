"""A platform that sends us elsewhere (302): we go where our configuration says that it may, and come back if nobody is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.gb28181.device import Redirected, Registered, RegistrationLost
from edge.sip.address import Address
from tests.playbook.gb28181.test_roles import CITY, DEVICE, Wire

ELSEWHERE = Address("192.0.2.7", 5070)
MAY = replace(DEVICE, redirects=frozenset({("192.0.2.7", 5070)}))


def sent_elsewhere(wire: Wire, contact: str) -> list[Address]:
    """Answer the first REGISTER with a 302 and return to where anything was sent after it."""
    wire.device.start(wire.now)
    ((register, to),) = wire.device.datagrams_to_send(wire.now)
    assert to == CITY
    lines = register.split(b"\r\n")
    kept = [line for line in lines if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq")]
    answer = b"\r\n".join(
        [b"SIP/2.0 302 Moved Temporarily", *kept, f"Contact: {contact}".encode(), b"Content-Length: 0", b"", b""]
    )
    wire.device.receive_datagram(answer, CITY, wire.now)
    return [to for data, to in wire.device.datagrams_to_send(wire.now) if data.startswith(b"REGISTER")]


def test_it_registers_where_it_is_sent() -> None:
    wire = Wire(MAY)
    assert sent_elsewhere(wire, "<sip:34020000002000000001@192.0.2.7:5070>;expires=3600") == [ELSEWHERE]
    assert wire.device.next_event() == Redirected(ELSEWHERE)


@pytest.mark.parametrize("contact", [
    "<sip:34020000002000000001@192.0.2.8:5070>", "<sip:34020000002000000001@192.0.2.7>",
    "<sip:34020000002000000001@192.0.2.7:80>", "<sip:a@evil.example:5070>", "*", "", "nonsense",
])  # fmt: skip
def test_to_no_other_place(contact: str) -> None:
    wire = Wire(MAY)
    assert sent_elsewhere(wire, contact) == []
    assert wire.device.next_event() == RegistrationLost("status_302")


def test_who_is_not_taken_there_comes_back() -> None:
    wire = Wire(MAY)
    sent_elsewhere(wire, "<sip:34020000002000000001@192.0.2.7:5070>")
    for _ in range(200):
        wire.now = max(wire.now, wire.device.get_timer() or wire.now)
        wire.device.handle_timer(wire.now)
        if [to for _, to in wire.device.datagrams_to_send(wire.now) if to == CITY]:
            break
    else:
        raise AssertionError("it never comes back")
    wire.device.handle_timer(wire.now)
    wire.wait(120)
    assert Registered() in wire.heard
