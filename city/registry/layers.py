"""A site's city layer: made of its template, its own fields and its tunnels; checked, signed, offered.

One whole document a site: a box that was away for a week takes the newest and needs none of those between. What belongs
to the owner cannot be in it, here by the same rule as on the box (``netconf.layers``). Without a reason nothing is signed
anew: the same body and the same secrets are the same layer.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from city.registry.refused import RegistryRefused
from city.registry.signer import Signer, SignRefused
from city.registry.tables import Concentrator, Layer, Meta, Peer, Site, Template
from netconf import layers
from netconf.check import read_parsed
from netconf.finding import Finding, Severity

#: Longer than any planned absence; one that has run out is signed again when the box asks.
DAYS_GOOD = 90
#: Of a site's layers so many are kept, for its time line and for going back.
KEPT = 50
#: What the registry knows better than any template.
DERIVED = frozenset({"site", "tunnel"})
#: An owner's layer with which a city layer can be checked alone; addresses that no site has (RFC 5737).
_ANY_OWNER: dict[str, Any] = {
    "uplink": {"port": "wan0", "mode": "dhcp"},
    "lan": {"port": "lan0", "address": "192.0.2.1/30"},
}


class Why(NamedTuple):
    """Why a layer is made: who wants it, why in a sentence, and with which rollout."""

    who: str
    sentence: str
    rollout: int | None = None


def differences(before: Any, after: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Return where two documents differ: (JSON pointer, before, after), None for what is not there."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted({*before, *after})
        return [one for name in names for one in differences(before.get(name), after.get(name), f"{path}/{name}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [one for at, (old, new) in pairs for one in differences(old, new, f"{path}/{at}")]
    return [] if before == after else [(path, before, after)]


def epoch(session: Session) -> int:
    """Return the registry's epoch: raised by hand after a backup was restored."""
    row = session.get(Meta, "epoch")
    return int(row.value) if row is not None else 1


def compose(session: Session, site: Site, version: int | None = None) -> dict[str, Any]:
    """Return the city layer that ``site`` should have now, or would have with another ``version``; unchecked."""
    layer: dict[str, Any] = json.loads(_template(session, site, version or site.template_version))
    for part, value in json.loads(site.own).items():
        layer[part] = _laid_over(layer.get(part), value)
    layer["site"] = {
        "id": site.id, "name": site.name, "civil_code": site.civil_code, "class": site.site_class,
    }  # fmt: skip
    layer["tunnel"] = [_tunnel(peer, hub) for peer, hub in _peers(session, site.id)]
    return layer


def findings(layer: dict[str, Any]) -> tuple[Finding, ...]:
    """Return what is wrong with a composed layer: an owner's field, or anything that a box would refuse."""
    foreign = layers.foreign(layer, "city")
    if foreign:
        return foreign
    return tuple(found for found in read_parsed({**_ANY_OWNER, **layer})[1] if found.severity is Severity.ERROR)


def offer(session: Session, signer: Signer, site: Site, now: float, why: Why) -> int:
    """Sign what ``site`` should have, if it is not what was signed last, and return its revision.

    Raises:
        RegistryRefused: ``layer_refused`` with the first finding; ``site_not_active``.
    """
    if site.state != "active" or site.device is None:
        raise RegistryRefused("site_not_active", site=site.id)
    body = compose(session, site)
    wrong = findings(body)
    if wrong:
        raise RegistryRefused("layer_refused", site=site.id, code=wrong[0].code, path=wrong[0].path)
    text, sealed, current = _text(body), _sealed(session, site), newest(session, site)
    if current is not None and (current.body, current.sealed) == (text, sealed) and _good(current, now):
        return current.revision
    return _sign(session, signer, site, now, why, text, sealed)


def sign_again(session: Session, signer: Signer, site: Site, now: float) -> Layer | None:
    """Return the newest layer, signed anew if it may no longer be used; None when there is none."""
    current = newest(session, site)
    if current is None or _good(current, now):
        return current
    _sign(session, signer, site, now, Why("registry", current.reason, current.rollout), current.body, current.sealed)
    return newest(session, site)


