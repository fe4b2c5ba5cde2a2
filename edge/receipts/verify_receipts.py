#!/usr/bin/env python3
"""Is a chain of receipts whole? Stands alone: Python 3.11 and this file are enough, nothing else is imported.

    python3 verify_receipts.py [--head NUMBER:HASH]... [--whole] FILE...

A record is one line: a JSON object whose last member is ``hash``, the SHA-256 of the line without that member
(``,"hash":"..."``), and whose ``previous`` is the hash of the record before. A record that was changed, removed or moved
is named. What was cut off at the end shows only against a head that was kept elsewhere (``--head``): the box's status,
the keeper's journal and the city each have one. Exit status 0: whole; 1: not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

MAX_LINE_BYTES = 4096
MAX_PROBLEMS = 20
NO_HASH = "0" * 64
_SEALED = re.compile(rb'(\{"sequence":([1-9][0-9]{0,17}),.*),"hash":"([0-9a-f]{64})"\}\n', re.DOTALL)
_BEGIN, _END = b'{"sequence":', b'"}\n'
_HEAD = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", re.ASCII)

#: A file by its name and how to read its lines, more than once.
Source = tuple[str, Callable[[], Iterable[bytes]]]

_WORDS = {
    "changed": (
        "Record {number} was changed: it does not fit its own hash ({place}).",
        "第 {number} 条记录被改动：内容与其哈希不符（{place}）。",
    ),
    "replaced": (
        "Record {number} was replaced: record {next} follows another one ({place}).",
        "第 {number} 条记录被替换：第 {next} 条所接的不是它（{place}）。",
    ),
    "torn": (
        "Record {number} is torn: its end is missing ({place}).",
        "第 {number} 条记录不完整：缺少结尾（{place}）。",
    ),
    "missing": ("Record {number} is missing ({place}).", "缺少第 {number} 条记录（{place}）。"),
    "missing_many": (
        "Records {number} to {last} are missing ({place}).",
        "缺少第 {number} 至 {last} 条记录（{place}）。",
    ),
    "moved": (
        "Record {number} is not in its place: record {next} stands there ({place}).",
        "第 {number} 条记录不在原位：该处是第 {next} 条（{place}）。",
    ),
    "twice": ("Record {number} stands there twice ({place}).", "第 {number} 条记录重复出现（{place}）。"),
    "stray": ("There is a line that is no record ({place}).", "有一行不是记录（{place}）。"),
    "tail_cut": (
        "The end was cut off: records {number} to {last} are missing.",
        "末尾被截断：缺少第 {number} 至 {last} 条记录。",
    ),
    "rewritten": (
        "Record {number} is not the one whose hash was kept: the chain was written anew, up to it or from before it.",
        "第 {number} 条记录与所保存的哈希不同：该条或更早的记录被重写。",
    ),
    "unreadable": ("{place} cannot be read.", "无法读取 {place}。"),
    "empty": ("There is no record in these files.", "文件中没有记录。"),
    "more": ("There is more; these are the first {number}.", "还有更多问题；以上为前 {number} 项。"),
    "begins": (
        "They begin with record {number}; what came before it is not in these files.",
        "从第 {number} 条开始；更早的记录不在这些文件中。",
    ),
    "head_before": (
        "The head {number} is older than the first record: nothing can be said about it.",
        "所给的第 {number} 条早于最早的记录，无法核对。",
    ),
    "good": (
        "Good: {count} records, {number} to {last}, from {begin} to {end}. Head: {last}:{hash}",
        "完整：共 {count} 条，第 {number} 至 {last} 条，自 {begin} 至 {end}。链头：{last}:{hash}",
    ),
}


@dataclass(frozen=True, slots=True)
class Said:
    """Something to tell: a code and its facts."""

    code: str
    facts: dict[str, str | int]

    def sentence(self, language: str = "en") -> str:
        return _WORDS[self.code][language != "en"].format(**self.facts)


@dataclass(frozen=True, slots=True)
class Record:
    """One line as it was found; ``sequence`` is 0 when its own hash is wrong.

    ``count`` is how many records it was: two, when the newline between them was changed; none, when it is the rest of
    one that another octet's becoming a newline broke in two.
    """

    place: str
    line: bytes
    sequence: int = 0
    hashes: tuple[str, ...] = ()
    previous: str = ""
    time: str = ""
    dropped_to: int = 0
    count: int = 1


@dataclass(slots=True)
class Verdict:
    """What was found: ``problems`` in the order of the records, then what can be said for the chain as a whole."""

    problems: list[Said] = field(default_factory=list)
    notes: list[Said] = field(default_factory=list)
    count: int = 0
    first: Record | None = None
    last: Record | None = None
    dropped_to: int = 0
    reached: int = 0

    @property
    def good(self) -> bool:
        return not self.problems

    def sentences(self, language: str = "en") -> list[str]:
        shown = self.problems[:MAX_PROBLEMS]
        if len(self.problems) > MAX_PROBLEMS:
            shown.append(Said("more", {"number": MAX_PROBLEMS}))
        return [said.sentence(language) for said in (*shown, *self.notes)]

    def wrong(self, code: str, number: int, place: str = "", last: int = 0, following: int = 0) -> None:
        if len(self.problems) <= MAX_PROBLEMS:
            self.problems.append(Said(code, {"number": number, "place": place, "last": last, "next": following}))


# -- reading -----------------------------------------------------------------------------------------------------------


def lines(path: Path) -> Iterator[bytes]:
    """Yield a file's lines, each with its newline; a line that is too long comes in pieces.

    Raises:
        OSError: as reading does.
    """
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            yield line


def source(path: Path) -> Source:
    """Return a file as ``verify`` takes it."""
    return path.name, lambda: lines(path)


def records(given: Source) -> Iterator[Record]:
    """Yield what each line is."""
    name, read = given
    unfinished = False
    for number, line in enumerate(read(), 1):
        record = _record(f"{name}:{number}", line)
        if not record.sequence:
            record = replace(record, count=line.count(_BEGIN) or int(not unfinished))
        unfinished = not record.sequence and not line.endswith(_END)
        yield record


def _record(place: str, line: bytes) -> Record:
    found = _SEALED.fullmatch(line)
    if found is None:
        return Record(place, line)
    shown, computed = found[3].decode("ascii"), hashlib.sha256(found[1] + b"}").hexdigest()
    if shown != computed:
        return Record(place, line, hashes=(shown, computed))
    try:
        said = json.loads(line)
        sequence, previous, time = said["sequence"], said["previous"], said["time"]
        dropped_to = said.get("dropped_to", 0)
    except (ValueError, KeyError, RecursionError):
        return Record(place, line, hashes=(shown,))
    if sequence != int(found[2]) or (sequence == 1 and previous != NO_HASH):
        return Record(place, line, hashes=(shown,))
    return Record(
        place, line, sequence, (shown,), str(previous), str(time), dropped_to if type(dropped_to) is int else 0
    )


# -- judging -----------------------------------------------------------------------------------------------------------


def verify(sources: Sequence[Source], heads: Sequence[tuple[int, str]] = (), whole: bool = False) -> Verdict:
    """Read files, in whatever order they are given, and judge the chain.

    Args:
        heads: numbers and hashes that were kept elsewhere.
        whole: these are all files of a box, so nothing may lack at the beginning but what the chain says was dropped.

    Raises:
        OSError: as reading does.
    """
    present: array[int] = array("q")
    begins: list[tuple[int, Source]] = []
    for given in sources:
        begin, leading = 0, 0
        for record in records(given):
            if record.sequence:
                begin = begin or max(1, record.sequence - leading)
                present.append(record.sequence)
            leading += record.count
        if leading:
            begins.append((begin or sys.maxsize, given))
    begins.sort(key=lambda one: one[0])
    verdict = Verdict()
    _walk(verdict, begins, array("q", sorted(present)), heads)
    _judge_ends(verdict, heads, whole)
    return verdict


def _walk(
    verdict: Verdict, begins: list[tuple[int, Source]], present: array[int], heads: Sequence[tuple[int, str]]
) -> None:
    expected, follows = 0, frozenset[str]()
    for begin, given in begins:
        expected = expected or (begin if begin != sys.maxsize else 1)
        for record in records(given):
            verdict.count += record.count
            if not record.sequence:
                expected = _judge_bad(verdict, record, expected, present)
                follows = frozenset(record.hashes)
                continue
            verdict.first = verdict.first or record
            verdict.dropped_to = max(verdict.dropped_to, record.dropped_to)
            if record.sequence != expected:
                _judge_place(verdict, record, expected, present)
            elif follows and record.previous not in follows:
                verdict.wrong("replaced", record.sequence - 1, record.place, following=record.sequence)
            if any(number == record.sequence and digest != record.hashes[0] for number, digest in heads):
                verdict.wrong("rewritten", record.sequence)
            follows = frozenset(record.hashes) if record.sequence >= expected else frozenset()
            if record.sequence >= expected:
                expected, verdict.last = record.sequence + 1, record
    verdict.reached = expected - 1


def _judge_bad(verdict: Verdict, record: Record, expected: int, present: array[int]) -> int:
    """Name a line that is no good record; return the number that is expected next."""
    if not record.count:
        return expected
    at = bisect_left(present, expected)
    if at < len(present) and present[at] == expected:
        verdict.wrong("stray", 0, record.place)
        return expected
    verdict.wrong("changed" if record.line.endswith(b"\n") else "torn", expected, record.place)
    return expected + record.count


def _judge_place(verdict: Verdict, record: Record, expected: int, present: array[int]) -> None:
    """Name what is missing before a record that stands where another is expected, or what stands there twice."""
    if record.sequence < expected:
        if bisect_right(present, record.sequence) - bisect_left(present, record.sequence) > 1:
            verdict.wrong("twice", record.sequence, record.place)
        return  # it is out of its place, which was said where it is missing
    found = present[bisect_left(present, expected)]
    if found == expected:
        verdict.wrong("moved", expected, record.place, following=record.sequence)
    else:
        last = min(found, record.sequence) - 1
        verdict.wrong("missing" if last == expected else "missing_many", expected, record.place, last)


def _judge_ends(verdict: Verdict, heads: Sequence[tuple[int, str]], whole: bool) -> None:
    first, last = verdict.first, verdict.last
    if first is None or last is None:
        if not verdict.problems:
            verdict.wrong("empty", 0)
        return
    if whole and first.sequence > verdict.dropped_to + 1 and not verdict.problems:
        verdict.wrong("missing_many", verdict.dropped_to + 1, first.place, first.sequence - 1)
    elif first.sequence > 1 and verdict.good:
        verdict.notes.append(Said("begins", {"number": first.sequence}))
    for number, _ in heads:
        if number > verdict.reached:
            verdict.wrong("tail_cut", verdict.reached + 1, last=number)
        elif number < first.sequence:
            verdict.notes.append(Said("head_before", {"number": number}))
    if verdict.good:
        told: dict[str, str | int] = {"count": verdict.count, "number": first.sequence, "last": last.sequence}
        told |= {"hash": last.hashes[0], "begin": first.time, "end": last.time}
        verdict.notes.insert(0, Said("good", told))


# -- the command -------------------------------------------------------------------------------------------------------


def head(text: str) -> tuple[int, str]:
    """Read ``NUMBER:HASH``.

    Raises:
        ValueError: it is written otherwise.
    """
    found = _HEAD.fullmatch(text)
    if found is None:
        raise ValueError("NUMBER:HASH")
    return int(found[1]), found[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--head", type=head, action="append", default=[], metavar="NUMBER:HASH", help="kept elsewhere")
    parser.add_argument("--whole", action="store_true", help="these are all files of a box")
    parser.add_argument("--language", choices=("en", "zh-CN"), default="en")


def run(paths: Sequence[Path], args: argparse.Namespace) -> int:
    """Print what is to be said about the files: 0 the chain is whole, 1 it is not."""

    try:
        verdict = verify([source(path) for path in paths], args.head, args.whole)
    except OSError as wrong:
        print(Said("unreadable", {"place": str(wrong.filename)}).sentence(args.language))
        return 1
    for sentence in verdict.sentences(args.language):
        print(sentence)
    return int(not verdict.good)


def main() -> int:
    parser = argparse.ArgumentParser(description="Is a chain of receipts whole?")
    parser.add_argument("file", type=Path, nargs="+", metavar="FILE")
    add_arguments(parser)
    args = parser.parse_args()
    return run(args.file, args)


if __name__ == "__main__":
    sys.exit(main())
