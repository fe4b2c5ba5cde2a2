"""A site is cut off for good: its peers, its certificates, its passwords, its name. What is revoked never comes back.

In one transaction, so that no half of it can be seen: the concentrators' feeds say that its peers are off, its certificates
are refused from the next request on, the platforms' feed takes its SIP password away, and the box, when it asks, hears it
signed. Its addresses and keys are never given to anybody.
"""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from city.registry import audit, feeds, layers, peers, platforms
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.tables import Certificate, Claim, Layer, Site

MAX_REASON_CHARACTERS = 200
_NO_DEVICE = "0" * 64


def revoke(session: Session, signer: Signer, site: Site, who: str, reason: str, now: float) -> None:
    """Cut ``site`` off.

    Raises:
        RegistryRefused: ``site_revoked`` already, ``reason_missing``, ``reason_long``.
    """
    if site.state == "revoked":
        raise RegistryRefused("site_revoked", site=site.id)
    if not reason.strip():
        raise RegistryRefused("reason_missing")
    if len(reason) > MAX_REASON_CHARACTERS:
        raise RegistryRefused("reason_long", most=MAX_REASON_CHARACTERS)
    peers.put_off(session, site.id, now)
    session.execute(
        update(Certificate).where(Certificate.subject == f"site:{site.id}", Certificate.revoked_at.is_(None))
        .values(revoked_at=now)
    )  # fmt: skip
    session.execute(update(Claim).where(Claim.site == site.id, Claim.ends_at > now).values(ends_at=now))
    session.execute(
        update(Layer).where(Layer.site == site.id, Layer.state == "offered").values(state="superseded")
    )  # fmt: skip
    feeds.append(session, platforms.FEED, site.id, {"site": site.id, "gone": True}, now)
    # Also of a site that never had a device: the signing process must know of it, should a backup be laid back.
    said = {"site": site.id, "device": site.device or _NO_DEVICE, "at": int(now), "reason": reason}
    signed = signer.sign_revocation(said | {"epoch": layers.epoch(session)})
    site.revocation = signed if site.device is not None else ""
    site.state, site.revoked_by, site.revoked_at = "revoked", who, now
    audit.write(session, now, who, "site.revoke", f"site:{site.id}", reason=reason)


def revoke_all(session: Session, signer: Signer, who: str, reason: str, now: float) -> list[str]:
    """Cut every active site off, and return which; ``approvals`` has seen that two persons want it."""
    gone = list(session.scalars(select(Site).where(Site.state == "active").order_by(Site.id)))
    for site in gone:
        revoke(session, signer, site, who, reason, now)
    return [site.id for site in gone]
