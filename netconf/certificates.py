"""Certificates of the city's own CA: the pinned CA, the box's own, and whether a moment lies within one. Pure.

When a clock is believed: a box with a dead battery starts in 1970, and a wrong time server may send it to 2099. Neither
may make it refuse every certificate for ever. So time is judged by the box's clock alone, and only if that lies within
a believed CA's own validity and is not behind a time that the box has seen already (``netconf.clock``); any other clock
is known to be wrong, and then key, issuer and name decide, which need no clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MAX_PEM_BYTES = 1 << 16
#: A device's certificate is renewed when it has fewer days left than these.
RENEW_SECONDS = 30 * 86_400.0
_SITE = "urn:snowgate:site:"


class CertificateRefused(ValueError):
    """A certificate that is not to be believed; ``rule`` is a code of ``words``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def site_name(site: str) -> str:
    """Return what a site's device is called in its certificate (a URI)."""
    return _SITE + site


def request(key: ec.EllipticCurvePrivateKey, site: str) -> str:
    """Return the request for the device's certificate (PKCS #10, PEM)."""
    builder = x509.CertificateSigningRequestBuilder()
    builder = builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, site)]))
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(site_name(site))])
    made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode("ascii")


def read(pem: bytes) -> x509.Certificate:
    """Return the first certificate of a PEM text.

    Raises:
        CertificateRefused: ``certificate_form``.
    """
    try:
        return x509.load_pem_x509_certificate(pem if len(pem) <= MAX_PEM_BYTES else b"")
    except ValueError:
        raise CertificateRefused("certificate_form") from None


def pin(ca: x509.Certificate) -> str:
    """Return what a bundle calls a CA by: SHA-256 of its certificate (DER), hexadecimal."""
    return hashlib.sha256(ca.public_bytes(serialization.Encoding.DER)).hexdigest()


def pinned(pem: bytes, digest: str) -> x509.Certificate:
    """Return the CA's certificate whose SHA-256 (DER, hexadecimal) the bundle names.

    Raises:
        CertificateRefused: ``certificate_form``, or ``ca_other``.
    """
    found = read(pem)
    if pin(found) != digest:
        raise CertificateRefused("ca_other")
    return found


def device(pem: bytes, cas: Sequence[x509.Certificate], key: ec.EllipticCurvePublicKey, site: str) -> x509.Certificate:
    """Return the box's own certificate: made by one of ``cas``, for its key and its site. Time is ``judge_time``'s to judge.

    Raises:
        CertificateRefused: ``certificate_form``, ``certificate_other_ca``, ``certificate_other_key`` or
            ``certificate_other_site``.
    """
    found = read(pem)
    if not any(made_by(found, ca) for ca in cas):
        raise CertificateRefused("certificate_other_ca")
    if not isinstance(key_of(found), ec.EllipticCurvePublicKey) or key_of(found) != key:
        raise CertificateRefused("certificate_other_key")
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        named = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        named = []
    if site_name(site) not in named:
        raise CertificateRefused("certificate_other_site")
    return found


def begins_at(certificate: x509.Certificate) -> int:
    """Return when a certificate begins, in seconds since 1970."""
    return int(certificate.not_valid_before_utc.timestamp())


def made_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    """Say whether a CA has made a certificate."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def key_of(certificate: x509.Certificate) -> object:
    """Return the public key that a certificate is for; None of one that cannot be read."""
    try:
        return certificate.public_key()
    except (ValueError, TypeError):
        return None


def believable(now: float, cas: Sequence[x509.Certificate], *, behind: bool) -> float | None:
    """Return the time to judge certificates by, in seconds since 1970; None of a clock that is known to be wrong."""
    return now if not behind and any(begins <= now <= ends for begins, ends in map(_span, cas)) else None


def judge_time(certificate: x509.Certificate, now: float | None) -> None:
    """Accept a certificate that is valid at ``now``, or any at None (``believable``).

    Raises:
        CertificateRefused: ``certificate_not_yet`` or ``certificate_expired``.
    """
    begins, ends = _span(certificate)
    if now is not None and now < begins:
        raise CertificateRefused("certificate_not_yet")
    if now is not None and now > ends:
        raise CertificateRefused("certificate_expired")


def seconds_left(certificate: x509.Certificate, now: float | None) -> float:
    """Return how long a certificate is still good; much, when nobody knows the time."""
    return _span(certificate)[1] - now if now is not None else 2 * RENEW_SECONDS


def ends_at(certificate: x509.Certificate) -> float:
    """Return the last moment of a certificate, in seconds since 1970."""
    return _span(certificate)[1]


def _span(certificate: x509.Certificate) -> tuple[float, float]:
    return _seconds(certificate.not_valid_before_utc), _seconds(certificate.not_valid_after_utc)


def _seconds(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()
