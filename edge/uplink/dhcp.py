"""A DHCP client (RFC 2131 4.4) as a machine: frames in, frames and events out, times as ``now``.

Everything that changes the state is the table below. A lease outlives the search for the next one: only a NAK or its
own end takes it away, so a box whose server is being restarted keeps its tunnel. What a server says beside address,
mask, router, DNS, NTP and times is not used. Not here: INIT-REBOOT (a restarted box simply asks anew; servers give a
known hardware address what it had) and the ARP probe before use (the keeper could not undo what it would find).
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from edge.sip.chance import Chance
from edge.uplink import frame, message
from edge.uplink.message import Answer, Ask, RemoteDhcpError
from netconf.hosts import is_end, is_host
from netconf.learned import NARROWEST, WIDEST

#: Less would have us talk all the time; servers give minutes at least.
MIN_LEASE_SECONDS = 60
#: "For ever" is asked about once a week too: a router that was exchanged is found before the week is over.
MAX_LEASE_SECONDS = 7 * 86_400
#: First wait for an answer, and the longest. RFC 2131 4.1 goes up to 64 s; a site whose router came back after a power
#: cut should not wait a minute for its own box, and one small broadcast every 8 s disturbs nobody.
FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS = 2.0, 8.0
#: RFC 2131 4.4.5: at least a minute between the requests of a renewal.
RENEW_WAIT_SECONDS = 60.0
MOST_REQUESTS = 4
#: After the cable was away: so many unanswered requests, and the search begins (the old address stays meanwhile).
MOST_MOVED_REQUESTS = 2
_ANYWHERE, _NOWHERE = IPv4Address("255.255.255.255"), IPv4Address(0)


class State(enum.Enum):
    INIT = "init"
    SELECTING = "selecting"
    REQUESTING = "requesting"
    BOUND = "bound"
    RENEWING = "renewing"
    REBINDING = "rebinding"


class Cue(enum.Enum):
    """What happens to the client: an answer, a time that has come, or the cable that is back."""

    START = "start"
    OFFER = "offer"
    ACK = "ack"
    NAK = "nak"
    AGAIN = "again"
    GIVE_UP = "give up"
    T1 = "t1"
    T2 = "t2"
    EXPIRED = "expired"
    CARRIER = "carrier"


#: RFC 2131 figure 5. EXPIRED in INIT, SELECTING and REQUESTING ends a lease that was kept while a new one was looked
#: for; in BOUND and RENEWING, one that a suspended box slept through.
TABLE: dict[State, dict[Cue, State]] = {
    State.INIT: {Cue.START: State.SELECTING, Cue.CARRIER: State.SELECTING, Cue.EXPIRED: State.INIT},
    State.SELECTING: {
        Cue.OFFER: State.REQUESTING, Cue.AGAIN: State.SELECTING, Cue.CARRIER: State.SELECTING,
        Cue.EXPIRED: State.SELECTING,
    },
    State.REQUESTING: {
        Cue.ACK: State.BOUND, Cue.NAK: State.INIT, Cue.AGAIN: State.REQUESTING, Cue.GIVE_UP: State.INIT,
        Cue.CARRIER: State.SELECTING, Cue.EXPIRED: State.REQUESTING,
    },
    State.BOUND: {Cue.T1: State.RENEWING, Cue.CARRIER: State.REBINDING, Cue.EXPIRED: State.INIT},
    State.RENEWING: {
        Cue.ACK: State.BOUND, Cue.NAK: State.INIT, Cue.AGAIN: State.RENEWING, Cue.T2: State.REBINDING,
        Cue.CARRIER: State.REBINDING, Cue.EXPIRED: State.INIT,
    },
    State.REBINDING: {
        Cue.ACK: State.BOUND, Cue.NAK: State.INIT, Cue.AGAIN: State.REBINDING, Cue.GIVE_UP: State.INIT,
        Cue.EXPIRED: State.INIT, Cue.CARRIER: State.REBINDING,
    },
}  # fmt: skip
_ANSWERS = {message.OFFER: Cue.OFFER, message.ACK: Cue.ACK, message.NAK: Cue.NAK}


@dataclass(frozen=True, slots=True)
class Given:
    """A lease as it is used: nothing else of what a server said."""

    address: IPv4Interface
    gateway: IPv4Address | None
    dns: tuple[IPv4Address, ...]
    ntp: tuple[IPv4Address, ...]
    seconds: int


@dataclass(frozen=True, slots=True)
class Leased:
    given: Given


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no address any more."""


