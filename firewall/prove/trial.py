"""A trial: the rooms are built, the rules loaded, the packets sent, and what arrived is compared with what must."""

from __future__ import annotations

import fcntl
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from firewall.nft import Nft
from firewall.prove.cases import SPARE_TUNNEL
from firewall.prove.flows import own_addresses, recorders
from firewall.prove.opened import opened
from firewall.prove.packet import ARP, Case, Outcome, Room, Way
from firewall.prove.rooms import Scratch, cable
from firewall.prove.wire import Captured, Inner, Outer, frame
from netconf.learned import Learned
from netconf.model import Site

ROOMS: tuple[Room, ...] = ("lan", "vpn", "wan")
#: Rules that stop nothing: what arrives beneath them shows that a packet could have arrived.
OPEN = "".join(
    f"add table inet snowgate\nadd chain inet snowgate {name} {{ type filter hook {hook} priority 0; policy accept; }}\n"
    for name, hook in (("raw", "prerouting"), ("input", "input"), ("output", "output"))
)
#: A wire's chain bears the name of its device as well.
_CHAIN = re.compile(r"\s*chain (\w+)(?:-\S+)? \{")
#: The chains that a packet meets, in order.
_CHAINS: dict[Way, tuple[str, ...]] = {
    "in": ("raw", "input", "forward"), "out": ("output", "egress"), "frame": ("egress",),
}  # fmt: skip
_RULE = re.compile(r"counter packets (\d+) bytes \d+ (accept|drop) comment \"([^\"]*)\"")
_SETTLE_SECONDS, _AGAIN_SECONDS = 0.05, 0.3
#: Allowed packets that come at once may meet a limit of their flow: they are sent again, one by one.
_TRIES = 4
_SIOCGIFHWADDR = 0x8927
_SPARE_UPLINK, _NEIGHBOUR_MAC = "192.0.2.2/24", "02:00:00:00:99:97"


@dataclass(frozen=True, slots=True)
class Counted:
    """A rule as the kernel shows it: its chain, comment and verdict, and how many packets it has met."""

    chain: str
    comment: str
    verdict: str
    count: int


def decided(way: Way, now: Sequence[Counted], before: Sequence[Counted]) -> Counted | None:
    """Return the rule that decided of what was sent in between; None when no rule met it.

    What the room answers meets rules, too, but in other chains.
    """
    chains = _CHAINS[way]
    met = [n for n, old in zip(now, before, strict=True) if n.count > old.count and n.chain in chains]
    dropped = [rule for rule in met if rule.verdict == "drop"]
    last = dropped or sorted(met, key=lambda rule: chains.index(rule.chain))
    return last[-1] if last else None


