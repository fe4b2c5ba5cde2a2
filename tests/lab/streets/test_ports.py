"""Ports renamed, cables swapped, addresses doubled (F24), in a street of its own whose site pins its ports' MACs.

lan0 ─ renamed ─ named again       lan cable ─╳─ wan cable       nvr2 with the recorder's MAC
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.lab import topology
from edge.lab.orders import order
from edge.lab.street import SITE_FILE, Street, eventually
from tests.conftest import ORDERS, SCANS, nothing_crosses


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    text = SITE_FILE.read_text(encoding="utf-8")
    text = text.replace('port = "wan0"\n', f'port = "wan0"\nmac = "{topology.WAN0_MAC}"\n')
    text = text.replace('port = "lan0"\n', f'port = "lan0"\nmac = "{topology.LAN0_MAC}"\n')
    path = tmp_path_factory.mktemp("site") / "site.toml"
    path.write_text(text, encoding="utf-8")
    street = Street(Path("build/lab/ports-log"), site_file=path)
    try:
        street.open()
        eventually(lambda: whole(street), 60, "the street")
        yield street
    finally:
        street.close()


def whole(street: Street) -> bool:
    return bool(street.said("cityside").get("registered")) and any(
        street.said("siteside").get("recorders", {}).values()
    )


def inside(namespace: str, *words: str) -> str:
    done = subprocess.run(topology.inside(namespace, *words), capture_output=True, text=True, timeout=20, check=False)
    return done.stdout


def codes(street: Street) -> set[str]:
    return {code for code, *_ in street.status()["keeper"]["findings"]}


def link(namespace: str, *words: str) -> None:
    topology.ip("-n", namespace, "link", "set", *words)


EVERYWHERE = (*SCANS, "scan-pc-city", "scan-internet-city")


@pytest.mark.parametrize(("namespace", "port"), [("lan", "lan0"), ("wan", "wan0")])
def test_f24_a_port_that_was_renamed_gets_its_name_and_its_place_back(
    street: Street, namespace: str, port: str
) -> None:
    link(namespace, port, "down")
    link(namespace, port, "name", "other7")
    link(namespace, "other7", "up")
    nothing_crosses(*EVERYWHERE)
    eventually(lambda: f"{port}@" in inside(namespace, "ip", "-brief", "link"), 10, "its name again")
    eventually(lambda: "port_missing" not in codes(street), 20, "nothing is missing")
    eventually(lambda: whole(street), 120, "the recorder and the city again")
    assert "other7" not in inside(namespace, "ip", "-brief", "link")


def test_f24_names_that_changed_places_are_put_right_by_the_hardware(street: Street) -> None:
    """What the next boot may do to two USB adapters: each has the other's name, in the first namespace."""
    link("lan", "lan0", "down")
    topology.ip("-n", "lan", "link", "set", "lan0", "name", "tmp0", "netns", "wan")
    link("wan", "wan0", "down")
    link("wan", "wan0", "name", "lan0")
    link("wan", "tmp0", "name", "wan0")
    nothing_crosses(*EVERYWHERE)
    eventually(lambda: codes(street) & {"ports_swapped", "port_missing"}, 20, "the finding")
    nothing_crosses(*EVERYWHERE)
    # Nobody is renamed who has a name of ours: a person, or the next boot, puts it right.
    link("wan", "wan0", "down")
    link("wan", "wan0", "name", "tmp0")
    link("wan", "lan0", "down")
    link("wan", "lan0", "name", "wan0")
    link("wan", "tmp0", "name", "lan0")
    eventually(lambda: not codes(street) & {"ports_swapped", "port_missing"}, 30, "both known again")
    eventually(lambda: whole(street), 120, "the recorder and the city again")


def test_f24_swapped_cables_let_nothing_through_and_all_is_back_when_they_are_back(street: Street) -> None:
    """The site's switch is on the uplink's port, the provider on the LAN's: nobody is found and nobody gets through."""
    topology.ip("-n", "sw-lan", "link", "set", "p-box", "nomaster", "netns", "internet")
    topology.ip("-n", "internet", "link", "set", "up0", "netns", "sw-lan")
    topology.ip("-n", "sw-lan", "link", "set", "up0", "master", "br0", "up")
    topology.ip("-n", "internet", "addr", "add", f"{topology.INTERNET_IP}/24", "dev", "p-box")
    link("internet", "p-box", "up")
    nothing_crosses(*SCANS, "scan-pc-city")
    eventually(lambda: not street.said("cityside").get("registered"), 120, "the city is away")
    topology.ip("-n", "sw-lan", "link", "set", "up0", "nomaster", "netns", "internet")
    topology.ip("-n", "internet", "link", "set", "p-box", "netns", "sw-lan")
    topology.ip("-n", "sw-lan", "link", "set", "p-box", "master", "br0", "up")
    topology.ip("-n", "internet", "addr", "add", f"{topology.INTERNET_IP}/24", "dev", "up0")
    link("internet", "up0", "up")
    for network in ("192.168.1.0/24", "100.64.0.0/16"):
        topology.ip("-n", "internet", "route", "add", network, "via", topology.WAN_IP)
    eventually(lambda: whole(street), 120, "the recorder and the city again")


def test_f24_a_second_host_with_the_recorders_mac_gets_no_further_than_the_wire(street: Street) -> None:
    before = inside("nvr2", "ip", "-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]
    link("nvr2", "eth0", "down")
    link("nvr2", "eth0", "address", topology.NVR_MAC)
    link("nvr2", "eth0", "up")
    try:
        nothing_crosses(*EVERYWHERE)
        assert "192.168.1.10 lladdr 02:00:00:00:00:10 PERMANENT" in inside(
            "lan", "ip", "neighbour", "show", "dev", "lan0"
        )
    finally:
        link("nvr2", "eth0", "down")
        link("nvr2", "eth0", "address", before)
        link("nvr2", "eth0", "up")
    eventually(lambda: whole(street), 120, "the recorder and the city again")
    found = eventually(
        lambda: [c for c, f in order(ORDERS, "catalog")["channels"].items() if f[1] == "ON"], 60, "a channel"
    )
    order(ORDERS, f"play {found[0]}")
    eventually(lambda: order(ORDERS, "facts")["judge"].get("right", 0) > 5, 40, "pictures")
    order(ORDERS, "stop")
