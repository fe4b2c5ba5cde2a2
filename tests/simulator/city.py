"""The city's registry with its signing process, as one machine: it may die between any two signatures, and its clock err."""

from __future__ import annotations

import base64
import json
import random
import sqlite3
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from city.api.callers import Callers
from city.api.concentrators import Asked, following
from city.api.heartbeats import Heartbeats
from city.api.report import Desk, heard
from city.registry import concentrators, enrolment, people
from city.registry.refused import RegistryRefused
from city.registry.signer import SignerAway
from city.registry.store import Store, open_store
from city.registry.tables import Person, Template
from city.signing.client import Client
from netconf.enrolment import EnrolmentRefused, open_request
from tests import fleet
from tests.simulator.disk import Ended
from tests.simulator.hub import Place

if TYPE_CHECKING:
    from tests.simulator.network import Message
    from tests.simulator.world import World

NOW = fleet.NOW


class Database:
    """A registry's file, and a way to lay a copy of it back."""

    def __init__(self, path: Path) -> None:
        self.store: Store = open_store(f"sqlite:///{path}")
        self._raw = sqlite3.connect(path, isolation_level=None)

    def copy(self) -> sqlite3.Connection:
        """Return what it holds now."""
        kept = sqlite3.connect(":memory:")
        self._raw.backup(kept)
        return kept

    def lay_back(self, kept: sqlite3.Connection) -> None:
        """Hold what a copy holds."""
        kept.backup(self._raw)

    def rows(self, words: str, *given: object) -> list[tuple[Any, ...]]:
        """Look past the registry's own eyes."""
        return self._raw.execute(words, given).fetchall()

    def close(self) -> None:
        self._raw.close()
        self.store.close()


class Controller:
    """One registry; ``main`` is the one that persons work with."""

    def __init__(self, world: World, name: str, database: Database) -> None:
        self.world, self.name, self.database = world, name, database
        self.store = database.store
        self.skew = 0.0
        self.open = True
        self.signing = True
        self._fuse: tuple[int, bool] | None = None
        self.signer = Client(self._carry)
        self.begin()

    def begin(self) -> None:
        """Start the process: it remembers nothing."""
        heartbeats = Heartbeats(self.store, lambda code, /: None, self.clock)
        self.desk = Desk(self.store, self.signer, self.clock, heartbeats, lambda *told, **facts: None)
        self.asked = Asked(self.store, self.signer, Callers(self.store, self.signer, self.clock), self.clock)

    def clock(self) -> float:
        return max(0.0, self.world.now + self.skew)

    def burn(self, signatures: int, *, after: bool) -> None:
        """Kill the registry at one of its next questions to the signing process, before or after that has answered."""
        self._fuse = signatures, after

    def whole(self) -> None:
        self._fuse, self.signing, self.skew = None, True, 0.0

    def _carry(self, request: dict[str, Any]) -> dict[str, Any]:
        if not self.signing:
            raise SignerAway("simulated")
        dies, after = self._dies()
        if dies and not after:
            raise Ended(power=False)
        answer = self.world.service.answer(request)
        self.world.watch.signed(request, answer)
        if dies:
            raise Ended(power=False)
        return answer

    def _dies(self) -> tuple[bool, bool]:
        if self._fuse is None:
            return False, False
        left, after = self._fuse
        self._fuse = (left - 1, after) if left else None
        return left == 0, after

    def does(self, what: Callable[[Session], str | None]) -> str:
        """Let a person do something in one transaction; return what came of it."""
        if not self.open:
            return "is closed"
        try:
            self.desk.heartbeats.flush()
            with self.store.begin() as session:
                said = what(session)
        except RegistryRefused as wrong:
            return f"is refused: {wrong.rule}"
        except SignerAway:
            return "finds the signing process away"
        except IntegrityError:
            return "comes too late"
        except Ended:
            self.begin()
            return "and the registry is killed"
        return said or "is done"

    def hear(self, message: Message) -> Any:
        """Return the answer to a question; None when there is none."""
        if not self.open:
            return None
        try:
            return self._heard(message)
        except (RegistryRefused, EnrolmentRefused) as wrong:
            return {"rule": wrong.rule, "state": "refused"}
        except SignerAway:
            return {"rule": "signer_away", "state": "refused"}
        except IntegrityError:
            return {"rule": "taken", "state": "refused"}
        except Ended:
            self.begin()
            return None

    def _heard(self, message: Message) -> Any:
        if message.kind == "report":
            return heard(self.desk, *message.body)
        if message.kind == "enrol":
            opened, key = open_request(message.body)
            with self.store.begin() as session:
                return enrolment.ask(session, self.signer, self.clock(), opened, key).body
        if message.kind == "snapshot":
            return self.asked.snapshots.get(self.store, self.signer, message.sender, self.clock())
        epoch, after = message.body
        return following(self.asked, message.sender, epoch, after, 0.0) or {}


def found(session: Session, places: list[Place]) -> None:
    """Persons, a template, the concentrators."""
    for name, role in (("li", "operator"), ("wang", "operator"), ("sys", "system"), ("sec", "security")):
        people.add(session, NOW, "init", name, "no password", role)
    for place in places:
        spki = place.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        network = IPv4Network(place.network)
        new = concentrators.New(place.id, place.id, place.plane, place.public_key, f"203.0.113.{ord(place.id[-1])}:51820",
                                network, IPv4Address(place.probe), (IPv4Network("10.20.0.0/16"),),
                                base64.b64encode(spki).decode("ascii"))  # fmt: skip
        concentrators.add(session, "sys", new, NOW)
    session.add(
        Template(name="standard", version=1, body=json.dumps(fleet.BODY), state="approved", made_by="sys", made_at=NOW)
    )


def person(session: Session, name: str) -> Person:
    return session.get_one(Person, name)


def drawn(seed: int | str) -> random.Random:
    return random.Random(f"snowgate {seed}")
