"""Templates: the city's part of a configuration that many sites share. A version never changes; it is approved, or not used."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from city.registry import audit, people
from city.registry.refused import RegistryRefused
from city.registry.tables import Person, Template
from netconf import layers

MAX_BODY_CHARACTERS = 1 << 16
#: What the registry writes for each site by itself.
_MADE = frozenset(("site", "tunnel"))


def add(session: Session, now: float, person: Person, name: str, body: dict[str, Any]) -> Template:
    """Add a draft: the next version of ``name``.

    Raises:
        RegistryRefused: ``template_form``: a part is the owner's, the registry's own or nobody's, or it is too long.
    """
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    foreign = [part for part in body if part in _MADE or layers.PARTS.get(part) != "city"]
    if foreign or len(text) > MAX_BODY_CHARACTERS or not 1 <= len(name) <= 64 or not name.isprintable():
        raise RegistryRefused("template_form", part=foreign[0] if foreign else name[:64])
    last = session.scalar(select(func.max(Template.version)).where(Template.name == name)) or 0
    row = Template(name=name, version=last + 1, body=text, state="draft", made_by=person.name, made_at=now)
    session.add(row)
    session.flush()
    audit.write(session, now, person.name, "template.add", f"template:{name}@{row.version}")
    return row


def is_number(text: str) -> bool:
    """Say whether a text is a version: what its column may hold."""
    return text.isascii() and text.isdecimal() and len(text) <= 9


def retire(session: Session, now: float, person: Person, name: str, version: int) -> None:
    """Let no further site have a version; those that have it keep it.

    Raises:
        RegistryRefused: ``city_only`` or ``template_unknown``.
    """
    people.demand_whole(person)
    row = session.get(Template, (name, version), with_for_update=True)
    if row is None:
        raise RegistryRefused("template_unknown", template=name, version=version)
    row.state = "retired"
    session.flush()
    audit.write(session, now, person.name, "template.retire", f"template:{name}@{version}")


def every(session: Session, most: int = 200) -> list[Template]:
    """Return the templates, each name's newest version first."""
    return list(session.scalars(select(Template).order_by(Template.name, Template.version.desc()).limit(most)))
