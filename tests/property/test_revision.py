"""Histories of confirmed commit drawn by lot, with the power going at any moment: it always ends on a confirmed revision."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from netconf.finding import Finding, finding
from netconf.revision import TABLE, Action, ChangeRefused, Commit, Event, Journal, Pending, State

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
        [
            "propose",
            "propose",
            "confirm",
            "confirm",
            "prove",
            "prove",
            "reject",
            "wait",
            "strange token",
            "other caller",
        ]
    )
    held = commit.pending
    if what == "propose":
        document = f"{chance.choice(['good', 'good', 'good', 'bad'])} {number}".encode()
        seconds, proof_seconds = chance.choice([0, 30]), chance.choice([0, 20])
        commit.propose(document, "web", seconds, now, proof_seconds=proof_seconds)
        if seconds == 0 and not proof_seconds:
            disk.acknowledged = document
    elif what == "prove":
        green = chance.random() < 0.7
        commit.prove(() if green else (finding("proof_red"),), now)
        assert green or commit.state is State.STEADY
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
            if commit.state is State.PROVING:
                held = commit.confirmed()
                assert disk.kernel == (held or b"shut"), "nothing is applied before it is proven"
                assert disk.published == (held or b"")
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
            assert not {Event.PROPOSE, Event.PROPOSE_UNPROVEN} & set(row), "one change at a time"
        if state is not State.PROVING:
            assert not {Event.PROOF_GREEN, Event.PROOF_FAILED} & set(row), "a verdict nobody waits for does nothing"


def test_what_waits_for_its_proof_is_applied_by_a_green_one_alone() -> None:
    """The table walked from a proposal, by every event: nothing but a green proof leads to applying it."""
    state, done = TABLE[State.STEADY][Event.PROPOSE_UNPROVEN]
    assert (state, done) == (State.PROVING, (Action.JOURNAL_PENDING,))
    for event, (after, actions) in TABLE[State.PROVING].items():
        applied = Action.APPLY_PENDING in actions or Action.PUBLISH_PENDING in actions
        assert applied is (event is Event.PROOF_GREEN), event
        assert applied or Action.JOURNAL_FAILED in actions, f"{event}: it is remembered as failed"
        assert applied or after is State.STEADY or Action.APPLY_CONFIRMED in actions, (
            f"{event}: what is confirmed holds"
        )


def proving(disk: Disk, seconds: int = 30) -> tuple[Commit, Pending]:
    commit = start(disk)
    commit.propose(b"good 1", "operator", 0, 0.0)
    held = commit.propose(b"good 2", "web", seconds, 0.0, proof_seconds=90)
    assert held is not None
    assert commit.state is State.PROVING
    assert disk.kernel == disk.published == b"good 1"
    return commit, held


RED = (finding("proof_red", count=2),)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda commit, held: commit.prove(RED, 5.0), "proof_red"),
        (lambda commit, held: commit.tick(91.0), "proof_missing"),
        (lambda commit, held: commit.reject(held.token, "web"), "rejected"),
    ],
)
def test_without_a_green_proof_nothing_is_applied_and_it_is_remembered(
    end: Callable[[Commit, Pending], None], reason: str
) -> None:
    disk = Disk(random.Random(0))  # noqa: S311 - a test's
    commit, held = proving(disk)
    # Whatever is written now is the confirmed revision, and nothing else.
    disk.kernel = disk.published = b"untouched"
    end(commit, held)
    assert disk.kernel == disk.published == b"untouched"
    assert commit.state is State.STEADY
    assert commit.confirmed() == b"good 1"
    assert commit.journal.failed[-1].reason == reason
    with pytest.raises(ChangeRefused, match=reason):
        commit.outcome(held.token, "web")
    disk.kernel = b"shut"
    start(disk)
    assert disk.kernel == b"good 1"
    assert Journal.decode(disk.journal) == commit.journal


def test_a_death_while_it_is_proven_ends_on_the_confirmed_revision() -> None:
    disk = Disk(random.Random(0))  # noqa: S311 - a test's
    proving(disk)
    disk.kernel, disk.published = b"shut", b""
    commit = start(disk)
    assert disk.kernel == disk.published == b"good 1"
    assert [(one.number, one.reason) for one in commit.journal.failed] == [(2, "power_lost")]
    with pytest.raises(ChangeRefused, match="power_lost"):
        commit.outcome("whatever it was", "web")
    with pytest.raises(ChangeRefused, match="nothing_pending"):
        start(disk).outcome("whatever it was", "web")
    with pytest.raises(ChangeRefused, match="verdict_stale"):
        commit.prove((), 1.0)


def test_a_green_proof_applies_it_and_its_time_to_be_confirmed_begins_then() -> None:
    disk = Disk(random.Random(0))  # noqa: S311 - a test's
    commit, held = proving(disk)
    with pytest.raises(ChangeRefused, match="proof_running"):
        commit.confirm(held.token, "web")
    with pytest.raises(ChangeRefused, match="change_pending"):
        commit.propose(b"good 3", "agent", 30, 1.0)
    commit.prove((), 80.0)
    assert disk.kernel == disk.published == b"good 2"
    waits = commit.outcome(held.token, "web")
    assert waits is not None
    assert (waits.token, waits.until) == (held.token, 110.0)
    with pytest.raises(ChangeRefused, match="not_your_change"):
        commit.outcome(held.token, "agent")
    commit.confirm(held.token, "web")
    assert commit.outcome(held.token, "web") is None
    assert commit.confirmed() == b"good 2"


def test_a_proven_change_that_needs_no_word_is_confirmed_by_its_proof() -> None:
    disk = Disk(random.Random(0))  # noqa: S311 - a test's
    commit, held = proving(disk, 0)
    commit.prove((), 5.0)
    assert commit.outcome(held.token, "web") is None
    assert start(disk).confirmed() == b"good 2"


def test_a_proven_change_that_does_not_hold_is_undone_as_any_other() -> None:
    disk = Disk(random.Random(0))  # noqa: S311 - a test's
    commit = start(disk)
    commit.propose(b"good 1", "operator", 0, 0.0)
    held = commit.propose(b"bad 2", "web", 30, 0.0, proof_seconds=90)
    assert held is not None
    commit.prove((), 5.0)
    assert disk.kernel == b"good 1"
    with pytest.raises(ChangeRefused, match="change_undone") as refused:
        commit.outcome(held.token, "web")
    assert [found.code for found in refused.value.findings] == ["not_held"]


def test_what_root_applies_without_a_proof_is_journalled_for_good() -> None:
    disk = Disk(random.Random(0))  # noqa: S311 - a test's
    commit = start(disk)
    commit.propose(b"good 1", "operator", 0, 0.0, waived=True)
    commit.propose(b"good 2", "operator", 0, 0.0)
    assert start(disk).journal.unproven == (1,)
