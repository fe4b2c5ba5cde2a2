"""Which of a site's tunnels carries its signalling and media: the choice by probes, as a machine without hands.

Each tunnel is probed every two seconds: sixteen random octets to its concentrator's inner address, which sends them back. What a
tunnel is stands in a table; which one is used is decided by ``decide``, from that and from what the platforms answer:

- the used one is dead: the first living one in the city's order, at once, whoever watches;
- no platform has answered for a minute, and another tunnel's probes are answered: that one;
- a preferred one answers again: back to it, but only after it has answered for one to two minutes (by lot, so that a
  whole city's sites do not return in the same second), and never while anybody watches;
- none answers: nothing is changed. A WireGuard handshake's age decides nothing: it says that keys were exchanged once.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from edge.sip.chance import Chance

PROBE_BYTES = 16
#: Shorter, and a thousand sites' probes are a load; longer, and a view stands still for longer than a viewer waits.
PROBE_SECONDS = 2.0
#: One lost datagram is the radio, two are bad luck; three in a row took six seconds.
MOST_MISSED = 3
#: Two keepalives of a minute would be better evidence, and two minutes without pictures.
SILENT_SECONDS = 60.0
#: How long a preferred tunnel answers before it is used again: 60 s and up to 60 more, by lot. Shorter, and a concentrator that
#: restarts twice takes the views twice; longer, and the city's traffic stays where it was not planned for.
RETURN_SECONDS, RETURN_JITTER_SECONDS = 60.0, 60.0
#: A tunnel that was left because no platform answered by it is not asked again for so long, and twice as long each time
#: in a row: a platform that is down is no reason to change tunnels every minute.
DISTRUST_SECONDS, MOST_DISTRUST_SECONDS = 120.0, 3600.0
#: A tunnel whose key was just exchanged is left alone for so long: its concentrator may be a moment late. One that carries a
#: view is not left: the view would end for what is over in a second.
REST_SECONDS = 20.0


class State(enum.StrEnum):
    """What is known of a tunnel."""

    UNKNOWN = "unknown"
    LIVES = "lives"
    DEAD = "dead"


class Event(enum.StrEnum):
    ANSWERED = "answered"
    #: ``MOST_MISSED`` probes in a row were not answered.
    SILENT = "silent"


TABLE: dict[State, dict[Event, State]] = {
    State.UNKNOWN: {Event.ANSWERED: State.LIVES, Event.SILENT: State.DEAD},
    State.LIVES: {Event.ANSWERED: State.LIVES, Event.SILENT: State.DEAD},
    State.DEAD: {Event.ANSWERED: State.LIVES, Event.SILENT: State.DEAD},
}


@dataclass(frozen=True, slots=True)
class Switched:
    """From now on ``tunnel`` is used; ``cause`` is dead, silent (no platform answers) or preferred."""

    before: str
    tunnel: str
    cause: str


@dataclass(slots=True)
class _Tunnel:
    name: str
    probed: bool
    state: State = State.UNKNOWN
    probe: bytes = b""
    sent_at: float = 0.0
    due: float = 0.0
    missed: int = 0
    answered_at: float | None = None
    #: From when a preferred one may be used again.
    ready_at: float = 0.0
    distrusted_until: float = 0.0
    distrust: float = 0.0
    rests_until: float = 0.0
    millis: float | None = None


class Chooser:
    """The choice of one configuration; tunnels are told in the city's order, each with whether it can be probed.

    ``chosen`` is what the process before us used. ``rotated`` are the tunnels whose own key has changed since.
    """

    def __init__(
        self, tunnels: Sequence[tuple[str, bool]], chance: Chance, now: float, chosen: str = "",
        rotated: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._tunnels = [_Tunnel(name, probed) for name, probed in tunnels]
        self._chance = chance
        for each in self._tunnels:
            each.due = now
            if each.name in rotated:
                each.rests_until = now + REST_SECONDS
        self.chosen = chosen if any(each.name == chosen for each in self._tunnels) else self._tunnels[0].name
        self._since = now
        self.switches = 0

    # -- probes --------------------------------------------------------------------------------------------------

    def probes(self, now: float) -> list[tuple[str, bytes]]:
        """Return, once, which tunnels are to be probed with what; with one tunnel there is nothing to choose."""
        due = []
        for each in self._tunnels if len(self._tunnels) > 1 else ():
            if not each.probed or now < each.due:
                continue
            if each.probe:
                each.missed += 1
                if each.missed >= MOST_MISSED:
                    self._step(each, Event.SILENT, now)
            each.probe, each.sent_at = bytes.fromhex(self._chance.token(8 * PROBE_BYTES)), now
            each.due = now + PROBE_SECONDS
            due.append((each.name, each.probe))
        return due

    def answered(self, tunnel: str, data: bytes, now: float) -> None:
        """Take what came back by ``tunnel``; all but the answer to its last probe is nobody's."""
        each = self._of(tunnel)
        if not each.probe or data != each.probe:
            return
        each.probe, each.missed, each.answered_at = b"", 0, now
        each.millis = round(1000 * (now - each.sent_at), 1)
        self._step(each, Event.ANSWERED, now)

    def _step(self, each: _Tunnel, event: Event, now: float) -> None:
        after = TABLE[each.state][event]
        if after is State.LIVES and each.state is not State.LIVES:
            each.ready_at = now + RETURN_SECONDS + self._chance.number(1000) / 1000 * RETURN_JITTER_SECONDS
        each.state = after

    # -- the choice ----------------------------------------------------------------------------------------------

    def heard(self) -> None:
        """A platform has answered by the tunnel that is used."""
        used = self._of(self.chosen)
        used.distrust = used.distrusted_until = 0.0

    def decide(self, now: float, unanswered_since: float | None, *, watched: bool) -> Switched | None:
        """Return the change of tunnels that is due, if any; it is made already.

        ``unanswered_since``: since when no platform has answered what it was asked, None while one does. ``watched``: whether a view
        or a talk would end.
        """
        used = self._of(self.chosen)
        others = [
            each for each in self._tunnels if each is not used and each.state is State.LIVES and each.rests_until <= now
        ]
        trusted = [each for each in others if each.distrusted_until <= now]
        # A view that runs goes on with the new key: the tunnel's addresses are the same. If it does not, that shows at once.
        if used.state is State.DEAD or (used.rests_until > now and not watched):
            return self._switch(trusted or others, "dead" if used.state is State.DEAD else "rotated", now)
        silent = unanswered_since is not None and now - max(unanswered_since, self._since) >= SILENT_SECONDS
        if silent and trusted:
            used.distrust = min(MOST_DISTRUST_SECONDS, max(DISTRUST_SECONDS, 2 * used.distrust))
            used.distrusted_until = now + used.distrust
            return self._switch(trusted, "silent", now)
        before = self._tunnels[: self._tunnels.index(used)]
        back = [each for each in trusted if each in before and each.ready_at <= now]
        return None if watched else self._switch(back, "preferred", now)

    def _switch(self, to: Sequence[_Tunnel], cause: str, now: float) -> Switched | None:
        if not to:
            return None
        done = Switched(self.chosen, to[0].name, cause)
        self.chosen, self._since = to[0].name, now
        self.switches += 1
        return done

    def _of(self, name: str) -> _Tunnel:
        return next(each for each in self._tunnels if each.name == name)

    def states(self) -> Mapping[str, State]:
        """Return what is known of each tunnel."""
        return {each.name: each.state for each in self._tunnels}

    def status(self, now: float) -> Mapping[str, object]:
        """Return what a person may see: which one is used, and how each answers."""
        return {
            "used": self.chosen,
            "switches": self.switches,
            "tunnels": {
                each.name: {
                    "state": str(each.state) if each.probed and len(self._tunnels) > 1 else "unprobed",
                    "answered_seconds": None if each.answered_at is None else int(now - each.answered_at),
                    "millis": each.millis,
                }
                for each in self._tunnels
            },
        }
