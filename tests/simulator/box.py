"""A box: its keeper's decisions and its agent's, over a disk that may lose its power. Confirmed commit, layers, rotation,
envelopes, the clock's floor are the product's; the kernel is a dictionary of tunnels.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from netconf import durable, proposal, rotation, secrets
from netconf.clock import Floor
from netconf.enrolment import EnrolRequest, sign_request
from netconf.envelope import (
    SEALED_FOR_BOX,
    CityLayer,
    EnvelopeRefused,
    claimed_mark,
    open_answer,
    open_layer,
    open_revocation,
    sign_report,
)
from netconf.finding import Finding, finding
from netconf.kept import Kept
from netconf.model import Site
from netconf.proposal import Layers
from netconf.revision import ChangeRefused, Commit, State
from netconf.sealed import SealBroken, unseal
from tests.enrolling import csr
from tests.simulator.disk import Disk, Ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from netconf.enrolment import Bundle
    from tests.simulator.hub import Hub
    from tests.simulator.network import Message
    from tests.simulator.world import World

CITY_SECONDS, OWNER_SECONDS = 90, 60
#: A question without an answer is given up; a certificate is renewed when it has less left.
PATIENCE_SECONDS, RENEW_SECONDS = 10.0, 30 * 86_400.0
PLANES = ("wg-a", "wg-b")


@dataclass(frozen=True, slots=True)
class Way:
    """One tunnel as the box's kernel has it; ``own`` its public key, ``hub`` the concentrator's."""

    own: str
    psk: str
    hub: str
    address: str


@dataclass
class Device:
    """What a person carries from the shop: the box's own key, its hardware, where it stands."""

    name: str
    site: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def hash(self) -> str:
        return secrets.key_hash(self.key.public_key())


class Store(Kept):
    """Kept revisions, and the kernel that they are applied to."""

    def __init__(self, box: Box, state: Path) -> None:
        super().__init__(state)
        self._box = box
        self.site: Site | None = None

    def apply(self, document: bytes) -> tuple[Finding, ...]:
        box = self._box
        box.disk.step()
        layers = proposal.layers_of(document)
        ways: dict[str, Way] = {}
        site = None
        if layers.city:
            site, found = box.site_of(document)
            if site is None:
                return found
            if box.world.faulty and box.world.chance.random() < 0.02:
                return (finding("not_held"),)
            psk = box.preshared(layers.mark)
            for tunnel in site.tunnel:
                private = rotation.private_key(box.folder("secrets"), tunnel.name, tunnel.own_key)
                own = secrets.public_key(private)
                ways[tunnel.name] = Way(own, psk.get(tunnel.name, ""), tunnel.public_key, str(tunnel.address))
        box.disk.step()
        box.kernel, box.applied = ways, document
        return ()

    def publish(self, document: bytes) -> None:
        self.site = self._box.site_of(document)[0] if proposal.layers_of(document).city else None

    def shut(self) -> None:
        self.site = None
        self._box.kernel, self._box.applied = {}, b""


