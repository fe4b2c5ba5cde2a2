"""Which addresses a host can have. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

_THIS_NETWORK = IPv4Network("0.0.0.0/8")


def is_host(address: IPv4Address) -> bool:
    """Say whether the address is a single host's on a real wire."""
    return not (address.is_loopback or address.is_multicast or address.is_reserved or address in _THIS_NETWORK)


def is_end(address: IPv4Address, network: IPv4Network) -> bool:
    """A network's first and last address are nobody's, unless it is a /31 or /32 (RFC 3021)."""
    return network.prefixlen < 31 and address in (network.network_address, network.broadcast_address)
