"""The kernel does what the plan says: each test in a network of its own, with one cable whose far end nobody uses.

        lan0 ───── far          (veth, in a fresh network and mount namespace of a forked child)

Every test goes the keeper's way: observe, diff, perform, observe again, and nothing may be missing.
"""

from __future__ import annotations

import base64
import ctypes
import os
import shutil
import subprocess
import time
import traceback
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from netconf import secrets
from netconf.check import read_site
from netconf.compile import desired, wireguard_device
from netconf.kernel import wireguard
from netconf.kernel.links import KernelRefused, Links
from netconf.model import Tunnel
from netconf.plan import (
    AddAddress,
    AddLink,
    DeleteAddress,
    DeleteLink,
    DeleteNeighbour,
    DeleteRoute,
    MarkLink,
    SetUp,
    diff,
    holds,
    missing,
    wireguard_missing,
)
from netconf.state import LinkState, Made, Neighbour, NetworkState, Route

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
_NEW_USER, _NEW_MOUNT, _NEW_NETWORK = 0x10000000, 0x00020000, 0x40000000
_RECURSIVE_PRIVATE = 0x4000 | 0x40000
_LIBC = ctypes.CDLL(None, use_errno=True)


def must(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def enter_fresh_namespaces() -> None:
    """Leave the host: own network, own mounts, own /run; an ordinary user becomes root of a user namespace first."""
    user, group = os.geteuid(), os.getegid()
    must(_LIBC.unshare((_NEW_USER if user else 0) | _NEW_MOUNT | _NEW_NETWORK), "unshare")
    if user:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    must(_LIBC.mount(b"none", b"/", None, _RECURSIVE_PRIVATE, None), "mount --make-rprivate /")
    must(_LIBC.mount(b"tmpfs", b"/run", b"tmpfs", 0, None), "mount /run")


def apart(body: Callable[[], None]) -> None:
    """Run ``body`` in a forked child with one cable; what it raises fails the test with its own words."""
    probe = subprocess.run(["unshare", *(["-r"] if os.geteuid() else []), "-n", "-m", "true"], check=False)
    if probe.returncode:
        pytest.skip("lab_no_namespaces: this user cannot make namespaces")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            enter_fresh_namespaces()
            run("ip link add lan0 type veth peer name far")
            run("ip link set far up")
            body()
            os.write(write, b"good")
        except BaseException:  # noqa: BLE001 - told to the parent, which fails the test
            os.write(write, traceback.format_exc()[-4000:].encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as line:
        said = line.read().decode()
    os.waitpid(child, 0)
    assert said == "good", said


def run(command: str) -> str:
    done = subprocess.run(command.split(), capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def eventually(condition: Callable[[], object], within_seconds: float, what: str) -> None:
    end = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < end, f"waited {within_seconds} s for {what}"
        time.sleep(0.02)


def bring(links: Links, wanted: NetworkState) -> None:
    """The keeper's way to apply, with its proof: it holds after one pass, and a second pass has nothing to do."""
    for step in diff(wanted, links.observe(wanted)):
        links.perform(step)
    assert missing(wanted, links.observe(wanted)) == []
    assert holds(wanted, links.observe(wanted))


def lab_lan(old: str = "", new: str = "") -> NetworkState:
    text = (ROOT / "edge/lab/site.toml").read_text(encoding="utf-8")
    assert old in text
    site, found = read_site(text.replace(old, new) if old else text)
    assert site is not None, found
    return desired(site)[0]


def with_routes(*routes: Route) -> NetworkState:
    return NetworkState(
        "wan",
        (LinkState("lan0", addresses=frozenset({IPv4Interface("192.0.2.2/24")}), routes=frozenset(routes)),),
    )


DEFAULT = IPv4Network("0.0.0.0/0")
GATEWAY = IPv4Address("192.0.2.1")


def test_the_labs_site_is_applied_read_back_and_holds() -> None:
    def body() -> None:
        links, wanted = Links("lan"), lab_lan()
        assert missing(wanted, links.observe(wanted))  # the control: before, it does not hold
        bring(links, wanted)
        assert "192.168.1.2/24" in run("ip address show dev lan0")
        assert "192.168.1.10 lladdr 02:00:00:00:00:10 PERMANENT" in run("ip neighbour show dev lan0")
        assert "default" not in run("ip route show")
        assert "inet6" not in run("ip address show dev lan0")
        for key, value in {
            "rp_filter": "1",
            "accept_redirects": "0",
            "send_redirects": "0",
            "route_localnet": "0",
        }.items():
            for place in ("all", "default", "lan0"):
                assert Path(f"/proc/sys/net/ipv4/conf/{place}/{key}").read_text(encoding="ascii").strip() == value

    apart(body)


@pytest.mark.parametrize("new", ["192.168.1.3/24", "192.168.1.2/25"])
def test_the_boxs_address_can_change_within_its_own_network(new: str) -> None:
    """Deleting a primary address takes its secondaries along, and with the last one every static neighbour."""

    def body() -> None:
        links = Links("lan")
        bring(links, lab_lan())
        bring(links, lab_lan("192.168.1.2/24", new))

    apart(body)


def test_a_recorder_that_is_gone_leaves_no_neighbour_behind() -> None:
    def body() -> None:
        links, wanted = Links("lan"), lab_lan()
        bring(links, wanted)
        run("ip neighbour replace 192.168.1.66 lladdr 02:00:00:00:00:66 dev lan0 nud permanent")
        run("ip neighbour replace 192.168.1.10 lladdr 02:00:00:00:00:99 dev lan0 nud permanent")
        bring(links, wanted)
        said = run("ip neighbour show dev lan0")
        assert "192.168.1.66" not in said
        assert "02:00:00:00:00:99" not in said

    apart(body)


def test_a_neighbour_that_arp_learned_is_not_ours_and_left_alone() -> None:
    def body() -> None:
        links, wanted = Links("lan"), lab_lan()
        bring(links, wanted)
        run("ip neighbour replace 192.168.1.66 lladdr 02:00:00:00:00:66 dev lan0 nud stale")
        assert holds(wanted, links.observe(wanted))

    apart(body)


def test_deleting_what_is_gone_is_no_fault() -> None:
    """An address takes routes and neighbours with it, and another hand may have been quicker."""

    def body() -> None:
        links = Links("lan")
        bring(links, lab_lan())
        for step in (
            DeleteAddress("lan0", IPv4Interface("192.0.2.7/24")),
            DeleteRoute("lan0", Route(DEFAULT, GATEWAY)),
            DeleteNeighbour("lan0", Neighbour(IPv4Address("192.0.2.7"), "02:00:00:00:00:07")),
        ):
            links.perform(step)

    apart(body)


def test_the_gateway_can_change() -> None:
    def body() -> None:
        links = Links("wan")
        bring(links, with_routes(Route(DEFAULT, GATEWAY)))
        bring(links, with_routes(Route(DEFAULT, IPv4Address("192.0.2.254"))))
        assert run("ip route show default").split()[:3] == ["default", "via", "192.0.2.254"]

    apart(body)


FOREIGN = [
    "default dev lan0 metric 100",
    "default via 192.0.2.7 dev lan0 metric 50",
    "default via 192.0.2.1 dev lan0 metric 50",
    "default via 192.0.2.1 dev lan0 metric 50 proto static",
    "203.0.113.0/24 dev lan0",
    "203.0.113.0/24 dev lan0 scope global",
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_foreign_route_goes_and_ours_stays(foreign: str) -> None:
    """The kernel deletes the first route that fits: one asked for loosely is our own."""

    def body() -> None:
        links, wanted = Links("wan"), with_routes(Route(DEFAULT, GATEWAY))
        bring(links, wanted)
        run(f"ip route append {foreign}")
        assert not holds(wanted, links.observe(wanted))
        bring(links, wanted)
        assert [line.split()[:3] for line in run("ip route show default").splitlines()] == [
            ["default", "via", "192.0.2.1"]
        ]
        assert "203.0.113.0" not in run("ip route show")

    apart(body)


@pytest.mark.parametrize(
    "key", ["rp_filter=2", "accept_redirects=1", "send_redirects=1", "arp_ignore=0", "forwarding=1"]
)
def test_a_sysctl_of_the_link_that_another_tool_set_is_put_back(key: str) -> None:
    def body() -> None:
        links, wanted = Links("lan"), lab_lan()
        bring(links, wanted)
        run(f"sysctl -q -w net.ipv4.conf.lan0.{key}")
        assert not holds(wanted, links.observe(wanted))
        bring(links, wanted)

    apart(body)


def test_forwarding_set_by_another_tool_is_put_back_and_redirects_with_it() -> None:
    """Writing ip_forward makes the kernel write accept_redirects of ``all``: the order of the steps matters."""

    def body() -> None:
        links, wanted = Links("lan"), lab_lan()
        bring(links, wanted)
        for switch in ("net.ipv4.ip_forward=1", "net.ipv4.conf.all.forwarding=1", "net.ipv4.conf.lan0.forwarding=1"):
            run(f"sysctl -q -w {switch}")
            bring(links, wanted)

    apart(body)


def test_a_link_that_is_gone_is_named_and_nothing_else_breaks() -> None:
    def body() -> None:
        links, wanted = Links("lan"), lab_lan()
        bring(links, wanted)
        run("ip link del lan0")
        assert missing(wanted, links.observe(wanted)) == ["no link lan0"]
        assert links.mac("lan0") is None
        for deed in (
            lambda: links.perform(SetUp("lan0")),
            lambda: links.perform(AddAddress("lan0", IPv4Interface("192.0.2.2/24"))),
            lambda: links.move("lan0", 0),
        ):
            with pytest.raises(KernelRefused, match="lan0"):
                deed()
        links.close()

    apart(body)


def test_a_link_moves_and_comes_without_addresses() -> None:
    def body() -> None:
        here = Links("lan")
        bring(here, lab_lan())
        holder = subprocess.Popen(["unshare", "-n", "sleep", "30"])
        try:
            there = Path(f"/proc/{holder.pid}/ns/net")
            eventually(lambda: there.stat().st_ino != Path("/proc/self/ns/net").stat().st_ino, 5, "the other network")
            with there.open("rb") as namespace:
                here.move("lan0", namespace.fileno())
                assert here.index("lan0") is None
                must(_LIBC.setns(namespace.fileno(), _NEW_NETWORK), "setns")
            moved = Links("vpn")
            assert moved.index("lan0") is not None
            assert "192.168.1.2" not in run("ip address show dev lan0")
        finally:
            holder.kill()
            holder.wait()

    apart(body)


def test_a_neighbour_set_while_the_link_is_down_survives_going_up() -> None:
    def body() -> None:
        who = Neighbour(IPv4Address("192.0.2.10"), "02:00:00:00:00:10")
        wanted = NetworkState(
            "lan",
            (LinkState("lan0", addresses=frozenset({IPv4Interface("192.0.2.2/24")}), neighbours=frozenset({who})),),
        )
        links = Links("lan")
        bring(links, wanted)
        run("ip link set lan0 down")
        bring(links, wanted)

    apart(body)


# -- links of the box's own making -------------------------------------------------------------------------------------


def with_neighbour_network(body: Callable[[int], None]) -> None:
    """Run ``body`` with a descriptor of another, empty network."""
    holder = subprocess.Popen(["unshare", "-n", "sleep", "30"])
    try:
        there = Path(f"/proc/{holder.pid}/ns/net")
        eventually(lambda: there.stat().st_ino != Path("/proc/self/ns/net").stat().st_ino, 5, "the other network")
        with there.open("rb") as namespace:
            body(namespace.fileno())
    finally:
        holder.kill()
        holder.wait()


ARM = AddLink("arm0", Made("macvlan", "lan0", mac="02:11:22:33:44:55"), "lan")


def test_the_second_face_of_a_port_is_made_over_there_and_known_again() -> None:
    def body() -> None:
        here = Links("wan")
        lower = here.index("lan0")

        def other(namespace: int) -> None:
            here.make_macvlan(ARM, namespace)
            assert here.index("arm0") is None
            must(_LIBC.setns(namespace, _NEW_NETWORK), "setns")
            there = Links("lan")
            assert there.lower("arm0") == lower
            wanted = NetworkState("lan", (LinkState("arm0", made=ARM.made),))
            assert missing(wanted, there.observe(wanted))[0] == "ip link set arm0 alias snowgate"
            there.perform(MarkLink("arm0"))
            seen = there.observe(wanted).link("arm0")
            assert seen is not None
            assert seen.made == Made("macvlan", "", mac="02:11:22:33:44:55")
            assert "mode private" in run("ip -details link show dev arm0")
            nothing = NetworkState("lan")
            assert [str(step) for step in diff(nothing, there.observe(nothing))] == ["ip link del arm0"]
            bring(there, nothing)
            assert there.index("arm0") is None

        with_neighbour_network(other)

    apart(body)


def test_a_link_without_our_mark_is_never_deleted() -> None:
    def body() -> None:
        links = Links("lan")
        run("ip link add link lan0 name arm0 type macvlan mode private")
        assert diff(NetworkState("lan"), links.observe(NetworkState("lan"))) == []
        links.perform(DeleteLink("arm0"))
        assert links.index("arm0") is not None
        wanted = NetworkState("lan", (LinkState("arm0", made=ARM.made),))
        assert "link arm0 is not ours" in missing(wanted, links.observe(wanted))

    apart(body)


def test_a_vlans_link_is_made_renumbered_and_removed() -> None:
    def body() -> None:
        links = Links("lan")
        bring(links, lab_lan("[lan]", "[lan]\nvlan = 20"))
        said = run("ip -details link show dev vlan20")
        assert "vlan20@lan0" in said
        assert "id 20 " in said
        assert "192.168.1.2/24" in run("ip address show dev vlan20")
        assert "192.168.1.2" not in run("ip address show dev lan0")
        bring(links, lab_lan("[lan]", "[lan]\nvlan = 30"))
        assert (links.index("vlan20"), links.index("vlan30") is not None) == (None, True)
        run("ip link add link lan0 name vlan7 type vlan id 7")
        bring(links, lab_lan())
        assert links.index("vlan30") is None
        assert links.index("vlan7") is not None, "what is not ours is not touched"

    if not kernel_has_vlans():
        pytest.skip("lab_no_kernel: 802.1Q VLANs (8021q)")
    apart(body)


def kernel_has_vlans() -> bool:
    make = "ip link add a0 type veth peer name b0 && ip link add link a0 name v0 type vlan id 20"
    user = ["-r"] if os.geteuid() else []
    return subprocess.run(["unshare", *user, "-n", "sh", "-c", make], capture_output=True, check=False).returncode == 0


# -- WireGuard, through wireguard-go -----------------------------------------------------------------------------------


def with_wireguard_go(body: Callable[[Path], None], tmp_path: Path) -> None:
    """Run ``body`` beside a wireguard-go device called wg-t."""
    if shutil.which("wireguard-go") is None or shutil.which("wg") is None:
        pytest.skip("lab_no_program: wireguard-go")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("lab_no_tun: /dev/net/tun cannot be opened by this user")

    def inside() -> None:
        device = subprocess.Popen(["wireguard-go", "-f", "wg-t"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(Path("/run/wireguard/wg-t.sock").exists, 5, "wireguard-go's socket")
            body(tmp_path)
        finally:
            device.kill()
            device.wait()

    apart(inside)


def lab_tunnel() -> Tunnel:
    text = (ROOT / "edge/lab/site.toml").read_text(encoding="utf-8").replace('"wg-a"', '"wg-t"')
    site, found = read_site(text)
    assert site is not None, found
    return site.tunnel[0]


def test_a_device_takes_the_whole_text_and_says_it_back(tmp_path: Path) -> None:
    def body(folder: Path) -> None:
        tunnel = lab_tunnel()
        public = secrets.ensure_wireguard_key(folder / "secrets", tunnel.name)
        wanted = wireguard_device(tunnel, public)
        assert wireguard_missing(wanted, wireguard.observe("wg-t"))  # the control
        private = secrets.read_wireguard_key(folder / "secrets", tunnel.name)
        wireguard.syncconf("wg-t", wireguard.text(tunnel, private))
        assert wireguard_missing(wanted, wireguard.observe("wg-t")) == []
        seen = wireguard.facts("wg-t")
        assert seen is not None
        assert (seen.public_key, seen.peer_key, seen.endpoint) == (public, tunnel.public_key, tunnel.endpoint)
        assert private not in repr(seen) + repr(wireguard.observe("wg-t"))

    with_wireguard_go(body, tmp_path)


def test_a_peer_that_another_tool_added_or_widened_is_seen_and_removed(tmp_path: Path) -> None:
    def body(folder: Path) -> None:
        tunnel = lab_tunnel()
        public = secrets.ensure_wireguard_key(folder / "secrets", tunnel.name)
        wanted = wireguard_device(tunnel, public)
        text = wireguard.text(tunnel, secrets.read_wireguard_key(folder / "secrets", tunnel.name))
        wireguard.syncconf("wg-t", text)
        other = secrets.ensure_wireguard_key(folder / "secrets", "other")
        for wrong in (
            f"wg set wg-t peer {tunnel.public_key} allowed-ips 0.0.0.0/0",
            f"wg set wg-t peer {tunnel.public_key} persistent-keepalive 0",
            f"wg set wg-t peer {tunnel.public_key} remove",
            f"wg set wg-t peer {other} allowed-ips 192.0.2.0/24",
        ):
            run(wrong)
            assert wireguard_missing(wanted, wireguard.observe("wg-t")), wrong
            wireguard.syncconf("wg-t", text)
            assert wireguard_missing(wanted, wireguard.observe("wg-t")) == [], wrong

    with_wireguard_go(body, tmp_path)


def test_a_preshared_key_is_taken_exchanged_and_taken_away(tmp_path: Path) -> None:
    def body(folder: Path) -> None:
        tunnel = lab_tunnel()
        secrets.ensure_wireguard_key(folder / "secrets", tunnel.name)
        private = secrets.read_wireguard_key(folder / "secrets", tunnel.name)
        one, other = (base64.b64encode(bytes([n]) * 32).decode() for n in (7, 9))
        for shared in (one, other, "", one):
            wanted = wireguard_device(tunnel, secrets.public_key(private), shared)
            assert wireguard_missing(wanted, wireguard.observe("wg-t")), "the control"
            wireguard.syncconf("wg-t", wireguard.text(tunnel, private, preshared_key=shared))
            seen = wireguard.observe("wg-t")
            assert wireguard_missing(wanted, seen) == [], shared
            assert not any(key in repr(seen) for key in (one, other))

    with_wireguard_go(body, tmp_path)


def test_the_private_key_is_in_no_argument_and_in_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``wg`` names the line that it does not take, and that line can be the key."""
    private = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI="
    started: list[list[str]] = []
    really = subprocess.run

    def watched(words: list[str], **rest: object) -> object:
        started.append(words)
        return really(words, **rest)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", watched)

    def body(_: Path) -> None:
        started.clear()
        for text in (
            f"[Interface]\nPrivateKey = {private}\n",
            f"[Interface]\nPrivateKey = {private}x\n",
            f"{private}\n",
        ):
            try:
                wireguard.syncconf("wg-t", text)
            except wireguard.WireGuardRefused as wrong:
                assert private not in str(wrong), str(wrong)
        assert not any(private in word for words in started for word in words)
        assert len(started) == 3

    with_wireguard_go(body, tmp_path)


def test_a_device_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    def body(_: Path) -> None:
        for deed in (wireguard.facts, wireguard.observe):
            with pytest.raises(wireguard.WireGuardRefused, match="wg-none"):
                deed("wg-none")

    with_wireguard_go(body, tmp_path)
