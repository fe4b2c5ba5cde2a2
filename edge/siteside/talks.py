"""A talk at the recorder: it is told of a broadcast, agrees, and asks us for the sound (GB/T 28181-2016 9.12).

It hears 200 only when the city's source of sound has answered: until then it waits, as its INVITE allows.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from edge.gb28181.legs import InviteReceived
from edge.gb28181.platform import Platform
from edge.gb28181.reports import Answered, AskRefused
from edge.manscdp.events import Broadcast, BroadcastResponse
from edge.records.types import CloseMedia, MediaRefused, OpenTalk, Record, TalkAnswered, TalkSink
from edge.sdp.description import MediaDescription
from netconf.model import Site

PCMA = 8
#: What a recorder takes to agree, and to ask.
ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PassTalkPort:
    """Connect the talk's port with the recorder's ear, and hand it to the ferry with ``record``."""

    call: int
    ear: tuple[str, int]
    record: TalkSink


class State(enum.StrEnum):
    ASKED = "asked"
    INVITED = "invited"
    ANSWERED = "answered"


@dataclass(slots=True)
class _Talk:
    request: OpenTalk
    sn: int
    since: float
    state: State = State.ASKED
    leg: str = ""
    offer: MediaDescription | None = None


class SiteTalks:
    """All talks at the recorders of one site, by call."""

    def __init__(
        self, site: Site, platform: Platform, send: Callable[[Record], None], hand: Callable[[PassTalkPort], None]
    ) -> None:
        self._platform = platform
        self._site_id = site.identity.id
        self._address = str(site.lan.address.ip)
        self._ears = {recorder.id: frozenset(map(str, recorder.media_addresses)) for recorder in site.recorder}
        self._hand = hand
        self._send = send
        self._talks: dict[int, _Talk] = {}

    def open(self, request: OpenTalk, now: float) -> None:
        """Tell the recorder that somebody wants to speak to a channel of it."""
        sn = self._platform.ask(request.recorder, lambda sn: Broadcast(sn, self._site_id, request.channel), now)
        if sn is None:
            self._send(MediaRefused(request.call, 480, "recorder_offline"))
            return
        self._talks[request.call] = _Talk(request, sn, now)

    def on_event(self, event: object, now: float) -> bool:
        """Take an event of the platform role; False when it is none of a talk."""
        if isinstance(event, Answered) and isinstance(event.body, BroadcastResponse):
            talk = self._by_sn(event.sn)
            if talk is not None and event.body.result != "OK":
                self._refuse(talk, 488, "recorder_refused", now)
            return True
        if isinstance(event, AskRefused):
            talk = self._by_sn(event.sn)
            if talk is None:
                return False
            self._refuse(talk, 488, "recorder_refused", now)
            return True
        if isinstance(event, InviteReceived):
            self._invited(event, now)
            return True
        return False

    def _by_sn(self, sn: int) -> _Talk | None:
        return next((talk for talk in self._talks.values() if talk.sn == sn), None)

    def _invited(self, event: InviteReceived, now: float) -> None:
        """A recorder may ask for the sound that it was told of, and for nothing else."""
        wanted = [
            talk
            for talk in self._talks.values()
            if talk.state is State.ASKED and event.peer in (talk.request.channel, talk.request.recorder)
        ]
        offer = event.offer
        if not wanted:
            self._platform.refuse(event.call, 403, "Forbidden", now)
        elif offer.address not in self._ears[wanted[0].request.recorder]:
            self._platform.refuse(event.call, 488, "Not Acceptable Here", now)
            self._refuse(wanted[0], 488, "media_address_foreign", now)
        elif not _heard(offer):
            self._platform.refuse(event.call, 488, "Not Acceptable Here", now)
            self._refuse(wanted[0], 488, "sdp_unacceptable", now)
        else:
            talk = wanted[0]
            talk.state, talk.leg, talk.offer, talk.since = State.INVITED, event.call, offer, now
            self._send(TalkAnswered(talk.request.call))

    def ready(self, call: int) -> bool:
        """Return whether the sound's port may be reserved: the city's source has answered and the recorder waits."""
        talk = self._talks.get(call)
        return talk is not None and talk.state is State.INVITED

    def on_port(self, call: int, port: int | None, now: float) -> bool:
        """Take the port that the sound will come from; False when there is no such talk."""
        talk = self._talks.get(call)
        if talk is None or talk.offer is None:
            return False
        if port is None:
            self.close(call, now)
            self._send(CloseMedia(call, "too_many_calls"))
            return True
        talk.state = State.ANSWERED
        answer = talk.offer.answer(
            origin_id=self._site_id,
            address=self._address,
            port=port,
            payload_type=PCMA,
            ssrc=talk.offer.ssrc or 0,
        )
        self._platform.accept(talk.leg, answer, now)
        self._hand(PassTalkPort(call, (talk.offer.address, talk.offer.port), TalkSink(call, talk.offer.ssrc or 0)))
        return True

    def leg_ended(self, leg: str) -> int | None:
        """Return the call whose leg the recorder ended; it is over."""
        for call, talk in list(self._talks.items()):
            if talk.leg == leg:
                del self._talks[call]
                return call
        return None

    def close(self, call: int, now: float) -> bool:
        """The talk is over; False when there is none."""
        talk = self._talks.pop(call, None)
        if talk is None:
            return False
        if talk.leg:
            self._platform.hang_up(talk.leg, now)
        return True

    def handle_timer(self, now: float) -> None:
        """End the talks that a recorder never asked the sound for."""
        for talk in list(self._talks.values()):
            if talk.state is State.ASKED and now - talk.since > ANSWER_SECONDS:
                self._refuse(talk, 408, "recorder_no_answer", now)

    def _refuse(self, talk: _Talk, status: int, reason: str, now: float) -> None:
        self._send(MediaRefused(talk.request.call, status, reason))
        self.close(talk.request.call, now)


def _heard(offer: MediaDescription) -> bool:
    """Return whether a recorder hears as we speak: G.711 A-law by UDP."""
    return (
        offer.media == "audio" and PCMA in offer.payload_types and offer.transport == "RTP/AVP" and offer.port >= 1024
    )
