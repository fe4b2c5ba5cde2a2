"""Two tunnels to two concentrators: one carries, the other takes over, and none takes what is the other's.

                 box                                                        ┌─ .10 hub-a ─ .1 ─┐
nvr ─ lan ─ ferry ─ vpn  wg-a 100.64.0.10 ══╗                               │                  sw-city ─ .10 city
                         wg-b 100.64.0.11 ══╩═ wan0 ─ internet ─ 203.0.113.0/24               100.64.255.0/24
                                                                            └─ .11 hub-b ─ .2 ─┘
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import craft, private, topology
from edge.lab.capture import PREFIX, Capture, Uplink
from edge.lab.control import city_key
from edge.lab.hubs import SECOND_PUBLIC, SECOND_TUNNEL_IP, TWO, configure, rewire, two_tunnels
from edge.lab.orders import order
from edge.lab.sockets import in_namespace
from edge.lab.street import CONTROL, RUN, SECRETS, SITE_FILE, Street, eventually, new_hub_key
from netconf import envelope, layers
from tests.conftest import ORDERS, whole

#: The way back to the preferred tunnel alone takes up to two minutes.
pytestmark = pytest.mark.timeout(420)
A, B = "wg-a", "wg-b"
FLAPS = 10


@pytest.fixture(scope="module")
def judge() -> Uplink:
    return Uplink((topology.CITY_PUBLIC, topology.HUB_PORT), hubs=frozenset({(SECOND_PUBLIC, topology.HUB_PORT)}))


@pytest.fixture(scope="module")
def street(judge: Uplink) -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    site = Path("build/lab/two-tunnels.toml")
    site.parent.mkdir(parents=True, exist_ok=True)
    site.write_text(two_tunnels(SITE_FILE.read_text(encoding="utf-8")), encoding="utf-8")
    street = Street(Path("build/lab/two-tunnels-log"), site_file=site, rewire=rewire, hubs=TWO)
    try:
        street.build()
        judge.open("internet", "up0")
        street.start()
        street.start_hub()
        eventually(lambda: whole(street), 90, "the whole street")
        yield street
    finally:
        judge.close()
        street.close()


def said(street: Street) -> dict[str, Any]:
    found: dict[str, Any] = street.said("cityside").get("tunnel", {})
    return found


def used(street: Street) -> str:
    """The tunnel that is used, once the site is registered by it."""
    return str(said(street).get("used")) if street.said("cityside").get("registered") else ""


def state(street: Street, name: str) -> str:
    return str(said(street).get("tunnels", {}).get(name, {}).get("state"))


def right() -> int:
    count: int = order(ORDERS, "facts")["judge"].get("right", 0)
    return count


def flows() -> None:
    before = right()
    eventually(lambda: right() > before + 25, 30, "pictures")


def watch(street: Street) -> None:
    """Ask for the picture, and see it."""
    channel = eventually(
        lambda: next((c for c, f in order(ORDERS, "catalog")["channels"].items() if f[1] == "ON"), None),
        60,
        "a channel",
    )
    order(ORDERS, f"play {channel}")
    eventually(lambda: order(ORDERS, "facts")["call"] == "answered", 30, "the answer")
    flows()


def stop(street: Street) -> None:
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 30, "nobody watches")
    eventually(lambda: not street.said("siteside").get("views"), 30, "the recorder sends nothing")


def picture(street: Street) -> None:
    """After whatever was done, the whole street is there again and shows a picture."""
    eventually(lambda: whole(street), 90, "the whole street")
    watch(street)
    stop(street)


def sender() -> str:
    """The address that the box answered the city's INVITE with."""
    return str(order(ORDERS, "facts")["sender"][0])


def timed(what: str, done: Callable[[], Any], within: float) -> None:
    began = time.monotonic()
    eventually(done, within, what)
    print(f"{what}: {time.monotonic() - began:.1f} s")


