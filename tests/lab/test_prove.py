"""The proof itself: green upon what the compiler makes, and red upon each wall that somebody opened or door that is gone.

recorder, owner, stranger ── lan │        │ vpn ── city, another site
                                 │ rules  │ wan ── Internet
"""

from __future__ import annotations

import re
import subprocess
import sys
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from edge.lab import private
from firewall.compile import rulesets
from firewall.prove.cases import all_cases
from firewall.prove.packet import Outcome, Room
from firewall.prove.trial import trial
from netconf.check import read_site
from netconf.learned import NOTHING
from netconf.model import Site
from tests.playbook import test_ferry as ferry

SITE = ferry.granted("talk")
WG_B = SITE.tunnel[0].model_copy(update={"name": "wg-b", "address": IPv4Interface("100.64.0.11/32")})
SPOKEN = SITE.model_copy(update={"tunnel": (*SITE.tunnel, WG_B)})
LAB, TWO_TUNNELS = Path("edge/lab/site.toml"), Path("tests/sites/two-tunnels.toml")
SEED = 11
#: Which rule is opened (its drop becomes an accept) or taken away, and the case that must notice.
OPENED = [
    ("lan", "no IP options", "K13"), ("lan", "only to the port's own address", "K04"),
    ("lan", "closed", "K01"), ("vpn", "closed", "S16"), ("vpn", "only to the port's own address", "K04"),
    ("vpn", "media that the city refuses, noted", "K06"), ("wan", "closed", "W05"), ("wan", "no IP options", "K13"),
    ("lan", "media of no view, noted", "R01"), ("lan", "spoofed 34020000001180000001, noted", "R01"),
]  # fmt: skip
TAKEN = [
    ("lan", "media of open views", "A03"), ("lan", "SIP of 34020000001180000001", "A01"), ("lan", "ARP", "A08"),
    ("lan", "the owner's page", "A31"), ("lan", "sound of open talks", "A07"), ("vpn", "media of open views", "A13"),
    ("vpn", "SIP of 34020000002000000001", "A10"), ("vpn", "sound of open talks", "A15"), ("wan", "WireGuard wg-a", "A20"),
    ("wan", "the city's enrolment", "A24"),
    ("vpn", "reports to the city's control", "A16"), ("vpn", "media of open views, by TCP", "A14"),
    ("lan", "reports about open views", "A09"), ("lan", "reports to 34020000001180000001", "A09"),
    ("vpn", "reports about open views", "A19"),
]  # fmt: skip
#: What of a rule's match is taken away, and the case that must notice.
LOOSENED = [
    ("vpn", " @th,72,8 != 192-223", "R07"), ("vpn", " @th,72,8 { 200, 201 }", "R07"), ("vpn", " udp length <= 264", "R07"),
    ("lan", " @th,72,8 201", "R07"), ("lan", " udp length <= 108", "R07"),
]  # fmt: skip
#: The same upon the wires, which only a packet socket meets alone: room, device, rule that is opened, case.
WIRES = [
    ("lan", "lan0", "closed", "V05"), ("lan", "lan0", "no fragments", "K03"), ("lan", "lan0", "no IP options", "K13"),
    ("vpn", "wg-a", "closed", "K01"), ("vpn", "wg-a", "no fragments", "K03"), ("vpn", "wg-a", "no IP options", "K13"),
    ("vpn", "wg-b", "closed", "K14"), ("wan", "wan0", "closed", "V05"),
]  # fmt: skip


def texts(site: Site = SITE) -> dict[Room, str]:
    names: tuple[Room, ...] = ("lan", "vpn", "wan")
    return dict(zip(names, (each.text() for each in rulesets(site)), strict=True))


@pytest.fixture(autouse=True)
def rights() -> None:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")


def proven(rules: dict[Room, str], site: Site = SITE) -> list[Outcome]:
    return trial(site, NOTHING, rules, all_cases(site, NOTHING, SEED))


def red(outcomes: list[Outcome]) -> set[str]:
    return {outcome.case.id for outcome in outcomes if not outcome.green}


def test_what_the_compiler_makes_is_green_and_each_packet_could_have_arrived() -> None:
    outcomes = proven(texts())
    assert not red(outcomes)
    named = [o for o in outcomes if o.case.id != "draw"]
    # The kernel itself never takes a loose source route.
    assert {o.case.words for o in named if not o.bare} <= {"IP options (loose source route)"}
    assert all(o.wall for o in named if not o.case.passes), "each names its wall"


