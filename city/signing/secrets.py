"""Preshared keys and SIP passwords: made here, sealed to who uses them, and forgotten."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from city.signing.requests import Seal
from netconf import sealed
from netconf.envelope import SEALED_FOR_BOX, SEALED_FOR_HUB

SEALED_FOR_PLATFORM = "platform "
#: 15 octets are 24 characters of base32: 120 bits, and nothing that a platform's form could choke on.
_PASSWORD_OCTETS, _PSK_OCTETS = 15, 32


class NoKey(ValueError):
    """What should be sealed to is no P-256 key."""


def seal(asked: Seal, chance: Callable[[int], bytes]) -> dict[str, Any]:
    """Return fresh secrets, each sealed to who needs it (``registry.signer.Sealed``).

    Raises:
        NoKey: a key is none.
    """
    psk = {tunnel: base64.b64encode(chance(_PSK_OCTETS)).decode("ascii") for tunnel in asked.hubs}
    sip = {platform: base64.b32encode(chance(_PASSWORD_OCTETS)).decode("ascii").lower() for platform in asked.platforms}
    both = json.dumps({"psk": psk, "sip": sip}, sort_keys=True, separators=(",", ":")).encode("ascii")
    return {
        "box": sealed.seal(both, _key(asked.device_key), SEALED_FOR_BOX + asked.site),
        "hubs": {
            tunnel: sealed.seal(psk[tunnel].encode("ascii"), _key(key), SEALED_FOR_HUB + asked.site)
            for tunnel, key in asked.hubs.items()
        },
        "platforms": {
            platform: sealed.seal(sip[platform].encode("ascii"), _key(key), SEALED_FOR_PLATFORM + asked.site)
            for platform, key in asked.platforms.items()
            if key is not None
        },
    }


def _key(text: str) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        raise NoKey from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise NoKey
    return key
