"""A concentrator: the agent's core and what it keeps are the product's; the WireGuard device is a dictionary."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from city.concentrator import steps
from city.concentrator.core import Core, Taken
from city.concentrator.entries import Own, SitePeer
from city.concentrator.kept import MOST_FILES, Kept
from city.concentrator.process import opener
from city.concentrator.steps import Actual, ActualPeer, RemovePeer, Step
from tests.simulator.disk import Disk

if TYPE_CHECKING:
    from tests.simulator.network import Message
    from tests.simulator.world import World

PATIENCE_SECONDS = 30.0


@dataclass
class Place:
    """What a concentrator is, whoever runs it."""

    id: str
    plane: str
    public_key: str
    network: str
    probe: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))


class Hub:
    """One concentrator; ``device``: public key -> (addresses, preshared key)."""

    def __init__(self, world: World, place: Place, disk: Disk) -> None:
        self.world, self.place, self.disk, self.name = world, place, disk, place.id
        self.online = True
        self.device: dict[str, tuple[tuple[str, ...], str]] = {}
        self.core: Core | None = None
        #: What it was last ordered to have, also while it is down.
        self.ordered: dict[str, SitePeer] = {}
        self._asked: tuple[int, float] | None = None

    def note(self) -> None:
        if self.core is not None:
            self.ordered = dict(self.core.peers)

    @property
    def up(self) -> bool:
        return self.core is not None

    def start(self) -> None:
        """Begin with what was kept.

        Raises:
            Ended: the power went.
        """
        self._asked = None
        place = self.place
        own = Own(place.id, IPv4Network(place.network), IPv4Address(place.probe), frozenset((place.public_key,)))
        core = Core(own, self.world.city_key, opener(place.key))
        self._kept = Kept(self.disk.root / "kept")
        last = Taken()
        for envelope in self._kept.read():
            last = core.take(envelope)
            if last.rule:
                break
        self.rule = last.rule
        self._want_snapshot = not core.has_snapshot
        self.core = core
        self.look()

    def end(self, power: bool) -> None:
        """The agent is gone; the device goes with the power alone."""
        self.core = None
        self.disk.whole()
        if power:
            self.device = {}
            self.disk.cut()

    def look(self) -> str:
        """Make the device what is desired, if it is not."""
        assert self.core is not None
        if not self.core.has_snapshot:
            return "has nothing yet"
        peers = {
            key: ActualPeer(key, psk, "", allowed, 0, 0, 0) for key, (allowed, psk) in self.device.items()
        }  # fmt: skip
        made = steps.compare(Actual(self.place.public_key, 1, peers), self.core.peers)
        self._perform(made)
        return f"puts {len(made)} right" if made else "is as it should be"

    def poll(self) -> str:
        """Ask the registry for what is new."""
        assert self.core is not None
        if not self.online:
            return "dark"
        if self._asked is not None and self.world.now - self._asked[1] < PATIENCE_SECONDS:
            return "waits"
        kind = "snapshot" if self._want_snapshot else "changes"
        number = self.world.network.ask(self.name, "city", kind, (self.core.epoch, self.core.revision))
        self._asked = number, self.world.now
        return f"asks for {kind} after {self.core.epoch}/{self.core.revision}"

    def hear(self, message: Message) -> str:
        """Take an answer as the agent does: kept before it is carried out."""
        if self._asked is None or self._asked[0] != message.number:
            return "has given it up"
        self._asked = None
        if isinstance(message.body, dict):
            rule = message.body.get("rule", "")
            self._want_snapshot |= rule == "take_snapshot"
            return f"hears {rule or 'nothing new'}"
        return self.take(message.body)

    def take(self, text: str) -> str:
        """Judge an envelope, keep it, carry it out."""
        assert self.core is not None
        taken, snapshot = self.core.take(text), self._want_snapshot
        self.rule = taken.rule
        if not taken.follows:
            self._want_snapshot = True
            return f"cannot follow {taken.rule}"
        if taken.kept:
            if snapshot:
                self._kept.snapshot(text)
            else:
                self._kept.changes(self.core.revision, text)
            self._perform(list(taken.steps))
        if not taken.rule:
            self._want_snapshot = self._kept.files >= MOST_FILES
        refused = " ".join(sorted({taken.rule, *self.core.refused.values()} - {""}))
        return f"takes {len(taken.steps)} steps to {self.core.epoch}/{self.core.revision} {refused}"

    def _perform(self, made: list[Step]) -> None:
        """Like WireGuard: an address that comes to one peer goes from the other."""
        for step in made:
            self.disk.step()
            if isinstance(step, RemovePeer):
                self.device.pop(step.public_key, None)
                continue
            for key, (allowed, psk) in list(self.device.items()):
                self.device[key] = tuple(one for one in allowed if one not in step.allowed), psk
            self.device[step.public_key] = step.allowed, step.psk


def shaken(device: dict[str, tuple[tuple[str, ...], str]], chance: random.Random) -> None:
    """Somebody's hand at the device: a peer is gone."""
    if device:
        # Keys are another in every run: the lot falls among the addresses.
        del device[chance.choice(sorted(device, key=lambda key: device[key][0]))]
