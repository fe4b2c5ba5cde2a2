"""What the box was told from outside, and what of it a site lets stand: the DHCP lease and the endpoints' addresses.

It is never configuration: nobody confirmed it. So it is judged against the confirmed site each time that it is used
(``fitting``), and a wrong word of a DHCP server or a name server can at most keep the tunnel away. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from netconf.finding import Finding, Severity, finding
from netconf.hosts import is_end, is_host
from netconf.model import MAX_TUNNELS, Site

MAX_SERVERS = 4
MAX_LEARNED_BYTES = 1 << 14
#: A mask of /31 or /32 is a point-to-point matter, and one wider than /8 a mistake.
WIDEST, NARROWEST = 8, 30


@dataclass(frozen=True, slots=True)
class HeldLease:
    """What a DHCP server gave to the uplink's port."""

    port: str
    address: IPv4Interface
    gateway: IPv4Address | None = None
    dns: tuple[IPv4Address, ...] = ()
    ntp: tuple[IPv4Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """Everything that was learned; ``endpoints`` are (host name, its address), sorted."""

    lease: HeldLease | None = None
    endpoints: tuple[tuple[str, IPv4Address], ...] = ()

    def endpoint(self, host: str) -> IPv4Address | None:
        return dict(self.endpoints).get(host)

    def resolved(self, host: str, address: IPv4Address, site: Site) -> Learned:
        """Return the same with one name's address; names that the site does not have any more are forgotten."""
        wanted = {tunnel.endpoint_host for tunnel in site.tunnel}
        kept = {name: known for name, known in self.endpoints if name in wanted} | {host: address}
        return replace(self, endpoints=tuple(sorted(kept.items())))


NOTHING = Learned()


def fitting(site: Site, learned: Learned) -> Learned:
    """Return what of ``learned`` stands in ``site``: the rest is as if it had never been said."""
    lease = learned.lease
    if lease is not None and objection(site, lease) is None:
        lease = replace(lease, dns=_askable(site, lease.dns), ntp=_askable(site, lease.ntp))
    else:
        lease = None
    named = {tunnel.endpoint_host for tunnel in site.tunnel if tunnel.endpoint_address is None}
    endpoints = tuple(
        (name, address)
        for name, address in learned.endpoints
        if name in named and endpoint_objection(site, address) is None
    )
    return Learned(lease, endpoints)


def objection(site: Site, lease: HeldLease) -> Finding | None:
    """Return why the site does not take a lease, or None."""
    uplink, own = site.uplink, lease.address
    if uplink.mode != "dhcp" or lease.port != uplink.port:
        return finding("lease_unasked", "/uplink/mode", port=lease.port)
    if not WIDEST <= own.network.prefixlen <= NARROWEST or not is_host(own.ip) or is_end(own.ip, own.network):
        return finding("lease_address", "/uplink/mode", address=own)
    if lease.gateway is not None and (
        lease.gateway not in own.network or lease.gateway == own.ip or is_end(lease.gateway, own.network)
    ):
        return finding("lease_router", "/uplink/mode", address=own, router=lease.gateway)
    for other in _other_networks(site):
        if own.network.overlaps(other):
            return finding("lease_overlaps", "/uplink/mode", address=own, other=other)
    taken = {site.lan.address.ip, *(recorder.address for recorder in site.recorder)}
    if own.ip in taken:
        return finding("lease_overlaps", "/uplink/mode", address=own, other=own.ip)
    return None


def endpoint_objection(site: Site, address: IPv4Address) -> str | None:
    """Return the rule that an endpoint's resolved address breaks, or None."""
    if not is_host(address):
        return "endpoint_no_host"
    if any(address in network for network in (*_other_networks(site), site.lan.address.network)):
        return "endpoint_inside"
    return None


def complaints(site: Site, learned: Learned) -> Iterator[Finding]:
    """Yield what has not been learned yet, so that a person knows why the tunnel is away."""
    stands = fitting(site, learned)
    if site.uplink.mode == "dhcp" and stands.lease is None:
        yield finding("lease_none", "/uplink/mode", Severity.WARNING, port=site.uplink.port)
    for at, tunnel in enumerate(site.tunnel):
        if tunnel.endpoint_address is None and stands.endpoint(tunnel.endpoint_host) is None:
            yield finding("endpoint_unresolved", f"/tunnel/{at}/endpoint", Severity.WARNING, name=tunnel.endpoint_host)


def _other_networks(site: Site) -> Iterator[IPv4Network]:
    if not site.one_wire:
        yield site.lan.address.network
    for tunnel in site.tunnel:
        yield tunnel.address.network
        yield from tunnel.allowed
    for platform in site.platform:
        yield from platform.media_networks


def _askable(site: Site, servers: tuple[IPv4Address, ...]) -> tuple[IPv4Address, ...]:
    """A server that lies on the other side is not asked; the lease is good without it."""
    others = list(_other_networks(site))
    return tuple(s for s in servers if is_host(s) and not any(s in network for network in others))[:MAX_SERVERS]


def encode(learned: Learned) -> bytes:
    lease = learned.lease
    return json.dumps({
        "lease": lease and {
            "port": lease.port, "address": str(lease.address), "gateway": str(lease.gateway or ""),
            "dns": [str(server) for server in lease.dns], "ntp": [str(server) for server in lease.ntp],
        },
        "endpoints": {name: str(address) for name, address in learned.endpoints},
    }).encode("utf-8")  # fmt: skip


def decode(data: bytes) -> Learned:
    """Return what ``encode`` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        raw = json.loads(data)
        endpoints = {str(name): IPv4Address(address) for name, address in raw["endpoints"].items()}
        lease = None if raw["lease"] is None else _lease(raw["lease"])
    except (KeyError, TypeError, AttributeError, RecursionError) as wrong:
        raise ValueError(type(wrong).__name__) from None
    return Learned(lease, tuple(sorted(endpoints.items()))[: 2 * MAX_TUNNELS])


def _lease(raw: dict[str, Any]) -> HeldLease:
    dns, ntp = (tuple(IPv4Address(server) for server in raw[field])[:MAX_SERVERS] for field in ("dns", "ntp"))
    gateway = IPv4Address(raw["gateway"]) if raw["gateway"] else None
    return HeldLease(str(raw["port"]), IPv4Interface(raw["address"]), gateway, dns, ntp)
