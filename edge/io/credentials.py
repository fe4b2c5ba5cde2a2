"""What this box shows the city and knows it by: its CA, and its own certificate, as enrol and agent have kept them.

The CA is the one that the bundle's hash names, and those that the city has named since, signed by its key (adr/0033). Each
of both programs writes in its own folder. The newest certificate that is really ours counts, and the city's newest word; a
file that is something else counts as none, and the city makes another.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.io.https import Dial, HttpsRefused, Server, connected, exchange
from netconf import certificates, durable, envelope
from netconf.certificates import CertificateRefused
from netconf.envelope import Authority, EnvelopeRefused

CA_FILE, CERTIFICATE_FILE, AUTHORITY_FILE = "ca.pem", "certificate.pem", "authority.json"
_WRITERS = ("enrol", "agent")


@dataclass(frozen=True, slots=True)
class Credentials:
    """``cas``: whom we believe, at least one. ``certificate`` and its file are None while there is none."""

    cas: tuple[x509.Certificate, ...]
    certificate: x509.Certificate | None = None
    path: Path | None = None


def read(
    state: Path, pin: str, key: ec.EllipticCurvePublicKey, site: str, city: Ed25519PublicKey | None
) -> Credentials | None:
    """Return what is kept, or None without a CA: neither the one that ``pin`` (SHA-256, hexadecimal) names, nor one that
    ``city`` has signed."""
    cas = _cas(state, pin, city)
    if not cas:
        return None
    found = Credentials(cas)
    for writer in _WRITERS:
        path = state / writer / CERTIFICATE_FILE
        try:
            each = certificates.device(durable.read(path, certificates.MAX_PEM_BYTES), cas, key, site)
        except (OSError, durable.TooLong, CertificateRefused):
            continue
        if found.certificate is None or certificates.ends_at(each) > certificates.ends_at(found.certificate):
            found = Credentials(cas, each, path)
    return found


def _cas(state: Path, pin: str, city: Ed25519PublicKey | None) -> tuple[x509.Certificate, ...]:
    first = _first(state, pin)
    found = [] if first is None else [first]
    said = authority(state, city)
    for pem in said.certificates if said is not None else ():
        with contextlib.suppress(CertificateRefused):
            each = certificates.read(pem.encode("ascii"))
            found += [each] if each not in found else []
    return tuple(found)


def authority(state: Path, city: Ed25519PublicKey | None) -> Authority | None:
    """Return the city's newest word of its own CA that was kept; None while it has said nothing, or nobody knows its key."""
    if city is None:
        return None
    newest: Authority | None = None
    for writer in _WRITERS:
        try:
            text = durable.read(state / writer / AUTHORITY_FILE, envelope.MAX_ENVELOPE_BYTES).decode("ascii")
            said = envelope.open_authority(text, city)
        except (OSError, UnicodeDecodeError, durable.TooLong, EnvelopeRefused):
            continue
        if newest is None or said.sequence > newest.sequence:
            newest = said
    return newest


def pins(state: Path, city: Ed25519PublicKey | None) -> frozenset[str]:
    """Return what bundles call the CAs by that the city has named since (SHA-256 of the DER, hexadecimal)."""
    said = authority(state, city)
    found = set()
    for pem in said.certificates if said is not None else ():
        with contextlib.suppress(CertificateRefused):
            found.add(certificates.pin(certificates.read(pem.encode("ascii"))))
    return frozenset(found)


def follow(
    state: Path, writer: str, server: Server, pin: str, city: Ed25519PublicKey | None, seconds: float,
    dial: Dial = connected,
) -> None:  # fmt: skip
    """A server has a certificate of a CA that we do not know: ask it for the city's word, and keep one that is newer than the
    last one, and than the CA of our bundle: an older word names CAs that were given up before that.

    Nobody is believed by TLS for that: what comes is signed by the city's key, or nothing.

    Raises:
        HttpsRefused: ``server_other_ca``: the city has said nothing new of another CA.
        OSError: the server is away, or the disk does not take it.
    """
    if city is None:
        raise HttpsRefused("server_other_ca")
    status, data = exchange(server, "/v1/authority", None, None, seconds, dial)
    try:
        said = envelope.open_authority(data.decode("ascii"), city) if status == 200 else None
    except (UnicodeDecodeError, EnvelopeRefused):
        said = None
    known = authority(state, city)
    first = _first(state, pin)
    # Words are numbered by the second in which their younger CA begins (adr/0033).
    newest = max(
        certificates.begins_at(first) if first is not None else 0,
        known.sequence if known is not None else 0,
    )
    if said is None or said.sequence <= newest:
        raise HttpsRefused("server_other_ca")
    durable.write(state / writer / AUTHORITY_FILE, data, 0o640)


def _first(state: Path, pin: str) -> x509.Certificate | None:
    """Return the CA that the bundle names; None while it was not fetched."""
    with contextlib.suppress(OSError, durable.TooLong, CertificateRefused):
        return certificates.pinned(durable.read(state / "enrol" / CA_FILE, certificates.MAX_PEM_BYTES), pin)
    return None


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
