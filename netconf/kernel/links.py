"""Links, addresses, routes, neighbours and sysctls of the namespace this process is in."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from netconf.plan import (
    MARK,
    AddAddress,
    AddLink,
    DeleteAddress,
    DeleteLink,
    DeleteNeighbour,
    DeleteRoute,
    LinkStep,
    MarkLink,
    SetMtu,
    SetNeighbour,
    SetRoute,
    SetSysctl,
    SetUp,
    Step,
)
from netconf.state import LinkState, Made, Neighbour, NetworkState, Route

PERMANENT = 0x80
#: Links that can have the MAC of the port that they stand upon.
_UPON_OTHERS = ("macvlan", "vlan", "bridge", "bond")
_UP = 1
_MAIN_TABLE = 254
_PROTO_KERNEL = 2
_NO_WIREGUARD = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOENT)
#: What the kernel says when what should go is not there: it went with an address, or by another hand.
_GONE = (errno.ESRCH, errno.ENOENT, errno.EADDRNOTAVAIL)


class KernelRefused(Exception):
    """The kernel did not do what was asked; the message says which step and why."""


class Links:
    """One netlink socket of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._route: Any = IPRoute()

    def close(self) -> None:
        """Close the socket."""
        self._route.close()

    def index(self, name: str) -> int | None:
        """Return the index of a link, or None."""
        found = self._route.link_lookup(ifname=name)
        return found[0] if found else None

    def mac(self, name: str) -> str | None:
        """Return a link's permanent MAC, else its present one, or None when there is no such link."""
        link = self._link(name)
        if link is None:
            return None
        mac = link.get_attr("IFLA_PERM_ADDRESS") or link.get_attr("IFLA_ADDRESS")
        return str(mac).lower() if mac else None

    def give_name(self, name: str, mac: str) -> bool:
        """Give the one port with this MAC its name back, shut; False when there is none, or more than one.

        Raises:
            KernelRefused: the kernel does not.
        """
        try:
            ports = [link for link in self._route.get_links() if _kind(link) not in _UPON_OTHERS
                     and str(link.get_attr("IFLA_PERM_ADDRESS") or link.get_attr("IFLA_ADDRESS")).lower() == mac]  # fmt: skip
            if len(ports) != 1:
                return False
            self._route.link("set", index=ports[0]["index"], state="down")
            self._route.link("set", index=ports[0]["index"], ifname=name)
        except (NetlinkError, OSError) as wrong:
            raise KernelRefused(f"ip link set address {mac} name {name}: {wrong}") from None
        return True

    def move(self, name: str, namespace: int) -> None:
        """Move a link, shut, into the namespace that a descriptor stands for.

        Raises:
            KernelRefused: the kernel does not.
        """
        try:
            index = self._index(name)
            self._route.link("set", index=index, state="down")
            self._route.link("set", index=index, net_ns_fd=namespace)
        except (NetlinkError, OSError) as wrong:
            raise KernelRefused(f"ip link set {name} netns: {wrong}") from None

    def lower(self, name: str) -> int | None:
        """Return the index, in its own namespace, of the link that ``name`` is made upon; None without ``name``."""
        link = self._link(name)
        return None if link is None else int(link.get_attr("IFLA_LINK") or 0)

    def make_macvlan(self, step: AddLink, namespace: int) -> None:
        """Make a macvlan of one of our links at once in the namespace that a descriptor stands for.

        Raises:
            KernelRefused: the kernel does not.
        """
        try:
            self._route.link(
                "add", ifname=step.link, kind="macvlan", link=self._index(step.made.parent), macvlan_mode="private",
                address=step.made.mac, net_ns_fd=namespace,
            )  # fmt: skip
        except (NetlinkError, OSError) as wrong:
            raise KernelRefused(f"{step}: {wrong}") from None

    def create_wireguard(self, name: str) -> bool:
        """Make a WireGuard link; False when this kernel has none."""
        try:
            self._route.link("add", ifname=name, kind="wireguard")
        except NetlinkError as wrong:
            if wrong.code in _NO_WIREGUARD:
                return False
            raise KernelRefused(f"ip link add {name} type wireguard: {wrong}") from None
        return True

    def observe(self, wanted: NetworkState) -> NetworkState:
        """Return what is, as far as ``wanted`` names it.

        A link that goes while it is looked at (a wireguard-go that dies) is a link that is not there.

        Raises:
            KernelRefused: the kernel does not say.
        """
        try:
            links = tuple(state for link in wanted.links if (state := self._observe(link)) is not None)
            links += tuple(self._marked({link.name for link in wanted.links}))
        except (NetlinkError, OSError) as wrong:
            raise KernelRefused(f"ip address show: {wrong}") from None
        return NetworkState(wanted.namespace, links, _read(wanted.sysctls))

    def _marked(self, wanted: set[str]) -> Iterator[LinkState]:
        """Yield the links of our own making that nobody wants any more."""
        for link in self._route.get_links():
            if link.get_attr("IFLA_IFALIAS") == MARK and link.get_attr("IFLA_IFNAME") not in wanted:
                yield LinkState(str(link.get_attr("IFLA_IFNAME")), made=self._made(link), ours=True)

    def _made(self, link: Any) -> Made | None:
        about = link.get_attr("IFLA_LINKINFO")
        kind = about.get_attr("IFLA_INFO_KIND") if about else None
        if kind not in ("vlan", "macvlan"):
            return None
        if link.get_attr("IFLA_LINK_NETNSID") is not None:
            parent = ""  # it lives elsewhere, and its number says nothing here
        else:
            below = next(iter(self._route.get_links(int(link.get_attr("IFLA_LINK") or 0))), None)
            parent = str(below.get_attr("IFLA_IFNAME")) if below else ""
        data = about.get_attr("IFLA_INFO_DATA")
        vlan = int(data.get_attr("IFLA_VLAN_ID") or 0) if kind == "vlan" and data else 0
        return Made(kind, parent, vlan, str(link.get_attr("IFLA_ADDRESS") or "").lower() if kind == "macvlan" else "")

    def _link(self, name: str) -> Any | None:
        index = self.index(name)
        if index is None:
            return None
        try:
            return next(iter(self._route.get_links(index)), None)
        except NetlinkError as wrong:
            if wrong.code == errno.ENODEV:
                return None
            raise

    def _index(self, name: str) -> int:
        index = self.index(name)
        if index is None:
            raise OSError(errno.ENODEV, "no such link")
        return index

    def _observe(self, wanted: LinkState) -> LinkState | None:
        link = self._link(wanted.name)
        if link is None:
            return None
        index = int(link["index"])
        return LinkState(
            wanted.name,
            bool(link["flags"] & _UP),
            link.get_attr("IFLA_MTU") if wanted.mtu is not None else None,
            frozenset(
                IPv4Interface(f"{a.get_attr('IFA_LOCAL') or a.get_attr('IFA_ADDRESS')}/{a['prefixlen']}")
                for a in self._route.get_addr(index=index, family=socket.AF_INET)
            ),
            frozenset(route for route, _ in self._routes(index)),
            frozenset(
                Neighbour(IPv4Address(n.get_attr("NDA_DST")), str(n.get_attr("NDA_LLADDR")).lower())
                for n in self._route.get_neighbours(ifindex=index, family=socket.AF_INET)
                if n["state"] & PERMANENT and n.get_attr("NDA_LLADDR")
            ),
            _read(wanted.sysctls),
            self._made(link),
            link.get_attr("IFLA_IFALIAS") == MARK,
        )

    def _routes(self, index: int) -> Iterator[tuple[Route, Any]]:
        """Yield the main table's routes over a link, each with the kernel's own message."""
        for said in self._route.get_routes(family=socket.AF_INET, table=_MAIN_TABLE):
            if said.get_attr("RTA_OIF") != index or said["proto"] == _PROTO_KERNEL:
                continue
            network = IPv4Network(f"{said.get_attr('RTA_DST') or '0.0.0.0'}/{said['dst_len']}")  # noqa: S104
            via = said.get_attr("RTA_GATEWAY")
            metric = said.get_attr("RTA_PRIORITY") or 0
            yield Route(network, IPv4Address(via) if via else None, metric), said

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
        elif isinstance(step, AddLink):
            parent = self._index(step.made.parent)
            self._route.link("add", ifname=step.link, kind="vlan", link=parent, vlan_id=step.made.vlan)
        elif isinstance(step, DeleteAddress | DeleteRoute | DeleteNeighbour):
            try:
                self._delete(step, self._index(step.link))
            except NetlinkError as wrong:
                if wrong.code not in _GONE:
                    raise
        else:
            self._set(step, self._index(step.link))

    def _set(self, step: LinkStep, index: int) -> None:
        if isinstance(step, SetUp):
            self._route.link("set", index=index, state="up")
        elif isinstance(step, MarkLink):
            self._route.link("set", index=index, ifalias=MARK)
        elif isinstance(step, DeleteLink):
            self._delete_link(index)
        elif isinstance(step, SetMtu):
            self._route.link("set", index=index, mtu=step.mtu)
        elif isinstance(step, AddAddress):
            self._route.addr("add", index=index, address=str(step.address.ip), prefixlen=step.address.network.prefixlen)
        elif isinstance(step, SetRoute):
            route = step.route
            via = {"gateway": str(route.via)} if route.via else {}
            metric = {"priority": route.metric} if route.metric else {}
            self._route.route("replace", dst=str(route.network), oif=index, **via, **metric)
        elif isinstance(step, SetNeighbour):
            who = step.neighbour
            self._route.neigh("replace", dst=str(who.address), lladdr=who.mac, ifindex=index, state="permanent")

    def _delete(self, step: DeleteAddress | DeleteRoute | DeleteNeighbour, index: int) -> None:
        if isinstance(step, DeleteAddress):
            self._route.addr("del", index=index, address=str(step.address.ip), prefixlen=step.address.network.prefixlen)
        elif isinstance(step, DeleteNeighbour):
            self._route.neigh("del", dst=str(step.neighbour.address), ifindex=index)
        else:
            self._delete_route(step.route, index)

    def _delete_link(self, index: int) -> None:
        """Delete a link that carries our mark, and no other."""
        link = next(iter(self._route.get_links(index)), None)
        if link is not None and link.get_attr("IFLA_IFALIAS") == MARK:
            self._route.link("del", index=index)

    def _delete_route(self, route: Route, index: int) -> None:
        """Delete exactly this route: of one asked for loosely the kernel takes the first that fits, which may be ours."""
        for found, said in list(self._routes(index)):
            if found == route:
                exact = {key: said[key] for key in ("scope", "proto", "type", "tos")}
                exact |= {"gateway": str(route.via)} if route.via else {}
                exact |= {"priority": route.metric} if route.metric else {}
                self._route.route("del", dst=str(route.network), oif=index, **exact)


def _kind(link: Any) -> str:
    info = link.get_attr("IFLA_LINKINFO")
    return str(info.get_attr("IFLA_INFO_KIND") or "") if info is not None else ""


def _read(sysctls: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((key, read_sysctl(key)) for key, _ in sysctls)


def read_sysctl(key: str) -> str:
    """Return a sysctl's value, "" when the kernel has none such."""
    try:
        return _sysctl(key).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _sysctl(key: str) -> Path:
    return Path("/proc/sys") / key
