"""The unit files: what systemd itself says of them, that the lab reads what they say, and that what they name is there."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from city.cli import commands
from edge.lab.units import FOLDER, read_unit

UNITS = sorted(path.name for kind in ("service", "timer", "path") for path in FOLDER.glob(f"*.{kind}"))
#: The units of the city's own machines.
CITYS = sorted(path for kind in ("service", "target") for path in FOLDER.glob(f"[rc]*/*.{kind}"))
#: systemd-analyze security, worst that is allowed; docs/processes.md prints the scores.
ONCE = {"proof": 3.0}
WORST = {"keeper": 3.5, "uplink": 2.2, "enrol": 2.0, "prove": 2.7, "ferry": 1.5, "site": 2.9, "city": 2.9}
CITY_WORST = {"signer": 1.0, "registry": 1.8, "schedule": 1.8, "concentrator": 2.3}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units beside programs of the names that they start."""
    root = tmp_path_factory.mktemp("units")
    for name in ("python", "snowgate", "snowgate-closed"):
        (root / name).write_text("#!/bin/sh\n", encoding="ascii")
        (root / name).chmod(0o755)
    for path in (
        *FOLDER.glob("*.service"),
        *FOLDER.glob("*.target"),
        *FOLDER.glob("*.timer"),
        *FOLDER.glob("*.path"),
        *CITYS,
    ):
        text = path.read_text(encoding="utf-8")
        (root / path.name).write_text(re.sub(r"/opt/snowgate[a-z-]*/(bin|share)/", f"{root}/", text), encoding="utf-8")
    return root


def analyze(*words: str, cwd: Path) -> str:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(["systemd-analyze", *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_systemd_has_nothing_to_say_against_the_units(installed: Path) -> None:
    told = analyze(
        "verify",
        *(f"./{name}" for name in UNITS),
        *(f"./{path.name}" for path in CITYS),
        "./snowgate.target",
        cwd=installed,
    )
    assert [line for line in told.splitlines() if "snowgate" in line] == []
    (installed / "broken.service").write_text("[Service]\nExecStart=/no/such/program\nColour=red\n", encoding="ascii")
    assert "Colour" in analyze("verify", "./broken.service", cwd=installed), "the control"


@pytest.mark.parametrize("name", WORST | ONCE | CITY_WORST)
def test_each_unit_is_shut_in_as_far_as_its_work_allows(installed: Path, name: str) -> None:
    told = analyze("security", "--offline=true", f"./snowgate-{name}.service", cwd=installed)
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", told)
    assert found is not None, told
    assert float(found.group(1)) <= (WORST | ONCE | CITY_WORST)[name]


def test_the_lab_reads_users_rights_and_places() -> None:
    keeper, ferry, site = read_unit("keeper"), read_unit("ferry"), read_unit("site")
    assert (keeper.user, keeper.namespace, ferry.user, ferry.namespace) == ("root", "wan", "snowgate-ferry", "ferry")
    assert ferry.capabilities == ()
    assert (site.namespace, site.capabilities) == ("lan", ("CAP_SETUID", "CAP_SETGID", "CAP_KILL"))
    assert read_unit("uplink").ambient == ("CAP_NET_RAW",)
    assert all(read_unit(name).watchdog_seconds > 0 for name in WORST)


def test_no_unit_is_ever_given_up() -> None:
    services = [path for path in CITYS if path.suffix == ".service"]
    assert len(services) == len(CITY_WORST)
    for path in [*(FOLDER / f"snowgate-{name}.service" for name in WORST), *services]:
        text = path.read_text(encoding="utf-8")
        assert "WatchdogSec=" in text
        assert "Restart=always" in text
        assert "StartLimitIntervalSec=0" in text


def said(path: Path, setting: str) -> list[str]:
    """The words of a setting of a unit, of all its lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [word for line in lines if line.startswith(f"{setting}=") for word in shlex.split(line.partition("=")[2])]


def lines(kind: str, name: str) -> list[list[str]]:
    return conf(kind, f"-{name}")


def conf(kind: str, name: str) -> list[list[str]]:
    text = (FOLDER / kind / f"snowgate{name}.conf").read_text(encoding="utf-8")
    return [shlex.split(line) for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("path", [path for path in CITYS if path.suffix == ".service"], ids=lambda path: path.stem)
def test_a_unit_of_the_city_starts_a_command_that_there_is_as_a_user_that_there_is(path: Path) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    commands.add_arguments(parser)
    python, m, module, *words = said(path, "ExecStart")
    assert (python, m, module) == (f"/opt/snowgate-{path.parent.name}/bin/python", "-m", "city.cli")
    args = parser.parse_args(words)
    users = {line[1] for line in lines("sysusers.d", path.parent.name) if line[0] == "u"}
    assert set(said(path, "User")) <= users
    assert set(getattr(args, "asker", [])) <= users
    folders = {line[1]: line for line in lines("tmpfiles.d", path.parent.name) if line[0] == "d"}
    for place in said(path, "ReadWritePaths"):
        _, _, mode, owner, group, _ = folders[place]
        members = {line[1] for line in lines("sysusers.d", path.parent.name) if line[0] == "m" and line[2] == group}
        [user] = said(path, "User")
        assert user == owner or (user in members and mode[-2] == "7"), f"{user} may write in {place}"


def test_the_signing_keys_are_the_signers_alone_and_the_signer_has_no_network() -> None:
    folders = {line[1]: line for line in lines("tmpfiles.d", "registry") if line[0] == "d"}
    assert folders["/var/lib/snowgate-city/signing"][2:5] == ["0700", "snowgate-signer", "snowgate-signer"]
    assert not any(line[0] == "m" and line[2] == "snowgate-signer" for line in lines("sysusers.d", "registry"))
    signer = FOLDER / "registry/snowgate-signer.service"
    assert (said(signer, "PrivateNetwork"), said(signer, "RestrictAddressFamilies")) == (["yes"], ["AF_UNIX"])
    for name in ("registry", "schedule"):
        unit = FOLDER / f"registry/snowgate-{name}.service"
        assert "-/var/lib/snowgate-city/signing" in said(unit, "InaccessiblePaths")
        assert not any(place.endswith("signing") for place in said(unit, "ReadWritePaths"))


@pytest.mark.parametrize("name", ["", "-registry", "-concentrator"])
def test_systemd_makes_the_users_and_the_folders(name: str, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("systemd-sysusers") is None or shutil.which("systemd-tmpfiles") is None:
        pytest.skip("needs root, and systemd's programs")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for tool, more in (("sysusers", ()), ("tmpfiles", ("--create",))):
        file = FOLDER / f"{tool}.d/snowgate{name}.conf"
        done = subprocess.run(
            [f"systemd-{tool}", f"--root={root}", *more, file], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
    users = {line.partition(":")[0] for line in (root / "etc/passwd").read_text(encoding="utf-8").splitlines()}
    assert users == {line[1] for line in conf("sysusers.d", name) if line[0] == "u"}
    for line in conf("tmpfiles.d", name):
        if line[0] == "d":
            assert (root / line[1].lstrip("/")).is_dir()
