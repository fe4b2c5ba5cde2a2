"""Certificates that the city's CA made: kept by their serials, so that each can be refused.

One that the registry does not know is none, but for this: after a backup was laid back, those that were made since are in
no table, and their boxes must not fall silent for it. Such a one is kept again if the CA signed it for a site that is in,
for the key that this site's device has here (or a concentrator's, for its own key). What was revoked stays revoked.
"""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import select
from sqlalchemy.orm import Session

from city.registry.tables import Certificate, Concentrator, Site


def keep(session: Session, pem: str) -> Certificate:
    """Keep a certificate that the signing process made (PEM, the CA's may follow it)."""
    row = _row(x509.load_pem_x509_certificate(pem.encode("ascii")), pem)
    session.add(row)
    session.flush()
    return row


def keep_again(session: Session, ca: str, shown: x509.Certificate) -> bool:
    """Keep a certificate that the CA (PEM) made and that was lost with a backup; return whether it is one.

    Who holds it is asked about by its row afterwards: of a revoked site it is revoked, and held if the site's others are.
    """
    subject = _subject(shown)
    if session.get(Certificate, f"{shown.serial_number:x}") is not None:
        return False
    known, revoked_at = _owner(session, subject)
    if not known or known != _key(shown):
        return False
    row = _row(shown, shown.public_bytes(Encoding.PEM).decode("ascii") + ca)
    row.revoked_at = revoked_at
    row.held_at = session.scalar(
        select(Certificate.held_at).where(Certificate.subject == subject, Certificate.held_at.is_not(None)).limit(1)
    )
    session.add(row)
    session.flush()
    return True


def _owner(session: Session, subject: str) -> tuple[str, float | None]:
    """Return the key (DER, base64) that a subject's certificates are for, and since when it is revoked; "" of nobody."""
    kind, _, name = subject.partition(":")
    if kind == "concentrator":
        hub = session.get(Concentrator, name)
        return (hub.seal_key if hub is not None else ""), None
    site = session.get(Site, name, with_for_update=True) if kind == "site" else None
    if site is None or site.state not in ("active", "revoked"):
        return "", None
    return site.device_key or "", site.revoked_at


def _row(leaf: x509.Certificate, pem: str) -> Certificate:
    return Certificate(
        serial=f"{leaf.serial_number:x}",
        subject=_subject(leaf),
        pem=pem,
        begins_at=leaf.not_valid_before_utc.timestamp(),
        ends_at=leaf.not_valid_after_utc.timestamp(),
    )


def _subject(leaf: x509.Certificate) -> str:
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def _key(leaf: x509.Certificate) -> str:
    octets = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(octets).decode("ascii")
