"""The line to the registry: TLS 1.3 with this concentrator's certificate, to a server of the city's own CA."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from city.concentrator import certificate
from city.concentrator.config import Config
from netconf.envelope import MAX_PEERS_BYTES

#: How long the registry may hold a question about changes open.
WAIT_SECONDS = 25
_DEADLINE_SECONDS = 20.0
MAX_ANSWER_BYTES = 1 << 16


class RegistryAway(Exception):
    """No answer that we understand; the message says what came instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``kind``: an envelope to judge, nothing new, or the advice to take the snapshot."""

    kind: Literal["envelope", "nothing", "snapshot"]
    text: str = ""


class Link:
    """One connection, opened when it is needed and again when it was lost. For one thread."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._base = f"/v1/concentrators/{config.id}"
        self._line: http.client.HTTPSConnection | None = None

    def snapshot(self) -> Answer:
        """Raises: RegistryAway."""
        return self._get("/snapshot", 0)

    def changes(self, epoch: int, after: int) -> Answer:
        """Raises: RegistryAway."""
        return self._get(f"/changes?epoch={epoch}&after={after}&wait={WAIT_SECONDS}", WAIT_SECONDS)

    def report(self, told: dict[str, Any]) -> dict[str, Any]:
        """Say how we are and return what the registry wants.

        Raises:
            RegistryAway: it does not answer.
        """
        status, data = self._ask("POST", "/report", 0, MAX_ANSWER_BYTES, json.dumps(told).encode("utf-8"))
        try:
            answer = json.loads(data) if status == 200 else None
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise RegistryAway(f"HTTP {status} {_rule(data)}")
        return answer

    def close(self) -> None:
        """Let the connection go; what comes next opens another."""
        if self._line is not None:
            self._line.close()
        self._line = None

    def _get(self, path: str, wait: int) -> Answer:
        status, data = self._ask("GET", path, wait, MAX_PEERS_BYTES, None)
        match status:
            case 200:
                with contextlib.suppress(UnicodeDecodeError):
                    return Answer("envelope", data.decode("utf-8"))
            case 204:
                return Answer("nothing")
            case 409 if _rule(data) == "take_snapshot":
                return Answer("snapshot")
        raise RegistryAway(f"HTTP {status} {_rule(data)}")

    def _ask(self, method: str, path: str, wait: int, most: int, body: bytes | None) -> tuple[int, bytes]:
        try:
            if self._line is None:
                where = self._config.registry
                context = _context(self._config.folder)
                self._line = http.client.HTTPSConnection(where.address, where.port, context=context)
            self._line.timeout = _DEADLINE_SECONDS + wait
            if self._line.sock is not None:
                self._line.sock.settimeout(_DEADLINE_SECONDS + wait)
            self._line.request(method, self._base + path, body, {"Content-Type": "application/json"})
            response = self._line.getresponse()
            data = response.read(most + 1)
        except ssl.SSLCertVerificationError as wrong:
            self.close()
            # It may be the city's new one; the next question goes by it.
            raise RegistryAway("new CA" if self._followed() else type(wrong).__name__) from None
        except (OSError, http.client.HTTPException, ValueError) as wrong:
            self.close()
            raise RegistryAway(type(wrong).__name__) from None
        if len(data) > most:
            self.close()
            raise RegistryAway("too long")
        return response.status, data

    def _followed(self) -> bool:
        """A server of a CA that we do not know: ask it for the city's signed word, and keep one that is newer.

        Nobody is believed by TLS for that: what comes is signed by the city's key, or nothing.
        """
        where, folder = self._config.registry, self._config.folder
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        line = http.client.HTTPSConnection(where.address, where.port, context=context, timeout=_DEADLINE_SECONDS)
        with contextlib.closing(line), contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            line.request("GET", "/v1/authority")
            response = line.getresponse()
            return response.status == 200 and certificate.follow(folder, response.read(MAX_ANSWER_BYTES + 1))
        return False


def _rule(data: bytes) -> str:
    """The code of a refusal; whatever else came is none."""
    try:
        said = json.loads(data[:MAX_ANSWER_BYTES])
    except (ValueError, RecursionError):
        return ""
    return str(said.get("rule", ""))[:64] if isinstance(said, dict) else ""


def _context(folder: Path) -> ssl.SSLContext:
    """Made anew for each connection: the certificate may have been renewed."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "certificate.pem", folder / "device.key")
    return context
