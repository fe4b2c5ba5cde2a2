"""A site to the desired state of each namespace. Pure."""

from __future__ import annotations

from ipaddress import IPv4Network

from netconf.learned import NOTHING, Learned, fitting
from netconf.model import Site, Tunnel
from netconf.state import LinkState, Made, Neighbour, NetworkState, Peer, Route, WireguardState

_DEFAULT = IPv4Network("0.0.0.0/0")
_RP_FILTER = "net/ipv4/conf/{}/rp_filter"

#: Set in ``all``, in ``default`` (for a link that appears later) and in each of our links. ``all`` alone is not enough:
#: while forwarding is off the kernel takes redirects when ``all`` OR the link allows them, sends redirects likewise, and
#: uses the larger rp_filter of the two (Linux, Documentation/networking/ip-sysctl.rst).
_EVERY_LINK = (
    ("net/ipv4/conf/{}/forwarding", "0"),
    ("net/ipv4/conf/{}/accept_redirects", "0"),
    ("net/ipv4/conf/{}/send_redirects", "0"),
    ("net/ipv4/conf/{}/accept_source_route", "0"),
    ("net/ipv4/conf/{}/route_localnet", "0"),
    (_RP_FILTER, "1"),
    ("net/ipv4/conf/{}/arp_ignore", "1"),
    ("net/ipv4/conf/{}/arp_announce", "2"),
    # Without it, deleting a link's first address takes the new one along, and with it every static neighbour.
    ("net/ipv4/conf/{}/promote_secondaries", "1"),
    ("net/ipv6/conf/{}/disable_ipv6", "1"),
)
#: ip_forward stands first: writing it makes the kernel write others (``plan``).
_NAMESPACE = (
    ("net/ipv4/ip_forward", "0"),
    ("net/ipv6/conf/all/forwarding", "0"),
    ("net/ipv4/icmp_echo_ignore_broadcasts", "1"),
    *((key.format(place), value) for place in ("all", "default") for key, value in _EVERY_LINK),
)
#: The page's program has no right of root's, and its port is the browsers' own.
_PAGE = (("net/ipv4/ip_unprivileged_port_start", "443"),)


def desired(site: Site, learned: Learned = NOTHING) -> tuple[NetworkState, NetworkState, NetworkState]:
    """Return what ``lan``, ``vpn`` and ``wan`` should be. ``lan`` has no default route; ``vpn`` only the city's.

    Several tunnels lead to the same networks: their routes stand side by side, the preferred one's first. A process names
    the tunnel that it means (``edge.io.road``).
    """
    tunnels = tuple(
        LinkState(
            tunnel.name,
            mtu=tunnel.mtu,
            addresses=frozenset({tunnel.address}),
            routes=frozenset(Route(network, metric=preference) for network in tunnel.allowed),
            sysctls=_link_sysctls(tunnel.name, loose=len(site.tunnel) > 1),
        )
        for preference, tunnel in enumerate(site.tunnel)
    )
    return (
        NetworkState("lan", _lan(site), (*_NAMESPACE, *_PAGE)),
        NetworkState("vpn", tunnels, _NAMESPACE),
        NetworkState("wan", (_uplink(site, fitting(site, learned)),), _NAMESPACE),
    )


def arm(site: Site) -> Made | None:
    """Return what a one-arm box makes of its port for ``lan``; None where the port itself goes there."""
    if site.lan.mode == "two_ports":
        return None
    return Made("macvlan", site.lan.port, mac=site.arm_mac)


def _lan(site: Site) -> tuple[LinkState, ...]:
    """The port or its second face, and the VLAN's link upon it, which then has the address."""
    lan = site.lan
    carries = LinkState(
        lan.link,
        addresses=frozenset({lan.address}),
        neighbours=frozenset(Neighbour(recorder.address, recorder.mac) for recorder in site.recorder),
        sysctls=_link_sysctls(lan.link),
        made=arm(site) if lan.vlan is None else Made("vlan", lan.arm, lan.vlan),
    )
    if lan.vlan is None:
        return (carries,)
    return LinkState(lan.arm, sysctls=_link_sysctls(lan.arm), made=arm(site)), carries


def _uplink(site: Site, learned: Learned) -> LinkState:
    address, gateway = site.uplink.address, site.uplink.gateway
    if site.uplink.mode != "static":
        lease = learned.lease
        address, gateway = (lease.address, lease.gateway) if lease else (None, None)
    return LinkState(
        site.uplink.port,
        addresses=frozenset({address} if address else ()),
        routes=frozenset({Route(_DEFAULT, gateway)} if gateway else ()),
        sysctls=_link_sysctls(site.uplink.port),
    )


def wireguard_device(tunnel: Tunnel, public_key: str) -> WireguardState:
    """Return what a tunnel's device should be: one peer, its networks exactly as configured, our own key."""
    peer = Peer(tunnel.public_key, tuple(sorted(tunnel.allowed, key=str)), tunnel.keepalive_seconds)
    return WireguardState(tunnel.name, public_key, frozenset({peer}), tunnel.listen_port or None)


def _link_sysctls(link: str, *, loose: bool = False) -> tuple[tuple[str, str], ...]:
    """``loose``: what comes by the less preferred of two tunnels has its way back by the other one (RFC 3704 2.4).

    Whose packets may come by which is settled by WireGuard's AllowedIPs, and to which address by the rules.
    """
    key = _RP_FILTER.format(link)
    sysctls = {each.format(link): value for each, value in _EVERY_LINK}
    return tuple((sysctls | ({key: "2"} if loose else {})).items())