def inside(namespace: str, *words: str) -> str:
    done = subprocess.run(topology.inside(namespace, *words), capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


def test_both_shake_hands_and_the_kernel_is_as_planned(street: Street) -> None:
    def ages() -> list[Any]:
        tunnels = street.status()["keeper"]["tunnels"]
        return [tunnels[name].get("handshake_age_seconds") for name in (A, B)]

    eventually(lambda: None not in ages(), 60, "both handshakes")
    eventually(lambda: [state(street, name) for name in (A, B)] == ["lives", "lives"], 30, "both answer")
    assert used(street) == A
    routes = inside("vpn", "ip", "route", "show", "100.64.255.0/24")
    assert "dev wg-a" in routes
    assert "dev wg-b proto static metric 1" in routes
    for name in (A, B):
        assert inside("vpn", "cat", f"/proc/sys/net/ipv4/conf/{name}/rp_filter").strip() == "2"
    keys = {inside("vpn", "wg", "show", name, "public-key") for name in (A, B)}
    assert len(keys) == 2, "each tunnel has a key of its own"
    assert street.status()["keeper"]["findings"] == []


def spoofed(host: str, source: str, target: str, marker: bytes) -> None:
    """A datagram under somebody's address, out of a host, by its own route."""
    with in_namespace(host), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as link:
        link.sendto(craft.udp((source, 5060), (target, 5060), marker), (target, 0))


def test_no_tunnel_takes_what_is_the_others(street: Street) -> None:
    """Into the box: hub-b sends to wg-a's address. Out of it: hub-b's AllowedIPs refuse wg-a's address, rules or none."""
    captures = {name: Capture(name) for name in ("vpn", "hub-a", "hub-b")}
    marker, control = (PREFIX + os.urandom(4) for _ in range(2))
    try:
        # On the wire of the tunnel all is seen; behind it the input chain counts.
        before = dropped("wg-b brings what is for its address")
        topology.ip("-n", "hub-b", "route", "replace", topology.TUNNEL_IP, "dev", TWO[1].device)
        inside("hub-b", "wg", "set", TWO[1].device, "peer", box_key(B), "allowed-ips",
               f"{SECOND_TUNNEL_IP}/32,{topology.TUNNEL_IP}/32")  # fmt: skip
        spoofed("hub-b", topology.CITY_IP, topology.TUNNEL_IP, marker)
        eventually(lambda: captures["vpn"].markers[marker], 10, "it came by wg-b")
        eventually(lambda: dropped("only to the port's own address") + dropped("wg-b brings what is for its address")
                   > before, 10, "and was dropped")  # fmt: skip
        spoofed("hub-b", topology.CITY_IP, SECOND_TUNNEL_IP, control)
        eventually(lambda: captures["vpn"].markers[control], 10, "the control came by wg-b, too")
    finally:
        inside("hub-b", "wg", "set", TWO[1].device, "peer", box_key(B), "allowed-ips", f"{SECOND_TUNNEL_IP}/32")
        for capture in captures.values():
            capture.close()


def box_key(name: str) -> str:
    return inside("vpn", "wg", "show", name, "public-key").strip()


def dropped(policy: str) -> int:
    """How many packets a rule of ``vpn`` has met."""
    for line in inside("vpn", "nft", "list", "table", "inet", "snowgate").splitlines():
        if f'comment "{policy}"' in line:
            return int(line.split("counter packets ")[1].split()[0])
    raise AssertionError(policy)


def test_what_leaves_by_a_tunnel_is_from_its_own_address(street: Street) -> None:
    """A process of ``vpn`` sends from wg-a's address by wg-b: the rules stop it, and, rules flushed, the hub does."""
    captures = {name: Capture(name) for name in ("hub-a", "hub-b")}
    sent = {name: PREFIX + os.urandom(4) for name in ("spoof", "good", "bare")}
    try:
        before = dropped("wg-b carries its own address alone")
        by_device(B, topology.TUNNEL_IP, sent["spoof"])
        assert dropped("wg-b carries its own address alone") > before
        with street.held("keeper"):
            inside("vpn", "nft", "flush", "ruleset")
            by_device(B, topology.TUNNEL_IP, sent["bare"])
            by_device(B, SECOND_TUNNEL_IP, sent["good"])
            eventually(lambda: captures["hub-b"].markers[sent["good"]], 10, "the control at hub-b")
        eventually(
            lambda: "carries its own" in inside("vpn", "nft", "list", "ruleset"), 20, "the keeper puts rules back"
        )
        for capture in captures.values():
            assert capture.markers[sent["spoof"]] == capture.markers[sent["bare"]] == 0
    finally:
        for capture in captures.values():
            capture.close()


def by_device(device: str, source: str, marker: bytes) -> None:
    with in_namespace("vpn"), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        try:
            link.sendto(craft.udp((source, 5060), (topology.CITY_IP, 5060), marker), (topology.CITY_IP, 0))
        except PermissionError:
            return


def test_f17_the_other_tunnel_takes_over_and_the_first_one_comes_back(street: Street, judge: Uplink) -> None:
    eventually(lambda: used(street) == A, 200, "registered by the preferred tunnel")
    watch(street)
    assert sender() == topology.TUNNEL_IP
    street.stop_one_hub(0)
    timed("hub-a is gone, registered by the other tunnel after", lambda: used(street) == B, 90)
    assert street.upper()["views"] == {}, "the view ended with its tunnel"
    timed("and a picture again after", lambda: watch(street) or True, 90)
    assert sender() == SECOND_TUNNEL_IP
    assert {"tunnel_unanswered", "tunnel_switched"} <= logged(street)
    assert "tunnel_dead" in faults()
    street.start_one_hub(0)
    timed("hub-a is back, its probes are answered after", lambda: state(street, A) == "lives", 60)
    flows()
    assert used(street) == B, "not while somebody watches"
    stop(street)
    timed("nobody watches, back to the preferred tunnel after", lambda: used(street) == A, 200)
    watch(street)
    assert sender() == topology.TUNNEL_IP
    stop(street)
    eventually(lambda: report()["programs"]["cityside"]["tunnel"]["used"] == A, 30, "the city hears which one is used")
    assert judge.violations == []


def faults() -> set[str]:
    """What the agent reported to the city, by code; by whichever tunnel it came."""
    eventually(lambda: "tunnel_dead" in json.dumps(report()["faults"]), 30, "the city hears of the dead tunnel")
    return {code for code, *_ in report()["faults"]}


def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CONTROL / "report.json").read_bytes())
    return found


