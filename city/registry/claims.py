"""Claims: what an installer carries beside the city's address. Good once, for the first device that shows it, for some days.

Only a prefix, which may be shown and logged, and a hash are kept; 128 bits of chance need no slow hash. Binding is one
statement with its condition, so that of two devices that come at once one wins.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from city.registry import audit
from city.registry.refused import RegistryRefused
from city.registry.tables import Claim, Site
from netconf.enrolment import claim_hash

DAYS, MOST_DAYS = 7, 30


def fresh(chance: Callable[[int], bytes]) -> str:
    """Return a new claim: eight hexadecimal digits that may be seen, and 128 bits that may not."""
    secret = base64.b32encode(chance(16)).decode("ascii").rstrip("=").lower()
    return f"{chance(4).hex()}.{secret}"


def issue(session: Session, now: float, who: str, site: Site, claim: str, *, days: int = DAYS) -> Claim:
    """Keep a ``fresh`` claim for a site that has no device; those before it are void.

    A device that waits for approval is turned away: who asks for another claim means another device.

    Raises:
        RegistryRefused: ``claim_days``, ``site_has_device`` or ``site_revoked``.
    """
    if not 1 <= days <= MOST_DAYS:
        raise RegistryRefused("claim_days", most=MOST_DAYS)
    if site.state == "revoked":
        raise RegistryRefused("site_revoked", site=site.id)
    if site.state == "active":
        raise RegistryRefused("site_has_device", site=site.id)
    void(session, now, site.id)
    free(site)
    row = Claim(prefix=claim[:8], hash=claim_hash(claim), site=site.id, made_at=now, ends_at=now + days * 86_400)
    session.add(row)
    session.flush()
    audit.write(session, now, who, "claim.issue", f"site:{site.id}", claim=row.prefix, days=days)
    return row


def void(session: Session, now: float, site: str) -> None:
    """End all claims of a site."""
    session.execute(update(Claim).where(Claim.site == site, Claim.ends_at > now).values(ends_at=now))


def free(site: Site) -> None:
    """Forget the device that waits for approval."""
    site.state, site.device, site.device_key, site.code, site.csr = "new", None, None, None, None
    site.fingerprint, site.asked_keys = "{}", "{}"


def is_its(session: Session, site: str, claim: str) -> bool:
    """Say whether a claim was issued for a site, however long ago."""
    row = session.get(Claim, claim[:8])
    return row is not None and row.site == site and hmac.compare_digest(row.hash, claim_hash(claim))


def redeem(session: Session, now: float, site: str, claim: str, device: str) -> str | None:
    """Bind a claim to a device; return None when it is bound to it now, else why not: a code of ``words``.

    ``claim_unknown`` also of another site's: nobody learns which claims there are. ``claim_used``: by another device.
    """
    if not is_its(session, site, claim):
        return "claim_unknown"
    row = session.get_one(Claim, claim[:8])
    bound = session.scalar(
        update(Claim)
        .where(Claim.prefix == row.prefix, Claim.ends_at > now, or_(Claim.device.is_(None), Claim.device == device))
        .values(device=device, used_at=now)
        .returning(Claim.prefix)
        .execution_options(synchronize_session=False)
    )
    session.refresh(row)
    if bound is not None:
        return None
    return "claim_used" if row.device not in (None, device) else "claim_expired"
