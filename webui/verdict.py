"""One sentence for the owner, and the path from recorder to city with what is broken in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netconf.model import Site

#: WireGuard shakes hands anew every two minutes while anything is sent; three minutes of silence is a dead tunnel.
HANDSHAKE_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Stage:
    """One station of the path: ``name`` is a word of the pages, ``trouble`` a code of ``netconf.words`` or ""."""

    name: str
    detail: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``trouble`` is the first one's code, "" when all is well; ``watched`` counts the views that run."""

    stages: tuple[Stage, ...]
    shared: int
    watched: int

    @property
    def trouble(self) -> str:
        return next((stage.trouble for stage in self.stages if stage.trouble), "")


def verdict(site: Site, facts: dict[str, Any]) -> Verdict:
    """Judge from what the keeper and the programs say of themselves (``keeper``, ``siteside``, ...)."""
    keeper, ferry = facts.get("keeper") or {}, facts.get("ferry") or {}
    stages = (_recorders(site, facts.get("siteside") or {}), _box(keeper, ferry), _tunnel(keeper),
              _city(site, facts.get("cityside") or {}))  # fmt: skip
    shared = sum(channel.share for channel in site.channel)
    return Verdict(stages, shared, sum(1 for view in ferry.get("views", {}).values() if view["state"] == "flowing"))


def _recorders(site: Site, side: dict[str, Any]) -> Stage:
    online = side.get("recorders", {})
    count = sum(1 for recorder in site.recorder if online.get(recorder.id))
    trouble = "" if site.recorder and count == len(site.recorder) else "recorder_offline"
    return Stage("recorders", f"{count}/{len(site.recorder)}", trouble)


def _box(keeper: dict[str, Any], ferry: dict[str, Any]) -> Stage:
    if not keeper:
        return Stage("box", "", "keeper_away")
    missing = keeper.get("findings") or []
    if missing:
        return Stage("box", "", str(missing[0][0]))
    return Stage("box", "", "" if ferry.get("sides") == ["city", "site"] else "ferry_unreachable")


def _tunnel(keeper: dict[str, Any]) -> Stage:
    ages = [tunnel.get("handshake_age_seconds") for tunnel in (keeper.get("tunnels") or {}).values()]
    known = [age for age in ages if age is not None]
    good = bool(known) and min(known) < HANDSHAKE_SECONDS
    return Stage("tunnel", str(min(known)) if known else "", "" if good else "tunnel_silent")


def _city(site: Site, side: dict[str, Any]) -> Stage:
    platforms = side.get("platforms") or {}
    away = [each.id for each in site.platform if not (platforms.get(each.id) or {}).get("registered")]
    return Stage(
        "city", ", ".join(away or [each.id for each in site.platform]), "city_registration_lost" if away else ""
    )
