"""The ledger of receipts: what it writes, what it holds, what it says; and every way that power can go."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from edge.ferry import receipts
from edge.ferry.ledger import MAX_WAITING_BYTES, Ledger, Tools
from edge.ferry.receipts import UNDECLARED, Head, Purse, draft, old_enough, read, seal, viewer
from edge.ferry.ring import Layout, Untrusted
from edge.receipts import verify_receipts
from edge.receipts.verify_receipts import Verdict, verify
from edge.records.types import KINDS, REASONS
from edge.rtp.quality import Quality
from tests.disk import Clock, ModelDisk, after_power_cut

SMALL = Layout(3, 5632)
NVR, CHANNEL = "34020000001180000001", "34020000001310000001"
TOLD: dict[str, str | int] = {
    "viewer": "", "recorder": NVR, "channel": CHANNEL, "kind": "live", "packets": 0, "bytes": 0,
    "result": "allowed", "reason": "",
}  # fmt: skip
ENDED = TOLD | {"packets": 10, "bytes": 9000, "result": "viewed", "reason": "ended_normally"}
REFUSED = TOLD | {"result": "refused", "reason": "channel_not_shared"}


def ledger(disk: ModelDisk, clock: Clock | None = None, layout: Layout = SMALL) -> Ledger:
    return Ledger(Path("receipts"), Tools(clock or Clock(), disk, layout))


def judged(files: list[bytearray], *heads: tuple[int, str]) -> Verdict:
    sources = [(f"{n:02d}", lambda data=bytes(data): data.splitlines(keepends=True)) for n, data in enumerate(files)]
    return verify(sources, heads, whole=True)


def events(disk: ModelDisk) -> list[str]:
    found = [line for data in disk.files for raw in bytes(data).split(b"\n") if (line := read(raw)) is not None]
    return [line.event for line in sorted(found, key=lambda line: line.head.sequence)]


def view(book: Ledger, call: int) -> None:
    book.view("opened", call, TOLD)
    book.view("closed", call, ENDED)
    book.settle()


# -- what a line says --------------------------------------------------------------------------------------------------


def test_a_line_carries_the_chain_and_both_readers_agree() -> None:
    one, head = seal(Head(), draft(Clock()(), "started", {}))
    two, _ = seal(head, draft(Clock()(), "torn", {"octets": 3}))
    for data in (one, two):
        line = read(data[:-1])
        (record,) = verify_receipts.records(("x", lambda data=data: [data]))
        assert line is not None
        assert (line.head.sequence, line.head.hash) == (record.sequence, record.hashes[0])
        assert len(data) <= receipts.MAX_LINE_BYTES
    assert f'"previous":"{head.hash}"'.encode() in two


def test_the_longest_lines_fit() -> None:
    long = TOLD | {"viewer": '"' * 96, "kind": max(KINDS, key=len), "reason": max(REASONS, key=len)}
    long |= {"packets": 1 << 60, "bytes": 1 << 60, "result": "not_viewed"}
    long |= {"platform": CHANNEL, "start": 1 << 32, "end": 1 << 32}
    long |= dict.fromkeys((each.name for each in fields(Quality)), 1 << 32)
    at = Clock()()
    ended = receipts.Views().closed(0xFFFFFFFF, long, at)
    assert ended is not None
    counts = dict.fromkeys((f"{reason:x<28}" for reason in REASONS[: receipts.MOST_COUNTS]), 1 << 40)
    for waiting in (ended, draft(at, "counted", {"of": "refused", "counts": counts})):
        line, _ = seal(Head(1 << 58, "f" * 64, ""), waiting)
        assert len(line) <= receipts.MAX_LINE_BYTES


@pytest.mark.parametrize(
    ("declared", "organisation", "level"),
    [
        ("", UNDECLARED, UNDECLARED),
        ("治安大队", UNDECLARED, UNDECLARED),
        ("34020000002110000001-34120000003000000007", "34120000003000000007", "city"),
        ("34000000002110000001-zhang", "34000000002110000001", "province"),
        ("34022100003000000001", "34022100003000000001", "county"),
        ("34022103003000000001-x-1", "34022103003000000001", "township"),
        ("340221030030000000011", UNDECLARED, UNDECLARED),
    ],
)
def test_who_watches(declared: str, organisation: str, level: str) -> None:
    assert viewer(declared) == {"viewer": declared or UNDECLARED, "organisation": organisation, "level": level}


# -- lives -------------------------------------------------------------------------------------------------------------


def test_a_life_begins_views_and_begins_again() -> None:
    disk = ModelDisk()
    book = ledger(disk)
    view(book, 1)
    book.view("opened", 2, TOLD)
    disk = disk.again()
    book = ledger(disk)
    assert events(disk) == ["started", "opened", "ended", "opened", "restarted"]
    assert b'"unended":1' in disk.files[0]
    assert judged(disk.files, (book.head.sequence, book.head.hash)).good


def test_the_open_line_is_synced_before_the_call_returns() -> None:
    disk = ModelDisk()
    book = ledger(disk)
    book.view("opened", 1, TOLD)
    assert disk.log[-1][0] == "sync"
    assert disk.log[-2][0] == "write"
    assert b'"opened"' in disk.log[-2][2]  # type: ignore[operator]


@pytest.mark.parametrize("kept", [1, 100, -1])
def test_a_torn_last_line_is_cut_off_and_written_down(kept: int) -> None:
    disk = ModelDisk()
    view(ledger(disk), 1)
    lost = disk.files[0].split(b"\n")[-2] + b"\n"
    end = len(disk.files[0]) - len(lost)
    octets = kept % len(lost)
    del disk.files[0][end + octets :]
    disk = disk.again()
    book = ledger(disk)
    assert events(disk) == ["started", "opened", "torn", "restarted"]
    assert f'"octets":{octets}'.encode() in disk.files[0]
    assert judged(disk.files).good
    assert book.counters["receipts_torn"] == 1


@pytest.mark.parametrize("which", [1, 2])
def test_a_changed_line_is_not_taken_for_a_torn_one(which: int) -> None:
    """It stays where it is, so that it can be seen, and the chain goes on behind it."""
    disk = ModelDisk()
    view(ledger(disk), 1)
    lines = bytes(disk.files[0]).split(b"\n")
    lines[which] = lines[which].replace(b'"live"', b'"love"')
    disk.files[0][:] = b"\n".join(lines)
    disk = disk.again()
    ledger(disk)
    assert events(disk)[-1] == "restarted"
    assert [(p.code, p.facts["number"]) for p in judged(disk.files).problems] == [("changed", which + 1)]


@pytest.mark.parametrize("newline", [True, False])
def test_many_changed_lines_at_the_end_stay_and_keep_their_numbers(newline: bool) -> None:
    disk = ModelDisk()
    book = ledger(disk, layout=Layout(2, 1 << 20))
    for call in range(1, 6):
        view(book, call)
    lines = bytes(disk.files[0]).split(b"\n")
    lines[5:11] = [line.replace(b'"live"', b'"love"') for line in lines[5:11]]
    disk.files[0][:] = b"\n".join(lines) if newline else b"\n".join(lines)[:-1]
    disk = disk.again()
    ledger(disk, layout=Layout(2, 1 << 20))
    problems = judged(disk.files).problems
    assert [(p.code, p.facts["number"]) for p in problems] == [("changed", n) for n in range(6, 12)]
    assert b'{"sequence":12,' in disk.files[0]
    assert events(disk)[-1] == "restarted"


def test_a_torn_first_line_of_a_segment_is_written_down_once() -> None:
    disk = ModelDisk()
    ledger(disk)
    disk.files[1][:] = b'{"sequence":2,"bo'
    for _ in range(2):
        disk = disk.again()
        ledger(disk)
        assert judged(disk.files).good
    assert events(disk) == ["started", "torn", "restarted", "restarted"]
    assert not disk.files[1]


def test_the_ring_turns_over_and_says_what_it_dropped() -> None:
    disk = ModelDisk()
    book = ledger(disk)
    for call in range(1, 40):
        view(book, call)
        verdict = judged(disk.files, (book.head.sequence, book.head.hash))
        assert verdict.good, verdict.sentences()
        assert all(len(data) <= SMALL.segment_bytes for data in disk.files)
    assert "turned" in events(disk)
    assert verdict.first is not None
    assert verdict.first.sequence == verdict.dropped_to + 1
    assert "receipts_short" in book.findings(), "they were a day old"


def test_what_is_190_days_old_may_be_overwritten() -> None:
    clock, disk = Clock(), ModelDisk()
    book = ledger(disk, clock)
    for call in range(1, 8):
        view(book, call)
    assert "turned" not in events(disk)
    clock.day = "2026-10-01"
    view(book, 8)
    view(book, 9)
    assert "turned" in events(disk)
    assert book.findings() == []
    assert old_enough("2026-03-01T08:00:00+00:00", "2026-09-07T08:00:00+00:00")
    assert not old_enough("2026-03-01T08:00:00+00:00", "2026-09-07T07:59:59+00:00")


# -- the disk says no --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_without_room_views_go_on_and_lines_are_written_later(error: int) -> None:
    disk = ModelDisk()
    book = ledger(disk)
    before = book.head
    disk.refuses = lambda what: error if what in ("write", "cut") else 0
    view(book, 1)
    assert book.findings() == ["receipts_held"]
    assert book.facts()["reason"] == errno.errorcode[error]
    assert book.head == before, "only what is durable is told"
    assert not book.read(0, "list"), "who cannot be written down is not shown anything"
    disk.refuses = lambda what: 0
    book.settle()
    assert book.findings() == []
    assert events(disk) == ["started", "opened", "ended", "resumed"]
    assert b'"held":2,"lost":0' in disk.files[0]
    assert judged(disk.files).good


@pytest.mark.parametrize("kept", [0, 1, 200])
@pytest.mark.parametrize("cut_works", [True, False])
def test_a_short_write_leaves_nothing_behind(kept: int, cut_works: bool) -> None:
    disk = ModelDisk()
    book = ledger(disk)
    disk.short = kept
    disk.refuses = lambda what: errno.EROFS if what == "cut" and not cut_works else 0
    book.view("opened", 1, TOLD | {"viewer": "x" * 96})
    assert book.findings() == ["receipts_held"]
    disk.short, disk.refuses = None, lambda what: 0
    book.settle()
    assert events(disk) == ["started", "opened", "resumed"]
    assert judged(disk.files).good


def test_a_shorter_line_covers_what_a_short_write_left() -> None:
    disk = ModelDisk()
    book = ledger(disk)
    book.view("opened", 1, TOLD)
    book.view("closed", 1, ENDED)  # it waits for its turn
    disk.short, disk.refuses = -5, lambda what: errno.EROFS if what == "cut" else 0
    book.view("opened", 2, TOLD | {"viewer": "x" * 96})
    assert book.findings() == ["receipts_held"]
    disk.short, disk.refuses = None, lambda what: 0
    book.settle()
    assert events(disk) == ["started", "opened", "ended", "opened", "resumed"]
    assert judged(disk.files).good


def test_memory_is_bounded_and_what_is_lost_is_counted() -> None:
    disk = ModelDisk()
    book = ledger(disk, layout=Layout(2, 64 << 20))
    disk.refuses = lambda what: errno.ENOSPC if what == "write" else 0
    for call in range(3000):
        book.view("opened", call, TOLD)
    lost = book.counters["receipts_lost"]
    assert lost > 0
    assert book._waiting_bytes <= MAX_WAITING_BYTES
    assert set(book.findings()) == {"receipts_held", "receipts_lost"}
    disk.refuses = lambda what: 0
    while book.facts()["waiting"]:
        book.settle()
    assert f'"held":{3000 - lost},"lost":{lost}'.encode() in disk.files[0]
    assert events(disk).count("opened") == 3000 - lost
    assert judged(disk.files).good


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_sync_that_fails_ends_the_process_and_the_next_life_reads_anew(error: int) -> None:
    disk = ModelDisk()
    book = ledger(disk)
    disk.refuses = lambda what: error if what == "sync" else 0
    with pytest.raises(Untrusted) as lost:
        book.view("opened", 1, TOLD)
    assert lost.value.reason == errno.errorcode[error]
    disk = disk.again()
    assert ledger(disk).findings() == []
    assert judged(disk.files).good


@pytest.mark.parametrize("what", ["folder", "open", "read", "sync"])
def test_a_disk_that_is_broken_from_the_start_costs_the_receipts_not_the_views(what: str) -> None:
    disk = ModelDisk([bytearray(b"x\n") for _ in range(3)])
    disk.refuses = lambda did: errno.EIO if did == what else 0
    book = ledger(disk)
    view(book, 1)
    assert book.findings() == ["receipts_untrusted"]
    assert book.facts()["reason"] == "EIO"
    assert not book.busy


# -- what others can cause ---------------------------------------------------------------------------------------------


def test_refusals_cannot_wash_the_ring() -> None:
    clock, disk = Clock(), ModelDisk()
    book = ledger(disk, clock, Layout(2, 8 << 20))
    for call in range(10_000):
        book.view("closed", call, REFUSED)
    for _ in range(20):
        book.settle()
    assert events(disk).count("refused") == 60
    clock.monotonic += 600
    book.settle()
    assert b'"of":"refused","counts":{"channel_not_shared":9940}' in disk.files[0]
    book.view("closed", 1, REFUSED)
    book.settle()
    assert events(disk)[-2:] == ["counted", "refused"]


def test_the_refusal_of_a_view_that_began_is_always_written() -> None:
    disk = ModelDisk()
    book = ledger(disk, layout=Layout(2, 8 << 20))
    for call in range(200):
        book.view("opened", call, TOLD)
        book.view("closed", call, REFUSED | {"reason": "recorder_offline"})
        book.settle()
    assert events(disk).count("refused") == 200


def test_readings_are_written_then_counted() -> None:
    clock, disk = Clock(), ModelDisk()
    book = ledger(disk, clock, Layout(2, 8 << 20))
    assert all(book.read(1000, "page") for _ in range(100))
    clock.monotonic += 600
    book.settle()
    assert events(disk).count("read") == 60
    assert b'"of":"read","counts":{"uid 1000":40}' in disk.files[0]


def test_a_purse_fills_again_but_not_over_its_brim() -> None:
    purse = Purse()
    assert sum(purse.admits("x", 0.0) for _ in range(100)) == 60
    assert sum(purse.admits("x", 600.0) for _ in range(100)) == 2
    assert sum(purse.admits("x", 1e9) for _ in range(100)) == 60


# -- power goes --------------------------------------------------------------------------------------------------------


class Witness(ModelDisk):
    """Notes in the log what was promised when."""

    def promise(self, book: Ledger) -> None:
        self.log.append(("said", -1, book.head.hash.encode(), book.head.sequence))


def scripted() -> Witness:
    disk = Witness()
    book = ledger(disk)
    disk.promise(book)
    for call in range(1, 13):
        book.view("opened", call, TOLD | {"viewer": "南谯" * (call % 7)})
        disk.promise(book)
        if call % 3:
            book.view("closed", call, ENDED)
            book.settle()
            disk.promise(book)
    return disk


def some(length: int) -> Iterator[int]:
    yield from sorted({1, length // 2, length - 2, length - 1, length})


def check(files: list[bytearray], said: tuple[int, str], torn: bool = False) -> ModelDisk:
    """Begin a life on ``files``; what was promised is there, the chain is whole, and what was torn is written down."""
    disk = ModelDisk([bytearray(data) for data in files])
    book = ledger(disk)
    assert book.findings() in ([], ["receipts_short"])
    verdict = judged(disk.files, *([said] if said[0] else []), (book.head.sequence, book.head.hash))
    assert verdict.good, verdict.sentences()
    assert book.head.sequence > said[0]
    assert "torn" in events(disk) or not torn
    return disk


def test_power_goes_anywhere_and_what_was_promised_is_there() -> None:
    log = scripted().log
    start = [bytearray() for _ in range(SMALL.segments)]
    states = 0
    for cut in range(len(log) + 1):
        said = next(((step[3], bytes(step[2]).decode()) for step in reversed(log[:cut]) if step[0] == "said"), (0, ""))  # type: ignore[arg-type]
        for files in after_power_cut(start, [s for s in log[:cut] if s[0] != "said"], some):
            states += 1
            mended = check(files, said)
            torn = "torn" in events(mended)
            for again in range(len(mended.log)):  # and it goes again while the first cut is being mended
                for twice in after_power_cut(files, mended.log[:again], lambda n: iter((1, n - 1, n))):
                    states += 1
                    check(twice, said, torn)
    assert states > 5000, "the model has lost its states"


def test_power_goes_at_every_octet_of_a_line() -> None:
    log = [step for step in scripted().log if step[0] != "said"]
    start = [bytearray() for _ in range(SMALL.segments)]
    last = max(n for n, step in enumerate(log) if step[0] == "write")
    for files in after_power_cut(start, log[: last + 1], lambda length: iter(range(length + 1))):
        check(files, (0, ""))


def test_the_model_forgets_what_was_not_synced() -> None:
    """Its control: without the syncs, promises are broken."""
    log = [step for step in scripted().log if step[0] != "sync"]
    cut = [n for n, step in enumerate(log) if step[0] == "said"][3]
    said = (log[cut][3], bytes(log[cut][2]).decode())  # type: ignore[arg-type]
    start = [bytearray() for _ in range(SMALL.segments)]
    with pytest.raises(AssertionError):
        for files in after_power_cut(start, [s for s in log[:cut] if s[0] != "said"], some):
            check(files, said)


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_a_year_either_way_leaves_a_whole_chain_and_says_so() -> None:
    """The wall is as wrong as it is; the numbers, the boot and its monotonic seconds tell the order and the span."""
    disk, clock = ModelDisk(), Clock()
    book = ledger(disk, clock)
    view(book, 1)
    for call, day in ((2, "2027-03-01"), (3, "2025-03-01"), (4, "2026-03-01")):
        clock.day = day
        view(book, call)
    verdict = judged(disk.files, (book.head.sequence, book.head.hash))
    assert not verdict.problems
    lines = [line for data in disk.files for raw in bytes(data).split(b"\n") if (line := read(raw)) is not None]
    lines.sort(key=lambda line: line.head.sequence)
    said = [json.loads(raw) for data in disk.files for raw in bytes(data).split(b"\n") if raw.strip(b"\0")]
    assert [each["monotonic"] for each in said] == sorted(each["monotonic"] for each in said)
    assert {each["boot"] for each in said} == {Clock()().boot}
    assert {line.head.time[:4] for line in lines} == {"2025", "2026", "2027"}


def test_a_clock_that_jumped_loses_no_receipt_before_its_time() -> None:
    """What is overwritten goes by its place in the ring, never by what the wall says of its age."""
    disk, clock = ModelDisk(), Clock()
    book = ledger(disk, clock)
    view(book, 1)
    clock.day = "2036-03-01"
    view(book, 2)
    assert events(disk).count("opened") == 2
    assert "turned" not in events(disk)
