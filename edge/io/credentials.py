"""What this box shows the city and knows it by: the pinned CA, and its own certificate, as enrol and agent have kept them.

Each of both writes in its own folder. The newest certificate that is really ours counts; a file that is something else
counts as none, and the city makes another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from netconf import certificates, durable
from netconf.certificates import CertificateRefused

CA_FILE, CERTIFICATE_FILE = "ca.pem", "certificate.pem"
_WRITERS = ("enrol", "agent")


@dataclass(frozen=True, slots=True)
class Credentials:
    """``certificate`` and its file are None while there is none."""

    ca: x509.Certificate
    certificate: x509.Certificate | None = None
    path: Path | None = None


def read(state: Path, pin: str, key: ec.EllipticCurvePublicKey, site: str) -> Credentials | None:
    """Return what is kept, or None without the CA that ``pin`` (SHA-256, hexadecimal) names."""
    try:
        ca = certificates.pinned(durable.read(state / "enrol" / CA_FILE, certificates.MAX_PEM_BYTES), pin)
    except (OSError, durable.TooLong, CertificateRefused):
        return None
    found = Credentials(ca)
    for writer in _WRITERS:
        path = state / writer / CERTIFICATE_FILE
        try:
            each = certificates.device(durable.read(path, certificates.MAX_PEM_BYTES), ca, key, site)
        except (OSError, durable.TooLong, CertificateRefused):
            continue
        if found.certificate is None or certificates.ends_at(each) > certificates.ends_at(found.certificate):
            found = Credentials(ca, each, path)
    return found


def keep(state: Path, writer: str, pem: str) -> None:
    """Keep a certificate that was judged.

    Raises:
        OSError: the one before is still there.
    """
    durable.write(state / writer / CERTIFICATE_FILE, pem.encode("ascii"), 0o640)


def keep_ca(state: Path, pem: bytes) -> None:
    """Keep the CA's certificate, which fits the pin.

    Raises:
        OSError: the one before is still there.
    """
    durable.write(state / "enrol" / CA_FILE, pem, 0o640)
