"""The DHCP client as a table and as a conversation: frames carried by hand, time as a number."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.uplink import frame, message
from edge.uplink.dhcp import MAX_LEASE_SECONDS, TABLE, Client, Cue, Given, Leased, Lost, State, judged
from edge.uplink.message import Answer, RemoteDhcpError
from tests.chance import SeededChance

MAC, SERVER_MAC = bytes.fromhex("020000000102"), bytes.fromhex("020000000101")
SERVER, ADDRESS = IPv4Address("198.51.100.1"), IPv4Address("198.51.100.50")
COOKIE = bytes.fromhex("63825363")


def reply(kind: int, transaction: int, address: IPv4Address = ADDRESS, **said: bytes) -> bytes:
    """A server's message; ``o3=...`` sets or, with None, leaves out an option."""
    options: dict[int, bytes] = {
        53: bytes([kind]), 54: SERVER.packed, 1: bytes.fromhex("ffffff00"), 3: SERVER.packed, 6: SERVER.packed,
        51: (3600).to_bytes(4, "big"),
    }  # fmt: skip
    options |= {int(name[1:]): value for name, value in said.items()}
    text = b"".join(bytes([code, len(value)]) + value for code, value in options.items())
    head = bytes([2, 1, 6, 0]) + transaction.to_bytes(4, "big") + b"\0" * 8
    return head + address.packed + b"\0" * 8 + MAC.ljust(16, b"\0") + b"\0" * 192 + COOKIE + text + b"\xff"


def carried(payload: bytes, source: IPv4Address = SERVER) -> bytes:
    """The frame of a server's datagram: ``frame.build`` writes a client's, so the ports change places."""
    data = bytearray(frame.build(SERVER_MAC, MAC, source, IPv4Address("255.255.255.255"), payload))
    data[34:38] = b"\0\x43\0\x44"
    return bytes(data)


@dataclass
class Talk:
    """A client and the sheet of what it said."""

    client: Client = field(default_factory=lambda: Client(MAC, SeededChance(1)))
    now: float = 0.0

    def sent(self) -> list[tuple[int, bytes]]:
        """(kind, whole frame) of each message sent since."""
        frames = self.client.frames_to_send(self.now)
        return [(data[42 + 240 + 2], data) for data in frames]

    def until_timer(self) -> None:
        due = self.client.get_timer()
        assert due is not None
        self.now = max(self.now, due)
        self.client.handle_timer(self.now)

    def hear(self, kind: int, address: IPv4Address = ADDRESS, **said: bytes) -> None:
        self.client.receive_frame(carried(reply(kind, self.client._transaction, address, **said)), self.now)

    def events(self) -> list[object]:
        return list(iter(self.client.next_event, None))

    def to(self, state: State) -> Talk:
        """Go the straight way to a state."""
        self.client.start(self.now)
        steps = {State.INIT: 0, State.SELECTING: 1, State.REQUESTING: 2, State.BOUND: 3, State.RENEWING: 4,
                 State.REBINDING: 5}[state]  # fmt: skip
        for step in range(steps):
            if step == 1:
                self.hear(message.OFFER)
            elif step == 2:
                self.hear(message.ACK)
            else:
                self.until_timer()
                while step == 4 and self.client.state is not State.REBINDING:
                    self.until_timer()
        assert self.client.state is state
        self.sent(), self.events()
        return self


def test_a_lease_is_found_and_said() -> None:
    talk = Talk()
    talk.client.start(0)
    talk.until_timer()
    ((kind, data),) = talk.sent()
    assert kind == message.DISCOVER
    assert data[:6] == b"\xff" * 6
    assert data[26:34] == bytes(4) + b"\xff" * 4
    talk.hear(message.OFFER)
    ((kind, data),) = talk.sent()
    assert kind == message.REQUEST
    assert ADDRESS.packed in data[42 + 240 :]
    talk.hear(message.ACK)
    assert talk.events() == [Leased(Given(IPv4Interface("198.51.100.50/24"), SERVER, (SERVER,), (), 3600))]
    assert talk.client.get_timer() == talk.now + 1800


CUES = {
    Cue.OFFER: lambda talk: talk.hear(message.OFFER),
    Cue.ACK: lambda talk: talk.hear(message.ACK),
    Cue.NAK: lambda talk: talk.hear(message.NAK),
    Cue.CARRIER: lambda talk: talk.client.carrier(talk.now),
}


