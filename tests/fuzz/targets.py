"""What must hold for any octets: read, or refused by the room's own error; rebuilt, it says the same.

Each target takes octets and returns, or raises: a ``Finding`` or whatever else came out of the room.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import json
import typing
from collections.abc import Callable, Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.enrol import conversation
from edge.enrol.conversation import AnswerWrong, Asker
from edge.gb28181.device import Device
from edge.gb28181.legs import InviteReceived
from edge.gb28181.platform import Platform
from edge.gb28181.role import Role
from edge.lab.elementary import Unpacking
from edge.manscdp import form, messages
from edge.manscdp.reader import RemoteManscdpError
from edge.rtp.es import EMPTY, EsInspection
from edge.rtp.inspection import PsInspection
from edge.rtp.psm import H264, H265
from edge.sdp import description
from edge.sip import message as sip
from edge.sip.address import Address
from edge.sip.errors import RemoteSipError
from edge.sip.stream import Stream
from netconf import certificates, enrolment
from tests.chance import SeededChance
from tests.registered import configs, register

NOW = 1000.0
#: Under this address the seeds' messages come, so that they reach what only a registered device reaches.
BOX, CITY = Address("192.0.2.10", 5060), Address("192.0.2.1", 5060)
_DEVICE, _PLATFORM = configs(BOX, CITY)
_SITE = "34020000002008000001"


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    request = x509.load_pem_x509_csr(certificates.request(key, _SITE).encode("ascii"))
    began = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(request.subject).issuer_name(request.subject)
    builder = builder.public_key(key.public_key()).serial_number(1).not_valid_before(began)
    return builder.not_valid_after(began + datetime.timedelta(3650)).sign(key, hashes.SHA256())


_KEY = ec.generate_private_key(ec.SECP256R1())
_CA = _certificate(_KEY)
_ASKER = Asker(_SITE, "0" * 64, Ed25519PrivateKey.generate().public_key(), _KEY, "0" * 64)


class Finding(AssertionError):
    """Something was read that does not mean the same once it is rebuilt, or that is never forgotten."""


def sip_message(data: bytes) -> None:
    """A datagram, and the same octets as a stream: read, rebuilt, and given to both roles."""
    _rebuilt(data)
    for whole in _streamed(data):
        _rebuilt(whole)
    for role, source in ((_platform(), BOX), (Device(_DEVICE, SeededChance(2)), CITY)):
        _heard(role, data, source)


def _streamed(data: bytes) -> list[bytes]:
    """Return the messages of a stream; cut in two anywhere, it holds the same."""
    whole, halves, at = Stream(), Stream(), data[0] % len(data) if data else 0
    try:
        found = whole.receive(data)
    except RemoteSipError:
        return []
    if halves.receive(data[:at]) + halves.receive(data[at:]) != found:
        raise Finding("the stream depends on how it is cut")
    return found


def _rebuilt(data: bytes) -> None:
    try:
        first = sip.parse(data)
    except RemoteSipError:
        return
    again = sip.parse(bytes(first))
    if _said(again) != _said(first):
        raise Finding(f"{_said(first)} became {_said(again)}")
    try:
        passed = Stream().receive(bytes(first))
    except RemoteSipError:
        return  # a method that no stream begins with
    if passed != [bytes(first)]:
        raise Finding(f"rebuilt, it is {len(passed)} messages of a stream")


def _said(message: sip.Request | sip.Response) -> tuple[object, ...]:
    start = (message.method, message.uri) if isinstance(message, sip.Request) else (message.status, message.reason)
    fields = tuple((name.lower(), value) for name, value in message.headers if name.lower() != "content-length")
    return (*start, fields, message.body, message.content_type, message.cseq, _or_rule(lambda: message.from_),
            _or_rule(lambda: message.to), _or_rule(lambda: message.number("expires")))  # fmt: skip


def _or_rule(read: Callable[[], object]) -> object:
    try:
        return read()
    except RemoteSipError as refused:
        return refused.rule


def _platform() -> Platform:
    """A platform at which the box is registered."""
    platform = Platform(_PLATFORM, SeededChance(1))
    if not _kept:
        register(Device(_DEVICE, SeededChance(2)), platform, (BOX, CITY), NOW)
        _kept.update(platform.kept())
    platform = Platform(_PLATFORM, SeededChance(1))
    platform.adopt(_kept, NOW)
    platform.datagrams_to_send(NOW)
    return platform


_kept: dict[str, Any] = {}


def _heard(role: Role, data: bytes, source: Address) -> None:
    role.receive_datagram(data, source, NOW)
    for _ in range(8):
        event = role.next_event()
        if isinstance(event, InviteReceived):
            role.refuse(event.call, 486, "Busy Here", NOW)
    for answer, _to in role.datagrams_to_send(NOW):
        sip.parse(answer)
    # Nothing answers for its user once the datagram was heard: what waits must wait for a moment in time.
    for standing in role._endpoint._transactions.values():
        if standing.expire_at is None and standing.resend_at is None:
            raise Finding(f"kept for ever: {standing.key}")


def sdp(data: bytes) -> None:
    """A description says the same once it is written and read again."""
    try:
        first = description.parse(data)
    except description.RemoteSdpError:
        return
    again = description.parse(bytes(first))
    if again != first:
        raise Finding(f"{first} became {again}")


def manscdp(data: bytes) -> None:
    """A message says the same once either edition has written it; in the edition's own charset it is still the same one."""
    try:
        first = messages.decode(data)
    except RemoteManscdpError:
        return
    for edition in (2016, 2022):
        again = _reread(messages.encode(first, edition, "UTF-8"), first)
        if again is not None and again != _kept_by(first, edition):
            raise Finding(f"{first} became {again} in {edition}")
        again = _reread(messages.encode(first, edition), first)
        if again is not None and (again.sn, again.device_id) != (first.sn, first.device_id):
            raise Finding(f"{first} became {again} in {edition}'s charset")


