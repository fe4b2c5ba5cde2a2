"""The verifier as it is handed over: one file, no package, no other Python than the system's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.receipts import verify_receipts
from tests.property.test_receipt_chain import HEAD, LINES, WHOLE


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """The verifier's file alone in a folder, with a chain beside it."""
    shutil.copy(verify_receipts.__file__, tmp_path / "verify_receipts.py")
    (tmp_path / "receipts.jsonl").write_bytes(WHOLE)
    return tmp_path


def run(folder: Path, *words: str) -> tuple[int, str]:
    # -I: no PYTHONPATH, no user folder, and not this one; -S: no site-packages either.
    command = [sys.executable, "-I", "-S", "verify_receipts.py", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def test_it_stands_alone(alone: Path) -> None:
    status, said = run(alone, f"--head={HEAD[0]}:{HEAD[1]}", "--whole", "receipts.jsonl")
    assert (status, said.split(":")[0]) == (0, "Good")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (WHOLE.replace(b'"packets":3', b'"packets":4'), "Record 7 was changed: it does not fit its own hash"),
        (b"".join(LINES[:5] + LINES[6:]), "Record 6 is missing"),
        (b"".join([*LINES[:3], LINES[4], LINES[3], *LINES[5:]]), "Record 4 is not in its place: record 5 stands there"),
        (b"".join(LINES[:-2]), "The end was cut off: records 12 to 13 are missing."),
        (WHOLE[:-100], "Record 13 is torn: its end is missing"),
        (b"", "There is no record in these files."),
    ],
)
def test_it_names_the_record(alone: Path, data: bytes, sentence: str) -> None:
    (alone / "receipts.jsonl").write_bytes(data)
    status, said = run(alone, f"--head={HEAD[0]}:{HEAD[1]}", "receipts.jsonl")
    assert status == 1
    assert said.startswith(sentence)


def test_files_may_come_in_any_order_and_a_lost_one_is_named(alone: Path) -> None:
    for name, lines in (("a", LINES[8:]), ("b", LINES[:4]), ("c", LINES[4:8]), ("d", [])):
        (alone / name).write_bytes(b"".join(lines))
    assert run(alone, "--whole", "a", "b", "c", "d")[0] == 0
    assert run(alone, "a", "b")[1].startswith("Records 5 to 8 are missing")
    assert run(alone, "--whole", "a", "c")[1].startswith("Records 1 to 4 are missing")
    assert run(alone, "a", "c") == (0, run(alone, "a", "c")[1])


def test_what_cannot_be_read_is_said(alone: Path) -> None:
    assert run(alone, "nothing") == (1, "nothing cannot be read.\n")
    assert run(alone, "--language", "zh-CN", "nothing") == (1, "无法读取 nothing。\n")
