"""All legs of one role: SIP calls carried out as the table in ``call`` says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edge.gb28181.call import TABLE, Action, Event, State
from edge.gb28181.ids import is_code
from edge.gb28181.kept import MAX_KEPT, dialog_facts, dialog_of
from edge.mansrtsp.control import PlaybackRequest, RemoteMansrtspError
from edge.mansrtsp.control import answer as answer_playback
from edge.mansrtsp.control import parse as parse_playback
from edge.mansrtsp.control import write as write_playback
from edge.sdp.description import MediaDescription, RemoteSdpError
from edge.sdp.description import parse as parse_sdp
from edge.sip.address import Address
from edge.sip.chance import Chance
from edge.sip.dialog import Dialog
from edge.sip.endpoint import Endpoint, TransactionKey
from edge.sip.errors import RemoteSipError
from edge.sip.message import Headers, Request, Response, reply
from edge.sip.transaction import Kind
from edge.sip.uri import NameAddr, SipUri

MAX_LEGS = 4096
MAX_WAITING = 256
SDP_TYPE = "application/sdp"
#: The second is what some platforms write.
PLAYBACK_TYPES = ("application/mansrtsp", "application/rtsp")


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """Somebody wants media of ``channel``; answer with accept or refuse. ``viewer`` is "" when undeclared."""

    call: str
    channel: str
    offer: MediaDescription
    subject: str
    viewer: str
    #: Who asks, as From names him.
    peer: str = ""


@dataclass(frozen=True, slots=True)
class InviteRefused:
    """Somebody wanted media of ``channel`` and was refused by rule; ``about`` is the line of his description at fault."""

    channel: str
    rule: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class CallProgress:
    call: str


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """Our INVITE was accepted and acknowledged."""

    call: str
    answer: MediaDescription


@dataclass(frozen=True, slots=True)
class CallFailed:
    """Our INVITE came to nothing; ``status`` is theirs, or 408 when none came.

    ``rule``: they accepted, and what their description broke was this, in the line ``about``.
    """

    call: str
    status: int
    cause: str
    rule: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class CallEstablished:
    """Our acceptance was acknowledged."""

    call: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """It ended by the other end: cause is bye, cancel, no_ack, forgotten (481), or unreached."""

    call: str
    cause: str


@dataclass(frozen=True, slots=True)
class PlaybackReceived:
    """The viewer of a recording wants it played otherwise (INFO); answer with ``answer_playback``."""

    call: str
    order: int
    request: PlaybackRequest


@dataclass(frozen=True, slots=True)
class PlaybackAnswered:
    """What came of a playback's control: a SIP status."""

    call: str
    order: int
    status: int


CallEvent = (
    InviteReceived
    | InviteRefused
    | CallProgress
    | CallAnswered
    | CallFailed
    | CallEstablished
    | CallEnded
    | PlaybackReceived
    | PlaybackAnswered
)


