"""Concentrators, as a person or his program adds them; what concentrators ask themselves is ``concentrators``'."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from pydantic import BaseModel, ConfigDict, Field

from city.api.office import Office
from city.registry import audit, concentrators, people
from city.registry.tables import Person


class HubSaid(BaseModel):
    """``prepared``: what `snowgate city concentrator prepare` printed at its host."""

    model_config = ConfigDict(extra="forbid", str_max_length=4096)
    prepared: dict[str, Any]
    name: str
    plane: str
    endpoint: str
    mtu: int = Field(default=1420, strict=True)
    reason: str


def blueprint(office: Office) -> APIBlueprint:
    """Return the views of ``/api/concentrators``."""
    made = APIBlueprint("hubs", __name__, url_prefix="/api")

    @made.get("/concentrators")
    def every() -> dict[str, Any]:
        person = office.callers.person("look")
        people.demand_whole(person)
        with office.store.read() as session:
            return {"concentrators": concentrators.listed(session)}

    @made.post("/concentrators")
    @made.input(HubSaid)
    def add(json_data: HubSaid) -> tuple[dict[str, Any], int]:
        """The answer holds the three files that are laid beside its keys."""
        person, said = office.callers.person("concentrator"), json_data
        return added(office, person, said.prepared, said.reason, name=said.name, plane=said.plane,
                     endpoint=said.endpoint, mtu=said.mtu), 201  # fmt: skip

    return made


def added(office: Office, person: Person, made: object, why: str, **said: Any) -> dict[str, Any]:
    """Add a concentrator, and return its id and ``files``: what its host needs besides its keys, by name.

    Raises:
        RegistryRefused: ``city_only``, or what ``concentrators.prepared``, ``add`` and ``certify`` refuse.
        SignerAway: nothing was added.
    """
    people.demand_whole(person)
    now, city = office.clock(), office.signer.identity()
    with office.store.begin() as session:
        audit.because(session, why)
        new, csr = concentrators.prepared(made, **said)
        concentrators.add(session, person.name, new, now)
        certificate = concentrators.certify(session, office.signer, person.name, new.id, csr, now)
    return {"id": new.id, "files": {
        "certificate.pem": certificate, "ca.pem": city.known_by, "city.pub": city.city_key + "\n",
    }}  # fmt: skip
