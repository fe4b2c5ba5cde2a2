"""The unit files: what systemd itself says of them, and that the lab reads what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.lab.units import FOLDER, read_unit

UNITS = sorted(path.name for kind in ("service", "timer", "path") for path in FOLDER.glob(f"*.{kind}"))
#: systemd-analyze security, worst that is allowed; docs/processes.md prints the scores.
ONCE = {"proof": 3.0}
WORST = {"keeper": 3.5, "uplink": 2.2, "enrol": 2.0, "prove": 2.7, "ferry": 1.5, "site": 2.9, "city": 2.9}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units beside programs of the names that they start."""
    root = tmp_path_factory.mktemp("units")
    for name in ("python", "snowgate", "snowgate-closed"):
        (root / name).write_text("#!/bin/sh\n", encoding="ascii")
        (root / name).chmod(0o755)
    for path in (*FOLDER.glob("*.service"), *FOLDER.glob("*.target"), *FOLDER.glob("*.timer"), *FOLDER.glob("*.path")):
        text = path.read_text(encoding="utf-8")
        (root / path.name).write_text(re.sub(r"/opt/snowgate/(bin|share)/", f"{root}/", text), encoding="utf-8")
    return root


def analyze(*words: str, cwd: Path) -> str:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(["systemd-analyze", *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_systemd_has_nothing_to_say_against_the_units(installed: Path) -> None:
    told = analyze("verify", *(f"./{name}" for name in UNITS), "./snowgate.target", cwd=installed)
    assert [line for line in told.splitlines() if "snowgate" in line] == []
    (installed / "broken.service").write_text("[Service]\nExecStart=/no/such/program\nColour=red\n", encoding="ascii")
    assert "Colour" in analyze("verify", "./broken.service", cwd=installed), "the control"


@pytest.mark.parametrize("name", WORST | ONCE)
def test_each_unit_is_shut_in_as_far_as_its_work_allows(installed: Path, name: str) -> None:
    told = analyze("security", "--offline=true", f"./snowgate-{name}.service", cwd=installed)
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", told)
    assert found is not None, told
    assert float(found.group(1)) <= (WORST | ONCE)[name]


def test_the_lab_reads_users_rights_and_places() -> None:
    keeper, ferry, site = read_unit("keeper"), read_unit("ferry"), read_unit("site")
    assert (keeper.user, keeper.namespace, ferry.user, ferry.namespace) == ("root", "wan", "snowgate-ferry", "ferry")
    assert ferry.capabilities == ()
    assert (site.namespace, site.capabilities) == ("lan", ("CAP_SETUID", "CAP_SETGID", "CAP_KILL"))
    assert read_unit("uplink").ambient == ("CAP_NET_RAW",)
    assert all(read_unit(name).watchdog_seconds > 0 for name in WORST)


def test_no_unit_is_ever_given_up() -> None:
    for name in WORST:
        text = (FOLDER / f"snowgate-{name}.service").read_text(encoding="utf-8")
        assert "Restart=always" in text
        assert "StartLimitIntervalSec=0" in text