@dataclass(slots=True)
class _Leg:
    name: str
    state: State
    key: TransactionKey
    invite: Request
    peer: Address
    dialog: Dialog
    answer: MediaDescription | None = None
    status: int = 0
    cause: str = ""
    body: bytes = b""
    #: What of their answer was refused.
    rule: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are in From and Contact."""

    id: str
    domain: str
    local: Address

    def name_addr(self, tag: str | None = None) -> NameAddr:
        return NameAddr(SipUri(self.id, self.domain), tag)

    def contact(self, over: str = "udp") -> str:
        """Return our Contact; over TCP it says so (RFC 3261 19.1.1), UDP is what is meant without a word."""
        return f"<sip:{self.id}@{self.local}{';transport=tcp' if over == 'tcp' else ''}>"


@dataclass(slots=True)
class Legs:
    """Legs by name, by their INVITE's transaction and by Call-ID."""

    endpoint: Endpoint
    chance: Chance
    identity: Identity
    counters: Counter[str]
    tell: Callable[[CallEvent], None]
    _by_name: dict[str, _Leg] = field(default_factory=dict)
    _by_key: dict[TransactionKey, _Leg] = field(default_factory=dict)
    _asked: dict[TransactionKey, str] = field(default_factory=dict)
    _controls: dict[TransactionKey, tuple[str, int]] = field(default_factory=dict)
    _waiting: dict[int, tuple[TransactionKey, Request, int]] = field(default_factory=dict)
    _orders: int = 0

    # -- asking --------------------------------------------------------------------------------------------------

    def invite(
        self, device: str, channel: str, offer: MediaDescription, to: Address, now: float, viewer: str = ""
    ) -> str:
        """Ask ``channel`` of the peer at ``to`` for media, for ``viewer`` if one is named; return the leg's name."""
        name = self.chance.token(128)
        local, remote = self.identity.name_addr(self.chance.token(64)), NameAddr(SipUri(channel, self.identity.domain))
        dialog = Dialog(name, local, remote, SipUri(channel, to.host, to.port))
        history = offer.session_name in ("Playback", "Download")
        subject = f"{channel}:{int(history)}{self.chance.token(32)},{self.identity.id}:0"
        headers = (
            ("Contact", self.identity.contact(to.transport)),
            ("Content-Type", "APPLICATION/SDP"),
            ("Subject", subject),
            *([("Monitor-User-Identity", viewer)] if viewer else []),
        )
        request = dialog.request("INVITE", *headers, body=bytes(offer))
        key = self.endpoint.send_request(request, to, now)
        leg = _Leg(name, State.INVITING, key, request, to, dialog)
        self._by_name[name] = self._by_key[key] = leg
        return name

    def on_response(self, key: TransactionKey, response: Response, now: float) -> bool:
        """Take an answer; False when it is to no leg of ours."""
        if key in self._asked:
            self._on_word(key, response, now)
            return True
        if key in self._controls:
            self._controlled(key, response.status)
            return True
        leg = self._by_key.get(key)
        if leg is None:
            return False
        leg.status, leg.cause = response.status, response.reason
        if response.status < 200:
            self._step(leg, Event.PROGRESS, now)
        elif response.status >= 300:
            self._step(leg, Event.FAILED, now)
        else:
            self._accepted(leg, response, now)
        return True

    def _accepted(self, leg: _Leg, response: Response, now: float) -> None:
        leg.dialog.remote = response.to
        contact = response.headers.get("contact")
        try:
            # Only the user part counts: the next hop is the registered address, whatever a Contact says.
            user = NameAddr.parse(contact).uri.user if contact else ""
            leg.answer = parse_sdp(response.body)
        except (RemoteSipError, RemoteSdpError) as wrong:
            self.counters[wrong.rule] += 1
            leg.status, leg.cause, leg.rule = 488, wrong.rule, wrong.rule
            leg.about = wrong.about if isinstance(wrong, RemoteSdpError) else ""
            self._do(leg, Action.SEND_ACK, now)
            self._do(leg, Action.SEND_BYE, now)
            self._finish(leg, Event.FAILED, now)
            return
        if is_code(user):
            leg.dialog.target = SipUri(user, leg.peer.host, leg.peer.port)
        self._step(leg, Event.ANSWERED, now)

    def _finish(self, leg: _Leg, event: Event, now: float) -> None:
        if event in TABLE[leg.state]:
            self._step(leg, event, now)

    def on_timeout(self, key: TransactionKey, now: float) -> bool:
        if self._asked.pop(key, None) is not None:
            return True  # nobody answers anything: registration will tell
        if key in self._controls:
            self._controlled(key, 408)
            return True
        leg = self._by_key.get(key)
        if leg is None:
            return False
        leg.status, leg.cause = 408, "timeout"
        self._step(leg, Event.FAILED, now)
        return True

    # -- asked ---------------------------------------------------------------------------------------------------

    def on_invite(self, key: TransactionKey, request: Request, source: Address, now: float) -> None:
        """Take an INVITE of a peer that is known to be one."""
        refusal = self._objection(request)
        if refusal is not None:
            status, rule, about = refusal
            self.counters[rule] += 1
            self.endpoint.respond(key, reply(request, status, rule, to_tag=self.chance.token(64)), now)
            self.tell(InviteRefused(request.uri.user, rule, about))
            return
        offer = parse_sdp(request.body)
        name = self.chance.token(128)
        tag = self.chance.token(64)
        remote = request.from_
        target = SipUri(remote.uri.user, source.host, source.port)
        dialog = Dialog(request.call_id, self.identity.name_addr(tag), remote, target, 0, request.cseq.number)
        dialog.local = NameAddr(request.to.uri, tag)
        leg = _Leg(name, State.OFFERED, key, request, source, dialog)
        self._by_name[name] = self._by_key[key] = leg
        viewer = request.headers.get("monitor-user-identity") or ""
        subject = request.headers.get("subject") or ""
        self.tell(InviteReceived(name, request.uri.user, offer, subject, viewer, remote.uri.user))

    def _objection(self, request: Request) -> tuple[int, str, str] | None:
        if request.to.tag is not None:
            return (488, "re_invite", "") if self._dialog_of(request) is not None else (481, "no_such_call", "")
        if len(self._by_name) >= MAX_LEGS:
            return 486, "too_many_legs", ""
        if request.content_type != SDP_TYPE:
            return 415, "content_type", ""
        try:
            parse_sdp(request.body)
        except RemoteSdpError as wrong:
            return 488, wrong.rule, wrong.about
        return None

    def _dialog_of(self, request: Request) -> _Leg | None:
        return next((leg for leg in self._by_name.values() if leg.dialog.accepts(request)), None)

    def accept(self, name: str, answer: MediaDescription, now: float) -> None:
        leg = self._by_name.get(name)
        if leg is not None:
            leg.body = bytes(answer)
            self._step(leg, Event.ACCEPT, now)

    def refuse(self, name: str, status: int, reason: str, now: float) -> None:
        leg = self._by_name.get(name)
        if leg is not None:
            leg.status, leg.cause = status, reason
            self._step(leg, Event.REFUSE, now)

    def on_cancel(self, key: TransactionKey, now: float) -> None:
        leg = self._by_key.get(key)
        if leg is not None:
            leg.cause = "cancel"
            self._step(leg, Event.CANCELLED, now)

    def on_ack(self, key: TransactionKey, now: float) -> None:
        leg = self._by_key.get(key)
        if leg is not None:
            self._step(leg, Event.ACKED, now)

    def on_ack_missing(self, key: TransactionKey, now: float) -> None:
        leg = self._by_key.get(key)
        if leg is not None:
            leg.cause = "no_ack"
            self._step(leg, Event.ACK_MISSING, now)

    # -- both ----------------------------------------------------------------------------------------------------

    def on_bye(self, key: TransactionKey, request: Request, source: Address, now: float) -> None:
        leg = self._dialog_of(request)
        if leg is None or leg.peer.host != source.host:
            self.counters["no_such_call"] += 1
            answer = reply(request, 481, "Call/Transaction Does Not Exist", to_tag=self.chance.token(64))
            self.endpoint.respond(key, answer, now)
            return
        self.endpoint.respond(key, reply(request, 200, "OK"), now)
        leg.cause = "bye"
        self._step(leg, Event.BYE, now)

    def hang_up(self, name: str, now: float) -> None:
        """End a leg as its state requires: CANCEL, refusal, or BYE; an unknown one is gone already."""
        leg = self._by_name.get(name)
        if leg is not None:
            leg.status, leg.cause = leg.status or 480, leg.cause or "hung up"
            self._step(leg, Event.HANG_UP, now)

    def ask(self, now: float) -> None:
        """Ask the other end of each established leg whether it still knows it (OPTIONS in the dialog, RFC 3261 11, 12.2).

        A BYE that was lost with its TCP connection is never sent again, and a platform that restarted sends none.
        """
        for leg in self._by_name.values():
            if leg.state is State.ESTABLISHED and leg.name not in self._asked.values():
                key = self.endpoint.send_request(leg.dialog.request("OPTIONS"), leg.peer, now)
                self._asked[key] = leg.name

    def _on_word(self, key: TransactionKey, response: Response, now: float) -> None:
        """Only 481 says that there is no such dialog (12.2.1.2); what a platform thinks of OPTIONS ends no call."""
        if response.status < 200:
            return
        leg = self._by_name.get(self._asked.pop(key))
        if leg is not None and response.status == 481:
            leg.cause = "forgotten"
            self._step(leg, Event.GONE, now)

    # -- playback ------------------------------------------------------------------------------------------------

    def control(self, name: str, order: int, wanted: PlaybackRequest, now: float) -> bool:
        """Ask the other end of an established leg to play otherwise (2016 9.8, annex B); False when there is none."""
        leg = self._by_name.get(name)
        if leg is None or leg.state is not State.ESTABLISHED:
            return False
        body = write_playback(replace(wanted, cseq=leg.dialog.local_cseq + 1))
        request = leg.dialog.request("INFO", ("Content-Type", "Application/MANSRTSP"), body=body)
        self._controls[self.endpoint.send_request(request, leg.peer, now)] = (name, order)
        return True

    def notify(self, name: str, body: bytes, now: float) -> None:
        """Tell the other end of an established leg something within it; a leg that is over hears nothing."""
        leg = self._by_name.get(name)
        if leg is not None and leg.state is State.ESTABLISHED:
            said = leg.dialog.request("MESSAGE", ("Content-Type", "Application/MANSCDP+xml"), body=body)
            self.endpoint.send_request(said, leg.peer, now)

    def _controlled(self, key: TransactionKey, status: int) -> None:
        if status >= 200:
            name, order = self._controls.pop(key)
            self.tell(PlaybackAnswered(name, order, status))

    def on_info(self, key: TransactionKey, request: Request, source: Address, now: float) -> None:
        """Take a playback's control of a viewer."""
        leg = self._dialog_of(request)
        tag = self.chance.token(64)
        if leg is None or leg.peer.host != source.host:
            self.counters["no_such_call"] += 1
            gone = reply(request, 481, "Call/Transaction Does Not Exist", to_tag=tag)
            self.endpoint.respond(key, gone, now)
            return
        if request.content_type not in PLAYBACK_TYPES:
            self.counters["content_type"] += 1
            self.endpoint.respond(key, reply(request, 415, "Unsupported Media Type", to_tag=tag), now)
            return
        try:
            wanted = parse_playback(request.body)
        except RemoteMansrtspError as wrong:
            self.counters[wrong.rule] += 1
            self.endpoint.respond(key, reply(request, 400, wrong.rule, to_tag=tag), now)
            return
        self._orders += 1
        if len(self._waiting) >= MAX_WAITING:
            self.answer_playback(min(self._waiting), 503, now)
        self._waiting[self._orders] = (key, request, wanted.cseq)
        self.tell(PlaybackReceived(leg.name, self._orders, wanted))

    def answer_playback(self, order: int, status: int, now: float) -> None:
        """Answer the INFO of ``order``: 200 says that it is done (annex B.2.6)."""
        waiting = self._waiting.pop(order, None)
        if waiting is None:
            return
        key, request, cseq = waiting
        if status == 200:
            headers = (("Content-Type", "Application/MANSRTSP"),)
            done = reply(request, 200, "OK", headers=headers, body=answer_playback(cseq))
            self.endpoint.respond(key, done, now)
        else:
            self.endpoint.respond(key, reply(request, status, "Playback Control Failed"), now)

    def find(self, call_id: str, channels: str, peer: Address) -> str | None:
        """Return the leg that a notice outside of any dialog is about: by Call-ID, else by the channel that it names."""
        for leg in self._by_name.values():
            if leg.dialog.call_id == call_id and leg.peer.host == peer.host:
                return leg.name
        about = [
            leg
            for leg in self._by_name.values()
            if leg.peer.host == peer.host and channels == leg.dialog.remote.uri.user
        ]
        return about[0].name if len(about) == 1 else None

    def lose(self, now: float) -> None:
        """The other ends are not reached any more: every established leg is over."""
        for leg in [leg for leg in self._by_name.values() if leg.state is State.ESTABLISHED]:
            leg.cause = "unreached"
            self._step(leg, Event.GONE, now)

    def knows(self, request: Request) -> bool:
        """Return whether a request belongs to a dialog that stands."""
        return self._dialog_of(request) is not None

    def names(self, peer: str) -> list[str]:
        """Return the legs to the peer at an address."""
        return [leg.name for leg in self._by_name.values() if leg.peer.host == peer]

    def move(self, to: Address) -> None:
        """The peer at a host is reached by another port or connection now: its dialogs go on there."""
        for leg in self._by_name.values():
            if leg.peer.host == to.host:
                leg.peer = to

    def kept(self) -> dict[str, dict[str, Any]]:
        """Return the dialogs that a restart must not lose, by leg."""
        return {
            name: dialog_facts(leg.dialog, leg.peer)
            for name, leg in self._by_name.items()
            if leg.state in (State.ACCEPTED, State.ESTABLISHED)
        }

    def adopt(self, kept: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over the dialogs of the process before us.

        Raises:
            NotKept: one of them is none; those before it are taken.
        """
        for name, facts in list(kept.items())[:MAX_KEPT]:
            dialog, peer = dialog_of(facts)
            key = TransactionKey(Kind.CLIENT_INVITE, name, "", "INVITE")  # of a transaction that is long over
            self._by_name[name] = _Leg(name, State.ESTABLISHED, key, Request(), peer, dialog)

    def _step(self, leg: _Leg, event: Event, now: float) -> None:
        cell = TABLE[leg.state].get(event)
        if cell is None:
            self.counters[f"leg_{event}_in_{leg.state}"] += 1
            return
        leg.state, actions = cell
        for action in actions:
            self._do(leg, action, now)
        if leg.state is State.ENDED:
            self._by_name.pop(leg.name, None)
            self._by_key.pop(leg.key, None)

    def _do(self, leg: _Leg, action: Action, now: float) -> None:
        if action in _TOLD:
            self.tell(_TOLD[action](leg))
        elif action is Action.SEND_ACK:
            ack = leg.dialog.request("ACK", cseq=leg.invite.cseq.number)
            self.endpoint.send_ack(leg.key, ack, leg.peer, now)
        elif action is Action.SEND_CANCEL:
            self.endpoint.cancel(leg.key, now)
        elif action is Action.SEND_BYE:
            self.endpoint.send_request(leg.dialog.request("BYE"), leg.peer, now)
        else:
            self.endpoint.respond(leg.key, self._answer(leg, action), now)

    def _answer(self, leg: _Leg, action: Action) -> Response:
        tag = leg.dialog.local.tag
        if action is Action.RESPOND_OK:
            headers = (("Contact", self.identity.contact(leg.peer.transport)), ("Content-Type", "APPLICATION/SDP"))
            return reply(leg.invite, 200, "OK", to_tag=tag, headers=headers, body=leg.body)
        if action is Action.RESPOND_TERMINATED:
            return reply(leg.invite, 487, "Request Terminated", to_tag=tag)
        return reply(leg.invite, leg.status, leg.cause, to_tag=tag)


def _answered(leg: _Leg) -> CallEvent:
    assert leg.answer is not None  # ANSWERED comes only with one
    return CallAnswered(leg.name, leg.answer)


_TOLD: dict[Action, Callable[[_Leg], CallEvent]] = {
    Action.TELL_PROGRESS: lambda leg: CallProgress(leg.name),
    Action.TELL_ANSWERED: _answered,
    Action.TELL_FAILED: lambda leg: CallFailed(leg.name, leg.status, leg.cause, leg.rule, leg.about),
    Action.TELL_ESTABLISHED: lambda leg: CallEstablished(leg.name),
    Action.TELL_ENDED: lambda leg: CallEnded(leg.name, leg.cause),
}


def message(identity: Identity, peer_id: str, to: Address, number: int, tag: str, call_id: str, body: bytes) -> Request:
    """Return a MESSAGE that carries a MANSCDP body (GB/T 28181 9.5)."""
    fields = (
        ("From", f"<sip:{identity.id}@{identity.domain}>;tag={tag}"),
        ("To", f"<sip:{peer_id}@{identity.domain}>"),
        ("Call-ID", call_id),
        ("CSeq", f"{number} MESSAGE"),
        ("Content-Type", "Application/MANSCDP+xml"),
    )
    return Request(Headers(fields), body, method="MESSAGE", uri=SipUri(peer_id, to.host, to.port))