Event = Leased | Lost


@dataclass(frozen=True, slots=True)
class _Held:
    """A lease and its three moments."""

    given: Given
    server: IPv4Address
    server_mac: bytes
    t1_at: float
    t2_at: float
    expires_at: float


class Client:
    """One port's client. The five calls, with whole Ethernet frames for datagrams."""

    def __init__(self, hardware: bytes, chance: Chance) -> None:
        self._hardware = hardware
        self._chance = chance
        self.state = State.INIT
        self.counters: Counter[str] = Counter()
        self._transaction = 0
        self._began_at = 0.0
        self._tries = 0
        self._naks = 0
        self._due: float | None = None
        self._offered: tuple[IPv4Address, IPv4Address, bytes] | None = None
        self._held: _Held | None = None
        self._moved = False
        self._frames: list[bytes] = []
        self._events: deque[Event] = deque()

    def start(self, now: float) -> None:
        """Begin within a second: a street of boxes starts together after a power cut (RFC 2131 4.4.1)."""
        self._due = now + self._fraction()

    def carrier(self, now: float) -> None:
        """The cable is back: perhaps in another network, so the address is asked about at once."""
        self._cue(Cue.CARRIER, now)

    # -- the five calls ------------------------------------------------------------------------------------------

    def receive_frame(self, data: bytes, now: float) -> None:
        """Take a frame from the wire; what is not for us is counted or not even that."""
        received = frame.read(data)
        if received is None:
            return
        try:
            answer = message.parse(received.payload)
            if answer.transaction != self._transaction or answer.hardware != self._hardware:
                return  # somebody else's
            self._answered(answer, received.source_mac, now)
        except RemoteDhcpError as wrong:
            self.counters[wrong.rule] += 1

    def frames_to_send(self, now: float) -> list[bytes]:
        frames, self._frames = self._frames, []
        return frames

    def get_timer(self) -> float | None:
        times = [self._due, self._held.expires_at if self._held else None]
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> None:
        if self._held is not None and now >= self._held.expires_at:
            self._cue(Cue.EXPIRED, now)
        elif self._due is not None and now >= self._due:
            self._cue(self._timed(now), now)

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    # -- cues ----------------------------------------------------------------------------------------------------

    def _timed(self, now: float) -> Cue:
        """Return what the time that has come means in this state."""
        most = {State.REQUESTING: MOST_REQUESTS, State.REBINDING: MOST_MOVED_REQUESTS if self._moved else None}
        limit = most.get(self.state)
        if limit is not None and self._tries >= limit:
            return Cue.GIVE_UP
        if self.state is State.RENEWING and self._held is not None and now >= self._held.t2_at:
            return Cue.T2
        return {State.INIT: Cue.START, State.BOUND: Cue.T1}.get(self.state, Cue.AGAIN)

    def _answered(self, answer: Answer, source_mac: bytes, now: float) -> None:
        cue = _ANSWERS.get(answer.kind)
        if cue is None or cue not in TABLE[self.state]:
            raise RemoteDhcpError("unexpected")
        if answer.server is None:
            raise RemoteDhcpError("server_missing")
        expected = self._expected_server()
        if expected is not None and answer.server != expected:
            raise RemoteDhcpError("server_other")
        if cue is Cue.OFFER:
            judged(answer)
            self._offered = (answer.address, answer.server, source_mac)
        elif cue is Cue.ACK:
            self._hold(answer, answer.server, source_mac, now)
        self._cue(cue, now)

    def _expected_server(self) -> IPv4Address | None:
        if self.state is State.REQUESTING and self._offered is not None:
            return self._offered[1]
        return self._held.server if self.state is State.RENEWING and self._held is not None else None

    def _hold(self, answer: Answer, server: IPv4Address, source_mac: bytes, now: float) -> None:
        given = judged(answer)
        wanted = self._offered[0] if self.state is State.REQUESTING and self._offered else None
        if wanted is None and self._held is not None:
            wanted = self._held.given.address.ip
        if given.address.ip != wanted:
            raise RemoteDhcpError("address_other")
        t1, t2 = answer.t1_seconds or 0, answer.t2_seconds or 0
        if not 0 < t1 < t2 < given.seconds:
            t1, t2 = given.seconds // 2, given.seconds * 7 // 8  # RFC 2131 4.4.5
        self._held = _Held(given, server, source_mac, now + t1, now + t2, now + given.seconds)

    def _cue(self, cue: Cue, now: float) -> None:
        before = self.state
        after = TABLE[before].get(cue)
        if after is None:
            return
        self.state = after
        if cue in (Cue.NAK, Cue.EXPIRED):
            self._lose()
        self._naks = self._naks + 1 if cue is Cue.NAK else 0 if cue is Cue.ACK else self._naks
        if cue is Cue.EXPIRED and after is before:
            return  # the search goes on as it was
        if after is not before or cue is Cue.CARRIER:
            self._tries, self._began_at = 0, now
        self._moved = cue is Cue.CARRIER or (self._moved and after is State.REBINDING)
        self._enter(after, cue, now)

    def _enter(self, state: State, cue: Cue, now: float) -> None:
        if state is State.INIT:
            self._due = now + min(MOST_WAIT_SECONDS, 2.0 ** min(self._naks, 4) - 1) + self._fraction()
        elif state is State.BOUND:
            assert self._held is not None  # an ACK put it there
            self._due = self._held.t1_at
            self._events.append(Leased(self._held.given))
        else:
            if cue is not Cue.AGAIN and state is not State.REQUESTING:
                self._transaction = self._chance.number(1 << 32)
            self._ask(now)
            self._tries += 1
            self._due = now + self._wait(now)

    def _lose(self) -> None:
        if self._held is not None:
            self._held = None
            self._events.append(Lost())

    # -- what is sent --------------------------------------------------------------------------------------------

    def _ask(self, now: float) -> None:
        ask = Ask(message.REQUEST, self._transaction, self._hardware, max(0, int(now - self._began_at)))
        source, target, target_mac = _NOWHERE, _ANYWHERE, frame.BROADCAST_MAC
        if self.state is State.SELECTING:
            ask = replace(ask, kind=message.DISCOVER)
        elif self.state is State.REQUESTING:
            assert self._offered is not None  # an OFFER put it there
            ask = replace(ask, requested=self._offered[0], server=self._offered[1])
        else:
            assert self._held is not None  # only an ACK leads here
            source = self._held.given.address.ip
            ask = replace(ask, address=source)
            if self.state is State.RENEWING:
                # To the server alone, over whoever brought its answer: itself, or the relay that knows the way.
                target, target_mac = self._held.server, self._held.server_mac
        self._frames.append(frame.build(self._hardware, target_mac, source, target, bytes(ask)))

    def _wait(self, now: float) -> float:
        if self.state in (State.RENEWING, State.REBINDING) and not self._moved and self._held is not None:
            end = self._held.t2_at if self.state is State.RENEWING else self._held.expires_at
            return max(0.0, min(end - now, max(RENEW_WAIT_SECONDS, (end - now) / 2)))
        return min(MOST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(self._tries - 1, 8)) + self._fraction()

    def _fraction(self) -> float:
        return self._chance.number(1000) / 1000


def judged(answer: Answer) -> Given:
    """Return the lease that an answer gives.

    Raises:
        RemoteDhcpError: no host on a real wire could live with it.
    """
    if answer.mask is None or answer.seconds is None:
        raise RemoteDhcpError("mask_missing" if answer.mask is None else "seconds_missing")
    bits = int(answer.mask)
    length = bits.bit_count()
    if bits != (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF or not WIDEST <= length <= NARROWEST:
        raise RemoteDhcpError("mask")
    network = IPv4Network((int(answer.address) & bits, length))
    if not is_host(answer.address) or is_end(answer.address, network):
        raise RemoteDhcpError("address")
    router = answer.router
    if router is not None and (router not in network or router == answer.address or is_end(router, network)):
        raise RemoteDhcpError("router")
    if answer.seconds < MIN_LEASE_SECONDS:
        raise RemoteDhcpError("seconds")
    return Given(
        IPv4Interface((answer.address, length)),
        router,
        tuple(server for server in answer.dns if is_host(server)),
        tuple(server for server in answer.ntp if is_host(server)),
        min(answer.seconds, MAX_LEASE_SECONDS),
    )
