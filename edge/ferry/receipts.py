"""A receipt of every view: what a line says, how the lines hang together, how many fit. Pure: no clock, no file.

A line is one JSON object on one line of UTF-8, at most ``MAX_LINE_BYTES`` long, its members always in the same order:
``sequence, boot, monotonic, time, event``, then what the event has to say, then ``previous`` and ``hash``. The hash is
the SHA-256 of the octets of the line without its last member, ``,"hash":"..."``; ``previous`` is the hash of the line
before, 64 zeros for the first. So every octet of a line is under its own hash, and its place under the next line's.

What fits: 16 segments of 32 MiB are 512 MiB. Fifteen are full when the oldest is overwritten: 480 MiB. A view is two
lines, about 1.4 KiB together, so 190 days hold 350,000 views, some 1,800 a day. Lines that somebody else can cause
without limit (refusals, readings) cost a token each: 60 at once, then one in 5 minutes, the rest is counted and the
counts written every 10 minutes. That is at most 432 lines a day of each kind, 50 MiB in 190 days each (orders: 200 at once, then one
in 2 minutes, 720 lines a day, 80 MiB), so that nobody can wash the views out of the ring by asking for what he does not get. Whoever *is* given views at more than that
rate does wash it; the line ``turned`` and the finding ``receipts_short`` then say so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

UNDECLARED = "未声明"
KEEP_DAYS = 190
#: The longest: the end of a playback with 96 octets of viewer, all of them quotation marks, and all its figures.
MAX_LINE_BYTES = 1280
NO_HASH = "0" * 64
_SEALED = re.compile(rb'(\{"sequence":([1-9][0-9]{0,17}),.*),"hash":"([0-9a-f]{64})"\}', re.DOTALL)
_CODE = re.compile(r"(?<![0-9])[0-9]{20}(?![0-9])", re.ASCII)
#: Octets 3-8 of an organisation's code that are zero from some pair on say how high it stands (GB/T 28181 annex D).
_LEVELS = ((2, "province"), (4, "city"), (6, "county"), (8, "township"))

Value = str | int | float | Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Moment:
    """When, thrice: this boot's id, its monotonic seconds, and UTC as the box knows it (ISO 8601 with its zone)."""

    boot: str
    monotonic: float
    time: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last line of the chain: its number, its hash, its time."""

    sequence: int = 0
    hash: str = NO_HASH
    time: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A line that is not in the chain yet: its members between the number and ``previous``, written out."""

    event: str
    time: str
    members: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was read, its own hash proved right."""

    head: Head
    event: str


def draft(moment: Moment, event: str, told: Mapping[str, Value]) -> Draft:
    """Return what is to become a line."""
    members = {"boot": moment.boot, "monotonic": moment.monotonic, "time": moment.time, "event": event, **told}
    return Draft(event, moment.time, _json(members)[1:-1])


def seal(head: Head, waiting: Draft) -> tuple[bytes, Head]:
    """Return the line that follows ``head``, with its newline, and the chain's new head."""
    number = head.sequence + 1
    body = b'{"sequence":%d,%b,"previous":"%b"}' % (number, waiting.members, head.hash.encode("ascii"))
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + b',"hash":"%b"}\n' % digest.encode("ascii"), Head(number, digest, waiting.time)


def read(line: bytes) -> Line | None:
    """Return a line, given without its newline, if its own hash is right."""
    found = _SEALED.fullmatch(line)
    if found is None or hashlib.sha256(found[1] + b"}").hexdigest().encode("ascii") != found[3]:
        return None
    try:
        said = json.loads(line)
        return Line(Head(int(found[2]), found[3].decode("ascii"), str(said["time"])), str(said["event"]))
    except (ValueError, KeyError, RecursionError):
        return None


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


# -- what was left at the end of a file --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a segment: its last good line, where it ends, and what stands behind it."""

    last: Line
    end: int
    rest: bytes

    @property
    def torn(self) -> bool:
        """Whether the rest is one write cut short, not lines that somebody changed.

        At most one line at a time is not yet durable. Cut short it lacks its newline, or a block of it is zeros.
        """
        return 0 < len(self.rest) <= MAX_LINE_BYTES and (not self.rest.endswith(b"\n") or b"\0" in self.rest)

    @property
    def head(self) -> Head:
        """What the next line follows: changed lines keep their numbers, and the hash that the last of them shows."""
        if not self.rest or self.torn:
            return self.last.head
        lines = self.rest.removesuffix(b"\n").split(b"\n")
        shown = _SEALED.fullmatch(lines[-1])
        digest = shown[3].decode("ascii") if shown else self.last.head.hash
        return Head(self.last.head.sequence + len(lines), digest, self.last.head.time)


def tail(data: bytes, offset: int) -> Tail | None:
    """Return the end of a segment whose octets from ``offset`` on are ``data``; None if no line in them is good."""
    end = len(data)
    while (newline := data.rfind(b"\n", 0, end)) >= 0:
        begin = data.rfind(b"\n", 0, newline) + 1
        line = read(data[begin:newline])
        if line is not None:
            return Tail(line, offset + newline + 1, data[newline + 1 :])
        end = newline
    return None


