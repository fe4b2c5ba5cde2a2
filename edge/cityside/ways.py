"""The choice of a tunnel with its hands: probes go out, and what is decided becomes a turn of the whole city side."""

from __future__ import annotations

import enum
import time
from collections.abc import Mapping, Sequence
from typing import Any

from edge.cityside.choice import Chooser, State
from edge.cityside.probes import Probes
from edge.io.chance import SystemChance
from edge.io.log import Log
from edge.io.road import Road, roads
from netconf.model import Site

_SAID = {State.DEAD: "tunnel_dead", State.LIVES: "tunnel_answers"}


class Turn(enum.Enum):
    """What the city side has to do now."""

    STAY = enum.auto()
    #: Register, and take over what the process before us left.
    BEGIN = enum.auto()
    #: End every call and register anew from ``Ways.road``.
    MOVE = enum.auto()


class Ways:
    """The tunnels of one configuration, of which one is used; ``left`` is what the process before us left."""

    def __init__(self, site: Site, left: Mapping[str, Any], log: Log) -> None:
        self._roads = roads(site)
        self._log = log
        self._keys = {tunnel.name: tunnel.own_key for tunnel in site.tunnel}
        before, keys = _left(left)
        names = {road.address: name for name, road in self._roads.items()}
        #: What of ``left`` can be taken over: calls of a tunnel that is no more are over.
        self.kept: Mapping[str, Any] = left if before in names else {}
        rotated = [name for name, key in self._keys.items() if name in keys and keys[name] != key]
        probed = [(name, road.probe is not None) for name, road in self._roads.items()]
        self._chooser = Chooser(probed, SystemChance(), time.monotonic(), names.get(before, ""), rotated)
        if self.road.address != before:
            self.kept = {}
        self._probes = Probes(self._roads.values(), self._answered)
        #: The number of the device that the platforms are spoken to by; None before.
        self._index: int | None = None
        self._moved = False
        self._seen: dict[str, State] = {}

    @property
    def road(self) -> Road:
        """The one that is used."""
        return self._roads[self._chooser.chosen]

    def turn(self, unanswered: Sequence[float | None], *, watched: bool) -> Turn:
        """Probe what is due, decide, and return what is to be done; ``unanswered`` is since when each platform is silent."""
        now = time.monotonic()
        for tunnel, data in self._chooser.probes(now):
            self._probes.send(tunnel, data)
        silent = [since for since in unanswered if since is not None]
        since = max(silent) if len(silent) == len(unanswered) else None
        if since is None and self._index is not None:
            self._chooser.heard()
        done = self._chooser.decide(now, since, watched=watched)
        if done is not None:
            self._log.say("tunnel_switched", f"{done.before} -> {done.tunnel} {done.cause}")
            self._moved = True
        self._tell()
        return self._settle()

    def _settle(self) -> Turn:
        """A device that is not there is waited for; one that was made anew has sockets that are bound to none."""
        index = self.road.index()
        if index is None or (index == self._index and not self._moved):
            return Turn.STAY
        first, self._index = self._index is None and not self._moved, index
        self._moved = False
        return Turn.BEGIN if first else Turn.MOVE

    def _answered(self, tunnel: str, data: bytes) -> None:
        self._chooser.answered(tunnel, data, time.monotonic())

    def _tell(self) -> None:
        for tunnel, state in self._chooser.states().items():
            if self._seen.get(tunnel, State.UNKNOWN) is not state:
                self._seen[tunnel] = state
                self._log.say(_SAID[state], tunnel)

    def keep(self) -> dict[str, object]:
        """Return what the process after us should know."""
        return {"address": self.road.address, "keys": self._keys}

    def status(self) -> Mapping[str, object]:
        """Return what a person may see of it."""
        return self._chooser.status(time.monotonic())

    def close(self) -> None:
        self._probes.close()


def _left(left: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the address that the process before us used, and the own keys that its configuration named."""
    told = left.get("tunnel")
    facts = told if isinstance(told, dict) else {}
    keys = facts.get("keys")
    return str(facts.get("address", "")), keys if isinstance(keys, dict) else {}
