"""The sites' tunnels as their concentrators have them: on, off, with another key, begun anew.

Each change is one entry of the concentrator's feed and tells how the site's peer is from now on, whole; so an entry may be
carried out twice, and a newer one makes an older one pointless. Every WireGuard key that ever comes, of a site or of a
concentrator, is written into ``spent_key`` when it comes: that table's primary key, not a question asked before, keeps it
from a second owner, now or later, as a tunnel's key or as its next one (attacks.json, W02).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, select, text, update
from sqlalchemy.orm import Session

from city.registry import addresses, feeds
from city.registry.refused import RegistryRefused
from city.registry.signer import Sealed, Signer
from city.registry.tables import Address, Concentrator, Feed, Peer, Site, SpentKey

#: 32 octets in base64; the last sign before "=" carries two bits that are zero.
_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=", re.ASCII)
_KEEP = text("INSERT INTO spent_key (public_key, site, spent_at) VALUES (:key, :site, 0) ON CONFLICT DO NOTHING")


def feed(concentrator: str) -> str:
    """Return the name of a concentrator's feed."""
    return f"peers:{concentrator}"


def put_on(
    session: Session,
    signer: Signer,
    site: str,
    tunnel: str,
    concentrator: str,
    public_key: str,
    now: float,
    *,
    secrets: Sealed | None = None,
) -> Peer:
    """Let a site's tunnel end at a concentrator, and return it; one that is so already stays as it is.

    Of a site that moves, the old concentrator's peer goes off and its address stays its for ever. ``secrets`` were made
    for several tunnels at once; without them the signing process makes a preshared key for this one.

    Raises:
        RegistryRefused: ``site_unknown``, ``site_revoked``, ``site_without_device``, ``concentrator_unknown``,
            ``concentrator_draining``, ``concentrator_other_plane``, ``network_full``, ``key_form`` or ``key_taken``.
        SignerAway: nothing was changed.
    """
    row = _site(session, site)
    peer = session.get(Peer, (site, tunnel), with_for_update=True)
    hub = _concentrator(session, concentrator, tunnel)
    if peer is not None and peer.state == "off":
        raise RegistryRefused("site_revoked", site=site)
    if peer is not None and (peer.concentrator, peer.public_key) == (concentrator, public_key):
        return peer
    moves = peer is None or peer.concentrator != concentrator
    if moves and hub.state != "active":
        raise RegistryRefused("concentrator_draining", concentrator=concentrator)
    if not row.device_key:
        raise RegistryRefused("site_without_device", site=site)
    if peer is None or peer.public_key != public_key:
        take_key(session, public_key, site)
    made = secrets or signer.seal(site, row.device_key, hubs={tunnel: hub.seal_key}, platforms={})
    if peer is None:
        peer = Peer(site=site, tunnel=tunnel)
    elif peer.public_key != public_key:
        _spend(session, peer.public_key, now)
    if moves:
        if peer.concentrator:
            feeds.append(session, feed(peer.concentrator), site, _gone(site), now)
        peer.address = str(addresses.give(session, concentrator, site, now))
        peer.concentrator = concentrator
    peer.public_key, peer.state = public_key, "on"
    peer.psk, peer.psk_box = made.hubs.get(tunnel, ""), made.box
    session.add(peer)
    _tell(session, peer, now)
    return peer


def put_off(session: Session, site: str, now: float) -> tuple[str, ...]:
    """Take all tunnels of a site off their concentrators for ever; return the names of those that were on.

    Raises:
        RegistryRefused: ``site_unknown``.
    """
    _site(session, site, revoked=True)
    rows = session.scalars(
        select(Peer)
        .where(Peer.site == site, Peer.state == "on")
        .order_by(Peer.concentrator, Peer.tunnel)
        .with_for_update()
    ).all()
    for peer in rows:
        peer.state = "off"
        for key in filter(None, (peer.public_key, peer.next_key)):
            _spend(session, key, now)
        peer.revision = feeds.append(session, feed(peer.concentrator), site, _gone(site), now)
    session.flush()
    return tuple(peer.tunnel for peer in rows)


def offer_key(session: Session, site: str, tunnel: str, next_key: str, now: float) -> None:
    """Keep the key that a tunnel is to have next; the concentrator hears of it only by ``exchange_key``.

    Raises:
        RegistryRefused: ``peer_unknown``, ``site_revoked``, ``key_form`` or ``key_taken``.
    """
    peer = _peer(session, site, tunnel)
    if peer.next_key == next_key:
        return
    take_key(session, next_key, site)
    if peer.next_key:
        _spend(session, peer.next_key, now)
    peer.next_key = next_key
    session.flush()