class Box:
    """One device at a site, or in somebody else's hands; ``name`` says which in the trace."""

    def __init__(self, world: World, device: Device, bundle: Bundle | None, disk: Disk) -> None:
        self.world, self.device, self.bundle, self.disk = world, device, bundle, disk
        self.name, self.site = device.name, device.site
        self.skew = 0.0
        self.online = True
        self.commit: Commit | None = None
        self.kernel: dict[str, Way] = {}
        self.applied = b""
        self.revoked = False
        self.state = ""
        self._forget()

    # -- life ------------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """What a process knows goes with it."""
        self.commit = None
        self.nonce, self.next_keys, self.handed = "", dict[str, str](), (0, 0)
        self.refused: tuple[tuple[int, int], tuple[str, ...]] | None = None
        self._told_keys: dict[str, str] = {}
        self.handshakes: dict[str, float] = {}
        self.asked: tuple[int, float] | None = None
        self._want_door = False
        self._failed = 0
        self._tunnels_moved, self._applied_at = False, 0.0

    def start(self) -> None:
        """Come up with what is confirmed.

        Raises:
            Ended: the power went while it did.
        """
        self._forget()
        self.kernel, self.applied = {}, b""
        self.store = Store(self, self.folder("state"))
        for plane in PLANES:
            secrets.ensure_wireguard_key(self.folder("secrets"), plane)
        journal, _ = self.store.read_journal()
        commit = Commit(self.store, journal, lambda: f"{self.world.chance.getrandbits(128):032x}")
        self.floor = Floor(self.folder("") / "clock-floor", self.world.now)
        commit.restore()
        self.commit = commit

    def end(self, power: bool) -> None:
        """The process is gone, with the power or alone; the disk lets the next one live."""
        self._forget()
        self.disk.whole()
        if power:
            self.disk.cut()
            self.kernel, self.applied = {}, b""
        for name in ("state", "state/revisions", "secrets"):
            self.folder(name)

    def folder(self, name: str) -> Path:
        path = self.disk.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def up(self) -> bool:
        return self.commit is not None

    @property
    def running(self) -> Commit:
        assert self.commit is not None
        return self.commit

    def wall(self) -> float:
        """Return the time by the box's own clock."""
        return max(0.0, self.world.now + self.skew)

    # -- the keeper ------------------------------------------------------------------------------------------------

    def confirmed(self) -> Layers:
        return proposal.layers_of(self.running.confirmed())

    def site_of(self, document: bytes) -> tuple[Site | None, tuple[Finding, ...]]:
        """As ``proposal.site_of``, remembered: the same document is the same site."""
        key = hashlib.sha256(document).digest()
        if key not in self.world.sites:
            self.world.sites[key] = proposal.site_of(document)
        return self.world.sites[key]

    def preshared(self, mark: tuple[int, int]) -> dict[str, str]:
        """Return what came sealed with a layer."""
        try:
            kept: dict[str, str] = json.loads(durable.read(self._sealed_file(mark), 1 << 16))
        except (OSError, ValueError):
            return {}
        return kept

    def _sealed_file(self, mark: tuple[int, int]) -> Path:
        return self.folder("sealed") / f"{mark[0]}-{mark[1]}"

    def hand_over(self, text: str) -> str:
        """Take a layer as the keeper does; return the rule by which it is refused, or "waiting"."""
        commit, confirmed = self.running, self.confirmed()
        epoch, revision = commit.journal.highest
        # A box that is not enrolled takes the newest that it has seen once more: its trial may have been cut off.
        again = int(not confirmed.city and revision > 0)
        try:
            layer = open_layer(text, self.city_key(), site=self.site, device=self.device.hash,
                               highest=(epoch, revision - again), now=self.floor.wall(self.wall()))  # fmt: skip
            document = proposal.of_city(layer, confirmed)
            site, found = self.site_of(document)
            if site is None:
                raise ChangeRefused("site_refused", found)
            if foreign := tuple(rotation.unknown(self.folder("secrets"), site)):
                raise ChangeRefused("site_refused", foreign)
            if commit.state is not State.STEADY:
                raise ChangeRefused("change_pending")
            self._keep_sealed(layer)
            self._tunnels_moved = layer.layer.get("tunnel") != confirmed.city.get("tunnel")
            self._applied_at = self.wall()
            self.world.watch.tried(self, layer.mark)
            held = commit.propose(document, "agent", CITY_SECONDS, self.world.now, layer.mark)
        except EnvelopeRefused as wrong:
            return wrong.rule
        except ChangeRefused as wrong:
            return wrong.findings[0].code if wrong.findings else wrong.rule
        except SealBroken:
            return "seal_broken"
        assert held is not None
        self.nonce = held.token
        return "waiting"

    def _keep_sealed(self, layer: CityLayer) -> None:
        psk: dict[str, str] = {}
        for piece in layer.sealed.split():
            psk |= json.loads(unseal(piece, self.device.key, SEALED_FOR_BOX + self.site)).get("psk", {})
        durable.write(self._sealed_file(layer.mark), json.dumps(psk).encode("ascii"))

    def hear_answer(self, text: str) -> str:
        """Take the city's word upon the change that waits, as the keeper does."""
        commit = self.running
        held = commit.pending
        nonce = held.token if held is not None else ""
        try:
            open_answer(text, self.city_key(), site=self.site, device=self.device.hash, nonce=nonce)
            if self._tunnels_moved and not any(at >= int(self._applied_at) for at in self.handshakes.values()):
                raise ChangeRefused("no_new_handshake")
            commit.confirm(nonce, "agent")
        except EnvelopeRefused as wrong:
            return wrong.rule
        except ChangeRefused as wrong:
            return wrong.rule
        self.nonce = ""
        self.world.watch.acknowledged(self)
        return "confirmed"

    def owner(self, parts: dict[str, Any], seconds: int) -> str:
        """Propose what the owner settles; at once, or with a word that somebody must say."""
        try:
            document = proposal.of_owner(json.dumps(parts), self.confirmed())
            layers = proposal.layers_of(document)
            site, found = self.site_of(document) if layers.city else (None, ())
            if layers.city and site is None:
                raise ChangeRefused("site_refused", found)
            self.running.propose(document, "web", seconds, self.world.now)
        except ChangeRefused as wrong:
            return wrong.rule
        if seconds == 0:
            self.world.watch.owner_settled(self)
        return "waiting" if seconds else "confirmed"

    def owner_confirms(self) -> str:
        held = self.running.pending
        if held is None or held.caller != "web":
            return "nothing_pending"
        try:
            self.running.confirm(held.token, "web")
        except ChangeRefused as wrong:
            return wrong.rule
        self.world.watch.owner_settled(self)
        return "confirmed"

    def city_key(self) -> Any:
        return self.world.city_key

    def tick(self) -> None:
        """Let changes run out, the clock's floor rise, an exchanged key take its place."""
        commit = self.running
        commit.tick(self.world.now)
        self.floor.tick(self.wall(), self.world.now)
        if commit.state is State.STEADY and self.store.site is not None:
            rotation.settle(self.folder("secrets"), self.store.site)

    # -- the agent -------------------------------------------------------------------------------------------------

    def turn(self) -> str:
        """Look around once: the keeper's matters, then a report by a tunnel, or a question at the city's door."""
        self.tick()
        if not self.online:
            return "dark"
        if self.asked is not None and self.world.now - self.asked[1] < PATIENCE_SECONDS:
            return "waits"
        works = self.world.works(self)
        for tunnel in works:
            self.handshakes[tunnel] = self.wall()
        certificate = self._certificate()
        if works and certificate is not None and not self._want_door:
            tunnel = works[self._failed % len(works)]
            body = (certificate.public_bytes(serialization.Encoding.DER), self.report(certificate))
            self._ask("report", body, tunnel)
            return f"reports by {tunnel}"
        if self.bundle is None or self.revoked:
            return "has no door"
        self._want_door = False
        self._ask("enrol", self.enrolment(), "")
        return "asks at the door"

    def _ask(self, kind: str, body: Any, by: str) -> None:
        self._failed += self.asked is not None
        self.asked = self.world.network.ask(self.name, "city", kind, body, by), self.world.now

    def enrolment(self) -> str:
        """Return what the box asks at the door, signed."""
        assert self.bundle is not None
        folder = self.folder("secrets")
        keys = {plane: secrets.ensure_wireguard_key(folder, plane) for plane in PLANES}
        nonce = f"{self.world.chance.getrandbits(128):032x}"
        asked = EnrolRequest(self.site, self.bundle.claim, csr(self.device.key), keys,
                             {"board": f"board-{self.name}"}, int(self.wall()), nonce)  # fmt: skip
        return sign_request(asked, self.device.key)

    def report(self, certificate: x509.Certificate) -> str:
        """Return what the box tells of itself, signed."""
        commit = self.running
        change = commit.facts(self.world.now)
        if self.nonce and (change.get("pending") or {}).get("caller") != "agent":
            self.nonce = ""
        wall = self.wall()
        ages = {
            name: {"handshake_age_seconds": int(wall - at) if (at := self.handshakes.get(name)) is not None else None}
            for name in self.kernel
        }
        told = {
            "site": self.site, "device": self.device.hash, "nonce": self.nonce,
            "city_layer": change["city_layer"], "change": change | {"applied": list(self.confirmed().mark)},
            "findings": [], "faults": [], "tunnels": ages, "next_keys": self.next_keys, "version": "simulator",
            "programs": {"cityside": {"registered": True}},
        }  # fmt: skip
        self._told_keys = self.next_keys
        if self.refused is not None:
            told["refused"] = {"mark": list(self.refused[0]), "codes": list(self.refused[1])}
        if certificate.not_valid_after_utc.timestamp() - wall < RENEW_SECONDS:
            told["csr"] = csr(self.device.key)
        return sign_report(told, self.device.key)

    def hear(self, message: Message) -> str:
        """Take the answer to the question that was asked last."""
        if self.asked is None or self.asked[0] != message.number:
            return "has given it up"
        if message.by and message.by not in self.world.works(self):
            return "is not reached any more"
        self.asked = None
        said = message.body
        if message.kind == "enrol":
            return self._door_said(said)
        if "rule" in said:
            self._want_door = said["rule"].startswith(("certificate_", "site_revoked"))
            return f"is refused: {said['rule']}"
        return " and ".join(self._do(said)) or "has nothing to do"

    def _do(self, said: dict[str, str]) -> list[str]:
        done = []
        if "certificate" in said:
            done.append(self._keep_certificate(said["certificate"]))
        if "rotate" in said:
            tunnel = said["rotate"]
            site = self.store.site
            refused = self._told_keys.get(tunnel, "")
            if site is not None and any(each.own_key == refused for each in site.tunnel):
                refused = ""
            self.next_keys = {tunnel: rotation.begin_rotation(self.folder("secrets"), tunnel, refused)}
            done.append(f"makes a key of {tunnel}")
        if "answer" in said and self.nonce:
            done.append(f"hears the answer: {self.hear_answer(said['answer'])}")
        elif "layer" in said and not self.nonce:
            done.append(self._handed(said["layer"]))
        return done

    def _handed(self, text: str) -> str:
        mark = claimed_mark(text)
        became = self.hand_over(text)
        if became != "waiting":
            self.refused = mark, (became,)
        return f"is handed {mark}: {became}"

    def _door_said(self, said: dict[str, str]) -> str:
        self.state = said["state"]
        if self.state == "approved":
            return f"is approved, {self._keep_certificate(said['certificate'])}, {self._handed(said['layer'])}"
        if self.state == "revoked":
            try:
                open_revocation(said["revocation"], self.city_key(), site=self.site, device=self.device.hash)
            except EnvelopeRefused as wrong:
                return f"does not believe that it is revoked: {wrong.rule}"
            self.revoked = True
        return f"is {self.state} {said.get('rule', '')}"

    def _keep_certificate(self, pem: str) -> str:
        try:
            made = x509.load_pem_x509_certificate(pem.encode("ascii"))
            made.verify_directly_issued_by(self.world.ca)
        except (ValueError, TypeError, InvalidSignature):
            return "certificate refused"
        if made.public_key() != self.device.key.public_key():
            return "certificate refused"
        durable.write(self.folder("secrets") / "certificate.pem", pem.encode("ascii"))
        return "certificate kept"

    def _certificate(self) -> x509.Certificate | None:
        path = self.folder("secrets") / "certificate.pem"
        with contextlib.suppress(OSError, ValueError):
            return x509.load_pem_x509_certificate(path.read_bytes())
        return None


def lives(one: Box | Hub, what: Callable[[], str]) -> str:
    """Let a machine do something; the power may go within."""
    try:
        said = what()
    except Ended as ended:
        one.end(ended.power)
        return "and its power goes" if ended.power else "and is killed"
    return said
