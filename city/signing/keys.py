"""The keys themselves, read and made. No page and no answer may import this.

``ca.key`` and ``ca.pem`` (P-256, ten years) make certificates; ``city.key`` (Ed25519) signs what boxes believe. Boxes know
both by hash and key from their bundle: what is lost here is lost for every box, so keep a copy offline.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from netconf import durable

MAX_KEY_BYTES = 4096
CA_YEARS = 10
#: A box's clock may be behind when it first looks at a certificate.
BACKDATED = datetime.timedelta(hours=1)
_DER, _PKCS8 = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8


class KeysDamaged(ValueError):
    """A file of the signing folder holds something else; the message names the file."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs."""

    ca: x509.Certificate
    ca_key: ec.EllipticCurvePrivateKey = field(repr=False)
    city: Ed25519PrivateKey = field(repr=False)

    @property
    def ca_pem(self) -> str:
        return self.ca.public_bytes(serialization.Encoding.PEM).decode("ascii")

    @property
    def ca_hash(self) -> str:
        """SHA-256 of the CA's certificate (DER), hexadecimal, as it stands in the bundle."""
        return hashlib.sha256(self.ca.public_bytes(_DER)).hexdigest()

    @property
    def city_key(self) -> str:
        """The public half of the signing key, base64."""
        return base64.b64encode(self.city.public_key().public_bytes_raw()).decode("ascii")


def make(city: str, now: float, chance: Callable[[int], bytes]) -> Keys:
    """Return fresh keys of a city; ``chance`` gives the certificate's number."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, city), x509.NameAttribute(NameOID.COMMON_NAME, "snowgate CA")]
    )
    begin = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(microsecond=0)
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(ca_key.public_key())
        .serial_number(int.from_bytes(chance(16), "big") >> 1 | 1)
        .not_valid_before(begin - BACKDATED)
        .not_valid_after(begin + datetime.timedelta(days=365 * CA_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
    )
    return Keys(made.sign(ca_key, hashes.SHA256()), ca_key, Ed25519PrivateKey.generate())


def write(folder: Path, keys: Keys) -> None:
    """Keep keys in a folder that has none; the last file is the certificate, without which there are none.

    Raises:
        FileExistsError: the folder has some: those are never replaced.
        OSError: they could not be kept.
    """
    if (folder / "ca.pem").exists():
        raise FileExistsError(str(folder / "ca.pem"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    plain = serialization.NoEncryption()
    durable.write(folder / "ca.key", keys.ca_key.private_bytes(_DER, _PKCS8, plain), 0o600)
    durable.write(folder / "city.key", keys.city.private_bytes(_DER, _PKCS8, plain), 0o600)
    durable.write(folder / "ca.pem", keys.ca_pem.encode("ascii"), 0o644)


def read(folder: Path) -> Keys:
    """Return the keys of a folder.

    Raises:
        FileNotFoundError: it has none.
        KeysDamaged: a file is no key, or another's.
    """
    ca_key, city = (_key(folder / name) for name in ("ca.key", "city.key"))
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise KeysDamaged("ca.key")
    if not isinstance(city, Ed25519PrivateKey):
        raise KeysDamaged("city.key")
    try:
        ca = x509.load_pem_x509_certificate(durable.read(folder / "ca.pem", MAX_KEY_BYTES))
    except (ValueError, durable.TooLong):
        raise KeysDamaged("ca.pem") from None
    if ca.public_key() != ca_key.public_key():
        raise KeysDamaged("ca.pem")
    return Keys(ca, ca_key, city)


def _key(path: Path) -> object:
    try:
        return serialization.load_der_private_key(durable.read(path, MAX_KEY_BYTES), None)
    except (ValueError, TypeError, durable.TooLong):
        raise KeysDamaged(path.name) from None