def newest(session: Session, site: Site) -> Layer | None:
    """Return the layer that was offered last."""
    return session.get(Layer, (site.id, epoch(session), site.offered)) if site.offered else None


def applied(session: Session, site: str, mark: tuple[int, int]) -> None:
    """The box says that it uses this one."""
    _move(session, site, mark, "applied")


def reverted(session: Session, site: str, mark: tuple[int, int]) -> None:
    """The box has undone it, or did not even try."""
    _move(session, site, mark, "reverted")


def _move(session: Session, site: str, mark: tuple[int, int], state: str) -> None:
    session.execute(update(Layer).where(Layer.site == site, Layer.epoch == mark[0], Layer.revision == mark[1],
                                        Layer.state != state).values(state=state))  # fmt: skip


def _sign(session: Session, signer: Signer, site: Site, now: float, why: Why, text: str, sealed: str) -> int:
    mark = epoch(session)
    payload: dict[str, Any] = {
        "site": site.id, "device": site.device, "epoch": mark, "revision": site.offered + 1,
        "not_after": int(now + DAYS_GOOD * 86_400), "layer": json.loads(text),
    } | ({"sealed": sealed} if sealed else {})  # fmt: skip
    try:
        envelope = signer.sign_layer(payload)
    except SignRefused as refused:
        # A transaction that was undone after the signing: its number is gone, and another one is as good.
        highest = signer.highest(site.id)
        if refused.rule != "sign_old" or highest[0] != mark:
            raise
        payload["revision"] = highest[1] + 1
        envelope = signer.sign_layer(payload)
    revision = int(payload["revision"])
    session.execute(update(Layer).where(Layer.site == site.id, Layer.state == "offered").values(state="superseded"))
    session.add(Layer(site=site.id, epoch=mark, revision=revision, body=text, sealed=sealed, envelope=envelope,
                      made_at=now, made_by=why.who, reason=why.sentence, rollout=why.rollout))  # fmt: skip
    site.offered = revision
    session.execute(delete(Layer).where(Layer.site == site.id, Layer.epoch == mark, Layer.revision <= revision - KEPT))
    session.flush()
    return revision


def _good(layer: Layer, now: float) -> bool:
    """With a day to spare: the box judges by its own clock."""
    return now < layer.made_at + (DAYS_GOOD - 1) * 86_400


def _template(session: Session, site: Site, version: int | None) -> str:
    if site.template is None or version is None:
        return "{}"
    row = session.get(Template, (site.template, version))
    return row.body if row is not None else "{}"


def _peers(session: Session, site: str) -> list[tuple[Peer, Concentrator]]:
    found = session.execute(
        select(Peer, Concentrator).join(Concentrator, Concentrator.id == Peer.concentrator)
        .where(Peer.site == site, Peer.state == "on").order_by(Peer.tunnel)
    )  # fmt: skip
    return [(peer, hub) for peer, hub in found]


def _tunnel(peer: Peer, hub: Concentrator) -> dict[str, Any]:
    """``allowed`` is the city behind the concentrator, and its own inner address, which the box probes."""
    allowed = json.loads(hub.allowed)
    if not any(IPv4Address(hub.probe) in IPv4Network(network) for network in allowed):
        allowed.append(f"{hub.probe}/32")
    return {
        "name": peer.tunnel, "address": f"{peer.address}/32", "mtu": hub.mtu, "endpoint": hub.endpoint,
        "public_key": hub.public_key, "allowed": allowed, "probe": hub.probe,
        "own_key": peer.public_key,
    }  # fmt: skip


def _sealed(session: Session, site: Site) -> str:
    """All pieces that the box may open; one that was made for several tunnels stands once."""
    pieces = [peer.psk_box for peer, _ in _peers(session, site.id) if peer.psk_box]
    pieces += [piece for _, piece in sorted(json.loads(site.sealed).items())]
    return " ".join(dict.fromkeys(pieces))


def _laid_over(below: Any, above: Any) -> Any:
    """Tables are laid over each other field by field; everything else, lists too, is replaced whole."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{name: _laid_over(below.get(name), value) for name, value in above.items()}}
    return above


def _text(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
