"""What the registry asks of the process that holds the keys (``city.signing``). Registry functions take it as an argument.

A refusal is a ``SignRefused``: the signing process judges each request again, for who asks may have been taken over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from city.registry.refused import RegistryRefused


class SignRefused(RegistryRefused):
    """The signing process does not sign that; ``rule`` says why, ``args_`` its facts (of ``sign_old``: epoch, revision)."""


class SignerAway(Exception):
    """The signing process does not answer; what was asked may be asked again."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What boxes know the city by. ``ca``: the CA's certificate (PEM); ``ca_hash``: SHA-256 of its DER, hexadecimal;
    ``city_key``: Ed25519, base64 of its 32 octets. ``trusted``: the CA and the one beside it, whose certificates are good
    too; ``begun``: that is the next one, and not the last. ``authority``: the city's signed word of both, "" before the first
    renewal."""

    ca: str
    ca_hash: str
    city_key: str
    trusted: tuple[str, ...]
    begun: bool
    authority: str

    @property
    def known_by(self) -> str:
        """By which CAs somebody new knows the city's servers (PEM, one after the other): not by the last one, for its key may
        be in other hands."""
        return "".join(self.trusted if self.begun else self.trusted[:1])


@dataclass(frozen=True, slots=True)
class Sealed:
    """Fresh secrets of a site, each readable by one key alone.

    ``box``: ``{"psk": {tunnel: …}, "sip": {platform: …}}`` to the device, context ``SEALED_FOR_BOX`` and the site (the
    layer's ``sealed``). ``hubs``: tunnel -> its preshared key, to the concentrator (``SEALED_FOR_HUB`` and the site).
    ``platforms``: platform -> the SIP password, to whoever sets it there (``"platform "`` and the site).
    """

    box: str
    hubs: Mapping[str, str]
    platforms: Mapping[str, str]


class Signer(Protocol):
    """The closed list. Payloads are ``netconf.envelope``'s, whole; what comes back is the envelope's text.

    Every method raises ``SignRefused`` or ``SignerAway``.
    """

    def identity(self) -> Identity: ...

    def renew_ca(self) -> Identity:
        """Make a fresh CA beside the one of the moment; asked again while it is there, nothing happens."""

    def switch_ca(self) -> Identity:
        """Put the fresh CA in its place and give up the key of the one before; ``ca_not_begun``, ``ca_too_soon``."""

    def sign_layer(self, payload: Mapping[str, Any]) -> str:
        """``site, device, epoch, revision, not_after, layer`` and perhaps ``sealed``: newer than all before of that site."""

    def highest(self, site: str) -> tuple[int, int]:
        """Return the newest (epoch, revision) that was ever signed for a site; (0, 0) of none."""

    def standing(self, after: str = "") -> tuple[int, tuple[str, ...]]:
        """Return the highest epoch that was ever signed, and up to a thousand revoked sites after ``after``, in order."""

    def addresses(self, networks: Sequence[str]) -> Mapping[str, str]:
        """Return the highest address of each network that was ever signed as a site's; nothing of a network without."""

    def sign_answer(self, payload: Mapping[str, Any]) -> str:
        """``site, device, nonce``."""

    def sign_revocation(self, payload: Mapping[str, Any]) -> str:
        """``site, device, epoch, at, reason``."""

    def sign_peers(self, payload: Mapping[str, Any]) -> str:
        """``concentrator, epoch, kind, first, revision, peers`` and perhaps ``smaller``."""

    def certify(self, csr: str, subject: str, *, days: int, names: Sequence[str] = ()) -> str:
        """Return the certificate (PEM, with the CA's after it) for the key of ``csr``, of which nothing else is taken.

        ``subject``: "site:ID", "concentrator:ID" or "server"; ``names``: a server's addresses and host names.
        """

    def seal(
        self, site: str, device_key: str, *, hubs: Mapping[str, str], platforms: Mapping[str, str | None]
    ) -> Sealed:
        """Make secrets and seal them.

        ``device_key`` and the keys of ``hubs`` (tunnel -> its concentrator's ``seal_key``) and of ``platforms``
        (platform -> the key of whoever sets its passwords, None: nobody) are P-256, DER, base64.
        """
