"""The accepting end: nonces that carry their own time and owner, and the check of an answer."""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
from collections import OrderedDict

from edge.digest.fields import ALGORITHMS, RemoteDigestError, parse_fields, response

#: Long enough for a slow recorder's second REGISTER, short enough that a recorded answer is soon worth nothing.
NONCE_SECONDS = 60.0
MAX_USED_NONCES = 4096
_NC = re.compile(r"[0-9a-f]{8}", re.ASCII | re.IGNORECASE)


class Verdict(enum.StrEnum):
    GOOD = "good"
    STALE = "stale"
    WRONG = "wrong_password"
    MALFORMED = "digest_malformed"


class Authenticator:
    """Challenges and checks for one realm. A nonce is good for one source, one minute and one use."""

    def __init__(self, realm: str, secret: bytes) -> None:
        self._realm = realm
        self._secret = secret
        self._last = 0
        self._used: OrderedDict[str, float] = OrderedDict()

    def challenge(self, source: str, now: float, *, stale: bool = False) -> str:
        """Return a WWW-Authenticate value for a peer at ``source``."""
        # Two challenges of one millisecond are two: each is good for one use.
        self._last = max(int(now * 1000), self._last + 1)
        mark = f"{self._last:x}"
        more = ", stale=true" if stale else ""
        return f'Digest realm="{self._realm}", nonce="{mark}-{self._sign(mark, source)}", algorithm=MD5{more}'

    def check(
        self, authorization: str, *, username: str, password: str, method: str, source: str, now: float
    ) -> Verdict:
        """Judge an Authorization value."""
        try:
            fields = parse_fields(authorization)
        except RemoteDigestError:
            return Verdict.MALFORMED
        needed = ("username", "realm", "nonce", "uri", "response")
        algorithm = fields.get("algorithm", "MD5").lower()
        if any(name not in fields for name in needed) or algorithm not in ALGORITHMS:
            return Verdict.MALFORMED
        if fields.get("qop") and (fields["qop"] != "auth" or not _NC.fullmatch(fields.get("nc", ""))
                                  or "cnonce" not in fields):  # fmt: skip
            return Verdict.MALFORMED
        if fields["username"] != username or fields["realm"] != self._realm or not password:
            return Verdict.WRONG
        if not self._fresh(fields["nonce"], source, now):
            return Verdict.STALE
        expected = response(algorithm, username, password, method, fields)
        if not hmac.compare_digest(expected, fields["response"].lower()):
            return Verdict.WRONG
        self._used[fields["nonce"]] = now
        while len(self._used) > MAX_USED_NONCES:
            self._used.popitem(last=False)
        return Verdict.GOOD

    def _sign(self, mark: str, source: str) -> str:
        return hmac.new(self._secret, f"{mark}|{source}".encode(), hashlib.sha256).hexdigest()[:32]

    def _fresh(self, nonce: str, source: str, now: float) -> bool:
        mark, _, signature = nonce.partition("-")
        if not re.fullmatch(r"[0-9a-f]{1,16}", mark, re.ASCII) or nonce in self._used:
            return False
        age = now - int(mark, 16) / 1000
        signed = hmac.compare_digest(signature.encode("utf-8"), self._sign(mark, source).encode("ascii"))
        return signed and -1.0 <= age <= NONCE_SECONDS
