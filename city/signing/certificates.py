"""The certificates that the city's CA makes: three profiles, and of a request nothing but its key."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from city.signing.keys import BACKDATED, Keys
from city.signing.requests import Certify

#: Subject's kind -> the most days that its certificate may live. A box comes home within 90 days or asks anew by its key.
MOST_DAYS = {"site": 90, "concentrator": 90, "server": 398}


class NotCertified(ValueError):
    """No certificate is made; ``rule`` is a code of ``words``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def certify(keys: Keys, asked: Certify, now: float, number: int) -> str:
    """Return the certificate and the CA's after it (PEM).

    Raises:
        NotCertified: the request is none, its key is no P-256 key, it asks for more than its profile allows,
            or ``now`` is not within the CA's own time.
    """
    kind = asked.subject.partition(":")[0]
    key = _key(asked.csr)
    if asked.days > MOST_DAYS[kind]:
        raise NotCertified("sign_days")
    if bool(asked.names) != (kind == "server"):
        raise NotCertified("sign_names")
    begin = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(microsecond=0)
    if not keys.ca.not_valid_before_utc <= begin < keys.ca.not_valid_after_utc:
        # A clock of 1970 or 2099 would make what nobody takes by the right one.
        raise NotCertified("sign_clock")
    end = min(begin + datetime.timedelta(days=asked.days), keys.ca.not_valid_after_utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, asked.subject)]))
        .issuer_name(keys.ca.subject)
        .public_key(key)
        .serial_number(number)
        .not_valid_before(begin - BACKDATED)
        .not_valid_after(end)
    )
    for extension, critical in _extensions(keys, kind, key, asked):
        made = made.add_extension(extension, critical)
    leaf = made.sign(keys.ca_key, hashes.SHA256())
    return leaf.public_bytes(serialization.Encoding.PEM).decode("ascii") + keys.ca_pem


def _key(csr: str) -> ec.EllipticCurvePublicKey:
    try:
        asked = x509.load_pem_x509_csr(csr.encode("ascii"))
        key, whole = asked.public_key(), asked.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise NotCertified("csr_form") from None
    if not whole or not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise NotCertified("csr_form")
    return key


def _extensions(
    keys: Keys, kind: str, key: ec.EllipticCurvePublicKey, asked: Certify
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if kind == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
    yield x509.BasicConstraints(ca=False, path_length=None), True
    yield usage, True
    yield x509.ExtendedKeyUsage([purpose]), True
    yield x509.SubjectKeyIdentifier.from_public_key(key), False
    yield x509.AuthorityKeyIdentifier.from_issuer_public_key(keys.ca_key.public_key()), False
    if kind == "server":
        yield x509.SubjectAlternativeName([_name(name) for name in asked.names]), False
    else:
        yield x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:snowgate:{asked.subject}")]), False


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(IPv4Address(name))
    except ValueError:
        return x509.DNSName(name)
