"""The ids that platforms know our channels by: kept before they are used, given once, lost with no disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.cityside.issued import IssuedIds
from netconf import durable

SITE = "34020000002008000001"
ONE, OTHER = "34020000001180000001", "34020000001180000002"
DOOR, YARD = "34020000001310000001", "34020000001320000001"


def ids(tmp_path: Path) -> IssuedIds:
    return IssuedIds(tmp_path / "issued-ids.json", SITE)


def test_one_channel_id_of_two_recorders_is_two_ids_and_both_come_back_after_a_restart(tmp_path: Path) -> None:
    first = ids(tmp_path)
    assert first.issue([(ONE, DOOR), (OTHER, DOOR), (ONE, YARD)])
    given = [first.of(ONE, DOOR), first.of(OTHER, DOOR), first.of(ONE, YARD)]
    assert len(set(given)) == 3
    again = ids(tmp_path)
    assert again.issue([(ONE, YARD), (ONE, DOOR)])
    assert [again.of(ONE, DOOR), again.of(OTHER, DOOR), again.of(ONE, YARD)] == given
    assert [again.channel(str(issued)) for issued in given] == [(ONE, DOOR), (OTHER, DOOR), (ONE, YARD)]


def test_the_id_of_a_channel_that_is_gone_is_given_to_no_other(tmp_path: Path) -> None:
    ids(tmp_path).issue([(ONE, DOOR)])
    later = ids(tmp_path)
    later.issue([(OTHER, DOOR)])
    assert later.of(OTHER, DOOR) != later.of(ONE, DOOR)


def test_all_ids_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    write = durable.write
    monkeypatch.setattr(durable, "write", lambda path, data: (writes.append(1), write(path, data)))
    many = [(ONE, f"3402000000131{number:07d}") for number in range(4096)]
    assert ids(tmp_path).issue(many)
    assert ids(tmp_path).issue(many)
    assert writes == [1]


def test_what_cannot_be_written_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = ids(tmp_path)
    known.issue([(ONE, DOOR)])

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write", full)
    assert not known.issue([(ONE, YARD)])
    assert known.of(ONE, YARD) is None
    assert known.of(ONE, DOOR) is not None, "what was given stays"


@pytest.mark.parametrize(
    "text", ["", "[", "3", '[{"recorder":"r"}]', '[{"recorder":"1","channel":"2","issued":"3"}]', "[" * 9999]
)
def test_a_damaged_map_gives_nothing_rather_than_other_ids(tmp_path: Path, text: str) -> None:
    (tmp_path / "issued-ids.json").write_text(text, encoding="ascii")
    known = ids(tmp_path)
    assert not known.issue([(ONE, DOOR)])
    assert known.of(ONE, DOOR) is None
    assert (tmp_path / "issued-ids.json").read_text(encoding="ascii") == text, "nothing is written over it"
