"""The asking end: answer a challenge of the one realm we know, and of no other (a hostile peer collects answers)."""

from __future__ import annotations

from collections.abc import Callable

from edge.digest.fields import ALGORITHMS, RemoteDigestError, parse_fields, response


def authorization(
    challenge: str, *, realm: str, username: str, password: str, method: str, uri: str, cnonce: Callable[[], str]
) -> str:
    """Return the Authorization value for a WWW-Authenticate value.

    Raises:
        RemoteDigestError: the challenge is malformed, of another realm, or asks for what we do not do.
    """
    asked = parse_fields(challenge)
    if asked.get("realm") != realm:
        raise RemoteDigestError("digest_realm")
    algorithm = asked.get("algorithm", "MD5").lower()
    if algorithm not in ALGORITHMS or not asked.get("nonce"):
        raise RemoteDigestError("digest_algorithm")
    fields = {"realm": realm, "nonce": asked["nonce"], "uri": uri}
    offered = [word.strip().lower() for word in asked.get("qop", "").split(",") if word.strip()]
    if offered:
        if "auth" not in offered:
            raise RemoteDigestError("digest_qop")
        fields |= {"qop": "auth", "nc": "00000001", "cnonce": cnonce()}
    answer = response(algorithm, username, password, method, fields)
    bare = ("qop", "nc")
    parts = [f'username="{username}"']
    parts += [f"{name}={value}" if name in bare else f'{name}="{value}"' for name, value in fields.items()]
    parts += [f'response="{answer}"', f"algorithm={'MD5' if algorithm == 'md5' else 'SHA-256'}"]
    if "opaque" in asked:
        parts.append(f'opaque="{asked["opaque"]}"')
    return "Digest " + ", ".join(parts)