def test_before_the_box_is_enrolled_nothing_of_vpn_passes_and_that_is_proven_too() -> None:
    bare = SITE.model_copy(update={"site": None, "tunnel": (), "platform": (), "control": None})
    rules = texts(bare)
    assert not red(proven(rules, bare))
    rules["vpn"] = rules["vpn"].replace(" drop comment", " accept comment").replace("policy drop", "policy accept")
    assert "A23" in red(proven(rules, bare))


def test_a_hole_that_asks_for_no_user_turns_it_red() -> None:
    rules = texts()
    anybody = rules["wan"].replace(
        "meta skuid . ip daddr . tcp dport @enrolment counter", "tcp dport 8443-8444 counter"
    )
    assert anybody != rules["wan"]
    outcomes = proven(rules | {"wan": anybody})
    assert {o.case.words for o in outcomes if not o.green and o.case.id == "V05"} >= {"another user's hole"}


@pytest.mark.parametrize(("room", "policy", "case"), OPENED)
def test_a_wall_that_is_opened_turns_it_red(room: Room, policy: str, case: str) -> None:
    rules = texts()
    lines = rules[room].splitlines(keepends=True)
    rules[room] = "".join(
        line.replace(" drop comment", " accept comment").replace("policy drop", "policy accept")
        if f'comment "{policy}"' in line
        else line
        for line in lines
    )
    assert rules != texts()
    assert case in red(proven(rules))


@pytest.mark.parametrize(("room", "policy", "case"), TAKEN)
def test_a_door_that_is_gone_turns_it_red(room: Room, policy: str, case: str) -> None:
    rules = texts()
    kept = [line for line in rules[room].splitlines(keepends=True) if f'comment "{policy}"' not in line]
    rules[room] = "".join(kept)
    assert rules != texts()
    assert case in red(proven(rules))


#: The same of a site with two tunnels; what two rules hold is opened at both.
TUNNELS_OPENED = [
    (("wg-a carries its own address alone",), "K14"), (("wg-b carries its own address alone",), "K14"),
    (("only to the port's own address", "wg-b brings what is for its address"), "K04"),
]  # fmt: skip
TUNNELS_TAKEN = [("probes of wg-a", "A18"), ("probes of wg-b", "A18")]


def two_tunnels() -> Site:
    site, _ = read_site(TWO_TUNNELS.read_text(encoding="utf-8"))
    assert site is not None
    return site


def test_two_tunnels_are_proven_each_by_its_own_door() -> None:
    site = two_tunnels()
    outcomes = proven(texts(site), site)
    assert not red(outcomes)
    assert {o.case.door for o in outcomes if o.case.room == "vpn"} == {0, 1}
    assert all(o.bare for o in outcomes if o.case.door and o.case.id != "draw"), "each could have arrived"


@pytest.mark.parametrize(("policies", "case"), TUNNELS_OPENED)
def test_a_wall_between_the_tunnels_that_is_opened_turns_it_red(policies: tuple[str, ...], case: str) -> None:
    site = two_tunnels()
    rules = texts(site)
    gone = [f'comment "{policy}"' for policy in policies]
    kept = [line for line in rules["vpn"].splitlines(keepends=True) if not any(each in line for each in gone)]
    # Its wire asks for the same.
    wires = [f" egress-{tunnel.name} " for tunnel in site.tunnel if any(tunnel.name in policy for policy in policies)]
    own = re.compile(r" ip saddr [0-9][0-9.]+ ")
    rules["vpn"] = "".join(own.sub(" ", line) if any(wire in line for wire in wires) else line for line in kept)
    assert rules != texts(site)
    assert case in red(proven(rules, site))


@pytest.mark.parametrize(("policy", "case"), TUNNELS_TAKEN)
def test_a_probes_door_that_is_gone_turns_it_red(policy: str, case: str) -> None:
    site = two_tunnels()
    rules = texts(site)
    rules["vpn"] = "".join(line for line in rules["vpn"].splitlines(keepends=True) if f'comment "{policy}"' not in line)
    assert case in red(proven(rules, site))


@pytest.mark.parametrize(("room", "device", "policy", "case"), WIRES)
def test_a_wire_that_is_opened_turns_its_frames_red(room: Room, device: str, policy: str, case: str) -> None:
    rules = texts(SPOKEN)
    rules[room] = "".join(
        line.replace(" drop comment", " accept comment").replace("policy drop", "policy accept")
        if f" egress-{device} " in line and (f'comment "{policy}"' in line or "policy drop" in line)
        else line
        for line in rules[room].splitlines(keepends=True)
    )
    outcomes = [o for o in proven(rules, SPOKEN) if not o.green]
    assert case in {o.case.id for o in outcomes}
    assert {(o.case.room, o.case.way) for o in outcomes} <= {(room, "frame"), (room, "out")}
    assert room != "vpn" or {SPOKEN.tunnel[o.case.door].name for o in outcomes if o.case.way == "frame"} == {device}


