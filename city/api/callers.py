"""Who asks: a device or a concentrator by its client certificate, a person by the token of his session.

A certificate's chain is judged by TLS; its time and its serial here, by the registry's table, so that who comes with one
that has run out or was revoked hears that by name (a TLS alert would only look like a broken line).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography import x509
from flask import g, request
from sqlalchemy.orm import Session

from city.registry import certificates, people
from city.registry.people import Right
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Certificate, Person
from netconf.certificates import made_by

#: "__Host-": a browser takes it from HTTPS alone, and gives it to this host alone.
COOKIE = "__Host-snowgate"
_TOUCH_SECONDS = 60.0
_SAFE = ("GET", "HEAD")
_END = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Callers:
    """``store``, ``signer`` and ``clock`` of the app."""

    store: Store
    signer: Signer
    clock: Callable[[], float]

    def subject(self) -> str:
        """Return whose client certificate this request came with: "site:ID" or "concentrator:ID".

        Raises:
            RegistryRefused: ``certificate_missing``, ``certificate_unknown``, ``certificate_revoked``,
                ``certificate_held``, ``certificate_expired``.
        """
        now, shown = self.clock(), presented()
        try:
            with self.store.read() as session:
                return subject(session, now, shown)
        except RegistryRefused as wrong:
            if not taken_up(self.store, self.signer, shown, wrong):
                raise
        with self.store.read() as session:
            return subject(session, now, shown)

    def person(self, right: Right) -> Person:
        """Return the person who asks, if he has this right.

        The token comes as ``Authorization: Bearer`` (a program's), or as a cookie; then whatever changes something must
        also carry the page's word against forgery.

        Raises:
            RegistryRefused: ``sign_in_needed``, ``csrf_missing`` or ``not_allowed``.
        """
        bearer = request.headers.get("Authorization", "")
        token = bearer.removeprefix("Bearer ") if bearer.startswith("Bearer ") else request.cookies.get(COOKIE, "")
        now = self.clock()
        with self.store.read() as session:
            found = people.signed_in(session, now, token) if token else None
        if found is None:
            raise RegistryRefused("sign_in_needed")
        person, row = found
        if not bearer and request.method not in _SAFE:
            word = request.headers.get("X-Snowgate", "") or request.form.get("csrf", "")
            if people.token_hash(word) != row.csrf:
                raise RegistryRefused("csrf_missing")
        if now - row.seen_at > _TOUCH_SECONDS:
            with self.store.begin() as session:
                people.touch(session, now, token)
        people.demand(person, right)
        g.token = token
        return person


def presented() -> bytes | None:
    """Return the client's certificate (DER) of the connection that this request came by."""
    return shown_by(request.environ)


def shown_by(environ: Mapping[str, Any]) -> bytes | None:
    """Return the client's certificate (DER) of a WSGI environ's connection; gunicorn lends its socket."""
    connection = environ.get("gunicorn.socket")
    ask = getattr(connection, "getpeercert", None)
    return ask(True) if ask is not None else None


def taken_up(store: Store, signer: Signer, certificate: bytes | None, wrong: RegistryRefused) -> bool:
    """Say whether a certificate that was refused as ``wrong`` was lost with a backup, and is kept again now.

    Raises:
        SignerAway: whose certificates are ours is not known.
    """
    shown = _read(certificate)
    if wrong.rule != "certificate_unknown" or shown is None:
        return False
    maker = next(
        (ca for ca in signer.identity().trusted if made_by(shown, x509.load_pem_x509_certificate(ca.encode("ascii")))),
        None,
    )
    if maker is None:
        return False
    with store.begin() as session:
        return certificates.keep_again(session, maker, shown)


class Kept(Protocol):
    """A certificate as the registry keeps it: its row, or what was read of it."""

    @property
    def subject(self) -> str: ...
    @property
    def pem(self) -> str: ...
    @property
    def begins_at(self) -> float: ...
    @property
    def ends_at(self) -> float: ...
    @property
    def revoked_at(self) -> float | None: ...
    @property
    def held_at(self) -> float | None: ...


def subject(session: Session, now: float, certificate: bytes | None) -> str:
    """Return whose a certificate is. Raises as ``Callers.subject``."""
    return judged(session.get(Certificate, serial(certificate)), certificate, now)


def serial(certificate: bytes | None) -> str:
    """Return the number of a certificate (DER) as the registry writes it.

    Raises:
        RegistryRefused: ``certificate_missing`` or ``certificate_unknown``.
    """
    if certificate is None:
        raise RegistryRefused("certificate_missing")
    shown = _read(certificate)
    if shown is None:
        raise RegistryRefused("certificate_unknown")
    return f"{shown.serial_number:x}"


def judged(row: Kept | None, certificate: bytes | None, now: float) -> str:
    """Return whose a certificate (DER) is by what the registry keeps of its number. Raises as ``Callers.subject``."""
    if row is None or _der(row.pem) != certificate:
        raise RegistryRefused("certificate_unknown")
    if row.revoked_at is not None:
        raise RegistryRefused("certificate_revoked")
    if row.held_at is not None:
        raise RegistryRefused("certificate_held")
    if not row.begins_at <= now < row.ends_at:
        raise RegistryRefused("certificate_expired")
    return row.subject


def _read(certificate: bytes | None) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(certificate) if certificate is not None else None
    except ValueError:
        return None


def _der(chain: str) -> bytes:
    """The first certificate of what the signing process made (RFC 7468); to compare octets nothing need be taken apart."""
    first, end, _ = chain.partition(_END)
    return ssl.PEM_cert_to_DER_cert(first + end)
