"""Names: asked of each server in turn, believed only as an answer to the question, and never forgotten."""

from __future__ import annotations

from ipaddress import IPv4Address

import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.uplink.names import (
    AGAIN_SECONDS,
    ANSWER_SECONDS,
    SOON_SECONDS,
    Found,
    Names,
    Question,
    RemoteDnsError,
    addresses,
    query,
)
from tests.chance import SeededChance

HUB, SERVER, SECOND = "hub.example", IPv4Address("203.0.113.53"), IPv4Address("203.0.113.54")
ONE, TWO = "203.0.113.10", "203.0.113.11"


def answer(data: bytes, *told: str, host: str = HUB, rcode: int = 0) -> bytes:
    """The answer to a question's octets."""
    reply = dns.message.make_response(dns.message.from_wire(data))
    reply.set_rcode(rcode)
    if told:
        reply.answer.append(dns.rrset.from_text(f"{host}.", 60, "IN", "A", *told))
    return reply.to_wire()


def asked(names: Names) -> Question:
    question = names.question_to_send()
    assert question is not None
    return question


def wanting(known: dict[str, IPv4Address] | None = None) -> Names:
    names = Names(SeededChance(1), known or {})
    names.want(frozenset({HUB}), (SERVER, SECOND), 0)
    return names


def found(names: Names) -> list[Found]:
    return list(iter(names.next_event, None))


def test_a_name_is_asked_at_once_and_again_after_five_minutes() -> None:
    names = wanting()
    question = asked(names)
    assert question.server == SERVER
    names.receive(answer(question.data, ONE), 1)
    assert found(names) == [Found(HUB, IPv4Address(ONE))]
    assert names.get_timer() == 1 + AGAIN_SECONDS
    names.handle_timer(AGAIN_SECONDS)
    assert names.question_to_send() is None
    names.handle_timer(1 + AGAIN_SECONDS)
    assert asked(names).data[2:] == question.data[2:]


def test_two_questions_have_two_numbers() -> None:
    assert len({asked(wanting_of(seed)).data[:2] for seed in range(20)}) > 15


def wanting_of(seed: int) -> Names:
    names = Names(SeededChance(seed), {})
    names.want(frozenset({HUB}), (SERVER,), 0)
    return names


@pytest.mark.parametrize("rcode", [2, 3, 5])
def test_f21_a_server_that_refuses_or_is_silent_gives_way_to_the_next_and_all_to_a_later_try(rcode: int) -> None:
    names = wanting()
    names.receive(answer(asked(names).data, rcode=rcode), 1)
    assert asked(names).server == SECOND
    names.handle_timer(1 + ANSWER_SECONDS)
    assert names.counters == {"dns_refused": 1, "dns_silent": 1}
    assert names.get_timer() == 1 + ANSWER_SECONDS + SOON_SECONDS
    assert not found(names)


def test_f21_what_was_good_once_is_told_without_any_server_and_stays() -> None:
    names = Names(SeededChance(1), {HUB: IPv4Address(ONE)})
    names.want(frozenset({HUB}), (), 0)
    assert found(names) == [Found(HUB, IPv4Address(ONE))]
    names.want(frozenset({HUB}), (SERVER,), 1)
    names.receive(answer(asked(names).data, rcode=3), 2)
    assert names.known == {HUB: IPv4Address(ONE)}
    names.want(frozenset(), (), 3)
    assert names.known == {HUB: IPv4Address(ONE)}, "a site that comes back works without DNS"


def test_f17_f21_a_stale_tunnel_has_its_name_asked_soon_and_the_next_address_tried() -> None:
    """A server tells its addresses in any order: the one that we have stays, until the tunnel is stale."""
    names, now = wanting(), 0.0
    for _ in range(5):
        names.receive(answer(asked(names).data, ONE, TWO), now)
        now += AGAIN_SECONDS
        names.handle_timer(now)
    (first,) = {each.address for each in found(names)}
    names.receive(answer(asked(names).data, ONE, TWO), now)
    assert [each.address for each in found(names)] == [first]
    names.stale(frozenset({HUB}), now)
    assert names.get_timer() == now + SOON_SECONDS
    names.handle_timer(now + SOON_SECONDS)
    names.receive(answer(asked(names).data, ONE, TWO), now + SOON_SECONDS)
    (other,) = found(names)
    assert {first, other.address} == {IPv4Address(ONE), IPv4Address(TWO)}


def test_new_servers_are_asked_at_once_and_an_old_ones_answer_does_not_count() -> None:
    names = wanting()
    old = asked(names)
    names.want(frozenset({HUB}), (SECOND,), 1)
    assert asked(names).server == SECOND
    names.receive(answer(old.data, "203.0.113.66"), 1)
    assert not found(names)
    assert names.counters["dns_foreign"] == 1


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("dns_foreign", lambda data: bytes([data[0] ^ 1]) + data[1:]),
        ("dns_foreign", lambda data: query(HUB, int.from_bytes(data[:2], "big"))),
        ("dns_foreign", lambda data: answer(query("other.example", int.from_bytes(data[:2], "big")), ONE)),
        ("dns_syntax", lambda data: data[:20]),
        ("dns_syntax", lambda data: b""),
        ("dns_long", lambda data: data + b"\0" * 5000),
        ("dns_empty", lambda data: answer(data, host="other.example")),
        ("dns_empty", lambda data: answer(data, ONE, host="other.example")),
        ("dns_empty", lambda data: answer(data, "127.0.0.1", "224.0.0.9", "0.0.0.0")),
    ],
)
def test_f21_an_answer_that_is_none_is_refused_by_name(rule: str, spoil: object) -> None:
    data = query(HUB, 4711)
    good = answer(data, ONE)
    assert addresses(good, HUB, 4711) == (IPv4Address(ONE),)  # the control
    with pytest.raises(RemoteDnsError) as refused:
        addresses(spoil(good if rule in ("dns_foreign", "dns_syntax", "dns_long") else data), HUB, 4711)  # type: ignore[operator]
    assert refused.value.rule == rule


def test_a_name_that_is_another_names_is_followed() -> None:
    data = query(HUB, 9)
    reply = dns.message.make_response(dns.message.from_wire(data))
    reply.answer.append(dns.rrset.from_text(f"{HUB}.", 60, "IN", "CNAME", "a.example."))
    reply.answer.append(dns.rrset.from_text("a.example.", 60, "IN", "A", ONE))
    assert addresses(reply.to_wire(), HUB, 9) == (IPv4Address(ONE),)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 60), st.integers(0, 8))
def test_any_bytes_are_an_answer_or_refused_by_name(data: bytes, at: int, cut: int) -> None:
    good = answer(query(HUB, 1), ONE, TWO)
    for octets in (data, good[:2] + data, good[:at] + data + good[at + cut :]):
        try:
            assert addresses(octets, HUB, 1)
        except RemoteDnsError as wrong:
            assert wrong.rule
