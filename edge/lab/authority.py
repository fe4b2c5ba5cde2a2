"""The lab city's own CA: it certifies the control's server and the box's device, as a city's signing process would."""

from __future__ import annotations

import datetime
import hashlib
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from netconf import durable
from netconf.certificates import site_name

_DAY = datetime.timedelta(days=1)


class Authority:
    """A CA in a folder: ``ca.pem`` and ``ca.key``, made at the first call."""

    def __init__(self, folder: Path, now: datetime.datetime | None = None, *, name: str = "lab city CA") -> None:
        self._folder, self._name = folder, name
        self._now = now or datetime.datetime.now(datetime.UTC)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "ca.pem").exists():
            self._make()
        self.certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # we made it
        self._key = key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def pin(self) -> str:
        """What a bundle calls it by."""
        return hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def server(
        self, name: str, *addresses: str, begins: datetime.timedelta = -_DAY, ends: datetime.timedelta = 365 * _DAY
    ) -> tuple[Path, Path]:
        """Return files with a certificate and a key for a server at some addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address)) for address in addresses])
        made = self._sign(name, key.public_key(), names, ExtendedKeyUsageOID.SERVER_AUTH, begins, ends)
        paths = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        durable.write(paths[0], made.encode("ascii"), 0o644)
        durable.write(paths[1], _private(key))
        return paths

    def device(
        self, key: ec.EllipticCurvePublicKey, site: str, *, begins: datetime.timedelta = -_DAY,
        ends: datetime.timedelta = 90 * _DAY,
    ) -> str:  # fmt: skip
        """Return the certificate of a site's device (PEM)."""
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(site_name(site))])
        return self._sign(site, key, names, ExtendedKeyUsageOID.CLIENT_AUTH, begins, ends)

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)])
        builder = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(self._now - _DAY)
            .not_valid_after(self._now + 3650 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        )  # fmt: skip
        made = builder.sign(key, hashes.SHA256())
        durable.write(self._folder / "ca.key", _private(key))
        durable.write(self._folder / "ca.pem", made.public_bytes(serialization.Encoding.PEM), 0o644)

    def _sign(
        self, name: str, key: ec.EllipticCurvePublicKey, names: x509.SubjectAlternativeName, usage: x509.ObjectIdentifier,
        begins: datetime.timedelta, ends: datetime.timedelta,
    ) -> str:  # fmt: skip
        builder = (
            x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.certificate.subject).public_key(key).serial_number(x509.random_serial_number())
            .not_valid_before(self._now + begins).not_valid_after(self._now + ends)
            .add_extension(names, critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )  # fmt: skip
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode("ascii")


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
