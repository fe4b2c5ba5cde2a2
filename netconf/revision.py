"""Confirmed commit: a change proves itself or is undone. A table, the journal behind it, and the machine. Pure.

A proposal is journalled, then applied, then read back. If it holds, it waits for the word of the party whose reach is at
stake; without that word, or when it does not hold, or when the power goes, the confirmed revision is applied again. One
whose rules are new is journalled and waits for their proof first: nothing of it is applied before that is green. The
journal is written before anything is done, and its one durable write is the moment at which a revision becomes
confirmed. So whatever happens, and whenever, the box comes back on a confirmed revision: pulling the plug is a rollback.

A cell says where to go and what to do, in order. An event without a cell is refused by name and changes nothing.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from netconf.finding import Finding, finding

#: Shorter, and a browser that loads the new page over a slow phone is not back in time: a good change is undone.
LEAST_SECONDS = 10
#: Longer, and an owner who cut himself off stands before a dead box without knowing that it will come back.
MOST_SECONDS = 600
MAX_FAILED = 16
MAX_JOURNAL_BYTES = 1 << 16


class State(enum.StrEnum):
    STEADY = "steady"
    PROVING = "proving"
    APPLYING = "applying"
    WAITING = "waiting"
    REVERTING = "reverting"


class Event(enum.StrEnum):
    PROPOSE = "propose"
    #: Its rules are none that were proven.
    PROPOSE_UNPROVEN = "propose_unproven"
    PROOF_GREEN = "proof_green"
    PROOF_FAILED = "proof_failed"
    HOLDS = "holds"
    HOLDS_NOT = "holds_not"
    CONFIRM = "confirm"
    REJECT = "reject"
    TIMEOUT = "timeout"
    #: We died in between, by kill or by power; told at the next start.
    LOST = "lost"


class Action(enum.StrEnum):
    JOURNAL_PENDING = "journal_pending"
    APPLY_PENDING = "apply_pending"
    PUBLISH_PENDING = "publish_pending"
    JOURNAL_CONFIRMED = "journal_confirmed"
    JOURNAL_FAILED = "journal_failed"
    APPLY_CONFIRMED = "apply_confirmed"
    PUBLISH_CONFIRMED = "publish_confirmed"


_S, _E, _A = State, Event, Action
_BACK = (_S.REVERTING, (_A.JOURNAL_FAILED, _A.APPLY_CONFIRMED))
#: Nothing of it was applied: what is confirmed holds all the while.
_DROPPED = (_S.STEADY, (_A.JOURNAL_FAILED,))
TABLE: dict[State, dict[Event, tuple[State, tuple[Action, ...]]]] = {
    _S.STEADY: {
        _E.PROPOSE: (_S.APPLYING, (_A.JOURNAL_PENDING, _A.APPLY_PENDING)),
        _E.PROPOSE_UNPROVEN: (_S.PROVING, (_A.JOURNAL_PENDING,)),
        _E.LOST: (_S.REVERTING, (_A.APPLY_CONFIRMED,)),
    },
    _S.PROVING: {
        _E.PROOF_GREEN: (_S.APPLYING, (_A.APPLY_PENDING,)),
        _E.PROOF_FAILED: _DROPPED,
        _E.REJECT: _DROPPED,
        _E.TIMEOUT: _DROPPED,
        _E.LOST: _BACK,
    },
    _S.APPLYING: {
        _E.HOLDS: (_S.WAITING, (_A.PUBLISH_PENDING,)),
        _E.HOLDS_NOT: _BACK,
        _E.LOST: _BACK,
    },
    _S.WAITING: {
        _E.CONFIRM: (_S.STEADY, (_A.JOURNAL_CONFIRMED,)),
        _E.REJECT: _BACK,
        _E.TIMEOUT: _BACK,
        _E.LOST: _BACK,
    },
    _S.REVERTING: {
        _E.HOLDS: (_S.STEADY, (_A.PUBLISH_CONFIRMED,)),
        _E.HOLDS_NOT: (_S.REVERTING, ()),
        _E.TIMEOUT: (_S.REVERTING, (_A.APPLY_CONFIRMED,)),
        _E.LOST: (_S.REVERTING, (_A.APPLY_CONFIRMED,)),
    },
}


class ChangeRefused(Exception):
    """The change cannot be made now, or by this caller; ``rule`` is a code of ``words``. Nothing was changed."""

    def __init__(self, rule: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(rule)
        self.rule = rule
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Failed:
    """A revision that was undone, and why: a code of ``words``."""

    number: int
    digest: str
    reason: str
    caller: str


@dataclass(frozen=True, slots=True)
class Journal:
    """What must survive. ``confirmed``, ``previous`` and ``pending`` are (number, digest) of documents; number 0 is none.

    ``highest`` is the highest (epoch, revision) of a city layer that was ever tried: it only rises. ``unproven`` are the
    last numbers of what root applied without a proof.
    """

    serial: int = 0
    number: int = 0
    confirmed: tuple[int, str] = (0, "")
    previous: tuple[int, str] = (0, "")
    pending: tuple[int, str] = (0, "")
    pending_caller: str = ""
    highest: tuple[int, int] = (0, 0)
    failed: tuple[Failed, ...] = ()
    unproven: tuple[int, ...] = ()

    def encode(self) -> bytes:
        body = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return json.dumps({"body": body, "sha256": _digest(body.encode("ascii"))}).encode("ascii")

    @classmethod
    def decode(cls, data: bytes) -> Journal | None:
        """Return what was encoded, or None when a bit of it is not as it was."""
        try:
            outer = json.loads(data)
            body = outer["body"]
            if outer["sha256"] != _digest(body.encode("ascii")):
                return None
            facts = json.loads(body)
            pairs = {name: tuple(facts[name]) for name in ("confirmed", "previous", "pending", "highest")}
            pairs["unproven"] = tuple(facts.get("unproven", ()))  # older journals have none
            return cls(**facts | pairs | {"failed": tuple(Failed(**one) for one in facts["failed"])})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


class Box(Protocol):
    """What the machine has done for it; the keeper does it, a test's model does it."""

    def write_journal(self, journal: Journal) -> None:
        """Make it durable. Raises OSError: it may or may not be."""

    def write_document(self, number: int, document: bytes) -> None:
        """Make it durable. Raises OSError."""

    def read_document(self, number: int) -> bytes | None:
        """Return the document, or None when there is none to read."""

    def apply(self, document: bytes) -> tuple[Finding, ...]:
        """Make the kernel so and read back; nothing found means that it holds."""

    def publish(self, document: bytes) -> None:
        """Let the daemons have it (tmpfs; not durable)."""

    def shut(self) -> None:
        """There is no confirmed revision: close everything and let the daemons have nothing."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that waits, for its proof or its word: who may confirm it, with which token, until when (monotonic)."""

    number: int
    token: str
    caller: str
    until: float


