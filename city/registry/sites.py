"""Sites: made, changed, listed. A person touches those of his scope alone; others do not exist for him."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from city.registry import audit, people
from city.registry.refused import RegistryRefused
from city.registry.tables import Health, Person, Site, Template
from city.truth.verdict import Verdict
from netconf import layers
from netconf.model import Identity

#: What one answer lists at most: more is asked for page by page.
MOST_LISTED = 200
MAX_OWN_CHARACTERS = 1 << 16
STATES = ("new", "pending", "active", "revoked")
#: Parts of a layer that the registry writes itself.
_MADE = frozenset(("site", "tunnel"))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a person says of a site. ``own``: city fields of this site alone, laid over the template's."""

    id: str
    name: str
    civil_code: str
    site_class: int = 3
    carrier: str = ""
    template: str | None = None
    template_version: int | None = None
    own: dict[str, Any] | None = None


def add(session: Session, now: float, person: Person, facts: Facts) -> Site:
    """Add a site.

    Raises:
        RegistryRefused: ``site_form``, ``site_own``, ``template_unknown``, ``template_not_approved``, ``outside_scope`` or
            ``site_known``.
    """
    _check(session, person, facts)
    if session.get(Site, facts.id) is not None:
        raise RegistryRefused("site_known", site=facts.id)
    site = Site(id=facts.id, made_by=person.name, made_at=now, state="new", offered=0)
    _fill(site, facts)
    session.add(site)
    session.flush()
    audit.write(session, now, person.name, "site.add", f"site:{site.id}", name=site.name, civil_code=site.civil_code)
    return site


def edit(session: Session, now: float, person: Person, facts: Facts) -> Site:
    """Change a site to ``facts``; what its box is to have then is ``layers.offer``'s.

    Raises:
        RegistryRefused: as ``add``; ``site_unknown`` or ``site_revoked``.
    """
    site = get(session, person, facts.id, lock=True)
    if site.state == "revoked":
        raise RegistryRefused("site_revoked", site=site.id)
    _check(session, person, facts)
    before = said(site)
    _fill(site, facts)
    session.flush()
    after = said(site)
    changed = {name: [before[name], after[name]] for name in after if after[name] != before[name]}
    if changed:
        audit.write(session, now, person.name, "site.edit", f"site:{site.id}", **changed)
    return site


def get(session: Session, person: Person, site: str, *, lock: bool = False) -> Site:
    """Return a site of the person's scope.

    Raises:
        RegistryRefused: ``site_unknown``: there is none, or not for him.
    """
    row = session.get(Site, site, with_for_update=True if lock else None)
    if row is None or not people.in_scope(person, row):
        raise RegistryRefused("site_unknown", site=site)
    return row


def page(
    session: Session, person: Person, *, after: str = "", state: str = "", text: str = "", verdict: str = "",
    most: int = MOST_LISTED,
) -> Sequence[Site]:  # fmt: skip
    """Return sites of the person's scope in the order of their ids, from the one after ``after``.

    ``text``: what an id or a civil code begins with, or what a name holds; ``verdict``: active sites that are so.
    """
    wanted = select(Site).where(Site.id > after).order_by(Site.id).limit(max(1, min(most, MOST_LISTED)))
    if person.scope:
        wanted = wanted.where(Site.civil_code.startswith(person.scope))
    if state:
        wanted = wanted.where(Site.state == state)
    if verdict:
        how = func.coalesce(Health.verdict, Verdict.UNKNOWN.value)
        wanted = wanted.outerjoin(Health, Health.site == Site.id).where(Site.state == "active", how == verdict)
    if text:
        # A long text is no prefix of an id, and no name holds it.
        part = text[:64]
        wanted = wanted.where(
            or_(
                Site.id.startswith(part, autoescape=True),
                Site.civil_code.startswith(part, autoescape=True),
                Site.name.contains(part, autoescape=True),
            )
        )
    return session.scalars(wanted).all()


def said(site: Site) -> dict[str, Any]:
    """Return a site as the console and the command show it; no key and no secret is in it."""
    return {
        "id": site.id,
        "name": site.name,
        "civil_code": site.civil_code,
        "site_class": site.site_class,
        "carrier": site.carrier,
        "state": site.state,
        "template": site.template,
        "template_version": site.template_version,
        "own": json.loads(site.own or "{}"),
        "device": site.device,
        "made_by": site.made_by,
        "made_at": site.made_at,
        "approved_by": site.approved_by,
        "revoked_by": site.revoked_by,
        "offered": site.offered,
    }


def _fill(site: Site, facts: Facts) -> None:
    site.name, site.civil_code, site.site_class = facts.name, facts.civil_code, facts.site_class
    site.carrier, site.template, site.template_version = facts.carrier, facts.template, facts.template_version
    site.own = json.dumps(facts.own or {}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _check(session: Session, person: Person, facts: Facts) -> None:
    try:
        Identity.model_validate(
            {"id": facts.id, "name": facts.name, "civil_code": facts.civil_code, "class": facts.site_class}
        )
    except ValidationError as wrong:
        raise RegistryRefused("site_form", field=wrong.errors()[0]["loc"][0]) from None
    if not facts.civil_code.startswith(person.scope):
        raise RegistryRefused("outside_scope", scope=person.scope)
    if len(facts.carrier) > 64 or not facts.carrier.isprintable():
        raise RegistryRefused("site_form", field="carrier")
    own = facts.own or {}
    foreign = [name for name in own if name in _MADE or layers.PARTS.get(name) != "city"]
    if foreign or len(json.dumps(own)) > MAX_OWN_CHARACTERS:
        raise RegistryRefused("site_own", field=foreign[0] if foreign else "own")
    if (facts.template is None) != (facts.template_version is None):
        raise RegistryRefused("site_form", field="template_version")
    if facts.template is not None:
        template = session.get(Template, (facts.template, facts.template_version))
        if template is None:
            raise RegistryRefused("template_unknown", template=facts.template, version=facts.template_version)
        if template.state != "approved":
            raise RegistryRefused("template_not_approved", template=facts.template, version=facts.template_version)
