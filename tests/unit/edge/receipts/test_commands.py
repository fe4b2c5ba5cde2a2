"""``snowgate receipts list``: newest first, over segments, and as a person reads it."""

from __future__ import annotations

import argparse
import json
import socket
import threading
from pathlib import Path

import pytest

from edge.receipts import commands
from tests.property.test_receipt_chain import LINES


@pytest.fixture
def box(tmp_path: Path) -> argparse.Namespace:
    """A box whose ferry says yes to whoever reads, with receipts in three segments, the middle one the newest."""
    folder = tmp_path / "receipts"
    folder.mkdir()
    for name, lines in (("00", LINES[:5]), ("01", LINES[9:]), ("02", LINES[5:9]), ("03", [])):
        (folder / f"{name}.jsonl").write_bytes(b"".join(lines))
    return argparse.Namespace(run=tmp_path, state=tmp_path, count=6, json=True, language="en")


def ferry(run: Path, answer: bytes) -> threading.Thread:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (run / "ferry" / "reader").mkdir(parents=True, exist_ok=True)
    listener.bind(str(run / "ferry" / "reader" / "socket"))
    listener.listen(1)

    def serve() -> None:
        line, _ = listener.accept()
        assert line.recv(64) == b"list"
        line.send(answer)
        line.close()
        listener.close()

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_the_newest_come_first_over_segments(box: argparse.Namespace, capsys: pytest.CaptureFixture[str]) -> None:
    thread = ferry(box.run, b'{"recorded": true}')
    assert commands.show(box) == 0
    thread.join()
    assert [said["sequence"] for said in json.loads(capsys.readouterr().out)] == [13, 12, 11, 10, 9, 8]


@pytest.mark.parametrize(("language", "ended"), [("en", "The view ended."), ("zh-CN", "观看结束。")])
def test_a_person_reads_a_line_each(
    box: argparse.Namespace, capsys: pytest.CaptureFixture[str], language: str, ended: str
) -> None:
    box.json, box.language = False, language
    thread = ferry(box.run, b'{"recorded": true}')
    assert commands.show(box) == 0
    thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert "34020000003000000001" in lines[0]
    assert lines[0].endswith(ended)
    assert lines[1].split("  ")[2] in ("opened", "开始")


@pytest.mark.parametrize("answer", [b'{"recorded": false}', b"{}", b"[]", b"\xff", b'{"recorded": 1}'])
def test_what_is_not_recorded_is_not_shown(
    box: argparse.Namespace, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    thread = ferry(box.run, answer)
    assert commands.show(box) == 1
    thread.join()
    said = capsys.readouterr()
    assert said.out == ""
    assert "(reading_unrecorded)" in said.err
