"""The endpoint's heap of times beside a look at every transaction: the same answer, and nothing piles up in it."""

from __future__ import annotations

import random

import pytest

from edge.sip.address import Address
from edge.sip.endpoint import Endpoint, ResponseReceived
from edge.sip.message import Headers, Request, parse, reply
from edge.sip.uri import SipUri
from tests.chance import SeededChance

HERE = Address("192.0.2.1", 5060)
UDP, TCP = Address("192.0.2.10", 5060), Address("192.0.2.10", 5060, "tcp")


def ask(endpoint: Endpoint, at: int, to: Address, now: float) -> None:
    fields = (("From", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>"), ("Call-ID", f"call-{at}"), ("CSeq", "1 MESSAGE"))
    endpoint.send_request(Request(Headers(fields), method="MESSAGE", uri=SipUri("c", "d")), to, now)


def answer(endpoint: Endpoint, sent: bytes, status: int, source: Address, now: float) -> None:
    request = parse(sent)
    assert isinstance(request, Request)
    endpoint.receive_datagram(bytes(reply(request, status, "Said", to_tag="2")), source, now)


def due(endpoint: Endpoint) -> float | None:
    times = (at for t in endpoint._transactions.values() for at in (t.resend_at, t.expire_at) if at is not None)
    return min(times, default=None)


@pytest.mark.parametrize("seed", range(8))
def test_the_next_time_is_the_earliest_of_all(seed: int) -> None:
    chance, endpoint, now = random.Random(seed), Endpoint(HERE, SeededChance(seed), "test"), 0.0
    for at in range(300):
        now += chance.choice((0.0, 0.1, 0.7, 3.0))
        endpoint.handle_timer(now)
        if chance.random() < 0.6:
            ask(endpoint, at, chance.choice((UDP, TCP)), now)
        for data, to in endpoint.datagrams_to_send(now):
            if chance.random() < 0.5:
                answer(endpoint, data, chance.choice((100, 200, 404)), to, now)
        assert endpoint.get_timer() == due(endpoint)
    while (next_at := endpoint.get_timer()) is not None:
        assert next_at >= now or next_at == due(endpoint)
        now = max(now, next_at)
        endpoint.handle_timer(now)
    assert not endpoint._transactions


def test_what_is_over_does_not_pile_up() -> None:
    """Over TCP an answered request is over at once, while the time when it would have been given up is far away."""
    endpoint = Endpoint(HERE, SeededChance(1), "test")
    for at in range(5000):
        ask(endpoint, at, TCP, 0.001 * at)
        ((sent, to),) = endpoint.datagrams_to_send(0.001 * at)
        answer(endpoint, sent, 200, to, 0.001 * at)
        assert isinstance(endpoint.next_event(), ResponseReceived)
        endpoint.handle_timer(0.001 * at)
    assert not endpoint._transactions
    assert len(endpoint._wakes) <= 64
