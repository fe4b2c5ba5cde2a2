"""Rollouts for persons and programs, below ``/api``: what a version would change, its rings, and a person's word upon them."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from city.api.office import MOST, MOST_VERSION, Office
from city.registry import rollouts
from city.registry.refused import RegistryRefused
from city.registry.tables import Rollout, RolloutSite, RolloutStep
from city.rollout.table import Event

#: What a person may want; the other events are what the registry sees.
WORDS = {event.value: event for event in (Event.START, Event.PAUSE, Event.RESUME, Event.ROLL_BACK)}


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", str_max_length=256)


class BeginSaid(_Said):
    template: str
    version: int = Field(ge=1, le=MOST_VERSION)
    reason: str


class WordSaid(_Said):
    word: str
    reason: str


def blueprint(office: Office) -> APIBlueprint:
    """Return the views."""
    made = APIBlueprint("rollouts", __name__, url_prefix="/api")
    _looking(made, office)

    @made.post("/rollouts")
    @made.input(BeginSaid)
    def begin(json_data: BeginSaid) -> tuple[dict[str, Any], int]:
        person = office.callers.person("rollout")
        with office.store.begin() as session:
            rollouts.demand_scope(session, person, json_data.template)
            row = rollouts.begin(session, json_data.template, json_data.version, person.name, json_data.reason,
                                 office.clock())  # fmt: skip
            return told(session, row), 201

    @made.post("/rollouts/<number:number>")
    @made.input(WordSaid)
    def order(number: int, json_data: WordSaid) -> dict[str, Any]:
        person = office.callers.person("rollout")
        event = WORDS.get(json_data.word)
        if event is None:
            raise RegistryRefused("rollout_word", word=json_data.word, known=", ".join(WORDS))
        with office.store.begin() as session:
            rollouts.demand_scope(session, person, _row(session, number).template)
            row = rollouts.order(session, office.signer, number, event, person.name, json_data.reason, office.clock())
            return told(session, row)

    return made


def _looking(made: APIBlueprint, office: Office) -> None:
    @made.get("/rollouts")
    def every_rollout() -> dict[str, Any]:
        office.callers.person("look")
        with office.store.read() as session:
            rows = session.scalars(select(Rollout).order_by(Rollout.id.desc()).limit(MOST))
            return {"rollouts": [_facts(row) for row in rows]}

    @made.get("/rollouts/<number:number>")
    def one(number: int) -> dict[str, Any]:
        person = office.callers.person("look")
        with office.store.read() as session:
            row = _row(session, number)
            rollouts.demand_scope(session, person, row.template)
            return told(session, row)

    @made.get("/templates/<name>/<number:version>/preview")
    def preview(name: str, version: int) -> dict[str, Any]:
        person = office.callers.person("rollout")
        with office.store.read() as session:
            rollouts.demand_scope(session, person, name)
            return {"sites": rollouts.preview(session, name, version)}


def told(session: Session, row: Rollout) -> dict[str, Any]:
    """Return a rollout with its sites and the steps that it has gone."""
    sites = session.scalars(
        select(RolloutSite)
        .where(RolloutSite.rollout == row.id)
        .order_by(RolloutSite.ring, RolloutSite.site)
        .limit(MOST)
    )
    steps = session.scalars(
        select(RolloutStep).where(RolloutStep.rollout == row.id).order_by(RolloutStep.id).limit(MOST)
    )
    return _facts(row) | {
        "sites": [{"site": one.site, "ring": one.ring, "state": one.state, "revision": one.revision} for one in sites],
        "steps": [{"at": one.at, "who": one.who, "what": one.what, "why": one.why} for one in steps],
    }


def _facts(row: Rollout) -> dict[str, Any]:
    return {
        "number": row.id, "template": row.template, "version": row.version, "state": row.state, "ring": row.ring,
        "reason": row.reason, "made_by": row.made_by, "made_at": row.made_at, "why_halted": row.why_halted,
    }  # fmt: skip


def _row(session: Session, number: int) -> Rollout:
    row = session.get(Rollout, number)
    if row is None:
        raise RegistryRefused("rollout_unknown", rollout=number)
    return row
