"""The keeper's copy of the receipts' head never goes back, whatever the ferry tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.control.wire import ControlError, ReceiptHead, decode_request, encode_request
from edge.keeper.heads import Heads

ONE, TWO = ReceiptHead(1, "1" * 64), ReceiptHead(2, "2" * 64)


def test_a_head_is_kept_durably(tmp_path: Path) -> None:
    path = tmp_path / "receipt-head.json"
    assert Heads(path).take(TWO) is None
    said = json.loads(path.read_text(encoding="ascii"))
    assert (said["sequence"], said["head"], said["time"][-6:]) == (2, "2" * 64, "+00:00")
    facts = Heads(path).facts()
    assert (facts["sequence"], facts["hash"], facts["wrong"]) == (2, "2" * 64, "")


@pytest.mark.parametrize("back", [ONE, ReceiptHead(2, "3" * 64)])
def test_a_head_that_goes_back_is_refused_and_the_kept_one_stays(tmp_path: Path, back: ReceiptHead) -> None:
    heads = Heads(tmp_path / "receipt-head.json")
    assert heads.take(TWO) is None
    assert heads.take(TWO) is None, "the same again is no step back"
    assert heads.take(back) == "head_went_back"
    assert heads.facts()["wrong"] == "head_went_back"
    assert Heads(tmp_path / "receipt-head.json").facts()["sequence"] == 2
    assert Heads(tmp_path / "receipt-head.json").take(back) == "head_went_back", "after a restart, too"


@pytest.mark.parametrize("damaged", [b"", b"{}", b"[]", b'{"sequence":"x","head":1,"time":2}', b"\xff" * 2000])
def test_a_damaged_file_is_said_and_begun_anew(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "receipt-head.json"
    path.write_bytes(damaged)
    heads = Heads(path)
    assert heads.facts()["wrong"] == "head_unreadable"
    assert heads.take(ONE) is None


def test_a_disk_that_does_not_take_it_is_said(tmp_path: Path) -> None:
    heads = Heads(tmp_path / "no" / "receipt-head.json")
    assert heads.take(ONE) == "head_not_kept"
    assert heads.facts()["sequence"] == 0


def test_only_the_ferry_may_tell_it_and_only_well_formed() -> None:
    assert decode_request("ferry", encode_request(1, ONE)) == (1, ONE)
    with pytest.raises(ControlError):
        decode_request("operator", encode_request(1, ONE))
    for wrong in (
        ReceiptHead(0, "1" * 64),
        ReceiptHead(1, "1" * 63),
        ReceiptHead(1, "G" * 64),
        ReceiptHead(1 << 60, "1" * 64),
    ):
        with pytest.raises(ControlError) as refused:
            decode_request("ferry", encode_request(1, wrong))
        assert refused.value.rule == "request_head"
