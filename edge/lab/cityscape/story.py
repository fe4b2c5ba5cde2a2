"""The story: what a city promises its sites, done for real and measured, one sentence a step."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge.lab.cityscape import internet
from edge.lab.cityscape.desk import DeskRefused
from edge.lab.cityscape.platforms import Platform
from edge.lab.cityscape.report import Report, Row
from edge.lab.cityscape.scene import Scene
from edge.lab.cityscape.sites import Site
from edge.lab.street import eventually
from edge.lab.topology import LabBroken

BUILD = Path("build")


class Story:
    """One run, inside the private namespaces."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._scene = Scene(BUILD / "lab" / "city")
        self._report = Report()

    def run(self) -> int:
        """Play it, and return the exit status."""
        print(internet.DRAWING)
        try:
            self._play()
        except (TimeoutError, LabBroken, DeskRefused, OSError, subprocess.SubprocessError) as wrong:
            self._report.faults.append(str(wrong))
            self._say(f"stopped: {wrong}; the programs' logs are in {BUILD}/lab/city")
        except KeyboardInterrupt:
            self._report.faults.append("interrupted before the end")
            self._say("interrupted")
        finally:
            self._scene.close()
        self._report.write(BUILD / "demo-city.json")
        print(f"\n{self._report.table()}")
        for fault in self._report.faults:
            print(f"NOT GOOD: {fault}")
        print(f"details: {BUILD}/demo-city.json")
        return int(not self._report.good)

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", flush=True)

    def _row(self, name: str, promise: str, measured: float | None, limit: float | None, note: str = "") -> None:
        self._report.rows.append(Row(name, promise, measured, limit, "s", note))

    def _play(self) -> None:
        scene = self._scene
        scene.build()
        with ThreadPoolExecutor() as pool:
            sites = pool.submit(scene.open_sites)
            scene.found_city()
            self._say("the city's registry answers (TLS 1.3, PostgreSQL); its two concentrators have joined")
            sites.result()
        self._say("three boxes stand at their sites, installed and unknown to the city")
        self._enrol()

    # -- enrolment, and the first pictures -----------------------------------------------------------------------------

    def _enrol(self) -> None:
        with ThreadPoolExecutor() as pool:
            took = list(pool.map(self._enrol_one, self._scene.sites, self._scene.platforms))
        self._row("enrolled", "three boxes enrolled by code and approved: tunnels up, registered", max(took), 180.0)
        for site, platform in zip(self._scene.sites, self._scene.platforms, strict=True):
            asked = time.monotonic()
            first = platform.watch() - asked
            self._say(f"site {site.place.number}: live picture at its platform after {first:.1f} s")
            self._row(f"live-{site.place.number}", f"site {site.place.number} is asked for its live picture", first, 10.0)

    def _enrol_one(self, site: Site, platform: Platform) -> float:
        scene, number, began = self._scene, site.place.number, time.monotonic()
        bundle = scene.add_site(site)
        shown = str(site.order("enrol", within=60, bundle=bundle)).splitlines()[0].rpartition(" ")[2]
        code = eventually(lambda: scene.waiting(site), 120, f"site {number} asks the city")
        if code != shown:
            raise LabBroken(f"site {number} shows {shown}, the console {code}")
        self._say(f"site {number}: box and console both show {code}; another person than the one who added it approves")
        scene.desk.ask("wang", "POST", f"/api/sites/{site.place.id}/approve", {"code": code})
        tunnels = eventually(lambda: site.order("tunnels"), 120, f"site {number} has its tunnels")
        platform.start(scene.desk, tunnels)
        eventually(platform.registered_from, 120, f"site {number} is registered with its platform")
        took = time.monotonic() - began
        self._say(f"site {number}: enrolled, its tunnels are up, registered with its platform; {took:.1f} s in all")
        return took