def _reread(written: bytes, first: messages.Message) -> messages.Message | None:
    """Return what was written as it is read; None where the edition cannot say such a thing at all."""
    try:
        again = messages.decode(written)
    except RemoteManscdpError as refused:
        if refused.rule == "command_unknown" and not _sayable(first, written):
            return None
        raise Finding(f"{first} is refused as {refused.rule} once it is written") from refused
    if (again.root, again.command) != (first.root, first.command):
        raise Finding(f"{first} became a {type(again).__name__}")
    return again if type(again) is type(first) else None


def _sayable(message: messages.Message, written: bytes) -> bool:
    """Whether a control's one command was written: one with nothing to say, or of the other edition, is not."""
    element = getattr(message, "element", "")
    return any(f"<{name}".encode() in written for name in (element, *getattr(message, "also", ())))


def _kept_by(value: Any, edition: int) -> Any:
    """Return a message, or an item of one, without what the edition has no element for."""
    hints = typing.get_type_hints(type(value), include_extras=True)
    kept: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        at: form.At = hints[field.name].__metadata__[0]
        found = getattr(value, field.name)
        if at.place(edition) is None:
            kept[field.name] = field.default
        elif isinstance(at.kind, form.Several):
            kept[field.name] = tuple(_kept_by(item, edition) for item in found)
        else:
            kept[field.name] = found
    return type(value)(**kept)


#: By the folder of ``tests/wire`` whose files are its seeds.
#: A header that is held back at the end is no longer than the longest stream map.
_MOST_HELD = 600


def program_stream(data: bytes) -> None:
    """Octets as a program stream in RTP: no more comes out than went in, and however they are cut it is the same."""
    size = 1 + data[0] if data else 1
    (small, rules), (whole, other_rules) = _inspected(data, size), _inspected(data, max(1, len(data)))
    if len(whole) > len(data) or len(small) > len(data):
        raise Finding("more came out than went in")
    shorter, longer = sorted((small, whole), key=len)
    if rules | other_rules <= {"ps_private", "ps_stream"} and (
        not longer.startswith(shorter) or len(longer) - len(shorter) > _MOST_HELD
    ):
        raise Finding("the stream depends on how it is cut")


