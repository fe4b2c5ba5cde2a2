"""How a registration failed, as the device tells it, and which offers it refused; two ends, datagrams carried by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge.gb28181.legs import CallFailed, InviteRefused
from tests.playbook.gb28181.test_roles import CAMERA, CITY, DEVICE, NVR_ID, OFFER, PLATFORM, Wire

STRANGER = replace(DEVICE, id="34020000001180000009")


def facts(wire: Wire) -> dict[str, Any]:
    return dict(wire.device.facts())


def tried(**other: Any) -> Wire:
    wire = Wire(replace(DEVICE, **other))
    wire.device.start(wire.now)
    wire.carry()
    return wire


def test_a_registration_that_holds_has_no_cause() -> None:
    said = facts(Wire().registered())
    assert (said["registered"], said["cause"], said["tries"]) == (True, "", 0)
    assert said["server"] == f"{CITY.host}:{CITY.port}/udp"


def test_a_wrong_password_is_one_even_when_the_platform_locks_us_out_later() -> None:
    wire = tried(password="another")
    assert (facts(wire)["cause"], facts(wire)["answers_refused"], facts(wire)["tries"]) == ("status_401", 1, 1)
    wire.wait(240)
    assert facts(wire)["cause"] == "status_403", "after three wrong tries"
    assert facts(wire)["answers_refused"] >= 2
    assert not any(value == "another" for value in facts(wire).values())


def test_an_unknown_id_is_refused_before_any_password() -> None:
    wire = Wire(STRANGER)
    wire.device.start(wire.now)
    wire.carry()
    assert (facts(wire)["cause"], facts(wire)["about"], facts(wire)["answers_refused"]) == (
        "status_403",
        "Forbidden",
        0,
    )


def test_another_realm_is_told_with_what_was_asked() -> None:
    wire = Wire(platform=replace(PLATFORM, realm="elsewhere"))
    wire.device.start(wire.now)
    wire.carry()
    assert facts(wire)["cause"] == "digest_realm"
    assert 'realm="elsewhere"' in facts(wire)["about"]


def test_silence_and_dials_are_counted_until_it_registers() -> None:
    wire = Wire()
    wire.lose = lambda data: data.startswith(b"REGISTER")
    wire.device.start(wire.now)
    wire.wait(40)
    assert (facts(wire)["cause"], facts(wire)["tries"]) == ("no_answer", 1)
    wire.device.not_reached("refused", wire.now)
    assert (facts(wire)["cause"], facts(wire)["tries"], facts(wire)["lost_at"]) == (
        "dial_refused",
        2,
        round(wire.now, 1),
    )
    wire.lose = lambda data: False
    wire.wait(120)
    assert (facts(wire)["registered"], facts(wire)["tries"]) == (True, 0)


def test_unanswered_keepalives_are_counted_and_named() -> None:
    wire = Wire().registered()
    wire.lose = lambda data: b"<CmdType>Keepalive" in data
    for missed in (1, 2):
        while facts(wire)["missed"] < missed:
            wire.wait(1)
            assert facts(wire)["registered"]
    wire.wait(120)
    assert facts(wire)["cause"] == "keepalive"


@pytest.mark.parametrize("line", [b"0.0.0.0", b"127.0.0.1", b"224.0.0.1", b"nonsense"])
def test_an_offer_without_a_usable_address_is_told_with_its_line(line: bytes) -> None:
    wire = Wire().registered()
    offer = replace(OFFER)
    wire.platform.invite(NVR_ID, CAMERA, offer, wire.now)
    sent = [
        data.replace(b"c=IN IP4 192.0.2.1", b"c=IN IP4 " + line)
        for data, _ in wire.platform.datagrams_to_send(wire.now)
    ]
    body = sent[-1].partition(b"\r\n\r\n")[2]
    length = b"Content-Length: %d" % len(body)
    head = b"\r\n".join(
        length if each.lower().startswith(b"content-length") else each
        for each in sent[-1].partition(b"\r\n\r\n")[0].split(b"\r\n")
    )
    wire.device.receive_datagram(head + b"\r\n\r\n" + body, CITY, wire.now)
    wire.carry()
    assert wire.of(InviteRefused) == [InviteRefused(CAMERA, "sdp_connection", f"IN IP4 {line.decode()}")]
    assert wire.of(CallFailed)[-1].status == 488
    assert wire.of(CallFailed)[-1].rule == "", "the refusal is theirs"


def test_an_answer_without_a_usable_address_is_told_as_our_refusal() -> None:
    wire = Wire().registered()
    _, asked = wire.called()
    answer = OFFER.answer(origin_id=CAMERA, address="0.0.0.0", port=15060, payload_type=96, ssrc=1)  # noqa: S104
    wire.device.accept(asked, answer, wire.now)
    wire.carry()
    failed = wire.of(CallFailed)[-1]
    assert (failed.status, failed.rule, failed.about) == (488, "sdp_connection", "IN IP4 0.0.0.0")
