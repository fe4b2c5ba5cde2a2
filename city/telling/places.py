"""Where a hook's target is, and whether anything of ours may go there.

The name is resolved once and the address that was judged is the one that is used: a name that points elsewhere a moment
later gains nothing. This machine itself, its neighbours on the link and groups are nobody's target (a metadata service, our
own unprotected ports); a private network is, if the person who added the hook has said so.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

SECONDS = 5.0


class Untold(Exception):
    """A telling did not arrive; ``rule`` is a code of ``words``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def allowed(address: IPv4Address | IPv6Address, inside: bool) -> bool:
    """Say whether an address may be a hook's."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    nobody = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    if nobody or (address.is_reserved and not address.is_private):
        return False
    return address.is_global or inside


def resolve(host: str, port: int, inside: bool, kind: socket.SocketKind) -> tuple[int, str]:
    """Return the family and the address to use.

    Raises:
        Untold: ``hook_name`` or ``hook_place``.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=kind)
    except (OSError, UnicodeError):
        raise Untold("hook_name") from None
    for family, _, _, _, where in found:
        address = str(where[0])
        if allowed(ip_address(address.partition("%")[0]), inside):
            return family, address
    raise Untold("hook_place")
