"""``make demo``: the main job, live, and then everything that must not pass, twice: with the rules and without them.

Exit status 0 only if the picture ran (ten right pictures a second, none wrong, no decode error), every probe's
control arrived in the same run, and nothing leaked.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.lab import lacks, private, topology
from edge.lab.capture import Capture, Uplink
from edge.lab.naive import NaiveRelay
from edge.lab.orders import order
from edge.lab.probes import (
    NO_CALL_PORT,
    PROBES,
    SPOOF_PROBE,
    Captures,
    LiveCall,
    ProbeResult,
    run_insiders,
    run_probe,
)
from edge.lab.street import RUN, STATE, Street, eventually
from edge.receipts import commands, verify_receipts
from netconf import words

BUILD = Path("build")
ORDERS = RUN / "city.sock"
#: Time for both sides to try and fail while nothing but WireGuard may leave.
TUNNEL_DOWN_SECONDS = 3.0
LEAST_PICTURES_PER_SECOND = 10.0


@dataclass(slots=True)
class Report:
    """What the run saw; becomes build/demo.json."""

    handshake: bool = False
    channels: list[str] = field(default_factory=list)
    frames_decoded: int = 0
    frames_wrong: int = 0
    decode_errors: int = 0
    first_picture_ms: int = 0
    pictures_per_second: float = 0.0
    uplink_frames: int = 0
    uplink_violations: list[str] = field(default_factory=list)
    probe_results: list[ProbeResult] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def leaked(self) -> int:
        return sum(result.arrived for result in self.probe_results if result.leaked) + len(self.uplink_violations)

    def judge(self) -> list[str]:
        """Return why the run is not good; empty when it is."""
        wrong = list(self.faults)
        if self.pictures_per_second < LEAST_PICTURES_PER_SECOND:
            wrong.append(f"only {self.pictures_per_second:.1f} right pictures a second")
        if self.frames_wrong or self.decode_errors:
            wrong.append(f"{self.frames_wrong} wrong pictures, {self.decode_errors} decode errors")
        wrong += [f"{r.id}: the control did not arrive" for r in self.probe_results if not r.control_arrived]
        wrong += [f"{r.id} leaked in round {r.round}" for r in self.probe_results if r.leaked]
        only_nft = [r for r in self.probe_results if r.round == 2 and not r.holds_without_nft]
        if only_nft and not any(r.arrived for r in only_nft):
            wrong.append("nothing arrived without rules that only rules hold: were they really away?")
        return wrong + [f"uplink: {line}" for line in self.uplink_violations]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        facts: dict[str, Any] = {
            "handshake": self.handshake,
            "channels": self.channels,
            "frames_decoded": self.frames_decoded,
            "frames_wrong": self.frames_wrong,
            "decode_errors": self.decode_errors,
            "leaked": self.leaked,
            "pictures_per_second": round(self.pictures_per_second, 1),
            "first_picture_ms": self.first_picture_ms,
            "uplink_frames": self.uplink_frames,
            "uplink_violations": self.uplink_violations,
            "faults": self.judge(),
            "probe_results": [result.json() for result in self.probe_results],
        }
        path.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


class Demo:
    """One run, inside the private namespaces."""

    def __init__(self, seconds: float, leak: bool) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self._leak = leak
        self._street = Street(BUILD / "lab" / "log", proves=True)
        self._report = Report()
        self._uplink = Uplink((topology.CITY_PUBLIC, topology.HUB_PORT))

    def run(self) -> int:
        print(topology.DRAWING)
        try:
            self._main_job()
        except (TimeoutError, topology.LabBroken, OSError, subprocess.SubprocessError) as wrong:
            self._report.faults.append(str(wrong))
            self._say(f"stopped: {wrong}; the programs' logs are in {BUILD}/lab/log")
        except KeyboardInterrupt:
            self._report.faults.append("interrupted before the end")
            self._say("interrupted")
        finally:
            self._street.close()
        self._report.write(BUILD / "demo.json")
        return self._verdict()

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", flush=True)

    def _main_job(self) -> None:
        self._street.build()
        self._uplink.open("internet", "up0")
        self._street.start()
        self._say("the box is configured; its three namespaces have their rules; the city's hub is away")
        time.sleep(TUNNEL_DOWN_SECONDS)
        self._say(
            f"uplink with the tunnel down: {self._uplink.frames} frames, {self._uplink.wireguard} of them WireGuard"
        )
        self._street.start_hub()
        eventually(self._handshake, 30, "the tunnel's handshake")
        self._report.handshake = True
        self._say("tunnel up: WireGuard handshake with the city's hub")
        eventually(lambda: order(ORDERS, "facts")["online"], 30, "the site's registration with the city")
        self._say("the site is registered with the city as one platform")
        channels = eventually(self._catalog, 30, "the catalog")
        self._report.channels = sorted(channels)
        for code, (name, status) in channels.items():
            self._say(f"the city sees channel {code} {name} {status} (the recorder has two; one is not shared)")
        self._watch(next(iter(channels)))
        self._keep_receipts()

    def _handshake(self) -> bool:
        tunnels = self._street.status().get("keeper", {}).get("tunnels", {})
        return any(t.get("handshake_age_seconds") is not None for t in tunnels.values())

    def _catalog(self) -> dict[str, list[str]]:
        time.sleep(0.3)
        found: dict[str, list[str]] = order(ORDERS, "catalog")["channels"]
        return found

    # -- the picture ---------------------------------------------------------------------------------------------

    def _watch(self, channel: str) -> None:
        order(ORDERS, f"play {channel}")
        facts = eventually(self._pictures(1), 20, "the first picture at the city")
        self._report.first_picture_ms = round(1000 * (facts["judge"]["first_at"] - facts["asked_at"]))
        self._say(f"live view: first picture decoded after {self._report.first_picture_ms} ms")
        eventually(self._pictures(50), 20, "fifty pictures at the city")
        self._tell_picture()
        captures = Captures()
        relay = None
        try:
            call = self._live_call()
            relay = NaiveRelay((5060, call.lan_port, NO_CALL_PORT), call.city_local_port)
            self._say("listed beforehand as held by nft alone: " + ", ".join(
                p.id for p in (*PROBES, SPOOF_PROBE) if not p.holds_without_nft))  # fmt: skip
            self._round(1, captures, call)
            self._stop_judging_uplink()
            self._without_rules(captures, call)
            self._wait_out()
        finally:
            captures.close()
            if relay is not None:
                relay.close()

    def _pictures(self, count: int) -> Callable[[], dict[str, Any] | None]:
        def read() -> dict[str, Any] | None:
            facts = order(ORDERS, "facts")
            return facts if facts["judge"].get("right", 0) >= count else None

        return read

    def _tell_picture(self) -> None:
        judge = self._take_verdict()
        self._say(f"pictures: {judge['right']} right, {judge['wrong']} wrong, last number {judge['last']}, "
                  f"{self._report.pictures_per_second:.1f} a second")  # fmt: skip

    def _take_verdict(self) -> dict[str, Any]:
        judge: dict[str, Any] = order(ORDERS, "facts")["judge"]
        self._report.frames_decoded, self._report.frames_wrong = judge["right"], judge["wrong"]
        self._report.decode_errors = judge["error_count"]
        elapsed = time.monotonic() - judge["first_at"]
        self._report.pictures_per_second = judge["right"] / max(elapsed, 1.0)
        return judge

    def _live_call(self) -> LiveCall:
        (view,) = self._street.said("ferry")["views"].values()
        tap = Capture("nvr", outgoing=True)
        source, sink = view["source"], view["sink"]
        try:
            head = eventually(lambda: tap.last_rtp(view["lan_port"]), 5, "a packet of the recorder")
        finally:
            tap.close()
        sequence, timestamp, ssrc = head
        return LiveCall(view["lan_port"], source[1], ssrc, sink[1][1], sink[0][1], sequence, timestamp)

    # -- the rounds ----------------------------------------------------------------------------------------------

    def _round(self, number: int, captures: Captures, call: LiveCall) -> None:
        self._say(f"round {number}: {'rules loaded' if number == 1 else 'every rule flushed'}; the picture goes on")
        results = [run_probe(probe, captures, self._fresh(call), number) for probe in PROBES]
        results += run_insiders(captures, number)
        self._tell_picture()
        results.append(run_probe(SPOOF_PROBE, captures, self._fresh(call), number))
        self._report.probe_results += results
        passed = [result.id for result in results if result.arrived]
        self._say(f"round {number}: {len(results)} probes, arrived: {', '.join(passed) or 'none'}")

    def _fresh(self, call: LiveCall) -> LiveCall:
        """The same call with the recorder's present numbers: a guess that is right is the worst case."""
        return call if not self._street.said("ferry").get("views") else self._live_call()

    def _stop_judging_uplink(self) -> None:
        self._uplink.close()
        self._report.uplink_frames = self._uplink.frames
        self._report.uplink_violations = list(self._uplink.violations)
        self._say(f"uplink: {self._uplink.frames} frames, {self._uplink.wireguard} of them WireGuard to the hub, "
                  f"{len(self._uplink.violations)} of any other kind but ARP")  # fmt: skip

    def _without_rules(self, captures: Captures, call: LiveCall) -> None:
        """The second round. The keeper is stopped meanwhile: it would put the rules back within two seconds."""
        with self._street.held("keeper") if not self._leak else contextlib.nullcontext():
            self._flush()
            self._round(2, captures, call)
        self._say("the keeper goes on, and puts the rules back")

    def _flush(self) -> None:
        if self._leak:
            self._plant_leak()
        for namespace in ("lan", "vpn", "wan"):
            subprocess.run(topology.inside(namespace, "nft", "flush", "ruleset"), check=True, timeout=20)
        self._say("nft flush ruleset, in all three namespaces")

    def _plant_leak(self) -> None:
        """DEMO_LEAK=1: join ``lan`` and ``vpn`` by a cable and let them forward; the run must turn red."""
        self._say("DEMO_LEAK: a cable is laid between lan and vpn, and forwarding is switched on")
        self._street.stop_program("keeper")
        topology.ip("link", "add", "x0", "netns", "lan", "type", "veth", "peer", "name", "x1", "netns", "vpn")
        for namespace, link, address, there in (
            ("lan", "x0", "10.9.9.1/30", "100.64.0.0/16 via 10.9.9.2"),
            ("vpn", "x1", "10.9.9.2/30", "192.168.1.0/24 via 10.9.9.1"),
        ):
            topology.ip("-n", namespace, "addr", "add", address, "dev", link)
            topology.ip("-n", namespace, "link", "set", link, "up")
            topology.ip("-n", namespace, "route", "add", *there.split())
            topology.sysctl(namespace, "net/ipv4/ip_forward", "1")
            for conf in ("all", link):
                topology.sysctl(namespace, f"net/ipv4/conf/{conf}/rp_filter", "0")

    def _wait_out(self) -> None:
        if self._seconds == 0:
            self._say("DEMO_SECONDS=0: staying up until Ctrl-C")
        try:
            while self._seconds == 0 or time.monotonic() - self._began < self._seconds:
                time.sleep(1)
        except KeyboardInterrupt:
            self._say("leaving")

    def _keep_receipts(self) -> None:
        """End the view, copy the receipts out of the lab, and have the verifier, as a file by itself, judge the copy."""
        order(ORDERS, "stop")
        eventually(lambda: not self._street.said("ferry").get("views"), 20, "the view's end")
        head = self._street.said("ferry")["receipts"]
        path = BUILD / "receipts.jsonl"
        path.write_bytes(b"".join(file.read_bytes() for file in commands.files(STATE)))
        judge = [sys.executable, "-I", verify_receipts.__file__, f"--head={head['sequence']}:{head['hash']}", "--whole"]
        done = subprocess.run([*judge, str(path)], capture_output=True, text=True, timeout=60, check=False)
        self._say(f"receipts of every view, {path}: {done.stdout.strip()}")
        if done.returncode:
            self._report.faults.append("the receipts do not verify")

    # -- the end -------------------------------------------------------------------------------------------------

    def _verdict(self) -> int:
        report = self._report
        print(f"\n{'probe':<28}{'round':>6}{'sent':>6}{'control':>9}{'arrived':>9}  wall")
        for result in report.probe_results:
            mark = "" if not result.arrived else ("  LEAK" if result.leaked else "  (as listed)")
            print(f"{result.id:<28}{result.round:>6}{result.sent:>6}{result.control_arrived:>9}"
                  f"{result.arrived:>9}  {result.wall}{mark}")  # fmt: skip
        print(f"\nhandshake {report.handshake}   channels {len(report.channels)}   "
              f"pictures {report.frames_decoded} right, {report.frames_wrong} wrong, {report.decode_errors} decode errors, "
              f"{report.pictures_per_second:.1f}/s   leaked {report.leaked}")  # fmt: skip
        wrong = report.judge()
        for line in wrong:
            print(f"NOT GOOD: {line}")
        print(f"details: {BUILD}/demo.json" + ("" if wrong else "   The picture passes; nothing else does."))
        return int(bool(wrong))


def main() -> int:
    """Say what this machine lacks, else run inside private namespaces."""
    if not private.is_inside():
        found = lacks.lacks()
        for line in words.report(found):
            print(line, file=sys.stderr)
        return 1 if found else private.run_inside("edge.lab.demo")
    seconds = float(os.environ.get("DEMO_SECONDS", "60"))
    return Demo(seconds, os.environ.get("DEMO_LEAK") == "1").run()


if __name__ == "__main__":
    sys.exit(main())
