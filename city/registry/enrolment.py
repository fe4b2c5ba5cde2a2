"""A box comes: what it is answered, and what a second person's word makes of it.

A table of a site's states: *new* (no device) --ask--> *pending* (one device waits) --approve--> *active*; *pending*
--refuse, or another claim--> *new*; any --revoke--> *revoked*, which never ends. Asking may be repeated at every step and
changes nothing: either end may lose its power between any two of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from city.registry import alerts, audit, certificates, claims, feeds, layers, peers, platforms
from city.registry.layers import Why
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.tables import Certificate, Concentrator, Peer, Site, SpentKey
from netconf import enrolment
from netconf.certificates import made_by
from netconf.enrolment import EnrolRequest

CERTIFICATE_DAYS = 90
#: Younger certificates are given again instead of a fresh one: a box that asks in a loop makes no thousands.
RENEW_BEFORE_SECONDS = 60 * 86_400.0
#: A box's clock that is further away is told to a person; nothing depends on it.
SKEW_SECONDS = 300
MAX_REASON_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What a box is told: an HTTP status, and the JSON object of docs/city.md."""

    status: int
    body: dict[str, Any]


def ask(
    session: Session,
    signer: Signer,
    now: float,
    request: EnrolRequest,
    key: ec.EllipticCurvePublicKey,
) -> Answer:
    """Answer a request that ``netconf.enrolment.open_request`` has found signed by ``key``.

    What is refused is an answer, not an error: what must be known of it (an alert) is kept.
    """
    site = session.get(Site, request.site, with_for_update=True)
    device = device_hash(key)
    if site is None:
        return _refused(403, "claim_unknown")
    if site.device == device:
        return _again(session, signer, now, site, request)
    if not request.claim:
        return _refused(403, "device_unknown")
    if not _same_key(request.csr, key):
        return _refused(403, "csr_other_key")
    if site.state == "new":
        twin = _twin(session, site, request, device)
        if twin is not None:
            alerts.raise_(session, now, twin[0], f"site:{site.id}", "error", site=site.id, other=twin[1])
            return _refused(409, twin[0])
    if site.state == "revoked" and site.device is None and claims.is_its(session, site.id, request.claim):
        # Its box never came, or the backup does not know it: no signed word is kept, but the truth is told.
        return _refused(403, "site_revoked")
    wrong = claims.redeem(session, now, site.id, request.claim, device)
    if wrong is None and site.state != "new":
        wrong = "claim_used"
    if wrong is not None:
        alerts.raise_(session, now, wrong, f"site:{site.id}", "warning", site=site.id, claim=request.claim[:8])
        return _refused(409 if wrong == "claim_used" else 403, wrong)
    site.state, site.device, site.device_key = "pending", device, base64.b64encode(_der(key)).decode("ascii")
    site.code = enrolment.code(signer.identity().ca_hash, key, request.claim)
    _note(session, now, site, request)
    return Answer(200, {"state": "pending"})


def approve(session: Session, signer: Signer, now: float, who: str, site: Site, code: str) -> None:
    """Let the waiting device in: its certificate, its tunnels, its first layer; all of it or nothing.

    ``code``: the six digits that the person sees at the box. ``site`` was locked by who asks.

    Raises:
        RegistryRefused: ``site_not_pending``, ``second_person`` (who made the site may not), ``code_other``,
            ``no_concentrator``, or what the tunnels, the layer or the signing process refuse.
    """
    if site.state != "pending" or site.device is None or site.csr is None:
        raise RegistryRefused("site_not_pending", site=site.id)
    if who == site.made_by:
        raise RegistryRefused("second_person")
    if code != site.code:
        raise RegistryRefused("code_other")
    site.state, site.approved_by, site.approved_at = "active", who, now
    session.flush()
    _certify(session, signer, site, site.csr, now)
    for tunnel, concentrator, key in _places(session, site):
        peers.put_on(session, signer, site.id, tunnel, concentrator, key, now)
    _passwords(session, signer, site, now)
    layers.offer(session, signer, site, now, Why(who, "approved"))
    audit.write(session, now, who, "enrol.approve", f"site:{site.id}", device=site.device, code=code)


