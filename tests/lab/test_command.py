"""``snowgate lab``: somebody else's recorder or platform takes a host's place; nothing is left afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.lab import private, topology

SITE = Path(topology.__file__).with_name("site.toml")


def lab(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "lab", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    return tmp_path


def test_up_exec_down(folder: Path) -> None:
    try:
        up = lab(folder, "up", "--site", str(SITE), "--without", "nvr,city")
        assert up.returncode == 0, up.stderr
        assert lab(folder, "up").returncode == 1, "one street at a time"
        logs = {path.stem for path in (folder / "build/lab/log").iterdir()}
        assert "siteside" in logs
        assert not {"nvr", "city"} & logs, "their programs are not started"
        # The place is free for another recorder: it has the address, and the box's SIP port hears it.
        shown = lab(folder, "exec", "nvr", "--", "ip", "-br", "address")
        assert "192.168.1.10/24" in shown.stdout
        assert lab(folder, "exec", "nvr", "--", "false").returncode == 1
    finally:
        assert lab(folder, "down").returncode == 0
    assert lab(folder, "exec", "nvr", "--", "true").returncode == 1
    left = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
