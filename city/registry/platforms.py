"""The GB/T 28181 platforms' own programs: which key each has, and the feed of what a platform must know of its sites.

A platform never learns a password from the registry's tables: the signing process makes it and seals it to the platform's
key. Whoever has that key follows the feed and sets the passwords; a platform that has none is set by hand.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from city.registry import audit, feeds
from city.registry.refused import RegistryRefused
from city.registry.tables import Change, Meta

#: The feed that a platform's own program follows.
FEED = "platforms"
#: The fact (``Meta``) that holds the key of a platform's own program, to which SIP passwords are sealed.
KEY = "platform-key:"
MOST_CHANGES = 500
MAX_KEY_CHARACTERS = 512
_ID = re.compile(r"[0-9]{20}", re.ASCII)


def know(session: Session, now: float, who: str, platform: str, key: str) -> None:
    """Keep the key of a platform's own program; sites that are approved from now on get passwords for that platform.

    ``key``: P-256, DER, base64.

    Raises:
        RegistryRefused: ``platform_form`` (``id`` or ``key``).
    """
    if not _ID.fullmatch(platform):
        raise RegistryRefused("platform_form", field="id")
    if len(key) > MAX_KEY_CHARACTERS or not _is_key(key):
        raise RegistryRefused("platform_form", field="key")
    session.merge(Meta(name=KEY + platform, value=key))
    audit.write(session, now, who, "platform.key", f"platform:{platform}")


def key_of(session: Session, platform: str) -> str | None:
    """Return the key of a platform's own program, None of one that nobody has told."""
    row = session.get(Meta, KEY + platform)
    return row.value if row is not None else None


def changes(session: Session, after: int, platform: str = "") -> tuple[int, list[dict[str, Any]]]:
    """Return how far the feed has been read now, and what ``platform`` ("" for all) must know from ``after`` on.

    Each is ``{"site", "platform", "password"}`` with a sealed password (context ``"platform " + site``), or ``{"site",
    "gone"}``, which is for all. A reader that was away for too long hears it again from the oldest that there is.
    """
    found = feeds.after(session, FEED, max(0, after), MOST_CHANGES)
    if found is None:
        oldest = session.scalar(select(func.min(Change.revision)).where(Change.feed == FEED)) or 1
        found = feeds.after(session, FEED, oldest - 1, MOST_CHANGES) or ()
    upto = found[-1].revision if found else after
    mine = [one.body for one in found if not platform or one.body.get("platform", platform) == platform]
    return upto, mine


def _is_key(text: str) -> bool:
    try:
        key = serialization.load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
