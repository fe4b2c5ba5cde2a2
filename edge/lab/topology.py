"""The street, drawn and built.

              192.168.1.0/24                    the box                    198.51.100.0/24
     nvr .10 ───┐                 ┌────────────────────────────────┐
     nvr2 .11 ──┤                 │ lan          ferry         vpn │ 100.64.0.10
     pc .66 ────┼─ sw-lan ── lan0 │  .2 ·········(  )········· wg-a│
     router .1 ─┘                 │             wan ───────────────┼─ wan0 .2 ── .1 internet .1 ── .10 city
         │ 192.0.2.2              └────────────────────────────────┘              │  203.0.113.0/24   hub :51820
         └─────────────────────────────── 192.0.2.1 ─────────────────────────────┘   wg0 100.64.255.10

The *open twin* is the same street again (t-nvr, t-city, ...), with equal addresses and hardware addresses, around a box
that is one namespace with forwarding on and no rule: what arrives there would arrive here if no wall held.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

BOX = ("lan", "vpn", "wan", "ferry")
HOSTS = ("nvr", "nvr2", "pc", "router", "internet", "city")
TWIN = ("t-sw-lan", "twin", "t-nvr", "t-nvr2", "t-pc", "t-router", "t-internet", "t-city")
ALL = ("sw-lan", *BOX, *HOSTS, *TWIN)

LAN0_MAC, WAN0_MAC, NVR_MAC, ROUTER_MAC = (
    "02:00:00:00:00:02",
    "02:00:00:00:01:02",
    "02:00:00:00:00:10",
    "02:00:00:00:00:01",
)
LAN_IP, WAN_IP, TUNNEL_IP = "192.168.1.2", "198.51.100.2", "100.64.0.10"
NVR_IP, NVR2_IP, PC_IP, ROUTER_IP = "192.168.1.10", "192.168.1.11", "192.168.1.66", "192.168.1.1"
CITY_IP, CITY_PUBLIC, INTERNET_IP = "100.64.255.10", "203.0.113.10", "198.51.100.1"
TWIN_VPN_MAC, TWIN_CITY_MAC = "02:00:00:00:02:0a", "02:00:00:00:02:10"
HUB_PORT = 51820
_TIMEOUT_SECONDS = 30


class LabBroken(RuntimeError):
    """The bench itself could not be built; the message is the tool's."""


@dataclass(frozen=True, slots=True)
class _Cable:
    """A veth pair: (namespace, name, MAC or "") at each end."""

    one: tuple[str, str, str]
    other: tuple[str, str, str]


def _cables(prefix: str, lan_box: tuple[str, str], wan_box: tuple[str, str]) -> list[_Cable]:
    t = prefix
    return [
        _Cable((lan_box[0], "lan0", LAN0_MAC), (f"{t}sw-lan", "p-box", "")),
        _Cable((f"{t}nvr", "eth0", NVR_MAC), (f"{t}sw-lan", "p-nvr", "")),
        _Cable((f"{t}nvr2", "eth0", "02:00:00:00:00:11"), (f"{t}sw-lan", "p-nvr2", "")),
        _Cable((f"{t}pc", "eth0", "02:00:00:00:00:66"), (f"{t}sw-lan", "p-pc", "")),
        _Cable((f"{t}router", "eth0", ROUTER_MAC), (f"{t}sw-lan", "p-router", "")),
        _Cable((wan_box[0], "wan0", WAN0_MAC), (f"{t}internet", "up0", "02:00:00:00:01:01")),
        _Cable((f"{t}router", "r0", ""), (f"{t}internet", "r0", "")),
    ]


def build(twin: bool = True) -> None:
    """Make every namespace, cable, address and route, of the open twin only if one is wanted.

    Raises:
        LabBroken: the tool's own words.
    """
    spaces = ALL if twin else tuple(name for name in ALL if name not in TWIN)
    for name in spaces:
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
    for cable in _cables("", ("wan", "lan0"), ("wan", "wan0")):
        _plug(cable)
    _plug(_Cable(("internet", "c0", ""), ("city", "c0", "")))
    for name in spaces:
        sysctl(name, "net/ipv6/conf/all/disable_ipv6", "0" if name not in BOX else "1")
    _street("")
    _batch("city", ["addr add 203.0.113.10/24 dev c0", "link set c0 up", "route add default via 203.0.113.1"])
    _batch("internet", ["addr add 203.0.113.1/24 dev c0", "link set c0 up"])
    if twin:
        _twin()


