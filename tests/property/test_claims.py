"""Claims and devices in any order: a site never has two devices, and no claim lets in two.

What the registry does is compared with a model of a dozen lines; time goes on, claims are issued anew, devices come, come
again, are approved, refused and revoked.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from city.registry import audit, claims, enrolment, revocation, sites
from city.registry.refused import RegistryRefused
from city.registry.store import Store, open_store
from city.registry.tables import Person, Site
from city.signing import keys
from city.signing.client import Client
from city.signing.marks import Marks
from city.signing.service import Service
from tests.chance import counted
from tests.enrolling import NOW, OTHER, SITE, Box, found

PLACES, BOXES = (SITE, OTHER), range(1, 4)
KEYS = keys.make("City of Tests", NOW - 86_400, counted())
DEVICES = {number: Box(number).key for number in BOXES}


class Enrolments(RuleBasedStateMachine):
    """The model: which claim is whose, until when, and who has used it; which device a site has."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store: Store = open_store(f"sqlite:///{self.folder / 'city.sqlite'}")
        self.marks = Marks(self.folder / "marks")
        self.signer = Client(Service(KEYS, self.marks, lambda: self.now, counted()).answer)
        self.now, self.made = NOW, 0
        self.claims: dict[str, dict[str, Any]] = {}
        self.devices: dict[str, int | None] = dict.fromkeys(PLACES)
        self.states = dict.fromkeys(PLACES, "new")

    def teardown(self) -> None:
        self.marks.close()
        self.store.close()
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        found(self.store)
        with self.store.begin() as session:
            for place in PLACES:
                facts = sites.Facts(place, "x", "340200", template="street", template_version=1)
                sites.add(session, self.now, session.get_one(Person, "li"), facts)

    @rule(seconds=st.sampled_from((1.0, 3600.0, 86_400.0, 5 * 86_400.0)))
    def time_goes_on(self, seconds: float) -> None:
        self.now += seconds

    @rule(place=st.sampled_from(PLACES), days=st.integers(1, 7))
    def issue(self, place: str, days: int) -> None:
        self.made += 1
        token = f"{self.made:08x}." + "a" * 26
        allowed = self.states[place] in ("new", "pending")
        try:
            with self.store.begin() as session:
                claims.issue(session, self.now, "li", session.get_one(Site, place), token, days=days)
        except RegistryRefused as refused:
            assert not allowed, refused.rule
            return
        assert allowed
        for each in self.claims.values():
            if each["site"] == place:
                each["ends"] = min(each["ends"], self.now)
        self.claims[token] = {"site": place, "ends": self.now + days * 86_400, "device": None}
        self.states[place], self.devices[place] = "new", None

    @rule(place=st.sampled_from(PLACES), number=st.sampled_from(BOXES), back=st.integers(0, 2), keeps=st.integers(0, 5))
    def ask(self, place: str, number: int, back: int, keeps: int) -> None:
        at = max(1, self.made - back)
        token = f"{at:08x}." + "a" * 26 if keeps else f"{at:08x}." + "b" * 26
        box = Box(number, place, DEVICES[number], {"time": int(self.now)})
        said = box.ask(self.store, self.signer, token, self.now).body
        assert said["state"] == self._expected(place, number, token), (said, self.states, self.claims)

    def _expected(self, place: str, number: int, token: str) -> str:
        if self.devices[place] == number:
            return {"pending": "pending", "active": "approved", "revoked": "revoked"}[self.states[place]]
        claim = self.claims.get(token)
        elsewhere = number in (self.devices[other] for other in PLACES if other != place)
        good = claim is not None and claim["site"] == place and claim["ends"] > self.now
        if claim is None or not good or claim["device"] not in (None, number):
            return "refused"
        if self.states[place] != "new" or elsewhere:
            # A site that has a device has had its claim used; a box that is another site's is no new one.
            return "refused"
        claim["device"], self.devices[place], self.states[place] = number, number, "pending"
        return "pending"

    @rule(place=st.sampled_from(PLACES), who=st.sampled_from(("li", "wang")), right=st.booleans())
    def approve(self, place: str, who: str, right: bool) -> None:
        allowed = self.states[place] == "pending" and who == "wang" and right
        try:
            with self.store.begin() as session:
                site = session.get_one(Site, place)
                code = site.code or "" if right else "no code"
                enrolment.approve(session, self.signer, self.now, who, site, code)
        except RegistryRefused as refused:
            # A key that a box brought to a site that was revoked since is spent.
            assert not allowed or refused.rule == "key_taken", refused.rule
            return
        assert allowed
        self.states[place] = "active"

    @rule(place=st.sampled_from(PLACES))
    def refuse(self, place: str) -> None:
        try:
            with self.store.begin() as session:
                enrolment.refuse(session, self.now, "wang", session.get_one(Site, place), "another box")
        except RegistryRefused:
            assert self.states[place] != "pending"
            return
        self.states[place], self.devices[place] = "new", None
        for each in self.claims.values():
            if each["site"] == place:
                each["ends"] = min(each["ends"], self.now)

    @rule(place=st.sampled_from(PLACES))
    def revoke(self, place: str) -> None:
        try:
            with self.store.begin() as session:
                revocation.revoke(session, self.signer, session.get_one(Site, place), "sec", "stolen", self.now)
        except RegistryRefused:
            assert self.states[place] == "revoked"
            return
        self.states[place] = "revoked"
        for each in self.claims.values():
            if each["site"] == place:
                each["ends"] = min(each["ends"], self.now)

    @invariant()
    def the_registry_is_as_the_model(self) -> None:
        with self.store.read() as session:
            for place, state in self.states.items():
                row = session.get(Site, place)
                if row is None:
                    return
                device = self.devices[place]
                known = enrolment.device_hash(DEVICES[device].public_key()) if device is not None else None
                assert (row.state, row.device) == (state, known)
            assert audit.verify(session)[1] is None


Enrolments.TestCase.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestEnrolments = Enrolments.TestCase
