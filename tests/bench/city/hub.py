"""A concentrator with ten thousand sites, on wireguard-go: how long its first configuration takes, a compare, a revocation.

The registry (SQLite), its signing process and the agent are the product's own; the agent is a process beside a real
device, follows the registry over TLS, and a revocation counts from the registry's commit until the device has no such peer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from city.concentrator import steps
from city.concentrator.entries import SitePeer
from city.concentrator.steps import Actual
from city.registry import peers
from city.registry.tables import Site
from edge.lab import private
from edge.lab.street import eventually
from tests.bench.city import figures
from tests.bench.city.figures import Limit
from tests.bench.city.host import pss_mb
from tests.hubworld import World, run, site_id

SITES = 10_000
LIMITS = (Limit("revoke_seconds_worst", most=5.0), Limit("compare_seconds", most=5.0))
SHARES = "wireguard-go, the agent, a registry in the measuring process"
#: Why it takes longer here than it would with the kernel's WireGuard.
WHY_SLOWER = (
    "wireguard-go is a program: each look at the device is a text of all peers through a unix socket, which it writes and wg "
    "takes apart (the kernel hands over netlink messages); and it shares the two cores with the agent that waits for it"
)
_REVOKED = 12


def key(number: int) -> str:
    """A public key that nobody has the private half of."""
    return base64.b64encode(hashlib.sha256(f"bench {number}".encode()).digest()).decode("ascii")


def fill(world: World, sites: int, begin: int = 0) -> float:
    """Put the sites from ``begin`` on, many a transaction; return how long one took (seconds)."""
    device = ec.generate_private_key(ec.SECP256R1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der = base64.b64encode(device.public_bytes(serialization.Encoding.DER, form)).decode("ascii")
    began = time.monotonic()
    for first in range(begin, sites, 500):
        with world.store.begin() as session:
            for number in range(first, min(first + 500, sites)):
                row = Site(id=site_id(10_000_000 + number), name="s", civil_code="340200", state="active",
                           made_by="b", made_at=0.0, device=f"{number:064x}", device_key=der)  # fmt: skip
                session.add(row)
                session.flush()
                peers.put_on(session, world.signer, row.id, "wg-a", "hub-a", key(number), time.time())
    return (time.monotonic() - began) / (sites - begin)


def dumped() -> Actual:
    return steps.read_dump(run("hub", "wg", "show", "wg-hub0", "dump"))


def compared(sites: int) -> dict[str, float]:
    """Time a full compare: read the device, and subtract what should be there. Nothing may be left over."""
    began = time.monotonic()
    actual = dumped()
    read = time.monotonic() - began
    # The preshared keys are the hub's alone: each is taken to be as the device has it.
    wanted = {name: SitePeer(name, name, peer.allowed, 0, "", peer.psk) for name, peer in actual.peers.items()}
    assert len(wanted) >= sites
    began = time.monotonic()
    assert not steps.compare(actual, wanted)
    subtracted = time.monotonic() - began
    return {"read_seconds": round(read, 3), "compare_seconds": round(read + subtracted, 3)}


def healed(sites: int) -> float:
    """Take a hundredth of the peers off by hand and return how long until they are back (with the wait for the compare)."""
    off = [key(at) for at in range(0, sites, 100)]
    for first in range(0, len(off), 50):
        words = [word for one in off[first : first + 50] for word in ("peer", one, "remove")]
        run("hub", "wg", "set", "wg-hub0", *words)
    began = time.monotonic()
    eventually(lambda: set(off) <= dumped().peers.keys(), 60, "healed")
    return time.monotonic() - began


def revoked(world: World, sites: int) -> list[float]:
    """Revoke sites one after the other; return how long each was still on the device."""
    seconds = []
    for at in range(_REVOKED):
        number = at * (sites // _REVOKED)
        with world.store.begin() as session:
            peers.put_off(session, site_id(10_000_000 + number), time.time())
        began = time.monotonic()
        eventually(lambda number=number: not world.has(key(number)), 60, "off")  # type: ignore[misc]
        seconds.append(time.monotonic() - began)
    return seconds


def started_again(world: World, sites: int) -> float:
    """Kill the agent and its device and return how long until the device has all peers again, from the disk alone."""
    world.registry.close()
    world.kill_agent()
    world.start_device("hub", "wg-hub0")
    began = time.monotonic()
    world.start_agent()
    eventually(lambda: len(dumped().peers) >= sites, 120, "all peers from the disk")
    return time.monotonic() - began


def measure(sites: int = SITES) -> dict[str, Any]:
    """Return the figures."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        world = World(Path(folder), network="100.64.0.0/18")
        try:
            each = fill(world, sites)
            world.kill_agent()
            began = time.monotonic()
            with world.store.read() as session:
                revision, entries = peers.snapshot(session, "hub-a")
            text = world.signer.sign_peers({"concentrator": "hub-a", "epoch": 1, "kind": "snapshot", "first": 0,
                                            "revision": revision, "peers": entries})  # fmt: skip
            signed = time.monotonic() - began
            began = time.monotonic()
            world.start_agent()
            eventually(lambda: len(dumped().peers) >= sites, 180, "all peers at the device")
            first = time.monotonic() - began
            found: dict[str, Any] = {"sites": sites, "put_on_ms": round(each * 1000, 2)}
            found |= {"snapshot_mb": round(len(text) / 1e6, 2), "snapshot_signed_seconds": round(signed, 2)}
            found |= {"first_seconds": round(first, 2)} | compared(sites)
            figures.note(json.dumps(found))
            found["heal_seconds"] = round(healed(sites), 2)
            off = revoked(world, sites)
            found |= {"revoke_seconds": round(statistics.median(off), 2), "revoke_seconds_worst": round(max(off), 2)}
            figures.note(json.dumps(found))
            assert world.agent is not None
            found["agent_mb"] = pss_mb([world.agent.pid])
            found["from_disk_seconds"] = round(started_again(world, sites - _REVOKED), 2)
            return found | {"why_slower_than_the_kernels": WHY_SLOWER}
        finally:
            world.close()


if __name__ == "__main__":
    if private.is_inside():
        sys.exit(figures.measured("hub", SHARES, LIMITS, measure))
    sys.exit(private.run_inside("tests.bench.city.hub"))
