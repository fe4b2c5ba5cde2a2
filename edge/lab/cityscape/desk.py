"""The registry as persons and programs use it: JSON over TLS 1.3, each under his own name."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from pathlib import Path
from typing import Any

from edge.lab.cityscape.internet import REGISTRY_INNER, REGISTRY_PORT
from edge.lab.sockets import in_namespace

_SECONDS = 30


class DeskRefused(RuntimeError):
    """The registry does not do that; the message is its sentence."""


class Desk:
    """``ca``: the city's CA certificate, which the browser was given."""

    def __init__(self, ca: Path) -> None:
        self._context = ssl.create_default_context(cafile=str(ca))
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._tokens: dict[str, str] = {}

    def answers(self) -> bool:
        """Return whether anybody answers there."""
        try:
            self._send("GET", "/v1/ca", None, {})
        except (OSError, http.client.HTTPException):
            return False
        return True

    def sign_in(self, name: str, password: str) -> None:
        """Begin a person's session."""
        status, said = self._send("POST", "/api/sign-in", {"name": name, "password": password}, {})
        self._tokens[name] = _good(status, said)["token"]

    def add_person(self, who: str, name: str, role: str) -> None:
        """Have a person added, who signs in at once."""
        password = os.urandom(12).hex()
        self.ask(who, "POST", "/api/people", {"name": name, "password": password, "role": role})
        self.sign_in(name, password)

    def ask(self, who: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask as a person, and return the answer.

        Raises:
            DeskRefused: it was refused.
            OSError: nobody answers.
        """
        status, said = self._send(method, path, body, {"Authorization": f"Bearer {self._tokens[who]}"})
        return _good(status, said)

    def _send(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> tuple[int, bytes]:
        with in_namespace("city"):
            line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        line.settimeout(_SECONDS)
        connection = http.client.HTTPSConnection(REGISTRY_INNER, REGISTRY_PORT, context=self._context)
        try:
            line.connect((REGISTRY_INNER, REGISTRY_PORT))
            connection.sock = self._context.wrap_socket(line, server_hostname=REGISTRY_INNER)
            data = None if body is None else json.dumps(body).encode("ascii")
            connection.request(method, path, data, {"Content-Type": "application/json"} | headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
            line.close()


def _good(status: int, said: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said)
    if status >= 400:
        raise DeskRefused(
            f"HTTP {status} {found.get('rule', '')} {found.get('args', '')}: {found.get('en', said[:200])}"
        )
    return found
