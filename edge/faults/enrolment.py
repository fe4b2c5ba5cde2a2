"""How the box stands with its city: not enrolled, waiting for a person, revoked, or without a good certificate. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netconf import words
from netconf.finding import Finding, Severity, finding

_STATES = {"asking": "enrol_asking", "trying": "enrol_trying", "refused": "enrol_refused"}
#: What the agent says of its line that a person should know; a control that is only away is seen by the tunnel.
_LINK = "refused"
MAX_REASON_CHARACTERS = 256


def standing(said: Mapping[str, Any]) -> Finding | None:
    """Return how it stands by what ``keeper``, ``enrol`` and ``agent`` say of themselves; None when all is well."""
    known, enrol, agent = (
        _map(_map(said.get("keeper")).get("enrolment")),
        _map(said.get("enrol")),
        _map(said.get("agent")),
    )
    if _map(enrol.get("revoked")) or _map(agent.get("revoked")):
        return finding("revoked")
    if not known:
        return None
    if known.get("enrolled") is not True:
        return _waiting(known, enrol)
    rule = str(agent.get("rule") or "")
    if agent.get("control") == _LINK and words.of(rule) is not None:
        return finding(rule, severity=Severity.WARNING)
    return None


def _waiting(known: Mapping[str, Any], enrol: Mapping[str, Any]) -> Finding:
    if not known.get("site"):
        return finding("not_enrolled", severity=Severity.WARNING)
    state, rule = str(enrol.get("state") or ""), str(enrol.get("rule") or "")
    if state == "pending":
        return finding("enrol_waits", severity=Severity.WARNING, digits=str(enrol.get("code") or "?")[:6])
    if state in ("asking", "refused") and words.of(rule) is not None:
        return finding(rule, severity=Severity.WARNING)
    return finding(_STATES.get(state, "enrol_asking"), severity=Severity.WARNING)


def why_revoked(said: Mapping[str, Any]) -> tuple[int, str] | None:
    """Return since when (seconds since 1970) and why the city has revoked the box; None when it has not."""
    for name in ("enrol", "agent"):
        told = _map(_map(said.get(name)).get("revoked"))
        if isinstance(told.get("at"), int):
            return told["at"], str(told.get("reason", ""))[:MAX_REASON_CHARACTERS]
    return None


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
