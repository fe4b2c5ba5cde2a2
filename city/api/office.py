"""The JSON interface of the console and of programs, below ``/api``: read, ask the registry, answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g, request
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import select

from city.api.asked import number as asked_number
from city.api.callers import COOKIE, Callers
from city.api.limits import Limit
from city.registry import approvals, audit, claims, enrolment, layers, people, revocation, rotation, sites, templates
from city.registry.layers import Why
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Approval, Audit, Person, Site, Template
from netconf.enrolment import Bundle, write_bundle

MOST = 200
#: What the column of a template's version holds.
MOST_VERSION = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """Where boxes find this city, as it stands in their bundles."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Office:
    """What the views rest on."""

    store: Store
    signer: Signer
    callers: Callers
    clock: Callable[[], float]
    chance: Callable[[int], bytes]
    bundle: BundleFacts
    tries: Limit = field(default_factory=lambda: Limit(10.0, 1 / 6))

    def sign_in(self, name: str, password: str, source: str) -> tuple[Person, str]:
        """Return who signs in, and the token of his session.

        Raises:
            RegistryRefused: ``sign_in_often`` (of ``source``) or ``sign_in_wrong``.
        """
        now = self.clock()
        if not self.tries.takes(source, now):
            raise RegistryRefused("sign_in_often")
        with self.store.read() as session:
            kept = people.password_hash(session, name)
        right = people.fits(kept, password)
        token = self.chance(32).hex()
        with self.store.begin() as session:
            person = people.sign_in(session, now, name, right, token, people.page_word(token))
        if person is None:
            raise RegistryRefused("sign_in_wrong")
        return person, token

    def claim(self, site: str, claim: str) -> str:
        """Return the bundle of a claim, as one line."""
        city = self.signer.identity()
        at = self.bundle
        return write_bundle(Bundle(site, at.address, at.port, city.ca_hash, city.city_key, claim))


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", str_max_length=4096)


class SignIn(_Said):
    name: str
    password: str


class SiteSaid(_Said):
    """``own``: city fields of this site alone."""

    id: str
    name: str
    civil_code: str
    site_class: int = Field(default=3, ge=1, le=3)
    carrier: str = ""
    template: str | None = None
    template_version: int | None = Field(default=None, ge=1, le=MOST_VERSION)
    own: dict[str, Any] = {}

    @field_validator("name", "carrier")
    @classmethod
    def printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("unprintable")
        return value

    def facts(self) -> sites.Facts:
        return sites.Facts(**self.model_dump())


class ClaimSaid(_Said):
    days: int = claims.DAYS


class CodeSaid(_Said):
    code: str


class WhySaid(_Said):
    reason: str


class TunnelSaid(_Said):
    tunnel: str


class TemplateSaid(_Said):
    name: str
    body: dict[str, Any]


class ApprovalSaid(_Said):
    action: str
    subject: str = Field(default="", max_length=96)
    reason: str
    body: dict[str, Any] = {}


class Verdict(_Said):
    yes: bool


class PersonSaid(_Said):
    name: str
    password: str
    role: str
    scope: str = ""


class PersonChange(_Said):
    password: str | None = None
    role: str | None = None
    scope: str | None = None
    off: bool | None = None


def blueprint(office: Office) -> APIBlueprint:
    """Return the views below ``/api``."""
    made = APIBlueprint("office", __name__, url_prefix="/api")
    _door(made, office)
    _sites(made, office)
    _enrolments(made, office)
    _second_persons(made, office)
    _people(made, office)
    _records(made, office)
    return made


def _door(made: APIBlueprint, office: Office) -> None:
    @made.post("/sign-in")
    @made.input(SignIn)
    def sign_in(json_data: SignIn) -> dict[str, Any]:
        person, token = office.sign_in(json_data.name, json_data.password, request.remote_addr or "")
        return {"token": token, "csrf": people.page_word(token), "role": person.role, "scope": person.scope}

    @made.post("/sign-out")
    def sign_out() -> Response:
        office.callers.person("look")
        with office.store.begin() as session:
            people.sign_out(session, g.token)
        response = Response(status=204)
        response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
        return response


