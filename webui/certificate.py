"""The page's key and certificate. The key stays, so its fingerprint stays; the certificate follows the address."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from netconf import durable
from netconf.secrets import key_hash

MAX_KEY_BYTES = 4096
#: Browsers refuse longer ones.
_DAYS = 397


def key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Return the page's key (P-256), made at the first call.

    Raises:
        ValueError: the file holds something else.
        OSError: it can be neither read nor made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "page.key"
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        durable.write(path, pem)
    found = serialization.load_pem_private_key(durable.read(path, MAX_KEY_BYTES), None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError(path.name)
    return found


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 of the page's public key, in pairs, as browsers show it."""
    hashed = key_hash(key(folder).public_key()).upper()
    return ":".join(hashed[at : at + 2] for at in range(0, len(hashed), 2))


def certificate(folder: Path, address: str, now: datetime.datetime) -> tuple[Path, Path]:
    """Make a certificate for ``address`` and return its file and the key's."""
    own = key(folder)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"snowgate {address}")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(own, hashes.SHA256())
    )
    path = folder / "page.crt"
    durable.write(path, made.public_bytes(serialization.Encoding.PEM))
    return path, folder / "page.key"
