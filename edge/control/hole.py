"""When the hole toward the city's enrolment may be open: the box is not enrolled, or nothing else reaches the city. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from netconf.enrolment import Door
from netconf.model import Site

#: Shorter, and a city whose hubs are being restarted makes all its boxes open a hole; longer, and a site whose tunnels
#: were moved while it was off waits for longer than it takes to send somebody.
DEAD_SECONDS = 1800.0
#: A person who asks waits at the box: WireGuard's own time to give a session up, and minutes to look at what comes.
ASKABLE_SECONDS, ASKED_SECONDS = 180.0, 300.0


class Handshakes:
    """Since when each tunnel has had no new handshake, by monotonic time: the wall clock may jump."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def note(self, tunnels: Iterable[tuple[str, int]], now: float) -> None:
        """Take the last handshakes (seconds since 1970, 0 for none) of all tunnels that there are."""
        before, self._seen = self._seen, {}
        for name, last in tunnels:
            known, since = before.get(name, (last, now))
            self._seen[name] = (last, since if known == last else now)

    def dead_seconds(self, now: float) -> float:
        """Return for how long no tunnel has had a new one; 0 without a tunnel."""
        return min((now - since for _, since in self._seen.values()), default=0.0)


def why_open(site: Site | None, door: Door | None, dead_seconds: float, asked_seconds: float | None) -> str:
    """Return why the hole may be open, "" when it may not; ``asked_seconds`` since a person asked for it."""
    if site is None or door is None:
        return ""
    if not site.enrolled:
        return "not_enrolled"
    if dead_seconds >= DEAD_SECONDS:
        return "tunnels_dead"
    asked = asked_seconds is not None and asked_seconds < ASKED_SECONDS
    return "asked_for" if asked and dead_seconds >= ASKABLE_SECONDS else ""