def _sites(made: APIBlueprint, office: Office) -> None:
    @made.get("/sites")
    def every_site() -> dict[str, Any]:
        person = office.callers.person("look")
        asked = {name: request.args.get(name, "")[:64] for name in ("after", "state", "text")}
        with office.store.read() as session:
            found = sites.page(session, person, **asked, most=asked_number("most", MOST))
            return {"sites": [sites.said(site) for site in found]}

    @made.post("/sites")
    @made.input(SiteSaid)
    def add_site(json_data: SiteSaid) -> tuple[dict[str, Any], int]:
        person = office.callers.person("site")
        with office.store.begin() as session:
            return sites.said(sites.add(session, office.clock(), person, json_data.facts())), 201

    @made.get("/sites/<site>")
    def one(site: str) -> dict[str, Any]:
        person = office.callers.person("look")
        with office.store.read() as session:
            return sites.said(sites.get(session, person, site))

    @made.put("/sites/<site>")
    @made.input(SiteSaid)
    def edit_site(site: str, json_data: SiteSaid) -> dict[str, Any]:
        person = office.callers.person("site")
        if json_data.id != site:
            raise RegistryRefused("site_form", field="id")
        with office.store.begin() as session:
            row = sites.edit(session, office.clock(), person, json_data.facts())
            if row.state == "active":
                layers.offer(session, office.signer, row, office.clock(), Why(person.name, "site edited"))
            return sites.said(row)

    @made.post("/sites/<site>/revoke")
    @made.input(WhySaid)
    def revoke(site: str, json_data: WhySaid) -> dict[str, Any]:
        person = office.callers.person("revoke")
        with office.store.begin() as session:
            row = sites.get(session, person, site, lock=True)
            revocation.revoke(session, office.signer, row, person.name, json_data.reason, office.clock())
            return sites.said(row)

    @made.post("/sites/<site>/rotate")
    @made.input(TunnelSaid)
    def rotate(site: str, json_data: TunnelSaid) -> dict[str, Any]:
        person = office.callers.person("rotate")
        with office.store.begin() as session:
            row = sites.get(session, person, site, lock=True)
            rotation.begin(session, row, json_data.tunnel, person.name, office.clock())
            return sites.said(row)


def _enrolments(made: APIBlueprint, office: Office) -> None:
    @made.post("/sites/<site>/claim")
    @made.input(ClaimSaid)
    def claim(site: str, json_data: ClaimSaid) -> tuple[dict[str, Any], int]:
        """The bundle is shown this once: nobody can make it from what is kept."""
        person = office.callers.person("claim")
        fresh = claims.fresh(office.chance)
        with office.store.begin() as session:
            row = sites.get(session, person, site, lock=True)
            kept = claims.issue(session, office.clock(), person.name, row, fresh, days=json_data.days)
            return {"bundle": office.claim(site, fresh), "ends_at": kept.ends_at}, 201

    @made.get("/pending")
    def pending() -> dict[str, Any]:
        person = office.callers.person("look")
        with office.store.read() as session:
            return {"pending": [waits(site) for site in enrolment.waiting(session, person.scope)]}

    @made.post("/sites/<site>/approve")
    @made.input(CodeSaid)
    def approve(site: str, json_data: CodeSaid) -> dict[str, Any]:
        person = office.callers.person("enrol")
        with office.store.begin() as session:
            row = sites.get(session, person, site, lock=True)
            enrolment.approve(session, office.signer, office.clock(), person.name, row, json_data.code)
            return sites.said(row)

    @made.post("/sites/<site>/refuse")
    @made.input(WhySaid)
    def refuse(site: str, json_data: WhySaid) -> dict[str, Any]:
        person = office.callers.person("enrol")
        with office.store.begin() as session:
            row = sites.get(session, person, site, lock=True)
            enrolment.refuse(session, office.clock(), person.name, row, json_data.reason)
            return sites.said(row)


