"""A small secret that one key alone opens: sealed to a P-256 key, whoever carries or keeps it. Pure but for chance.

ECDH with a key of the moment, HKDF-SHA256, AES-256-GCM (the shape of RFC 9180's base mode, without its suites). The
context is authenticated: what was sealed for one purpose, site or tunnel does not open as another.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAX_SEALED_BYTES = 1 << 14
#: An uncompressed point of P-256; the key is used once, so that the nonce may stand still.
_POINT_BYTES, _KEY_BYTES, _NONCE = 65, 32, bytes(12)
_INFO = b"snowgate sealed 1\n"


class SealBroken(ValueError):
    """It does not open: it was sealed to another key or for something else, or was changed."""

    rule = "seal_broken"


def seal(secret: bytes, to: ec.EllipticCurvePublicKey, context: str) -> str:
    """Return ``secret`` sealed to ``to`` (base64)."""
    moment = ec.generate_private_key(ec.SECP256R1())
    point = _point(moment.public_key())
    key = _key(moment.exchange(ec.ECDH(), to), point, _point(to))
    return base64.b64encode(point + AESGCM(key).encrypt(_NONCE, secret, context.encode("utf-8"))).decode("ascii")


def unseal(text: str, own: ec.EllipticCurvePrivateKey, context: str) -> bytes:
    """Return what was sealed to us.

    Raises:
        SealBroken: it was not, or not as ``context``.
    """
    try:
        raw = base64.b64decode(text if len(text) <= MAX_SEALED_BYTES else "", validate=True)
        point, sealed = raw[:_POINT_BYTES], raw[_POINT_BYTES:]
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        key = _key(own.exchange(ec.ECDH(), theirs), point, _point(own.public_key()))
        return AESGCM(key).decrypt(_NONCE, sealed, context.encode("utf-8"))
    except (ValueError, binascii.Error, InvalidTag):
        raise SealBroken from None


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _key(shared: bytes, point: bytes, to: bytes) -> bytes:
    return HKDF(hashes.SHA256(), _KEY_BYTES, None, _INFO + point + to).derive(shared)
