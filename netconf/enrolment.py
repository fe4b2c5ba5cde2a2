"""How a box and a city meet: the bundle that the city prints, what the box asks with it, and the code that both show. Pure.

The bundle is all that an installer carries: where the city answers, what it is known by (the hash of its CA's certificate,
the key that it signs with), for which site, and a claim that is good for one device. What the box asks is signed by its
device key, which stands in the request. The code of six digits is made from that key, that CA and that claim by each side
for itself: somebody in between has another key, and so another code.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MAX_BUNDLE_CHARACTERS = 1024
MAX_REQUEST_BYTES = 1 << 14
#: What a box says of its hardware: board, storage and ports, nothing else.
MAX_FACTS, MAX_FACT_CHARACTERS = 8, 128
_MARK = "SNOWGATE1:"
_REQUEST = b"snowgate enrol 1\n"
_CODE_CONTEXT = b"snowgate code 1\n"
_SITE = re.compile(r"[0-9]{20}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)
#: A prefix that may be shown and logged, and 128 bits that may not.
_CLAIM = re.compile(r"[0-9a-f]{8}\.[a-z2-7]{26}", re.ASCII)
_NONCE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,14}", re.ASCII)


class EnrolmentRefused(ValueError):
    """It is no bundle, or no request to be believed; ``rule`` is a code of ``words``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the city prints for one site.

    ``ca``: SHA-256 of the CA's certificate (DER), hexadecimal. ``city_key``: Ed25519, base64. ``claim``: prefix and secret.
    """

    site: str
    address: str
    port: int
    ca: str
    city_key: str
    claim: str

    def __repr__(self) -> str:
        return f"Bundle(site={self.site!r}, address={self.address!r}, port={self.port}, claim={self.claim[:8]!r})"


def write_bundle(bundle: Bundle) -> str:
    """Return the bundle as one line, as it stands in the QR code."""
    octets = json.dumps(asdict(bundle), sort_keys=True, separators=(",", ":")).encode("ascii")
    return _MARK + base64.urlsafe_b64encode(octets).decode("ascii")


def read_bundle(text: str) -> Bundle:
    """Return the bundle that a line says; blanks and line breaks within it are a phone's doing and let be.

    Raises:
        EnrolmentRefused: ``bundle_form``.
    """
    text = "".join(text.split()) if len(text) <= MAX_BUNDLE_CHARACTERS else ""
    try:
        if not text.startswith(_MARK):
            raise ValueError("no bundle")
        body = json.loads(base64.b64decode(text.removeprefix(_MARK), altchars=b"-_", validate=True))
        bundle = Bundle(**body)
        IPv4Address(bundle.address)
        fits = (_SITE.fullmatch(bundle.site), _HASH.fullmatch(bundle.ca), _KEY.fullmatch(bundle.city_key),
                _CLAIM.fullmatch(bundle.claim))  # fmt: skip
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise EnrolmentRefused("bundle_form") from None
    if not all(fits) or type(bundle.port) is not int or not 1 <= bundle.port <= 65535:
        raise EnrolmentRefused("bundle_form")
    return bundle


@dataclass(frozen=True, slots=True)
class Door:
    """Where the city enrols this box, and what it is known by: the bundle without its claim and its signing key."""

    site: str
    address: str
    port: int
    ca: str


def write_door(bundle: Bundle) -> bytes:
    """Return what is kept of a bundle for as long as the box belongs to that city."""
    return json.dumps(asdict(Door(bundle.site, bundle.address, bundle.port, bundle.ca))).encode("ascii")


def read_door(data: bytes) -> Door:
    """Return what ``write_door`` wrote.

    Raises:
        EnrolmentRefused: ``bundle_form``.
    """
    try:
        door = Door(**json.loads(data, object_pairs_hook=_once))
        IPv4Address(door.address)
        fits = _SITE.fullmatch(door.site) and _HASH.fullmatch(door.ca)
    except (ValueError, TypeError, RecursionError):
        raise EnrolmentRefused("bundle_form") from None
    if not fits or type(door.port) is not int or not 1 <= door.port <= 65535:
        raise EnrolmentRefused("bundle_form")
    return door


@dataclass(frozen=True, slots=True)
class Claimed:
    """What enrolling needs besides: the claim, which is a secret, and what the hardware says of itself."""

    claim: str
    fingerprint: dict[str, str]

    def __repr__(self) -> str:
        return f"Claimed(claim={self.claim[:8]!r})"


def write_claim(claimed: Claimed) -> bytes:
    """Return what is kept of a claim until it is used."""
    return json.dumps(asdict(claimed)).encode("utf-8")


def read_claim(data: bytes) -> Claimed:
    """Return what ``write_claim`` wrote.

    Raises:
        EnrolmentRefused: ``bundle_form``.
    """
    try:
        claimed = Claimed(**json.loads(data, object_pairs_hook=_once))
        if not _CLAIM.fullmatch(claimed.claim) or not _facts(claimed.fingerprint):
            raise ValueError("no claim")
    except (ValueError, TypeError, RecursionError):
        raise EnrolmentRefused("bundle_form") from None
    return claimed


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """What a box asks before a tunnel exists, or with a certificate that has run out (then ``claim`` is "").

    ``csr`` in PEM; ``wireguard``: tunnel's name -> public key; ``time`` in seconds since 1970 by the box's clock.
    """

    site: str
    claim: str
    csr: str
    wireguard: dict[str, str]
    fingerprint: dict[str, str]
    time: int
    nonce: str


def sign_request(request: EnrolRequest, device: ec.EllipticCurvePrivateKey) -> str:
    """Return the request with the device's key and its signature (ECDSA, SHA-256)."""
    payload = asdict(request) | {"device_key": _b64(_der(device.public_key()))}
    octets = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    signature = device.sign(_REQUEST + octets, ec.ECDSA(hashes.SHA256()))
    return json.dumps({"payload": _b64(octets), "signature": _b64(signature)})