class Commit:
    """The machine. Everything is called from one thread; ``now`` is monotonic."""

    def __init__(self, box: Box, journal: Journal, token: Callable[[], str]) -> None:
        self._box = box
        self._token = token
        self.journal = journal
        self.state = State.STEADY
        self.pending: Pending | None = None
        self.findings: tuple[Finding, ...] = ()
        self._document = b""
        self._reason = ""
        self._caller = ""
        self._seconds = 0
        self._waived = False
        #: Whose the last proposal was, and why it came to nothing.
        self._asked = ("", "")
        self._refusal: ChangeRefused | None = None

    def restore(self) -> None:
        """At a start: what was confirmed holds again; what was pending is remembered as failed."""
        self.state = State.WAITING if self.journal.pending[0] else State.STEADY
        self._reason, self._caller = "power_lost", self.journal.pending_caller
        if self.confirmed() is not None or self.journal.pending[0]:
            self._on(Event.LOST)

    def confirmed(self) -> bytes | None:
        """Return the confirmed document, the one before when it is damaged, or None."""
        for number, digest in (self.journal.confirmed, self.journal.previous):
            document = self._box.read_document(number) if number else None
            if document is not None and _digest(document) == digest:
                return document
        return None

    def propose(
        self, document: bytes, caller: str, seconds: int, now: float, mark: tuple[int, int] | None = None, *,
        proof_seconds: float = 0.0, waived: bool = False,
    ) -> Pending | None:  # fmt: skip
        """Apply ``document``; return what waits for a word, or None when ``seconds`` is 0 and it is confirmed.

        With ``proof_seconds`` it is not applied, but waits so long for ``prove``. ``waived``: it should, and root wills
        that it does not; this is journalled.

        Raises:
            ChangeRefused: ``change_pending``, or it did not hold and was undone (with the findings).
        """
        if self.state is not State.STEADY:
            raise ChangeRefused("change_pending")
        if seconds and not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            raise ChangeRefused("confirm_seconds_range")
        self._document, self._reason, self._caller = document, "", caller
        self._seconds, self._waived = seconds, waived
        self._asked, self._refusal = (self._token(), caller), None
        self._mark = max(self.journal.highest, mark or (0, 0))
        try:
            self._on(Event.PROPOSE_UNPROVEN if proof_seconds else Event.PROPOSE)
        except OSError:
            self.state = State.STEADY
            raise ChangeRefused("disk_refuses") from None
        if proof_seconds:
            self._wait(now + proof_seconds)
        else:
            self._applied(now)
        return self.pending

    def prove(self, found: tuple[Finding, ...], now: float) -> None:
        """Take the verdict on the change that waits for its proof: nothing found, and it is applied.

        What became of it then is ``outcome``'s to say.

        Raises:
            ChangeRefused: ``verdict_stale``, nothing waits for one.
        """
        if self.state is not State.PROVING:
            raise ChangeRefused("verdict_stale")
        if found:
            self._reason = found[0].code
            self._on(Event.PROOF_FAILED)
            self._refusal = ChangeRefused(self._reason, found)
            return
        self._on(Event.PROOF_GREEN)
        with contextlib.suppress(ChangeRefused):
            self._applied(now)

    def outcome(self, token: str, caller: str) -> Pending | None:
        """Return what waits of the proposal of ``token``; None when it is confirmed.

        Raises:
            ChangeRefused: it was refused or undone; or it is not this caller's, or not the last one.
        """
        if not self._asked[0]:  # we were started again since
            raise self._refusal or ChangeRefused("nothing_pending")
        if (token, caller) != self._asked:
            raise ChangeRefused("not_your_change")
        if self._refusal is not None:
            raise self._refusal
        return self.pending

    def _applied(self, now: float) -> None:
        if not self.journal.pending[0]:
            raise ChangeRefused("change_undone", self.findings)
        self._wait(now + self._seconds)
        if self._seconds == 0:
            self._confirm()

    def _wait(self, until: float) -> None:
        self.pending = Pending(self.journal.pending[0], self._asked[0], self._caller, until)

    def confirm(self, token: str, caller: str) -> None:
        """Keep the pending change.

        Raises:
            ChangeRefused: nothing is pending, or it is not this caller's, or not its token.
        """
        self._holder(token, caller)
        if self.state is State.PROVING:
            raise ChangeRefused("proof_running")
        self._confirm()

    def _confirm(self) -> None:
        try:
            self._on(Event.CONFIRM)
        except OSError:
            # Whether the disk has it is unknown; both revisions are whole. We go back, which needs no disk.
            self._reason = "disk_refuses"
            self.state = State.WAITING
            self._on(Event.REJECT)
            raise ChangeRefused("disk_refuses") from None

    def reject(self, token: str, caller: str, reason: str = "rejected") -> None:
        """Undo the pending change.

        Raises:
            ChangeRefused: as for ``confirm``.
        """
        self._holder(token, caller)
        self._reason = reason
        self._on(Event.REJECT)

    def _holder(self, token: str, caller: str) -> None:
        if self.pending is None:
            raise ChangeRefused("nothing_pending")
        if self.pending.caller != caller or self.pending.token != token:
            raise ChangeRefused("not_your_change")

    def tick(self, now: float) -> None:
        """Undo what was not proven or confirmed in time; go on undoing what could not be undone."""
        waits = {State.PROVING: "proof_missing", State.WAITING: "not_confirmed"}
        if self.state in waits and self.pending is not None and now >= self.pending.until:
            self._reason = waits[self.state]
            self._on(Event.TIMEOUT)
            if self._reason == "proof_missing":
                self._refusal = ChangeRefused(self._reason, (finding(self._reason, what="a verdict in time"),))
        elif self.state is State.REVERTING:
            self._on(Event.TIMEOUT)

    # -- the table at work ---------------------------------------------------------------------------------------

    def _on(self, event: Event) -> None:
        self.state, actions = TABLE[self.state][event]
        for action in actions:
            follow = getattr(self, f"_{action.value}")()
            if follow is not None:
                self._on(follow)

    def _journal_pending(self) -> None:
        number = self.journal.number + 1
        self._box.write_document(number, self._document)
        journal = replace(
            self.journal,
            number=number,
            pending=(number, _digest(self._document)),
            pending_caller=self._caller,
            highest=self._mark,
            unproven=(*self.journal.unproven, *([number] if self._waived else ()))[-MAX_FAILED:],
        )
        self._write(journal)

    def _journal_confirmed(self) -> None:
        journal = self.journal
        self._write(replace(journal, confirmed=journal.pending, previous=journal.confirmed, pending=(0, "")))
        self.pending, self.findings = None, ()

    def _journal_failed(self) -> None:
        journal = self.journal
        failed = Failed(*journal.pending, self._reason or "not_held", self._caller)
        self._refusal = ChangeRefused(self._reason or "change_undone", () if self._reason else self.findings)
        kept = (*journal.failed, failed)[-MAX_FAILED:]
        self.pending = None
        try:
            self._write(replace(journal, pending=(0, ""), failed=kept))
        except OSError:
            # The disk may still call it pending: a start would undo it again, which is what we do now.
            self.journal = replace(journal, pending=(0, ""), failed=kept)

    def _write(self, journal: Journal) -> None:
        journal = replace(journal, serial=self.journal.serial + 1)
        self._box.write_journal(journal)
        self.journal = journal

    def _apply_pending(self) -> Event:
        self.findings = self._box.apply(self._document)
        return Event.HOLDS_NOT if self.findings else Event.HOLDS

    def _apply_confirmed(self) -> Event:
        document = self.confirmed()
        if document is None:
            self._box.shut()
            return Event.HOLDS
        found = self._box.apply(document)
        if found:
            self.findings = found
        return Event.HOLDS_NOT if found else Event.HOLDS

    def _publish_pending(self) -> None:
        self._box.publish(self._document)

    def _publish_confirmed(self) -> None:
        document = self.confirmed()
        if document is not None:
            self._box.publish(document)

    def facts(self, now: float) -> dict[str, Any]:
        """Return what status tells of changes."""
        return {
            "state": self.state.value,
            "revision": self.journal.confirmed[0],
            "city_layer": list(self.journal.highest),
            "pending": None
            if self.pending is None
            else {
                "revision": self.pending.number,
                "caller": self.pending.caller,
                "seconds_left": max(0, round(self.pending.until - now)),
            },
            "failed": [asdict(one) for one in self.journal.failed],
            "unproven": list(self.journal.unproven),
        }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
