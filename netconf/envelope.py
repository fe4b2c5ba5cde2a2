"""What the city signs for one box, its layer and its answer that a change has arrived; and the box's own report. Pure.

The octets that were signed travel as they are, so that nobody has to agree about how to write JSON. A layer is bound to
the site, to the device's key, to an epoch and a revision that only rise, and to a last moment of use. An answer is bound
to the nonce that the box made for one change; it cannot be kept for another.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAX_ENVELOPE_BYTES = 1 << 17
MAX_NUMBER = (1 << 53) - 1
#: The signature is over this and the payload: what is signed for one purpose is worth nothing for another.
_PURPOSES = {"layer": b"snowgate city layer 1\n", "answer": b"snowgate city answer 1\n"}
_REPORT = b"snowgate box report 1\n"
_FIELDS: dict[str, dict[str, type]] = {
    "layer": {"site": str, "device": str, "epoch": int, "revision": int, "not_after": int, "layer": dict},
    "answer": {"site": str, "device": str, "nonce": str},
}


class EnvelopeRefused(Exception):
    """An envelope that is not to be believed; ``rule`` names why and is a code of ``words``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class CityLayer:
    """A signed layer that was found good; ``not_after`` in seconds since 1970 (UTC)."""

    epoch: int
    revision: int
    not_after: int
    layer: dict[str, Any]

    @property
    def mark(self) -> tuple[int, int]:
        return self.epoch, self.revision


def sign(purpose: str, payload: dict[str, Any], key: Ed25519PrivateKey) -> str:
    """Return the envelope of ``payload``, for ``purpose`` "layer" or "answer"."""
    octets = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    signature = key.sign(_PURPOSES[purpose] + octets)
    return json.dumps({"payload": _text(octets), "signature": _text(signature)})


def open_layer(
    text: str, city: Ed25519PublicKey, *, site: str, device: str, highest: tuple[int, int], now: float
) -> CityLayer:
    """Return the layer of an envelope that is signed, for us, newer than ``highest`` and not expired.

    Raises:
        EnvelopeRefused: the first of these that it is not.
    """
    body = _open("layer", text, city, site, device)
    layer = CityLayer(body["epoch"], body["revision"], body["not_after"], body["layer"])
    if not all(0 <= number <= MAX_NUMBER for number in (*layer.mark, layer.not_after)):
        raise EnvelopeRefused("layer_fields")
    if layer.mark <= highest:
        raise EnvelopeRefused("layer_old")
    if now >= layer.not_after:
        raise EnvelopeRefused("layer_expired")
    return layer


def open_answer(text: str, city: Ed25519PublicKey, *, site: str, device: str, nonce: str) -> None:
    """Accept an envelope in which the city answers ``nonce``.

    Raises:
        EnvelopeRefused: it is not that.
    """
    if _open("answer", text, city, site, device)["nonce"] != nonce:
        raise EnvelopeRefused("answer_other_change")


def sign_report(payload: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    """Return the envelope of a box's report, signed by its device key (ECDSA, SHA-256)."""
    octets = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    signature = key.sign(_REPORT + octets, ec.ECDSA(hashes.SHA256()))
    return json.dumps({"payload": _text(octets), "signature": _text(signature)})


def open_report(text: str, device: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """Return the report of an envelope that is signed by ``device``.

    Raises:
        EnvelopeRefused: it is not.
    """
    outer = _object(text, {"payload": str, "signature": str})
    octets = _octets(outer["payload"])
    try:
        device.verify(_octets(outer["signature"]), _REPORT + octets, ec.ECDSA(hashes.SHA256()))
        report = json.loads(octets)
    except (InvalidSignature, ValueError, RecursionError):
        raise EnvelopeRefused("report_unsigned") from None
    if not isinstance(report, dict):
        raise EnvelopeRefused("report_unsigned")
    return report


def _open(purpose: str, text: str, city: Ed25519PublicKey, site: str, device: str) -> dict[str, Any]:
    outer = _object(text, {"payload": str, "signature": str})
    octets, signature = _octets(outer["payload"]), _octets(outer["signature"])
    try:
        city.verify(signature, _PURPOSES[purpose] + octets)
    except InvalidSignature:
        raise EnvelopeRefused("layer_unsigned") from None
    try:
        body = _object(octets.decode("utf-8"), _FIELDS[purpose])
    except UnicodeDecodeError:
        raise EnvelopeRefused("layer_fields") from None
    if body["site"] != site:
        raise EnvelopeRefused("layer_other_site")
    if body["device"] != device:
        raise EnvelopeRefused("layer_other_device")
    return body


def _object(text: str, fields: dict[str, type]) -> dict[str, Any]:
    if len(text) > MAX_ENVELOPE_BYTES:
        raise EnvelopeRefused("layer_fields")
    try:
        body = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise EnvelopeRefused("layer_fields") from None
    if not isinstance(body, dict) or body.keys() != fields.keys():
        raise EnvelopeRefused("layer_fields")
    if any(type(body[name]) is not kind for name, kind in fields.items()):
        raise EnvelopeRefused("layer_fields")
    return body


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key twice")
    return made


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeRefused("layer_fields") from None
