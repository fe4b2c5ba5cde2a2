"""May this viewer have this channel, in this kind, now?

Two keys turn the lock: the owner shares the channel and allows the right there (``allow``), and the city's layer of the
configuration grants it (``rights``). What neither names is refused (ARCHITECTURE 6, "Two keys"). Pure; only the ferry asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netconf.model import Channel, Site


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not: a SIP status (RFC 3261 21.4) and a code of ``netconf.words``."""

    status: int
    reason: str


class Access:
    """The two keys of one confirmed configuration."""

    def __init__(self, site: Site) -> None:
        self._rights = {platform.id: frozenset(platform.rights) for platform in site.platform}
        self._most = site.max_calls
        self._channels: Mapping[tuple[str, str], Channel] = {(c.recorder, c.id): c for c in site.channel}

    def publishes(self, recorder: str, channel: str) -> bool:
        """Return whether the city may know that the channel exists."""
        known = self._channels.get((recorder, channel))
        return known is not None and known.share and known.coverage != "B"

    def refuses(self, platform: str, recorder: str, channel: str, right: str) -> Refusal | None:
        """Return the refusal, or None if a platform has the right at this channel: its layer and the owner grant it."""
        known = self._channels.get((recorder, channel))
        if known is None:
            return Refusal(404, "channel_unknown")
        if not self.publishes(recorder, channel):
            return Refusal(403, "channel_not_shared")
        if right not in self._rights.get(platform, ()):
            return Refusal(403, "right_not_granted")
        if right not in known.allow:
            return Refusal(403, "right_not_allowed")
        return None

    def grants_any(self, recorder: str, channel: str, right: str) -> bool:
        """Return whether there is a platform that has the right at this channel."""
        return any(self.refuses(platform, recorder, channel, right) is None for platform in self._rights)

    def refuses_view(self, platform: str, recorder: str, channel: str, kind: str, calls_now: int) -> Refusal | None:
        """Return the refusal, or None if the view may be opened beside ``calls_now`` open ones."""
        refusal = self.refuses(platform, recorder, channel, kind)
        if refusal is None and calls_now >= self._most:
            return Refusal(486, "too_many_calls")
        return refusal
