"""The endpoints' addresses: one question over UDP at a time, and the last good answer kept for ever.

A machine without hands: datagrams and times in, questions and answers out. dnspython writes and reads the messages;
who asks from where, and whom, is the shell's. An answer counts if it has the question's id and words and came from the
server that was asked, to the socket (a random port) that asked it.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from ipaddress import IPv4Address

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from edge.sip.chance import Chance
from netconf.hosts import is_host

MAX_ANSWER_BYTES = 4096
MAX_ADDRESSES = 16
#: Names of earlier sites are kept as long as there is room: a site that comes back works without DNS.
MAX_KNOWN = 16
#: How long a name's address is good without asking again. Sooner would be noise; later, a moved hub would be away for
#: long; while the tunnel does not shake hands it is asked at once.
AGAIN_SECONDS = 300.0
#: A server that does not answer: the next is asked after this.
ANSWER_SECONDS = 3.0
#: After all servers failed, or while a tunnel is stale: soon, and not so that a dead DNS is hammered.
SOON_SECONDS = 10.0


class RemoteDnsError(Exception):
    """An answer that cannot be used; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Question:
    """To be sent from a fresh socket to ``server``, port 53."""

    server: IPv4Address
    data: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """A name's address, new or the same."""

    host: str
    address: IPv4Address


@dataclass(slots=True)
class _Name:
    host: str
    due: float
    address: IPv4Address | None = None
    stale: bool = False


def query(host: str, number: int) -> bytes:
    """Return the question for the addresses of ``host``."""
    return dns.message.make_query(host, dns.rdatatype.A, id=number).to_wire()


def addresses(data: bytes, host: str, number: int) -> tuple[IPv4Address, ...]:
    """Return the addresses that an answer tells, at least one, in the answer's order.

    Raises:
        RemoteDnsError: with the rule that it breaks.
    """
    if len(data) > MAX_ANSWER_BYTES:
        raise RemoteDnsError("dns_long")
    try:
        answer = dns.message.from_wire(data, ignore_trailing=True)
        asked = dns.message.make_query(host, dns.rdatatype.A, id=number)
        if not asked.is_response(answer):
            raise RemoteDnsError("dns_foreign")
        if answer.rcode() != dns.rcode.NOERROR:
            raise RemoteDnsError("dns_refused")
        assert isinstance(answer, dns.message.QueryMessage)  # a response to a query is one
        found = answer.resolve_chaining().answer
    except (dns.exception.DNSException, ValueError, AssertionError):
        raise RemoteDnsError("dns_syntax") from None
    told = tuple(IPv4Address(record.address) for record in found or ())[:MAX_ADDRESSES]
    good = tuple(address for address in told if is_host(address))
    if not good:
        raise RemoteDnsError("dns_empty")
    return good


class Names:
    """All names of one site. ``known`` is what was good once."""

    def __init__(self, chance: Chance, known: dict[str, IPv4Address]) -> None:
        self._chance = chance
        self._known = dict(known)
        self._names: dict[str, _Name] = {}
        self._servers: tuple[IPv4Address, ...] = ()
        self._asking: tuple[_Name, int, int, float] | None = None  # name, which server, id, until
        self._found: deque[Found] = deque()
        self._questions: deque[Question] = deque()
        self.counters: Counter[str] = Counter()

    @property
    def known(self) -> dict[str, IPv4Address]:
        return dict(self._known)

    def want(self, hosts: frozenset[str], servers: tuple[IPv4Address, ...], now: float) -> None:
        """These are the names, and these may be asked. New servers are asked at once: the network is another one."""
        for gone in self._names.keys() - hosts:
            del self._names[gone]
        if len(self._known) > MAX_KNOWN:
            self._known = {host: address for host, address in self._known.items() if host in hosts}
        for host in sorted(hosts - self._names.keys()):
            self._names[host] = _Name(host, now, self._known.get(host))
            if host in self._known:
                self._found.append(Found(host, self._known[host]))
        if servers != self._servers:
            self._servers, self._asking = servers, None
            for name in self._names.values():
                name.due = now
        self._next(now)

    def stale(self, hosts: frozenset[str], now: float) -> None:
        """The tunnels of these names have not shaken hands for minutes: perhaps the city moved."""
        for name in self._names.values():
            name.stale = name.host in hosts
            if name.stale:
                name.due = min(name.due, now + SOON_SECONDS)

    def receive(self, data: bytes, now: float) -> None:
        """Take what came back to the socket of the present question."""
        if self._asking is None:
            return
        name, at, number, _ = self._asking
        try:
            found = addresses(data, name.host, number)
        except RemoteDnsError as wrong:
            self.counters[wrong.rule] += 1
            if wrong.rule != "dns_foreign":  # the right one may still come
                self._failed(name, at, now)
            return
        name.address = self._chosen(name, found)
        name.due = now + AGAIN_SECONDS
        self._known[name.host] = name.address
        self._found.append(Found(name.host, name.address))
        self._asking = None
        self._next(now)

    def failed(self, now: float) -> None:
        """The question could not be sent, or nobody listens there."""
        if self._asking is not None:
            self._failed(self._asking[0], self._asking[1], now)

    def question_to_send(self) -> Question | None:
        """Return the next question; it is asked from a socket of its own, and the last one's socket is done with."""
        return self._questions.popleft() if self._questions else None

    def get_timer(self) -> float | None:
        if self._asking is not None:
            return self._asking[3]
        return min((name.due for name in self._names.values()), default=None) if self._servers else None

    def handle_timer(self, now: float) -> None:
        if self._asking is not None and now >= self._asking[3]:
            self.counters["dns_silent"] += 1
            self._failed(self._asking[0], self._asking[1], now)
        else:
            self._next(now)

    def next_event(self) -> Found | None:
        return self._found.popleft() if self._found else None

    def _chosen(self, name: _Name, found: tuple[IPv4Address, ...]) -> IPv4Address:
        """The one we have stays while it is told; while the tunnel is stale, the next one is tried."""
        if name.address not in found:
            return found[0]
        order = sorted(found)
        return order[(order.index(name.address) + name.stale) % len(order)]

    def _next(self, now: float) -> None:
        due = [name for name in self._names.values() if name.due <= now]
        if self._asking is None and self._servers and due:
            self._ask(min(due, key=lambda name: name.due), 0, now)

    def _ask(self, name: _Name, at: int, now: float) -> None:
        number = self._chance.number(1 << 16)
        self._asking = (name, at, number, now + ANSWER_SECONDS)
        self._questions.clear()
        self._questions.append(Question(self._servers[at], query(name.host, number)))

    def _failed(self, name: _Name, at: int, now: float) -> None:
        self._asking = None
        if at + 1 < len(self._servers):
            self._ask(name, at + 1, now)
        else:
            name.due = now + SOON_SECONDS
            self._next(now)
