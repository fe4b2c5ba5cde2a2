"""F07, F11: the disk refuses, or the process is killed, at each call of a durable write: old or new, never torn.

The calls are failed from outside by strace, so that nothing here knows how the writing is done.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OLD, NEW = b"old " * 2000, b"new " * 5000
WRITER = """
import sys
from pathlib import Path
from netconf import durable
durable.write(Path(sys.argv[1]), b"new " * 5000)
print("acknowledged", flush=True)
"""
CALLS = ("openat", "write", "fsync", "fchmod", "rename")
#: More of each than a write makes; a fault that never comes is the run that has none.
MOST = {"openat": 3, "write": 3, "fsync": 3, "fchmod": 2, "rename": 2}
FAULTS = ("error=EIO", "error=ENOSPC", "signal=KILL")

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace: apt-get install strace")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "file").write_bytes(OLD)
    return folder / "file"


def faults() -> list[tuple[str, str, int]]:
    return [(call, fault, when) for call in CALLS for fault in FAULTS for when in range(1, MOST[call] + 1)]


@pytest.mark.parametrize(("call", "fault", "when"), faults(), ids=str)
def test_old_or_new_never_torn_and_acknowledged_means_there(path: Path, call: str, fault: str, when: int) -> None:
    command = ["strace", "-o", "/dev/null", "-e", f"inject={call}:{fault}:when={when}+"]
    # From the moment on at which the interpreter is up: what it opens before is none of ours.
    script = WRITER.replace("durable.write", "sys.stdin.readline(); durable.write")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as writer:  # fmt: skip
        with subprocess.Popen([*command, "-p", str(writer.pid)], stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr is not None
            assert "attached" in tracer.stderr.readline()
            said, _ = writer.communicate("\n", timeout=60)
        tracer.wait(30)
    found = path.read_bytes()
    assert found in (OLD, NEW), "torn"
    if "acknowledged" in said:
        assert found == NEW


def test_a_write_that_is_left_alone_is_acknowledged_and_its_calls_come_in_order(path: Path) -> None:
    """The control; and the file reaches the disk before its name, the name before the word."""
    trace = path.with_name("trace")
    command = [
        "strace",
        "-y",
        "-e",
        "trace=fsync,rename,write",
        "-o",
        str(trace),
        sys.executable,
        "-c",
        WRITER,
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "acknowledged" in done.stdout
    assert path.read_bytes() == NEW
    calls = [
        line for line in trace.read_text(encoding="utf-8").splitlines() if str(path.parent) in line or "ackn" in line
    ]
    kinds = [re.match(r"(\w+)\(", line)[1] for line in calls]  # type: ignore[index]
    assert kinds[-4:] == ["fsync", "rename", "fsync", "write"], calls
    assert ".new>" in calls[-4]
    assert f"<{path.parent}>" in calls[-2]
