"""What the wide network does to a concentrator and to a box behind a NAT: floods, scans, holes, other ports (W04-W06).

The concentrator and its sites are those of ``tests/hubworld.py``; the first site stands behind a router of its own when the
NAT is what is tried:   s1 ── 10.9.0.0/24 ── nat ── cable ── hub
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from edge.lab import private
from edge.lab.sockets import packet_in, udp_in
from edge.lab.street import eventually
from edge.lab.topology import ip
from tests.hubworld import HUB, SERVICE, World, run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]
PORT, SECOND, SITE_1, STRANGER = 51820, 51821, "198.51.100.11", "198.51.100.66"
INITIATION, INITIATION_OCTETS = 1, 148
FLOOD = 20_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if not private.is_inside():
        pytest.skip("needs private namespaces: make test")
    made = World(tmp_path_factory.mktemp("outside"))
    try:
        ip("netns", "add", "stranger")
        ip("link", "add", "c0", "netns", "stranger", "type", "veth", "peer", "name", "p-stranger", "netns", "cable")
        ip("-n", "cable", "link", "set", "p-stranger", "master", "br0", "up")
        ip("-n", "stranger", "address", "add", f"{STRANGER}/24", "dev", "c0")
        for link in ("lo", "c0"):
            ip("-n", "stranger", "link", "set", link, "up")
        for site in made.sites:
            eventually(site.reaches, 40, f"{site.space} reaches the city")
        yield made
    finally:
        made.close()
        with contextlib.suppress(Exception):
            ip("netns", "delete", "stranger")


class Ear:
    """Every frame that a host sees, in and out."""

    def __init__(self, space: str, link: str = "c0") -> None:
        self._socket = packet_in(space)
        self._socket.settimeout(0.3)
        self.link = link

    def frames(self, seconds: float) -> Iterator[bytes]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                yield self._socket.recv(65536)

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def ear(space: str) -> Iterator[Ear]:
    made = Ear(space)
    try:
        yield made
    finally:
        made.close()


def udp_of(frame: bytes) -> tuple[str, int, str, int, bytes] | None:
    """Source, target and payload of a datagram in a frame."""
    if frame[12:14] != b"\x08\0" or frame[23] != 17:
        return None
    at = 14 + 4 * (frame[14] & 15)
    source, target = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
    ports = int.from_bytes(frame[at : at + 2], "big"), int.from_bytes(frame[at + 2 : at + 4], "big")
    return source, ports[0], target, ports[1], frame[at + 8 :]


def initiation(world: World) -> bytes:
    """A real handshake's first message of site 1, as a wire-tapper has it: its device begins anew and shakes hands."""
    one = world.sites[0]
    with ear("s1") as tap:
        run("s1", "wg", "set", one.device, "peer", world.hub_key(), "remove")
        one.dial(world.hub_key())
        one.reaches()
        for frame in tap.frames(15):
            told = udp_of(frame)
            if told is not None and told[2] == HUB and len(told[4]) >= INITIATION_OCTETS and told[4][0] == INITIATION:
                eventually(one.reaches, 20, "the tunnel, by that handshake")
                return told[4][:INITIATION_OCTETS]
    raise AssertionError("no handshake was seen")


def shake(world: World) -> int:
    for line in run("hub", "wg", "show", "wg-hub0", "latest-handshakes").splitlines():
        key, at = line.split("\t")
        if key == world.sites[0].public:
            return int(at)
    return 0


def endpoint(world: World) -> str:
    for line in run("hub", "wg", "show", "wg-hub0", "endpoints").splitlines():
        key, where = line.split("\t")
        if key == world.sites[0].public:
            return where
    return ""


def answers(ask: Callable[[], None], space: str = "stranger", seconds: float = 2.0) -> list[bytes]:
    """Return the IP packets that a host hears from the concentrator while and after it asks."""
    with ear(space) as heard:
        ask()
        found = []
        for frame in heard.frames(seconds):
            if frame[12:14] == b"\x08\0" and frame[26:30] == socket.inet_aton(HUB):
                found.append(frame)
        return found


def test_w04_a_handshake_that_was_recorded_is_good_for_nothing_a_second_time(world: World) -> None:
    recorded = initiation(world)
    time.sleep(1.1)  # WireGuard tells handshakes in whole seconds
    before, where = shake(world), endpoint(world)

    def replay() -> None:
        with contextlib.closing(udp_in("stranger", (STRANGER, 0))) as line:
            for _ in range(20):
                line.sendto(recorded, (HUB, PORT))

    assert answers(replay) == [], "a responder that took it would answer with 92 octets"
    assert (shake(world), endpoint(world)) == (before, where), "no session and no other place"
    assert world.sites[0].reaches(tries=5)


