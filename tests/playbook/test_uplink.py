"""What the uplink's program tells the keeper: taken, refused by name, kept over a restart.

The hands are recorders here; the lab has a real DHCP server and a real kernel (``tests/lab/streets``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge.control.wire import (
    CALLERS,
    Apply,
    ControlError,
    Done,
    Lease,
    NoLease,
    Refusal,
    Request,
    Resolved,
    Stale,
    Status,
    StatusReport,
    decode_request,
    encode_request,
)
from edge.keeper import uplink
from edge.keeper.hand import HandRefused
from edge.keeper.keeper import Folders, Keeper
from edge.lab import topology
from tests.proven import proven

STATIC = Path(topology.__file__).with_name("site.toml").read_text(encoding="utf-8")
UPLINK = STATIC[STATIC.index("[uplink]") : STATIC.index("[lan]")]
DHCP = STATIC.replace(UPLINK, '[uplink]\nport = "wan0"\nmode = "dhcp"\n\n').replace("203.0.113.10:", "hub.example:")
GOOD = Lease("wan0", "198.51.100.50/24", "198.51.100.1", ("198.51.100.1",), (), 3600)
HUB = Resolved("wg-a", "203.0.113.10")


@dataclass
class Facts:
    last_handshake: int = 0
    endpoint: str = ""
    public_key: str = ""
    received: int = 0
    sent: int = 0


@dataclass
class Hand:
    """A hand in front of a kernel that always holds; ``refuses`` is what it does not do."""

    refuses: str = ""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)

    def ask(self, what: str, *arguments: Any) -> Any:
        self.asked.append((what, arguments))
        if what == self.refuses:
            raise HandRefused("no")
        answers: dict[str, Any] = {
            "there": True, "cookie": 1, "mac": "02:00:00:00:00:02", "policies": _All(), "shown": "shown",
            "facts": self.facts, "observe_wireguard": _Same(),
        }  # fmt: skip
        return answers.get(what, [])

    def texts(self, what: str) -> list[str]:
        return [str(arguments) for asked, arguments in self.asked if asked == what]


class _All(frozenset[str]):
    def __rsub__(self, other: Any) -> frozenset[str]:
        return frozenset()


class _Same:
    """A device that is as it should be, but for its endpoint."""

    listen_port = None
    peers = _All()

    def __getattribute__(self, name: str) -> Any:
        return _Anything() if name == "public_key" else object.__getattribute__(self, name)


class _Anything(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class House:
    def __init__(self, folder: Path) -> None:
        self.folders = Folders(
            folder / "run", folder / "state", folder / "secrets", folder / "secrets", folder / "cityside"
        )
        for place in (self.folders.run, self.folders.state, self.folders.secrets):
            place.mkdir(exist_ok=True, mode=0o700)
        self.start()

    def start(self) -> None:
        self.hands = {name: Hand() for name in ("lan", "vpn", "wan")}
        hands: Any = self.hands
        self.keeper = Keeper(hands, {"lan": 3, "vpn": 4, "wan": 5}, self.folders, lambda: "0" * 32)
        self.keeper.restore()

    def apply(self, text: str) -> None:
        assert proven(self.keeper, "operator", self.keeper.answer("operator", Apply(text, 0))) == Done()

    def tell(self, request: Request) -> Any:
        return self.keeper.answer("uplink", decode_request("uplink", encode_request(1, request))[1])

    def codes(self) -> set[str]:
        answer = self.keeper.answer("operator", Status())
        assert isinstance(answer, StatusReport)
        return {code for code, *_ in answer.facts["findings"]}


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.apply(DHCP)
    return house


def test_a_lease_and_an_address_are_used_kept_and_there_after_a_restart(house: House) -> None:
    assert {"lease_none", "endpoint_unresolved"} <= house.codes()
    assert house.tell(GOOD) == Done()
    assert "198.51.100.50/24" in house.hands["wan"].texts("apply")[-1]
    assert "udp dport 53" in house.hands["wan"].texts("load")[-1], "at once: what is learned waits for no proof"
    assert house.tell(HUB) == Done()
    assert "Endpoint = 203.0.113.10:51820" in house.hands["vpn"].texts("syncconf")[-1]
    assert house.codes() == set()
    house.start()
    assert "198.51.100.50/24" in house.hands["wan"].texts("apply")[-1]
    assert house.codes() == set()


def test_what_is_told_twice_is_done_once(house: House) -> None:
    house.tell(GOOD)
    house.hands["wan"].asked.clear()
    assert house.tell(GOOD) == Done()
    assert house.hands["wan"].asked == []


def test_a_lease_that_ended_takes_address_and_rules_along(house: House) -> None:
    house.tell(GOOD)
    assert house.tell(NoLease("wan0")) == Done()
    assert "198.51.100.50" not in house.hands["wan"].texts("apply")[-1]
    assert "udp dport 53" not in house.hands["wan"].texts("load")[-1]
    assert "lease_none" in house.codes()


REFUSED = [
    ("lease_overlaps", Lease("wan0", "192.168.1.77/24", "192.168.1.1", (), (), 3600)),
    ("lease_router", Lease("wan0", "198.51.100.50/24", "198.51.200.1", (), (), 3600)),
    ("lease_address", Lease("wan0", "198.51.100.50/31", "", (), (), 3600)),
    ("lease_unasked", Lease("eth9", "198.51.100.50/24", "", (), (), 3600)),
    ("lease_unasked", NoLease("eth9")),
    ("tunnel_not_named", Resolved("wg-z", "203.0.113.10")),
    ("endpoint_inside", Resolved("wg-a", "192.168.1.10")),
    ("endpoint_inside", Resolved("wg-a", "100.64.255.10")),
    ("endpoint_no_host", Resolved("wg-a", "127.0.0.1")),
]


@pytest.mark.parametrize(("rule", "request_"), REFUSED, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(REFUSED)])
def test_what_does_not_fit_is_refused_by_name_and_touches_nothing(house: House, rule: str, request_: Request) -> None:
    house.tell(GOOD)
    kept = (house.folders.state / "learned.json").read_bytes()
    for hand in house.hands.values():
        hand.asked.clear()
    answer = house.tell(request_)
    assert isinstance(answer, Refusal)
    assert answer.rule == rule
    assert (house.folders.state / "learned.json").read_bytes() == kept
    assert not any(hand.asked for hand in house.hands.values())
    if isinstance(request_, Lease):
        assert rule in house.codes()
        house.tell(GOOD)
        assert rule not in house.codes()


def test_a_static_site_takes_neither(house: House) -> None:
    house.apply(STATIC)
    assert house.tell(GOOD).rule == "lease_unasked"
    assert house.tell(HUB).rule == "tunnel_not_named"


@pytest.mark.parametrize("step", ["load", "apply"])
def test_a_lease_that_the_kernel_does_not_take_is_not_kept(house: House, step: str) -> None:
    house.hands["wan"].refuses = step
    assert house.tell(GOOD).rule == "not_applied"
    assert not (house.folders.state / "learned.json").exists()
    house.hands["wan"].refuses = ""
    house.hands["wan"].asked.clear()
    house.keeper.tick()
    assert "198.51.100.50" not in str(house.hands["wan"].asked), "what was refused is not put back as drift"
    assert "lease_none" in house.codes()
    assert house.tell(GOOD) == Done()


@pytest.mark.parametrize("data", [b"", b"{", b'{"lease": 3}', b"\xff" * 40000])
def test_a_damaged_file_is_as_none(house: House, data: bytes) -> None:
    (house.folders.state / "learned.json").write_bytes(data)
    house.start()
    assert "lease_none" in house.codes()
    assert house.tell(GOOD) == Done()


def test_a_tunnel_without_a_new_handshake_is_stale_by_our_own_clock(house: House, monkeypatch: Any) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    facts = house.hands["vpn"].facts

    def stale() -> list[str]:
        told: list[str] = house.tell(Stale()).facts["stale"]
        return told

    assert stale() == []
    now[0] += uplink.STALE_SECONDS + 1
    assert stale() == ["wg-a"]
    facts.last_handshake = 4_000_000_000  # a wall clock that is wrong does not matter
    assert stale() == []
    now[0] += uplink.STALE_SECONDS - 1
    assert stale() == []
    now[0] += 2
    assert stale() == ["wg-a"]


BAD = [
    ("request_address", Lease("wan0", "198.51.100.500/24", "", (), (), 60)),
    ("request_address", Lease("wan0", "198.51.100.5/24", "x", (), (), 60)),
    ("request_address", Lease("wan0", "198.51.100.5/24", "", ("hub.example",), (), 60)),
    ("request_range", Lease("wan0", "198.51.100.5", "", (), (), 60)),
    ("request_range", Lease("wan0", "198.51.100.5/24", "", ("192.0.2.1",) * 5, (), 60)),
    ("request_range", Lease("wan0", "198.51.100.5/24", "", (), (), 0)),
    ("request_port", Lease("../x", "198.51.100.5/24", "", (), (), 60)),
    ("request_port", NoLease("a" * 16)),
    ("request_tunnel", Resolved("wg a", "192.0.2.1")),
    ("request_address", Resolved("wg-a", "hub.example")),
    ("request_types", Lease("wan0", "198.51.100.5/24", "", "192.0.2.1", (), 60)),  # type: ignore[arg-type]
    ("request_types", Lease("wan0", "198.51.100.5/24", "", (7,), (), 60)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("rule", "request_"), BAD, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(BAD)])
def test_a_request_out_of_bounds_is_not_even_decoded(rule: str, request_: Request) -> None:
    with pytest.raises(ControlError) as refused:
        decode_request("uplink", encode_request(1, request_))
    assert refused.value.rule == rule


def test_nobody_else_may_tell_and_the_uplink_may_tell_nothing_else() -> None:
    for caller in CALLERS:
        for request in (GOOD, NoLease("wan0"), HUB, Stale()):
            if caller != "uplink":
                with pytest.raises(ControlError):
                    decode_request(caller, encode_request(1, request))
    for foreign in (Apply("x", 0), Status()):
        with pytest.raises(ControlError):
            decode_request("uplink", encode_request(1, foreign))