@pytest.mark.parametrize(("held", "words"), [
    ("media", {f"media to another host of the city by {name}, as a frame" for name in ("wg-a", "wg-b")}),
    ("reports", {"wg-a: a report of no view", "a report of a view of wg-a, by wg-b, as a frame"}),
])  # fmt: skip
def test_pins_hold_upon_the_wire_of_each_tunnel(held: str, words: set[str]) -> None:
    rules = texts(SPOKEN)
    assert not red(proven(rules, SPOKEN))
    rules["vpn"] = wires_without(rules["vpn"], f" ip saddr . ip daddr . udp dport . udp sport @{held} ")
    assert words <= {o.case.words for o in proven(rules, SPOKEN) if not o.green and o.case.way == "frame"}


def test_the_pins_of_reports_hold_upon_the_wire_to_the_recorder() -> None:
    rules = texts()
    rules["lan"] = wires_without(rules["lan"], " ip daddr . udp sport @reports ")
    outcomes = [o for o in proven(rules) if not o.green]
    assert {(o.case.words, o.case.way) for o in outcomes if o.case.id == "R07"} == {("a report of no view", "frame")}


def wires_without(text: str, match: str) -> str:
    lines = text.splitlines(keepends=True)
    loose = [line.replace(match, " ") if "netdev" in line else line for line in lines]
    assert loose != lines
    return "".join(loose)


@pytest.mark.parametrize(("way", "words"), [
    ("out", "a report of a view of wg-a, by wg-b"), ("in", "a viewer's report of a view of wg-a, by wg-b"),
])  # fmt: skip
def test_reports_of_a_view_are_of_its_tunnel_alone(way: str, words: str) -> None:
    site = two_tunnels()
    rules, key = texts(site), "ip saddr . ip daddr . udp dport . udp sport"
    assert words in {o.case.words for o in proven(rules, site) if o.green and o.case.way == way}
    back = "ip daddr . ip saddr . udp sport . udp dport"
    rules["vpn"] = re.sub(rf"(?:{key}|{back}) @(reports|returns) ", "", rules["vpn"])
    assert words in {o.case.words for o in proven(rules, site) if not o.green and o.case.way == way}


@pytest.mark.parametrize(("room", "match", "case"), LOOSENED)
def test_a_rule_that_asks_less_turns_it_red(room: Room, match: str, case: str) -> None:
    rules = texts()
    rules[room] = rules[room].replace(match, "")
    assert rules != texts()
    assert case in red(proven(rules))


def test_rules_that_are_none_are_no_proof(tmp_path: Path) -> None:
    for name, text in texts().items():
        (tmp_path / f"{name}.nft").write_text(text + "this is no rule\n", encoding="utf-8")
    done = prove("--site", str(LAB), "--texts", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "kernel does not take these rules" in done.stderr
    assert "Traceback" not in done.stderr


def prove(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "prove", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_the_owner_proves_keeps_and_checks(tmp_path: Path) -> None:
    done = prove("--site", str(LAB), "--out", str(tmp_path), "--key", str(tmp_path / "key"))
    assert done.returncode == 0, done.stdout + done.stderr
    result = next(tmp_path.glob("*Z/result.json"))
    assert prove("--verify", str(result)).returncode == 0
    data = bytearray(result.read_bytes())
    data[data.index(b'"arrived"') + 11] ^= 1
    result.write_bytes(data)
    assert prove("--verify", str(result)).returncode == 1


def test_each_packet_of_a_capture_is_explained(tmp_path: Path) -> None:
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap

    nvr = Ether(src="02:00:00:00:00:10", dst="02:00:00:00:00:02")
    own = IP(src="192.168.1.10", dst="192.168.1.2")
    capture = tmp_path / "lan.pcap"
    wrpcap(str(capture), [
        nvr / own / UDP(sport=5060, dport=5060) / b"MESSAGE",
        nvr / own / TCP(sport=4000, dport=22),
        nvr / IP(src="192.168.1.10", dst="100.64.255.10") / UDP(dport=5060),
        Ether(src="02:00:00:00:00:77") / own / UDP(dport=5060),
    ])  # fmt: skip
    done = prove("--site", str(LAB), "--explain", str(capture), "--room", "lan")
    said = [line.split("\t")[2:] for line in done.stdout.splitlines()]
    assert said == [
        ["accept", "SIP of 34020000001180000001"],
        ["drop", "closed"],
        ["drop", "only to the port's own address"],
        ["drop", "spoofed 34020000001180000001, noted"],
    ], done.stderr
    capture.write_bytes(b"no capture at all")
    done = prove("--site", str(LAB), "--explain", str(capture))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
