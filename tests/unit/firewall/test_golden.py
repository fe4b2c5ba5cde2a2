"""The lab's site as nft text, byte for byte. ``SNOWGATE_GOLDEN=write`` writes the files; review the difference."""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from firewall.compile import rulesets
from firewall.ruleset import Ruleset
from netconf.check import read_site
from netconf.learned import NOTHING, HeldLease, Learned

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/golden/nft"
TEXT = (ROOT / "edge/lab/site.toml").read_text(encoding="utf-8")
SITE, _ = read_site(TEXT)
assert SITE is not None


UPLINK = TEXT[TEXT.index("[uplink]") : TEXT.index("[lan]")]
HUB = ("hub.example", IPv4Address("203.0.113.10"))
LEASE = HeldLease(
    "wan0",
    IPv4Interface("198.51.100.50/24"),
    IPv4Address("198.51.100.1"),
    (IPv4Address("198.51.100.1"),),
    (IPv4Address("203.0.113.123"),),
)
NAMED = TEXT.replace(UPLINK, '[uplink]\nport = "wan0"\nmode = "dhcp"\n\n').replace("203.0.113.10:", "hub.example:")
ONE_ARM = NAMED.replace('"wan0"', '"lan0"').replace("[lan]", '[lan]\nmode = "one_arm"')
VLAN = TEXT.replace("[lan]", "[lan]\nvlan = 20")
TWO = TEXT.replace(
    "[control]",
    """[[platform]]
id = "34020000002000000002"
domain = "3402000000"
address = "100.64.255.11"
local_port = 5061
transport = "udp"
media_networks = ["100.64.255.11/32"]
redirect = [{address = "100.64.255.12", port = 5070}]

[control]""",
)
MONITORED = TEXT + '\n[monitoring]\nreaders = ["100.64.255.30", "100.64.255.20"]\n'
TUNNELS = (ROOT / "tests/sites/two-tunnels.toml").read_text(encoding="utf-8")
#: The owner's part alone: no city yet.
BARE = (
    TEXT[: TEXT.index("[site]")]
    + TEXT[TEXT.index("[uplink]") : TEXT.index("[[tunnel]]")]
    + TEXT[TEXT.index("[[recorder]]") :]
)
ARM_LEASE = replace(LEASE, port="lan0", address=IPv4Interface("192.168.1.200/24"), gateway=IPv4Address("192.168.1.1"))
#: What a site and what was learned add up to; each is a file of its own.
MORE = {
    "wan-dhcp-no-lease": (NAMED, NOTHING, "wan"),
    "wan-dhcp": (NAMED, Learned(LEASE, (HUB,)), "wan"),
    "wan-one-arm": (ONE_ARM, Learned(ARM_LEASE, (HUB,)), "wan"),
    "lan-one-arm": (ONE_ARM, NOTHING, "lan"),
    "lan-vlan": (VLAN, NOTHING, "lan"),
    "vpn-two-platforms": (TWO, NOTHING, "vpn"),
    "vpn-two-tunnels": (TUNNELS, NOTHING, "vpn"),
    "vpn-monitored": (MONITORED, NOTHING, "vpn"),
    "vpn-not-enrolled": (BARE, NOTHING, "vpn"),
    "wan-not-enrolled": (BARE, NOTHING, "wan"),
}


@pytest.mark.parametrize("name", MORE)
def test_the_rules_of_a_lease_and_of_a_wire_are_as_reviewed(name: str) -> None:
    text, learned, namespace = MORE[name]
    site, found = read_site(text)
    assert site is not None, found
    (ruleset,) = (rules for rules in rulesets(site, learned) if rules.namespace == namespace)
    compare(ruleset, name)


def compare(ruleset: Ruleset, name: str) -> None:
    path = GOLDEN / f"{name}.nft"
    if os.environ.get("SNOWGATE_GOLDEN") == "write":
        path.write_text(ruleset.text(), encoding="utf-8")
    assert ruleset.text() == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("ruleset", rulesets(SITE), ids=lambda ruleset: ruleset.namespace)
def test_the_text_is_as_reviewed(ruleset: Ruleset) -> None:
    compare(ruleset, ruleset.namespace)


@pytest.mark.parametrize("ruleset", rulesets(SITE), ids=lambda ruleset: ruleset.namespace)
def test_each_chain_ends_with_a_word_of_its_own(ruleset: Ruleset) -> None:
    last: dict[str, str] = {}
    for line in ruleset.text().splitlines():
        if line.startswith("add rule "):
            last[" ".join(line.split()[2:5])] = line
    assert last
    for chain, line in last.items():
        wanted = "accept" if chain.endswith(" raw") else "drop"
        assert f"counter {wanted} comment" in line, chain


@pytest.mark.parametrize("ruleset", rulesets(SITE), ids=lambda ruleset: ruleset.namespace)
def test_no_rule_trusts_connection_tracking(ruleset: Ruleset) -> None:
    assert "ct " not in ruleset.text().replace("accept ", "")
