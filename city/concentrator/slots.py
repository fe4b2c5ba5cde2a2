"""One key, one device, one port; two of each while the concentrator's key is changed (docs/adr/0021).

A slot is on while its key file is there. Both have the same peers; a site comes to the one whose key and port it was told,
and what goes to it leaves by the device that heard it last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from city.concentrator.config import Config
from city.concentrator.entries import SitePeer
from city.concentrator.steps import Actual, ActualPeer
from netconf import secrets


@dataclass(frozen=True, slots=True)
class Slot:
    """``number`` 0 or 1; its device's name, its port and its keys (base64)."""

    number: int
    device: str
    port: int
    public_key: str
    private_key: str = field(repr=False)


def slots(config: Config) -> tuple[Slot, ...]:
    """Return the slots that are on.

    Raises:
        netconf.secrets.SecretDamaged: a key file holds no key.
        OSError: one cannot be read.
    """
    found = []
    for number, port in enumerate(config.ports):
        name = device(config, number)
        if _file(config, number).exists():
            private = secrets.read_wireguard_key(config.folder, name)
            found.append(Slot(number, name, port, secrets.public_key(private), private))
    return tuple(found)


def make(config: Config) -> str | None:
    """Make the key of a slot that is off and return its public key; None when both are on.

    Raises:
        OSError: it cannot be kept.
    """
    for number in range(len(config.ports)):
        if not _file(config, number).exists():
            return secrets.ensure_wireguard_key(config.folder, device(config, number))
    return None


def drop(config: Config, slot: Slot) -> None:
    """Forget a slot's key."""
    _file(config, slot.number).unlink(missing_ok=True)


def device(config: Config, number: int) -> str:
    return f"{config.device}{number}"


def _file(config: Config, number: int) -> Path:
    return config.folder / f"{device(config, number)}.key"


def needless(on: Iterable[Slot], serve: Iterable[str], fresh: Mapping[str, int]) -> Slot | None:
    """Return a slot that the registry wants no more, that another stands beside, and that no site uses; else None.

    ``serve``: the public keys that are wanted; ``fresh``: by public key, how many sites were heard there lately.
    """
    wanted = set(serve)
    on = tuple(on)
    if not any(slot.public_key in wanted for slot in on):
        return None
    return next((slot for slot in on if slot.public_key not in wanted and not fresh.get(slot.public_key, 1)), None)


def ways(actuals: Mapping[str, Actual], main: str, peers: Iterable[SitePeer]) -> dict[str, str]:
    """Return which sites' addresses are led through another device than ``main``: who was heard there last. IPv4."""
    found = {}
    for peer in peers:
        heard = [(there.handshake, name) for name, actual in actuals.items()
                 if (there := actual.peers.get(peer.public_key)) is not None and there.handshake]  # fmt: skip
        if heard and (last := max(heard)[1]) != main:
            found.update({one.removesuffix("/32"): last for one in peer.allowed if ":" not in one})
    return found


def merged(actuals: Mapping[str, Actual]) -> Actual:
    """Return all devices as one: of a peer the endpoint that was heard last, and the octets of all."""
    peers: dict[str, ActualPeer] = {}
    for actual in actuals.values():
        for key, peer in actual.peers.items():
            other = peers.get(key)
            if other is None:
                peers[key] = peer
                continue
            late = max(peer, other, key=lambda one: one.handshake)
            peers[key] = ActualPeer(
                key, late.psk, late.endpoint, late.allowed, late.handshake, peer.rx + other.rx, peer.tx + other.tx
            )
    return Actual("", 0, peers)
