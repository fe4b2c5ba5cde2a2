"""The fields of WWW-Authenticate and Authorization, and the response they lead to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

MAX_FIELDS = 16
MAX_HEADER_CHARACTERS = 2048
ALGORITHMS = {"md5": hashlib.md5, "sha-256": hashlib.sha256}
_FIELD = re.compile(r'\s*([A-Za-z0-9_\-]{1,32})\s*=\s*(?:"([^"\\]{0,512})"|([^\s",]{1,512}))\s*(?:,|\Z)', re.ASCII)


class RemoteDigestError(Exception):
    """They sent what is no digest header; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def parse_fields(value: str) -> dict[str, str]:
    """Read the fields of a header that begins with "Digest".

    Raises:
        RemoteDigestError: another scheme, a field twice, or no list of fields.
    """
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "digest" or len(value) > MAX_HEADER_CHARACTERS:
        raise RemoteDigestError("digest_scheme")
    fields: dict[str, str] = {}
    at = 0
    while at < len(rest):
        found = _FIELD.match(rest, at)
        if found is None or len(fields) >= MAX_FIELDS:
            raise RemoteDigestError("digest_fields")
        name = found[1].lower()
        if name in fields:
            raise RemoteDigestError("digest_field_twice")
        fields[name] = found[2] if found[2] is not None else found[3]
        at = found.end()
    return fields


def response(algorithm: str, username: str, password: str, method: str, fields: Mapping[str, str]) -> str:
    """Return the request-digest (RFC 2617 3.2.2.1; without qop as RFC 2069)."""

    def hashed(text: str) -> str:
        return ALGORITHMS[algorithm](text.encode("utf-8")).hexdigest()

    secret = hashed(f"{username}:{fields['realm']}:{password}")
    asked = hashed(f"{method}:{fields['uri']}")
    if fields.get("qop"):
        middle = f"{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}"
        return hashed(f"{secret}:{middle}:{asked}")
    return hashed(f"{secret}:{fields['nonce']}:{asked}")
