"""The LAN's wire leaves its namespace, as the kernel does with a port whose namespace it gives up, and is fetched back.

sw-lan ── lan0 ─ lan        lan0 ─ wan, shut        lan0 ─ lan again, its rules first
"""

from __future__ import annotations

import subprocess

from edge.lab import topology
from edge.lab.street import Street, eventually


def inside(namespace: str, *words: str) -> str:
    done = subprocess.run(topology.inside(namespace, *words), capture_output=True, text=True, timeout=20, check=False)
    return done.stdout


def codes(street: Street) -> set[str]:
    return {code for code, *_ in street.status()["keeper"]["findings"]}


def online(street: Street) -> bool:
    return any(street.said("siteside").get("recorders", {}).values())


def test_a_lan_port_that_left_is_fetched_back_with_its_rules_and_said(street: Street) -> None:
    eventually(lambda: online(street), 60, "the recorder")
    topology.ip("-n", "lan", "link", "set", "lan0", "netns", "wan")
    eventually(lambda: "192.168.1.2/24" in inside("lan", "ip", "address", "show", "dev", "lan0"), 10, "the port back")
    assert "lan0" not in inside("wan", "ip", "-brief", "link", "show")
    assert "192.168.1.10 lladdr 02:00:00:00:00:10 PERMANENT" in inside("lan", "ip", "neighbour", "show", "dev", "lan0")
    assert 'device "lan0"' in inside("lan", "nft", "list", "table", "netdev", "snowgate")
    assert street.status()["keeper"]["counters"]["lan_port_put_back"] >= 1
    assert "lan_port_left" in codes(street)
    eventually(lambda: online(street), 90, "the recorder again")


def test_an_adapter_that_is_away_is_said_and_the_tunnel_is_tended_meanwhile(street: Street) -> None:
    """The LAN's adapter is pulled: what is lost on the uplink meanwhile is put back all the same."""
    topology.ip("-n", "lan", "link", "del", "lan0")
    eventually(lambda: "port_missing" in codes(street), 20, "the finding")
    topology.ip("-n", "wan", "route", "del", "default")
    eventually(lambda: "default via" in inside("wan", "ip", "route", "show"), 20, "the default route put back")
    words = ["link", "add", "lan0", "netns", "wan", "address", topology.LAN0_MAC, "type", "veth"]
    topology.ip(*words, "peer", "name", "p-box", "netns", "sw-lan")
    topology.ip("-n", "sw-lan", "link", "set", "p-box", "master", "br0", "up")
    eventually(lambda: "192.168.1.2/24" in inside("lan", "ip", "address", "show", "dev", "lan0"), 20, "the port back")
    eventually(lambda: "port_missing" not in codes(street), 20, "nothing missing")
    eventually(lambda: online(street), 90, "the recorder again")