@pytest.mark.parametrize("cue", CUES)
@pytest.mark.parametrize("state", State)
def test_each_answer_in_each_state_is_in_the_table_or_without_effect(state: State, cue: Cue) -> None:
    talk = Talk().to(state)
    CUES[cue](talk)
    assert talk.client.state is TABLE[state].get(cue, state)
    if cue not in TABLE[state] and cue is not Cue.CARRIER:
        assert talk.client.counters["unexpected"] == 1
        assert not talk.sent()
        assert not talk.events()


@pytest.mark.parametrize("cue", Cue)
@pytest.mark.parametrize("state", State)
def test_each_cue_in_each_state_moves_as_the_table_says_and_never_breaks(state: State, cue: Cue) -> None:
    talk = Talk().to(state)
    if cue in (Cue.OFFER, Cue.ACK, Cue.NAK):
        return  # with their messages, above
    talk.client._cue(cue, talk.now)
    assert talk.client.state is TABLE[state].get(cue, state)


def test_every_state_can_be_left_and_reached() -> None:
    assert TABLE.keys() == set(State)
    assert {after for cues in TABLE.values() for after in cues.values()} == set(State)


def test_a_renewal_goes_to_the_server_alone_and_keeps_the_address() -> None:
    talk = Talk().to(State.BOUND)
    talk.until_timer()
    ((kind, data),) = talk.sent()
    assert (kind, data[:6]) == (message.REQUEST, SERVER_MAC)
    assert data[26:34] == ADDRESS.packed + SERVER.packed
    talk.hear(message.ACK)
    assert talk.client.state is State.BOUND
    assert isinstance(talk.events()[0], Leased)


def test_f19_a_lease_that_nobody_renews_ends_at_its_end_and_not_before() -> None:
    talk = Talk().to(State.BOUND)
    ends = 3600.0 + talk.now
    while not (events := talk.events()):
        talk.until_timer()
    assert events == [Lost()]
    assert talk.now == pytest.approx(ends, abs=1)
    assert talk.client.state is State.INIT


def test_f19_a_refused_renewal_ends_the_lease_at_once_and_the_search_begins() -> None:
    talk = Talk().to(State.RENEWING)
    talk.hear(message.NAK)
    assert talk.events() == [Lost()]
    talk.until_timer()
    assert talk.sent()[0][0] == message.DISCOVER


def test_f19_after_the_cable_was_away_silence_starts_a_search_and_the_address_stays_meanwhile() -> None:
    talk = Talk().to(State.BOUND)
    talk.client.carrier(talk.now)
    began = talk.now
    while talk.client.state is not State.SELECTING:
        talk.until_timer()
        assert talk.now - began < 15
    assert talk.events() == []
    other = IPv4Address("198.51.100.80")
    talk.hear(message.OFFER, other)
    talk.hear(message.ACK, other)
    (event,) = talk.events()
    assert isinstance(event, Leased)
    assert event.given.address.ip == other


def test_a_box_that_slept_through_its_lease_has_lost_it() -> None:
    talk = Talk().to(State.BOUND)
    talk.now += 100_000
    talk.client.handle_timer(talk.now)
    assert talk.events() == [Lost()]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("mask", {"o1": bytes.fromhex("fe000000")}),
        ("mask", {"o1": bytes.fromhex("fffffffe")}),
        ("mask", {"o1": bytes.fromhex("ffffffff")}),
        ("mask", {"o1": bytes.fromhex("ff00ff00")}),
        ("mask", {"o1": bytes(4)}),
        ("router", {"o3": IPv4Address("198.51.101.1").packed}),
        ("router", {"o3": ADDRESS.packed}),
        ("router", {"o3": IPv4Address("198.51.100.255").packed}),
        ("seconds", {"o51": (59).to_bytes(4, "big")}),
        ("option_length", {"o51": b"\1"}),
        ("option_length", {"o54": SERVER.packed * 2}),
        ("option_length", {"o6": b"\1\2\3"}),
        ("option_type", {"o53": b""}),
    ],
)
def test_an_offer_that_no_host_could_live_with_is_ignored_by_name(rule: str, said: dict[str, bytes]) -> None:
    talk = Talk().to(State.SELECTING)
    talk.hear(message.OFFER, **said)
    assert talk.client.state is State.SELECTING
    assert talk.client.counters[rule] == 1
    talk.hear(message.OFFER)
    assert talk.client.state is State.REQUESTING  # the control


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "198.51.100.0", "198.51.100.255"]
)
def test_an_address_that_is_no_hosts_is_ignored(address: str) -> None:
    talk = Talk().to(State.SELECTING)
    talk.hear(message.OFFER, IPv4Address(address))
    assert talk.client.state is State.SELECTING
    assert talk.client.counters["address"] + talk.client.counters["router"] == 1


