"""A webhook: one HTTPS POST of a JSON object, signed with the hook's secret, to the one address that was judged.

Who receives it computes HMAC-SHA256 over the time, a full stop and the body, compares it with ``X-Snowgate-Signature``
(``t=<seconds since 1970>,v1=<hexadecimal>``) and refuses what is older than five minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from city.telling.places import SECONDS, Untold, resolve

MAX_ANSWER_BYTES = 1 << 12
Resolve = Callable[[str, int, bool, socket.SocketKind], tuple[int, str]]


def signature(secret: str, now: int, body: bytes) -> str:
    """Return what goes with a body; ``secret`` is hexadecimal."""
    mac = hmac.new(bytes.fromhex(secret), str(now).encode("ascii") + b"." + body, hashlib.sha256)
    return f"t={now},v1={mac.hexdigest()}"


def send(
    target: str, secret: str, ca: str, inside: bool, facts: dict[str, Any], now: float, find: Resolve = resolve
) -> None:
    """Send it once.

    Raises:
        Untold: why it did not arrive. A redirect is one of them: the target is what a person has set, nothing else.
    """
    parts = urlsplit(target)
    host, port = parts.hostname or "", parts.port or 443
    body = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    headers = {
        "Content-Type": "application/json", "User-Agent": "snowgate-city", "Connection": "close",
        "X-Snowgate-Signature": signature(secret, int(now), body), "X-Snowgate-Telling": str(facts["telling"]),
    }  # fmt: skip
    family, address = find(host, port, inside, socket.SOCK_STREAM)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    status = _post(_Pinned(host, port, family, address, _context(ca)), path, body, headers)
    if 300 <= status < 400:
        raise Untold("hook_redirects")
    if not 200 <= status < 300:
        raise Untold("hook_refuses")


def _post(line: http.client.HTTPSConnection, path: str, body: bytes, headers: dict[str, str]) -> int:
    try:
        line.request("POST", path, body, headers)
        answer = line.getresponse()
        answer.read(MAX_ANSWER_BYTES)
        return answer.status
    except ssl.SSLError:
        raise Untold("hook_certificate") from None
    except (OSError, http.client.HTTPException, ValueError):
        raise Untold("hook_away") from None
    finally:
        line.close()


def _context(ca: str) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cadata=ca or None)
    except (ssl.SSLError, ValueError):
        raise Untold("hook_certificate") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


class _Pinned(http.client.HTTPSConnection):
    """A connection to one address; the certificate is the host name's all the same."""

    def __init__(self, host: str, port: int, family: int, address: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=SECONDS, context=context)
        self._place, self._tls = (family, address), context

    def connect(self) -> None:
        family, address = self._place
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(SECONDS)
            plain.connect((address, self.port))
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
