"""A registry of thousands of sites, and what their boxes hold: a device key, a certificate, a report to sign.

One site goes the product's own way (``tests.fleet.enrolled``); the others' rows are written in bulk and say the same of
their own keys, addresses and certificates, for ten thousand enrolments are another figure than ten thousand heartbeats.
"""

from __future__ import annotations

import datetime
import json
import os
import ssl
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import insert, text, update
from sqlalchemy.orm import Session

from city.registry.store import Store
from city.registry.tables import (
    Address,
    Certificate,
    Concentrator,
    Health,
    Layer,
    Peer,
    ReceiptHead,
    Site,
    SpentKey,
)
from city.signing import keys
from city.signing.client import Client
from city.signing.marks import Marks
from city.signing.service import Service
from netconf import envelope, secrets
from tests.fleet import der, enrolled, found, key

#: What a box of ``make demo-city`` reports while one picture is watched.
REPORT = Path(__file__).with_name("report.json")
_AT_ONCE = 500
_PEM = serialization.Encoding.PEM


def site_id(number: int) -> str:
    return f"340200000020{number:08d}"


@dataclass(frozen=True, slots=True)
class Box:
    """One box: ``file`` holds its certificate and its key, as OpenSSL reads them."""

    number: int
    file: Path
    key: ec.EllipticCurvePrivateKey
    device: str

    @classmethod
    def kept(cls, folder: Path, number: int) -> Box:
        """Return the box that ``fill`` laid down."""
        file = folder / f"{number}.pem"
        made = serialization.load_pem_private_key(file.read_bytes(), None)
        assert isinstance(made, ec.EllipticCurvePrivateKey)
        return cls(number, file, made, secrets.key_hash(made.public_key()))

    def context(self, ca: str) -> ssl.SSLContext:
        """Return what it dials with, as ``edge.io.https`` makes it for each report."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.load_verify_locations(cadata=ca)
        made.load_cert_chain(self.file)
        return made

    def report(self, said: dict[str, Any], receipts: int) -> str:
        """Return its signed report; ``receipts``: how far its chain of receipts has come."""
        head = {**said["receipts"], "sequence": receipts, "hash": f"{receipts:064x}"}
        told = {**said, "site": site_id(self.number), "device": self.device, "receipts": head}
        return envelope.sign_report(told, self.key)


def said() -> dict[str, Any]:
    """Return what a box reports."""
    found: dict[str, Any] = json.loads(REPORT.read_text(encoding="utf-8"))
    return found


def fill(store: Store, signing: Path, boxes: Path, sites: int) -> None:
    """Write a city's fleet into an empty registry, and its boxes' files into ``boxes``; the signing process must not run."""
    marks, now = Marks(signing / "marks.sqlite"), time.time()
    held = keys.read(signing)
    signer = Client(Service(held, marks, time.time, os.urandom).answer)
    with store.begin() as session:
        found(session)
        first = enrolled(session, signer, 1)
        layer = session.get_one(Layer, (first.id, 1, first.offered))
        peers = session.query(Peer).filter_by(site=first.id).order_by(Peer.tunnel).all()
    marks.close()
    boxes.mkdir(parents=True, exist_ok=True)
    for begin in range(1, sites + 1, _AT_ONCE):
        with store.begin() as session:
            _put(session, held, boxes, range(begin, min(begin + _AT_ONCE, sites + 1)), layer, peers, now)
    with store.begin() as session:
        session.execute(update(Concentrator).values(taken=sites + 16))
        session.execute(update(Layer).values(state="applied", made_at=now))
    if store.kind == "postgresql":
        # What autovacuum does within a minute of so many rows; until then PostgreSQL guesses.
        with store.begin() as session:
            session.execute(text("ANALYZE"))


def _put(
    session: Session, held: keys.Keys, boxes: Path, numbers: range, layer: Layer, peers: list[Peer], now: float
) -> None:
    rows: dict[Any, list[dict[str, Any]]] = {
        table: [] for table in (Site, Certificate, Address, SpentKey, Peer, Layer, Health, ReceiptHead)
    }
    for number in numbers:
        box_key = ec.generate_private_key(ec.SECP256R1())
        leaf = certified(held, box_key, site_id(number), now)
        pem = leaf.public_bytes(_PEM).decode("ascii")
        plain = box_key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (boxes / f"{number}.pem").write_bytes(pem.encode("ascii") + plain)
        rows[Site].append({
            "id": site_id(number), "name": f"小区 {number}", "civil_code": "340200", "carrier": "电信", "state": "active",
            "template": "standard", "template_version": 1, "device": secrets.key_hash(box_key.public_key()),
            "device_key": der(box_key.public_key()), "made_by": "zhang", "made_at": now, "offered": 1,
        })  # fmt: skip
        rows[Certificate].append({
            "serial": f"{leaf.serial_number:x}", "subject": f"site:{site_id(number)}", "pem": pem + held.ca_pem,
            "begins_at": leaf.not_valid_before_utc.timestamp(), "ends_at": leaf.not_valid_after_utc.timestamp(),
        })  # fmt: skip
        for at, peer in enumerate(peers):
            address, public = str(IPv4Address(peer.address) + number), key((1 << 40) + 10 * number + at)
            rows[Address].append({
                "address": address, "concentrator": peer.concentrator, "site": site_id(number), "given_at": now,
            })  # fmt: skip
            rows[SpentKey].append({"public_key": public, "site": site_id(number), "spent_at": 0.0})
            rows[Peer].append({
                "site": site_id(number), "tunnel": peer.tunnel, "concentrator": peer.concentrator, "address": address,
                "public_key": public, "psk": peer.psk, "psk_box": peer.psk_box, "revision": number,
            })  # fmt: skip
        rows[Layer].append({
            "site": site_id(number), "epoch": 1, "revision": 1, "body": layer.body, "sealed": layer.sealed,
            "envelope": layer.envelope, "state": "applied", "made_at": now, "made_by": "zhang", "reason": "bench",
        })  # fmt: skip
        rows[Health].append({"site": site_id(number), "seen_at": now, "verdict": "good", "judged_at": now})
        rows[ReceiptHead].append({"site": site_id(number), "sequence": 1, "hash": f"{1:064x}", "at": now})
    for table, each in rows.items():
        session.execute(insert(table), each)


def certified(held: keys.Keys, box_key: ec.EllipticCurvePrivateKey, site: str, now: float) -> x509.Certificate:
    """Return a certificate of the profile "site" (``city.signing.certificates``), without a request to take apart."""
    begin = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(microsecond=0)
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"site:{site}")]))
        .issuer_name(held.ca.subject)
        .public_key(box_key.public_key())
        .serial_number(x509.random_serial_number() >> 32)
        .not_valid_before(begin - keys.BACKDATED)
        .not_valid_after(begin + datetime.timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(usage, True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(box_key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(held.ca_key.public_key()), False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:snowgate:site:{site}")]), False
        )
        .sign(held.ca_key, hashes.SHA256())
    )