def _inspected(data: bytes, size: int) -> tuple[bytes, set[str]]:
    inspection, out = PsInspection({0xE0: H264, 0xC0: 0x90}), []
    for at in range(0, len(data), size):
        part = bytearray(data[at : at + size])
        if inspection.left >= len(part):
            inspection.left -= len(part)
            said: bytes | None = None
        else:
            said = inspection.take(part, 0, len(part), False, False)
        out.append(bytes(part) if said is None else said)
    return b"".join(out), set(inspection.counters)


def elementary_stream(data: bytes) -> None:
    """Packets of an elementary stream: what goes on is no longer, would go on again, and is the same in smaller packets."""
    encoding, known, room = ("H264", "H265")[data[0] & 1] if data else "H264", bool(data[:1] > b"\x7f"), 40
    codec = {"H264": H264, "H265": H265}[encoding]
    first, again, missing = EsInspection(codec, known), EsInspection(codec, known), False
    for payload, marker, gap in _packets(data[1:]):
        went = _went(first, payload, marker, gap)
        missing |= gap
        if len(went) > max(len(payload), len(EMPTY[codec])):
            raise Finding("more came out than went in")
        if not went or went == EMPTY[codec]:
            continue
        if _went(again, went, marker, missing) != went:
            raise Finding(f"what went on is refused: {went.hex()}, {dict(again.counters)}")
        missing = False
        _in_pieces(first.pieces(went, room), went, encoding, room)


def _packets(data: bytes) -> Iterator[tuple[bytes, bool, bool]]:
    """Packets behind two octets: their size, and in the upper bits whether one before is missing, and the marker."""
    at = 0
    while at + 2 < len(data):
        head = int.from_bytes(data[at : at + 2], "big")
        payload = data[at + 2 : at + 2 + max(1, head & 0x1FFF)]
        yield payload, bool(head & 0x8000), head >> 13 & 3 == 3
        at += 2 + len(payload)


def _went(inspection: EsInspection, payload: bytes, marker: bool, gap: bool) -> bytes:
    part = bytearray(payload)
    if not gap and inspection.quick(part, 0, len(part)) == 0:
        return payload
    said = inspection.take(part, 0, len(part), marker, gap)
    return bytes(part) if said is None else said


def _in_pieces(pieces: list[bytes], whole: bytes, encoding: str, room: int) -> None:
    if max(map(len, pieces)) > room:
        raise Finding("a piece is too long")
    kind = whole[0] & 0x1F if encoding == "H264" else whole[0] >> 1 & 0x3F
    if kind in (28, 49):
        return  # a part of a unit
    one, several = Unpacking(encoding), Unpacking(encoding)
    if one.feed(whole) != b"".join(map(several.feed, pieces)) or several.wrong:
        raise Finding(f"in pieces it is something else: {whole.hex()}")


def enrol(data: bytes) -> None:
    """Octets as what stands inside of a bundle, of a box's request, and as a city's answer: read, or refused by name."""
    inside = base64.urlsafe_b64encode(data).decode("ascii")
    try:
        bundle = enrolment.read_bundle("SNOWGATE1:" + inside)
    except enrolment.EnrolmentRefused:
        pass
    else:
        if enrolment.read_bundle(enrolment.write_bundle(bundle)) != bundle:
            raise Finding(f"{bundle} is another once it is written")
        if enrolment.read_door(enrolment.write_door(bundle)).ca != bundle.ca:
            raise Finding(f"{bundle} has another door")
    request = json.dumps({"payload": base64.b64encode(data).decode("ascii"), "signature": "AAAA"})
    with contextlib.suppress(enrolment.EnrolmentRefused):
        raise Finding(f"{enrolment.open_request(request)} is believed without a signature")
    with contextlib.suppress(AnswerWrong):
        _answered(conversation.understood(200, data, _CA, None, _ASKER))


def _answered(said: conversation.Answer) -> None:
    if isinstance(said, conversation.Approved | conversation.Revoked):
        raise Finding(f"{said} is believed of a city that never said it")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "sip": sip_message, "sdp": sdp, "manscdp": manscdp, "ps": program_stream, "es": elementary_stream, "enrol": enrol,
}  # fmt: skip