def _street(prefix: str) -> None:
    switch = f"{prefix}sw-lan"
    lines = ["link add br0 type bridge", "link set br0 up"]
    for port in ("p-box", "p-nvr", "p-nvr2", "p-pc", "p-router"):
        lines += [f"link set {port} master br0", f"link set {port} up"]
    _batch(switch, lines)
    for host, address in (("nvr", NVR_IP), ("nvr2", NVR2_IP), ("pc", PC_IP), ("router", ROUTER_IP)):
        lines = [f"addr add {address}/24 dev eth0", "link set eth0 up"]
        if host == "router":
            lines += ["addr add 192.0.2.2/24 dev r0", "link set r0 up", "route add default via 192.0.2.1"]
        else:
            # Each host believes that the box is the way to the city, which it must not be.
            lines += [f"route add default via {ROUTER_IP}", f"route add 100.64.0.0/16 via {LAN_IP}"]
        _batch(f"{prefix}{host}", lines)
    _batch(f"{prefix}internet", [
        f"addr add {INTERNET_IP}/24 dev up0", "link set up0 up", "addr add 192.0.2.1/24 dev r0", "link set r0 up",
        f"route add 192.168.1.0/24 via {WAN_IP}", f"route add 100.64.0.0/16 via {WAN_IP}",
    ])  # fmt: skip
    for host in ("router", "internet"):
        sysctl(f"{prefix}{host}", "net/ipv4/ip_forward", "1")
        sysctl(f"{prefix}{host}", "net/ipv4/conf/all/rp_filter", "0")


def _twin() -> None:
    for cable in _cables("t-", ("twin", "lan0"), ("twin", "wan0")):
        _plug(cable)
    _plug(_Cable(("twin", "vpn0", TWIN_VPN_MAC), ("t-city", "wg0", TWIN_CITY_MAC)))
    _street("t-")
    _batch("twin", [
        f"addr add {LAN_IP}/24 dev lan0", "link set lan0 up", f"addr add {WAN_IP}/24 dev wan0", "link set wan0 up",
        f"addr add {TUNNEL_IP}/32 dev vpn0", "link set vpn0 up", "route add 100.64.255.0/24 dev vpn0",
        f"route add default via {INTERNET_IP}",
    ])  # fmt: skip
    _batch("t-city", [
        f"addr add {CITY_IP}/24 dev wg0", "link set wg0 up", "route add 100.64.0.0/16 dev wg0",
        f"route add 192.168.1.0/24 via {TUNNEL_IP} dev wg0",
    ])  # fmt: skip
    for name, link, address in (
        ("twin", "lan0", "fd00:1::2"),
        ("twin", "vpn0", "fd00:255::1"),
        ("t-city", "wg0", "fd00:255::10"),
    ):
        ip("-n", name, "addr", "add", f"{address}/64", "dev", link, "nodad")
    ip("-n", "twin", "neigh", "add", "fd00:255::10", "lladdr", TWIN_CITY_MAC, "dev", "vpn0", "nud", "permanent")
    for key in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
        sysctl("twin", key, "1")
    for conf in ("all", "lan0", "wan0", "vpn0"):
        sysctl("twin", f"net/ipv4/conf/{conf}/rp_filter", "0")


def _plug(cable: _Cable) -> None:
    (space, name, mac), (other_space, other_name, other_mac) = cable.one, cable.other
    words = ["link", "add", name, "netns", space]
    words += ["address", mac] if mac else []
    words += ["type", "veth", "peer", "name", other_name, "netns", other_space]
    words += ["address", other_mac] if other_mac else []
    ip(*words)


def _batch(namespace: str, lines: list[str]) -> None:
    _run(["ip", "-n", namespace, "-batch", "-"], "\n".join(lines) + "\n")


def ip(*words: str) -> None:
    """Run ``ip``.

    Raises:
        LabBroken: it failed.
    """
    _run(["ip", *words])


def sysctl(namespace: str, key: str, value: str) -> None:
    """Write a sysctl in a namespace; a kernel that has none such is let be."""
    script = f"[ ! -e /proc/sys/{key} ] || echo {value} > /proc/sys/{key}"
    _run(["nsenter", f"--net=/run/netns/{namespace}", "sh", "-c", script])


def inside(namespace: str, *command: str) -> list[str]:
    """Return the command that runs ``command`` in a host's namespace."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *command]


def _run(command: list[str], text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    if done.returncode:
        raise LabBroken(f"{' '.join(command)}: {done.stderr.strip()[:400]} {text[:200]}")


DRAWING = "\n".join((__doc__ or "").split("\n")[2:10])
