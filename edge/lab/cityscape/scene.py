"""Everything that the story is played with: built, started, and ended again."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.lab.capture import Uplink
from edge.lab.cityscape import internet
from edge.lab.cityscape.concentrators import Concentrator
from edge.lab.cityscape.desk import Desk
from edge.lab.cityscape.internet import (
    CITY_NETWORK,
    HUB_PORT,
    HUBS,
    REGISTRY_INNER,
    REGISTRY_PORT,
    REGISTRY_PUBLIC,
    SITES,
    Place,
)
from edge.lab.cityscape.platforms import Platform
from edge.lab.cityscape.registry import Registry
from edge.lab.cityscape.sites import Site
from edge.lab.programs import Programs

#: What all sites of the template have from the city. A city of two thousand sites would let them report once a minute.
CONTROL = {"address": REGISTRY_INNER, "port": REGISTRY_PORT, "interval_seconds": 2, "confirm_seconds": 20}
TEMPLATE = "street"


@dataclass(slots=True)
class Scene:
    """Leave with ``close``."""

    logs: Path
    running: Programs = field(default_factory=lambda: Programs(Path("/run")))
    hubs: list[Concentrator] = field(default_factory=list)
    platforms: list[Platform] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    uplinks: list[Uplink] = field(default_factory=list)
    registry: Registry = field(init=False)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.registry = Registry(self.running, self.logs)

    def build(self) -> None:
        """Lay the cables."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for old in self.logs.rglob("*.log"):
            old.unlink()
        internet.build()
        self.running.start()

    def found_city(self) -> None:
        """Start the registry and its persons, two concentrators, a template that two persons have approved."""
        self.desk = desk = self.registry.start()
        desk.add_person("security", "li", "operator")
        desk.add_person("security", "wang", "operator")
        self.hubs = [Concentrator(hub, self.running, self.logs) for hub in HUBS]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda hub: hub.join(self.registry), self.hubs))
        self.template({"control": CONTROL})
        self.platforms = [Platform(Place(number), self.running, self.logs) for number in SITES]
        for platform in self.platforms:
            platform.introduce(desk)

    def template(self, body: dict[str, Any]) -> int:
        """Have a version of the template made by one person and approved by another; return its number."""
        made = self.desk.ask("system", "POST", "/api/templates", {"name": TEMPLATE, "body": body})
        subject = f"{TEMPLATE}@{made['version']}"
        asked = self.desk.ask("system", "POST", "/api/approvals",
                              {"action": "template", "subject": subject, "reason": "make demo-city"})  # fmt: skip
        self.desk.ask("security", "POST", f"/api/approvals/{asked['number']}", {"yes": True})
        return int(made["version"])

    def open_sites(self) -> None:
        """Start the three sites, each with a box that belongs to nobody yet and a judge at the far end of its uplink."""
        self.sites = [Site(Place(number), self.logs) for number in SITES]
        with ThreadPoolExecutor() as pool:
            self.uplinks = list(pool.map(_open, self.sites))

    def add_site(self, site: Site) -> str:
        """Have an operator add a site, and return the bundle that an installer carries to it."""
        place = site.place
        platform = {"id": place.platform, "domain": "3402000000", "address": place.platform_address, "edition": 2022,
                    "media_networks": [CITY_NETWORK], "keepalive_seconds": 10, "rights": ["live"]}  # fmt: skip
        self.desk.ask("li", "POST", "/api/sites", {
            "id": place.id, "name": f"示范小区{place.number}", "civil_code": "340200", "template": TEMPLATE,
            "template_version": 1, "own": {"platform": [platform]},
        })  # fmt: skip
        bundle: str = self.desk.ask("li", "POST", f"/api/sites/{place.id}/claim", {})["bundle"]
        return bundle

    def waiting(self, site: Site) -> str:
        """Return the six digits that the console shows of a site's box, "" while it has not come."""
        waits = self.desk.ask("wang", "GET", "/api/pending")["pending"]
        return next((str(one["code"]) for one in waits if one["site"] == site.place.id), "")

    def close(self) -> None:
        """End everything; the namespaces go with the process that holds them."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda site: site.close(), self.sites))
        for judge in self.uplinks:
            judge.close()
        self.running.close()
        with contextlib.suppress(OSError):
            self.registry.stop(())


def _open(site: Site) -> Uplink:
    """Open a site; whatever its box sends from its first packet on is judged."""
    judge = Uplink(
        (HUBS[0].public, HUB_PORT), hubs=frozenset({(HUBS[1].public, HUB_PORT)}),
        enrolment=(REGISTRY_PUBLIC, REGISTRY_PORT),
    )  # fmt: skip
    site.open(lambda: judge.open("internet", site.link, bound=True))
    return judge
