"""Every reader, over its registry: bytes are read or refused by the reader's own error; what was read writes the same."""

from __future__ import annotations

import base64
import dataclasses
import typing
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.digest.fields import RemoteDigestError, parse_fields
from edge.manscdp import form, messages, ptz
from edge.manscdp.catalog import CatalogEntry, CatalogResponse
from edge.manscdp.control import Control
from edge.manscdp.device import Keepalive, PositionsNotify
from edge.manscdp.reader import RemoteManscdpError
from edge.rtp import rtcp
from edge.rtp.packet import RemoteRtpError, RtpPacket
from edge.sdp import description
from edge.sip import message as sip
from edge.sip.errors import RemoteSipError
from edge.sip.uri import NameAddr, SipUri
from netconf import certificates, enrolment, unsealed
from netconf.sealed import SealBroken, seal
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import _CA

#: Ratchet: a registry that silently went empty would test nothing.
MIN_MESSAGES = 53
ID = "34020000001310000001"
REQUEST = (
    b"MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK1\r\n"
    b"From: <sip:34020000001180000001@3402000000>;tag=1\r\nTo: <sip:34020000002000000001@3402000000>\r\n"
    b"Call-ID: 1@192.0.2.10\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
OFFER = bytes(
    description.MediaDescription.offer(
        session_name="Play", origin_id=ID, address="192.0.2.1", port=30000, payload_types=(96, 98), ssrc=200001
    ).of_stream(1, "streamMode")
)
BODIES = [
    messages.encode(Keepalive(1, ID)),
    messages.encode(CatalogResponse(2, ID, 1, (CatalogEntry(ID, name="北门"),))),
]
REPORT = rtcp.receiver_report(9, (rtcp.ReportBlock(7, 1, 2, 3, 4),), b"name") + b"\x81\xcb\0\x01\0\0\0\x09"
Reader = Callable[[bytes], object]
READERS: list[tuple[Reader, type[Exception], list[bytes]]] = [
    (sip.parse, RemoteSipError, [REQUEST]),
    (description.parse, description.RemoteSdpError, [OFFER]),
    (messages.decode, RemoteManscdpError, BODIES),
    (RtpPacket.parse, RemoteRtpError, [bytes.fromhex("8060000100000002000000030000 01ba")]),
    (lambda data: rtcp.parse(data, 7), rtcp.RemoteRtcpError, [REPORT]),
    (lambda data: SipUri.parse(data.decode("latin-1")), RemoteSipError, [b"sip:a@b:5060;transport=udp"]),
    (lambda data: NameAddr.parse(data.decode("latin-1")), RemoteSipError, [b"<sip:a@b>;tag=1;expires=3600"]),
    (lambda data: parse_fields(data.decode("latin-1")), RemoteDigestError, [b'Digest realm="a", nonce="b", qop=auth']),
]
_BUNDLE, _REQUEST, *_ = seeds("enrol")
_DEVICE = ec.generate_private_key(ec.SECP256R1())
_SIGNED = enrolment.sign_request(
    enrolment.EnrolRequest(ID, "", "x", {"wg-a": "A" * 43 + "="}, {}, 1, "0" * 32), _DEVICE
).encode()
READERS += [
    (lambda d: enrolment.read_bundle("SNOWGATE1:" + base64.urlsafe_b64encode(d).decode()), enrolment.EnrolmentRefused, [_BUNDLE]),
    (lambda d: enrolment.read_bundle(d.decode("latin-1")), enrolment.EnrolmentRefused,
     [b"SNOWGATE1:" + base64.urlsafe_b64encode(_BUNDLE)]),
    (lambda d: enrolment.open_request(d.decode("latin-1")), enrolment.EnrolmentRefused, [_SIGNED]),
    (certificates.read, certificates.CertificateRefused, [_CA.public_bytes(serialization.Encoding.PEM)]),
    (lambda d: unsealed.read(seal(d, _DEVICE.public_key(), "box " + ID), _DEVICE, ID), SealBroken,
     [b'{"psk": {"wg-a": "%s"}, "sip": {"%s": "x"}}' % (b"A" * 43 + b"=", ID.encode())]),
]  # fmt: skip
IDS = [
    "sip",
    "sdp",
    "manscdp",
    "rtp",
    "rtcp",
    "uri",
    "name_addr",
    "digest",
    "bundle",
    "bundle_line",
    "request",
    "certificate",
    "secrets",
]


@st.composite
def damaged(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A sample with a few bytes cut, doubled, or replaced."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 12))
        data[at : at + size] = draw(st.one_of(st.binary(max_size=8), st.just(bytes(data[at : at + size]) * 2)))
    return bytes(data)


@pytest.mark.parametrize(("read", "refusal", "samples"), READERS, ids=IDS)
def test_the_samples_are_read(read: Reader, refusal: type[Exception], samples: list[bytes]) -> None:
    """The control of the two tests below."""
    for sample in samples:
        assert read(sample) is not None


@pytest.mark.parametrize(("read", "refusal", "samples"), READERS, ids=IDS)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_anything_is_read_or_refused_by_name(
    read: Reader, refusal: type[Exception], samples: list[bytes], data: st.DataObject
) -> None:
    octets = data.draw(st.one_of(st.binary(max_size=200), damaged(samples)))
    try:
        read(octets)
    except refusal as named:
        assert getattr(named, "rule", "")  # noqa: PT017  the rule is what is judged


def test_what_the_sip_reader_accepts_it_writes_and_reads_again() -> None:
    @settings(max_examples=300, deadline=None)
    @given(damaged([REQUEST]))
    def again(octets: bytes) -> None:
        try:
            first = sip.parse(octets)
        except RemoteSipError:
            return
        second = sip.parse(bytes(first))
        assert bytes(second) == bytes(first)

    again()


def test_what_the_sdp_reader_accepts_it_writes_and_reads_again() -> None:
    @settings(max_examples=300, deadline=None)
    @given(damaged([OFFER]))
    def again(octets: bytes) -> None:
        try:
            first = description.parse(octets)
        except description.RemoteSdpError:
            return
        assert bytes(description.parse(bytes(first))) == bytes(first)

    again()


LABEL = st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=30).map(str.strip).filter(
    lambda text: text.isprintable() and text not in ("null", "NULL") and text.encode("gbk", "ignore").decode("gbk") == text
)  # fmt: skip
PTZ = [ptz.Move(1, -1, 0, 9, 7), ptz.Lens(1, 0, 3), ptz.Preset("call", 7), ptz.Cruise("start", 1)]


def made(kind: type[Any], edition: int) -> st.SearchStrategy[Any]:
    """Any message of ``kind``, field by field, within what the edition lets the field say."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {
        field.name: _field(hints[field.name].__metadata__[0], field, edition) for field in dataclasses.fields(kind)
    }
    return st.builds(kind, **fields)


def _field(at: form.At, field: Any, edition: int) -> st.SearchStrategy[Any]:
    if at.place(edition) is None:
        return st.just(field.default)
    values = _values(at.kind, edition)
    return st.one_of(st.just(field.default), values) if field.default in (None, "") else values


def _values(kind: Any, edition: int) -> st.SearchStrategy[Any]:
    """Any value of a field's kind."""
    if isinstance(kind, form.Text):
        return LABEL.map(lambda text: text[: kind.most].strip())
    if isinstance(kind, form.Code):
        return st.sampled_from([ID, "340200", "3402000000"])
    if isinstance(kind, form.Whole):
        return st.integers(kind.low, kind.high)
    if isinstance(kind, form.Word):
        return st.sampled_from(kind.words)
    if isinstance(kind, form.Time):
        return st.integers(0, form.LATEST)
    if isinstance(kind, form.Fixed):
        return st.integers(kind.low * 10**kind.places, kind.high * 10**kind.places)
    if isinstance(kind, form.Several):
        return st.lists(made(kind.of, edition), max_size=3).map(tuple)
    if isinstance(kind, form.Values):
        return st.lists(_values(kind.kind, edition).filter(bool), max_size=3).map(tuple)
    return st.sampled_from(PTZ)


def test_the_registry_is_not_empty() -> None:
    assert len(messages.REGISTRY) >= MIN_MESSAGES


@pytest.mark.parametrize("edition", [2016, 2022])
@pytest.mark.parametrize("kind", messages.REGISTRY, ids=lambda kind: kind.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_message_that_was_written_is_read_as_itself(kind: type[Any], edition: int, data: st.DataObject) -> None:
    message = data.draw(made(kind, edition))
    if isinstance(message, PositionsNotify) and not message.positions:
        return  # without a list it is the earlier edition's notice
    if isinstance(message, Control) and f"<{message.element}".encode() not in messages.encode(message, 2016):
        return  # nothing was said
    notes: list[str] = []
    assert messages.decode(messages.encode(message, edition), notes) == message
    assert not notes
