"""What the wide network and an owned recorder do to a box's tunnel: floods, scans, holes, a restarted platform (F16, W04-W06, W08).

    nvr ── lan0 │ the box │ wan0 ══ wg-a ══ internet ── 203.0.113.10 hub, city
                                     │
                                     └ 198.51.100.77 somebody else on the uplink

Judged by captures at who asks, and at the uplink: ARP and WireGuard to the hub, and nothing else, leave the box all the while.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.lab import craft, private, topology
from edge.lab.capture import Uplink
from edge.lab.orders import order
from edge.lab.street import RUN, Street, eventually
from edge.lab.topology import CITY_IP, CITY_PUBLIC, HUB_PORT, INTERNET_IP, LAN_IP, NVR_IP, WAN0_MAC, WAN_IP
from tests.conftest import ORDERS, whole
from tests.lab.barrage import barrage
from tests.lab.streets import test_two_tunnels as two
from tests.lab.streets.test_hostile_packets import Judges, fresh, in_twin, lan, send

pytestmark = pytest.mark.timeout(420)
STRANGER = "198.51.100.77"
IPV4 = 0x0800


@pytest.fixture(scope="module")
def judge() -> Uplink:
    return Uplink((CITY_PUBLIC, HUB_PORT))


@pytest.fixture(scope="module")
def judges() -> Iterator[Judges]:
    made = Judges()
    yield made
    made.close()


@pytest.fixture(scope="module")
def street(judge: Uplink, judges: Judges) -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    street = Street(Path("build/lab/uplink-attacked-log"))
    try:
        street.build()
        judge.open("internet", "up0")
        judges.open()
        topology.ip("-n", "internet", "addr", "add", f"{STRANGER}/24", "dev", "up0")
        street.start()
        street.start_hub()
        eventually(lambda: whole(street), 90, "the whole street")
        yield street
    finally:
        judge.close()
        street.close()


def inside(namespace: str, *words: str) -> str:
    done = subprocess.run(topology.inside(namespace, *words), capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


def port() -> int:
    return int(inside("vpn", "wg", "show", "wg-a", "listen-port"))


def to_box(source: tuple[str, int], target: int, payload: bytes) -> bytes:
    return craft.ethernet(WAN0_MAC, mac(), IPV4, craft.udp(source, (WAN_IP, target), payload))


def mac() -> str:
    return inside("internet", "ip", "-o", "link", "show", "dev", "up0").partition("link/ether ")[2].split()[0]


def handshake() -> int:
    return int(inside("vpn", "wg", "show", "wg-a", "latest-handshakes").split()[1])


@contextlib.contextmanager
def hole(words: str) -> Iterator[None]:
    """Between the box and its hub something is dropped without a word."""
    inside("internet", "nft", "add table ip hole")
    inside("internet", "nft", "add chain ip hole way { type filter hook forward priority 0; }")
    inside("internet", "nft", f"add rule ip hole way {words} counter drop")
    try:
        yield
    finally:
        inside("internet", "nft", "delete table ip hole")


def swallowed() -> str:
    return inside("internet", "nft", "list", "table", "ip", "hole")


@contextlib.contextmanager
def watched(street: Street) -> Iterator[None]:
    two.watch(street)
    try:
        yield
    finally:
        two.stop(street)


def picture(street: Street) -> None:
    """A picture, asked for again if the city asked while the box's programs were being begun anew with another tunnel."""
    for _ in range(2):
        try:
            two.picture(street)
        except TimeoutError:
            order(ORDERS, "stop")
        else:
            return
    two.picture(street)


# -- W04, W05: from the uplink -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [(STRANGER, 40000), (CITY_PUBLIC, HUB_PORT)], ids=["another's", "the hub's own"])
def test_w04_a_flood_at_the_tunnels_port_costs_no_picture(
    street: Street, judge: Uplink, source: tuple[str, int]
) -> None:
    """Handshakes of nobody, data of nobody, cookies; under the hub's own address they come as far as WireGuard."""
    shapes = [
        b"\1\0\0\0" + os.urandom(144),
        b"\4\0\0\0" + os.urandom(60),
        b"\3\0\0\0" + os.urandom(60),
        b"\2\0\0\0" + os.urandom(88),
    ]
    frames = [to_box(source, port(), shape) for shape in shapes]
    with watched(street):
        before = two.right()
        with barrage("internet", "up0", frames, most=60_000):
            two.flows()
            two.flows()
        assert two.right() > before + 50
        assert handshake() > time.time() - 180, "and the session stands"
    assert judge.violations == [], "no word of the box to whoever asks"


def test_w05_who_scans_the_box_from_the_uplink_hears_nothing(street: Street, judge: Uplink) -> None:
    """No answer and no refusal, from any port, to a stranger nor under the hub's address."""
    asked = [
        to_box((source, 40000), target, payload)
        for source in (STRANGER, INTERNET_IP, CITY_PUBLIC)
        for target in (port(), 22, 53, 67, 80, 123, 161, 443, 5060, 8443, 15060, 51820, 51821)
        for payload in (b"", b"\1\0\0\0" + bytes(144), os.urandom(600))
    ]
    asked += [
        craft.ethernet(WAN0_MAC, mac(), IPV4, craft.tcp_syn((STRANGER, 40000 + at), (WAN_IP, target), at, b""))
        for at, target in enumerate((22, 53, 80, 443, 5060, 8443, 8554))
    ]
    asked.append(craft.ethernet(WAN0_MAC, mac(), IPV4, craft.ipv4(STRANGER, WAN_IP, 1, b"\x08\0\xf7\xff\0\0\0\0")))
    before = judge.frames
    with barrage("internet", "up0", asked, most=3 * len(asked)):
        time.sleep(3)
    assert judge.violations == []
    unheard = Uplink((CITY_PUBLIC, HUB_PORT))
    unheard.open("internet", "up0")
    try:
        with street.held("keeper"):
            inside("wan", "nft", "flush ruleset")
            with barrage("internet", "up0", asked, most=len(asked)):
                eventually(lambda: unheard.violations, 10, "the control: without the rules its kernel answers")
    finally:
        unheard.close()
        judge.violations.clear()
    eventually(lambda: "drop" in inside("wan", "nft", "list", "ruleset"), 20, "the rules again")
    assert judge.frames > before


