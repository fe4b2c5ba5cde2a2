"""The asking half: ``Signer``'s methods as requests, over whatever carries them. Holds no key.

In the product the carrier is a unix socket (``over_socket``); in tests and the simulator the service itself
(``Client(service.answer)``).
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from city.registry.signer import Identity, Sealed, SignerAway, SignRefused

#: A snapshot of 20,000 peers is judged and signed in well under a second.
TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 1 << 25
LENGTH = struct.Struct("!I")
Carrier = Callable[[dict[str, Any]], dict[str, Any]]


class Client:
    """A ``city.registry.signer.Signer``."""

    def __init__(self, carry: Carrier) -> None:
        self._carry = carry

    def identity(self) -> Identity:
        return _identity(self._ask("identity"))

    def renew_ca(self) -> Identity:
        return _identity(self._ask("renew-ca"))

    def switch_ca(self) -> Identity:
        return _identity(self._ask("switch-ca"))

    def sign_layer(self, payload: Mapping[str, Any]) -> str:
        return str(self._ask("layer", payload=dict(payload)))

    def highest(self, site: str) -> tuple[int, int]:
        epoch, revision = self._ask("highest", site=site)
        return int(epoch), int(revision)

    def standing(self, after: str = "") -> tuple[int, tuple[str, ...]]:
        told = self._ask("standing", after=after)
        return int(told["epoch"]), tuple(str(site) for site in told["revoked"])

    def addresses(self, networks: Sequence[str]) -> dict[str, str]:
        told = self._ask("addresses", networks=list(networks))
        return {str(network): str(address) for network, address in told.items() if address is not None}

    def sign_answer(self, payload: Mapping[str, Any]) -> str:
        return str(self._ask("answer", payload=dict(payload)))

    def sign_revocation(self, payload: Mapping[str, Any]) -> str:
        return str(self._ask("revocation", payload=dict(payload)))

    def sign_peers(self, payload: Mapping[str, Any]) -> str:
        return str(self._ask("peers", payload=dict(payload)))

    def certify(self, csr: str, subject: str, *, days: int, names: Sequence[str] = ()) -> str:
        return str(self._ask("certify", csr=csr, subject=subject, days=days, names=list(names)))

    def seal(
        self, site: str, device_key: str, *, hubs: Mapping[str, str], platforms: Mapping[str, str | None]
    ) -> Sealed:
        made = self._ask("seal", site=site, device_key=device_key, hubs=dict(hubs), platforms=dict(platforms))
        return Sealed(**made)

    def _ask(self, ask: str, **fields: Any) -> Any:
        answer = self._carry({"ask": ask, **fields})
        if "done" in answer:
            return answer["done"]
        raise SignRefused(str(answer["rule"]), **answer["args"])


def _identity(told: Any) -> Identity:
    trusted = tuple(str(pem) for pem in told["trusted"])
    ca, ca_hash, city_key, authority = (str(told[name]) for name in ("ca", "ca_hash", "city_key", "authority"))
    return Identity(ca, ca_hash, city_key, trusted, bool(told["begun"]), authority)


def over_socket(path: Path) -> Client:
    """Return a client of the signing process at ``path``; each request has a connection of its own."""

    def carry(request: dict[str, Any]) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ours:
                ours.settimeout(TIMEOUT_SECONDS)
                ours.connect(str(path))
                send(ours, json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
                answer = json.loads(receive(ours, MAX_ANSWER_BYTES))
        except (OSError, ValueError) as wrong:
            raise SignerAway(str(path)) from wrong
        if not isinstance(answer, dict) or ("done" not in answer and not {"rule", "args"} <= answer.keys()):
            raise SignerAway(str(path))
        return answer

    return Client(carry)


def send(to: socket.socket, octets: bytes) -> None:
    """Send one message: its length, then itself."""
    to.sendall(LENGTH.pack(len(octets)) + octets)


def receive(of: socket.socket, most: int) -> bytes:
    """Return one message.

    Raises:
        ValueError: it is longer than ``most``, or ends early.
    """
    (length,) = LENGTH.unpack(_exactly(of, LENGTH.size))
    if length > most:
        raise ValueError("too long")
    return _exactly(of, length)


def _exactly(of: socket.socket, length: int) -> bytes:
    parts, left = [], length
    while left:
        part = of.recv(min(left, 1 << 16))
        if not part:
            raise ValueError("ended early")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
