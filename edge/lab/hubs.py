"""The city's ends of the tunnels: one that is the platform's own host, or two that lead to a network where the platform is.

                                      ┌─ .10 hub-a ─ .1 ─┐
box ══ WireGuard ══ internet ─ 203.0.113.0/24             sw-city ─ .10 city    100.64.255.0/24
                                      └─ .11 hub-b ─ .2 ─┘
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from edge.lab import topology
from edge.lab.topology import CITY_IP, CITY_PUBLIC, HUB_PORT, TUNNEL_IP, ip, sysctl


@dataclass(frozen=True, slots=True)
class Hub:
    """One concentrator: its host, its device (whose name is one of all hosts, as wireguard-go wants it), where it is."""

    host: str
    device: str
    public: str
    #: In a city network, which it leads into; "" where it is the platform's host itself.
    inner: str = ""

    @property
    def program(self) -> str:
        return "wg-hub" if self.device == "wg0" else f"wg-{self.host}"


ONE = (Hub("city", "wg0", CITY_PUBLIC),)
SECOND_TUNNEL_IP, SECOND_PUBLIC = "100.64.0.11", "203.0.113.11"
TWO = (Hub("hub-a", "wg0", CITY_PUBLIC, "100.64.255.1"), Hub("hub-b", "wg1", SECOND_PUBLIC, "100.64.255.2"))
#: What stands in a site file for the public keys of the first and the second hub.
PLACEHOLDERS = ("A" * 43 + "=", "B" * 42 + "A=")
SECOND_TUNNEL = f"""probe = "{TWO[0].inner}"

[[tunnel]]
name = "wg-b"
address = "{SECOND_TUNNEL_IP}/32"
mtu = 1420
endpoint = "{SECOND_PUBLIC}:{HUB_PORT}"
public_key = "{PLACEHOLDERS[1]}"
allowed = ["100.64.255.0/24"]
keepalive_seconds = 25
probe = "{TWO[1].inner}"

[[platform]]"""


def two_tunnels(text: str) -> str:
    """Return a site file of one tunnel with a second one."""
    return text.replace("\n[[platform]]", SECOND_TUNNEL, 1)


def rewire() -> None:
    """Put two concentrators between the Internet and the platform."""
    for name in ("hub-a", "hub-b", "sw-city"):
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
    ip("-n", "city", "link", "set", "c0", "netns", "hub-a")
    ip("link", "add", "c1", "netns", "internet", "type", "veth", "peer", "name", "c0", "netns", "hub-b")
    ip("-n", "internet", "addr", "add", "203.0.113.1/32", "dev", "c1")
    ip("-n", "internet", "link", "set", "c1", "up")
    ip("-n", "internet", "route", "add", SECOND_PUBLIC, "dev", "c1")
    ip("-n", "sw-city", "link", "add", "br0", "type", "bridge")
    ip("-n", "sw-city", "link", "set", "br0", "up")
    for host, address in (("city", CITY_IP), *((hub.host, hub.inner) for hub in TWO)):
        ip("link", "add", "ct0", "netns", host, "type", "veth", "peer", "name", f"p-{host}", "netns", "sw-city")
        ip("-n", "sw-city", "link", "set", f"p-{host}", "master", "br0", "up")
        ip("-n", host, "addr", "add", f"{address}/24", "dev", "ct0")
        ip("-n", host, "link", "set", "ct0", "up")
    for hub in TWO:
        ip("-n", hub.host, "addr", "add", f"{hub.public}/24", "dev", "c0")
        ip("-n", hub.host, "link", "set", "c0", "up")
        ip("-n", hub.host, "route", "add", "default", "via", "203.0.113.1")
        sysctl(hub.host, "net/ipv4/ip_forward", "1")
        for conf in ("all", "default"):
            sysctl(hub.host, f"net/ipv4/conf/{conf}/rp_filter", "0")
    # The site's LAN is routed on purpose: the city must be able to try to reach it.
    for network, hub in ((TUNNEL_IP, TWO[0]), (SECOND_TUNNEL_IP, TWO[1]), ("192.168.1.0/24", TWO[0])):
        ip("-n", "city", "route", "add", network, "via", hub.inner)


def configure(hub: Hub, private: str, box: str, allowed: str) -> None:
    """Give a hub's device, which is there, its whole configuration; ``box`` is the box's public key.

    Raises:
        LabBroken: the tool's own words.
    """
    text = f"[Interface]\nPrivateKey = {private}\nListenPort = {HUB_PORT}\n[Peer]\nPublicKey = {box}\nAllowedIPs = {allowed}\n"
    command = topology.inside(hub.host, "wg", "setconf", hub.device, "/dev/stdin")
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise topology.LabBroken(f"wg setconf {hub.device}: {done.stderr.strip()}")
    lines: list[tuple[str, ...]] = [("link", "set", hub.device, "mtu", "1420", "up")]
    if not hub.inner:
        lines.insert(0, ("addr", "replace", f"{CITY_IP}/24", "dev", hub.device))
    lines += [("route", "replace", network.strip(), "dev", hub.device) for network in allowed.split(",")]
    if not hub.inner:
        lines.append(("route", "replace", "100.64.0.0/16", "dev", hub.device))
    for words in lines:
        ip("-n", hub.host, *words)
