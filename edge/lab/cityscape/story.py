"""The story: what a city promises its sites, done for real and measured, one sentence a step."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edge.lab.cityscape import internet
from edge.lab.cityscape.desk import DeskRefused
from edge.lab.cityscape.platforms import Platform
from edge.lab.cityscape.report import Report, Row
from edge.lab.cityscape.scene import CONTROL, TEMPLATE, Scene
from edge.lab.cityscape.sites import Site
from edge.lab.street import eventually
from edge.lab.topology import LabBroken

BUILD = Path("build")
#: The promises, in seconds.
BACK, ROTATION_GAP, DARK, UNTOUCHED = 15.0, 2.0, 5.0, 2.0
#: An address of the city where nobody answers.
NOBODY = "10.20.0.99"
#: How long it is looked at whether nothing happens.
QUIET_SECONDS = 20.0


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
        self._kill_concentrator()
        self._bad_policy()
        self._rotate()
        self._revoke()
        self._stop_registry()

    # -- enrolment, and the first pictures -----------------------------------------------------------------------------

    def _enrol(self) -> None:
        with ThreadPoolExecutor() as pool:
            took = list(pool.map(self._enrol_one, self._scene.sites, self._scene.platforms))
        self._row("enrolled", "three boxes enrolled by code and approved: tunnels up, registered", max(took), 180.0)
        for site, platform in zip(self._scene.sites, self._scene.platforms, strict=True):
            asked = time.monotonic()
            first = platform.watch() - asked
            self._say(f"site {site.place.number}: live picture at its platform after {first:.1f} s")
            self._row(
                f"live-{site.place.number}", f"site {site.place.number} is asked for its live picture", first, 10.0
            )

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

    # -- a concentrator dies -------------------------------------------------------------------------------------------

    def _kill_concentrator(self) -> None:
        hub = self._scene.hubs[0]
        self._say(
            f"{hub.hub.host}, through which all three pictures come, is killed: host, WireGuard and agent at once"
        )
        died = time.monotonic()
        hub.kill()
        with ThreadPoolExecutor() as pool:
            back = list(pool.map(self._back_by_the_other, self._scene.sites, self._scene.platforms))
        took = max(back) - died
        self._say(
            f"all three pictures are back, through {self._scene.hubs[1].hub.host}; the last one after {took:.1f} s"
        )
        self._row("concentrator", "a concentrator is killed: pictures back by the other one", took, BACK)
        hub.revive()
        eventually(lambda: len(hub.peers()) == len(self._scene.sites), 60, f"{hub.hub.host} knows its sites again")
        self._say(
            f"{hub.hub.host} is switched on again, and knows its sites from its own disk ({len(hub.peers())} peers)"
        )
        for platform in self._scene.platforms:
            platform.flows()

    def _back_by_the_other(self, site: Site, platform: Platform) -> float:
        """As the viewer at the platform does: ask again as soon as the site is there again."""
        other = site.order("tunnels")[self._scene.hubs[1].hub.plane]
        eventually(lambda: platform.registered_from() == other, 60, f"site {site.place.number} by the other tunnel")
        return platform.watch()

    # -- a bad policy --------------------------------------------------------------------------------------------------

    def _bad_policy(self) -> None:
        scene = self._scene
        version = scene.template({"control": CONTROL | {"address": NOBODY}})
        made = scene.desk.ask("li", "POST", "/api/rollouts", {
            "template": TEMPLATE, "version": version, "reason": "the control moves"})  # fmt: skip
        path = f"/api/rollouts/{made['number']}"
        rings = {one["site"]: one["ring"] for one in made["sites"]}
        first = next(site for site in scene.sites if rings[site.place.id] == 0)
        self._mark()
        began = time.monotonic()
        scene.desk.ask("li", "POST", path, {"word": "start", "reason": "ring by ring"})
        self._say(
            f"a policy is rolled out that names a control where nobody answers; ring 1 is site {first.place.number}"
        )
        eventually(lambda: self._undone(first, made["number"]), 120, "the box undoes it")
        undone = time.monotonic() - began
        self._say(
            f"site {first.place.number}'s box has not heard its city by the new policy, and has put the old one back; {undone:.1f} s"
        )
        said = eventually(lambda: self._halted(path), 60, "the rollout halts")
        halted = time.monotonic() - began
        offered = [one["site"] for one in said["sites"] if one["state"] != "waiting"]
        self._say(
            f"the rollout has halted by itself ({said['why_halted']}); {len(rings) - len(offered)} sites never saw it"
        )
        if offered != [first.place.id]:
            raise LabBroken(f"the policy went to {offered}")
        self._row("bad-policy-undone", "a bad policy is undone by the box itself", undone, 60.0)
        self._row("bad-policy-halted", "and its rollout halts; the other rings never see it", halted, 90.0)
        self._row("bad-policy-pictures", "longest gap in the pictures meanwhile", self._gap(), UNTOUCHED)
        scene.desk.ask("li", "POST", path, {"word": "roll_back", "reason": "wrong address"})

    def _undone(self, site: Site, rollout: int) -> bool:
        change = site.order("status").get("keeper", {}).get("change", {})
        return bool(
            change.get("state") == "steady" and any(one["caller"] == "agent" for one in change.get("failed", ()))
        )

    def _halted(self, path: str) -> dict[str, Any] | None:
        said = self._scene.desk.ask("li", "GET", path)
        return said if said["state"] == "halted" else None

    # -- a key, a revocation, no registry ------------------------------------------------------------------------------

    def _rotate(self) -> None:
        site, platform = self._scene.sites[0], self._scene.platforms[0]
        plane = site.used()
        hub = next(hub for hub in self._scene.hubs if hub.hub.plane == plane)
        before = set(hub.peers())
        platform.mark()
        began = time.monotonic()
        self._scene.desk.ask("system", "POST", f"/api/sites/{site.place.id}/rotate", {"tunnel": plane})
        self._say(f"site 1: the key of {plane}, by which its picture comes right now, is to be exchanged")
        eventually(lambda: set(hub.peers()) != before, 60, "the concentrator has the new key")
        eventually(lambda: self._audited("key.rotated", site), 60, "the exchange is over")
        platform.flows()
        gap = platform.gap()
        self._say(
            f"site 1: box and concentrator have a new key after {time.monotonic() - began:.1f} s; the picture stood for {gap:.1f} s"
        )
        # Without a right picture, that is: what refers to lost packets is spoilt until the next key picture.
        note = f"{platform.spoilt()} pictures spoilt until the next key picture"
        self._row("rotation", "a key is exchanged under a running picture: longest gap", gap, ROTATION_GAP, note)

    def _audited(self, what: str, site: Site) -> bool:
        after = 0
        while lines := self._scene.desk.ask("audit", "GET", f"/api/audit?after={after}")["lines"]:
            if any(line["what"] == what and line["subject"] == f"site:{site.place.id}" for line in lines):
                return True
            after = lines[-1]["sequence"]
        return False

    def _revoke(self) -> None:
        site, platform = self._scene.sites[1], self._scene.platforms[1]
        self._mark()
        platform.flows()
        told = time.monotonic()
        self._scene.desk.ask("security", "POST", f"/api/sites/{site.place.id}/revoke", {"reason": "the box was stolen"})
        time.sleep(DARK + 5.0)
        last = float(platform.judge()["last_at"])
        dark: float | None = max(0.0, last - told)
        if time.monotonic() - last < 2.0:
            dark = None
        self._say(f"site 2 is revoked: its last picture came {last - told:.1f} s later; nothing more since")
        self._row("revoked", "a site is revoked: dark after", dark, DARK)
        self._row("others", "longest gap in the other sites' pictures meanwhile", self._gap(but=1), UNTOUCHED)

    def _stop_registry(self) -> None:
        scene, left = self._scene, (0, 2)
        marks = [scene.sites[at].order("status")["keeper"]["change"]["applied"] for at in left]
        self._mark(but=1)
        scene.registry.stop()
        for hub in scene.hubs:
            hub.restart_agent()
        self._say("the registry is killed: server, signing process, schedule, database; then the concentrators' agents")
        time.sleep(QUIET_SECONDS)
        gap = self._gap(but=1)
        after = [scene.sites[at].order("status")["keeper"]["change"]["applied"] for at in left]
        if marks != after:
            raise LabBroken(f"the sites' configuration moved without a registry: {marks} {after}")
        again = max(self._again(scene.platforms[at]) for at in left)
        self._say(
            f"{QUIET_SECONDS:.0f} s without it: the longest gap was {gap:.1f} s; new views are answered after {again:.1f} s"
        )
        self._row("registry", "the registry is stopped: longest gap in the pictures", gap, UNTOUCHED)
        self._row("registry-view", "and a new view is answered without it", again, 10.0)
        self._uplinks()

    def _uplinks(self) -> None:
        """What the boxes have sent since their first packet, as it was seen at the far ends of their uplinks."""
        judges = self._scene.uplinks
        seen, other = sum(judge.frames for judge in judges), [line for judge in judges for line in judge.violations]
        self._say(
            f"uplinks: {seen} frames of the boxes, all WireGuard to a concentrator, ARP, or TLS to the city's door, but {len(other)}"
        )
        note = "; ".join(other[:3])
        self._report.rows.append(Row("uplinks", "frames on the uplinks of any other kind", len(other), 0, "", note))
        if not all(judge.wireguard and judge.enrolling for judge in judges):
            self._report.faults.append("a judge at an uplink saw nothing")

    def _again(self, platform: Platform) -> float:
        platform.order("stop")
        asked = time.monotonic()
        return platform.watch() - asked

    # -- all pictures --------------------------------------------------------------------------------------------------

    def _mark(self, but: int | None = None) -> None:
        for at, platform in enumerate(self._scene.platforms):
            if at != but:
                platform.mark()

    def _gap(self, but: int | None = None) -> float:
        """Return the longest time without a picture of any site since ``_mark``; wrong pictures are a fault."""
        gaps = []
        for at, platform in enumerate(self._scene.platforms):
            if at != but:
                gaps.append(platform.gap())
                if spoilt := platform.spoilt():
                    self._report.faults.append(f"site {at + 1}: {spoilt} wrong pictures or decode errors")
        return max(gaps)
