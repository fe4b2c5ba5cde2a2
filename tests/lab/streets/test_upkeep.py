"""The box kept up by root: doctor, backup, reset, restore, and the machine given back. In a street of its own.

The order of the tests is the order of a box's life; the last one takes it apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from edge.lab import topology
from edge.lab.orders import order
from edge.lab.street import RUN, SECRETS, STATE, Street, eventually
from edge.lab.units import FOLDER
from tests.conftest import ORDERS, alive

UNITS = ("keeper", "uplink", "enrol", "ferry", "supervisor-site", "supervisor-city")
PHRASE = RUN / "phrase"
BACKUP = RUN / "backup"


def snowgate(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def doctor() -> list[str]:
    return [each["code"] for each in json.loads(snowgate("doctor", "--json").stdout)]


def halt(street: Street) -> None:
    pids = [street.pid(name) for name in ("siteside", "webui", "cityside", "agent")]
    for name in UNITS:
        street.stop_program(name)
    for pid in pids:
        eventually(lambda pid=pid: not alive(pid), 20, "the end of a supervised program")


def go(street: Street) -> None:
    for name in UNITS:
        street.resume_program(name)


def picture(street: Street) -> None:
    eventually(lambda: street.said("ferry").get("sides") == ["city", "site"], 60, "both sides")
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 60, "the recorder")
    # The city knows the site from before: only this one's own word counts.
    eventually(lambda: street.said("cityside").get("registered"), 60, "the registration")
    found: dict[str, Any] = eventually(
        lambda: {c: f for c, f in order(ORDERS, "catalog")["channels"].items() if f[1] == "ON"}, 60, "a channel"
    )
    order(ORDERS, f"play {next(iter(found))}")
    eventually(lambda: order(ORDERS, "facts")["judge"].get("right", 0) > 10, 40, "pictures")
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")


def test_a_well_street_has_nothing_wrong_and_a_stopped_program_is_named(street: Street, channel: str) -> None:
    eventually(lambda: doctor() == [], 30, "nothing wrong")
    done = snowgate("doctor")
    assert (done.returncode, done.stdout) == (0, "Everything is well.\n")
    street.stop_program("webui")
    eventually(lambda: doctor() == ["program_not_running"], 20, "the page's program")
    assert "webui" in snowgate("doctor").stdout
    street.resume_program("webui")
    eventually(lambda: doctor() == [], 30, "nothing wrong again")


def test_reset_and_restore_bring_the_picture_back_and_old_city_layers_stay_refused(street: Street) -> None:
    picture(street)
    PHRASE.write_text("a phrase of some words\n", encoding="utf-8")
    assert snowgate("backup", str(BACKUP), f"--passphrase-file={PHRASE}").returncode == 0
    assert street.site is not None
    site = street.site.site.id
    running = snowgate("factory-reset", f"--yes={site}")
    assert "(box_runs)" in running.stderr
    receipts = {path.name: path.read_bytes()[:200] for path in (STATE / "receipts").iterdir()}
    halt(street)
    assert snowgate("factory-reset", f"--yes={site}").returncode == 0
    go(street)
    eventually(lambda: "nothing_confirmed" in doctor(), 40, "an empty box")
    assert {path.name: path.read_bytes()[:200] for path in (STATE / "receipts").iterdir()} == receipts
    rules = topology.inside("lan", "nft", "list", "ruleset")
    assert "closed" in subprocess.run(rules, capture_output=True, text=True, check=True).stdout
    halt(street)
    done = snowgate("restore", str(BACKUP), f"--passphrase-file={PHRASE}")
    assert done.returncode == 0, done.stderr
    assert "Everything is back." in done.stdout
    go(street)
    picture(street)
    eventually(lambda: doctor() == [], 60, "nothing wrong")
    assert snowgate("receipts", "verify").returncode == 0, "one chain, before and after"


def test_the_bundle_of_a_running_box_holds_none_of_its_secrets(street: Street) -> None:
    path = RUN / "support.tar.gz"
    assert snowgate("support", str(path), f"--logs={street.logs.resolve()}").returncode == 0
    listed = subprocess.run(["tar", "-xzOf", str(path)], capture_output=True, check=True).stdout
    assert b"keeper_ready" in listed
    hidden = [p.read_bytes().strip() for p in SECRETS.rglob("*") if p.is_file() and p.suffix in (".password", ".key")]
    assert len(hidden) >= 4
    assert not [secret for secret in hidden if secret in listed]


def test_uninstalling_gives_the_ports_back(street: Street) -> None:
    """``lan0`` is in the box's first namespace again, and nothing of ours is left in it."""
    halt(street)
    if street.runs("wg-a"):
        street.stop_program("wg-a")  # stands for the kernel's WireGuard, which no process makes again

    def links(namespace: str) -> str:
        return subprocess.run(["ip", "-n", namespace, "-o", "link"], capture_output=True, text=True, check=False).stdout

    assert "lan0" in links("lan")
    assert "lan0" not in links("wan")
    done = subprocess.run(
        topology.inside("wan", str(FOLDER / "snowgate-release")), capture_output=True, text=True, check=True
    )
    assert "lan0 is back" in done.stdout
    assert "lan0" in links("wan")
    assert "wg-a" not in links("wan")
    assert not Path("/run/netns/lan").exists()
    assert not Path("/run/netns/vpn").exists()
    rules = topology.inside("wan", "nft", "list", "ruleset")
    assert subprocess.run(rules, capture_output=True, text=True, check=True).stdout.strip() == ""
    again = subprocess.run(
        topology.inside("wan", str(FOLDER / "snowgate-release")), capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, "once more does no harm"
