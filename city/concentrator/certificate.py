"""The concentrator's certificate, which it renews with its reports: a request (CSR) made by its own key."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID

from netconf import durable, envelope, secrets
from netconf.certificates import begins_at
from netconf.envelope import Authority, EnvelopeRefused

MAX_PEM_BYTES = 1 << 15
#: With less of its life left than this it asks for the next.
RENEW_SECONDS = 30 * 86400.0


def request(folder: Path, concentrator: str) -> str:
    """Return a request for a certificate (PEM); the key is made if there is none.

    Raises:
        netconf.secrets.SecretDamaged: the key file holds no key.
        OSError: it can be neither read nor made.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"concentrator:{concentrator}")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = made.sign(secrets.ensure_device_key(folder), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode("ascii")


def asked(folder: Path, now: float) -> dict[str, Any]:
    """Return what a report says besides when the certificate ends soon (``csr``); else nothing."""
    held = _held(folder)
    if held is None or held.not_valid_after_utc.timestamp() - now > RENEW_SECONDS:
        return {}
    name = held.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    who = str(name[0].value) if name else ""
    return {"csr": request(folder, who.removeprefix("concentrator:"))}


def renewed(folder: Path, pem: object) -> bool:
    """Keep a certificate that came, if it is for our key; whoever else's is let lie."""
    if not isinstance(pem, str) or len(pem) > MAX_PEM_BYTES:
        return False
    try:
        came = x509.load_pem_x509_certificate(pem.encode("ascii"))
    except ValueError:
        return False
    if came.public_key() != secrets.ensure_device_key(folder).public_key():
        return False
    durable.write(folder / "certificate.pem", pem.encode("ascii"), 0o644)
    return True


def follow(folder: Path, data: bytes) -> bool:
    """Keep by which CAs the city is known from now on, if it has signed that and it is newer than what is known: the last
    word, and the CAs that were laid here (a word is numbered by the second in which its younger CA begins, adr/0033).

    Raises:
        OSError: it could not be kept.
    """
    city = secrets.read_city_key(folder)
    if city is None:
        return False
    said, newest = _authority(data, city), _begins(folder)
    with contextlib.suppress(FileNotFoundError):
        kept = _authority(durable.read(folder / "authority.json", MAX_PEM_BYTES), city)
        newest = max(newest, kept.sequence if kept is not None else 0)
    if said is None or said.sequence <= newest:
        return False
    # Whom we believe first: that alone would do after a power cut.
    durable.write(folder / "ca.pem", "".join(said.certificates).encode("ascii"), 0o644)
    durable.write(folder / "authority.json", data, 0o644)
    return True


def _authority(data: bytes, city: Ed25519PublicKey) -> Authority | None:
    try:
        return envelope.open_authority(data.decode("ascii"), city)
    except (UnicodeDecodeError, EnvelopeRefused):
        return None


def _begins(folder: Path) -> int:
    """When the youngest CA begins that we know; 0 when we know none."""
    try:
        known = x509.load_pem_x509_certificates(durable.read(folder / "ca.pem", MAX_PEM_BYTES))
    except (OSError, ValueError):
        return 0
    return max(map(begins_at, known))


def _held(folder: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(durable.read(folder / "certificate.pem", MAX_PEM_BYTES))
    except (OSError, ValueError):
        return None