def test_w04_a_flood_of_handshakes_costs_no_tunnel(world: World) -> None:
    """Random ones, recorded ones and cookies; the sites knock all the while, and what they lose is counted."""
    recorded, one = initiation(world), world.sites[0]
    lines = [udp_in("stranger", (STRANGER, 0)) for _ in range(8)]
    heard = tried = 0
    try:
        for at in range(FLOOD):
            shape = at % 3
            head = bytes((INITIATION, 0, 0, 0)) if shape else bytes((3, 0, 0, 0))
            octets = recorded if shape == 2 else head + os.urandom(INITIATION_OCTETS - 4 if shape else 60)
            with contextlib.suppress(BlockingIOError):
                lines[at % 8].sendto(octets, (HUB, PORT))
            if at % 400 == 399:
                tried, heard = tried + 1, heard + one.reaches(tries=2)
    finally:
        for line in lines:
            line.close()
    assert heard >= 0.99 * tried, f"{heard} of {tried} knocks while {FLOOD} came"
    assert "latest handshake" in run("hub", "wg", "show", "wg-hub0")
    assert all(site.reaches(tries=5) for site in world.sites)


@pytest.mark.parametrize(("port", "silent"), [(PORT, True), (SECOND, False)])
def test_w05_who_asks_a_concentrator_without_a_key_hears_nothing(world: World, port: int, silent: bool) -> None:
    """Its other ports are the host's own: one where nobody listens says so by ICMP, which is the control."""

    def scan() -> None:
        with contextlib.closing(udp_in("stranger", (STRANGER, 0))) as line:
            for _ in range(20):
                for octets in (b"", b"x", bytes(148), b"\x01" + bytes(147), b"\x04" + bytes(31), os.urandom(1200)):
                    with contextlib.suppress(OSError):
                        line.sendto(octets, (HUB, port))

    assert (answers(scan) == []) is silent


@contextlib.contextmanager
def hole(rule: str) -> Iterator[None]:
    """Between the site and the concentrator something is dropped without a word."""
    run("cable", "nft", "add table bridge hole")
    run("cable", "nft", "add chain bridge hole way { type filter hook forward priority 0; }")
    run("cable", "nft", f"add rule bridge hole way {rule} counter drop")
    try:
        yield
    finally:
        run("cable", "nft", "delete table bridge hole")


def test_w06_udp_that_was_blocked_comes_back_by_itself(world: World) -> None:
    one = world.sites[0]
    with hole(f"udp dport {PORT}"):
        assert not one.reaches(tries=8)
        time.sleep(20)  # past the keepalives of WireGuard: it tries to shake hands anew
        assert not one.reaches(tries=2)
        assert "counter packets 0 " not in run("cable", "nft", "list ruleset")
    eventually(one.reaches, 20, "the tunnel, a handshake's five seconds after the way is back")


@pytest.mark.parametrize(("size", "passes"), [(1172, True), (1400, False)])
def test_w06_on_a_way_that_swallows_what_is_long_a_small_tunnel_loses_nothing(
    world: World, size: int, passes: bool
) -> None:
    """No ICMP comes back. A tunnel of 1280 octets keeps whole datagrams; one of 1420 would lose them (the control)."""
    one = world.sites[0]
    run("s1", "ip", "link", "set", one.device, "mtu", "1280" if passes else "1420")
    try:
        with hole("ip length > 1340"), contextlib.closing(udp_in("s1", (one.address, 0))) as line:
            line.settimeout(0.5)
            got = 0
            for _ in range(20):
                line.sendto(bytes(size), (SERVICE, 5060))
                with contextlib.suppress(TimeoutError):
                    got += line.recv(64).startswith(b"heard:")
        assert (got >= 19) if passes else (got == 0), got
    finally:
        run("s1", "ip", "link", "set", one.device, "mtu", "1420")


def test_w06_f19_a_nat_that_gives_other_ports_costs_the_tunnel_nothing(world: World) -> None:
    """The router before the site forgets its mapping and makes another, six times: the hub answers where it last heard."""
    one, seen = world.sites[0], set()
    own = run("s1", "wg", "show", one.device, "listen-port").strip()
    try:
        for at in range(6):
            port = 20000 + at
            run("s1", "nft", "delete table ip nat", ok=True)
            run("s1", "nft", "add table ip nat")
            # Without a memory, so that nothing of the mapping before is left: packets to the old port come to nobody.
            for hook, words in (
                ("output", f"udp dport {PORT} udp sport set {port} notrack"),
                ("prerouting", f"udp sport {PORT} udp dport {port} udp dport set {own} notrack"),
                ("prerouting", f"udp sport {PORT} udp dport != {own} drop"),
            ):
                run("s1", "nft", f"add chain ip nat {hook} {{ type filter hook {hook} priority -300; }}")
                run("s1", "nft", f"add rule ip nat {hook} {words}")
            eventually(one.reaches, 15, "the tunnel, from another port")
            eventually(lambda port=port: endpoint(world) == f"{SITE_1}:{port}", 15, "the hub has seen it")
            seen.add(endpoint(world))
            assert one.reaches(tries=5)
    finally:
        run("s1", "nft", "delete table ip nat", ok=True)
    assert len(seen) == 6
    eventually(one.reaches, 15, "the tunnel, from its own port")