def unended(data: bytes) -> int:
    """Return how many views in ``data`` began in the process's last life and did not end in it."""
    calls: set[int] = set()
    for line in data.split(b"\n"):
        try:
            said = json.loads(line)
            event, call = said["event"], said.get("call", 0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if event in ("started", "restarted"):
            calls.clear()
        elif event == "opened":
            calls.add(call)
        else:
            calls.discard(call)
    return len(calls)


def old_enough(until: str, now: str) -> bool:
    """Return whether what was written last at ``until`` has been kept for 190 days."""
    try:
        return datetime.fromisoformat(now) - datetime.fromisoformat(until) >= timedelta(days=KEEP_DAYS)
    except (ValueError, TypeError):
        return False


# -- who -------------------------------------------------------------------------------------------------------------


def viewer(declared: str) -> dict[str, Value]:
    """Return who watches: what he calls himself, the code of his organisation, and its level; 未声明 for each not said.

    A Monitor-User-Identity is the user's own part with the id of each gateway it came through before it, joined by
    "-" (GB/T 28181-2022 8.3): the last code of 20 digits is his own or that of the gateway he stands behind. Its level
    is read from its administrative digits, nobody vouches for it.
    """
    codes = _CODE.findall(declared)
    return {
        "viewer": declared or UNDECLARED,
        "organisation": codes[-1] if codes else UNDECLARED,
        "level": _level(codes[-1]) if codes else UNDECLARED,
    }


def rank(declared: str) -> int:
    """Return how high the level stands that a viewer declares: 0 for none, then township to province."""
    levels = [name for _, name in reversed(_LEVELS)]
    level = str(viewer(declared)["level"])
    return 1 + levels.index(level) if level in levels else 0


def _level(code: str) -> str:
    return next(level for digits, level in _LEVELS if not code[digits:8].strip("0"))


# -- what may be written how often ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Purse:
    """Tokens for lines of one kind, and counts of those that had none."""

    most: int = 60
    refill_seconds: float = 300.0
    tell_seconds: float = 600.0
    counts: Counter[str] = field(default_factory=Counter)
    tokens: float = field(init=False)
    seen: float | None = None
    told: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = float(self.most)

    def admits(self, about: str, now: float) -> bool:
        """Return whether a line may be written, and take its token; else count it under ``about``."""
        if self.seen is not None:
            self.tokens = min(self.most, self.tokens + (now - self.seen) / self.refill_seconds)
        self.seen = now
        if self.tokens >= 1:
            self.tokens -= 1
            return True
        if not self.counts:
            self.told = now
        self.counts[about] += 1
        return False

    def due(self, now: float) -> dict[str, int]:
        """Return, once, what was counted and is now to be written."""
        if not self.counts or now - self.told < self.tell_seconds:
            return {}
        counts, self.counts = dict(self.counts.most_common(MOST_COUNTS)), Counter()
        return counts


#: A reason and its count are at most 40 octets in a line.
MOST_COUNTS = 12


class Views:
    """From what the ferry tells to what is to be written: when each view began, and which lines are only counted."""

    def __init__(self) -> None:
        self._began: dict[int, str] = {}
        # An operator at a joystick gives some orders a second, for hours: the first say who it was, the rest how many.
        self._purses = {"refused": Purse(), "read": Purse(), "ordered": Purse(most=200, refill_seconds=120.0)}

    def opened(self, call: int, told: Mapping[str, str | int], at: Moment) -> Draft:
        """A view begins."""
        self._began[call] = at.time
        return draft(at, "opened", _view(call, told, at.time, ""))

    def closed(self, call: int, told: Mapping[str, str | int], at: Moment) -> Draft | None:
        """A view ends or is refused; None when a refusal is only counted."""
        began = self._began.pop(call, None)
        if began is None and not self._purses["refused"].admits(str(told["reason"]), at.monotonic):
            return None
        event = "refused" if told["result"] == "refused" else "ended"
        return draft(at, event, _view(call, told, began or at.time, at.time))

    def ordered(self, told: Mapping[str, str | int], at: Moment) -> Draft | None:
        """Something was ordered or refused; None when it is only counted."""
        refused = told["result"] == "refused"
        about = str(told["reason"]) if refused else str(told["action"])
        if not self._purses["refused" if refused else "ordered"].admits(about, at.monotonic):
            return None
        rest = {name: value for name, value in told.items() if name != "viewer"}
        return draft(at, "refused" if refused else "ordered", {**viewer(str(told["viewer"])), **rest})

    def read(self, uid: int, what: str, at: Moment) -> Draft | None:
        """Somebody reads the receipts; None when it is only counted."""
        if not self._purses["read"].admits(f"uid {uid}", at.monotonic):
            return None
        return draft(at, "read", {"uid": uid, "what": what})

    def counted(self, at: Moment) -> list[Draft]:
        """Return the lines about what was only counted and is due."""
        return [
            draft(at, "counted", {"of": of, "counts": counts})
            for of, purse in self._purses.items()
            if (counts := purse.due(at.monotonic))
        ]


def _view(call: int, told: Mapping[str, str | int], began: str, ended: str) -> dict[str, Value]:
    who = viewer(str(told["viewer"]))
    rest = {name: value for name, value in told.items() if name != "viewer"}
    return {"call": call, **who, **rest, "from": began, "to": ended}
