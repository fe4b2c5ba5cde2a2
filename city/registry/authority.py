"""The city's CA is renewed: a fresh one beside it, and some time later in its place (adr/0033).

Two persons agree to the first step (``approvals``); the second is the same person's or another's, when the overlap has been
long enough for him. Each may be repeated: what the signing process has done already it does not do again.
"""

from __future__ import annotations

from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

from city.registry import approvals, audit, claims
from city.registry.refused import RegistryRefused
from city.registry.signer import Identity, Signer
from city.registry.tables import Certificate, Claim
from netconf.certificates import made_by

SUBJECT = "authority"


def renew(session: Session, signer: Signer, now: float, who: str) -> Identity:
    """Begin: the signing process makes a fresh CA beside the one of the moment.

    Raises:
        RegistryRefused: ``approval_missing``: no two persons have agreed to it within a day; ``ca_concentrator_before``.
    """
    _demand_followed(session, signer.identity(), now)
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


def _demand_followed(session: Session, city: Identity, now: float) -> None:
    """Another renewal takes the CA before from those whose clients are known. A box asks for a certificate anew without
    showing one; a concentrator cannot: with one of that CA it would be shut out, and hear of nobody's revocation.

    Raises:
        RegistryRefused: ``ca_concentrator_before``: it has none of the CA of the moment yet.
    """
    if city.begun or len(city.trusted) == 1:
        return
    ca = x509.load_pem_x509_certificate(city.ca.encode("ascii"))
    good = (
        Certificate.subject.startswith("concentrator:"),
        Certificate.ends_at > now,
        Certificate.revoked_at.is_(None),
    )
    rows = session.scalars(select(Certificate).where(*good).order_by(Certificate.subject)).all()
    follow = {row.subject for row in rows if made_by(x509.load_pem_x509_certificate(row.pem.encode("ascii")), ca)}
    left = next((row for row in rows if row.subject not in follow), None)
    if left is not None:
        raise RegistryRefused("ca_concentrator_before", concentrator=left.subject.partition(":")[2])
