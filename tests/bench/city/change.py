"""What a change of one site costs, with a hundred, a thousand and ten thousand of them: the same.

Three places: the registry (SQL statements, counted as they go to the database), the answer to the concentrator that follows
(statements again), the concentrator (calls of Python functions from the envelope to the steps for ``wg``, counted by the
interpreter). Time stands beside each, but counts do not depend on who else uses the machine.
"""

from __future__ import annotations

import base64
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import event
from sqlalchemy.orm import Session

from city.api import concentrators
from city.api.callers import Callers
from city.concentrator.core import Core
from city.concentrator.entries import Own
from city.registry import layers, peers, revocation
from city.registry.layers import Why
from city.registry.store import Store, open_store
from city.registry.tables import Site
from city.signing import keys
from city.signing.client import Client
from city.signing.marks import Marks
from city.signing.service import Service
from tests.bench.city import figures, fleet
from tests.bench.city.figures import Limit
from tests.chance import counted
from tests.fleet import key

SIZES, TRIES = (100, 1000, 10_000), 9
SHARES = "nothing else of ours"
LIMITS = (Limit("kinds_of_change_whose_counts_grow", most=0),)
Change = Callable[[Session, Client, Site, int], object]


def _policy(session: Session, signer: Client, site: Site, number: int) -> None:
    site.own = f'{{"monitoring": {{"readers": ["10.20.0.{number}"]}}}}'
    session.flush()
    layers.offer(session, signer, site, time.time(), Why("zhang", "bench"))


def _key(session: Session, signer: Client, site: Site, number: int) -> None:
    peers.offer_key(session, site.id, "wg-a", key((1 << 50) + number), time.time())
    peers.exchange_key(session, site.id, "wg-a", time.time())


def _revocation(session: Session, signer: Client, site: Site, number: int) -> None:
    revocation.revoke(session, signer, site, "zhang", "stolen", time.time())


#: Of each kind: does it go to the concentrator?
KINDS: dict[str, tuple[Change, bool]] = {
    "policy": (_policy, False), "key_exchanged": (_key, True), "revoked": (_revocation, True),
}  # fmt: skip


@contextlib.contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """Lend a list that grows by each statement that goes to the database."""
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split()[0] not in ("BEGIN", "PRAGMA"):
            said.append(statement)

    event.listen(store.engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(store.engine, "before_cursor_execute", hear)


def calls(work: Callable[[], object]) -> int:
    """Return how many functions of Python's and of C's ``work`` calls."""
    count = 0

    def hear(_frame: object, what: str, _about: object) -> None:
        nonlocal count
        count += what in ("call", "c_call")

    sys.setprofile(hear)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


class World:
    """A registry of so many sites, its signing process in ours, and a concentrator that has read its snapshot."""

    def __init__(self, folder: Path, sites: int) -> None:
        signing = folder / "signing"
        keys.write(signing, keys.make("City", time.time() - 86400, counted()))
        self.store = open_store(f"sqlite:///{folder / 'city.sqlite'}")
        fleet.fill(self.store, signing, folder / "boxes", sites)
        self.marks = Marks(signing / "marks.sqlite")
        self.signer = Client(Service(keys.read(signing), self.marks, time.time, counted(1 << 40)).answer)
        self.asked = concentrators.Asked(
            self.store, self.signer, Callers(self.store, self.signer, time.time), time.time
        )
        city = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.signer.identity().city_key))
        own = Own("hub-a", IPv4Network("100.64.0.0/18"), IPv4Address("100.64.0.1"), frozenset())
        # What was sealed was sealed for one site; opening is paid by site anyway, and only when it is another.
        self.core = Core(own, city, lambda text, site: key(int(site) % 1000))
        self.core.take(self.asked.snapshots.get(self.store, self.signer, "hub-a", time.time()))
        assert len(self.core.peers) >= sites

    def change(self, kind: str, number: int) -> dict[str, float]:
        """Change a site, follow it to the concentrator's steps; return what each place did."""
        carry_out, told = KINDS[kind]
        found: dict[str, float] = {}
        with statements(self.store) as said:
            began = time.perf_counter()
            with self.store.begin() as session:
                carry_out(session, self.signer, session.get_one(Site, fleet.site_id(number)), number)
            found["registry_ms"] = 1000 * (time.perf_counter() - began)
            found["registry_statements"] = len(said)
        if not told:
            return found
        with statements(self.store) as said:
            began = time.perf_counter()
            text = concentrators.following(self.asked, "hub-a", self.core.epoch, self.core.revision, 0.0)
            found["feed_ms"] = 1000 * (time.perf_counter() - began)
            found["feed_statements"] = len(said)
        assert text is not None
        taken: list[Any] = []
        began = time.perf_counter()
        found["concentrator_calls"] = calls(lambda: taken.append(self.core.take(text)))
        found["concentrator_ms"] = 1000 * (time.perf_counter() - began)
        found["wg_steps"] = len(taken[0].steps)
        return found

    def close(self) -> None:
        self.store.close()
        self.marks.close()


def at(sites: int, tries: int) -> dict[str, dict[str, float]]:
    """Return what each kind of change costs with so many sites: the middle of some."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), sites)
        try:
            found, number = {}, 1
            for kind in KINDS:
                each = []
                for _ in range(tries):
                    number += 1
                    each.append(world.change(kind, number))
                found[kind] = {name: round(statistics.median(one[name] for one in each), 2) for name in each[0]}
            return found
        finally:
            world.close()


def measure(sizes: tuple[int, ...] = SIZES, tries: int = TRIES) -> dict[str, Any]:
    """Return the curve."""
    curve = {str(sites): at(sites, tries) for sites in sizes}
    first, *others = curve.values()
    counts = [name for one in first.values() for name in one if not name.endswith("_ms")]
    grown = [
        kind for kind in KINDS
        if any(one[kind].get(name) != first[kind].get(name) for one in others for name in counts)
    ]  # fmt: skip
    return {"curve": curve, "kinds_of_change_whose_counts_grow": len(grown), "grown": grown}


if __name__ == "__main__":
    sys.exit(figures.measured("change", SHARES, LIMITS, measure))
