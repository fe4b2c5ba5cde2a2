"""What the GB/T 28181 platforms' own programs ask, below ``/api``: to be known by a key, and what to set for which site."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request
from pydantic import BaseModel, ConfigDict

from city.api.asked import number
from city.api.office import Office
from city.registry import people, platforms


class KeySaid(BaseModel):
    model_config = ConfigDict(extra="forbid", str_max_length=platforms.MAX_KEY_CHARACTERS)
    key: str


def blueprint(office: Office) -> APIBlueprint:
    """Return the views."""
    made = APIBlueprint("platforms", __name__, url_prefix="/api")

    @made.put("/platforms/<platform>")
    @made.input(KeySaid)
    def know(platform: str, json_data: KeySaid) -> dict[str, Any]:
        person = office.callers.person("concentrator")
        people.demand_whole(person)
        with office.store.begin() as session:
            platforms.know(session, office.clock(), person.name, platform, json_data.key)
        return {"platform": platform}

    @made.get("/platforms/changes")
    def changes() -> dict[str, Any]:
        """Passwords are sealed to their platform: who may look here can read none."""
        office.callers.person("look")
        after, platform = number("after", 0), request.args.get("platform", "")[:20]
        with office.store.read() as session:
            upto, found = platforms.changes(session, after, platform)
        return {"after": upto, "changes": found}

    return made
