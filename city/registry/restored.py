"""After the database was restored from a backup: its epoch is raised, and what was revoked since is revoked again.

The boxes and the concentrators know higher revisions than the registry now does; with a higher epoch they take its lower
ones. What was revoked meanwhile and how far the addresses have come the backup does not know, but the signing process
does: those are revoked again, these are stepped over. Until this was done it signs nothing for those sites. A second
registry that still runs (the one that was thought lost) has the lower epoch from here on, and has nothing signed any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from city.registry import addresses, audit, layers, revocation
from city.registry.layers import Why
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.tables import Concentrator, Health, Meta, Peer, Site


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done: the new epoch, the sites that were revoked again, those that are gone from the registry, how many
    layers were signed anew, and the sites whose layer could not be, with the rule."""

    epoch: int
    revoked: tuple[str, ...]
    unknown: tuple[str, ...]
    offered: int
    refused: tuple[tuple[str, str], ...]


def restored(session: Session, signer: Signer, who: str, reason: str, now: float) -> Restored:
    """Take the registry on after a restore, in one transaction.

    Raises:
        RegistryRefused: ``reason_missing``.
        SignerAway: nothing was done.
    """
    if not reason.strip():
        raise RegistryRefused("reason_missing")
    highest, gone = revocation.remembered(signer)
    epoch = max(highest, layers.epoch(session)) + 1
    session.merge(Meta(name="epoch", value=str(epoch)))
    session.flush()
    _step_over(session, signer)
    again, unknown = revocation.again(session, signer, gone, who, "revoked before the backup was restored", now)
    session.execute(update(Site).where(Site.state == "active").values(offered=0))
    session.expire_all()
    offered, refused = 0, []
    for site in session.scalars(select(Site).where(Site.state == "active").order_by(Site.id)).all():
        try:
            layers.offer(session, signer, site, now, Why(who, reason))
            offered += 1
            # An exchange that ran is now this layer's: the numbers begin anew.
            session.execute(
                update(Peer).where(Peer.site == site.id, Peer.rotation == "exchanging")
                .values(rotation_revision=site.offered)
            )  # fmt: skip
        except RegistryRefused as wrong:
            refused.append((site.id, wrong.rule))
    # What was said of the sites before the backup is no word on how they are now.
    session.execute(update(Health).values(due_at=now))
    audit.write(session, now, who, "registry.restored", "registry", epoch=epoch, reason=reason, revoked=len(again))
    return Restored(epoch, tuple(again), tuple(unknown), offered, tuple(refused))


def _step_over(session: Session, signer: Signer) -> None:
    hubs = {hub.network: hub.id for hub in session.scalars(select(Concentrator).order_by(Concentrator.id))}
    for network, address in signer.addresses(tuple(hubs)).items():
        addresses.step_over(session, hubs[network], IPv4Address(address))
