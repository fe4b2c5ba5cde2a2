"""What the city says of one site's peer, and whether it may be so. Pure.

The judgement does not rest on the signature: a registry with a fault signs what it has (attacks.json, W02).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Any

_SITE = re.compile(r"[0-9]{20}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=", re.ASCII)
#: An address of the plane, and one for management.
MOST_ALLOWED = 2

#: Opens a sealed preshared key of a site; raises ``netconf.sealed.SealBroken``.
Unseal = Callable[[str, str], str]


class EntryRefused(ValueError):
    """An entry that is not carried out; ``rule`` is a code of ``words``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Own:
    """What a concentrator knows of itself, from its own file: nobody's word changes it.

    ``reserved``: its own inner address. ``network6`` holds the sites' management addresses, if there are any.
    """

    id: str
    network: IPv4Network
    reserved: IPv4Address
    keys: frozenset[str]
    network6: IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class SitePeer:
    """One site's peer as it should be. ``sealed`` is the preshared key as it came, ``psk`` opened (base64)."""

    site: str
    public_key: str
    allowed: tuple[str, ...]
    revision: int
    sealed: str = field(default="", repr=False)
    psk: str = field(default="", repr=False)


@dataclass(slots=True)
class Owners:
    """Who has which address and which key."""

    by_address: dict[str, str] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, peers: Mapping[str, SitePeer]) -> Owners:
        made = cls()
        for peer in peers.values():
            made.add(peer)
        return made

    def add(self, peer: SitePeer) -> None:
        self.by_key[peer.public_key] = peer.site
        self.by_address.update(dict.fromkeys(peer.allowed, peer.site))

    def remove(self, peer: SitePeer) -> None:
        self.by_key.pop(peer.public_key, None)
        for address in peer.allowed:
            self.by_address.pop(address, None)

    def clash(self, peer: SitePeer) -> str | None:
        """Return the rule that a peer breaks beside these, None when it breaks none."""
        if self.by_key.get(peer.public_key, peer.site) != peer.site:
            return "hub_key_twice"
        if any(self.by_address.get(address, peer.site) != peer.site for address in peer.allowed):
            return "hub_address_twice"
        return None


def site_of(body: Mapping[str, Any]) -> str:
    """Return whom an entry is about.

    Raises:
        EntryRefused: ``hub_entry_form``.
    """
    site = body.get("site")
    if not isinstance(site, str) or not _SITE.fullmatch(site):
        raise EntryRefused("hub_entry_form")
    return site


def read(body: Mapping[str, Any], own: Own, before: SitePeer | None, unseal: Unseal) -> SitePeer:
    """Return the peer of an entry, if it may be one of this concentrator.

    ``before`` is what the site had: a preshared key that it had already is not opened again.

    Raises:
        EntryRefused: ``hub_entry_form``, ``hub_key_twice`` (our own), ``hub_entry_allowed`` or ``hub_psk_unsealed``.
    """
    site, key, allowed, sealed = site_of(body), body.get("public_key"), body.get("allowed"), body.get("psk")
    revision = body.get("revision")
    if not isinstance(key, str) or not _KEY.fullmatch(key) or not isinstance(sealed, str) or type(revision) is not int:
        raise EntryRefused("hub_entry_form")
    if not isinstance(allowed, list) or not 1 <= len(allowed) <= MOST_ALLOWED:
        raise EntryRefused("hub_entry_form")
    if key in own.keys:
        raise EntryRefused("hub_key_twice")
    networks = tuple(_network(text, own) for text in allowed)
    if len({":" in network for network in networks}) != len(networks):
        raise EntryRefused("hub_entry_allowed")
    if before is not None and before.sealed == sealed:
        return SitePeer(site, key, networks, revision, sealed, before.psk)
    try:
        psk = unseal(sealed, site)
    except ValueError:
        raise EntryRefused("hub_psk_unsealed") from None
    if not _KEY.fullmatch(psk):
        raise EntryRefused("hub_psk_unsealed")
    return SitePeer(site, key, networks, revision, sealed, psk)


def _network(text: object, own: Own) -> str:
    """One address of the site, inside our network, and not ours."""
    if not isinstance(text, str):
        raise EntryRefused("hub_entry_form")
    try:
        if ":" in text:
            wide = IPv6Network(text)
            fits = own.network6 is not None and wide.prefixlen == 128 and wide.subnet_of(own.network6)
            return _written(fits, str(wide))
        narrow = IPv4Network(text)
    except ValueError:
        raise EntryRefused("hub_entry_allowed") from None
    address = narrow.network_address
    edges = (own.reserved, own.network.network_address, own.network.broadcast_address)
    return _written(narrow.prefixlen == 32 and address in own.network and address not in edges, str(narrow))


def _written(fits: bool, text: str) -> str:
    if not fits:
        raise EntryRefused("hub_entry_allowed")
    return text
