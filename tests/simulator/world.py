"""The world of one seed: what there is, whose move is next, and the story of it.

A world begins as a copy of a prepared one: three sites enrolled and at work, two with a claim, three concentrators.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from city.signing import keys
from city.signing.keys import Keys
from city.signing.marks import Marks
from city.signing.service import Service
from netconf.enrolment import Bundle
from netconf.finding import Finding
from netconf.model import Site
from tests.simulator.box import Box, Device, Way, lives
from tests.simulator.city import NOW, Controller, Database, drawn, found
from tests.simulator.disk import Disk, Ended, Hand, Image, installed
from tests.simulator.hub import Hub, Place
from tests.simulator.invariants import Known, Violated, Watch
from tests.simulator.network import Message, Network

MOVES, ROUNDS, SWEEP = 110, 60, 20
OWNER: dict[str, Any] = {
    "uplink": {"port": "wan0", "mode": "dhcp"}, "lan": {"port": "lan0", "address": "192.0.2.1/30"}, "max_calls": 8,
}  # fmt: skip
#: How much time goes by before a move, in seconds, and how often of a hundred.
STEPS = ((0.05, 60), (2.0, 24), (30.0, 10), (120.0, 4), (3600.0, 2))
PLACES = (("hub-a", "wg-a", 64), ("hub-b", "wg-b", 96), ("hub-c", "wg-a", 70))


def site_id(number: int) -> str:
    return f"3402000000200800{number:04d}"


@dataclass
class Prepared:
    """What every seed begins from."""

    keys: Keys
    places: list[Place]
    devices: list[Device]
    database: sqlite3.Connection | None = None
    marks: bytes = b""
    disks: dict[str, Image] = field(default_factory=dict)
    bundles: dict[str, Bundle] = field(default_factory=dict)
    known: Known = field(default_factory=Known)


class World:
    """Everything of one seed."""

    def __init__(self, bench: Bench, prepared: Prepared, seed: int | str) -> None:
        self.bench, self.prepared, self.seed = bench, prepared, seed
        self.chance: random.Random = drawn(seed)
        self.now = NOW + 86_400.0 * (prepared.database is not None)
        self.story: list[str] = []
        self.faulty = prepared.database is not None
        self.network = Network(drawn(f"{seed} network"))
        self.network.faulty = self.faulty
        self.sites: dict[bytes, tuple[Site | None, tuple[Finding, ...]]] = bench.sites
        self.city_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(prepared.keys.city_key))
        self.ca: x509.Certificate = prepared.keys.ca
        self.watch = Watch(self, prepared.known.copy())
        self.marks = self._marks()
        self.service = Service(prepared.keys, self.marks, self.city_clock, drawn(f"{seed} signing").randbytes)
        if prepared.database is not None:
            bench.main.lay_back(prepared.database)
        self.main = Controller(self, "city", bench.main)
        #: A registry that was thought lost and still runs, with the database that it had.
        self.lost: Controller | None = None
        self.backups: list[sqlite3.Connection] = []
        self.restored, self.unfinished = 0, False
        self.heard: list[Message] = []
        self.envelopes: list[tuple[str, str]] = []
        #: What an owner has proposed last.
        self.proposed: dict[str, dict[str, Any]] = {}
        self.hubs = {place.id: Hub(self, place, self.disk(place.id)) for place in prepared.places}
        self.boxes = {
            device.name: Box(self, device, prepared.bundles.get(device.name), self.disk(device.name))
            for device in prepared.devices
        }
        self.strangers: dict[str, Box] = {}

    def city_clock(self) -> float:
        """Return the time by the clock of the city's machine."""
        return self.main.clock()

    def _marks(self) -> Marks:
        path = self.bench.folder / "marks.sqlite"
        for name in ("marks.sqlite", "marks.sqlite-wal", "marks.sqlite-shm"):
            (self.bench.folder / name).unlink(missing_ok=True)
        if self.prepared.marks:
            path.write_bytes(self.prepared.marks)
        return Marks(path)

    def disk(self, name: str) -> Disk:
        root = self.bench.folder / "disks" / name
        disk = Disk(root, drawn(f"{self.seed} {name}"), self.prepared.disks.get(name, {}))
        self.bench.hand.disks[f"{root}/"] = disk
        return disk

    def close(self) -> None:
        self.marks.close()
        self.bench.hand.disks.clear()

    # -- the story -------------------------------------------------------------------------------------------------

    def say(self, who: str, what: str) -> None:
        """Write a line of the story. Never a key, a hash or a certificate: those are others in every run."""
        self.story.append(f"{self.now - NOW:12.2f} {who} {what}")

    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.story).encode()).hexdigest()

    # -- tunnels ---------------------------------------------------------------------------------------------------

    def fits(self, way: Way, hub: Hub) -> bool:
        """Whether a box's tunnel is what a concentrator was last ordered to have."""
        if way.hub != hub.place.public_key:
            return False
        return any(
            peer.public_key == way.own and peer.psk == way.psk and way.address in peer.allowed
            for peer in hub.ordered.values()
        )

    def works(self, box: Box) -> list[str]:
        """Return the tunnels of a box that carry something now."""
        if not box.online:
            return []
        hubs = {hub.place.public_key: hub for hub in self.hubs.values()}
        found = []
        for name, way in sorted(box.kernel.items()):
            hub = hubs.get(way.hub)
            there = hub.device.get(way.own) if hub is not None else None
            if there is not None and there[1] == way.psk and way.address in there[0]:
                found.append(name)
        return found

    # -- moves -----------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def machines(self) -> list[Box | Hub]:
        """Return what may break: the concentrators and the boxes."""
        found: list[Box | Hub] = []
        found.extend(self.hubs.values())
        found.extend(self.boxes.values())
        return found

    def somebody(self) -> list[Box]:
        return [*self.boxes.values(), *self.strangers.values()]

    def start(self, one: Box | Hub) -> str:
        """Let something that is off come up; the power may go again within."""
        try:
            one.start()
        except Ended as ended:
            one.end(ended.power)
            return "comes up, and its power goes" if ended.power else "comes up, and is killed"
        return "comes up"

    def turn(self, box: Box) -> None:
        """A box looks around."""
        self.say(box.name, lives(box, box.turn) if box.up else self.start(box))
        self.looked(box)

    def poll(self, hub: Hub) -> None:
        """A concentrator looks around."""
        self.say(hub.name, hub.poll() if hub.up else self.start(hub))
        self.looked(hub)

    def deliver(self, message: Message) -> None:
        """A message comes to where it was sent."""
        if message.to == "city":
            self._ask_city(message)
            return
        one = next((each for each in (*self.machines(), *self.strangers.values()) if each.name == message.to), None)
        if one is None or not one.up or not one.online:
            self.say(message.to, "does not hear it")
            return
        try:
            self.say(one.name, one.hear(message))
        except Ended as ended:
            one.end(ended.power)
            self.say(one.name, "loses its power at that" if ended.power else "is killed at that")
        self.looked(one)

    def _ask_city(self, message: Message) -> None:
        city = self.main
        if self.lost is not None and self.chance.random() < 0.3:
            city = self.lost
        if message.by and message.by not in self.works(self._of(message.sender)):
            self.say(city.name, f"does not hear {message.sender}")
            return
        if len(self.heard) < 64:
            self.heard.append(message)
        answer = city.hear(message)
        self.say(city.name, f"hears {message.sender}'s {message.kind}: {told(answer)}")
        self.watch.registry(self.main)
        if isinstance(answer, str) and len(self.envelopes) < 32:
            self.envelopes.append((message.sender, answer))
        if answer is not None:
            self.network.answer(message, answer)

    def _of(self, name: str) -> Box:
        return {**self.boxes, **self.strangers}[name]

    def looked(self, one: Box | Hub) -> None:
        """Look at what one of them has become, and whether anybody is without a way."""
        if isinstance(one, Box):
            if one.name in self.boxes:
                self.watch.box(one)
                self.watch.never_locked_out(one)
            return
        one.note()
        self.watch.hub(one)
        for box in self.boxes.values():
            self.watch.never_locked_out(box)

    def move(self, table: list[tuple[float, Callable[[World], None]]]) -> None:
        """Let one thing happen."""
        seconds = self.chance.choices([s for s, _ in STEPS], [w for _, w in STEPS])[0]
        self.pass_time(seconds * self.chance.uniform(0.2, 1.0))
        if self.network.waiting and self.chance.random() < 0.5:
            message = self.network.next()
            if message is not None:
                self.deliver(message)
            else:
                self.say("network", "loses something")
            return
        what = self.chance.choices([move for _, move in table], [weight for weight, _ in table])[0]
        what(self)

    # -- the end ---------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Nothing breaks from now on, everybody is reached, every clock is right, and old tunnels are given up."""
        self.faulty = self.network.faulty = False
        self.say("world", "is healed")
        self.network.waiting.clear()
        self.lost = None
        self.main.whole()
        self.main.open = True
        for one in self.machines():
            one.online = True
            one.disk.whole()
        for box in self.boxes.values():
            box.skew = 0.0

    def round(self, persons: Callable[[World], None]) -> None:
        """Everybody looks around once, and hears what there is to hear."""
        self.pass_time(30.0)
        persons(self)
        for hub in self.hubs.values():
            self.poll(hub)
            self.calm()
            if hub.up:
                hub.look()
        for box in self.boxes.values():
            self.turn(box)
            self.calm()

    def calm(self) -> None:
        """Deliver all that waits."""
        for _ in range(64):
            message = self.network.next()
            if message is None:
                return
            self.deliver(message)

    def settle(self, persons: Callable[[World], None]) -> None:
        """Go on until all is as the city wants it.

        Raises:
            Violated: it does not come to that.
        """
        left: list[str] = []
        for _ in range(ROUNDS):
            self.round(persons)
            left = self.watch.unsettled()
            if not left:
                break
        else:
            raise Violated("all comes right", "; ".join(left))
        for box in self.boxes.values():
            self.watch.never_locked_out(box)


