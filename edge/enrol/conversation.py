"""What is said at the city's door: the pinned CA first, then the signed request; and what of the answers is believed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.io.https import HttpsRefused, Server, Trust, exchange
from netconf import certificates
from netconf.certificates import CertificateRefused
from netconf.enrolment import EnrolRequest, sign_request
from netconf.envelope import EnvelopeRefused, open_revocation

#: Together below the hole's time to live.
CA_SECONDS, ASK_SECONDS = 15.0, 20.0
MAX_RULE_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Pending:
    """A person must approve."""


@dataclass(frozen=True, slots=True)
class Approved:
    """The box's certificate, judged, and its first layer, which the keeper judges."""

    certificate: str
    layer: str


@dataclass(frozen=True, slots=True)
class Refused:
    """``rule`` is the city's word for why."""

    rule: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """Signed by the city: since when (seconds since 1970), and why."""

    envelope: str
    at: int
    reason: str


Answer = Pending | Approved | Refused | Revoked


class AnswerWrong(Exception):
    """The door answered with something that is not agreed, or not to be believed; ``rule`` is a code of ``words``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: a device by its key, for a site, at a city known by its CA and by the key that it signs with."""

    site: str
    pin: str
    city: Ed25519PublicKey
    device: ec.EllipticCurvePrivateKey
    device_hash: str


def fetch_ca(server: Server, pin: str) -> bytes:
    """Return the CA's certificate (PEM), compared with the pin before anything else is believed or sent.

    Raises:
        CertificateRefused, HttpsRefused, OSError.
    """
    status, pem = exchange(server, "/v1/ca", None, None, CA_SECONDS)
    if status != 200:
        raise HttpsRefused("server_answer")
    certificates.pinned(pem, pin)
    return pem


def ask_door(
    server: Server, cas: Sequence[x509.Certificate], now: float | None, request: EnrolRequest, asker: Asker
) -> Answer:
    """Put the signed request to the door and return its answer; ``now`` as for ``certificates.believable``.

    Raises:
        AnswerWrong, HttpsRefused, OSError.
    """
    body = sign_request(request, asker.device).encode("ascii")
    status, data = exchange(server, "/v1/enrol", body, Trust(tuple(cas), now), ASK_SECONDS)
    return understood(status, data, cas, now, asker)


def understood(status: int, data: bytes, cas: Sequence[x509.Certificate], now: float | None, asker: Asker) -> Answer:
    """Return what an answer of the door says.

    Raises:
        AnswerWrong: ``enrol_answer``, or what is wrong with what it brings.
    """
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        raise AnswerWrong("enrol_answer") from None
    if not isinstance(said, dict) or status not in (200, 403, 409):
        raise AnswerWrong("enrol_answer")
    state = said.get("state")
    if state == "refused":
        return Refused(_rule(said.get("rule")))
    if state == "pending" and status == 200:
        return Pending()
    if state == "revoked":
        return _revoked(said, asker)
    if state == "approved" and status == 200:
        return _approved(said, cas, now, asker)
    raise AnswerWrong("enrol_answer")


def _rule(said: object) -> str:
    if not isinstance(said, str) or not said.isascii() or not said.replace("_", "").isalnum():
        return ""
    return said[:MAX_RULE_CHARACTERS]


def _revoked(said: dict[str, Any], asker: Asker) -> Revoked:
    envelope = said.get("revocation")
    if not isinstance(envelope, str):
        raise AnswerWrong("enrol_answer")
    try:
        at, why = open_revocation(envelope, asker.city, site=asker.site, device=asker.device_hash)
    except EnvelopeRefused as wrong:
        raise AnswerWrong(wrong.rule) from None
    return Revoked(envelope, at, why[:256])


def _approved(said: dict[str, Any], cas: Sequence[x509.Certificate], now: float | None, asker: Asker) -> Approved:
    pem, layer = said.get("certificate"), said.get("layer")
    if not isinstance(pem, str) or not isinstance(layer, str) or not pem.isascii():
        raise AnswerWrong("enrol_answer")
    try:
        made = certificates.device(pem.encode("ascii"), cas, asker.device.public_key(), asker.site)
        certificates.judge_time(made, now)
    except CertificateRefused as wrong:
        raise AnswerWrong(wrong.rule) from None
    return Approved(pem, layer)