def exchange_key(session: Session, site: str, tunnel: str, now: float) -> int:
    """Let a tunnel's key and its next key change places, and return the change's revision; once more puts them back.

    The concentrator takes the old key off and the new one on in one message to its device: the address has one owner at
    every moment. The other of the two stays until ``forget_key``.

    Raises:
        RegistryRefused: ``peer_unknown``, ``site_revoked`` or ``key_not_offered``.
    """
    peer = _peer(session, site, tunnel)
    if not peer.next_key:
        raise RegistryRefused("key_not_offered", site=site, tunnel=tunnel)
    key, other = peer.next_key, peer.public_key
    # Both columns are unique: one key never stands in two places, not even between two statements.
    peer.next_key = None
    session.flush()
    peer.public_key, peer.next_key = key, other
    return _tell(session, peer, now)


def forget_key(session: Session, site: str, tunnel: str, now: float) -> None:
    """Spend the key of a tunnel that is not in use, if there is one: nobody may come with it again.

    Raises:
        RegistryRefused: ``peer_unknown`` or ``site_revoked``.
    """
    peer = _peer(session, site, tunnel)
    if peer.next_key:
        _spend(session, peer.next_key, now)
        peer.next_key = None
        session.flush()


def reset(session: Session, site: str, tunnel: str, now: float) -> int:
    """Have a peer taken off and put on again, and return the change's revision.

    A box whose clock went back sends handshakes that WireGuard takes for replayed ones, for as long as the peer is known.

    Raises:
        RegistryRefused: ``peer_unknown`` or ``site_revoked``.
    """
    return _tell(session, _peer(session, site, tunnel), now, reset=True)


def snapshot(session: Session, concentrator: str) -> tuple[int, list[dict[str, Any]]]:
    """Return a concentrator's peers and the revision of its feed that they are, as they stood in one moment.

    Whoever once had an address here and has no tunnel any more is named as gone: a peer that is merely missing is none
    that the city took off.
    """
    rows = session.execute(
        select(Feed.revision, Address.site, Peer.site, Peer.public_key, Peer.address, Peer.psk, Peer.revision)
        .select_from(Feed)
        .outerjoin(Address, Address.concentrator == concentrator)
        .outerjoin(Peer, and_(Peer.address == Address.address, Peer.state == "on"))
        .where(Feed.name == feed(concentrator))
        .order_by(Address.site)
    ).all()
    had = {row[1] for row in rows if row[1] is not None}
    entries = [entry(*row[2:6]) | {"revision": row[6]} for row in rows if row[2] is not None]
    on = {each["site"] for each in entries}
    return (rows[0][0] if rows else 0), [*entries, *(_gone(site) for site in sorted(had - on))]


def entry(site: str, public_key: str, address: str, psk: str) -> dict[str, Any]:
    """Return what a concentrator is told of one peer (``netconf.envelope.Peers``), but for its revision."""
    return {"site": site, "public_key": public_key, "allowed": [f"{address}/32"], "psk": psk}


def take_key(session: Session, public_key: str, site: str) -> None:
    """Make a WireGuard key the one of ``site`` ("" for a concentrator), for ever.

    Raises:
        RegistryRefused: ``key_form``, or ``key_taken``: somebody has it or had it.
    """
    if not _KEY.fullmatch(public_key):
        raise RegistryRefused("key_form")
    if session.connection().execute(_KEEP, {"key": public_key, "site": site}).rowcount != 1:
        raise RegistryRefused("key_taken", key=public_key[:8])


def _spend(session: Session, public_key: str, now: float) -> None:
    session.execute(
        update(SpentKey)
        .where(SpentKey.public_key == public_key)
        .values(spent_at=now)
        .execution_options(synchronize_session=False)
    )


def _tell(session: Session, peer: Peer, now: float, **besides: bool) -> int:
    body = entry(peer.site, peer.public_key, peer.address, peer.psk) | besides
    peer.revision = feeds.append(session, feed(peer.concentrator), peer.site, body, now)
    session.flush()
    return peer.revision


def _gone(site: str) -> dict[str, Any]:
    return {"site": site, "gone": True}


def _site(session: Session, site: str, *, revoked: bool = False) -> Site:
    """The site's row, locked: its tunnels change one after the other."""
    row = session.get(Site, site, with_for_update=True)
    if row is None:
        raise RegistryRefused("site_unknown", site=site)
    if row.state == "revoked" and not revoked:
        raise RegistryRefused("site_revoked", site=site)
    return row


def _peer(session: Session, site: str, tunnel: str) -> Peer:
    peer = session.get(Peer, (site, tunnel), with_for_update=True)
    if peer is None:
        raise RegistryRefused("peer_unknown", site=site, tunnel=tunnel)
    if peer.state == "off":
        raise RegistryRefused("site_revoked", site=site)
    return peer


def _concentrator(session: Session, concentrator: str, tunnel: str) -> Concentrator:
    hub = session.get(Concentrator, concentrator)
    if hub is None:
        raise RegistryRefused("concentrator_unknown", concentrator=concentrator)
    if hub.plane != tunnel:
        raise RegistryRefused("concentrator_other_plane", concentrator=concentrator, plane=hub.plane, tunnel=tunnel)
    return hub


def told(changes: tuple[feeds.Entry, ...]) -> Iterator[dict[str, Any]]:
    """Give each change its revision, as the concentrator is told it."""
    for change in changes:
        yield change.body | {"revision": change.revision}
