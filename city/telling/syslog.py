"""A line of syslog: RFC 5424, over UDP (RFC 5426), TCP with a count of octets (RFC 6587, 3.4.1) or a unix socket."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from city.telling.places import SECONDS, Untold, resolve

#: Facility local0; severities of RFC 5424, 6.2.1.
_FACILITY = 16
_SEVERITY = {"error": 3, "warning": 4, "info": 6}
#: What every receiver takes (RFC 5424, 6.1, says 2048 should be).
MAX_BYTES = 2048
_BOM = b"\xef\xbb\xbf"
Resolve = Callable[[str, int, bool, socket.SocketKind], tuple[int, str]]


def line(severity: str, host: str, facts: dict[str, Any], text: str, now: float) -> bytes:
    """Return one message. The structured data's number is the one for examples (RFC 5612): we own none."""
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    said = "".join(
        f' {name}="{_escaped(str(facts[name]))}"' for name in ("alert", "what", "code", "subject", "telling")
    )
    head = f"<{_FACILITY * 8 + _SEVERITY[severity]}>1 {at} {_name(host)} snowgate-city - {_name(facts['code'])[:32]}"
    made = f"{head} [snowgate@32473{said}] ".encode("ascii", "replace") + _BOM
    plain = "".join(sign if sign.isprintable() else " " for sign in text).encode("utf-8")
    return made + plain[: MAX_BYTES - len(made)].decode("utf-8", "ignore").encode("utf-8")


def send(target: str, inside: bool, message: bytes, find: Resolve = resolve) -> None:
    """Send it once.

    Raises:
        Untold: why it did not leave. Over UDP nobody says whether it arrived.
    """
    parts = urlsplit(target)
    try:
        if parts.scheme == "unix":
            _unix(parts.path, message)
            return
        kind = socket.SOCK_DGRAM if parts.scheme == "udp" else socket.SOCK_STREAM
        port = parts.port or 514
        family, address = find(parts.hostname or "", port, inside, kind)
        with socket.socket(family, kind) as out:
            out.settimeout(SECONDS)
            out.connect((address, port))
            out.sendall(message if kind == socket.SOCK_DGRAM else b"%d " % len(message) + message)
            if kind == socket.SOCK_STREAM:
                out.shutdown(socket.SHUT_WR)
                # A receiver that has closed resets; one that has taken it says nothing and ends.
                with contextlib.suppress(TimeoutError):
                    out.recv(1)
    except OSError:
        raise Untold("hook_away") from None


def _unix(path: str, message: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.settimeout(SECONDS)
        out.connect(path)
        out.send(message)


def _name(text: str) -> str:
    return "".join(sign for sign in text if 33 <= ord(sign) <= 126)[:255] or "-"


def _escaped(text: str) -> str:
    for sign in '\\"]':
        text = text.replace(sign, "\\" + sign)
    return text
