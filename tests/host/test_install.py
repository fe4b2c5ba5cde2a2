"""``make install`` into an empty root: everything that a unit names is there, it runs, and nothing stays behind."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(target: str, destination: Path) -> None:
    done = subprocess.run(
        ["make", target, f"DESTDIR={destination}"], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module", params=["city", "concentrator"])
def citys(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The root of a city's machine, and where in it its programs are."""
    what, destination = str(request.param), tmp_path_factory.mktemp(f"root-{request.param}")
    make(f"install-{what}", destination)
    yield destination, destination / f"opt/snowgate-{'registry' if what == 'city' else what}"
    make(f"uninstall-{what}", destination)
    assert [path for path in destination.rglob("*") if not path.is_dir()] == [], "nothing stays behind"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    destination = tmp_path_factory.mktemp("root")
    make("install", destination)
    yield destination
    make("uninstall", destination)
    assert [path for path in destination.rglob("*") if not path.is_dir()] == [], "nothing stays behind"


def test_every_path_that_a_unit_or_a_script_names_is_there(installed: Path) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (installed / "etc/systemd/system").iterdir()]
    texts += [(installed / "opt/snowgate/share" / name).read_text(encoding="utf-8") for name in ("snowgate-closed",)]
    named = {path for text in texts for path in re.findall(r"/opt/snowgate/[\w./-]+", text)}
    assert len(named) >= 6
    assert [path for path in sorted(named) if not (installed / path.lstrip("/")).exists()] == []


def test_what_was_installed_runs_without_the_checkout(installed: Path) -> None:
    python = installed / "opt/snowgate/bin/python"
    site = ROOT / "edge/lab/site.toml"
    done = subprocess.run(
        [python, "-m", "edge.cli", "check", site], cwd="/", capture_output=True, text=True, check=False
    )
    assert "The site file is good." in done.stdout, done.stderr
    code = "import edge.keeper.process, edge.watchdog.process, webui.process, edge.cli as c; print(c.__file__)"
    done = subprocess.run([python, "-c", code], cwd="/", capture_output=True, text=True, check=False)
    assert done.stdout.startswith(str(installed)), done.stderr
    static = installed / "opt/snowgate/lib"
    assert list(static.rglob("webui/static/vendor/*.js")), "the page's own files came along"


def test_the_box_installs_no_tools_of_ours(installed: Path) -> None:
    names = {path.name.split("-")[0].lower() for path in (installed / "opt/snowgate/lib").rglob("*.dist-info")}
    assert {"supervisor", "flask"} <= names
    assert not {"pytest", "mypy", "ruff", "playwright", "hypothesis"} & names


def test_a_citys_machine_has_every_path_that_its_units_name_and_none_of_the_boxs(citys: tuple[Path, Path]) -> None:
    root, programs = citys
    units = list((root / "etc/systemd/system").iterdir())
    named = {path for unit in units for path in re.findall(r"/opt/[\w./-]+", unit.read_text(encoding="utf-8"))}
    assert named == {"/" + str((programs / "bin/python").relative_to(root))}
    assert [path for path in named if not (root / path.lstrip("/")).exists()] == []
    assert all(path.name.startswith(programs.name) for path in (root / "etc").rglob("*.conf"))
    assert "snowgate-keeper.service" not in {unit.name for unit in units}


def test_a_citys_programs_run_without_the_checkout(citys: tuple[Path, Path], tmp_path: Path) -> None:
    _, programs = citys
    python = programs / "bin/python"
    concentrator = programs.name == "snowgate-concentrator"
    code = "import city.concentrator.process as m" if concentrator else "import city.cli.serving, city.console.app as m"
    done = subprocess.run(
        [python, "-c", f"{code}; print(m.__file__)"], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith(str(programs)), done.stderr
    # The command's own Python stands where it will be; here it is asked with the one that stands in the new root.
    command = (programs / "bin/snowgate").read_text(encoding="ascii").replace("/opt/" + programs.name, str(programs))
    (tmp_path / "snowgate").write_text(command, encoding="ascii")
    asked = ["sh", tmp_path / "snowgate", "city", "--folder", tmp_path / "none", "pending"]
    done = subprocess.run(asked, cwd="/", capture_output=True, text=True, check=False)
    assert ("city_not_installed" if concentrator else "city_not_made") in done.stderr, done.stderr
    names = {path.name.split("-")[0].lower() for path in (programs / "lib").rglob("*.dist-info")}
    assert "cryptography" in names
    assert not {"pytest", "mypy", "supervisor", "scapy", *(("flask", "sqlalchemy") if concentrator else ())} & names
