"""Links, addresses, routes and neighbours of the namespace this process is in."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from netconf.plan import (
    AddAddress,
    DeleteAddress,
    DeleteRoute,
    SetMtu,
    SetNeighbour,
    SetRoute,
    SetSysctl,
    SetUp,
    Step,
)
from netconf.state import LinkState, Neighbour, NetworkState, Route

PERMANENT = 0x80
_UP = 1
_MAIN_TABLE = 254
_PROTO_KERNEL = 2


class KernelRefused(Exception):
    """The kernel did not do what was asked; the message says which step and why."""


class Links:
    """One netlink socket of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._route: Any = IPRoute()

    def index(self, name: str) -> int | None:
        """Return the index of a link, or None."""
        found = self._route.link_lookup(ifname=name)
        return found[0] if found else None

    def mac(self, name: str) -> str | None:
        """Return a link's permanent MAC, else its present one, or None when there is no such link."""
        index = self.index(name)
        if index is None:
            return None
        link = self._route.get_links(index)[0]
        mac = link.get_attr("IFLA_PERM_ADDRESS") or link.get_attr("IFLA_ADDRESS")
        return str(mac).lower() if mac else None

    def move(self, name: str, namespace: int) -> None:
        """Move a link into the namespace that a descriptor stands for.

        Raises:
            KernelRefused: the kernel does not.
        """
        try:
            self._route.link("set", index=self.index(name), net_ns_fd=namespace)
        except NetlinkError as wrong:
            raise KernelRefused(f"ip link set {name} netns: {wrong}") from None

    def create_wireguard(self, name: str) -> bool:
        """Make a WireGuard link; False when this kernel has none."""
        try:
            self._route.link("add", ifname=name, kind="wireguard")
        except NetlinkError as wrong:
            if wrong.code in (95, 22, 2):
                return False
            raise KernelRefused(f"ip link add {name} type wireguard: {wrong}") from None
        return True

    def observe(self, wanted: NetworkState) -> NetworkState:
        """Return what is, as far as ``wanted`` names it."""
        links = tuple(state for link in wanted.links if (state := self._observe(link)) is not None)
        return NetworkState(wanted.namespace, links, tuple((key, read_sysctl(key)) for key, _ in wanted.sysctls))

    def _observe(self, wanted: LinkState) -> LinkState | None:
        index = self.index(wanted.name)
        if index is None:
            return None
        link = self._route.get_links(index)[0]
        return LinkState(
            wanted.name,
            bool(link["flags"] & _UP),
            link.get_attr("IFLA_MTU") if wanted.mtu is not None else None,
            frozenset(
                IPv4Interface(f"{a.get_attr('IFA_LOCAL') or a.get_attr('IFA_ADDRESS')}/{a['prefixlen']}")
                for a in self._route.get_addr(index=index, family=socket.AF_INET)
            ),
            self._routes(index),
            frozenset(
                Neighbour(IPv4Address(n.get_attr("NDA_DST")), str(n.get_attr("NDA_LLADDR")).lower())
                for n in self._route.get_neighbours(ifindex=index, family=socket.AF_INET)
                if n["state"] & PERMANENT and n.get_attr("NDA_LLADDR")
            ),
        )

    def _routes(self, index: int) -> frozenset[Route]:
        found = set()
        for route in self._route.get_routes(family=socket.AF_INET, table=_MAIN_TABLE):
            if route.get_attr("RTA_OIF") != index or route["proto"] == _PROTO_KERNEL:
                continue
            network = IPv4Network(f"{route.get_attr('RTA_DST') or '0.0.0.0'}/{route['dst_len']}")  # noqa: S104
            via = route.get_attr("RTA_GATEWAY")
            found.add(Route(network, IPv4Address(via) if via else None))
        return frozenset(found)

    def perform(self, step: Step) -> None:
        """Do one step.

        Raises:
            KernelRefused: the kernel does not.
        """
        try:
            self._perform(step)
        except (NetlinkError, OSError) as wrong:
            raise KernelRefused(f"{step}: {wrong}") from None

    def _perform(self, step: Step) -> None:
        if isinstance(step, SetSysctl):
            _sysctl(step.key).write_text(step.value, encoding="ascii")
            return
        index = self.index(step.link)
        if isinstance(step, SetUp):
            self._route.link("set", index=index, state="up")
        elif isinstance(step, SetMtu):
            self._route.link("set", index=index, mtu=step.mtu)
        elif isinstance(step, AddAddress | DeleteAddress):
            verb = "add" if isinstance(step, AddAddress) else "del"
            self._route.addr(verb, index=index, address=str(step.address.ip), prefixlen=step.address.network.prefixlen)
        elif isinstance(step, SetRoute | DeleteRoute):
            verb = "replace" if isinstance(step, SetRoute) else "del"
            via = {"gateway": str(step.route.via)} if step.route.via else {}
            self._route.route(verb, dst=str(step.route.network), oif=index, **via)
        elif isinstance(step, SetNeighbour):
            who = step.neighbour
            self._route.neigh("replace", dst=str(who.address), lladdr=who.mac, ifindex=index, state="permanent")


def read_sysctl(key: str) -> str:
    """Return a sysctl's value, "" when the kernel has none such."""
    try:
        return _sysctl(key).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _sysctl(key: str) -> Path:
    return Path("/proc/sys") / key
