"""One SIP endpoint: messages and time in, messages and events out, over UDP and TCP. No socket, no clock.

It owns the transactions. What a request means is its user's affair: the GB28181 roles.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from edge.sip.address import Address
from edge.sip.chance import Chance
from edge.sip.errors import LocalSipError, RemoteSipError
from edge.sip.message import CSeq, Headers, Request, Response, parse, reply
from edge.sip.transaction import (
    FIRST_STATE,
    T1,
    T2,
    T4,
    TABLES,
    TIMEOUT,
    TIMER_D,
    Action,
    Event,
    Kind,
    State,
    response_event,
)

#: More than 64 recorders with a call each on 64 channels ever have open at once.
MAX_TRANSACTIONS = 16384
MAX_EVENTS = 4096
MAGIC = "z9hG4bK"
_VIA = re.compile(
    r"SIP\s*/\s*2\.0\s*/\s*(?:UDP|TCP)\s+(?P<sent>[A-Za-z0-9.\-]{1,128}(?:\s*:\s*[0-9]{1,5})?)\s*(?P<params>(?:;[^,;\"]*)*)",
    re.ASCII | re.IGNORECASE,
)
#: What an element that takes a message off the wire writes into its Via (RFC 3261 18.2.1, RFC 3581), and nobody else.
_MARKS = re.compile(r";\s*(?:received|rport)\s*(?:=[^;,]*)?", re.IGNORECASE)


class TransactionKey(NamedTuple):
    """What a transaction is found by (RFC 3261 17.1.3, 17.2.3)."""

    kind: Kind
    branch: str
    sent_by: str
    method: str


@dataclass(frozen=True, slots=True)
class RequestReceived:
    key: TransactionKey
    request: Request
    source: Address


@dataclass(frozen=True, slots=True)
class CancelReceived:
    """The INVITE of ``key`` was cancelled; the CANCEL itself is answered already."""

    key: TransactionKey
    source: Address


@dataclass(frozen=True, slots=True)
class AckReceived:
    """The 2xx of ``key`` was acknowledged."""

    key: TransactionKey
    request: Request
    source: Address


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    key: TransactionKey
    response: Response
    source: Address


@dataclass(frozen=True, slots=True)
class TransactionTimedOut:
    """No final answer came to the request of ``key``."""

    key: TransactionKey


@dataclass(frozen=True, slots=True)
class AckMissing:
    """The final answer of ``key`` was never acknowledged (RFC 3261 13.3.1.4)."""

    key: TransactionKey


@dataclass(frozen=True, slots=True)
class Refused:
    """Something malformed or unexpected came; ``rule`` names it."""

    rule: str
    source: Address


SipEvent = (
    RequestReceived | CancelReceived | AckReceived | ResponseReceived | TransactionTimedOut | AckMissing | Refused
)


@dataclass(slots=True)
class _Transaction:
    key: TransactionKey
    peer: Address
    request: Request
    state: State
    last: bytes = b""
    ack: bytes = b""
    resend_at: float | None = None
    resend_step: float = T1
    expire_at: float | None = None
    #: The earlier of both, as the endpoint's heap has it.
    wakes_at: float | None = None
    cancelled: bool = False
    acknowledged: Request | None = None
    cancel_sent: bool = False


_GIVEN_AWAY = Request()


@dataclass(frozen=True, slots=True)
class _Via:
    branch: str
    sent_by: str
    rport: bool


class Endpoint:
    """All transactions of one local address."""

    def __init__(self, local: Address, chance: Chance, user_agent: str) -> None:
        self._local = local
        self._sent_by = str(local)
        self._chance = chance
        self._user_agent = user_agent
        self._transactions: dict[TransactionKey, _Transaction] = {}
        #: When each transaction wants to be woken. An entry whose time is not its transaction's any more is let lie until
        #: its time, or until there are more of such than of others.
        self._wakes: list[tuple[float, TransactionKey]] = []
        self._out: list[tuple[bytes, Address]] = []
        self._events: deque[SipEvent] = deque()
        self.counters: Counter[str] = Counter()

    # -- the five calls ------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """Take one datagram, or one whole message of a stream, from ``addr``."""
        if is_keep_alive(data):
            self.counters["keep_alive"] += 1
            return
        try:
            message = parse(data)
            via = _top_via(message)
            # Whoever acts on a message asks who it is from and to: what cannot be said is refused here, not there.
            _ = message.from_, message.to
        except RemoteSipError as wrong:
            self._refuse(wrong.rule, addr)
            return
        if isinstance(message, Response):
            self._response(message, via, addr, now)
        else:
            self._request(message, via, addr, now)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Return, once, what is to be sent."""
        due, self._out = self._out, []
        return due

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` wants to be called next, or None."""
        while self._wakes and self._is_stale(*self._wakes[0]):
            heappop(self._wakes)
        return self._wakes[0][0] if self._wakes else None

    def handle_timer(self, now: float) -> None:
        """Do what is due at ``now``."""
        while self._wakes and self._wakes[0][0] <= now:
            at, key = heappop(self._wakes)
            if self._is_stale(at, key):
                continue
            transaction = self._transactions[key]
            transaction.wakes_at = None
            if transaction.expire_at is not None and transaction.expire_at <= now:
                transaction.expire_at = None
                self._step(transaction, Event.EXPIRE, now)
            else:
                transaction.resend_at = None
                self._step(transaction, Event.RESEND, now)
            self._wake(transaction)

    def _is_stale(self, at: float, key: TransactionKey) -> bool:
        transaction = self._transactions.get(key)
        return transaction is None or transaction.wakes_at != at

    def _wake(self, transaction: _Transaction) -> None:
        """Note when a transaction wants to be woken, after anything happened to it."""
        if transaction.state is State.TERMINATED:
            return
        resend_at, expire_at = transaction.resend_at, transaction.expire_at
        at = expire_at if resend_at is None else resend_at if expire_at is None else min(resend_at, expire_at)
        if at is None or at == transaction.wakes_at:
            transaction.wakes_at = at
            return
        transaction.wakes_at = at
        heappush(self._wakes, (at, transaction.key))
        if len(self._wakes) > 2 * len(self._transactions) + 64:
            self._wakes = [(at, key) for at, key in self._wakes if not self._is_stale(at, key)]
            heapify(self._wakes)

    def next_event(self) -> SipEvent | None:
        return self._events.popleft() if self._events else None

    # -- what the user asks --------------------------------------------------------------------------------------

    def send_request(self, request: Request, to: Address, now: float) -> TransactionKey:
        """Send a request in a transaction of its own; Via, Max-Forwards and User-Agent are added here.

        Raises:
            LocalSipError: too many transactions, or an ACK or CANCEL, which have ways of their own.
        """
        if request.method in ("ACK", "CANCEL"):
            raise LocalSipError(f"{request.method} by send_request")
        return self._begin(request, MAGIC + self._chance.token(128), to, now)

    def _begin(self, request: Request, branch: str, to: Address, now: float) -> TransactionKey:
        if len(self._transactions) >= MAX_TRANSACTIONS:
            raise LocalSipError("too many transactions")
        kind = Kind.CLIENT_INVITE if request.method == "INVITE" else Kind.CLIENT
        key = TransactionKey(kind, branch, self._sent_by, request.method)
        stamped = self._stamp(request, branch, to)
        transaction = _Transaction(key, to, stamped, FIRST_STATE[kind], last=bytes(stamped))
        self._transactions[key] = transaction
        self._out.append((transaction.last, to))
        transaction.resend_at, transaction.expire_at = None if to.reliable else now + T1, now + TIMEOUT
        self._wake(transaction)
        return key

    def _stamp(self, request: Request, branch: str, to: Address) -> Request:
        via = ("Via", f"SIP/2.0/{to.transport.upper()} {self._sent_by};rport;branch={branch}")
        return request.with_headers(
            Headers((via, *request.headers, ("Max-Forwards", "70"), ("User-Agent", self._user_agent)))
        )

    def send_ack(self, key: TransactionKey, ack: Request, to: Address, now: float) -> None:
        """Acknowledge the 2xx of an INVITE; it is sent again whenever the 2xx comes again (RFC 3261 13.2.2.4)."""
        data = bytes(self._stamp(ack, MAGIC + self._chance.token(128), to))
        transaction = self._transactions.get(key)
        if transaction is not None:
            transaction.ack = data
        self._out.append((data, to))

    def cancel(self, key: TransactionKey, now: float) -> None:
        """Cancel an INVITE; before a provisional answer the CANCEL waits for one (RFC 3261 9.1)."""
        transaction = self._transactions.get(key)
        if transaction is None or transaction.state not in (State.CALLING, State.PROCEEDING):
            return
        first = not transaction.cancelled
        transaction.cancelled = True
        if transaction.state is State.PROCEEDING and first:
            self._send_cancel(transaction, now)

    def _send_cancel(self, transaction: _Transaction, now: float) -> None:
        invite = transaction.request
        kept = tuple(item for item in invite.headers if item[0].lower() in ("from", "to", "call-id"))
        cseq = ("CSeq", str(CSeq(invite.cseq.number, "CANCEL")))
        cancel = Request(Headers((*kept, cseq)), method="CANCEL", uri=invite.uri)
        self._begin(cancel, transaction.key.branch, transaction.peer, now)

    def respond(self, key: TransactionKey, response: Response, now: float) -> None:
        """Answer the request of ``key``; an answer that its state has no cell for is dropped and counted."""
        transaction = self._transactions.get(key)
        if transaction is None:
            self.counters["response_late"] += 1
            return
        event = response_event(response.status)
        if event not in TABLES[key.kind].get(transaction.state, {}):
            self.counters["response_late"] += 1
            return
        transaction.last = self._signed(response)
        self._step(transaction, event, now)

    def turn_away(self, key: TransactionKey, response: Response) -> None:
        """Answer a stranger's request and forget it (RFC 3261 8.2.7): sent again, it gets the same answer again.

        Kept for half a minute each, the refusals of a thousand requests a second would leave no room for anybody else.
        """
        transaction = self._transactions.pop(key, None)
        if transaction is not None:
            self._out.append((self._signed(response), transaction.peer))

    def _signed(self, response: Response) -> bytes:
        return response.wire(("User-Agent", self._user_agent))

    # -- what comes in -------------------------------------------------------------------------------------------

    def _response(self, response: Response, via: _Via, source: Address, now: float) -> None:
        method = response.cseq.method
        kind = Kind.CLIENT_INVITE if method == "INVITE" else Kind.CLIENT
        key = TransactionKey(kind, via.branch, via.sent_by, method)
        transaction = self._transactions.get(key)
        if transaction is None or response.call_id != transaction.request.call_id:
            self._refuse("response_stray", source)
            return
        if source.host != transaction.peer.host:
            self._refuse("response_foreign_source", source)
            return
        self._step(transaction, response_event(response.status), now, response, source)
        if transaction.cancelled and response.status < 200 and not transaction.cancel_sent:
            transaction.cancel_sent = True
            self._send_cancel(transaction, now)

    def _request(self, request: Request, via: _Via, source: Address, now: float) -> None:
        if request.method == "ACK":
            self._ack(request, via, source, now)
            return
        kind = Kind.SERVER_INVITE if request.method == "INVITE" else Kind.SERVER
        key = TransactionKey(kind, via.branch, via.sent_by, request.method)
        known = self._transactions.get(key)
        if known is not None:
            if known.peer == source:
                self._step(known, Event.REQUEST, now)
            else:
                self._refuse("request_foreign_source", source)
            return
        if len(self._transactions) >= MAX_TRANSACTIONS:
            self._refuse("too_many_transactions", source)
            return
        marked = _mark_via(request, source, via.rport)
        # Of a request that is no INVITE only the answer is needed again, for half a minute: the request is its user's.
        kept = marked if kind is Kind.SERVER_INVITE else _GIVEN_AWAY
        self._transactions[key] = _Transaction(key, source, kept, FIRST_STATE[kind])
        if request.method == "CANCEL":
            self._cancel(key, marked, source, now)
            return
        if request.method == "INVITE":
            self.respond(key, reply(marked, 100, "Trying"), now)
        self._tell(RequestReceived(key, marked, source))

    def _cancel(self, key: TransactionKey, request: Request, source: Address, now: float) -> None:
        invite = self._transactions.get(TransactionKey(Kind.SERVER_INVITE, key.branch, key.sent_by, "INVITE"))
        if invite is None or invite.peer.host != source.host:
            self.respond(key, reply(request, 481, "No Such Transaction", to_tag=self._chance.token(64)), now)
            return
        self.respond(key, reply(request, 200, "OK", to_tag=self._chance.token(64)), now)
        if invite.state is State.PROCEEDING:
            self._tell(CancelReceived(invite.key, source))

    def _ack(self, request: Request, via: _Via, source: Address, now: float) -> None:
        transaction = self._transactions.get(TransactionKey(Kind.SERVER_INVITE, via.branch, via.sent_by, "INVITE"))
        if transaction is None:
            transaction = next((t for t in self._transactions.values() if _acknowledges(request, t)), None)
        if transaction is None or transaction.peer.host != source.host:
            self._refuse("ack_stray", source)
            return
        transaction.acknowledged = request
        self._step(transaction, Event.ACK, now, source=source)

    # -- transitions ---------------------------------------------------------------------------------------------

    def _step(
        self,
        transaction: _Transaction,
        event: Event,
        now: float,
        response: Response | None = None,
        source: Address | None = None,
    ) -> None:
        kind = transaction.key.kind
        cell = TABLES[kind].get(transaction.state, {}).get(event)
        if cell is None:
            self.counters[f"stray_{event}"] += 1
            return
        transaction.state, actions = cell
        if Event.EXPIRE not in TABLES[kind].get(transaction.state, {}):
            transaction.expire_at = None
        for action in actions:
            _DO[action](self, transaction, now, response, source or transaction.peer)
        if transaction.state is State.TERMINATED:
            del self._transactions[transaction.key]
        self._wake(transaction)

    def _do_send(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        if t.last:
            self._out.append((t.last, t.peer))

    def _do_pass(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        if response is not None:
            self._tell(ResponseReceived(t.key, response, source))

    def _do_ack(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        """Acknowledge a refusal within its transaction (RFC 3261 17.1.1.3)."""
        if response is None:
            return
        kept = tuple(
            item for item in t.request.headers if item[0].lower() in ("via", "from", "call-id", "max-forwards")
        )
        to = ("To", response.headers.get("to") or "")
        cseq = ("CSeq", str(CSeq(t.request.cseq.number, "ACK")))
        self._out.append((bytes(Request(Headers((*kept, to, cseq)), method="ACK", uri=t.request.uri)), t.peer))

    def _do_ack_again(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        if t.ack:
            self._out.append((t.ack, t.peer))

    def _do_pass_ack(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        if t.acknowledged is not None:
            self._tell(AckReceived(t.key, t.acknowledged, source))

    def _do_no_resend(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        t.resend_at = None

    def _do_timed_out(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        self._tell(TransactionTimedOut(t.key))

    def _do_no_ack(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        self._tell(AckMissing(t.key))

    def _do_resend_from_t1(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        # Over TCP a refusal is sent once; a 2xx is sent again all the same (RFC 3261 13.3.1.4).
        if not t.peer.reliable or t.state is State.ACCEPTED:
            t.resend_step, t.resend_at = T1, now + T1

    def _do_resend_later(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        most = TIMEOUT if t.key.kind is Kind.CLIENT_INVITE else T2
        t.resend_step = min(2 * t.resend_step, most)
        t.resend_at = now + t.resend_step

    def _do_resend_at_t2(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        t.resend_at = None if t.peer.reliable else now + T2

    def _do_expire_64_t1(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        # J (RFC 3261 17.2.2): over TCP a request does not come twice.
        t.expire_at = now if t.peer.reliable and t.key.kind is Kind.SERVER else now + TIMEOUT

    def _do_expire_d(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        t.expire_at = now if t.peer.reliable else now + TIMER_D

    def _do_expire_t4(self, t: _Transaction, now: float, response: Response | None, source: Address) -> None:
        t.expire_at = now if t.peer.reliable else now + T4

    def _tell(self, event: SipEvent) -> None:
        if len(self._events) >= MAX_EVENTS:
            self.counters["events_lost"] += 1
            return
        self._events.append(event)

    def _refuse(self, rule: str, source: Address) -> None:
        self.counters[rule] += 1
        self._tell(Refused(rule, source))


_Doer = Callable[[Endpoint, _Transaction, float, Response | None, Address], None]
_DO: dict[Action, _Doer] = {
    Action.SEND: Endpoint._do_send,
    Action.RESEND: Endpoint._do_send,
    Action.PASS: Endpoint._do_pass,
    Action.ACK: Endpoint._do_ack,
    Action.ACK_AGAIN: Endpoint._do_ack_again,
    Action.PASS_ACK: Endpoint._do_pass_ack,
    Action.NO_RESEND: Endpoint._do_no_resend,
    Action.TIMED_OUT: Endpoint._do_timed_out,
    Action.NO_ACK: Endpoint._do_no_ack,
    Action.RESEND_FROM_T1: Endpoint._do_resend_from_t1,
    Action.RESEND_LATER: Endpoint._do_resend_later,
    Action.RESEND_AT_T2: Endpoint._do_resend_at_t2,
    Action.EXPIRE_64_T1: Endpoint._do_expire_64_t1,
    Action.EXPIRE_D: Endpoint._do_expire_d,
    Action.EXPIRE_T4: Endpoint._do_expire_t4,
}


def is_keep_alive(data: bytes) -> bool:
    """Return whether a datagram only keeps a NAT open: blank lines, or the four bytes that eXosip sends."""
    return not data.strip(b"\r\n\0") or (data.startswith(b"jaK") and len(data) <= 4)


def _top_via(message: Request | Response) -> _Via:
    found = _VIA.match(message.headers.get("via") or "")
    if found is None:
        raise RemoteSipError("via", 400)
    params: dict[str, str] = {}
    for param in found["params"].split(";")[1:]:
        name, _, value = param.strip().partition("=")
        if name.lower() in params:
            raise RemoteSipError("via_parameter_twice", 400)
        params[name.lower()] = value.strip()
    branch = params.get("branch", "")
    if len(branch) > 128:
        raise RemoteSipError("via_branch", 400)
    sent_by = "".join(found["sent"].split()).lower()
    if not branch.startswith(MAGIC):
        # RFC 3261 17.2.3 for RFC 2543 elements: what makes the request, since its branch does not.
        branch = f"{message.call_id}|{message.cseq.number}|{message.from_.tag}"
    return _Via(branch, sent_by, "rport" in params)


def _mark_via(request: Request, source: Address, rport: bool) -> Request:
    """Note where the request really came from, for whoever reads the answer (RFC 3581)."""
    fields = list(request.headers)
    at = next(at for at, (name, _) in enumerate(fields) if name.lower() == "via")
    value = _MARKS.sub("", fields[at][1])
    fields[at] = ("Via", f"{value};received={source.host}" + (f";rport={source.port}" if rport else ""))
    return request.with_headers(Headers(tuple(fields)))


def _acknowledges(ack: Request, transaction: _Transaction) -> bool:
    """Return whether ``ack`` is for the 2xx of ``transaction``: it has a branch of its own (RFC 3261 17.1.1.3)."""
    return (
        transaction.key.kind is Kind.SERVER_INVITE
        and transaction.state in (State.ACCEPTED, State.CONFIRMED)
        and ack.call_id == transaction.request.call_id
        and ack.cseq.number == transaction.request.cseq.number
        and ack.from_.tag == transaction.request.from_.tag
    )
