"""What may be proposed, as the document of a revision: both layers, each from whom it belongs to. Pure."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from netconf import layers
from netconf.check import read_parsed, read_site
from netconf.envelope import CityLayer
from netconf.finding import Finding, finding
from netconf.model import Site
from netconf.revision import ChangeRefused


class Layers(NamedTuple):
    """A revision taken apart; ``mark`` is (epoch, revision) of the city's signed layer, (0, 0) when it is not signed.

    ``sealed`` are the secrets in force with it, sealed to the device's key; "" when the city gave none.
    """

    owner: dict[str, Any]
    city: dict[str, Any]
    mark: tuple[int, int]
    sealed: str = ""

    def document(self) -> bytes:
        """Return the octets that are journalled."""
        return json.dumps(self._asdict(), ensure_ascii=False, sort_keys=True, indent=1).encode("utf-8")


def layers_of(document: bytes | None) -> Layers:
    """Return what a document was made of; empty layers for None."""
    if document is None:
        return Layers({}, {}, (0, 0))
    facts = json.loads(document)
    epoch, revision = facts["mark"]
    return Layers(facts["owner"], facts["city"], (epoch, revision), str(facts.get("sealed", "")))


def site_of(document: bytes) -> tuple[Site | None, tuple[Finding, ...]]:
    """Return the site that both layers make, or what is wrong with it."""
    try:
        found = layers_of(document)
    except (ValueError, KeyError, TypeError):
        return None, (finding("site_damaged"),)
    return read_parsed({**found.owner, **found.city})


def whole(text: str, confirmed: Layers) -> bytes:
    """Return the document of a site file of root's: both layers, but the city's only as long as it was never signed.

    A file without the city's part leaves a signed one as it is.

    Raises:
        ChangeRefused: ``site_refused`` with the findings.
    """
    site, found = read_site(text)
    if site is None:
        raise ChangeRefused("site_refused", found)
    owner, city = layers.split(site)
    if confirmed.mark != (0, 0):
        city = city if site.enrolled else confirmed.city
        moved = layers.changed(confirmed.city, city)
        if moved:
            raise ChangeRefused(
                "site_refused", tuple(finding("layer_city_field", f"/{name}", name=name) for name in moved)
            )
    return Layers(owner, city, confirmed.mark, confirmed.sealed).document()


def of_owner(text: str, confirmed: Layers) -> bytes:
    """Return the document of whole parts of the owner's layer (JSON), laid over what is confirmed.

    Raises:
        ChangeRefused: as for ``whole``.
    """
    try:
        layer = json.loads(text)
    except (ValueError, RecursionError):
        layer = None
    if not isinstance(layer, dict):
        raise ChangeRefused("site_refused", (finding("field_kind", expected="{…}"),))
    found = layers.foreign(layer, "owner")
    if found:
        raise ChangeRefused("site_refused", found)
    return confirmed._replace(owner={**confirmed.owner, **layer}).document()


def of_city(layer: CityLayer, confirmed: Layers) -> bytes:
    """Return the document of a signed city layer over the owner's confirmed one.

    Secrets that come with it replace those before as a whole; without any, those before stay in force.

    Raises:
        ChangeRefused: as for ``whole``. A layer that says nothing of the site is refused, too: nobody can un-enrol a box.
    """
    found = layers.foreign(layer.layer, "city")
    if "site" not in layer.layer:
        found = (*found, finding("city_part_missing", "/site", name="site"))
    if found:
        raise ChangeRefused("site_refused", found)
    return Layers(confirmed.owner, layer.layer, layer.mark, layer.sealed or confirmed.sealed).document()
