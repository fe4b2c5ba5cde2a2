"""Take one wall away; another still holds.

| wall removed                          | attack                                              | wall that still holds                    |
|---------------------------------------|-----------------------------------------------------|------------------------------------------|
| nft, flushed in lan, vpn and wan      | scans, foreign RTP and SIP, fragments, ICMP errors  | no road; the relay; siteside's admission |
| `verify`, replaced by a stub          | a record whose name holds markup, CRLF, bidi marks  | cityside's codec, and its strict builder |
| `access`, replaced by a stub          | the city opens a channel that is not shared         | siteside, which knows the shared alone   |
| a side, owned                         | it hands over a socket of another namespace or kind | the ferry's descriptor checks            |
| a side, owned                         | media without an answer, an answer without a pin    | the ferry's table of calls               |
| the ferry, owned                      | a passed socket used against another host           | seccomp (`test_seccomp`, with its control) |
| the ferry, owned                      | a pin toward a foreign address, port or at any rate | the keeper, against the confirmed site   |
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from edge.control.wire import ClosePin, Done, OpenIn, OpenOut, Refusal, RenewPin
from edge.gb28181.platform import Platform
from edge.io.log import Log
from edge.keeper.keeper import Folders, Keeper
from edge.lab import city, topology
from edge.lab.naive import NaiveRelay
from edge.lab.probes import NO_CALL_PORT, PROBES, Captures, LiveCall, run_probe
from edge.lab.street import Street, eventually
from edge.manscdp.catalog import CatalogEntry, CatalogResponse
from edge.manscdp.messages import decode, encode
from edge.records.codec import RemoteRecordError
from edge.records.codec import decode as decode_record
from edge.records.codec import encode as encode_record
from edge.records.types import CatalogItem, MediaRefused, OpenMedia
from edge.siteside.core import SendRecord, SiteSide
from edge.siteside.process import platform_config
from netconf.check import read_site
from tests.chance import SeededChance

SITE, _ = read_site((Path(__file__).parents[2] / "edge/lab/site.toml").read_text(encoding="utf-8"))
assert SITE is not None
NVR, PRIVATE = "34020000001180000001", "34020000001310000002"
CALL = LiveCall(30000, 15060, 7, 40000, 41000, 1, 1)
WITHOUT_NFT = [probe for probe in PROBES if probe.holds_without_nft]


@pytest.fixture(scope="module")
def flushed(street: Street) -> Any:
    """The street with every rule lost, and nobody who puts them back; afterwards the keeper does."""
    with street.held("keeper"):
        for namespace in ("lan", "vpn", "wan"):
            subprocess.run(topology.inside(namespace, "nft", "flush", "ruleset"), check=True, timeout=20)
        captures = Captures()
        relay = NaiveRelay((5060, CALL.lan_port, NO_CALL_PORT), CALL.city_local_port)
        yield captures
        captures.close()
        relay.close()
        for namespace in ("lan", "vpn", "wan"):
            shown = topology.inside(namespace, "nft", "list", "ruleset")
            assert subprocess.run(shown, capture_output=True, check=True).stdout == b"", "they were away all the time"

    def back() -> bool:
        return not any(street.status()["keeper"]["rules_missing"].values())

    eventually(back, 20, "the rules again")


@pytest.mark.parametrize("probe", WITHOUT_NFT, ids=[probe.id for probe in WITHOUT_NFT])
def test_with_every_rule_lost_nothing_crosses(flushed: Captures, probe: Any) -> None:
    result = run_probe(probe, flushed, CALL, 2)
    assert result.control_arrived > 0, "the control"
    assert result.arrived == 0


EVIL = ["<b>&\"'", "a\r\nX-Smuggled: 1", "\u202egnp.exe", "x\x00y", "门" * 40]


@pytest.mark.parametrize("name", EVIL)
def test_with_verify_gone_the_city_side_still_builds_only_what_is_clean(name: str) -> None:
    raw = name.encode("utf-8")
    parts = [NVR.encode(), b"4" * 20, raw, b"", b"", b"0", b"1"]
    record = b"\x01\x01" + b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    try:
        item = decode_record(record)
    except RemoteRecordError as refused:
        assert refused.rule in ("record_alphabet", "record_text")
        return
    assert isinstance(item, CatalogItem)
    page = encode(CatalogResponse(1, NVR, 1, (CatalogEntry("4" * 20, name=item.name),)))
    again = decode(page)
    assert isinstance(again, CatalogResponse)
    assert again.items[0].name == name, "it is text to the city, not markup"
    assert page.count(b"<Item>") == 1


def test_with_access_gone_the_site_side_still_knows_the_shared_channels_alone(tmp_path: Path) -> None:
    assert SITE is not None
    side = SiteSide(SITE, Platform(platform_config(SITE, tmp_path, Log("test")), SeededChance(1)), SeededChance(2))

    side.on_record(encode_record(OpenMedia(7, city.ID, NVR, PRIVATE, "live", "")), 1.0)
    assert side.commands() == [SendRecord(MediaRefused(7, 404, "channel_unknown"))]


@dataclass(slots=True)
class RecordingHand:
    """A hand that writes down what it is asked; the kernel itself is tested elsewhere."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def ask(self, *what: Any) -> Any:
        self.asked.append(what)
        return {"there": True, "cookie": 1, "mac": topology.NVR_MAC, "policies": _AllPolicies()}.get(what[0], [])