def refuse(session: Session, now: float, who: str, site: Site, reason: str) -> None:
    """Turn the waiting device away; its claim is void, another may be issued.

    Raises:
        RegistryRefused: ``site_not_pending``, ``reason_missing`` or ``reason_long``.
    """
    if site.state != "pending":
        raise RegistryRefused("site_not_pending", site=site.id)
    if not reason.strip():
        raise RegistryRefused("reason_missing")
    if len(reason) > MAX_REASON_CHARACTERS:
        raise RegistryRefused("reason_long", most=MAX_REASON_CHARACTERS)
    device = site.device
    claims.void(session, now, site.id)
    claims.free(site)
    session.flush()
    audit.write(session, now, who, "enrol.refuse", f"site:{site.id}", device=device, reason=reason)


def renew(session: Session, signer: Signer, now: float, site: Site, csr: str) -> str | None:
    """Return a certificate for an active site's own device key, fresh or one that is still young; None for another key."""
    if site.state != "active" or site.device_key is None or not _same_key(csr, device_key(site)):
        return None
    kept = session.scalars(
        select(Certificate)
        .where(Certificate.subject == f"site:{site.id}", Certificate.revoked_at.is_(None))
        .order_by(Certificate.ends_at.desc())
    ).all()
    if kept and kept[0].held_at is not None:
        # Nobody knows which of two boxes this is; neither gets another until a person has looked.
        return None
    # One that a clock which ran ahead has made is refused until its time comes.
    newest = next((row for row in kept if row.begins_at <= now), None)
    # Of a box that asks anew nobody knows whether it still believes the CA before.
    if newest is not None and newest.ends_at - now > RENEW_BEFORE_SECONDS and _of_this_ca(signer, newest.pem):
        return newest.pem
    return _certify(session, signer, site, csr, now)


def _of_this_ca(signer: Signer, pem: str) -> bool:
    ca = x509.load_pem_x509_certificate(signer.identity().ca.encode("ascii"))
    return made_by(x509.load_pem_x509_certificate(pem.encode("ascii")), ca)


def waiting(session: Session, scope: str = "", most: int = 200) -> list[Site]:
    """Return the sites whose device waits for a person, the longest waiting first."""
    wanted = select(Site).where(Site.state == "pending").order_by(Site.made_at, Site.id).limit(max(1, min(most, 200)))
    return list(session.scalars(wanted.where(Site.civil_code.startswith(scope)) if scope else wanted))


def device_hash(key: ec.EllipticCurvePublicKey) -> str:
    """Return what a device is known by: SHA-256 of its key (DER), hexadecimal."""
    return hashlib.sha256(_der(key)).hexdigest()


def device_key(site: Site) -> ec.EllipticCurvePublicKey:
    """Return the key of a site's device."""
    return read_device_key(site.device_key or "")


def read_device_key(kept: str) -> ec.EllipticCurvePublicKey:
    """Return a device's key as it is kept (DER, base64)."""
    key = serialization.load_der_public_key(base64.b64decode(kept))
    assert isinstance(key, ec.EllipticCurvePublicKey)  # nothing else was ever kept
    return key


def _again(session: Session, signer: Signer, now: float, site: Site, request: EnrolRequest) -> Answer:
    """The site's own device asks again."""
    if site.state == "revoked":
        return Answer(200, {"state": "revoked", "revocation": site.revocation})
    if not _same_key(request.csr, device_key(site)):
        return _refused(403, "csr_other_key")
    if site.state == "pending":
        _note(session, now, site, request)
        return Answer(200, {"state": "pending"})
    certificate = renew(session, signer, now, site, request.csr)
    if certificate is None:
        return _refused(403, "certificate_held")
    taken = _rekey(session, signer, now, site, request)
    if taken is not None:
        alerts.raise_(session, now, "key_known", f"site:{site.id}", "error", site=site.id, other=taken)
        return _refused(409, "key_known")
    newest = layers.sign_again(session, signer, site, now)
    layer = newest.envelope if newest is not None else ""
    return Answer(200, {"state": "approved", "certificate": certificate, "layer": layer})


def _rekey(session: Session, signer: Signer, now: float, site: Site, request: EnrolRequest) -> str | None:
    """A box that has lost its tunnels' keys, but not its own, comes with new ones; return whose a key is that is taken."""
    changed = False
    for peer in session.scalars(
        select(Peer).where(Peer.site == site.id, Peer.state == "on").order_by(Peer.tunnel)
    ).all():
        key = request.wireguard.get(peer.tunnel, peer.public_key)
        if key in (peer.public_key, peer.next_key):
            continue
        other = session.get(SpentKey, key)
        if other is not None:
            return other.site
        # An exchange that ran is over: neither of its keys is the box's any more.
        peer.rotation = ""
        peers.put_on(session, signer, site.id, peer.tunnel, peer.concentrator, key, now)
        changed = True
    if changed:
        layers.offer(session, signer, site, now, Why("registry", "new keys"))
        alerts.raise_(session, now, "device_rekeyed", f"site:{site.id}", "warning", site=site.id)
    return None