def told(answer: Any) -> str:
    """What of an answer stands in the story."""
    if isinstance(answer, str):
        return "an envelope"
    if not answer:
        return "nothing" if answer is None else "nothing new"
    return ", ".join(str(answer[name]) if name in ("rule", "state", "rotate") else name for name in sorted(answer))


class Bench:
    """What one process needs for many seeds: a folder in memory, databases that are written over, the prepared world."""

    def __init__(self) -> None:
        shm = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="snowgate-simulator-", dir=shm if shm.is_dir() else None))
        self.hand = Hand()
        self.sites: dict[bytes, tuple[Site | None, tuple[Finding, ...]]] = {}
        self.main, self.second = Database(self.folder / "city.sqlite"), Database(self.folder / "lost.sqlite")
        self._played = 0
        self.prepared = self._prepare()
        gc.collect()
        gc.freeze()

    def _prepare(self) -> Prepared:
        from tests.simulator import people

        chance = drawn("prepared")
        places = []
        for name, plane, second in PLACES:
            public = base64.b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
            places.append(Place(name, plane, public, f"100.{second}.0.0/18", f"100.{second}.0.1"))
        devices = [Device(f"box{number}", site_id(number)) for number in range(1, 6)]
        prepared = Prepared(keys.make("City of Seeds", NOW - 86_400.0, chance.randbytes), places, devices)
        prepared.known.owners = {device.name: dict(OWNER) for device in devices}
        with installed(self.hand):
            world = World(self, prepared, "prepared")
            with self.main.store.begin() as session:
                found(session, places)
            for box in world.boxes.values():
                box.start()
                box.owner(OWNER, 0)
                people.add_site(world, box)
            for name in ("box4", "box5"):
                world.boxes[name].online = False
            for _ in range(6):
                world.round(people.approve_all)
            self._keep(world, prepared)
        return prepared

    def _keep(self, world: World, prepared: Prepared) -> None:
        prepared.database = self.main.copy()
        for one in world.machines():
            prepared.disks[one.name] = one.disk.image()
        prepared.bundles = {box.name: box.bundle for box in world.boxes.values() if box.bundle is not None}
        prepared.known = world.watch.known
        world.close()
        prepared.marks = (self.folder / "marks.sqlite").read_bytes()

    @contextlib.contextmanager
    def swept(self) -> Iterator[None]:
        """Look for garbage between seeds, and seldom: within one it takes a fifth of the time."""
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
            self._played += 1
            if self._played % SWEEP == 0:
                gc.collect()

    def close(self) -> None:
        self.main.close()
        self.second.close()
        gc.unfreeze()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a seed: its story's hash, its lines, and the invariant that did not hold, if one did not."""

    seed: int
    digest: str
    story: list[str]
    violated: Violated | None


def play(bench: Bench, seed: int, often: Mapping[str, float] | None = None) -> Told:
    """Play one seed; ``often``: moves of ``faults.TABLE`` with other weights than theirs."""
    from tests.simulator import faults, people

    table = faults.table(often or {})
    with installed(bench.hand), bench.swept():
        world = World(bench, bench.prepared, seed)
        violated = None
        try:
            for one in world.machines():
                world.say(one.name, world.start(one))
                world.looked(one)
            for _ in range(MOVES):
                world.move(table)
            world.heal()
            world.settle(people.put_right)
        except Violated as wrong:
            violated = wrong
            world.say("invariant", str(wrong))
        finally:
            world.close()
        return Told(seed, world.digest(), world.story, violated)


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """Lend a bench."""
    made = Bench()
    try:
        yield made
    finally:
        made.close()
