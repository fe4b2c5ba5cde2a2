"""What the two roles share: one endpoint, the five calls, MESSAGE in and out, and the legs."""

from __future__ import annotations

import abc
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from edge.gb28181.legs import Identity, Legs, message
from edge.manscdp.messages import Message, decode, encode
from edge.manscdp.reader import RemoteManscdpError
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from edge.sip.chance import Chance
from edge.sip.endpoint import (
    AckMissing,
    AckReceived,
    CancelReceived,
    Endpoint,
    RequestReceived,
    ResponseReceived,
    TransactionKey,
    TransactionTimedOut,
)
from edge.sip.endpoint import Refused as SipRefused
from edge.sip.message import Request, Response, reply

MAX_EVENTS = 4096
MANSCDP_TYPE = "application/manscdp+xml"


@dataclass(frozen=True, slots=True)
class Refused:
    """Something was refused; ``rule`` says what for, ``about`` names an id where there is one."""

    rule: str
    source: Address
    about: str = ""


class Role(abc.ABC):
    """The common half of Device and Platform. Subclasses say whom they know and what a message means to them."""

    #: The messages that this role takes at all; every other one is refused.
    heard: ClassVar[tuple[type, ...]]
    #: The methods that it takes; who is not invited answers no INVITE, and keeps none waiting for an answer.
    methods: ClassVar[tuple[str, ...]]

    def __init__(
        self, identity: Identity, chance: Chance, user_agent: str, strict: frozenset[str] = frozenset()
    ) -> None:
        #: Peers whose deviations from the standards are refused, not forgiven.
        self._strict = strict
        #: What each peer does otherwise than the standards say, and how often.
        self.deviations: dict[str, Counter[str]] = {}
        self._identity = identity
        self._chance = chance
        self._endpoint = Endpoint(identity.local, chance, user_agent)
        self._own: Counter[str] = Counter()
        self._events: deque[Any] = deque()
        self._sn = chance.number(10_000)
        self._legs = Legs(self._endpoint, chance, identity, self._own, self._tell)

    @property
    def counters(self) -> Counter[str]:
        """How often each rule refused something."""
        return self._own + self._endpoint.counters

    # -- the five calls ------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        self._endpoint.receive_datagram(data, addr, now)
        self._drain(now)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        return self._endpoint.datagrams_to_send(now)

    def get_timer(self) -> float | None:
        times = [at for at in (self._endpoint.get_timer(), self._own_timer()) if at is not None]
        return min(times, default=None)

    def handle_timer(self, now: float) -> None:
        self._endpoint.handle_timer(now)
        self._drain(now)
        self._on_timer(now)

    def next_event(self) -> Any:
        return self._events.popleft() if self._events else None

    def accept(self, call: str, answer: MediaDescription, now: float) -> None:
        """Answer an invitation with 200 and our description."""
        self._legs.accept(call, answer, now)

    def refuse(self, call: str, status: int, reason: str, now: float) -> None:
        """Refuse an invitation with a final status of 400 to 699."""
        self._legs.refuse(call, status, reason, now)

    def hang_up(self, call: str, now: float) -> None:
        """End a call as its state requires: CANCEL, refusal or BYE."""
        self._legs.hang_up(call, now)

    # -- for the subclasses --------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _own_timer(self) -> float | None: ...

    @abc.abstractmethod
    def _on_timer(self, now: float) -> None: ...

    @abc.abstractmethod
    def _known(self, request: Request, source: Address) -> str | None:
        """Return the id of the peer that ``source`` is, or None."""

    @abc.abstractmethod
    def _on_message(self, peer: str, body: Message, request: Request, now: float) -> None: ...

    def _objection(self, peer: str, body: Message, request: Request) -> tuple[int, str] | None:
        """Return the status and rule by which a message is refused, or None."""
        return None if isinstance(body, self.heard) else (403, "message_not_admitted")

    def _may_invite(self, peer: str, now: float) -> bool:
        """Return whether somebody waits for the peer's INVITE, to answer it."""
        return True

    def _on_register(self, key: TransactionKey, request: Request, source: Address, now: float) -> None:
        self._answer(key, request, 405, "Method Not Allowed", now)

    @abc.abstractmethod
    def _on_final(self, key: TransactionKey, response: Response | None, now: float) -> None:
        """Take the answer to a request that is no INVITE; None when none came."""

    def _tell(self, event: Any) -> None:
        if len(self._events) >= MAX_EVENTS:
            self._own["events_lost"] += 1
            return
        self._events.append(event)

    def _refuse(self, rule: str, source: Address, about: str = "") -> None:
        self._own[rule] += 1
        self._tell(Refused(rule, source, about))

    def _send_message(
        self, peer_id: str, to: Address, body: Message, now: float, edition: int = 2016, charset: str | None = None
    ) -> TransactionKey:
        tag, call_id, number = self._chance.token(64), self._chance.token(128), 1 + self._chance.number(1 << 16)
        request = message(self._identity, peer_id, to, number, tag, call_id, encode(body, edition, charset))
        return self._endpoint.send_request(request, to, now)

    def _next_sn(self) -> int:
        self._sn += 1
        return self._sn

    def _answer(self, key: TransactionKey, request: Request, status: int, reason: str, now: float,
                *headers: tuple[str, str]) -> None:  # fmt: skip
        answer = reply(request, status, reason, to_tag=self._chance.token(64), headers=headers)
        self._endpoint.respond(key, answer, now)

    def _turn_away(self, key: TransactionKey, request: Request, status: int, reason: str,
                   *headers: tuple[str, str]) -> None:  # fmt: skip
        """Answer who is not known, or not yet, without keeping anything of it."""
        self._endpoint.turn_away(key, reply(request, status, reason, to_tag=self._chance.token(64), headers=headers))

    # -- what the endpoint tells ---------------------------------------------------------------------------------

    def _drain(self, now: float) -> None:
        while (event := self._endpoint.next_event()) is not None:
            if isinstance(event, RequestReceived):
                self._request(event, now)
            elif isinstance(event, ResponseReceived):
                if not self._legs.on_response(event.key, event.response, now) and event.response.status >= 200:
                    self._on_final(event.key, event.response, now)
            elif isinstance(event, TransactionTimedOut):
                if not self._legs.on_timeout(event.key, now):
                    self._on_final(event.key, None, now)
            elif isinstance(event, CancelReceived):
                self._legs.on_cancel(event.key, now)
            elif isinstance(event, AckReceived):
                self._legs.on_ack(event.key, now)
            elif isinstance(event, AckMissing):
                self._legs.on_ack_missing(event.key, now)
            elif isinstance(event, SipRefused):
                self._tell(Refused(event.rule, event.source))

    def _request(self, event: RequestReceived, now: float) -> None:
        key, request, source = event.key, event.request, event.source
        if request.method == "REGISTER":
            self._on_register(key, request, source, now)
            return
        peer = self._known(request, source)
        if peer is None:
            self._refuse("unknown_peer", source, request.from_.uri.user)
            self._turn_away(key, request, 403, "Forbidden")
        elif request.deviations and self._deviates(peer, request.deviations):
            self._refuse(f"strict_{request.deviations[0]}", source, peer)
            self._answer(key, request, 400, "Bad Request", now)
        elif request.method not in self.methods:
            self._refuse("method_not_allowed", source, peer)
            self._answer(key, request, 405, "Method Not Allowed", now, ("Allow", ", ".join(self.methods)))
        elif request.method in ("MESSAGE", "SUBSCRIBE", "NOTIFY"):
            self._message(peer, event, now)
        else:
            self._in_call(peer, event, now)

    def _in_call(self, peer: str, event: RequestReceived, now: float) -> None:
        key, request, source = event.key, event.request, event.source
        if request.method == "INVITE" and not self._may_invite(peer, now):
            # Nobody would ever answer it: it would ring, and be kept, for ever.
            self._refuse("invite_unasked", source, peer)
            self._answer(key, request, 403, "Forbidden", now)
        elif request.method == "INVITE":
            self._legs.on_invite(key, request, source, now)
        elif request.method == "BYE":
            self._legs.on_bye(key, request, source, now)
        elif request.method == "INFO":
            self._legs.on_info(key, request, source, now)
        elif request.to.tag is not None and not self._legs.knows(request):
            self._answer(key, request, 481, "Call/Transaction Does Not Exist", now)
        else:
            self._answer(key, request, 200, "OK", now, ("Allow", ", ".join(self.methods)))

    def _deviates(self, peer: str, deviations: Iterable[str]) -> bool:
        """Write down what a peer does otherwise; return whether it is to be refused for that."""
        self.deviations.setdefault(peer, Counter()).update(deviations)
        return peer in self._strict

    def _message(self, peer: str, event: RequestReceived, now: float) -> None:
        """Answer at once, then do what it asks: late answers make recorders stop in the middle of a catalog."""
        request = event.request
        if not request.body and request.method == "NOTIFY":
            self._answer(event.key, request, 200, "OK", now)
            self._on_empty_notify(peer, request, now)
            return
        if request.content_type != MANSCDP_TYPE or request.headers.get("content-encoding") is not None:
            self._refuse("content_type", event.source, peer)
            self._answer(event.key, request, 415, "Unsupported Media Type", now)
            return
        notes: list[str] = []
        try:
            body = decode(request.body, notes)
        except RemoteManscdpError as wrong:
            self._refuse(wrong.rule, event.source, peer)
            status = (403, "Forbidden") if wrong.rule == "command_unknown" else (400, "Bad Request")
            self._answer(event.key, request, *status, now)
            return
        if notes and self._deviates(peer, notes):
            self._refuse(f"strict_{notes[0]}", event.source, peer)
            self._answer(event.key, request, 400, "Bad Request", now)
            return
        objection = self._objection(peer, body, request)
        if objection is not None:
            # Understood, and not ours to take: to say 200 would promise that it is done.
            self._refuse(objection[1], event.source, peer)
            self._answer(event.key, request, objection[0], _PHRASES.get(objection[0], "Refused"), now)
            return
        if request.method == "SUBSCRIBE":
            self._on_subscribe(event.key, request, body, event.source, now)
            return
        self._answer(event.key, request, 200, "OK", now)
        self._on_message(peer, body, request, now)

    def _on_subscribe(self, key: TransactionKey, request: Request, body: Message, source: Address, now: float) -> None:
        self._answer(key, request, 405, "Method Not Allowed", now, ("Allow", ", ".join(self.methods)))

    def _on_empty_notify(self, peer: str, request: Request, now: float) -> None:
        """Take a NOTIFY that says nothing but that its subscription ends."""
        self._own["notify_empty"] += 1


_PHRASES = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 489: "Bad Event", 503: "Service Unavailable"}
