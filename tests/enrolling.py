"""A small city for tests: persons, concentrators, an approved template, and a box that can ask."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy.orm import Session

from city.registry import claims, enrolment, people, sites
from city.registry.enrolment import Answer
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Concentrator, Person, Template
from netconf.enrolment import EnrolRequest, open_request, sign_request

NOW = 1_780_000_000.0
SITE, OTHER = "34020000002000000001", "34020000002000000002"
PLATFORM = "34020000002000000900"
BODY = {
    "platform": [{"id": PLATFORM, "domain": "3402000000", "address": "10.20.0.5", "media_networks": ["10.20.1.0/24"]}],
    "control": {"address": "10.20.0.6"},
}


def wg(*seed: int) -> str:
    """A WireGuard key's form."""
    return base64.b64encode(bytes(seed).ljust(31, b"\1") + b"\0").decode()


def der(key: ec.EllipticCurvePublicKey) -> str:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_bytes(serialization.Encoding.DER, spki)).decode()


def csr(key: ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")])
    asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return asked.public_bytes(serialization.Encoding.PEM).decode()


def person(session: Session, name: str, role: str, scope: str = "") -> Person:
    return people.add(session, NOW, "init", name, "no password", role, scope)


def found(store: Store, *, hubs: bool = True) -> None:
    """Two operators, an officer of each kind, a template, and a concentrator of each plane."""
    with store.begin() as session:
        for name, role in (("li", "operator"), ("wang", "operator"), ("sys", "system"), ("sec", "security")):
            person(session, name, role)
        row = Template(name="street", version=1, body=json.dumps(BODY), made_by="sys", made_at=NOW, state="approved")
        session.add(row)
        for number, plane in enumerate(("wg-a", "wg-b") if hubs else ()):
            seal = ec.generate_private_key(ec.SECP256R1()).public_key()
            network = f"100.{64 + 32 * number}.0.0/18"
            allowed = json.dumps(["10.20.0.0/16", "10.21.0.0/16"][number : number + 1])
            session.add(
                Concentrator(
                    id=f"hub{number}", name=plane, plane=plane, public_key=wg(250, number), network=network,
                    endpoint=f"192.0.2.{10 + number}:51820", probe=f"100.{64 + 32 * number}.0.1", allowed=allowed,
                    seal_key=der(seal),
                )
            )  # fmt: skip


def add_site(store: Store, site: str = SITE, by: str = "li", **besides: Any) -> str:
    """Add a site and return a claim for it."""
    facts = sites.Facts(site, "渡江社区", "340200", template="street", template_version=1)
    with store.begin() as session:
        row = sites.add(session, NOW, session.get_one(Person, by), replace(facts, **besides))
        claim = f"{int(site) % (1 << 32):08x}." + "a" * 26
        claims.issue(session, NOW, by, row, claim)
    return claim


@dataclass
class Box:
    """What a device keeps, and what it says."""

    number: int = 1
    site: str = SITE
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    changed: dict[str, Any] = field(default_factory=dict)

    def request(self, claim: str, **changed: Any) -> EnrolRequest:
        asked = EnrolRequest(
            site=self.site,
            claim=claim,
            csr=csr(self.key),
            wireguard={"wg-a": wg(self.number, 1), "wg-b": wg(self.number, 2)},
            fingerprint={"board": f"board-{self.number}", "storage": "sd-1"},
            time=int(NOW),
            nonce="0" * 32,
        )
        return replace(asked, **(self.changed | changed))

    def ask(self, store: Store, signer: Signer, claim: str, now: float = NOW, **changed: Any) -> Answer:
        opened, key = open_request(sign_request(self.request(claim, **changed), self.key))
        with store.begin() as session:
            return enrolment.ask(session, signer, now, opened, key)


def approve(store: Store, signer: Signer, site: str = SITE, who: str = "wang", now: float = NOW) -> None:
    with store.begin() as session:
        row = sites.get(session, session.get_one(Person, who), site, lock=True)
        enrolment.approve(session, signer, now, who, row, row.code or "")


Refuses = Callable[..., str]