# -- W06: the way breaks -----------------------------------------------------------------------------------------------


def test_w06_f15_udp_that_was_blocked_for_a_while_comes_back_by_itself(street: Street, judge: Uplink) -> None:
    two.picture(street)
    with hole(f"udp dport {HUB_PORT}"):
        eventually(lambda: not street.said("cityside").get("registered"), 120, "the box sees that nobody answers")
    began = time.monotonic()
    eventually(lambda: street.said("cityside").get("registered"), 120, "registered again")
    print(f"registered {time.monotonic() - began:.1f} s after the way was back")
    two.picture(street)
    assert judge.violations == []


def test_w06_on_a_way_that_swallows_what_is_long_a_site_with_a_small_tunnel_has_its_picture(street: Street) -> None:
    """Nothing says that it was too long. The city's layer names the size; 1280 passes wherever IPv6 does."""
    text = (RUN / "applied.toml").read_text(encoding="utf-8")
    assert "mtu = 1420" in text
    with watched(street), hole("ip length > 1340"):
        eventually(
            lambda: "counter packets 0 " not in swallowed(), 30, "the control: of a large tunnel much is swallowed"
        )
    try:
        street.apply(text.replace("mtu = 1420", "mtu = 1280"))
        with hole("ip length > 1340"):
            eventually(lambda: whole(street), 90, "the whole street")
            picture(street)
            assert "counter packets 0 " in swallowed()
    finally:
        street.apply(text)
    picture(street)


# -- W08: a resolver, and other ways out for words ---------------------------------------------------------------------


def test_w08_words_in_names_pings_and_doh_leave_by_no_way_and_the_box_resolves_for_nobody(
    street: Street, judges: Judges, judge: Uplink
) -> None:
    marker = fresh()
    label = bytes((63,)) + marker.hex().encode().ljust(63, b"a")
    ask = b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + 3 * label + b"\6tunnel\7example\0\0\x10\0\1" + marker
    echo = b"\x08\0" + bytes(6) + marker + bytes(800)
    to_the_box = [
        lan(craft.udp((NVR_IP, 41000), (LAN_IP, 53), ask)), lan(craft.udp((NVR_IP, 41000), (LAN_IP, 5353), ask)),
        lan(craft.tcp_syn((NVR_IP, 41000), (LAN_IP, 53), 7, marker)), lan(craft.tcp_syn((NVR_IP, 41001), (LAN_IP, 853), 7, marker)),
    ]  # fmt: skip
    beyond = [
        lan(frame)
        for target in (INTERNET_IP, CITY_IP)
        for frame in (
            craft.udp((NVR_IP, 41000), (target, 53), ask), craft.tcp_syn((NVR_IP, 41000), (target, 53), 7, marker),
            craft.tcp_syn((NVR_IP, 41000), (target, 443), 7, marker), craft.udp((NVR_IP, 41000), (target, 443), b"\xc3" + marker),
            craft.tcp_syn((NVR_IP, 41000), (target, 853), 7, marker), craft.ipv4(NVR_IP, target, 1, echo),
        )
    ]  # fmt: skip
    answered = b"w08 answer"
    judges["nvr"].watches[answered] = lambda frame: (
        frame[12:14] == b"\x08\0" and frame[23] in (6, 17) and frame[34:36] in (b"\0\x35", b"\x14\xe9", b"\3\x55")
    )
    try:
        send(*to_the_box, *beyond)
        assert judges.count(marker, "city", "internet") == 0
        assert judges["lan"].markers[marker] == len(to_the_box) + len(beyond), "all have come to the box's port"
        assert judges["nvr"].markers[answered] == 0, "no resolver of the box says anything"
    finally:
        judges["nvr"].watches.pop(answered)
    in_twin(*beyond)
    assert judges.count(marker, "t-internet", "t-city") >= len(beyond) // 2, "the control"
    assert judge.violations == []


# -- F16: who is at the other end -------------------------------------------------------------------------------------


def online() -> bool:
    try:
        return bool(order(ORDERS, "facts")["online"])
    except OSError:
        return False  # it is just coming up


def test_f16_a_platform_that_was_restarted_is_registered_with_again_and_shows_pictures(street: Street) -> None:
    two.picture(street)
    starts = street.starts("city")
    street.kill("city")
    eventually(lambda: street.starts("city") > starts, 20, "the platform again")
    eventually(online, 120, "the site's registration at a platform that knew nothing")
    two.picture(street)


def test_all_the_while_nothing_but_wireguard_left_the_uplink(street: Street, judge: Uplink) -> None:
    assert judge.wireguard > 100
    assert judge.violations == []
    for log in street.logs.glob("*.log"):
        assert "Traceback" not in log.read_text(encoding="utf-8", errors="replace"), log
