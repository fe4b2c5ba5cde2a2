"""A tunnel's key is exchanged while the other tunnel carries what runs. A table, driven by the box's reports.

*asked*: the box shall make its next key; *exchanging*: the concentrator has it, and so has a layer that the box is to
confirm. When the box uses that layer the old key is spent; when it undoes it, the concentrator gets the old one back. At
each step either end may be killed: the tunnel that is not exchanged still stands, and the same report comes again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from city.registry import audit, layers, peers
from city.registry.layers import Why
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.tables import Health, Peer, Site

#: A tunnel whose last handshake is older does not carry anything (WireGuard makes a new one after 120 s).
FRESH_SECONDS = 180
#: The code with which a box refuses a layer that expects a key of a tunnel which it does not have.
LACKED = "tunnel_own_key_unknown"


def begin(session: Session, site: Site, tunnel: str, who: str, now: float) -> None:
    """Ask the box for a new key of ``tunnel`` with its next report.

    Raises:
        RegistryRefused: ``site_not_active``, ``site_tunnel_unknown``, ``rotation_runs`` (one at a time), ``other_tunnel_dead``
            (it would take the site's last way).
    """
    if site.state != "active":
        raise RegistryRefused("site_not_active", site=site.id)
    mine = {peer.tunnel: peer for peer in _peers(session, site.id)}
    if tunnel not in mine:
        raise RegistryRefused("site_tunnel_unknown", site=site.id, tunnel=tunnel)
    if any(peer.rotation for peer in mine.values()):
        raise RegistryRefused("rotation_runs", site=site.id)
    ages = _handshake_ages(session, site.id, now)
    if not any(name != tunnel and ages.get(name, FRESH_SECONDS) < FRESH_SECONDS for name in mine):
        raise RegistryRefused("other_tunnel_dead", site=site.id, tunnel=tunnel)
    mine[tunnel].rotation = "asked"
    audit.write(session, now, who, "key.rotate", f"site:{site.id}", tunnel=tunnel)


def reset(session: Session, site: Site, tunnel: str, who: str, now: float) -> None:
    """Have a tunnel begun anew at its concentrator (``peers.reset``), by a person's word.

    Raises:
        RegistryRefused: ``site_not_active`` or ``site_tunnel_unknown``.
    """
    if site.state != "active":
        raise RegistryRefused("site_not_active", site=site.id)
    if tunnel not in {peer.tunnel for peer in _peers(session, site.id)}:
        raise RegistryRefused("site_tunnel_unknown", site=site.id, tunnel=tunnel)
    revision = peers.reset(session, site.id, tunnel, now)
    audit.write(session, now, who, "peer.reset", f"site:{site.id}", tunnel=tunnel, revision=revision)


def wanted(session: Session, site: str) -> str | None:
    """Return the tunnel whose next key the box should make."""
    return session.scalar(select(Peer.tunnel).where(Peer.site == site, Peer.rotation == "asked", Peer.state == "on"))


def heard(session: Session, signer: Signer, site: Site, next_keys: dict[str, str], now: float) -> None:
    """The box has told its next keys: one that was asked for goes to the concentrator and into a layer.

    A key that is or was somebody's is let be: the box is asked again.
    """
    for peer in _peers(session, site.id):
        key = next_keys.get(peer.tunnel)
        if peer.rotation != "asked" or key is None:
            continue
        try:
            with session.begin_nested():
                peers.offer_key(session, site.id, peer.tunnel, key, now)
                peers.exchange_key(session, site.id, peer.tunnel, now)
        except RegistryRefused:
            session.refresh(peer)
            continue
        peer.rotation = "exchanging"
        session.flush()
        offered = Why("registry", f"key of {peer.tunnel}")
        peer.rotation_revision = layers.offer(session, signer, site, now, offered)


def settle(session: Session, signer: Signer, site: Site, used: int, undone: bool, now: float) -> None:
    """See what became of an exchange: the box uses revision ``used``; ``undone``: a later one was tried and is not used."""
    for peer in _peers(session, site.id):
        if peer.rotation != "exchanging":
            continue
        if used >= peer.rotation_revision:
            peers.forget_key(session, site.id, peer.tunnel, now)
            peer.rotation = ""
            audit.write(session, now, "registry", "key.rotated", f"site:{site.id}", tunnel=peer.tunnel)
        elif undone:
            peers.exchange_key(session, site.id, peer.tunnel, now)
            # The box made it for this exchange, and makes another for the next.
            peers.forget_key(session, site.id, peer.tunnel, now)
            peer.rotation = ""
            session.flush()
            layers.offer(session, signer, site, now, Why("registry", f"old key of {peer.tunnel} again"))
            audit.write(session, now, "registry", "key.kept", f"site:{site.id}", tunnel=peer.tunnel)


def mend(session: Session, site: Site, ages: Mapping[str, int | None]) -> None:
    """The box refuses its layer, for it lacks a key that was exchanged since the backup which was laid back: of a tunnel
    that is dead, beside one that carries the report, it is asked for another key. ``ages``: of the handshakes, in seconds.
    """
    mine = _peers(session, site.id)
    dead = [peer for peer in mine if (age := ages.get(peer.tunnel)) is None or age >= FRESH_SECONDS]
    if 0 < len(dead) < len(mine) and not any(peer.rotation for peer in mine):
        dead[0].rotation = "asked"
        session.flush()


def _peers(session: Session, site: str) -> list[Peer]:
    found = session.scalars(select(Peer).where(Peer.site == site, Peer.state == "on").order_by(Peer.tunnel))
    return list(found)


def _handshake_ages(session: Session, site: str, now: float) -> dict[str, float]:
    row = session.get(Health, site)
    if row is None:
        return {}
    told = json.loads(row.handshakes)
    return {name: age + (now - row.seen_at) for name, age in told.items() if isinstance(age, int | float)}
