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