def _second_persons(made: APIBlueprint, office: Office) -> None:
    @made.get("/templates")
    def every_template() -> dict[str, Any]:
        office.callers.person("look")
        with office.store.read() as session:
            return {"templates": [_template(row) for row in templates.every(session)]}

    @made.post("/templates")
    @made.input(TemplateSaid)
    def add_template(json_data: TemplateSaid) -> tuple[dict[str, Any], int]:
        person = office.callers.person("template")
        with office.store.begin() as session:
            return _template(templates.add(session, office.clock(), person, json_data.name, json_data.body)), 201

    @made.get("/approvals")
    def every_approval() -> dict[str, Any]:
        office.callers.person("look")
        with office.store.read() as session:
            return {"approvals": [_approval(row) for row in approvals.waiting(session, office.clock())]}

    @made.post("/approvals")
    @made.input(ApprovalSaid)
    def ask(json_data: ApprovalSaid) -> tuple[dict[str, Any], int]:
        person = office.callers.person("look")
        with office.store.begin() as session:
            return _approval(approvals.ask(session, office.clock(), person, **json_data.model_dump())), 201

    @made.post("/approvals/<number:number>")
    @made.input(Verdict)
    def judge(number: int, json_data: Verdict) -> dict[str, Any]:
        person = office.callers.person("approve")
        with office.store.begin() as session:
            return _approval(approvals.judge(session, office.clock(), person, number, json_data.yes))

    @made.post("/revoke-all")
    @made.input(WhySaid)
    def revoke_all(json_data: WhySaid) -> dict[str, Any]:
        person, now = office.callers.person("revoke"), office.clock()
        people.demand_whole(person)
        with office.store.begin() as session:
            approvals.use(session, now, "revoke-all", "")
            return {"revoked": revocation.revoke_all(session, office.signer, person.name, json_data.reason, now)}


def _people(made: APIBlueprint, office: Office) -> None:
    @made.get("/people")
    def every_person() -> dict[str, Any]:
        who = office.callers.person("person")
        with office.store.read() as session:
            return {"people": [_person(row) for row in people.every(session, who, 1000)]}

    @made.post("/people")
    @made.input(PersonSaid)
    def add_person(json_data: PersonSaid) -> tuple[dict[str, Any], int]:
        who = office.callers.person("person")
        kept = people.hashed(json_data.password)
        with office.store.begin() as session:
            said = json_data
            row = people.add(session, office.clock(), who.name, said.name, kept, said.role, said.scope)
            return _person(row), 201

    @made.patch("/people/<name>")
    @made.input(PersonChange)
    def edit_person(name: str, json_data: PersonChange) -> dict[str, Any]:
        who = office.callers.person("person")
        kept = people.hashed(json_data.password) if json_data.password is not None else None
        changed = json_data.model_dump(exclude={"password"})
        with office.store.begin() as session:
            return _person(people.edit(session, office.clock(), who.name, name, kept=kept, **changed))


def _records(made: APIBlueprint, office: Office) -> None:
    @made.get("/audit")
    def lines() -> dict[str, Any]:
        office.callers.person("audit")
        after = asked_number("after", 0)
        with office.store.read() as session:
            wanted = select(Audit).where(Audit.sequence > after).order_by(Audit.sequence).limit(MOST)
            return {"lines": [_line(row) for row in session.scalars(wanted)]}

    @made.get("/audit/verify")
    def verify() -> dict[str, Any]:
        office.callers.person("audit")
        with office.store.read() as session:
            good, broken = audit.verify(session)
        return {"good": good, "broken": broken}


def waits(site: Site) -> dict[str, Any]:
    """Return a waiting device as a person compares it: the six digits, and what it says of itself."""
    return {
        "site": site.id, "name": site.name, "civil_code": site.civil_code, "made_by": site.made_by, "code": site.code,
        "device": site.device, "fingerprint": json.loads(site.fingerprint), "tunnels": json.loads(site.asked_keys),
    }  # fmt: skip


def _template(row: Template) -> dict[str, Any]:
    return {
        "name": row.name, "version": row.version, "state": row.state, "made_by": row.made_by, "made_at": row.made_at,
        "approved_by": row.approved_by, "body": json.loads(row.body),
    }  # fmt: skip


def _approval(row: Approval) -> dict[str, Any]:
    return {
        "number": row.id, "action": row.action, "subject": row.subject, "reason": row.reason, "state": row.state,
        "asked_by": row.asked_by, "asked_at": row.asked_at, "judged_by": row.judged_by, "judged_at": row.judged_at,
    }  # fmt: skip


def _person(row: Person) -> dict[str, Any]:
    return {
        "name": row.name, "role": row.role, "scope": row.scope, "off": row.off, "made_at": row.made_at,
        "locked_until": row.locked_until,
    }  # fmt: skip


def _line(row: Audit) -> dict[str, Any]:
    return {
        "sequence": row.sequence, "at": row.at, "who": row.who, "what": row.what, "subject": row.subject,
        "detail": json.loads(row.detail), "hash": row.hash,
    }  # fmt: skip
