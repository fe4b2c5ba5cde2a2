"""The keys themselves, read and made. No page and no answer may import this.

``ca.key`` and ``ca.pem`` (P-256, ten years) make certificates; ``city.key`` (Ed25519) signs what boxes believe. Boxes know
both by hash and key from their bundle: what is lost here is lost for every box, so keep a copy offline. A CA that was renewed
(``ca-2``, …) stands beside the one before; ``renewed.json`` says which of both makes certificates (adr/0033).
"""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from netconf import durable
from netconf.certificates import begins_at, pin

MAX_KEY_BYTES = 4096
_RENEWED = "renewed.json"
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
    #: How often the CA was renewed; then the one beside it, and that one's key while it is the next and not the last one.
    renewals: int = 0
    beside: x509.Certificate | None = None
    beside_key: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)

    @property
    def ca_pem(self) -> str:
        return _pem(self.ca)

    @property
    def trusted(self) -> tuple[str, ...]:
        """The CA of the moment, and the one beside it (PEM)."""
        return (self.ca_pem,) if self.beside is None else (self.ca_pem, _pem(self.beside))

    @property
    def youngest(self) -> int:
        """When the younger CA begins (seconds since 1970). It numbers the city's word, and not ``renewals``, which starts anew
        when the folder is laid back from before a renewal: whoever had followed that one would follow no other."""
        both = (self.ca,) if self.beside is None else (self.ca, self.beside)
        return max(map(begins_at, both))

    @property
    def ca_hash(self) -> str:
        """SHA-256 of the CA's certificate (DER), hexadecimal, as it stands in the bundle."""
        return pin(self.ca)

    @property
    def city_key(self) -> str:
        """The public half of the signing key, base64."""
        return base64.b64encode(self.city.public_key().public_bytes_raw()).decode("ascii")


def make(city: str, now: float, chance: Callable[[int], bytes]) -> Keys:
    """Return fresh keys of a city; ``chance`` gives the certificate's number."""
    return Keys(*_authority(city, "snowgate CA", now, chance), Ed25519PrivateKey.generate())


def renew(keys: Keys, now: float, chance: Callable[[int], bytes]) -> Keys:
    """Return the keys with a fresh CA beside the one of the moment; those that have one already as they are."""
    if keys.beside_key is not None:
        return keys
    # Younger than all before, also by a clock that was put back: boxes follow no word that is older.
    now = max(now, keys.youngest + BACKDATED.total_seconds() + 1)
    names = keys.ca.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    name = f"snowgate CA {keys.renewals + 2}"
    made, key = _authority(str(names[0].value) if names else name, name, now, chance)
    return replace(keys, renewals=keys.renewals + 1, beside=made, beside_key=key)


def switch(keys: Keys) -> Keys:
    """Return the keys with the next CA in the place of the one of the moment, whose key is given up.

    Raises:
        ValueError: there is no next one.
    """
    if keys.beside is None or keys.beside_key is None:
        raise ValueError("no next CA")
    return replace(keys, ca=keys.beside, ca_key=keys.beside_key, beside=keys.ca, beside_key=None)


def _authority(
    city: str, common: str, now: float, chance: Callable[[int], bytes]
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, city), x509.NameAttribute(NameOID.COMMON_NAME, common)]
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
    return made.sign(ca_key, hashes.SHA256()), ca_key


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


def keep(folder: Path, keys: Keys) -> None:
    """Keep keys whose CA was renewed or changed: one durable write says which files count, and then the last key goes.

    Raises:
        OSError: those before are still there, and count.
    """
    plain = serialization.NoEncryption()
    stem, beside = _stem(keys.renewals), _stem(keys.renewals - 1)
    if keys.beside_key is not None:
        stem, beside = beside, stem
        assert keys.beside is not None  # its key is there
        durable.write(folder / f"{beside}.key", keys.beside_key.private_bytes(_DER, _PKCS8, plain), 0o600)
        durable.write(folder / f"{beside}.pem", _pem(keys.beside).encode("ascii"), 0o644)
    said = {"renewals": keys.renewals, "switched": keys.beside_key is None}
    durable.write(folder / _RENEWED, json.dumps(said).encode("ascii"), 0o600)
    _give_up(folder, keys)


def _give_up(folder: Path, keys: Keys) -> None:
    """What was signed by the CA before is believed; nothing is signed by it any more, by nobody."""
    if keys.renewals and keys.beside_key is None:
        (folder / f"{_stem(keys.renewals - 1)}.key").unlink(missing_ok=True)


def read(folder: Path) -> Keys:
    """Return the keys of a folder.

    Raises:
        FileNotFoundError: it has none.
        KeysDamaged: a file is no key, or another's.
    """
    renewals, switched = _renewed(folder)
    number = renewals if switched else max(0, renewals - 1)
    city = _key(folder / "city.key")
    if not isinstance(city, Ed25519PrivateKey):
        raise KeysDamaged("city.key")
    ca, ca_key = _certificate(folder / f"{_stem(number)}.pem"), _ca_key(folder / f"{_stem(number)}.key")
    found = Keys(ca, ca_key, city, renewals)
    if renewals:
        other = _stem(renewals - 1 if switched else renewals)
        key = None if switched else _ca_key(folder / f"{other}.key")
        found = replace(found, beside=_certificate(folder / f"{other}.pem"), beside_key=key)
    for made, key in ((found.ca, found.ca_key), (found.beside, found.beside_key)):
        if made is not None and key is not None and made.public_key() != key.public_key():
            raise KeysDamaged("ca.pem")
    _give_up(folder, found)
    return found


def _stem(number: int) -> str:
    return "ca" if number == 0 else f"ca-{number + 1}"


def _renewed(folder: Path) -> tuple[int, bool]:
    try:
        said = json.loads(durable.read(folder / _RENEWED, MAX_KEY_BYTES))
        renewals, switched = said["renewals"], said["switched"]
    except FileNotFoundError:
        return 0, True
    except (ValueError, KeyError, TypeError, durable.TooLong):
        raise KeysDamaged(_RENEWED) from None
    if type(renewals) is not int or renewals < 1 or type(switched) is not bool:
        raise KeysDamaged(_RENEWED)
    return renewals, switched


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(durable.read(path, MAX_KEY_BYTES))
    except (ValueError, durable.TooLong):
        raise KeysDamaged(path.name) from None


def _ca_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = _key(path)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeysDamaged(path.name)
    return key


def _key(path: Path) -> object:
    try:
        return serialization.load_der_private_key(durable.read(path, MAX_KEY_BYTES), None)
    except (ValueError, TypeError, durable.TooLong):
        raise KeysDamaged(path.name) from None


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
