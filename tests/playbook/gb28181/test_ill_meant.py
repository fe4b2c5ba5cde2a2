"""What a registered recorder that means ill, or is broken, sends: refused by name, and nothing of it stays."""

from __future__ import annotations

import pytest

from edge.gb28181.platform import DeviceOffline
from edge.gb28181.role import Refused
from edge.sip.address import Address
from edge.sip.endpoint import MAX_TRANSACTIONS
from tests.playbook.gb28181.test_roles import CITY_ID, NVR, NVR_ID, Wire

HEAD = (
    "{method} sip:{city}@3402000000 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK{method}\r\n"
    "From: {who}\r\nTo: {to}\r\nCall-ID: ill\r\nCSeq: 1 {method}\r\nContact: {contact}\r\nContent-Length: 0\r\n\r\n"
)
RECORDER, PLATFORM = f"<sip:{NVR_ID}@3402000000>;tag=1", f"<sip:{CITY_ID}@3402000000>"


def send(
    wire: Wire, method: str, *, who: str = RECORDER, to: str = PLATFORM, contact: str = "<sip:a@192.0.2.10>"
) -> None:
    data = HEAD.format(method=method, city=CITY_ID, who=who, to=to, contact=contact).encode()
    wire.platform.receive_datagram(data, NVR, wire.now)
    wire.carry()


@pytest.mark.parametrize("names", [{"who": "nobody"}, {"to": "<sip:a@b:99999>"}, {"who": "<sip:a@b>;tag=1;tag=2"}])
@pytest.mark.parametrize("method", ["MESSAGE", "OPTIONS", "BYE", "REGISTER", "INVITE"])
def test_a_message_that_does_not_say_from_or_to_whom_is_refused(method: str, names: dict[str, str]) -> None:
    wire = Wire().registered()
    send(wire, method, **names)
    assert wire.of(Refused)[-1].rule in ("uri", "uri_port", "name_addr_tag")
    assert wire.platform.get_timer() is not None
    wire.wait(120)
    assert not wire.of(DeviceOffline)


@pytest.mark.parametrize("told", ["abc", "", "٣", "9" * 5000])
def test_a_contact_that_expires_at_no_number_is_challenged_like_any_other(told: str) -> None:
    wire = Wire().registered()
    send(wire, "REGISTER", to=f"<sip:{NVR_ID}@3402000000>", contact=f"<sip:a@192.0.2.10>;expires={told}"[:4000])
    assert any(data.startswith(b"SIP/2.0 401") and b"Call-ID: ill" in data for data in wire.sent)


def test_a_recorder_that_was_told_of_no_broadcast_invites_nobody() -> None:
    """Nobody would ever answer it: it would ring, and be kept, for ever."""
    wire = Wire().registered()
    send(wire, "INVITE")
    assert any(data.startswith(b"SIP/2.0 403") for data in wire.sent)
    assert "invite_unasked" in [refused.rule for refused in wire.of(Refused)]
    wire.wait(40)
    assert not [key for key in wire.platform._endpoint._transactions if key.branch == "z9hG4bKINVITE"]


@pytest.mark.parametrize("method", ["MESSAGE", "REGISTER", "OPTIONS"])
def test_whom_nobody_knows_leaves_nothing_behind(method: str) -> None:
    """From the recorder's own address, where no firewall can tell them apart, but from another port."""
    wire = Wire().registered()
    while wire.platform._endpoint._transactions:
        wire.wait(1)  # the registration's own, and perhaps a keepalive's
    elsewhere = Address(NVR.host, 40000)
    for at in range(MAX_TRANSACTIONS + 100):
        data = HEAD.format(method=method, city=CITY_ID, who=RECORDER, to=RECORDER, contact="<sip:a@192.0.2.10>")
        wire.platform.receive_datagram(data.replace("branch=", f"branch=z9hG4bK{at}").encode(), elsewhere, wire.now)
        (answer, to), *_ = wire.platform.datagrams_to_send(wire.now)
        assert to == elsewhere
        assert answer.startswith(b"SIP/2.0 40")
    assert not wire.platform._endpoint._transactions
    assert wire.platform.counters["too_many_transactions"] == 0
