"""The LAN comes tagged: the site's switch carries the recorders in VLAN 20, and the box untags them itself.

nvr .10 ───┐
pc .66 ────┼─ sw-lan ── p-box.20 ═ p-box ── lan0 ─ vlan20 in lan  .2
router .1 ─┘            (a tagged port)
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.lab import private, topology
from edge.lab.orders import order
from edge.lab.street import SITE_FILE, Street, eventually
from tests.conftest import ORDERS


def kernel_has_vlans() -> bool:
    words = "link add v0 type veth peer name v1 && ip link add link v0 name v0.20 type vlan id 20"
    command = ["unshare", "-n", "sh", "-c", f"ip {words}"]
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0


def tagged_port() -> None:
    """The box's port of the switch leaves the untagged bridge and enters it as VLAN 20."""
    for words in (
        "link set p-box nomaster", "link set p-box up", "link add link p-box name p-box.20 type vlan id 20",
        "link set p-box.20 master br0 up",
    ):  # fmt: skip
        topology.ip("-n", "sw-lan", *words.split())


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    if not kernel_has_vlans():
        pytest.skip("lab_no_kernel: 802.1Q VLANs (8021q)")
    site = tmp_path_factory.mktemp("vlan") / "site.toml"
    site.write_text(SITE_FILE.read_text(encoding="utf-8").replace("[lan]", "[lan]\nvlan = 20"), encoding="utf-8")
    street = Street(Path("build/lab/vlan-log"), site_file=site, rewire=tagged_port)
    try:
        street.open()
        eventually(lambda: order(ORDERS, "facts")["online"], 120, "the site's registration")
        yield street
    finally:
        street.close()


def inside(namespace: str, *words: str) -> str:
    done = subprocess.run(topology.inside(namespace, *words), capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


def right() -> int:
    count: int = order(ORDERS, "facts")["judge"].get("right", 0)
    return count


def test_the_kernel_is_as_planned(street: Street) -> None:
    shown = inside("lan", "ip", "-details", "link", "show", "dev", "vlan20")
    assert "vlan20@lan0" in shown
    assert "vlan protocol 802.1Q id 20 " in shown
    assert "alias snowgate" in shown
    assert "192.168.1.2/24" in inside("lan", "ip", "address", "show", "dev", "vlan20")
    assert "inet " not in inside("lan", "ip", "address", "show", "dev", "lan0")
    assert 'device "vlan20"' in inside("lan", "nft", "list", "table", "netdev", "snowgate")


def test_the_recorder_registers_through_the_tag_and_the_picture_passes(street: Street, playing: str) -> None:
    assert any(street.said("siteside")["recorders"].values())
    before = right()
    eventually(lambda: right() > before + 25, 60, "pictures")


def test_a_vlans_link_that_was_deleted_is_made_again_with_its_rules(street: Street) -> None:
    inside("lan", "ip", "link", "del", "vlan20")
    eventually(lambda: "192.168.1.2/24" in _addresses("vlan20"), 30, "the link again")
    eventually(
        lambda: 'device "vlan20"' in inside("lan", "nft", "list", "table", "netdev", "snowgate"), 10, "its rules"
    )
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 120, "the recorder")


def _addresses(link: str) -> str:
    words = topology.inside("lan", "ip", "address", "show", "dev", link)
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=False).stdout


def test_the_number_can_change_and_the_tag_can_go(street: Street) -> None:
    """A change that cuts the recorder off here: what is judged is the kernel, and what is not ours."""
    assert street.site is not None
    text = SITE_FILE.read_text(encoding="utf-8").replace("A" * 43 + "=", street.site.tunnel[0].public_key)
    inside("lan", "ip", "link", "add", "link", "lan0", "name", "vlan7", "type", "vlan", "id", "7")
    street.apply(text.replace("[lan]", "[lan]\nvlan = 30"))
    links = inside("lan", "ip", "-brief", "link", "show")
    assert "vlan30@lan0" in links
    assert "vlan20" not in links
    street.apply(text)
    links = inside("lan", "ip", "-brief", "link", "show")
    assert "vlan30" not in links
    assert "vlan7@lan0" in links
    assert "192.168.1.2/24" in _addresses("lan0")
    assert 'device "lan0"' in inside("lan", "nft", "list", "table", "netdev", "snowgate")
    assert "vlan" not in inside("lan", "nft", "list", "table", "netdev", "snowgate").replace("vlan7", "")
