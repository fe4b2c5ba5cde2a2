"""What the device's own words say over time: who flips between two places, who is silent, how much goes through. Pure.

A box that was cloned with its disk has one key at two places: the peer's endpoint goes to and fro with every packet
(attacks.json, W03; measured: every 1 to 5 s). A box that moves changes it once.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_network
from typing import Any

from city.concentrator.entries import SitePeer
from city.concentrator.steps import Actual

WINDOW_SECONDS = 60.0
#: So many changes of a peer's endpoint within the window are no move.
FLIPS = 3
#: Later than this a peer is silent: WireGuard makes a new handshake every 120 s while anything is sent (keepalives are).
SILENT_SECONDS = 180.0
MOST_TOLD = 64


@dataclass(slots=True)
class _Seen:
    endpoint: str
    rx: int
    tx: int
    flips: deque[float] = field(default_factory=deque)
    places: tuple[str, str] = ("", "")


@dataclass(slots=True)
class Watch:
    """Feed it a look every few seconds; ask it before each report."""

    seen: dict[str, _Seen] = field(default_factory=dict)
    begun: dict[str, tuple[int, int]] = field(default_factory=dict)
    begun_at: float = 0.0

    def look(self, actual: Actual, now: float) -> None:
        """Take in what the device says at ``now`` (monotonic seconds)."""
        for key in self.seen.keys() - actual.peers.keys():
            del self.seen[key]
            self.begun.pop(key, None)
        for key, peer in actual.peers.items():
            seen = self.seen.get(key)
            if seen is None:
                self.seen[key] = _Seen(peer.endpoint, peer.rx, peer.tx)
                continue
            if peer.endpoint != seen.endpoint:
                if seen.endpoint:
                    seen.flips.append(now)
                    seen.places = (seen.endpoint, peer.endpoint)
                seen.endpoint = peer.endpoint
            seen.rx, seen.tx = peer.rx, peer.tx
            while seen.flips and seen.flips[0] < now - WINDOW_SECONDS:
                seen.flips.popleft()

    def flipping(self, peers: Mapping[str, SitePeer]) -> list[dict[str, Any]]:
        """Return the sites whose peer is at two places, the most restless first."""
        by_key = {peer.public_key: peer.site for peer in peers.values()}
        found = [
            (-len(seen.flips), by_key[key], sorted(seen.places))
            for key, seen in self.seen.items()
            if len(seen.flips) >= FLIPS and key in by_key
        ]
        return [{"site": site, "flips": -flips, "endpoints": ends} for flips, site, ends in sorted(found)[:MOST_TOLD]]

    def alive(self, actual: Actual, peers: Mapping[str, SitePeer], network: IPv4Network, wall: float) -> str:
        """Return who was heard lately, a bit for each address of ``network`` from its first on (base64)."""
        by_key = {peer.public_key: peer for peer in peers.values()}
        bits = bytearray()
        for key, seen in actual.peers.items():
            if key not in by_key or not seen.handshake or wall - seen.handshake > SILENT_SECONDS:
                continue
            for allowed in map(ip_network, by_key[key].allowed):
                at = int(allowed.network_address) - int(network.network_address)
                if allowed.version == 4 and 0 <= at < network.num_addresses:
                    bits.extend(bytes(max(0, (at >> 3) + 1 - len(bits))))
                    bits[at >> 3] |= 1 << (at & 7)
        return base64.b64encode(bits).decode("ascii")

    def summary(self, actual: Actual, peers: Mapping[str, SitePeer], now: float, wall: float) -> dict[str, Any]:
        """Return how the peers are, bounded: counts, rates since the last summary, and the outliers by name."""
        by_key = {peer.public_key: peer.site for peer in peers.values()}
        there = [peer for key, peer in actual.peers.items() if key in by_key]
        ages = {peer.public_key: wall - peer.handshake for peer in there if peer.handshake}
        silent = [key for key, age in ages.items() if age > SILENT_SECONDS]
        seconds = max(now - self.begun_at, 1.0) if self.begun_at else 0.0
        rates: dict[str, float] = {}
        for peer in there:
            rx, tx = self.begun.get(peer.public_key, (peer.rx, peer.tx))
            moved = max(0, peer.rx - rx) + max(0, peer.tx - tx)
            rates[peer.public_key] = moved / seconds if seconds else 0.0
        rx_all, tx_all = (sum(max(0, getattr(p, n) - self.begun.get(p.public_key, (p.rx, p.tx))[at]) for p in there)
                          for at, n in enumerate(("rx", "tx")))  # fmt: skip
        self.begun, self.begun_at = {peer.public_key: (peer.rx, peer.tx) for peer in there}, now
        busiest = sorted(rates, key=lambda key: (-rates[key], key))[:16]
        return {
            "fresh": len(ages) - len(silent),
            "silent": len(silent),
            "never": len(there) - len(ages),
            "silent_sites": sorted(by_key[key] for key in silent)[:MOST_TOLD],
            "rx_per_second": round(rx_all / seconds) if seconds else 0,
            "tx_per_second": round(tx_all / seconds) if seconds else 0,
            "busiest": {by_key[key]: round(rates[key]) for key in busiest if rates[key] >= 1},
        }
