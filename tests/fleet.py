"""A small fleet for tests: two concentrators, a template, sites with boxes that are keys alone."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.orm import Session

from city.registry import glance, layers, peers
from city.registry.glance import Glance
from city.registry.layers import Why
from city.registry.signer import Signer
from city.registry.tables import Certificate, Concentrator, Health, Site, Template
from netconf import secrets

NOW = 1_780_000_000.0
PLATFORM = {
    "id": "34020000002000000001", "domain": "3402000000", "address": "10.20.0.5",
    "media_networks": ["10.20.0.0/16"], "rights": ["live"],
}  # fmt: skip
BODY: dict[str, Any] = {"platform": [PLATFORM], "control": {"address": "10.20.0.8"}}
HUB_KEY = ec.generate_private_key(ec.SECP256R1())


def key(number: int) -> str:
    """Return a WireGuard public key that stands for a number."""
    return base64.b64encode(number.to_bytes(32, "big")).decode()


def der(public: ec.EllipticCurvePublicKey) -> str:
    octets = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(octets).decode()


def found(session: Session, *, approved: bool = True) -> None:
    """Lay down what every city has."""
    for plane, third in (("a", 64), ("b", 96)):
        session.add(
            Concentrator(
                id=f"hub-{plane}", name=f"集中器 {plane}", plane=f"wg-{plane}", public_key=key(1000 + third),
                endpoint=f"203.0.113.{third}:51820", network=f"100.{third}.0.0/18", probe=f"100.{third}.0.1",
                allowed=json.dumps(["10.20.0.0/16"]), seal_key=der(HUB_KEY.public_key()),
            )
        )  # fmt: skip
    template(session, 1, BODY, approved=approved)


def template(session: Session, version: int, body: dict[str, Any], *, approved: bool = True) -> None:
    session.add(
        Template(name="standard", version=version, body=json.dumps(body), state="approved" if approved else "draft",
                 made_by="zhang", made_at=NOW)
    )  # fmt: skip


def site_id(number: int) -> str:
    return f"3402000000200800{number:04d}"


def enrolled(session: Session, signer: Signer, number: int, *, verdict: str = "good") -> Site:
    """Return an active site with both tunnels and its first layer."""
    device = ec.generate_private_key(ec.SECP256R1())
    site = Site(
        id=site_id(number), name=f"小区 {number}", civil_code="340200", carrier="电信", state="active",
        template="standard", template_version=1, device=secrets.key_hash(device.public_key()),
        device_key=der(device.public_key()), made_by="zhang", made_at=NOW,
    )  # fmt: skip
    session.add(site)
    session.flush()
    for at, plane in enumerate("ab"):
        peers.put_on(session, signer, site.id, f"wg-{plane}", f"hub-{plane}", key(10 * number + at), NOW)
    session.add(Health(site=site.id, seen_at=NOW, verdict=verdict, handshakes=json.dumps({"wg-a": 20, "wg-b": 30})))
    session.flush()
    layers.offer(session, signer, site, NOW, Why("zhang", "first"))
    return site


def report(site: Site, applied: int, tried: int | None = None, **besides: Any) -> dict[str, Any]:
    """Return what a box says that uses revision ``applied``."""
    change = {"applied": [1, applied], "state": "steady", "failed": []}
    return {
        "site": site.id, "device": site.device, "nonce": "", "city_layer": [1, applied if tried is None else tried],
        "change": change, "findings": [], "faults": [], "tunnels": {"wg-a": {"handshake_age_seconds": 15}},
        "programs": {"cityside": {"registered": True}, "ferry": {"views": {"1": {"packets": 9}}}},
    } | besides  # fmt: skip


def glanced(session: Session, site: Site) -> Glance:
    """Return what the registry sees of a site that shows its certificate."""
    session.flush()
    if session.get(Certificate, site.id) is None:
        session.add(Certificate(serial=site.id, subject=f"site:{site.id}", pem="", begins_at=0.0, ends_at=2 * NOW))
        session.flush()
    seen = glance.at(session.connection(), site.id)
    assert seen is not None
    return seen
