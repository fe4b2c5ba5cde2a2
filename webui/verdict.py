"""One sentence for the owner, and the path from recorder to city with what is broken in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge.faults.causes import STAGES, causes
from edge.faults.enrolment import standing
from edge.faults.evidence import read
from netconf.finding import Finding, Severity, finding
from netconf.model import Site


@dataclass(frozen=True, slots=True)
class Stage:
    """One station of the path: ``name`` is a word of the pages, ``trouble`` the first thing that is wrong there.

    ``of`` is what the detail is about, where there are several: the tunnel that is used.
    """

    name: str
    detail: str
    trouble: Finding | None = None
    of: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``trouble`` is what is said first, None when all is well; ``watched`` counts the views that run."""

    stages: tuple[Stage, ...]
    shared: int
    watched: int
    faults: tuple[Finding, ...] = ()

    @property
    def trouble(self) -> Finding | None:
        found = [stage.trouble for stage in self.stages if stage.trouble is not None]
        # A view without a picture is said after what stands for all views.
        return next((trouble for trouble in found if trouble.severity is Severity.ERROR), next(iter(found), None))

    @property
    def others(self) -> tuple[Finding, ...]:
        """What else is wrong."""
        return tuple(fault for fault in self.faults if fault != self.trouble)


def verdict(site: Site, facts: dict[str, Any]) -> Verdict:
    """Judge from what the keeper and the programs say of themselves (``keeper``, ``siteside``, ...).

    ``monotonic`` among the facts is when they were read.
    """
    keeper, ferry = facts.get("keeper") or {}, facts.get("ferry") or {}
    evidence = read(facts, facts.get("monotonic") or 0.0)
    faults = causes(evidence)
    first = {stage: next((f for f in faults if STAGES[f.code] == stage), None) for stage in set(STAGES.values())}
    there = bool(evidence.registrations) and all(held.registered for held in evidence.registrations)
    stands = standing(facts)
    if not site.enrolled:
        return Verdict((_box(keeper, {"sides": ["city", "site"]}), Stage("city", "", stands)), 0, 0, faults)
    stages = (
        _recorders(site, facts.get("siteside") or {}, first["recorders"]),
        _box(keeper, ferry),
        _tunnel(keeper, evidence.used, first["tunnel"]),
        Stage(
            "city",
            ", ".join(platform.id for platform in site.platform),
            _worst(stands, first["city"]) or (None if there else finding("city_registration_lost")),
        ),
    )
    shared = sum(channel.share for channel in site.channel)
    watched = sum(1 for view in ferry.get("views", {}).values() if view["state"] == "flowing")
    return Verdict(stages, shared, watched, faults)


def _worst(stands: Finding | None, fault: Finding | None) -> Finding | None:
    """A box that is revoked need not look further; a certificate that is not good is said after what keeps pictures away."""
    return stands if stands is not None and (fault is None or stands.code == "revoked") else fault


def _recorders(site: Site, side: dict[str, Any], fault: Finding | None) -> Stage:
    online = side.get("recorders", {})
    count = sum(1 for recorder in site.recorder if online.get(recorder.id))
    good = bool(site.recorder) and count == len(site.recorder)
    return Stage("recorders", f"{count}/{len(site.recorder)}", fault or (None if good else finding("recorder_offline")))


def _box(keeper: dict[str, Any], ferry: dict[str, Any]) -> Stage:
    if not keeper:
        return Stage("box", "", finding("keeper_away"))
    missing = keeper.get("findings") or []
    if missing:
        code, path, args = missing[0]
        return Stage("box", "", finding(str(code), str(path), **{str(name): value for name, value in args.items()}))
    return Stage("box", "", None if ferry.get("sides") == ["city", "site"] else finding("ferry_unreachable"))


def _tunnel(keeper: dict[str, Any], used: str, fault: Finding | None) -> Stage:
    tunnels = keeper.get("tunnels") or {}
    ages = {name: tunnel.get("handshake_age_seconds") for name, tunnel in tunnels.items()}
    known = [age for age in ages.values() if age is not None]
    if len(tunnels) > 1 and ages.get(used) is not None:
        return Stage("tunnel", str(ages[used]), fault, used)
    return Stage("tunnel", str(min(known)) if known else "", fault or (None if known else finding("tunnel_silent")))