def logged(street: Street) -> set[str]:
    log = (street.logs / "cityside.log").read_text(encoding="utf-8")
    return {json.loads(line)["code"] for line in log.splitlines() if line.startswith("{")}


def counts(street: Street) -> dict[str, int]:
    """Open descriptors and sockets of the programs that a change of tunnels touches."""
    pids = {name: street.pid(name) for name in ("cityside", "ferry", "keeper", "agent")}
    return {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()}


def test_f15_a_tunnel_that_flaps_leaves_nothing_behind(street: Street) -> None:
    """F15: ten times away, for one second and for ten, which is long enough for the choice to change."""
    eventually(lambda: used(street) in (A, B), 60, "registered")
    watch(street)
    stop(street)
    before, switches = counts(street), said(street)["switches"]
    began = time.monotonic()
    for at in range(FLAPS):
        topology.ip("-n", "hub-a", "link", "set", "c0", "down")
        time.sleep(1 if at % 2 else 10)
        topology.ip("-n", "hub-a", "link", "set", "c0", "up")
        topology.ip("-n", "hub-a", "route", "replace", "default", "via", "203.0.113.1")
        time.sleep(1)
    assert said(street)["switches"] > switches, "at least once the choice changed"
    eventually(lambda: used(street) in (A, B), 90, "registered after all")
    print(f"{FLAPS} flaps in {time.monotonic() - began:.0f} s: {said(street)}")
    watch(street)
    stop(street)
    eventually(lambda: all(n <= before[name] + 1 for name, n in counts(street).items()), 30,
               f"no more descriptors than before: {before} {counts(street)}")  # fmt: skip


# -- keys --------------------------------------------------------------------------------------------------------------


def hand_out(street: Street, change: Callable[[dict[str, Any]], None], revision: int) -> None:
    """Have the city sign its layer with a change of the second tunnel, and see it kept."""
    assert street.site is not None
    layer = layers.split(street.site)[1]
    change(layer["tunnel"][1])
    payload = {
        "site": layer["site"]["id"], "device": report()["device"], "epoch": 1, "revision": revision,
        "not_after": 4_000_000_000, "layer": layer,
    }  # fmt: skip
    (CONTROL / "layer.new").write_text(envelope.sign("layer", payload, city_key(CONTROL)), encoding="ascii")
    (CONTROL / "layer.new").rename(CONTROL / "layer.json")

    def kept() -> bool:
        told = street.status().get("keeper", {}).get("change", {})
        return bool(told.get("city_layer") == [1, revision] and told["state"] == "steady")

    timed(f"layer {revision} kept after", kept, 60)
    (CONTROL / "layer.json").unlink()
    street.site = street.site.model_copy(
        update={"tunnel": (street.site.tunnel[0], type(street.site.tunnel[1]).model_validate(layer["tunnel"][1]))}
    )