class _AllPolicies(frozenset[str]):
    def __rsub__(self, other: Any) -> frozenset[str]:
        return frozenset()


PIN = OpenIn("in-7", NVR, 30000, (96,), 2048, 30)
OUT = OpenOut("out-7", "100.64.255.10", 40000, topology.TUNNEL_IP, 41000, 2048, 30)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    hands: Any = {name: RecordingHand() for name in ("lan", "vpn", "wan")}
    made = Keeper(hands, {"lan": 1, "vpn": 2}, Folders(*(tmp_path,) * 5), lambda: "0" * 32)
    made._store.site = SITE
    return made


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (replace(OUT, address="203.0.113.66"), "pin_city_address"),
        (replace(OUT, address="192.168.1.10"), "pin_city_address"),
        (replace(OUT, local="192.168.1.2"), "pin_tunnel"),
        (replace(PIN, lan_port=5060), "pin_lan_port"),
        (replace(PIN, recorder="9" * 20), "pin_recorder"),
        (replace(PIN, max_kbytes_per_second=20_000), "pin_rate"),
        (replace(OUT, max_kbytes_per_second=20_000), "pin_rate"),
        (RenewPin("in-8", 30), "pin_unknown"),
    ],
)
def test_an_owned_ferry_gets_no_pin_that_the_site_does_not_cover(keeper: Keeper, wrong: Any, rule: str) -> None:
    for right in (PIN, OUT):
        assert isinstance(keeper.answer("ferry", right), Done), "the control: the right ones are opened"
    assert keeper.answer("ferry", wrong) == Refusal(rule)
    assert keeper.counters[rule] == 1


def test_two_calls_never_share_a_port(keeper: Keeper) -> None:
    assert isinstance(keeper.answer("ferry", PIN), Done)
    assert keeper.answer("ferry", replace(PIN, pin="in-8")) == Refusal("pin_lan_port_taken")
    assert isinstance(keeper.answer("ferry", ClosePin("in-7")), Done)
    assert isinstance(keeper.answer("ferry", replace(PIN, pin="in-8")), Done)


def test_of_what_a_recorder_is_asked_for_only_what_it_chose_stays_open(keeper: Keeper) -> None:
    def loaded() -> str:
        hand: Any = keeper._kernel._hands["lan"]
        return str([asked for asked in hand.asked if asked[0] == "load"][-1][1])

    key = f"{topology.NVR_IP} . 30000 . "
    assert isinstance(keeper.answer("ferry", replace(PIN, payload_types=(96, 98, 100))), Done)
    assert all(f"add element inet snowgate media {{ {key}{each} limit" in loaded() for each in (96, 98, 100))
    assert isinstance(keeper.answer("ferry", replace(PIN, payload_types=(98,))), Done)
    lines = loaded().splitlines()
    for gone in (96, 100):
        assert [line.split()[0] for line in lines if f"{key}{gone} " in line] == ["add", "delete"]
    assert [line.split()[0] for line in lines if f"{key}98 " in line] == ["add", "delete", "add"]
    assert isinstance(keeper.answer("ferry", RenewPin("in-7", 30)), Done)
    assert f"{key}98 " in loaded() and f"{key}96 " not in loaded()


def test_a_pin_that_is_another_ones_namesake_takes_its_place_in_its_own_namespace(keeper: Keeper) -> None:
    assert isinstance(keeper.answer("ferry", PIN), Done)
    assert isinstance(keeper.answer("ferry", replace(OUT, pin="in-7")), Done)
    asked = {name: hand.asked[-1][1] for name, hand in keeper._kernel._hands.items() if name != "wan"}  # type: ignore[attr-defined]
    assert "delete element inet snowgate media { 192.168.1.10 . 30000 . 96 }" in asked["lan"]
    assert "add element inet snowgate media { 100.64.0.10 . 100.64.255.10 . 40000 . 41000 limit" in asked["vpn"]
