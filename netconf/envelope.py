"""What the city signs, for a box (its layer, its answer that a change has arrived, its revocation), for a concentrator
(the peers that it has) and for both (by which CAs it is known); and the box's own report. Pure.

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
#: A report holds its programs' own words, of thousands of channels, too.
MAX_REPORT_BYTES = 1 << 20
#: 20,000 peers with their sealed keys.
MAX_PEERS_BYTES = 1 << 24
SEALED_FOR_BOX, SEALED_FOR_HUB = "box ", "hub "
MAX_NUMBER = (1 << 53) - 1
#: The CA of the moment and the one beside it, each in PEM.
MAX_AUTHORITIES, MAX_AUTHORITY_CHARACTERS = 2, 4096
#: The signature is over this and the payload: what is signed for one purpose is worth nothing for another.
_PURPOSES = {
    "layer": b"snowgate city layer 1\n",
    "answer": b"snowgate city answer 1\n",
    "revocation": b"snowgate city revocation 1\n",
    "peers": b"snowgate city peers 1\n",
    "authority": b"snowgate city authority 1\n",
}
_REPORT = b"snowgate box report 1\n"
_FIELDS: dict[str, dict[str, type]] = {
    "layer": {"site": str, "device": str, "epoch": int, "revision": int, "not_after": int, "layer": dict},
    "answer": {"site": str, "device": str, "nonce": str},
    "revocation": {"site": str, "device": str, "epoch": int, "at": int, "reason": str},
    "peers": {"concentrator": str, "epoch": int, "kind": str, "first": int, "revision": int, "peers": list},
    "authority": {"sequence": int, "certificates": list},
}
#: Fields that a payload may have besides.
_BESIDES: dict[str, dict[str, type]] = {"layer": {"sealed": str}, "peers": {"smaller": bool}}


class EnvelopeRefused(Exception):
    """An envelope that is not to be believed; ``rule`` names why and is a code of ``words``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class CityLayer:
    """A signed layer that was found good; ``not_after`` in seconds since 1970 (UTC).

    ``sealed`` holds the secrets that go with it, for the device's key alone (``netconf.sealed``, context
    ``SEALED_FOR_BOX`` and the site); "" when there is none new.
    """

    epoch: int
    revision: int
    not_after: int
    layer: dict[str, Any]
    sealed: str = ""

    @property
    def mark(self) -> tuple[int, int]:
        return self.epoch, self.revision


def sign(purpose: str, payload: dict[str, Any], key: Ed25519PrivateKey) -> str:
    """Return the envelope of ``payload``, for a ``purpose`` of ``_PURPOSES``."""
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
    layer = CityLayer(body["epoch"], body["revision"], body["not_after"], body["layer"], body.get("sealed", ""))
    if not all(0 <= number <= MAX_NUMBER for number in (*layer.mark, layer.not_after)):
        raise EnvelopeRefused("layer_fields")
    if layer.mark <= highest:
        raise EnvelopeRefused("layer_old")
    if now >= layer.not_after:
        raise EnvelopeRefused("layer_expired")
    return layer


def claimed_mark(text: str) -> tuple[int, int]:
    """Return the epoch and revision that an envelope claims, unchecked: to name it by when it was refused."""
    try:
        body = json.loads(_octets(_object(text, {"payload": str, "signature": str})["payload"]))
        return int(body["epoch"]), int(body["revision"])
    except (EnvelopeRefused, ValueError, TypeError, KeyError, RecursionError):
        return 0, 0


def open_answer(text: str, city: Ed25519PublicKey, *, site: str, device: str, nonce: str) -> None:
    """Accept an envelope in which the city answers ``nonce``.

    Raises:
        EnvelopeRefused: it is not that.
    """
    if _open("answer", text, city, site, device)["nonce"] != nonce:
        raise EnvelopeRefused("answer_other_change")


