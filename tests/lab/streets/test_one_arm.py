"""One cable for both: the box's one port hangs in the site's switch, and so does the way to the city.

         192.168.1.0/24                    the box
nvr .10 ───┐                 ┌──────────────────────────────┐
pc .66 ────┼─ sw-lan ── lan0 ┤ wan  .200, WireGuard         │
router .1 ─┘                 │ └ arm0 in lan  .2, siteside  │
    └── 192.0.2.1 internet ── city
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.lab import private, topology
from edge.lab.capture import PREFIX, Capture, Uplink
from edge.lab.orders import order
from edge.lab.sockets import in_namespace
from edge.lab.street import SITE_FILE, Street, eventually
from netconf.check import read_site
from tests.conftest import ORDERS

OUTER = "192.168.1.200"


def one_arm_text() -> str:
    text = SITE_FILE.read_text(encoding="utf-8")
    text = text.replace('port = "wan0"', 'port = "lan0"').replace("[lan]", '[lan]\nmode = "one_arm"')
    return text.replace("198.51.100.2/24", f"{OUTER}/24").replace('"198.51.100.1"', f'"{topology.ROUTER_IP}"')


def one_cable() -> None:
    """The second port is pulled, and the Internet knows the site behind the router."""
    topology.ip("-n", "wan", "link", "del", "wan0")
    topology.ip("-n", "internet", "route", "replace", "192.168.1.0/24", "via", "192.0.2.2")


@pytest.fixture(scope="module")
def judge() -> Uplink:
    return Uplink((topology.CITY_PUBLIC, topology.HUB_PORT), mac=topology.LAN0_MAC)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory, judge: Uplink) -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    site = tmp_path_factory.mktemp("one-arm") / "site.toml"
    site.write_text(one_arm_text(), encoding="utf-8")
    street = Street(Path("build/lab/one-arm-log"), site_file=site, rewire=one_cable)
    try:
        street.build()
        judge.open("sw-lan", "p-box")
        street.start()
        street.start_hub()
        eventually(lambda: order(ORDERS, "facts")["online"], 90, "the site's registration")
        yield street
    finally:
        judge.close()
        street.close()


def inside(namespace: str, *words: str) -> str:
    done = subprocess.run(topology.inside(namespace, *words), capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


def right() -> int:
    count: int = order(ORDERS, "facts")["judge"].get("right", 0)
    return count


def test_the_kernel_is_as_planned(street: Street) -> None:
    assert street.site is not None
    shown = inside("lan", "ip", "-details", "link", "show", "dev", "arm0")
    assert "macvlan mode private" in shown
    assert street.site.arm_mac in shown
    assert "alias snowgate" in shown
    assert "192.168.1.2/24" in inside("lan", "ip", "address", "show", "dev", "arm0")
    outer = inside("wan", "ip", "address", "show", "dev", "lan0")
    assert f"{OUTER}/24" in outer
    assert "192.168.1.2/24" not in outer
    assert inside("lan", "ip", "route", "show", "default") == ""


def test_the_recorder_registers_and_the_picture_passes(street: Street, playing: str) -> None:
    before = right()
    eventually(lambda: right() > before + 25, 30, "pictures")


def send(namespace: str, to: tuple[str, int], marker: bytes) -> None:
    """Three datagrams of a plain process; a refusal of the kernel is a wall, too."""
    with in_namespace(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        for _ in range(3):
            try:
                link.sendto(marker, to)
            except OSError:
                continue


def ping(namespace: str, address: str) -> bool:
    """One echo request (RFC 792) from a host, and whether it is answered."""
    bare = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"snowgate"
    total = sum(struct.unpack("!8H", bare))
    total = (total & 0xFFFF) + (total >> 16)
    with in_namespace(namespace), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as link:
        link.settimeout(1)
        link.sendto(bare[:2] + struct.pack("!H", ~total & 0xFFFF) + bare[4:], (address, 0))
        try:
            while True:
                data, source = link.recvfrom(200)
                if source[0] == address and data[20] == 0:
                    return True
        except TimeoutError:
            return False


def test_a_host_of_the_lan_gets_nothing_out_of_the_outer_half(street: Street) -> None:
    """Its frames arrive (one wire), and nothing that it sends is answered; the inner half answers the owner's ping."""
    assert ping("pc", topology.LAN_IP), "the control: the owner's ping"
    assert not ping("pc", OUTER)
    for port in (22, 53, 80, 5060, 51820):
        with in_namespace("pc"), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as link:
            link.settimeout(0.3)
            with pytest.raises(TimeoutError):  # an RST would be an answer
                link.connect((OUTER, port))


