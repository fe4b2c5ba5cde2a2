"""Receipts on the street: the ferry killed, the disk full, a sync that fails, receipts taken away. Video goes on.

nvr ── lan [siteside] · (ferry ── <state>/receipts/NN.jsonl) · [cityside] vpn ═══ city
                            └── head ── keeper ── <state>/keeper/receipt-head.json
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import topology
from edge.lab.orders import order
from edge.lab.street import RUN, STATE, Street, eventually
from edge.receipts import commands, verify_receipts
from tests.conftest import ORDERS, whole

RECEIPTS, KEPT = STATE / "receipts", STATE / "keeper" / "receipt-head.json"


def snowgate(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "receipts", *words, "--run", str(RUN), "--state", str(STATE)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def written(state: Path = STATE) -> list[dict[str, Any]]:
    """Every line that is in the files, in order, each with its own hash right."""
    found = []
    for path in commands.files(state):
        for record in verify_receipts.records(verify_receipts.source(path)):
            assert record.sequence, record
            found.append(json.loads(record.line))
    return found


def measured(street: Street) -> dict[str, Any] | None:
    """Return the quality of the one view, once all but its loss is known: of that a lab's few packets say nothing."""
    (view,) = street.said("ferry")["views"].values()
    quality: dict[str, Any] = view["quality"]
    known = all(quality[name] is not None for name in ("jitter_ms", "first_picture_ms", "key_frame_ms", "kbit_s"))
    return quality if known else None


def head(street: Street) -> tuple[int, str]:
    told = street.said("ferry").get("receipts", {})  # it says nothing while it is started again
    return told.get("sequence", 0), told.get("hash", "")


def right() -> int:
    count: int = order(ORDERS, "facts")["judge"].get("right", 0)
    return count


def settled(street: Street) -> None:
    eventually(lambda: street.said("ferry").get("sides") == ["city", "site"], 20, "both sides at the ferry")
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 60, "the recorder")
    eventually(lambda: order(ORDERS, "facts")["online"], 60, "registered")
    eventually(lambda: any(f[1] == "ON" for f in order(ORDERS, "catalog")["channels"].values()), 60, "a channel on")


def test_a_view_leaves_its_receipt_and_the_head_is_in_three_places(street: Street, channel: str) -> None:
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 5, 30, "pictures")
    opened = written()[-1]
    assert (opened["event"], opened["viewer"], opened["organisation"]) == ("opened", "未声明", "未声明")
    eventually(lambda: any(v["packets"] for v in street.said("ferry")["views"].values()), 10, "packets counted")
    quality = eventually(lambda: measured(street), 30, "two key pictures")
    order(ORDERS, "stop")
    ended = eventually(lambda: (last := written()[-1])["event"] == "ended" and last, 20, "the view's end")
    assert (ended["call"], ended["from"], ended["result"]) == (opened["call"], opened["from"], "viewed")
    assert ended["first_picture_ms"] == quality["first_picture_ms"] > 0
    assert ended["kbit_s"] > 0
    assert ended["key_frame_ms"] > 0
    assert "jitter_ms" in ended
    assert ended["bytes"] > ended["packets"] > 0
    assert ended["to"] > ended["from"]
    eventually(lambda: head(street)[0] >= ended["sequence"], 10, "the head in the status")
    number, digest = head(street)
    assert snowgate("verify", f"--head={number}:{digest}").returncode == 0
    kept = json.loads(KEPT.read_bytes())
    assert 0 < kept["sequence"] <= number
    assert street.status()["keeper"]["receipts"]["hash"] == kept["head"]


def test_a_view_that_a_lost_side_ends_leaves_its_receipt(street: Street, channel: str) -> None:
    order(ORDERS, f"play {channel}")
    eventually(lambda: street.said("ferry").get("views"), 20, "the view")
    street.kill("siteside")
    ended = eventually(lambda: (last := written()[-1])["event"] != "opened" and last, 20, "the view's end")
    assert ended["reason"] == "side_lost"
    order(ORDERS, "stop")
    settled(street)