def open_request(text: str) -> tuple[EnrolRequest, ec.EllipticCurvePublicKey]:
    """Return a request and the device's key, by which it is signed.

    Raises:
        EnrolmentRefused: ``enrol_form`` or ``enrol_unsigned``.
    """
    try:
        outer = json.loads(text if len(text) <= MAX_REQUEST_BYTES else "", object_pairs_hook=_once)
        octets, signature = (base64.b64decode(outer[name], validate=True) for name in ("payload", "signature"))
        body = json.loads(octets, object_pairs_hook=_once)
        device = serialization.load_der_public_key(base64.b64decode(body.pop("device_key"), validate=True))
        request = EnrolRequest(**body)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error):
        raise EnrolmentRefused("enrol_form") from None
    if not isinstance(device, ec.EllipticCurvePublicKey) or device.curve.name != "secp256r1" or not _fits(request):
        raise EnrolmentRefused("enrol_form")
    try:
        device.verify(signature, _REQUEST + octets, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise EnrolmentRefused("enrol_unsigned") from None
    return request, device


def code(ca: str, device: ec.EllipticCurvePublicKey, claim: str) -> str:
    """Return the six digits that box and console both show; ``claim`` with or without its secret, ``ca`` hexadecimal."""
    digest = hashlib.sha256(_CODE_CONTEXT + bytes.fromhex(ca) + hashlib.sha256(_der(device)).digest()
                            + claim[:8].encode("ascii")).digest()  # fmt: skip
    return f"{int.from_bytes(digest[:8], 'big') % 1_000_000:06d}"


def claim_hash(claim: str) -> str:
    """Return what the city keeps of a claim beside its prefix. 128 bits of chance need no slow hash."""
    return hashlib.sha256(b"snowgate claim 1\n" + claim.encode("ascii")).hexdigest()


def _fits(request: EnrolRequest) -> bool:
    texts = (request.site, request.claim, request.csr, request.nonce)
    if not all(isinstance(text, str) for text in texts) or type(request.time) is not int:
        return False
    named = isinstance(request.wireguard, dict) and all(
        _NAME.fullmatch(name) and isinstance(key, str) and _KEY.fullmatch(key)
        for name, key in request.wireguard.items()
    )
    claimed = not request.claim or _CLAIM.fullmatch(request.claim)
    form = _SITE.fullmatch(request.site) and claimed and _NONCE.fullmatch(request.nonce)
    return bool(
        named
        and _facts(request.fingerprint)
        and form
        and 1 <= len(request.wireguard) <= 4
        and 0 <= request.time < 1 << 53
    )


def _facts(fingerprint: object) -> bool:
    return isinstance(fingerprint, dict) and len(fingerprint) <= MAX_FACTS and all(
        isinstance(name, str) and _NAME.fullmatch(name)
        and isinstance(fact, str) and len(fact) <= MAX_FACT_CHARACTERS and fact.isprintable()
        for name, fact in fingerprint.items()
    )  # fmt: skip


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key twice")
    return made


def _der(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