def _twin(session: Session, site: Site, request: EnrolRequest, device: str) -> tuple[str, str] | None:
    """Return what another site has of this box already, and which one: a copied disk, or a box that was moved (W03)."""
    other = session.scalar(select(Site.id).where(Site.device == device, Site.id != site.id))
    if other is not None:
        return "device_known", other
    facts = _facts(request)
    other = session.scalar(select(Site.id).where(Site.fingerprint == facts, Site.id != site.id).limit(1))
    if other is not None and facts != "{}":
        return "hardware_known", other
    for key in request.wireguard.values():
        spent = session.get(SpentKey, key)
        if spent is not None and spent.site != site.id:
            return "key_known", spent.site
        other = session.scalar(
            select(Site.id)
            .where(Site.state == "pending", Site.id != site.id, Site.asked_keys.contains(key, autoescape=True))
            .limit(1)
        )
        other = other or session.scalar(
            select(Peer.site).where(or_(Peer.public_key == key, Peer.next_key == key), Peer.site != site.id)
        )
        if other is not None:
            return "key_known", other
    return None


def _note(session: Session, now: float, site: Site, request: EnrolRequest) -> None:
    """Keep what the box says of itself; a clock that is far off is told to a person."""
    site.csr, site.fingerprint = request.csr, _facts(request)
    site.asked_keys = json.dumps(request.wireguard, sort_keys=True, separators=(",", ":"))
    session.flush()
    if abs(request.time - now) > SKEW_SECONDS:
        seconds = int(request.time - now)
        alerts.raise_(session, now, "box_clock", f"site:{site.id}", "info", site=site.id, seconds=seconds)


def _places(session: Session, site: Site) -> list[tuple[str, str, str]]:
    """Return (tunnel, concentrator, key): of each plane that the city has, the concentrator with the most room."""
    found = []
    for tunnel, key in sorted(json.loads(site.asked_keys).items()):
        hubs = session.scalars(
            select(Concentrator)
            .where(Concentrator.plane == tunnel, Concentrator.state == "active")
            .order_by(Concentrator.id)
        ).all()
        if hubs:
            best = min(hubs, key=lambda hub: (hub.taken / IPv4Network(hub.network).num_addresses, hub.id))
            found.append((tunnel, best.id, key))
    if not found:
        raise RegistryRefused("no_concentrator", tunnels=", ".join(json.loads(site.asked_keys)))
    return found


def _passwords(session: Session, signer: Signer, site: Site, now: float) -> None:
    """Make SIP passwords for the platforms whose own program can be told them; elsewhere a person sets them by hand."""
    named = [platform["id"] for platform in layers.compose(session, site).get("platform", ())]
    keys = {id_: key for id_ in named if (key := platforms.key_of(session, id_)) is not None}
    if not keys or site.device_key is None:
        return
    made = signer.seal(site.id, site.device_key, hubs={}, platforms=keys)
    site.sealed = json.dumps({"sip": made.box})
    for platform, password in sorted(made.platforms.items()):
        feeds.append(
            session, platforms.FEED, site.id, {"site": site.id, "platform": platform, "password": password}, now
        )
    session.flush()


def _certify(session: Session, signer: Signer, site: Site, csr: str, now: float) -> str:
    pem = signer.certify(csr, f"site:{site.id}", days=CERTIFICATE_DAYS)
    certificates.keep(session, pem)
    return pem


def _same_key(csr: str, key: ec.EllipticCurvePublicKey) -> bool:
    """Say whether a request for a certificate is one, of this key and signed by it."""
    try:
        asked = x509.load_pem_x509_csr(csr.encode("ascii"))
        return asked.is_signature_valid and asked.public_key() == key
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        return False


def _facts(request: EnrolRequest) -> str:
    return json.dumps(request.fingerprint, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _refused(status: int, rule: str) -> Answer:
    return Answer(status, {"state": "refused", "rule": rule})


def _der(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
