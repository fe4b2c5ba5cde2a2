"""A street whose uplink is a stranger's: DHCP gives the address, DNS the hub's, both by Debian's dnsmasq.

lan [siteside] · (ferry) · [cityside] vpn ═══ wg ═══ city
                  wan [uplink] ─── up0 internet [dnsmasq: 198.51.100.50-59, hub.example]
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import private, topology
from edge.lab.capture import Uplink
from edge.lab.orders import order
from edge.lab.street import RUN, SITE_FILE, STATE, Street, eventually
from tests.conftest import ORDERS

DNS = topology.INTERNET_IP
FIRST, OTHER = ("198.51.100.50", "198.51.100.59"), ("198.51.100.80", "198.51.100.89")
OVERLAPPING = ("192.168.1.100", "192.168.1.109")


def dhcp_site(folder: Path) -> Path:
    text = SITE_FILE.read_text(encoding="utf-8")
    uplink = text[text.index("[uplink]") : text.index("[lan]")]
    # Over UDP a BYE is said until it is heard: here cables are pulled, and what is judged is the uplink.
    text = text.replace("[[platform]]\n", '[[platform]]\ntransport = "udp"\n')
    text = text.replace(uplink, '[uplink]\nport = "wan0"\nmode = "dhcp"\n\n')
    path = folder / "site.toml"
    path.write_text(text.replace("203.0.113.10:", "hub.example:"), encoding="utf-8")
    return path


class Server:
    """dnsmasq in ``internet``; each start is another server with no memory."""

    def __init__(self, street: Street) -> None:
        self._street = street
        self._starts = 0
        self.pool: tuple[str, str] | None = None
        self.hub = topology.CITY_PUBLIC

    def serve(self, pool: tuple[str, str], router: str = topology.INTERNET_IP) -> None:
        self.stop()
        self.pool = pool
        self._starts += 1
        self._street.program(
            f"dnsmasq-{self._starts}", "internet", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
            "--user=root", "--pid-file=", "--interface=up0", "--bind-interfaces", "--except-interface=lo",
            "--dhcp-authoritative", f"--dhcp-range={pool[0]},{pool[1]},255.255.255.0,2m",
            f"--dhcp-option=option:router,{router}", f"--dhcp-option=option:dns-server,{DNS}",
            f"--dhcp-leasefile=/run/leases-{self._starts}", "--no-resolv", "--no-hosts", "--no-ping",
            f"--address=/hub.example/{self.hub}",
        )  # fmt: skip

    def stop(self) -> None:
        self.pool = None
        if self._starts:
            self._street.stop_program(f"dnsmasq-{self._starts}")


#: A tunnel is called stale after minutes, and its name is then asked anew.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def judge() -> Uplink:
    return Uplink((topology.CITY_PUBLIC, topology.HUB_PORT), dhcp=True, dns=frozenset({DNS}))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory, judge: Uplink) -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    if shutil.which("dnsmasq") is None:
        pytest.skip("lab_no_program: dnsmasq (Debian: dnsmasq-base)")
    site = dhcp_site(tmp_path_factory.mktemp("dhcp"))
    street = Street(Path("build/lab/dhcp-log"), site_file=site)
    try:
        street.build()
        judge.open("internet", "up0")
        street.start()
        street.start_hub()
        yield street
    finally:
        judge.close()
        street.close()


@pytest.fixture(scope="module")
def server(street: Street) -> Server:
    server = Server(street)
    server.serve(FIRST)
    return server


@pytest.fixture(autouse=True)
def standing(street: Street, server: Server) -> Iterator[None]:
    """The first server serves, the site is registered, and the city's end of the tunnel knows where the box is."""
    eventually(lambda: order(ORDERS, "facts")["online"], 90, "the site's registration")
    eventually(known_to_the_city, 60, "the tunnel from the box's present address")
    yield
    if server.pool != FIRST:
        server.serve(FIRST)
        replug()
    eventually(lambda: str(kept()).startswith("198.51.100.5"), 60, "the first server's address")


