"""What the fuzzer begins with: the files of the field, a body of every message, and both inside of SIP."""

from __future__ import annotations

import base64
import dataclasses
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from edge.manscdp import form, messages, ptz
from edge.rtp import ps
from netconf.enrolment import Bundle, EnrolRequest, sign_request, write_bundle
from tests.fuzz.targets import BOX
from tests.registered import BOX_ID, CITY_ID, DOMAIN

FIELD = Path("tests/wire")
_SITE = "34020000002008000001"
_TIME, _CODE = 1_767_225_600, "34020000001310000001"


def seeds(name: str) -> Iterator[bytes]:
    """Yield the seeds of a target."""
    yield from (path.read_bytes() for path in sorted(FIELD.glob(f"{name}/*.raw")))
    if name == "manscdp":
        yield from _bodies()
    elif name == "ps":
        yield from _streams()
    elif name == "es":
        yield from _elementary()
    elif name == "enrol":
        yield from _enrolment()
    elif name == "sip":
        yield from (_request("MESSAGE", "Application/MANSCDP+xml", body) for body in [*seeds("manscdp")])
        yield from (_request("INVITE", "APPLICATION/SDP", body) for body in seeds("sdp"))
        yield _request("REGISTER", "", b"")
        yield from (_request(method, "", b"") for method in ("OPTIONS", "BYE", "CANCEL", "ACK"))


def words(name: str) -> list[bytes]:
    """Return what the fuzzer may put anywhere."""
    found = {
        "sip": _SIP,
        "sdp": _SDP,
        "ps": [
            bytes((0, 0, 1, code)) for code in (0xBA, 0xBB, 0xBC, 0xBD, 0xBE, 0xC0, 0xE0, 0x41, 0x65, 0x67, 0x06, 0x0C)
        ],
        "es": [
            *_H264,
            *_H265,
            *(bytes((kind << 1, 1)) for kind in (39, 48, 49, 50)),
            b"\x78",
            b"\x7c\x85",
            b"\x7c\x45",
        ],
        "enrol": [
            b'"state"',
            b'"approved"',
            b'"certificate"',
            b'"device_key"',
            b'"claim"',
            b'"port":8443',
            b"null",
            b"1e999",
        ],
        "manscdp": b'<![CDATA[ ]]> <?xml <!-- &amp; &#x41; null encoding="GB2312"'.split(b" "),
    }[name]
    if name == "manscdp":
        found = [*found, *(f"<{at}>".encode() for kind in messages.REGISTRY for at in _elements(kind))]
    return sorted(set(found))


def _enrolment() -> Iterator[bytes]:
    """The inside of a bundle and of a request, and each answer of a city."""
    bundle = Bundle(_SITE, "203.0.113.10", 8443, "ab" * 32, "A" * 43 + "=", "0123abcd." + "a" * 26)
    yield base64.urlsafe_b64decode(write_bundle(bundle).removeprefix("SNOWGATE1:"))
    request = EnrolRequest(_SITE, bundle.claim, "x", {"wg-a": bundle.city_key}, {"board": "x"}, 1, "0" * 32)
    yield base64.b64decode(json.loads(sign_request(request, ec.generate_private_key(ec.SECP256R1())))["payload"])
    yield b'{"state": "pending"}'
    yield b'{"state": "refused", "rule": "claim_used"}'
    yield b'{"state": "approved", "certificate": "-----BEGIN CERTIFICATE-----", "layer": "{}"}'
    yield b'{"state": "revoked", "revocation": "{\\"payload\\": \\"\\", \\"signature\\": \\"\\"}"}'


def _streams() -> Iterator[bytes]:
    code = b"\x00\x00\x00\x01"
    key = ps.mux(
        code
        + b"\x67\x42\x00\x1f"
        + code
        + b"\x68\xce"
        + code
        + b"\x06\x05\x10"
        + b"\x2a" * 16
        + code
        + b"\x65"
        + b"\x5a" * 300,
        1,
    )
    picture = ps.mux(code + b"\x41" + b"\xa5" * 200, 2)
    yield key + picture + picture
    yield b"noise" + key + b"\x00\x00\x01\xbd\x00\x05hello" + picture + b"\x00\x00\x01\xb9"


