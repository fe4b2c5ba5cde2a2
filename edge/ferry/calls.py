"""A pull is one stream from a recorder, a view one viewer of it. The states of a pull stand in a table.

A pull lives between two sides that do not know each other. It begins with a view, and it comes forward one step at a
time: the site side reserves a port, the keeper opens the pin, the recorder answers, its first good packet arrives,
media flows. Nothing may be skipped, so that a side that is owned cannot have media without a pin or a pin without a
request. ``end`` is heard in every state. A view joins a pull in whatever state it is, and the last one to leave ends it.

An event that stands in no cell is refused by name and changes nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from edge.records.types import OpenMedia
from edge.rtp.quality import Quality, loss_ppm


@dataclass(frozen=True, slots=True)
class PassedSocket:
    """A descriptor that came with a record and is a socket of its sender's namespace, connected as it says."""

    descriptor: int
    local: tuple[str, int]
    peer: tuple[str, int]
    transport: str = "udp"


@dataclass(frozen=True, slots=True)
class Way:
    """Where a view's packets go from which of our addresses, what is stamped into them, and the socket, once there is one.

    ``types``: the payload type of each format that the viewer takes.
    """

    local: tuple[str, int]
    peer: tuple[str, int]
    transport: str
    ssrc: int
    types: dict[str, int]
    descriptor: int | None = None
    #: Where its reports go and come from: a socket of their own, or with ``mux`` the same; a connection carries them itself.
    reports: PassedSocket | None = None
    mux: bool = False

    def report_ports(self) -> tuple[int, int]:
        """Return the city's and our port of its reports by UDP, 0 and 0 for none."""
        if self.mux:
            return self.peer[1], self.local[1]
        return (0, 0) if self.reports is None else (self.reports.peer[1], self.reports.local[1])


class State(enum.StrEnum):
    WAITING_PORT = "waiting_port"
    WAITING_PIN = "waiting_pin"
    WAITING_ANSWER = "waiting_answer"
    WAITING_MEDIA = "waiting_media"
    FLOWING = "flowing"
    ENDED = "ended"


class Event(enum.StrEnum):
    RESERVED = "reserved"
    PIN_OPENED = "pin_opened"
    ANSWERED = "answered"
    READY = "ready"
    END = "end"


TABLE: dict[State, dict[Event, State]] = {
    State.WAITING_PORT: {Event.RESERVED: State.WAITING_PIN, Event.END: State.ENDED},
    State.WAITING_PIN: {Event.PIN_OPENED: State.WAITING_ANSWER, Event.END: State.ENDED},
    State.WAITING_ANSWER: {Event.ANSWERED: State.WAITING_MEDIA, Event.END: State.ENDED},
    State.WAITING_MEDIA: {Event.READY: State.FLOWING, Event.END: State.ENDED},
    State.FLOWING: {Event.END: State.ENDED},
    State.ENDED: {},
}

#: Longest stay in a state, seconds. Too short and a slow recorder (seen: 6 s to answer after waking its disk) is cut
#: off; too long and a city operator stares at a black tile. The site side's own limits (10 s for the answer, 10 s for
#: the first packet) are tighter and carry the better sentence; these hold when that side hangs.
DEADLINE_SECONDS: dict[State, float] = {
    State.WAITING_PORT: 5.0,
    State.WAITING_PIN: 5.0,
    State.WAITING_ANSWER: 13.0,
    State.WAITING_MEDIA: 13.0,
}


class CallRefused(Exception):
    """An event that the state has no cell for."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event} in {state}")
        self.rule = f"call_{event}_in_{state}"


#: A main stream of 1080p, until the view has run for a while; an encoder that is set to less takes less.
ASSUMED_RATE = 4e6


@dataclass(slots=True)
class View:
    """One viewer: whom it is for, and where it goes. The ferry owns the way's descriptors."""

    request: OpenMedia
    way: Way
    pull: int
    began: float
    #: Which stream the city asked for; which one it gets stands in the request.
    asked: int = 0
    #: Whether the keeper lets it out, whether the city was told yes, and whether packets are on their way.
    pinned: bool = False
    answered: bool = False
    joined: bool = False
    packets: int = 0
    octets: int = 0
    #: How much it takes of the uplink, bits a second: what is assumed until it is measured.
    rate: float = ASSUMED_RATE
    measured_at: float = 0.0
    #: When it joined the relay, and the pull's packets, losses and key pictures of before: they are not its own.
    joined_at: float = 0.0
    before: tuple[int, int, int] = (0, 0, 0)
    #: From the city's request to the first report of a key picture: workers report twice a second, so up to 500 ms more
    #: than it was. The viewer's own network is beyond what we see.
    first_picture_ms: int | None = None
    #: What the viewer says of it: packets that it has lost, and ms there and back.
    viewer_lost: int | None = None
    round_trip_ms: int | None = None

    def join(self, pull: Pull, now: float) -> None:
        """Packets are on their way."""
        self.joined, self.joined_at, self.before = True, now, (pull.packets, pull.lost, pull.keys)

    def quality(self, pull: Pull) -> Quality:
        """Return how good it is so far; what a recording is played at, its viewer says: that is no jitter."""
        jitter_ms, key_frame_ms = pull.pace if self.request.kind == "live" else (None, None)
        packets, lost, _ = self.before
        seconds = self.measured_at - self.joined_at
        return Quality(
            loss_ppm(pull.packets - packets, pull.lost - lost) if self.joined else None,
            jitter_ms,
            self.first_picture_ms,
            key_frame_ms,
            round(8 * self.octets / seconds / 1000) if self.joined and seconds >= 1 else None,
            self._viewer_loss(),
            self.round_trip_ms,
        )

    def _viewer_loss(self) -> int | None:
        """Nobody vouches for what a viewer says: he cannot have lost more than he was sent."""
        if self.viewer_lost is None:
            return None
        lost = min(self.viewer_lost, self.packets)
        return loss_ppm(self.packets - lost, lost)


@dataclass(slots=True)
class Pull:
    """One stream, by the number of the view that began it. The ferry owns the descriptors of source and back."""

    request: OpenMedia
    state: State = State.WAITING_PORT
    since: float = 0.0
    source: PassedSocket | None = None
    #: Where the recorder hears reports.
    back: PassedSocket | None = None
    lan_port: int = 0
    #: What the recorder has agreed to send, "" before; and the payload types that it may send or sends.
    format: str = ""
    payload_types: tuple[int, ...] = ()
    renewed: float = 0.0
    packets: int = 0
    lost: int = 0
    #: Key pictures, the jitter of all pictures and how far the last two key pictures were from each other, in ms.
    keys: int = 0
    pace: tuple[float | None, int | None] = (None, None)
    #: Octets of what is no program stream, and since when nothing else has come.
    foreign: int = 0
    foreign_since: float | None = None
    last_good: float = 0.0
    #: Since when its viewer has it paused.
    paused_at: float | None = None
    views: set[int] = field(default_factory=set)

    def step(self, event: Event, now: float) -> None:
        """Go to the next state.

        Raises:
            CallRefused: the table has no such cell.
        """
        target = TABLE[self.state].get(event)
        if target is None:
            raise CallRefused(self.state, event)
        self.state, self.since = target, now

    def overdue(self, now: float) -> bool:
        """Return whether the pull has stayed longer in its state than it may."""
        limit = DEADLINE_SECONDS.get(self.state)
        return limit is not None and now - self.since > limit
