"""A site is cut off for good: its peers, its certificates, its passwords, its name. What is revoked never comes back.

In one transaction, so that no half of it can be seen: the concentrators' feeds say that its peers are off, its certificates
are refused from the next request on, the platforms' feed takes its SIP password away, and the box, when it asks, hears it
signed. Its addresses and keys are never given to anybody.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from city.registry import audit, feeds, layers, peers, platforms
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.tables import Certificate, Claim, Layer, Site

MAX_REASON_CHARACTERS = 200
_NO_DEVICE = "0" * 64
_AT_ONCE = 1000


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


def remembered(signer: Signer) -> tuple[int, list[str]]:
    """Return the highest epoch that was ever signed, and every site that the signing process knows to be revoked."""
    highest, part = signer.standing()
    gone = list(part)
    while part:
        _, part = signer.standing(gone[-1])
        gone.extend(part)
    return highest, gone


def again(
    session: Session, signer: Signer, gone: Sequence[str], who: str, why: str, now: float
) -> tuple[list[str], list[str]]:
    """Revoke those of ``gone`` that the registry has for good; return these, and those that it does not have at all."""
    done, unknown = [], []
    for number in gone:
        site = session.get(Site, number, with_for_update=True)
        if site is None:
            unknown.append(number)
        elif site.state != "revoked":
            revoke(session, signer, site, who, why, now)
            done.append(number)
    return done, unknown


def standing(session: Session, gone: Sequence[str]) -> list[str]:
    """Return those of ``gone`` (a thousand at a time) that the registry still has for good."""
    found: list[str] = []
    for first in range(0, len(gone), _AT_ONCE):
        wanted = select(Site.id).where(Site.id.in_(gone[first : first + _AT_ONCE]), Site.state != "revoked")
        found += session.scalars(wanted.order_by(Site.id))
    return found
