"""A site's way to its platforms, as it is drawn: site, tunnels, concentrators, platforms; which tunnel is used. Pure.

What a box says is a minute old at best. When it is silent, nothing of what it said is drawn as if it were so now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from city.truth.verdict import HANDSHAKE_SECONDS, SILENT_SECONDS

State = Literal["good", "bad", "unknown"]
MOST_PLATFORMS = 4


@dataclass(frozen=True, slots=True)
class Road:
    """One tunnel and where it ends. ``age``: of its last handshake, in seconds, as the box said."""

    tunnel: str
    concentrator: str
    name: str
    address: str
    endpoint: str
    state: State
    used: bool
    age: int | None
    hub_state: State
    key: str = ""
    rotation: str = ""


@dataclass(frozen=True, slots=True)
class Platform:
    """A GB/T 28181 platform of the site's layer."""

    id: str
    address: str
    state: State


@dataclass(frozen=True, slots=True)
class Way:
    """The whole picture. ``fresh``: the box has spoken within three minutes."""

    roads: tuple[Road, ...]
    platforms: tuple[Platform, ...]
    fresh: bool
    site_state: State


def way(
    peers: Sequence[tuple[Any, Any]], layer: Mapping[str, Any], report: Mapping[str, Any], health: Any, now: float
) -> Way:
    """Return the picture of a site with its rows (peer, concentrator), its newest layer and report.

    ``health`` is its row, or None.
    """
    fresh = health is not None and now - health.seen_at <= SILENT_SECONDS
    cityside = _table(_table(report.get("programs")).get("cityside"))
    used = _table(cityside.get("tunnel")).get("used")
    tunnels = _table(report.get("tunnels"))
    roads = []
    for peer, hub in peers:
        age = _table(tunnels.get(peer.tunnel)).get("handshake_age_seconds")
        age = age if type(age) is int else None
        roads.append(
            Road(
                peer.tunnel, hub.id, hub.name, peer.address, hub.endpoint,
                _tunnel(fresh, age), fresh and (used == peer.tunnel or (used is None and len(peers) == 1)), age,
                _hub(hub, now), peer.public_key, peer.rotation,
            )
        )  # fmt: skip
    told = _table(cityside.get("platforms"))
    registered = health.registered if health is not None else None
    platforms = tuple(
        Platform(
            str(each.get("id", "")), str(each.get("address", "")),
            _registered(fresh, _table(told.get(each.get("id"))).get("registered", registered)),
        )
        for each in layer.get("platform", ())[:MOST_PLATFORMS]
    )  # fmt: skip
    site_state: State = "unknown" if health is None else "good" if fresh else "bad"
    return Way(tuple(roads), platforms, fresh, site_state)


def _tunnel(fresh: bool, age: int | None) -> State:
    if not fresh:
        return "unknown"
    return "good" if age is not None and age <= HANDSHAKE_SECONDS else "bad"


def _hub(hub: Any, now: float) -> State:
    if hub.seen_at is None:
        return "unknown"
    return "good" if now - hub.seen_at <= SILENT_SECONDS else "bad"


def _registered(fresh: bool, said: Any) -> State:
    if not fresh or not isinstance(said, bool):
        return "unknown"
    return "good" if said else "bad"


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