@dataclass(frozen=True, slots=True)
class Peers:
    """What a concentrator is told, found good: all of its peers (``kind`` "snapshot"), or those that changed ("changes").

    A snapshot stands for everything up to ``revision``; changes are those from ``first`` to ``revision``, without a gap.
    Each entry: ``site``, ``public_key``, ``allowed`` (texts), ``psk`` (sealed to the concentrator's key, context
    ``SEALED_FOR_HUB`` and the site), ``revision``. A peer that the city took off has ``"gone": true`` instead; one with
    ``"reset": true`` is taken off and put on again. ``smaller``: a person says that peers may be missing without a word.
    """

    epoch: int
    kind: str
    first: int
    revision: int
    peers: tuple[dict[str, Any], ...]
    smaller: bool = False


def open_peers(text: str, city: Ed25519PublicKey, *, concentrator: str) -> Peers:
    """Return what the city says of a concentrator's peers; who has which address the caller judges.

    Raises:
        EnvelopeRefused: it is not signed, not for this concentrator, or no such thing.
    """
    body = _signed("peers", text, city, MAX_PEERS_BYTES)
    if body["concentrator"] != concentrator:
        raise EnvelopeRefused("peers_other_concentrator")
    numbers = (body["epoch"], body["first"], body["revision"])
    if body["kind"] not in ("snapshot", "changes") or not all(0 <= number <= MAX_NUMBER for number in numbers):
        raise EnvelopeRefused("layer_fields")
    if not all(isinstance(peer, dict) for peer in body["peers"]):
        raise EnvelopeRefused("layer_fields")
    return Peers(
        body["epoch"], body["kind"], body["first"], body["revision"], tuple(body["peers"]), body.get("smaller", False)
    )


@dataclass(frozen=True, slots=True)
class Authority:
    """By which CAs the city's servers and certificates are known from now on (PEM); ``sequence`` only rises."""

    sequence: int
    certificates: tuple[str, ...]


def open_authority(text: str, city: Ed25519PublicKey) -> Authority:
    """Return what the city says of its own CA. It is for everybody who knows the city's key.

    Raises:
        EnvelopeRefused: it is not signed, or no such thing.
    """
    body = _signed("authority", text, city, MAX_ENVELOPE_BYTES)
    pems = body["certificates"]
    fits = all(isinstance(pem, str) and len(pem) <= MAX_AUTHORITY_CHARACTERS and pem.isascii() for pem in pems)
    if not fits or not 1 <= len(pems) <= MAX_AUTHORITIES or not 1 <= body["sequence"] <= MAX_NUMBER:
        raise EnvelopeRefused("layer_fields")
    return Authority(body["sequence"], tuple(pems))


def open_revocation(text: str, city: Ed25519PublicKey, *, site: str, device: str) -> tuple[int, str]:
    """Return when this box was revoked (seconds since 1970), and why.

    Raises:
        EnvelopeRefused: the city did not say that of this box.
    """
    body = _open("revocation", text, city, site, device)
    return body["at"], body["reason"]


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
    outer = _object(text, {"payload": str, "signature": str}, most=MAX_REPORT_BYTES)
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
    body = _signed(purpose, text, city, MAX_ENVELOPE_BYTES)
    if body["site"] != site:
        raise EnvelopeRefused("layer_other_site")
    if body["device"] != device:
        raise EnvelopeRefused("layer_other_device")
    return body


def _signed(purpose: str, text: str, city: Ed25519PublicKey, most: int) -> dict[str, Any]:
    outer = _object(text, {"payload": str, "signature": str}, most=most)
    octets, signature = _octets(outer["payload"]), _octets(outer["signature"])
    try:
        city.verify(signature, _PURPOSES[purpose] + octets)
    except InvalidSignature:
        raise EnvelopeRefused("layer_unsigned") from None
    try:
        return _object(octets.decode("utf-8"), _FIELDS[purpose], _BESIDES.get(purpose, {}), most)
    except UnicodeDecodeError:
        raise EnvelopeRefused("layer_fields") from None


def _object(
    text: str, fields: dict[str, type], besides: dict[str, type] | None = None, most: int = MAX_ENVELOPE_BYTES
) -> dict[str, Any]:
    if len(text) > most:
        raise EnvelopeRefused("layer_fields")
    try:
        body = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise EnvelopeRefused("layer_fields") from None
    known = fields | (besides or {})
    if not isinstance(body, dict) or not fields.keys() <= body.keys() <= known.keys():
        raise EnvelopeRefused("layer_fields")
    if any(type(value) is not known[name] for name, value in body.items()):
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