def test_reading_is_recorded_before_anything_is_shown(street: Street) -> None:
    shown = snowgate("list", "--json", "--count", "3")
    assert shown.returncode == 0, shown.stderr
    newest = json.loads(shown.stdout)
    assert len(newest) == 3
    assert (newest[0]["event"], newest[0]["uid"], newest[0]["what"]) == ("read", 0, "list")
    assert newest[0]["sequence"] == newest[1]["sequence"] + 1
    assert "查阅回执" in snowgate("list", "--language", "zh-CN").stdout
    away = subprocess.run(
        [sys.executable, "-m", "edge.cli", "receipts", "list", "--run", "/run/nowhere", "--state", str(STATE)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (away.returncode, away.stdout) == (1, "")
    assert "(reading_unheard)" in away.stderr


def test_the_ferry_killed_during_a_view(street: Street, playing: str) -> None:
    """The view's beginning is on the disk, the chain verifies, and the next life says that it begins."""
    opened = written()[-1]
    assert opened["event"] == "opened"
    street.kill("ferry")
    eventually(lambda: written()[-1]["event"] == "restarted", 20, "the next life")
    lines = written()
    assert lines[-2] == opened
    assert lines[-1]["unended"] == 1
    settled(street)
    number, digest = head(street)
    assert snowgate("verify", f"--head={number}:{digest}").returncode == 0
    assert snowgate("verify", f"--head={number + 1}:{digest}").returncode == 1, "the control"


def test_a_sync_that_fails_ends_the_ferry_and_the_next_one_reads_anew(street: Street, channel: str) -> None:
    """F11: fdatasync says EIO once."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    settled(street)
    before = written()[-1]["sequence"]
    starts, pid = street.starts("ferry"), street.pid("ferry")
    inject = "--inject=fdatasync:error=EIO:when=1"
    tracer = subprocess.Popen(["strace", "-p", str(pid), "--trace=fdatasync", inject], stderr=subprocess.PIPE)
    try:
        assert tracer.stderr is not None
        if b"attached" not in tracer.stderr.readline():
            pytest.skip("ptrace is not allowed here")
        order(ORDERS, f"play {channel}")
        eventually(lambda: street.starts("ferry") > starts, 20, "the ferry started again")
    finally:
        tracer.terminate()
        tracer.wait(10)
    log = (street.logs / "ferry.log").read_text(encoding="utf-8")
    assert "receipt_not_synced" in log
    eventually(lambda: written()[-1]["sequence"] > before + 1, 20, "the next life's line")
    settled(street)
    assert [line["event"] for line in written() if line["sequence"] > before][:2] == ["opened", "restarted"]
    assert snowgate("verify").returncode == 0
    assert street.said("ferry").get("findings") == []


@pytest.fixture
def small_disk(street: Street) -> Iterator[Path]:
    """The receipts on a disk of their own, 128 KiB; afterwards the old ones are back."""
    before = written()[-1]["sequence"]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(RECEIPTS)], check=True, timeout=20)
    try:
        street.kill("ferry")
        (begun,) = eventually(written, 20, "a new chain")
        eventually(lambda: head(street) == (1, begun["hash"]), 20, "its head in the status")
        settled(street)
        yield RECEIPTS
    finally:
        subprocess.run(["umount", "-l", str(RECEIPTS)], check=True, timeout=20)
        street.kill("ferry")
        eventually(lambda: written()[-1]["sequence"] > before, 20, "the old chain")
        settled(street)


def test_receipts_taken_away_are_missed_by_the_keeper(street: Street, small_disk: Path) -> None:
    """A new chain in the place of the old one: it verifies, and goes back behind what the keeper has kept."""
    before = json.loads(KEPT.read_bytes())
    eventually(lambda: "receipt_head_went_back" in street.said("ferry").get("findings", []), 20, "the keeper's refusal")
    facts = street.status()["keeper"]
    assert facts["receipts"]["wrong"] == "head_went_back"
    assert facts["counters"]["head_went_back"] >= 1
    assert json.loads(KEPT.read_bytes()) == before
    assert snowgate("verify").returncode == 1
    assert "The end was cut off" in snowgate("verify").stdout


def test_a_full_disk_costs_no_picture_and_no_receipt(street: Street, small_disk: Path, channel: str) -> None:
    """F12: the disk fills, views go on, a finding is raised, and all is written when there is room again."""
    with pytest.raises(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"\0" * 4096)
    # What is left of the last page takes some lines yet.
    eventually(lambda: snowgate("list").returncode == 1, 40, "no room for the line of a reading")
    eventually(lambda: "receipts_held" in street.said("ferry").get("findings", []), 10, "the finding")
    assert "(receipts_held)" in subprocess.run(
        [sys.executable, "-m", "edge.cli", "status", "--run", str(RUN)], capture_output=True, text=True, timeout=60, check=False
    ).stdout  # fmt: skip
    before = written()[-1]["sequence"]
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 25, 30, "pictures with the disk full")
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")
    assert written()[-1]["sequence"] == before
    assert street.said("ferry")["receipts"]["waiting"] >= 2
    (small_disk / "filler").unlink()
    eventually(
        lambda: "receipts_held" not in street.said("ferry").get("findings", ["receipts_held"]), 20, "the disk took them"
    )
    eventually(lambda: written()[-1]["event"] == "resumed", 10, "the last line")
    lines = [line for line in written() if line["sequence"] > before]
    assert [line["event"] for line in lines][-3:] == ["opened", "ended", "resumed"]
    assert lines[-1]["reason"] == "ENOSPC"
    assert lines[-2]["result"] == "viewed"
    number, digest = head(street)
    files = [str(path) for path in commands.files(STATE)]
    assert snowgate("verify", "--whole", f"--head={number}:{digest}", *files).returncode == 0


def test_f13_a_disk_that_turned_read_only_stops_changes_and_no_picture(street: Street, playing: str) -> None:
    """The state folder is read-only for everybody, also for a ferry that is started again: its receipts wait in memory."""
    applied = (RUN / "applied.toml").read_text(encoding="utf-8")
    before = written()[-1]["sequence"]
    subprocess.run(["mount", "--bind", str(STATE), str(STATE)], check=True, timeout=20)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(STATE)], check=True, timeout=20)
    try:
        with pytest.raises(topology.LabBroken) as refused:
            street.apply(applied.replace("北门", "南门"))
        assert "(disk_refuses)" in str(refused.value)
        assert "(disk_read_only)" in snowgate_word("doctor")
        count = right()
        eventually(lambda: right() > count + 50, 20, "the picture goes on")
        street.kill("ferry")
        settled(street)
        # (order again: the ferry's death ended the view)
        eventually(lambda: "receipts_untrusted" in street.said("ferry").get("findings", []), 20, "the finding")
        eventually(lambda: whole(street), 30, "the whole street, with the ferry that has just begun")
        order(ORDERS, f"play {playing}")
        eventually(lambda: right() > 25, 30, "pictures with receipts in memory alone")
        order(ORDERS, "stop")
        eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")
        assert street.status()["keeper"]["tunnels"]["wg-a"]["handshake_age_seconds"] < 180
        assert written()[-1]["sequence"] == before
    finally:
        subprocess.run(["umount", "-l", str(STATE)], check=True, timeout=20)
        (RUN / "applied.toml").write_text(applied, encoding="utf-8")
        street.kill("ferry")
        street.kill("keeper")
    eventually(lambda: written()[-1]["sequence"] > before, 20, "the disk takes receipts again")
    settled(street)
    assert snowgate("verify").returncode == 0
    street.apply(applied)
    order(ORDERS, f"play {playing}")
    eventually(lambda: right() > 5, 30, "pictures")


def snowgate_word(*words: str) -> str:
    command = [sys.executable, "-m", "edge.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