class Stage:
    """The three rooms and the world outside, without rules."""

    def __init__(self, site: Site, learned: Learned, cases: Sequence[Case]) -> None:
        self.world = Scratch("world")
        self.rooms = {name: Scratch(name) for name in ROOMS}
        self._ports: dict[Room, list[str]] = {
            "lan": [site.lan.link],
            "vpn": [t.name for t in site.tunnel] or [SPARE_TUNNEL[0]],
            "wan": [site.uplink.port],
        }
        self._macs: dict[tuple[Room, int], str] = {}
        for name, room in self.rooms.items():
            for at, port in enumerate(self._ports[name]):
                cable(room, port, self.world, f"far-{name}{at}")
            self._open_up(room, self._ports[name])
        self._address(site, learned, cases)
        self.nft = {name: room.do(Nft) for name, room in self.rooms.items()}
        protocols = {case.packet.protocol for case in cases} - {ARP}
        self.inner = {name: room.do(Inner, protocols) for name, room in self.rooms.items()}
        doors = [(name, at) for name in ROOMS for at in range(len(self._ports[name]))]
        self.outer = {(name, at): self.world.do(Outer, f"far-{name}{at}") for name, at in doors}
        self.captured = {(name, at): self.rooms[name].do(Captured, self._ports[name][at]) for name, at in doors}

    def _open_up(self, room: Scratch, ports: list[str]) -> None:
        """Let the kernel do what it can: the rules alone are to be judged."""
        for key in ("ip_forward", "conf/all/accept_local", "conf/all/route_localnet"):
            room.set(f"ipv4/{key}", "1")
        for port in ("all", *ports):
            room.set(f"ipv4/conf/{port}/rp_filter", "0")

    def _address(self, site: Site, learned: Learned, cases: Sequence[Case]) -> None:
        lan, vpn, wan = (self.rooms[name] for name in ROOMS)
        lan.run("ip", "addr", "add", str(site.lan.address), "dev", site.lan.link)
        for room, port in ((lan, site.lan.link), (wan, site.uplink.port)):
            room.run("ip", "addr", "add", "fe80::2/64", "dev", port, "nodad")
        tunnels = [(tunnel.name, str(tunnel.address)) for tunnel in site.tunnel] or [SPARE_TUNNEL]
        for name, address in tunnels:
            vpn.run("ip", "link", "set", name, "arp", "off")
            vpn.run("ip", "addr", "add", address, "dev", name)
        for at, (name, _) in enumerate(tunnels):
            vpn.run("ip", "route", "add", "default", "dev", name, "metric", str(at))
        own = own_addresses(site, learned)["wan"]
        uplink = (
            site.uplink.address if site.uplink.mode == "static" else learned.lease.address if learned.lease else None
        )
        wan.run("ip", "addr", "add", str(uplink) if own and uplink else _SPARE_UPLINK, "dev", site.uplink.port)
        macs = {str(a): r.mac for r in recorders(site) for a in (r.address, *r.media_addresses)}
        beyond = uplink.network if own and uplink else IPv4Network(_SPARE_UPLINK, strict=False)
        taken = {str(site.lan.address.ip), *own}
        for room, port, network in ((lan, site.lan.link, site.lan.address.network), (wan, site.uplink.port, beyond)):
            near = {c.packet.target for c in cases if c.way == "out" and IPv4Address(c.packet.target) in network}
            # The last host that is not we: a network of two has no broadcast address (RFC 3021).
            last = -1 if network.prefixlen > 30 else -2
            router = next(host for host in (str(network[last]), str(network[last - 1])) if host not in taken)
            for host in sorted(near | {router}):
                room.run("ip", "neigh", "replace", host, "lladdr", macs.get(host, _NEIGHBOUR_MAC), "dev", port)
            room.run("ip", "route", "replace", "default", "via", router, "dev", port)

    def mac(self, name: Room, door: int = 0) -> str:
        """Return the hardware address of a room's port."""
        if (name, door) not in self._macs:
            self._macs[name, door] = self.rooms[name].do(_link_address, self._ports[name][door])
        return self._macs[name, door]

    def load(self, texts: Mapping[Room, str]) -> None:
        """Put rules in place.

        Raises:
            NftRefused: a text is none.
        """
        for name, text in texts.items():
            self.rooms[name].do(self.nft[name].run, text)

    def send(self, case: Case, number: int) -> None:
        """Send a case's packets."""
        name, packet, door = case.room, case.packet, (case.room, case.door)
        if case.way == "in":
            data = [frame(each, number, self.mac(*door)) for each in (packet, *case.also)] * case.times
            self.world.do(self.outer[door].send, *data)
        elif case.way == "out":
            self.rooms[name].do(self.captured[door].send, packet, number)
        else:
            goes = frame(packet, number, packet.hardware or _NEIGHBOUR_MAC, self.mac(*door))
            self.rooms[name].do(self.captured[door].send_frame, goes)

    def send_frame(self, name: Room, data: bytes) -> None:
        """Send a frame to a room as it is."""
        self.world.do(self.outer[name, 0].send, data)

    def heard(self, cases: Sequence[Case]) -> Counter[int]:
        """Return how often each case's packet has arrived where its rules are to stop it."""
        time.sleep(_SETTLE_SECONDS)
        inside = {name: room.do(self.inner[name].heard) for name, room in self.rooms.items()}
        outside = {door: self.world.do(outer.heard) for door, outer in self.outer.items()}
        found: Counter[int] = Counter()
        for number, case in enumerate(cases, 1):
            # What a room sends on through the same cable has passed it, too.
            came = inside[case.room][number] if case.way == "in" else 0
            found[number] = came + outside[case.room, case.door][number]
        return found

    def counters(self, name: Room) -> list[Counted]:
        """Return the rules of a room that count, in order."""
        told = self.rooms[name].do(self.nft[name].run, "list ruleset\n")
        found, chain = [], ""
        for line in told.splitlines():
            if begun := _CHAIN.match(line):
                chain = begun[1]
            elif rule := _RULE.search(line):
                found.append(Counted(chain, rule[3], rule[2], int(rule[1])))
        return found

    def close(self) -> None:
        for name, room in self.rooms.items():
            room.do(self.inner[name].close)
        for door, outer in self.outer.items():
            self.rooms[door[0]].do(self.captured[door].close)
            self.world.do(outer.close)
        for room in self.rooms.values():
            room.close()
        self.world.close()


def _link_address(port: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        told = fcntl.ioctl(asked.fileno(), _SIOCGIFHWADDR, struct.pack("256s", port.encode("ascii")))
    return told[18:24].hex(":")


def trial(site: Site, learned: Learned, texts: Mapping[Room, str], cases: Sequence[Case]) -> list[Outcome]:
    """Send every case against the rules, and, for comparison, against none.

    Raises:
        NoScratch: a namespace could not be made.
        NftRefused: a ruleset is none.
    """
    stage = Stage(site, learned, cases)
    try:
        stage.load(dict.fromkeys(ROOMS, OPEN))
        for number, case in enumerate(cases, 1):
            stage.send(case, number)
        bare = stage.heard(cases)
        stage.load(dict.fromkeys(ROOMS, "flush ruleset\n"))
        stage.load(texts)
        stage.load(opened(site))
        walls = _send_and_see(stage, cases)
        got = stage.heard(cases)
        _again(stage, cases, got)
    finally:
        stage.close()
    return [Outcome(case, got[n], walls[n], bare[n]) for n, case in enumerate(cases, 1)]


def _send_and_see(stage: Stage, cases: Sequence[Case]) -> dict[int, str]:
    """Send each case, and return the rule that it met last."""
    before = {name: stage.counters(name) for name in ROOMS}
    walls = {}
    for number, case in enumerate(cases, 1):
        if case.before:
            stage.load({case.room: case.before})
        stage.send(case, number)
        now = stage.counters(case.room)
        wall = decided(case.way, now, before[case.room])
        walls[number] = wall.comment if wall is not None else ""
        before[case.room] = now
    return walls


def _again(stage: Stage, cases: Sequence[Case], got: Counter[int]) -> None:
    for _ in range(_TRIES):
        late = [(n, case) for n, case in enumerate(cases, 1) if case.passes and not got[n]]
        for number, case in late:
            stage.send(case, number)
            time.sleep(_AGAIN_SECONDS)
        got.update(stage.heard(cases))
