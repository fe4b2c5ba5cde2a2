"""What a program says of itself: whole, or not at all, and never after its death."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge.io import status
from edge.io.status import StatusFile


def test_it_is_read_as_long_as_the_one_who_said_it_lives(tmp_path: Path) -> None:
    (tmp_path / "ferry").mkdir()
    StatusFile(tmp_path, "ferry").write({"sides": ["city"]})
    said = status.read(tmp_path, "ferry")
    assert said["sides"] == ["city"]
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    status.path(tmp_path, "ferry").write_text(json.dumps(said | {"pid": dead.pid}))
    assert status.read(tmp_path, "ferry") is None


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100000])
def test_what_is_no_status_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ferry").mkdir()
    status.path(tmp_path, "ferry").write_bytes(data)
    assert status.read(tmp_path, "ferry") is None


@pytest.mark.parametrize("pid", [True, -1, 0, 1 << 70, "7", None])
def test_an_odd_pid_is_no_traceback(tmp_path: Path, pid: object) -> None:
    (tmp_path / "ferry").mkdir()
    status.path(tmp_path, "ferry").write_text(json.dumps({"pid": pid}))
    status.read(tmp_path, "ferry")