def test_no_process_of_the_inner_half_reaches_the_router_the_internet_or_the_outer_half(street: Street) -> None:
    """The macvlan could reach the router at layer 2: the rules of ``lan`` forbid it, twice. The twin's box can."""
    captures = {name: Capture(name) for name in ("router", "wan", "t-router")}
    try:
        marker, control = PREFIX + os.urandom(4), PREFIX + os.urandom(4)
        for to in (topology.ROUTER_IP, OUTER, topology.INTERNET_IP, topology.CITY_PUBLIC):
            send("lan", (to, 5060), marker)
        send("twin", (topology.ROUTER_IP, 5060), control)
        eventually(lambda: captures["t-router"].markers[control], 5, "the control at the twin's router")
        assert captures["router"].markers[marker] == 0
        assert captures["wan"].markers[marker] == 0
    finally:
        for capture in captures.values():
            capture.close()


def test_no_process_of_the_outer_half_reaches_the_recorder_or_the_inner_half(street: Street) -> None:
    captures = {name: Capture(name) for name in ("nvr", "lan", "t-nvr")}
    try:
        marker, control = PREFIX + os.urandom(4), PREFIX + os.urandom(4)
        for to in (topology.NVR_IP, topology.LAN_IP):
            send("wan", (to, 5060), marker)
        send("twin", (topology.NVR_IP, 5060), control)
        eventually(lambda: captures["t-nvr"].markers[control], 5, "the control at the twin's recorder")
        assert captures["nvr"].markers[marker] == 0
        assert captures["lan"].markers[marker] == 0
    finally:
        for capture in captures.values():
            capture.close()


def test_a_port_that_was_plugged_anew_has_its_second_face_again(street: Street, judge: Uplink) -> None:
    """The adapter goes and comes: the macvlan went with it, and both halves are made again."""
    topology.ip("-n", "wan", "link", "del", "lan0")
    eventually(lambda: "port_missing" in codes(street), 20, "the finding")
    words = ["link", "add", "lan0", "netns", "wan", "address", topology.LAN0_MAC, "type", "veth"]
    topology.ip(*words, "peer", "name", "p-box", "netns", "sw-lan")
    topology.ip("-n", "sw-lan", "link", "set", "p-box", "master", "br0", "up")
    eventually(lambda: "port_missing" not in codes(street), 20, "the port")
    eventually(
        lambda: street.status()["keeper"]["tunnels"]["wg-a"]["handshake_age_seconds"] is not None, 60, "a tunnel"
    )
    eventually(lambda: ping("pc", topology.LAN_IP), 20, "the inner half")
    assert "closed" in inside("wan", "nft", "list", "table", "netdev", "snowgate")
    assert "closed" in inside("lan", "nft", "list", "table", "netdev", "snowgate")
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 60, "the recorder")


def codes(street: Street) -> set[str]:
    return {code for code, *_ in street.status()["keeper"]["findings"]}


def test_nothing_but_wireguard_left_the_outer_half(street: Street, judge: Uplink) -> None:
    """Asked before ``lan0`` is the LAN's own port for a while, with the same hardware address."""
    assert judge.wireguard > 100
    assert judge.violations == []


def test_two_ports_again_and_the_second_face_is_gone(street: Street) -> None:
    """From one cable to two and back, in one change each; a link of somebody else's stays."""
    topology.ip("link", "add", "wan0", "netns", "wan", "type", "veth", "peer", "name", "up1", "netns", "internet")
    inside("lan", "ip", "link", "add", "foreign0", "type", "bridge")
    good = one_arm_text()
    assert street.site is not None
    key = street.site.tunnel[0].public_key
    static = SITE_FILE.read_text(encoding="utf-8")
    street.apply(static.replace("A" * 43 + "=", key))
    shown = inside("lan", "ip", "-brief", "link", "show")
    assert "lan0" in shown
    assert "arm0" not in shown
    assert "foreign0" in shown
    street.apply(good.replace("A" * 43 + "=", key))
    shown = inside("lan", "ip", "-brief", "link", "show")
    assert "lan0@" not in shown
    assert "arm0" in shown
    assert "foreign0" in shown
    assert f"{OUTER}/24" in inside("wan", "ip", "address", "show", "dev", "lan0")
    assert read_site(good)[0] is not None
    for log in street.logs.glob("*.log"):
        assert "Traceback" not in log.read_text(encoding="utf-8", errors="replace"), log
