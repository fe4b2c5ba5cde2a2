"""The verifier of receipts: whatever is done to a chain is found, and the right record is named."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.ferry.ledger import Ledger, Tools
from edge.ferry.ring import Layout
from edge.receipts.verify_receipts import Verdict, verify
from tests.disk import Clock, ModelDisk

VIEWER = '"南谯"-34020000003000000001'


def chain() -> list[bytes]:
    disk = ModelDisk()
    book = Ledger(Path("receipts"), Tools(Clock(), disk, Layout(2, 1 << 20)))
    for call in range(1, 7):
        told: dict[str, str | int] = {"viewer": VIEWER, "recorder": "3" * 20, "channel": "4" * 20, "kind": "live"}
        book.view("opened", call, told | {"packets": 0, "bytes": 0, "result": "allowed", "reason": ""})
        ended = {"packets": call, "bytes": 1000 * call, "result": "viewed", "reason": "ended_normally"}
        book.view("closed", call, told | ended)
        book.settle()
    return bytes(disk.files[0]).splitlines(keepends=True)


LINES = chain()
WHOLE = b"".join(LINES)
HEAD = (len(LINES), WHOLE[-67:-3].decode("ascii"))
OWNERS = [number for number, line in enumerate(LINES, 1) for _ in line]
POSITIONS = st.integers(0, len(LINES) - 1)


def judged(data: bytes, *heads: tuple[int, str]) -> Verdict:
    return verify([("receipts.jsonl", lambda: data.splitlines(keepends=True))], heads, whole=True)


def first(verdict: Verdict) -> tuple[str, int]:
    return verdict.problems[0].code, int(verdict.problems[0].facts["number"])


def test_the_chain_as_it_is_written_is_good() -> None:
    assert len(LINES) == 13
    verdict = judged(WHOLE, HEAD)
    assert verdict.good
    assert verdict.sentences() == [
        "Good: 13 records, 1 to 13, from 2026-03-01T08:00:00.000+00:00 to 2026-03-01T08:00:00.000+00:00. "
        f"Head: 13:{HEAD[1]}"
    ]


@settings(max_examples=1500, deadline=None)
@given(at=st.integers(0, len(WHOLE) - 1), octet=st.one_of(st.integers(0, 255), st.just(10)), late=st.booleans())
def test_any_octet_changed_names_its_record(at: int, octet: int, late: bool) -> None:
    changed = WHOLE[:at] + bytes([octet]) + WHOLE[at + 1 :]
    begin = sum(map(len, LINES[: OWNERS[at] - 1])) if late else 0
    verdict = verify([("receipts.jsonl", lambda: changed[begin:].splitlines(keepends=True))])
    assert verdict.good == (changed == WHOLE)
    # With the last of them changed, or the last two made one, nothing is left that says which they were.
    left = len(LINES) - OWNERS[at] - (WHOLE[at] == 10)
    if changed != WHOLE and (left > 0 or not late):
        assert first(verdict)[1] == OWNERS[at], verdict.sentences()


def test_every_octet_flipped_once_names_its_record() -> None:
    for at in range(len(WHOLE)):
        verdict = judged(WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :])
        assert first(verdict) == ("torn" if at == len(WHOLE) - 1 else "changed", OWNERS[at])


@given(begin=POSITIONS, count=st.integers(1, 5))
def test_records_removed_are_named(begin: int, count: int) -> None:
    left = LINES[:begin] + LINES[begin + count :]
    if not left:
        return
    verdict = judged(b"".join(left), HEAD)
    problem = verdict.problems[0]
    last = min(begin + count, len(LINES))
    assert (problem.facts["number"], problem.facts["last"]) == (begin + 1, last), verdict.sentences()
    assert len(verdict.problems) == 1


@given(one=POSITIONS, other=POSITIONS)
def test_two_swapped_are_named(one: int, other: int) -> None:
    lines = list(LINES)
    lines[one], lines[other] = lines[other], lines[one]
    verdict = judged(b"".join(lines), HEAD)
    assert verdict.good == (one == other)
    if one != other:
        assert (first(verdict)[0], min(one, other) + 1) == ("moved", first(verdict)[1]) or min(one, other) == 0


@given(one=POSITIONS, other=POSITIONS)
def test_one_written_over_another_is_named(one: int, other: int) -> None:
    lines = list(LINES)
    lines[one] = lines[other]
    verdict = judged(b"".join(lines), HEAD)
    assert verdict.good == (one == other)
    if one != other:
        assert {one + 1, other + 1} & {int(problem.facts["number"]) for problem in verdict.problems}


@given(end=st.integers(0, len(WHOLE) - 1))
def test_a_tail_cut_off_shows_against_the_head(end: int) -> None:
    verdict = judged(WHOLE[:end], HEAD)
    assert not verdict.good
    assert first(verdict)[1] in (OWNERS[end], 0)


def test_without_a_head_a_tail_cut_between_records_does_not_show() -> None:
    """What the docs say that it cannot prove."""
    assert judged(b"".join(LINES[:-2])).good


@given(at=st.integers(0, len(LINES) - 2))
def test_a_record_rewritten_with_a_hash_of_its_own_is_named(at: int) -> None:
    body = LINES[at][:-76].replace(b'"monotonic":1', b'"monotonic":2') + b"}"
    forged = body[:-1] + b',"hash":"%b"}\n' % hashlib.sha256(body).hexdigest().encode("ascii")
    verdict = judged(b"".join([*LINES[:at], forged, *LINES[at + 1 :]]))
    assert first(verdict) == ("replaced", at + 1)
    assert len(verdict.problems) == 1


def test_a_chain_written_anew_shows_against_the_head() -> None:
    again = ModelDisk()
    book = Ledger(Path("receipts"), Tools(Clock(), again, Layout(2, 1 << 20)))
    for _ in range(len(LINES)):
        book.read(0, "list")
    verdict = judged(bytes(again.files[0]), HEAD)
    assert first(verdict) == ("rewritten", HEAD[0])
    assert judged(bytes(again.files[0])).good
    assert first(judged(WHOLE, (HEAD[0], "0" * 64), HEAD)) == ("rewritten", HEAD[0]), "each head counts"


@given(st.binary(max_size=300))
def test_garbage_is_never_good_and_never_an_error(data: bytes) -> None:
    assert not judged(data).good
    assert not judged(WHOLE + data).good or not data
