"""From what a device is to what it should be: steps, and the texts that ``wg`` takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from city.concentrator.entries import SitePeer


@dataclass(frozen=True, slots=True)
class SetPeer:
    """Make a peer have exactly these addresses and this preshared key."""

    public_key: str
    allowed: tuple[str, ...]
    psk: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemovePeer:
    public_key: str


Step = SetPeer | RemovePeer


@dataclass(frozen=True, slots=True)
class ActualPeer:
    """One line of ``wg show DEVICE dump``; ``handshake`` in seconds since 1970, 0 for never; rx and tx in octets."""

    public_key: str
    psk: str = field(repr=False)
    endpoint: str
    allowed: tuple[str, ...]
    handshake: int
    rx: int
    tx: int


@dataclass(frozen=True, slots=True)
class Actual:
    """What a device says of itself."""

    public_key: str
    port: int
    peers: Mapping[str, ActualPeer]


def read_dump(text: str) -> Actual:
    """Return what ``wg show DEVICE dump`` printed (wg(8)).

    Raises:
        ValueError: it is no dump.
    """
    lines = [line.split("\t") for line in text.splitlines()]
    if not lines or len(lines[0]) != 4 or any(len(words) != 8 for words in lines[1:]):
        raise ValueError("no dump of one device")
    peers = (
        ActualPeer(key, "" if psk == "(none)" else psk, "" if endpoint == "(none)" else endpoint,
                   tuple(sorted(part for part in allowed.split(",") if part != "(none)")), int(at), int(rx), int(tx))
        for key, psk, endpoint, allowed, at, rx, tx, _ in lines[1:]
    )  # fmt: skip
    own = lines[0]
    return Actual("" if own[1] == "(none)" else own[1], int(own[2]), {peer.public_key: peer for peer in peers})


def change(before: Iterable[SitePeer], then: Iterable[SitePeer], anew: frozenset[str] = frozenset()) -> list[Step]:
    """Return what makes ``then`` of ``before``; peers of the sites in ``anew`` are taken off first, whatever they are.

    A site's old key goes off directly before its new one comes on, so that both reach the device as one message.
    """
    old, new = {peer.public_key: peer for peer in before}, {peer.public_key: peer for peer in then}
    made: list[tuple[str, bool, Step]] = [
        (peer.site, False, RemovePeer(key)) for key, peer in old.items() if key not in new or peer.site in anew
    ]
    made += [
        (peer.site, True, SetPeer(key, peer.allowed, peer.psk))
        for key, peer in new.items()
        if key not in old or peer.site in anew or _differs(old[key], peer.allowed, peer.psk)
    ]
    return [step for _, _, step in sorted(made, key=lambda one: one[:2])]


def compare(actual: Actual, desired: Mapping[str, SitePeer]) -> list[Step]:
    """Return what is missing on a device or too much; empty when it is as it should be. Linear in the number of peers."""
    wanted = {peer.public_key: peer for peer in desired.values()}
    off: list[Step] = [RemovePeer(key) for key in actual.peers if key not in wanted]
    on = [
        SetPeer(key, peer.allowed, peer.psk)
        for key, peer in wanted.items()
        if (there := actual.peers.get(key)) is None or _differs(there, peer.allowed, peer.psk)
    ]
    return [*off, *on]


def _differs(one: SitePeer | ActualPeer, allowed: tuple[str, ...], psk: str) -> bool:
    return tuple(sorted(one.allowed)) != tuple(sorted(allowed)) or one.psk != psk


def words(steps: Iterable[Step], descriptors: Mapping[str, int]) -> list[str]:
    """Return the words of ``wg set DEVICE`` for some steps; a preshared key is read from its peer's descriptor."""
    made: list[str] = []
    for step in steps:
        made += ["peer", step.public_key]
        if isinstance(step, RemovePeer):
            made.append("remove")
        else:
            made += ["preshared-key", f"/dev/fd/{descriptors[step.public_key]}", "allowed-ips", ",".join(step.allowed)]
    return made


def text(private_key: str, port: int, desired: Iterable[SitePeer]) -> str:
    """Return the whole configuration of a device, for ``wg setconf`` and ``syncconf``. Holds its private key."""
    parts = [f"[Interface]\nPrivateKey = {private_key}\nListenPort = {port}\n"]
    parts += [
        f"[Peer]\nPublicKey = {peer.public_key}\nPresharedKey = {peer.psk}\nAllowedIPs = {', '.join(peer.allowed)}\n"
        for peer in desired
    ]
    return "".join(parts)