#: Parameter sets, a key picture's slice and another's, as ffmpeg writes them.
_H264 = [bytes.fromhex(unit) for unit in ("6742c01eda0280bfe5c044000003000400000300ca3c58ba80", "68ce0fc8", "6588843a0c6001c101",
                                          "419a22bc3d0a54ee33", "0910", "060510" + "2a" * 16 + "80")]  # fmt: skip
_H265 = [bytes.fromhex(unit) for unit in ("40010c01ffff01600000030090000003000003003fba0240",
    "42010101600000030090000003000003003fa005020171f2e5ba4a4c2f016808000003000800000300c840", "4401c0718312", "2801adc60c7774f0",
    "0201d00978868c16", "460110", "4e010510" + "2a" * 16 + "80")]  # fmt: skip


def _elementary() -> Iterator[bytes]:
    def packet(payload: bytes, marker: bool = False) -> bytes:
        return (len(payload) | marker << 15).to_bytes(2, "big") + payload

    for codec, units, together, begins in (
        (b"\0", _H264, b"\x78", (b"\x7c\x85\x88\x84", b"\x7c\x05", b"\x7c\x45")),
        (b"\1", _H265, b"\x60\x01", (b"\x62\x01\x94\xad", b"\x62\x01\x14", b"\x62\x01\x54")),
    ):
        yield codec + b"".join(packet(unit, True) for unit in units)
        whole = together + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)
        fragments = b"".join(packet(begin + b"\x5a" * 60, begin is begins[2]) for begin in begins)
        yield codec + packet(whole, True) + fragments + packet(units[-1] * 40)


_SIP = [b"Expires: 3600", b";expires=", b";received=", b"Content-Encoding: gzip", b"SIP/2.0 401 Unauthorized", b"sips:", b"\r\n\r\n",
        b"Contact: *", b"Authorization: Digest ", b"WWW-Authenticate: Digest ", b"l: 0", b"jaK", b"z9hG4bK"]  # fmt: skip
_SDP = [b"a=setup:passive", b"a=rtpmap:96 PS/90000", b"y=0200004321", b"f=v/2/5/25/1/4000a///", b"u=", b"c=IN IP4 ", b"TCP/RTP/AVP",
        b"a=downloadspeed:4", b"a=filesize:", b"s=Playback", b"t=1 2"]  # fmt: skip


def _request(method: str, kind: str, body: bytes) -> bytes:
    """A request as the registered box sends it."""
    contact = f"<sip:{BOX_ID}@{BOX}>;expires=3600"
    lines = [
        f"{method} sip:{CITY_ID}@{DOMAIN} SIP/2.0", f"Via: SIP/2.0/UDP {BOX};rport;branch=z9hG4bK1",
        f"From: <sip:{BOX_ID}@{DOMAIN}>;tag=1", f"To: <sip:{BOX_ID if method == 'REGISTER' else CITY_ID}@{DOMAIN}>",
        "Call-ID: 1", f"CSeq: 1 {method}", "Max-Forwards: 70", f"Contact: {contact}", f"Content-Length: {len(body)}",
    ]  # fmt: skip
    lines += [f"Content-Type: {kind}"] if kind else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def _bodies() -> Iterator[bytes]:
    """A body of every message and edition, with a value for every field."""
    for kind in messages.REGISTRY:
        message = _full(kind)
        yield messages.encode(message, 2016)
        yield messages.encode(message, 2022)


def _full(kind: type[Any]) -> Any:
    return kind(*[_value(at.kind) for at in _places(kind)])


def _places(kind: type[Any]) -> list[form.At]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return [hints[field.name].__metadata__[0] for field in dataclasses.fields(kind)]


def _value(kind: Any) -> Any:
    if isinstance(kind, form.Several):
        return (_full(kind.of), _full(kind.of))
    if isinstance(kind, form.Values):
        return (_value(kind.kind), _value(kind.kind))
    if isinstance(kind, form.Whole):
        return kind.high
    if isinstance(kind, form.Fixed):
        return kind.high * 10**kind.places
    if isinstance(kind, form.Word):
        return kind.words[0]
    if isinstance(kind, form.Text):
        return "北门"[: kind.most]
    return {form.Time: _TIME, form.Code: _CODE}.get(type(kind), ptz.Move(1, -1, 0, 9, 7))


def _elements(kind: type[Any]) -> Iterator[str]:
    for at in _places(kind):
        yield from at.path.split("/")
        if isinstance(at.kind, form.Several):
            yield at.kind.item
            yield from _elements(at.kind.of)
