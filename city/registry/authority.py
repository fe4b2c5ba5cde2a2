"""The city's CA is renewed: a fresh one beside it, and some time later in its place (adr/0033).

Two persons agree to the first step (``approvals``); the second is the same person's or another's, when the overlap has been
long enough for him. Each may be repeated: what the signing process has done already it does not do again.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from city.registry import approvals, audit, claims
from city.registry.signer import Identity, Signer
from city.registry.tables import Claim

SUBJECT = "authority"


def renew(session: Session, signer: Signer, now: float, who: str) -> Identity:
    """Begin: the signing process makes a fresh CA beside the one of the moment.

    Raises:
        RegistryRefused: ``approval_missing``: no two persons have agreed to it within a day.
    """
    approvals.use(session, now, "ca", "")
    city = signer.renew_ca()
    audit.write(session, now, who, "ca.renew", SUBJECT, ca=city.ca_hash)
    return city


def switch(session: Session, signer: Signer, now: float, who: str) -> tuple[Identity, list[str]]:
    """Let the fresh CA make every certificate from now on; return the sites whose printed bundle is void by that.

    Raises:
        RegistryRefused: ``ca_not_begun``, or ``ca_too_soon``: the servers of the city may not have heard of it yet.
    """
    printed = select(Claim.site).where(Claim.ends_at > now, Claim.used_at.is_(None)).distinct().order_by(Claim.site)
    sites = list(session.scalars(printed))
    for site in sites:
        # It names the CA before by its hash: a box that came with it would not believe this one.
        claims.void(session, now, site)
    city = signer.switch_ca()
    audit.write(session, now, who, "ca.switch", SUBJECT, ca=city.ca_hash, void=len(sites))
    return city, sites