def handshakes() -> dict[str, tuple[str, int]]:
    """Peer and moment of each tunnel's last handshake."""
    found = {}
    for name in (A, B):
        key, at = inside("vpn", "wg", "show", name, "latest-handshakes").split()
        found[name] = (key, int(at))
    return found


def test_f17_a_hub_that_has_a_new_key_is_known_by_a_layer_and_the_other_tunnel_is_not_touched(street: Street) -> None:
    """F17: hub-b's key is exchanged; wg-a carries all the while, and its session goes on."""
    eventually(lambda: used(street) == A, 200, "registered by the preferred tunnel")
    before = handshakes()
    public = new_hub_key(TWO[1])
    street.start_one_hub(1)
    hand_out(street, lambda tunnel: tunnel.update(public_key=public), 1)
    timed("a handshake with the new key after", lambda: handshakes()[B][0] == public and handshakes()[B][1] > 0, 60)
    assert handshakes()[A][0] == before[A][0]
    assert handshakes()[A][1] in range(before[A][1], before[A][1] + 200)
    eventually(
        lambda: state(street, B) == "lives" and used(street) == A, 60, "its probes are answered, and wg-a carries"
    )
    picture(street)


def test_f10_a_tunnels_own_key_is_exchanged_while_the_other_one_carries(street: Street) -> None:
    """The city asks for wg-b's next key, its concentrator takes it, a layer names it; a restart in between changes nothing."""
    eventually(lambda: used(street) == A, 200, "registered by the preferred tunnel")
    old, other = box_key(B), box_key(A)
    (CONTROL / "rotate").write_text(B, encoding="ascii")
    eventually(lambda: report().get("next_keys"), 30, "the box's next key")
    (CONTROL / "rotate").unlink()
    (following,) = report()["next_keys"].values()
    assert following not in (old, other)
    street.kill("keeper")
    eventually(lambda: street.said("ferry").get("keeper"), 30, "the keeper again")
    assert box_key(B) == old, "nobody has named the next one"
    private_hub = (RUN / "hub" / TWO[1].host).read_text(encoding="ascii")
    configure(TWO[1], private_hub, following, f"{SECOND_TUNNEL_IP}/32")
    hand_out(street, lambda tunnel: tunnel.update(own_key=following), 2)
    eventually(lambda: box_key(B) == following, 30, "wg-b has its next key")
    timed("a handshake with it after", lambda: handshakes()[B][1] > 0, 60)
    assert box_key(A) == other
    eventually(lambda: state(street, B) == "lives", 60, "its probes are answered")
    eventually(lambda: not (SECRETS / "keeper" / "wg-b.next").exists(), 20, "it has taken the old one's place")
    street.kill("keeper")
    eventually(lambda: street.said("ferry").get("keeper"), 30, "the keeper again")
    assert box_key(B) == following
    picture(street)


def test_f17_a_hub_that_restarts_is_back_by_itself(street: Street) -> None:
    """F17: the preferred hub's WireGuard dies and begins anew with its key; the site is never without a road for long."""
    eventually(lambda: used(street) == A, 200, "registered by the preferred tunnel")
    street.stop_one_hub(0)
    stopped = int(time.time())
    street.start_one_hub(0)
    # It knows no session. The box makes a new one after fifteen seconds (WireGuard 6.5), and is by hub-b by then; or at once,
    # if the old one was two minutes old just now: then it need not leave.
    timed("a hub restarts, a handshake with it after", lambda: handshakes()[A][1] > stopped, 60)
    timed("and it answers after", lambda: state(street, A) == "lives", 60)
    timed("and the site is registered after", lambda: used(street) in (A, B), 60)
    picture(street)


def test_nothing_but_wireguard_left_the_uplink(street: Street, judge: Uplink) -> None:
    assert judge.wireguard > 100
    assert judge.violations == []
    for log in street.logs.glob("*.log"):
        assert "Traceback" not in log.read_text(encoding="utf-8", errors="replace"), log