def test_another_server_and_another_address_are_not_acknowledged() -> None:
    talk = Talk().to(State.REQUESTING)
    talk.hear(message.ACK, o54=IPv4Address("198.51.100.9").packed)
    talk.hear(message.ACK, IPv4Address("198.51.100.51"))
    assert talk.client.state is State.REQUESTING
    assert talk.client.counters == {"server_other": 1, "address_other": 1}


def test_somebody_elses_answer_is_not_ours() -> None:
    talk = Talk().to(State.SELECTING)
    talk.client.receive_frame(carried(reply(message.OFFER, talk.client._transaction + 1)), 0)
    other = bytearray(carried(reply(message.OFFER, talk.client._transaction)))
    other[42 + 28 : 42 + 34] = b"\2\2\2\2\2\2"
    talk.client.receive_frame(bytes(other), 0)
    assert talk.client.state is State.SELECTING


def test_only_what_is_used_is_kept_and_for_ever_is_a_week() -> None:
    said = reply(message.ACK, 1, o51=b"\xff" * 4, o6=SERVER.packed * 6, o12=b"name", o121=b"\0" * 5, o66=b"tftp")
    given = judged(message.parse(said))
    assert given.seconds == MAX_LEASE_SECONDS
    assert given.dns == (SERVER,) * message.MAX_SERVERS
    assert set(Answer.__dataclass_fields__) == {
        "kind", "transaction", "hardware", "address", "server", "mask", "router", "dns", "ntp", "seconds",
        "t1_seconds", "t2_seconds",
    }  # fmt: skip


def test_nothing_of_the_box_but_its_hardware_address_is_told() -> None:
    talk = Talk()
    talk.client.start(0)
    talk.until_timer()
    ((_, data),) = talk.sent()
    codes, at = set(), 42 + 240
    while data[at] != 255:
        codes.add(data[at])
        at += 2 + data[at + 1]
    assert codes == {53, 61, 57, 55}


# -- bytes -------------------------------------------------------------------------------------------------------------

SAMPLE = reply(message.ACK, 7)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(SAMPLE)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(236, len(data)))
        data[at : at + draw(st.integers(0, 6))] = draw(st.binary(max_size=8))
    return bytes(data)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.binary(max_size=400), damaged()))
def test_any_bytes_are_an_answer_or_refused_by_name(data: bytes) -> None:
    try:
        answer = message.parse(data)
        assert len(answer.dns) <= message.MAX_SERVERS
        judged(answer)
    except RemoteDhcpError as wrong:
        assert wrong.rule


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=1700), st.integers(0, 60))
def test_any_frame_is_read_or_not(data: bytes, at: int) -> None:
    good = carried(SAMPLE)
    assert frame.read(good) is not None  # the control
    frame.read(data)
    frame.read(good[:at] + data[:4] + good[at + 4 :])
    frame.read(good[: at * 5])


def test_a_torn_message_and_too_many_options_are_refused() -> None:
    assert message.parse(SAMPLE) is not None
    for rule, data in {
        "no_end": SAMPLE[:-1],
        "option_cut": SAMPLE[:-3],
        "options_many": SAMPLE[:-1] + b"\xfa\0" * 80 + b"\xff",
        "option_repeated": SAMPLE[:-1] + b"\x03\x04\1\2\3\4\xff",
        "length": SAMPLE + b"\0" * 1500,
        "header": b"\1" + SAMPLE[1:],
    }.items():
        with pytest.raises(RemoteDhcpError) as refused:
            message.parse(data)
        assert refused.value.rule == rule


def test_sums_are_those_that_a_router_wants() -> None:
    data = frame.build(MAC, SERVER_MAC, ADDRESS, SERVER, b"odd")
    assert frame._sum(data[14:34]) == 0
    pseudo = ADDRESS.packed + SERVER.packed + b"\0\x11" + data[38:40]
    assert frame._sum(pseudo + data[34:]) == 0


def test_a_sum_of_zero_is_written_as_all_ones() -> None:
    """RFC 768: a zero would say that there is none."""
    data = frame.build(MAC, SERVER_MAC, ADDRESS, SERVER, b"\0\0")
    payload = data[40:42]  # what the sum was short of makes it zero
    assert frame.build(MAC, SERVER_MAC, ADDRESS, SERVER, payload)[40:42] == b"\xff\xff"
