"""What is wrong with this box: one check a function, causes before what follows from them.

Each check looks at facts that were gathered once; what hides behind another finding is not said (a city that is not
reached is no news while the tunnel is down). Works with everything away.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.control.client import SMALL_SECONDS, ask
from edge.control.wire import ControlError, Status, StatusReport
from edge.faults.causes import causes
from edge.faults.enrolment import standing
from edge.faults.evidence import read
from edge.io import status as status_file
from netconf import clock, secrets
from netconf.finding import Finding, Severity, finding

PROGRAMS = ("siteside", "cityside", "ferry", "uplink", "agent", "enrol")
#: They wait, and say nothing, until the box is enrolled.
_CITYS = frozenset(("siteside", "cityside", "ferry"))
SUPERVISED = ("site", "city")
LEAST_FREE = 0.05
MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to look at; a part that could not be had is None or empty."""

    keeper: dict[str, Any] | None
    said: dict[str, dict[str, Any]]
    processes: dict[str, dict[str, Any]]
    free: float | None
    writable: bool
    now: float
    floor: float
    damaged_secrets: tuple[str, ...] = ()
    #: The clock that the programs write their moments by.
    monotonic: float = 0.0


def look(run: Path, state: Path, hidden: Path) -> Facts:
    """Gather the facts; nothing is changed but that a file is tried in ``state``."""
    return Facts(
        keeper=_keeper(run),
        said={name: found for name in PROGRAMS if isinstance(found := status_file.read(run, name), dict)},
        processes={
            name: each for side in SUPERVISED for name, each in _processes(run / f"processes-{side}.json").items()
        },
        free=_free(state),
        writable=_writable(state),
        now=time.time(),
        floor=clock.read_floor(state / "keeper" / "clock-floor"),
        damaged_secrets=_damaged(hidden),
        monotonic=time.monotonic(),
    )


def _keeper(run: Path) -> dict[str, Any] | None:
    try:
        answer = ask(run, Status(), seconds=SMALL_SECONDS)
    except (OSError, ControlError):
        return None
    return answer.facts if isinstance(answer, StatusReport) else None


def _processes(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open("rb") as file:
            programs = json.loads(file.read(MAX_BYTES))["programs"]
        return {str(name): each for name, each in programs.items() if isinstance(each, dict)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _free(state: Path) -> float | None:
    try:
        facts = os.statvfs(state)
    except OSError:
        return None
    # Inodes run out like blocks do; a file system that counts none has none to run out of.
    blocks = facts.f_bavail / max(facts.f_blocks, 1)
    return min(blocks, facts.f_favail / facts.f_files) if facts.f_files else blocks


def _writable(state: Path) -> bool:
    """Only a write tells: a file system may have turned read-only under everybody."""
    tried = state / ".doctor"
    try:
        tried.write_bytes(b"")
        tried.unlink()
    except OSError:
        return False
    return True


def _damaged(hidden: Path) -> tuple[str, ...]:
    found = []
    try:
        for path in sorted((*(hidden / "keeper").glob("*.key"), *(hidden / "keeper").glob("*.next"))):
            try:
                secrets.read_key(path)
            except (secrets.SecretDamaged, OSError, ValueError):
                found.append(path.name)
        for path in sorted((hidden / "keeper").glob("psk-*")):
            try:
                secrets.read_preshared_key(hidden / "keeper", path.name.removeprefix("psk-"))
            except (secrets.SecretDamaged, OSError, ValueError):
                found.append(path.name)
        if (hidden / "device" / "device.key").exists():
            secrets.ensure_device_key(hidden / "device")
    except (secrets.SecretDamaged, OSError):
        found.append("device.key")
    return tuple(found)


# -- checks ----------------------------------------------------------------------------------------------------------


def _disk(facts: Facts) -> Iterator[Finding]:
    if facts.free is not None and facts.free < LEAST_FREE:
        yield finding("disk_nearly_full", percent=round(facts.free * 100, 1))
    elif not facts.writable:
        yield finding("disk_read_only")


def _clock(facts: Facts) -> Iterator[Finding]:
    if facts.now < facts.floor - 1:
        yield finding("clock_behind")


def _secrets(facts: Facts) -> Iterator[Finding]:
    for name in facts.damaged_secrets:
        yield finding("secret_damaged_named", name=name)


def _programs(facts: Facts) -> Iterator[Finding]:
    for name, each in sorted(facts.processes.items()):
        if each.get("state") != "RUNNING":
            yield finding("program_not_running", name=name, state=each.get("state", "?"))
    for name in PROGRAMS:
        if (
            name not in facts.said
            and not (name in _CITYS and _bare(facts))
            and facts.processes.get(name, {}).get("state", "RUNNING") == "RUNNING"
            and (name != "agent" or "agent" in facts.processes)
        ):
            yield finding("program_says_nothing", name=name)


def _bare(facts: Facts) -> bool:
    enrolment = (facts.keeper or {}).get("enrolment")
    return isinstance(enrolment, dict) and enrolment.get("enrolled") is False


def _enrolment(facts: Facts) -> Iterator[Finding]:
    """Whether a city knows the box, and whether its word and its certificates are good."""
    found = standing({**facts.said, "keeper": facts.keeper})
    if found is not None:
        yield found


def _keeper_away(facts: Facts) -> Iterator[Finding]:
    if facts.keeper is None:
        yield finding("keeper_away")


def _kept(facts: Facts) -> Iterator[Finding]:
    """What the keeper itself found, and what a person may have missed."""
    keeper = facts.keeper or {}
    for code, path, args in keeper.get("findings") or []:
        yield finding(str(code), str(path), **{str(key): value for key, value in dict(args).items()})
    if keeper and not keeper.get("confirmed"):
        yield finding("nothing_confirmed")
    if (keeper.get("change") or {}).get("pending"):
        yield finding("change_waits", severity=Severity.WARNING)


def _faults(facts: Facts) -> Iterator[Finding]:
    """Why the city has no registration or no picture; what hides what is known there."""
    yield from causes(read(facts.said | {"keeper": facts.keeper or {}}, facts.monotonic))


def _receipts(facts: Facts) -> Iterator[Finding]:
    for code in facts.said.get("ferry", {}).get("findings") or []:
        yield finding(str(code))


def _drift(facts: Facts) -> Iterator[Finding]:
    counters = (facts.keeper or {}).get("counters") or {}
    for name in ("rules_put_back", "links_put_back"):
        if counters.get(name):
            yield finding("somebody_changes", severity=Severity.WARNING, what=name, times=counters[name])


#: check -> the checks whose findings it hides behind.
CHECKS: dict[Callable[[Facts], Iterator[Finding]], tuple[Callable[[Facts], Iterator[Finding]], ...]] = {
    _disk: (),
    _clock: (),
    _secrets: (),
    _keeper_away: (),
    _programs: (),
    _kept: (),
    _enrolment: (),
    _faults: (),
    _receipts: (_disk,),
    _drift: (),
}


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Return what is wrong, causes first; facts that are not of the form that ours have count as none."""
    found: dict[Callable[[Facts], Iterator[Finding]], tuple[Finding, ...]] = {}
    for check, hiders in CHECKS.items():
        try:
            found[check] = () if any(found[hider] for hider in hiders) else tuple(check(facts))
        except (TypeError, ValueError, AttributeError):
            found[check] = (finding("facts_odd", what=check.__name__.strip("_")),)
    # A clock that is behind is found by itself, and as what keeps a tunnel down.
    return tuple(dict.fromkeys(each for check in CHECKS for each in found[check]))
