"""What must hold after every move, whatever broke, and what must have come about when nothing breaks any more.

Each is looked at from outside: at what the signing process has signed, at the database's rows, at the concentrators'
devices and the boxes' disks; none of the product's own checks is asked.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netconf import proposal
from netconf.layers import PARTS
from netconf.revision import State

if TYPE_CHECKING:
    from tests.simulator.box import Box
    from tests.simulator.city import Controller
    from tests.simulator.hub import Hub
    from tests.simulator.world import World

Mark = tuple[int, int]


class Violated(Exception):
    """An invariant does not hold: ``name`` says which."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


@dataclass
class Known:
    """What was seen so far; a world that begins from a prepared one begins with its knowledge."""

    layers: dict[tuple[str, str, Mark], dict[str, Any]] = field(default_factory=dict)
    newest: dict[str, Mark] = field(default_factory=dict)
    epoch: int = 0
    addresses: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    owners: dict[str, dict[str, Any]] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    highest: dict[str, Mark] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)

    def copy(self) -> Known:
        made = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, dict):
                setattr(made, name, value.copy())
        return made


class Watch:
    """Looks on."""

    def __init__(self, world: World, known: Known) -> None:
        self.world, self.known = world, known
        self.revoked: set[str] = set()
        #: From which place of its feed on a concentrator knows that a site is revoked, and who has come so far.
        self.cut: dict[tuple[str, str], Mark] = {}
        self.gone: set[tuple[str, str]] = set()
        #: Sites that may be without a tunnel for a while: after a backup was laid back a box comes to the door again.
        self.excused: set[str] = set()
        #: Addresses in this database; one that nobody had heard of when a backup was laid back was never anybody's.
        self.given: dict[str, str] = {}
        self._candidates: dict[str, dict[str, Any]] = {}

    # -- what is signed --------------------------------------------------------------------------------------------

    def signed(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """The signing process has answered."""
        if "done" not in answer:
            return
        ask, payload = request["ask"], request.get("payload", {})
        if ask == "layer":
            self._layer(payload)
        elif ask == "answer":
            self._alive(payload["site"], "an answer")
        elif ask == "certify":
            self._alive(request["subject"].removeprefix("site:"), "a certificate")
        elif ask == "peers":
            self._peers(payload)

    def _alive(self, site: str, what: str) -> None:
        if site in self.revoked:
            raise Violated("revoked never back", f"{what} was signed for {site}")

    def _epoch(self, epoch: int) -> None:
        if epoch < self.known.epoch:
            raise Violated("one registry", f"epoch {epoch} was signed after {self.known.epoch}")
        self.known.epoch = epoch

    def _layer(self, payload: dict[str, Any]) -> None:
        site, mark = payload["site"], (payload["epoch"], payload["revision"])
        self._alive(site, "a layer")
        self._epoch(payload["epoch"])
        if mark <= self.known.newest.get(site, (0, 0)):
            raise Violated("revisions rise", f"{site}: {mark} was signed after {self.known.newest[site]}")
        self.known.newest[site] = mark
        foreign = [name for name in payload["layer"] if PARTS.get(name) != "city"]
        if foreign:
            raise Violated("owner's fields", f"{site}: the city signed {foreign}")
        self.known.layers[(site, payload["device"], mark)] = json.loads(json.dumps(payload["layer"]))

    def _peers(self, payload: dict[str, Any]) -> None:
        self._epoch(payload["epoch"])
        for peer in payload["peers"]:
            if not peer.get("gone"):
                self._alive(peer["site"], "a peer")

    def cut_off(self, site: str) -> None:
        """A person has revoked a site, and the registry has kept it."""
        self.revoked.add(site)
        database = self.world.main.database
        ((epoch,),) = database.rows("SELECT coalesce(max(value + 0), 1) FROM meta WHERE name = 'epoch'")
        for feed, revision in database.rows("SELECT name, revision FROM feed WHERE name LIKE 'peers:%'"):
            self.cut[(feed.removeprefix("peers:"), site)] = epoch, revision

    def laid_back(self) -> None:
        """The registry has an older database now."""
        self.given.clear()
        self.excused |= {box.site for box in self.world.boxes.values()}

    # -- who has what ----------------------------------------------------------------------------------------------

    def _address(self, address: str, site: str, where: str) -> None:
        owner = self.known.addresses.setdefault(address, site)
        if owner != site:
            raise Violated("one owner per address", f"{address} of {owner} is {site}'s in {where}")

    def _key(self, key: str, site: str, where: str) -> None:
        owner = self.known.keys.setdefault(key, site)
        if owner != site:
            raise Violated("one owner per key", f"a key of {owner} is {site}'s in {where}")

    def hub(self, hub: Hub) -> None:
        """Look at a concentrator and its device."""
        if hub.core is None:
            return
        keys = {peer.public_key: site for site, peer in hub.core.peers.items()}
        owners: dict[str, str] = {}
        for key, (allowed, _) in hub.device.items():
            site = keys.get(key)
            if site is None:
                raise Violated("nobody unknown", f"{hub.name} has a peer that nobody ordered")
            self._key(key, site, hub.name)
            for address in allowed:
                if owners.setdefault(address, site) != site:
                    raise Violated("one owner per address", f"{hub.name} leads {address} to two sites")
                self._address(address.removesuffix("/32"), site, hub.name)
        mark = hub.core.epoch, hub.core.revision
        self.gone |= {(name, site) for (name, site), since in self.cut.items() if name == hub.name and mark >= since}
        for site in hub.core.peers:
            if (hub.name, site) in self.gone:
                raise Violated("revoked never back", f"{site} is at {hub.name}, which has heard of it")

    def registry(self, controller: Controller) -> None:
        """Look at the rows of a registry that serves somebody."""
        if not controller.open:
            return
        rows = controller.database.rows("SELECT id, state, device FROM site")
        for site, state, device in rows:
            if site in self.revoked and state != "revoked":
                raise Violated("revoked never back", f"{site} is {state}")
            if state == "active" and device != self.known.devices.get(site, device):
                raise Violated("the right device", f"{site} is another's")
        for address, site in controller.database.rows("SELECT address, site FROM address"):
            if self.given.setdefault(address, site) != site or self.known.addresses.get(address, site) != site:
                raise Violated("one owner per address", f"{address} was another's before it was {site}'s")
        for key, site in controller.database.rows("SELECT public_key, site FROM peer WHERE state = 'on'"):
            self._key(key, site, "the registry")

    # -- boxes -----------------------------------------------------------------------------------------------------

    def tried(self, box: Box, mark: Mark) -> None:
        """A box begins to try a layer."""
        if (box.site, box.device.hash, mark) not in self.known.layers:
            raise Violated("the city's word alone", f"{box.name} tries {mark}, which nobody signed for it")

    def acknowledged(self, box: Box) -> None:
        """A box has said that it keeps what it tried."""
        self._mark(box)

    def _mark(self, box: Box) -> None:
        mark, before = box.confirmed().mark, self.known.marks.get(box.name, (0, 0))
        if mark < before:
            raise Violated("confirmed revision rises", f"{box.name} is at {mark} after {before}")
        self.known.marks[box.name] = mark
        highest = box.running.journal.highest
        if highest < self.known.highest.get(box.name, (0, 0)):
            raise Violated("confirmed revision rises", f"{box.name} has tried {highest} at most")
        self.known.highest[box.name] = highest

    def owner_may_settle(self, box: Box, parts: dict[str, Any]) -> None:
        """The owner says yes to these parts now."""
        self._candidates[box.name] = self.known.owners[box.name] | parts

    def owner_settled(self, box: Box) -> None:
        """And the box has said that it keeps them."""
        if box.name in self._candidates:
            self.known.owners[box.name] = self._candidates.pop(box.name)

    def box(self, box: Box) -> None:
        """Look at a box that is up."""
        if not box.up:
            return
        self._mark(box)
        confirmed = box.confirmed()
        candidate = self._candidates.pop(box.name, None)
        if candidate is not None and confirmed.owner == candidate:
            self.known.owners[box.name] = candidate
        if confirmed.owner != self.known.owners[box.name]:
            raise Violated("owner's fields", f"{box.name}: {confirmed.owner}")
        foreign = [name for name in proposal.layers_of(box.applied or None).city if PARTS.get(name) != "city"]
        if foreign:
            raise Violated("owner's fields", f"{box.name}: the city's {foreign} are in force")
        if confirmed.city:
            signed = self.known.layers.get((box.site, box.device.hash, confirmed.mark))
            if signed != confirmed.city:
                raise Violated("the city's word alone", f"{box.name} uses what nobody signed as {confirmed.mark}")
        for tunnel in confirmed.city.get("tunnel", ()):
            self._address(tunnel["address"].removesuffix("/32"), box.site, box.name)
        commit = box.running
        if commit.state is State.STEADY and box.applied != (commit.confirmed() or b""):
            raise Violated("confirmed revision holds", f"{box.name} has something else in force")

    def never_locked_out(self, box: Box) -> None:
        """A site that had its tunnels has one left that fits at both ends, as ordered; also while its hub is away."""
        site = box.site
        if not box.up or site in self.excused or site in self.revoked or box.running.state is not State.STEADY:
            return
        if not box.kernel or self.known.devices.get(site) != box.device.hash:
            return
        if not any(self.world.fits(way, hub) for way in box.kernel.values() for hub in self.world.hubs.values()):
            raise Violated("never locked out", f"{box.name} has no tunnel that fits")

    # -- at the end ------------------------------------------------------------------------------------------------

    def unsettled(self) -> list[str]:
        """Return what is not yet as the city wants it, nothing being broken any more."""
        main = self.world.main
        found = []
        rows = {row[0]: row[1:] for row in main.database.rows("SELECT id, state, offered, revocation FROM site")}
        layers = {
            (site, revision): state
            for site, revision, state in main.database.rows(
                "SELECT site, revision, state FROM layer WHERE epoch = (SELECT coalesce(max(value + 0), 1) FROM meta "
                "WHERE name = 'epoch')"
            )
        }
        rotations = dict(main.database.rows("SELECT site, rotation FROM peer WHERE rotation != ''"))
        for box in self.world.boxes.values():
            state, offered, revocation = rows.get(box.site, ("unknown", 0, ""))
            if state == "revoked":
                found += self._not_cut_off(box, bool(revocation))
            elif state != "active":
                found.append(f"{box.name} is {state}")
            elif layers.get((box.site, offered)) not in ("applied", "reverted"):
                found.append(f"{box.name}: its layer is {layers.get((box.site, offered))}")
            elif box.site in rotations:
                found.append(f"{box.name}: a rotation is {rotations[box.site]}")
            elif set(self.world.works(box)) != {"wg-a", "wg-b"}:
                found.append(f"{box.name}: only {self.world.works(box)} works")
        return found

    def _not_cut_off(self, box: Box, told: bool) -> list[str]:
        """``told``: the registry knew which device it was, and has it signed that it is revoked."""
        left = [hub.name for hub in self.world.hubs.values() if hub.core is not None and box.site in hub.core.peers]
        if left:
            return [f"{box.name} is revoked and still at {left}"]
        return [] if box.revoked or not told else [f"{box.name} has not heard that it is revoked"]
