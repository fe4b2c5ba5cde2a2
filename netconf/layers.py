"""The two layers of a site: what the owner settles and what the city settles, and how they are laid together. Pure.

Whose a field is stands at the field (``model``); a part of the document belongs to one of the two as a whole. Neither
layer can hold a part of the other's: the city cannot share a camera, the owner cannot name another hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel

from netconf.finding import Finding, finding
from netconf.model import Site

Owner = Literal["city", "owner"]
Layer = Mapping[str, Any]


def _owners(model: type[BaseModel]) -> set[str]:
    found: set[str] = set()
    for field in model.model_fields.values():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "owner" in extra:
            found.add(str(extra["owner"]))
            continue
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= _owners(part)
    return found


def _parts() -> dict[str, Owner]:
    parts: dict[str, Owner] = {}
    for name, field in Site.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "owner" in extra:
            parts[name] = "city" if extra["owner"] == "city" else "owner"
            continue
        owners: set[str] = set()
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                owners |= _owners(part)
        (one,) = owners  # a part of two owners could not be taken apart
        parts[name] = "city" if one == "city" else "owner"
    return parts


#: Part of the document -> whose it is.
PARTS = _parts()


def split(site: Site) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the owner's and the city's layer of a site."""
    whole = site.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _of(whole, "owner"), _of(whole, "city")


def _of(whole: Layer, owner: Owner) -> dict[str, Any]:
    return {name: value for name, value in whole.items() if PARTS[name] == owner}


def foreign(layer: Layer, owner: Owner) -> tuple[Finding, ...]:
    """Return a finding for each part of ``layer`` that is not ``owner``'s to settle."""
    code = "layer_owner_field" if owner == "city" else "layer_city_field"
    return tuple(finding(code, f"/{name}", name=name) for name in layer if PARTS.get(name, owner) != owner)


def changed(before: Layer, after: Layer) -> tuple[str, ...]:
    """Return the names of the parts in which two layers differ."""
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))
