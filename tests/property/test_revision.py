"""Histories of confirmed commit drawn by lot, with the power going at any moment: it always ends on a confirmed revision."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from netconf.finding import Finding, finding
from netconf.revision import TABLE, Action, ChangeRefused, Commit, Event, Journal, State

HISTORIES = 3000


class PowerLost(Exception):
    pass


@dataclass
class Disk:
    """A disk that forgets what was not made durable, in a box whose kernel forgets everything."""

    chance: random.Random
    journal: bytes = Journal().encode()
    documents: dict[int, bytes] = field(default_factory=dict)
    kernel: bytes = b"shut"
    published: bytes = b""
    #: Steps until the power goes; None: it stays.
    steps: int | None = None
    refuses: float = 0.0
    acknowledged: bytes = b""

    def _step(self) -> None:
        if self.steps is not None:
            self.steps -= 1
            if self.steps < 0:
                raise PowerLost

    def write_journal(self, journal: Journal) -> None:
        self._step()
        if self.chance.random() < self.refuses:
            if self.chance.random() < 0.5:
                self.journal = journal.encode()  # EIO, and it is there all the same
            raise OSError(5, "EIO")
        self.journal = journal.encode()
        self._step()

    def write_document(self, number: int, document: bytes) -> None:
        self._step()
        if self.chance.random() < self.refuses:
            raise OSError(28, "ENOSPC")
        self.documents[number] = document

    def read_document(self, number: int) -> bytes | None:
        return self.documents.get(number)

    def apply(self, document: bytes) -> tuple[Finding, ...]:
        self._step()
        self.kernel = b"half of it"
        self._step()
        self.kernel = document
        return (finding("not_held"),) if document.startswith(b"bad") else ()

    def publish(self, document: bytes) -> None:
        self._step()
        self.published = document

    def shut(self) -> None:
        self.kernel, self.published = b"shut", b""


def start(disk: Disk) -> Commit:
    journal = Journal.decode(disk.journal)
    assert journal is not None
    commit = Commit(disk, journal, lambda: f"{disk.chance.random()}")
    commit.restore()
    return commit


def restart(disk: Disk) -> Commit:
    """The power is back, and goes again now and then while the box starts."""
    for _ in range(20):
        disk.kernel, disk.published = b"shut", b""
        disk.steps = disk.chance.choice([None, None, 0, 1, 2, 3])
        try:
            return start(disk)
        except PowerLost:
            continue
    disk.steps = None
    return start(disk)


def act(commit: Commit, disk: Disk, now: float, number: int) -> None:
    chance = disk.chance
    what = chance.choice(
        ["propose", "propose", "confirm", "confirm", "reject", "wait", "strange token", "other caller"]
    )
    held = commit.pending
    if what == "propose":
        document = f"{chance.choice(['good', 'good', 'good', 'bad'])} {number}".encode()
        seconds = chance.choice([0, 30])
        commit.propose(document, "web", seconds, now)
        if seconds == 0:
            disk.acknowledged = document
    elif what == "confirm" and held is not None:
        wanted = commit._document
        commit.confirm(held.token, "web")
        disk.acknowledged = wanted
    elif what == "reject" and held is not None:
        commit.reject(held.token, "web")
    elif what == "strange token" and held is not None:
        with pytest.raises(ChangeRefused, match="not_your_change"):
            commit.confirm("0", "web")
    elif what == "other caller" and held is not None:
        with pytest.raises(ChangeRefused, match="not_your_change"):
            commit.confirm(held.token, "agent")
    commit.tick(now)


@pytest.mark.parametrize("block", range(30))
def test_every_history_ends_on_a_confirmed_revision(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        chance = random.Random(seed)  # noqa: S311 - a test's
        disk = Disk(chance)
        commit, now = start(disk), 0.0
        for number in range(chance.randrange(1, 12)):
            now += chance.choice([0.1, 1.0, 31.0])
            disk.steps = chance.choice([None, None, 0, 1, 2, 3, 4, 5, 6])
            disk.refuses = chance.choice([0.0, 0.0, 0.3])
            try:
                act(commit, disk, now, number)
            except ChangeRefused:
                pass
            except PowerLost:
                disk.refuses = 0.0
                commit = restart(disk)
        disk.steps, disk.refuses = None, 0.0
        settle(commit, disk, now)


def settle(commit: Commit, disk: Disk, now: float) -> None:
    commit.tick(now + 1000)
    commit.tick(now + 2000)
    assert commit.state is State.STEADY
    confirmed = commit.confirmed()
    assert disk.kernel == (confirmed or b"shut"), "the kernel has what is confirmed"
    assert disk.published == (confirmed or b"")
    assert confirmed is None or confirmed.startswith(b"good"), "what did not hold is never confirmed"
    # And so does a box that is started from that disk.
    disk.kernel, disk.published = b"shut", b""
    again = start(disk)
    assert again.state is State.STEADY
    found = again.confirmed()
    assert disk.kernel == (found or b"shut")
    assert found is None or found.startswith(b"good")


def test_what_was_acknowledged_is_there_after_any_power_cut() -> None:
    """Each step of one proposal and its confirmation, cut there: acknowledged means confirmed, whole, for good."""
    for cut in range(14):
        disk = Disk(random.Random(0))  # noqa: S311 - a test's
        commit = start(disk)
        commit.propose(b"good 1", "web", 0, 0.0)
        disk.steps = cut
        acknowledged = False
        try:
            held = commit.propose(b"good 2", "web", 30, 0.0)
            assert held is not None
            commit.confirm(held.token, "web")
            acknowledged = True
        except PowerLost:
            pass
        disk.steps = None
        disk.kernel = b"shut"
        after = start(disk).confirmed()
        assert after in (b"good 1", b"good 2")
        assert disk.kernel == after
        assert not acknowledged or after == b"good 2"
    assert acknowledged, "the last cut comes after the end"


def test_a_change_that_was_undone_is_remembered_with_its_reason() -> None:
    disk = Disk(random.Random(0))  # noqa: S311 - a test's
    commit = start(disk)
    commit.propose(b"good 1", "operator", 0, 0.0)
    with pytest.raises(ChangeRefused, match="change_undone"):
        commit.propose(b"bad 2", "web", 30, 0.0)
    commit.propose(b"good 3", "web", 30, 0.0)
    commit.tick(31.0)
    commit.propose(b"good 4", "agent", 30, 40.0)
    commit = start(disk)
    assert [(one.number, one.reason, one.caller) for one in commit.journal.failed] == [
        (2, "not_held", "web"), (3, "not_confirmed", "web"), (4, "power_lost", "agent"),
    ]  # fmt: skip
    assert disk.kernel == b"good 1"


def test_a_second_change_is_refused_before_anything_is_touched() -> None:
    disk = Disk(random.Random(0))  # noqa: S311 - a test's
    commit = start(disk)
    commit.propose(b"good 1", "web", 30, 0.0)
    before = disk.journal
    with pytest.raises(ChangeRefused, match="change_pending"):
        commit.propose(b"good 2", "agent", 30, 1.0)
    assert disk.journal == before
    assert disk.kernel == b"good 1"


def test_a_city_layers_mark_only_rises_and_survives_what_was_undone() -> None:
    disk = Disk(random.Random(0))  # noqa: S311 - a test's
    commit = start(disk)
    commit.propose(b"good 1", "operator", 0, 0.0)
    with pytest.raises(ChangeRefused):
        commit.propose(b"bad 2", "agent", 30, 0.0, (1, 7))
    assert start(disk).journal.highest == (1, 7)
    commit = start(disk)
    commit.propose(b"good 3", "web", 0, 0.0)
    assert start(disk).journal.highest == (1, 7)


def test_a_damaged_document_gives_way_to_the_one_before_and_a_damaged_journal_is_known() -> None:
    disk = Disk(random.Random(0))  # noqa: S311 - a test's
    commit = start(disk)
    commit.propose(b"good 1", "web", 0, 0.0)
    commit.propose(b"good 2", "web", 0, 0.0)
    disk.documents[2] = b"gooc 2"
    assert start(disk).confirmed() == b"good 1"
    assert disk.kernel == b"good 1"
    for at in range(0, len(disk.journal), 7):
        damaged = bytearray(disk.journal)
        damaged[at] ^= 1
        found = Journal.decode(bytes(damaged))
        assert found is None or found == Journal.decode(disk.journal)


def test_the_table_says_where_every_event_goes() -> None:
    assert set(TABLE) == set(State)
    for state, row in TABLE.items():
        assert Event.LOST in row, "a death is an event in every state"
        for after, actions in row.values():
            assert after in State
            assert all(action in Action for action in actions)
        if state is not State.STEADY:
            assert Event.PROPOSE not in row, "one change at a time"
