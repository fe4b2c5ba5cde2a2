"""Talks: sound of the city toward a camera, the only media that goes inward. Off unless owner and city both grant it.

A talk comes forward one step at a time: the recorder agrees, the city's source answers and its socket is there, the
recorder is answered and its socket is there, both pins are open, sound flows. Nothing may be skipped, and every way it can
end runs through ``end``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from edge.access import Access
from edge.control.wire import ClosePin, FerryRequest, OpenFrom, OpenTo, RenewPin
from edge.ferry.calls import PassedSocket
from edge.ferry.commands import (
    AskKeeper,
    CloseDescriptor,
    Command,
    JoinRelay,
    Send,
    StartRelay,
    StopRelay,
    WriteReceipt,
)
from edge.ferry.verify import VerifyRefused
from edge.records.types import CloseMedia, MediaRefused, OpenTalk, Party, TalkAnswered, TalkReady, TalkSink
from edge.rtp.packet import PAYLOAD_BYTES
from netconf.model import Site

PCMA = 8
#: A recorder that agreed to a broadcast asks for the sound at once, and the city's source answers at once.
TALK_SECONDS = 20.0
#: Whoever speaks sends silence, too: fifty packets a second, until he has hung up.
SILENCE_SECONDS = 15.0
MAX_TALKS = 8
_PIN_TTL_SECONDS, _PIN_RENEW_SECONDS = 30, 10.0


@dataclass(slots=True)
class _Talk:
    request: OpenTalk
    since: float
    answered: bool = False
    source: PassedSocket | None = None
    sink: PassedSocket | None = None
    #: What the recorder wants in the packets that it is sent.
    ssrc: int = 0
    #: The pins that are open, "from" and "to".
    open: set[str] = field(default_factory=set)
    renewed: float = 0.0
    last_good: float = 0.0
    packets: int = 0
    octets: int = 0

    @property
    def flows(self) -> bool:
        return self.sink is not None and len(self.open) == 2


class Talks:
    """All talks of one confirmed configuration."""

    def __init__(self, site: Site, access: Access, emit: Callable[[Command], None], counters: Counter[str]) -> None:
        self._site = site
        self._access = access
        self._emit = emit
        self._counters = counters
        self._media = {platform.id: platform.media_networks for platform in site.platform}
        self._recorders = {recorder.id: recorder for recorder in site.recorder}
        self._own = {str(tunnel.address.ip) for tunnel in site.tunnel}
        self.talks: dict[int, _Talk] = {}

    def open(self, request: OpenTalk, now: float) -> None:
        """Begin a talk, or refuse it.

        Raises:
            VerifyRefused: no honest side asks for it.
        """
        if request.call in self.talks:
            raise VerifyRefused("talk_twice")
        refusal = self._access.refuses(request.platform, request.recorder, request.channel, "talk")
        reason = refusal.reason if refusal is not None else "too_many_calls" if len(self.talks) >= MAX_TALKS else ""
        status = refusal.status if refusal is not None else 486
        if reason:
            self._counters[reason] += 1
            self._emit(Send(Party.CITY, MediaRefused(request.call, status, reason)))
            self._talk_receipt(_Talk(request, now), "refused", reason)
            return
        self.talks[request.call] = _Talk(request, now)
        self._talk_receipt(self.talks[request.call], "allowed")
        self._emit(Send(Party.SITE, request))

    def answered(self, step: TalkAnswered, now: float) -> None:
        """The recorder agrees, and asks for the sound."""
        talk = self.talks.get(step.call)
        if talk is not None:
            talk.answered, talk.since = True, now
            self._emit(Send(Party.CITY, step))

    def ready(self, step: TalkReady, passed: PassedSocket, now: float) -> None:
        """The city's source has answered: ``passed`` hears it, and nobody else.

        Raises:
            VerifyRefused: no honest side says this now.
        """
        talk = self.talks.get(step.call)
        if talk is None:
            self._emit(CloseDescriptor(passed.descriptor))  # it ended while the record was on its way
            return
        if not talk.answered or talk.source is not None:
            raise VerifyRefused("talk_ready_unanswered")
        networks = self._media[talk.request.platform]
        known = any(IPv4Address(passed.peer[0]) in network for network in networks)
        if passed.transport != "udp" or passed.local[0] not in self._own or not known:
            raise VerifyRefused("sink_foreign_address")
        talk.source, talk.since = passed, now
        self._emit(AskKeeper(self._pin_from(step.call, passed)))
        self._emit(Send(Party.SITE, step))

    def sink(self, step: TalkSink, passed: PassedSocket, now: float) -> None:
        """The recorder was answered: ``passed`` reaches it, and nobody else.

        Raises:
            VerifyRefused: no honest side says this now.
        """
        talk = self.talks.get(step.call)
        if talk is None:
            self._emit(CloseDescriptor(passed.descriptor))
            return
        recorder, ports = self._recorders[talk.request.recorder], self._site.lan.media_port_range
        if talk.source is None or talk.sink is not None:
            raise VerifyRefused("talk_ready_unanswered")
        known = IPv4Address(passed.peer[0]) in recorder.media_addresses
        if passed.transport != "udp" or passed.local[0] != str(self._site.lan.address.ip) or not known:
            raise VerifyRefused("source_not_reserved")
        if passed.local[1] not in ports:
            raise VerifyRefused("port_not_free")
        talk.sink, talk.ssrc, talk.since = passed, step.ssrc, now
        self._emit(AskKeeper(self._pin_to(step.call, recorder.id, passed)))

    def _pin_from(self, call: int, source: PassedSocket) -> OpenFrom:
        return OpenFrom(f"from-{call}", *source.peer, *source.local, _PIN_TTL_SECONDS)

    def _pin_to(self, call: int, recorder: str, sink: PassedSocket) -> OpenTo:
        return OpenTo(f"to-{call}", recorder, *sink.peer, sink.local[1], _PIN_TTL_SECONDS)

    def on_pin(self, request: FerryRequest, opened: bool, now: float) -> None:
        """Take the keeper's answer."""
        if not isinstance(request, OpenFrom | OpenTo):
            return
        way, _, number = request.pin.partition("-")
        talk = self.talks.get(int(number))
        if talk is None or way in talk.open:
            return
        if not opened:
            self.end(int(number), "pin_refused")
            return
        talk.open.add(way)
        if talk.flows and talk.source is not None and talk.sink is not None:
            call = talk.request.call
            talk.renewed = talk.last_good = now
            self._emit(StartRelay(call, talk.source.descriptor, 0, PCMA, content="sound"))
            self._emit(JoinRelay(call, call, talk.sink.descriptor, talk.ssrc, PCMA, PAYLOAD_BYTES))

    def on_viewer(self, call: int, packets: int, octets: int, now: float) -> None:
        """Take how much the recorder was sent."""
        talk = self.talks[call]
        if packets > talk.packets:
            talk.last_good = now
        talk.packets, talk.octets = packets, octets

    def on_keeper_up(self) -> None:
        """A keeper is there, perhaps a new one that knows no pins."""
        for call, talk in self.talks.items():
            if talk.flows and talk.source is not None and talk.sink is not None:
                self._emit(AskKeeper(self._pin_from(call, talk.source)))
                self._emit(AskKeeper(self._pin_to(call, talk.request.recorder, talk.sink)))

    def on_keeper_lost(self) -> None:
        """Without the keeper no pin can be opened."""
        for call, talk in list(self.talks.items()):
            if talk.source is not None and not talk.flows:
                self.end(call, "pin_refused")

    def handle_timer(self, now: float) -> None:
        """Renew the pins of those that speak; end those that do not, and those that one side leaves waiting."""
        for call, talk in list(self.talks.items()):
            if not talk.flows:
                if now - talk.since > TALK_SECONDS:
                    self.end(call, "recorder_no_answer")
            elif now - talk.last_good > SILENCE_SECONDS:
                self.end(call, "media_stopped")
            elif now - talk.renewed >= _PIN_RENEW_SECONDS:
                talk.renewed = now
                for pin in (f"from-{call}", f"to-{call}"):
                    self._emit(AskKeeper(RenewPin(pin, _PIN_TTL_SECONDS)))

    # -- endings -------------------------------------------------------------------------------------------------

    def end(self, call: int, reason: str, gone: Party | None = None) -> bool:
        """End a talk; False when there is none of that number."""
        talk = self.talks.pop(call, None)
        if talk is None:
            return False
        if talk.flows:
            self._emit(StopRelay(call))
        for way, passed in (("from", talk.source), ("to", talk.sink)):
            if passed is not None:
                self._emit(AskKeeper(ClosePin(f"{way}-{call}")))
                self._emit(CloseDescriptor(passed.descriptor))
        for side in (Party.SITE, Party.CITY):
            if side is not gone:
                self._emit(Send(side, CloseMedia(call, reason)))
        self._talk_receipt(talk, "viewed" if talk.packets else "not_viewed", reason)
        return True

    def on_side_away(self, side: Party) -> None:
        """A side is gone: nobody answers, or nobody speaks."""
        for call in list(self.talks):
            self.end(call, "side_lost", gone=side)

    def _talk_receipt(self, talk: _Talk, result: str, reason: str = "") -> None:
        request = talk.request
        told: dict[str, str | int] = {
            "viewer": request.viewer,
            "platform": request.platform,
            "recorder": request.recorder,
            "channel": request.channel,
            "kind": "talk",
            "packets": talk.packets,
            "bytes": talk.octets,
            "result": result,
            "reason": reason,
        }
        self._emit(WriteReceipt("opened" if result == "allowed" else "closed", request.call, told))
