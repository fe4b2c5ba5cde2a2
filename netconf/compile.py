"""A site to the desired state of each namespace. Pure."""

from __future__ import annotations

from ipaddress import IPv4Network

from netconf.model import Site
from netconf.state import LinkState, Neighbour, NetworkState, Route

_DEFAULT = IPv4Network("0.0.0.0/0")
_ALL = (
    ("net/ipv4/ip_forward", "0"),
    ("net/ipv4/conf/all/accept_redirects", "0"),
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/all/accept_source_route", "0"),
    ("net/ipv4/conf/all/rp_filter", "1"),
    ("net/ipv4/conf/all/arp_ignore", "1"),
    ("net/ipv4/conf/all/arp_announce", "2"),
    ("net/ipv4/icmp_echo_ignore_broadcasts", "1"),
    ("net/ipv6/conf/all/disable_ipv6", "1"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),
    ("net/ipv6/conf/all/forwarding", "0"),
)


def desired(site: Site) -> tuple[NetworkState, NetworkState, NetworkState]:
    """Return what ``lan``, ``vpn`` and ``wan`` should be. ``lan`` has no default route; ``vpn`` only the city's."""
    recorders = frozenset(Neighbour(recorder.address, recorder.mac) for recorder in site.recorder)
    lan = LinkState(site.lan.port, addresses=frozenset({site.lan.address}), neighbours=recorders)
    tunnels = tuple(
        LinkState(
            tunnel.name,
            mtu=tunnel.mtu,
            addresses=frozenset({tunnel.address}),
            routes=frozenset(Route(network) for network in tunnel.allowed),
        )
        for tunnel in site.tunnel
    )
    uplink = LinkState(
        site.uplink.port,
        addresses=frozenset({site.uplink.address} if site.uplink.address else ()),
        routes=frozenset({Route(_DEFAULT, site.uplink.gateway)} if site.uplink.gateway else ()),
    )
    return NetworkState("lan", (lan,), _ALL), NetworkState("vpn", tunnels, _ALL), NetworkState("wan", (uplink,), _ALL)