def kept() -> Any:
    """The keeper's lease, by the file it keeps."""
    try:
        lease = json.loads((STATE / "keeper" / "learned.json").read_bytes())["lease"]
    except (OSError, ValueError):
        return None
    return lease and lease["address"]


def known_to_the_city() -> bool:
    """The box speaks every ten seconds, and WireGuard notes from where."""
    held = kept()
    return bool(held) and f"\t{held.split('/')[0]}:" in inside("city", "wg", "show", "wg0", "endpoints")


def replug() -> None:
    """The uplink's cable is pulled and put in again."""
    topology.ip("-n", "internet", "link", "set", "up0", "down")
    eventually(lambda: "NO-CARRIER" in inside("wan", "ip", "link", "show", "dev", "wan0"), 10, "the box to see it")
    topology.ip("-n", "internet", "link", "set", "up0", "up")


def inside(namespace: str, *words: str) -> str:
    done = subprocess.run(topology.inside(namespace, *words), capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


def addresses() -> str:
    return inside("wan", "ip", "-4", "address", "show", "dev", "wan0")


def codes(street: Street) -> set[str]:
    return {code for code, *_ in street.status()["keeper"]["findings"]}


def right() -> int:
    count: int = order(ORDERS, "facts")["judge"].get("right", 0)
    return count


def test_address_route_and_endpoint_come_from_outside_and_the_picture_passes(street: Street, playing: str) -> None:
    before = right()
    eventually(lambda: right() > before + 25, 30, "pictures")
    assert "198.51.100.5" in addresses()
    assert "default via 198.51.100.1" in inside("wan", "ip", "route", "show")
    assert "203.0.113.10:51820" in inside("vpn", "wg", "show", "wg-a", "endpoints")
    assert codes(street) == set()
    assert street.said("uplink")["dhcp"] == "bound"


def test_rules_name_the_leases_servers_and_dhcp(street: Street) -> None:
    shown = inside("wan", "nft", "list", "ruleset")
    assert "ip daddr 198.51.100.1 udp dport 53" in shown
    assert "ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67" in shown


def test_the_uplinks_program_has_no_right_at_all(street: Street) -> None:
    status = Path(f"/proc/{street.pid('uplink')}/status").read_text(encoding="ascii")
    rights = dict(line.split(":\t") for line in status.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
    assert {rights[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}
    # Its unit bounds it to CAP_NET_RAW, which nobody who is not root can take away; without new privileges it is nothing.
    assert int(rights["CapBnd"], 16) in (0, 1 << 13)
    assert rights["NoNewPrivs"] == "1"


def test_f19_a_kill_of_uplink_and_keeper_costs_nothing(street: Street, playing: str) -> None:
    held = addresses()
    for name in ("uplink", "keeper"):
        before, starts = right(), street.starts(name)
        street.kill(name)
        eventually(lambda name=name, starts=starts: street.starts(name) > starts, 10, f"{name} again")
        eventually(lambda before=before: right() > before + 50, 20, "pictures all the while")
    assert addresses().split("valid_lft")[0] == held.split("valid_lft")[0]
    eventually(lambda: street.said("uplink").get("dhcp") == "bound", 30, "a lease again")


def test_f19_another_network_behind_the_cable_gives_another_address_and_the_tunnel_is_back(
    street: Street, server: Server, playing: str
) -> None:
    server.serve(OTHER)
    replug()
    eventually(lambda: "198.51.100.8" in addresses(), 30, "an address of the other server")
    assert "198.51.100.5" not in addresses()
    before = right()
    eventually(lambda: right() > before + 25, 60, "more pictures in the same view")


def test_f19_f21_without_dhcp_and_dns_all_goes_on_and_a_restart_too(
    street: Street, server: Server, playing: str
) -> None:
    server.stop()
    replug()
    for name in ("uplink", "keeper", "wg-a"):
        if street.runs(name):
            starts = street.starts(name)
            street.kill(name)
            eventually(lambda name=name, starts=starts: street.starts(name) > starts, 10, f"{name} again")
    before = right()
    eventually(lambda: right() > before + 25, 60, "more pictures in the same view")
    assert "203.0.113.10:51820" in inside("vpn", "wg", "show", "wg-a", "endpoints")
    assert street.said("uplink")["names"] == {"hub.example": "203.0.113.10"}


def test_w06_f17_a_hub_that_moved_is_found_by_its_name(street: Street, server: Server, judge: Uplink) -> None:
    """Its old address is nobody's any more; the name's answer is another, and the tunnel follows without a word of a person."""
    moved = "203.0.113.20"
    judge.hubs |= {(moved, topology.HUB_PORT)}
    link = next(
        line for line in inside("city", "ip", "-o", "-4", "addr", "show").splitlines() if topology.CITY_PUBLIC in line
    )

    def moves(old: str, new: str) -> None:
        topology.ip("-n", "city", "addr", "del", f"{old}/24", "dev", link.split()[1])
        topology.ip("-n", "city", "addr", "add", f"{new}/24", "dev", link.split()[1])
        topology.ip("-n", "city", "route", "replace", "default", "via", "203.0.113.1")
        server.hub = new
        server.serve(FIRST)

    moves(topology.CITY_PUBLIC, moved)
    try:
        eventually(lambda: f"{moved}:51820" in inside("vpn", "wg", "show", "wg-a", "endpoints"), 400, "the new address")
        eventually(lambda: order(ORDERS, "facts")["online"], 120, "the site's registration by it")
    finally:
        moves(moved, topology.CITY_PUBLIC)
        replug()


def test_a_lease_that_overlaps_the_lan_is_refused_with_its_sentence(street: Street, server: Server) -> None:
    topology.ip("-n", "internet", "addr", "add", "192.168.1.254/24", "dev", "up0")
    try:
        server.serve(OVERLAPPING, router="192.168.1.254")
        replug()
        eventually(lambda: "lease_overlaps" in codes(street), 60, "the finding")
        eventually(lambda: str(street.said("uplink").get("address")).startswith("192.168.1."), 10, "what was offered")
        assert "192.168.1." not in addresses()
        assert "lease: lease_overlaps" in (street.logs / "uplink.log").read_text(encoding="utf-8")
    finally:
        topology.ip("-n", "internet", "addr", "del", "192.168.1.254/24", "dev", "up0")


def test_a_static_site_takes_the_lease_away_and_dhcp_asks_anew(street: Street) -> None:
    applied = RUN / "applied.toml"
    dhcp = applied.read_text(encoding="utf-8")
    uplink = dhcp[dhcp.index("[uplink]") : dhcp.index("[lan]")]
    fixed = '[uplink]\nport = "wan0"\naddress = "198.51.100.2/24"\ngateway = "198.51.100.1"\n\n'
    street.apply(dhcp.replace(uplink, fixed).replace("hub.example:", "203.0.113.10:"))
    assert "198.51.100.2/24" in addresses()
    assert "198.51.100.5" not in addresses()
    eventually(lambda: street.said("uplink").get("dhcp") is None, 10, "the client's rest")
    assert "udp dport 67" not in inside("wan", "nft", "list", "ruleset")
    street.apply(dhcp)
    eventually(lambda: "198.51.100.5" in addresses(), 30, "a lease")
    assert "198.51.100.2/24" not in addresses()
    eventually(lambda: street.said("uplink").get("dhcp") == "bound", 30, "the client's own word")


def test_nothing_but_dhcp_dns_and_wireguard_left_the_uplink_all_the_while(street: Street, judge: Uplink) -> None:
    assert judge.wireguard > 100
    assert judge.questions > 0
    assert judge.violations == []
    for log in street.logs.glob("*.log"):
        assert "Traceback" not in log.read_text(encoding="utf-8", errors="replace"), log
    assert (RUN / "keeper" / "uplink" / "socket").exists()
