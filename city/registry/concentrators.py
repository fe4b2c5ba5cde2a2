"""Concentrators: added, filled no more, given certificates, heard of; and their keys changed without a gap.

A key is changed in three steps of a person (docs/adr/0021): ``rotate`` has the concentrator make a second key, which it
serves beside the first; ``exchange`` makes that the one which boxes are told from then on; ``finish`` ends the old one,
which the concentrator drops when it hears nobody there. ``next_public_key`` is the other key while there are two, "" while
the concentrator is asked for it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from city.registry import addresses, alerts, audit, certificates, feeds, layers, peers, troubles
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.tables import Concentrator, Meta, Peer, Site, SpentKey

CERTIFICATE_DAYS = 90
MAX_REPORT_CHARACTERS, MOST_COUNT = 1 << 16, (1 << 53) - 1
#: How long a person's word that peers may be missing from a snapshot holds; by then it has been taken.
SMALLER_SECONDS = 3600.0
#: As ``netconf.model`` and the concentrator's own file have them.
_ID, _PLANE = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII), re.compile(r"[a-z][a-z0-9-]{0,14}", re.ASCII)
MAX_NAME, MAX_NETWORKS = 64, 64
_ENDPOINT = re.compile(r"[A-Za-z0-9.-]{1,253}:[0-9]{1,5}", re.ASCII)


#: The fact (``Meta``) that says how far a concentrator's sites have been told its key; sites in one turn.
_TELLING = "telling:"
MOST_TOLD = 50


@dataclass(frozen=True, slots=True)
class _Telling:
    """``who`` exchanged the key; sites up to ``after`` were offered it, but for those that are ``left``."""

    who: str
    after: str = ""
    left: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class New:
    """What a person says of a concentrator that is added. ``seal_key``: DER, base64 (its certificate's key).

    ``allowed``: the city's networks behind it, which boxes let in; ``probe`` its inner address.
    """

    id: str
    name: str
    plane: str
    public_key: str
    endpoint: str
    network: IPv4Network
    probe: IPv4Address
    allowed: tuple[IPv4Network, ...]
    seal_key: str
    mtu: int = 1420


def prepared(said: object, *, name: str, plane: str, endpoint: str, mtu: int = 1420) -> tuple[New, str]:
    """Return what a person adds, and its request for a certificate: ``said`` is what `concentrator prepare` printed.

    Raises:
        RegistryRefused: ``concentrator_prepared``: it is something else; ``concentrator_named``.
    """
    if not _PLANE.fullmatch(plane) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise RegistryRefused("concentrator_named")
    try:
        made = dict(said)  # type: ignore[call-overload]  # whatever it is, it is tried
        id_, key, seal_key, csr = (made[field] for field in ("id", "public_key", "seal_key", "csr"))
        if not all(isinstance(text, str) for text in (id_, key, seal_key, csr)) or not _ID.fullmatch(id_):
            raise ValueError("id")
        networks = tuple(IPv4Network(each) for each in made["allowed"])
        network, probe = IPv4Network(made["network"]), IPv4Address(made["probe"])
        if not 1280 <= mtu <= 9000 or len(networks) > MAX_NETWORKS:
            raise ValueError("mtu")
    except (KeyError, TypeError, ValueError) as wrong:
        raise RegistryRefused("concentrator_prepared", trouble=wrong) from None
    return New(id_, name.strip(), plane, key, endpoint, network, probe, networks, seal_key, mtu), csr


def add(session: Session, who: str, new: New, now: float) -> None:
    """Add a concentrator.

    Raises:
        RegistryRefused: ``concentrator_taken``, ``concentrator_network``, ``concentrator_endpoint``,
            ``concentrator_seal_key``, ``key_form`` or ``key_taken``.
    """
    if session.get(Concentrator, new.id) is not None:
        raise RegistryRefused("concentrator_taken", concentrator=new.id)
    others = [IPv4Network(each) for each in session.scalars(select(Concentrator.network))]
    small = addresses.capacity(str(new.network)) < 1 or new.probe not in new.network
    own = addresses.RESERVED >= int(new.probe) - int(new.network.network_address) > 0
    if small or not own or any(new.network.overlaps(each) for each in (*others, *new.allowed)):
        raise RegistryRefused("concentrator_network", network=new.network)
    if not _ENDPOINT.fullmatch(new.endpoint):
        raise RegistryRefused("concentrator_endpoint", endpoint=new.endpoint)
    _p256(new.seal_key)
    peers.take_key(session, new.public_key, "")
    session.add(
        Concentrator(
            id=new.id, name=new.name, plane=new.plane, public_key=new.public_key, endpoint=new.endpoint,
            network=str(new.network), probe=str(new.probe), allowed=json.dumps([str(each) for each in new.allowed]),
            mtu=new.mtu, seal_key=new.seal_key,
        )
    )  # fmt: skip
    session.flush()
    feeds.make(session, peers.feed(new.id))
    audit.write(session, now, who, "concentrator_add", new.id, network=str(new.network), plane=new.plane)


def drain(session: Session, who: str, concentrator: str, now: float, *, drained: bool = True) -> None:
    """Give it no more sites (or, not ``drained``, again); those that it has stay until they are moved.

    Raises:
        RegistryRefused: ``concentrator_unknown``.
    """
    _row(session, concentrator).state = "draining" if drained else "active"
    audit.write(session, now, who, "concentrator_drain", concentrator, drained=drained)


def certify(session: Session, signer: Signer, who: str, concentrator: str, csr: str, now: float) -> str:
    """Return a certificate (PEM, with the CA's after it) for the concentrator's own key, and remember it.

    Raises:
        RegistryRefused: ``concentrator_unknown``, ``concentrator_other_key`` or what the signing process says.
        SignerAway: nothing was made.
    """
    hub = _row(session, concentrator)
    try:
        key = x509.load_pem_x509_csr(csr.encode("utf-8")).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise RegistryRefused("concentrator_other_key", concentrator=concentrator) from None
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    if key.public_bytes(serialization.Encoding.DER, spki) != base64.b64decode(hub.seal_key):
        raise RegistryRefused("concentrator_other_key", concentrator=concentrator)
    pem = signer.certify(csr, f"concentrator:{concentrator}", days=CERTIFICATE_DAYS)
    kept = certificates.keep(session, pem)
    audit.write(session, now, who, "concentrator_certificate", concentrator, serial=kept.serial)
    return pem


def allow_smaller(session: Session, who: str, concentrator: str, now: float) -> None:
    """Let the next snapshots lack peers without a word, for an hour: after the registry was restored from a backup.

    Raises:
        RegistryRefused: ``concentrator_unknown``.
    """
    _row(session, concentrator)
    session.merge(Meta(name=f"smaller:{concentrator}", value=repr(now + SMALLER_SECONDS)))
    audit.write(session, now, who, "concentrator_smaller", concentrator)


def may_be_smaller(session: Session, concentrator: str, now: float) -> bool:
    """Whether a person has said so, and it still holds."""
    row = session.get(Meta, f"smaller:{concentrator}")
    return row is not None and now < float(row.value)


def rotate(session: Session, who: str, concentrator: str, now: float) -> None:
    """Ask a concentrator for a second key.

    Raises:
        RegistryRefused: ``concentrator_unknown`` or ``concentrator_rotates``: it has two already.
    """
    hub = _row(session, concentrator)
    if hub.next_public_key is not None or len(json.loads(hub.report).get("slots", [])) > 1:
        raise RegistryRefused("concentrator_rotates", concentrator=concentrator)
    hub.next_public_key = ""
    audit.write(session, now, who, "concentrator_rotate", concentrator)


def exchange(session: Session, who: str, concentrator: str, now: float) -> None:
    """Tell boxes the concentrator's other key and port from now on; both are served until ``finish``.

    Its sites are offered their layers by the schedule (``tell_on``), some at a time.

    Raises:
        RegistryRefused: ``concentrator_unknown`` or ``concentrator_one_key``: it has not made the second.
    """
    hub = _row(session, concentrator)
    ports = {slot[0]: slot[1] for slot in json.loads(hub.report).get("slots", [])}
    if not hub.next_public_key or hub.next_public_key not in ports:
        raise RegistryRefused("concentrator_one_key", concentrator=concentrator)
    hub.public_key, hub.next_public_key = hub.next_public_key, hub.public_key
    hub.endpoint = f"{hub.endpoint.rpartition(':')[0]}:{ports[hub.public_key]}"
    _keep_telling(session, concentrator, _Telling(who))
    audit.write(session, now, who, "concentrator_exchange", concentrator, public_key=hub.public_key)


def tell(
    session: Session, signer: Signer, who: str, concentrator: str, now: float, after: str = "", most: int = 100
) -> list[str]:
    """Offer the next of a concentrator's sites (by id, those that follow ``after``) a layer with its key and port as they
    are now, and return which these were; one that has it already is offered nothing new.

    Raises:
        RegistryRefused: ``concentrator_unknown``, or as for ``layers.offer``.
        SignerAway: nothing was offered.
    """
    _row(session, concentrator)
    there = (Peer.concentrator == concentrator, Peer.state == "on", Peer.site > after)
    rows = session.scalars(
        select(Site).join(Peer, Peer.site == Site.id).where(*there).order_by(Site.id).limit(most)
    ).all()
    for site in rows:
        if site.state == "active" and site.device is not None:
            layers.offer(session, signer, site, now, layers.Why(who, f"concentrator {concentrator}"))
    audit.write(session, now, who, "concentrator_tell", concentrator, sites=len(rows))
    return [site.id for site in rows]


def tell_on(session: Session, signer: Signer, now: float) -> None:
    """Of each concentrator whose key was exchanged, offer the next of its sites a layer with the new one.

    How far it has come stands in the tables. A site whose layer no box would take is left for the end and tried again
    until somebody has put it right; an alert names the first of them.

    Raises:
        SignerAway: nothing was offered.
    """
    untold: dict[str, dict[str, Any]] = {}
    # Locked: an exchange that comes meanwhile begins anew, and what is kept below must not take its place.
    begun = select(Meta).where(Meta.name.startswith(_TELLING)).order_by(Meta.name).with_for_update()
    for row in session.scalars(begun).all():
        hub, telling = row.name.removeprefix(_TELLING), _Telling(**json.loads(row.value))
        there = select(Peer.site).where(Peer.concentrator == hub, Peer.state == "on", Peer.site > telling.after)
        batch = list(session.scalars(there.order_by(Peer.site).limit(MOST_TOLD)))
        left = list(telling.left)
        if not batch:
            batch, left = left[:MOST_TOLD], left[MOST_TOLD:]
        wrong = [site for site in batch if not _told(session, signer, hub, site, telling.who, now)]
        telling = _Telling(telling.who, max([telling.after, *batch]), (*left, *wrong))
        _keep_telling(session, hub, telling if batch else None)
        if telling.left:
            untold[f"concentrator:{hub}"] = {"concentrator": hub, "count": len(telling.left), "site": telling.left[0]}
    alerts.keep(session, now, "concentrator_untold", "warning", untold)


def finish(session: Session, who: str, concentrator: str, now: float, *, anyway: bool = False) -> None:
    """End the concentrator's other key: it is dropped there as soon as no site is heard by it.

    ``anyway``: also while sites have not been offered the new one; such a site that is dark now is cut off there.

    Raises:
        RegistryRefused: ``concentrator_unknown``, ``concentrator_one_key`` or ``concentrator_not_told``.
    """
    hub = _row(session, concentrator)
    if hub.next_public_key is None:
        raise RegistryRefused("concentrator_one_key", concentrator=concentrator)
    if not anyway and (untold := _untold(session, concentrator)):
        raise RegistryRefused("concentrator_not_told", concentrator=concentrator, count=untold)
    if hub.next_public_key:
        session.merge(SpentKey(public_key=hub.next_public_key, site="", spent_at=now))
    hub.next_public_key = None
    audit.write(session, now, who, "concentrator_finish", concentrator, anyway=anyway)


def heard(session: Session, concentrator: str, told: dict[str, Any], now: float) -> dict[str, Any]:
    """Keep a concentrator's report, and return what is wanted of its keys (``make_key``, ``serve``).

    Raises:
        RegistryRefused: ``concentrator_unknown`` or ``concentrator_report``.
    """
    hub = _row(session, concentrator)
    text = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    slots = told.get("slots")
    if (
        slots is None
        or len(text) > MAX_REPORT_CHARACTERS
        or not _are_slots(slots)
        or not _is_count(told.get("revision"))
    ):
        raise RegistryRefused("concentrator_report", concentrator=concentrator)
    troubles.clones(session, now, hub.id, told)
    troubles.healed(session, now, hub.id, json.loads(hub.report), told)
    hub.report, hub.seen_at, hub.revision = text, now, told["revision"]
    if hub.next_public_key == "":
        fresh = [key for key, _, _ in slots if key != hub.public_key]
        if len(fresh) == 1:
            peers.take_key(session, fresh[0], "")
            hub.next_public_key = fresh[0]
    serve = [hub.public_key, *([hub.next_public_key] if hub.next_public_key else [])]
    return {"make_key": hub.next_public_key == "", "serve": serve}


def listed(session: Session) -> list[dict[str, Any]]:
    """Return what there is of each concentrator, for people."""
    on = select(Peer.concentrator, func.count()).where(Peer.state == "on").group_by(Peer.concentrator)
    counts = {name: count for name, count in session.execute(on)}  # noqa: C416 - a row is no pair to mypy
    return [
        {
            "id": hub.id, "name": hub.name, "plane": hub.plane, "state": hub.state, "endpoint": hub.endpoint,
            "network": hub.network, "sites": counts.get(hub.id, 0), "room": addresses.capacity(hub.network) - hub.taken,
            "revision": feeds.head(session, peers.feed(hub.id)), "has_revision": hub.revision, "seen_at": hub.seen_at,
        }
        for hub in session.scalars(select(Concentrator).order_by(Concentrator.id))
    ]  # fmt: skip


def _told(session: Session, signer: Signer, concentrator: str, site: str, who: str, now: float) -> bool:
    """Offer a site its layer; False when no box would take it. One that is none of the concentrator's any more is done."""
    row = session.get(Site, site, with_for_update=True)
    if row is None or row.state != "active" or row.device is None:
        return True
    try:
        with session.begin_nested():
            layers.offer(session, signer, row, now, layers.Why(who, f"concentrator {concentrator}"))
    except RegistryRefused:
        session.refresh(row)
        return False
    return True


def _keep_telling(session: Session, concentrator: str, telling: _Telling | None) -> None:
    if telling is not None:
        session.merge(Meta(name=_TELLING + concentrator, value=json.dumps(asdict(telling))))
    elif (row := session.get(Meta, _TELLING + concentrator)) is not None:
        session.delete(row)
    session.flush()


def _untold(session: Session, concentrator: str) -> int:
    """Return how many sites were not offered the key that was exchanged last."""
    row = session.get(Meta, _TELLING + concentrator)
    if row is None:
        return 0
    telling = _Telling(**json.loads(row.value))
    there = (Peer.concentrator == concentrator, Peer.state == "on", Peer.site > telling.after)
    return len(telling.left) + (session.scalar(select(func.count()).select_from(Peer).where(*there)) or 0)


def _are_slots(slots: Any) -> bool:
    return isinstance(slots, list) and 1 <= len(slots) <= 2 and all(
        isinstance(slot, list) and len(slot) == 3 and isinstance(slot[0], str) and type(slot[1]) is int
        and _is_count(slot[2]) and 1 <= slot[1] <= 65535
        for slot in slots
    )  # fmt: skip


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_COUNT


def _row(session: Session, concentrator: str) -> Concentrator:
    hub = session.get(Concentrator, concentrator, with_for_update=True)
    if hub is None:
        raise RegistryRefused("concentrator_unknown", concentrator=concentrator)
    return hub


def _p256(text: str) -> None:
    try:
        key = serialization.load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        raise RegistryRefused("concentrator_seal_key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise RegistryRefused("concentrator_seal_key")
