"""The receipts as the ferry keeps them: written when the disk takes them, else held in memory, and what is wrong said.

Views go on whatever the disk does. A line that finds no room waits in memory, at most ``MAX_WAITING_BYTES``, and is
written when there is room again, followed by the line ``resumed``: it says how many had waited and how many were lost.
A disk that refuses to sync is another matter: ``Untrusted`` ends the process, so that the next life reads what is
really there. If it refuses in the first line of that life, too, the receipts stay in memory for as long as it lasts.
"""

from __future__ import annotations

import errno
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.ferry.receipts import Draft, Head, Moment, Value, Views, draft
from edge.ferry.ring import LAYOUT, Disk, Layout, NoRoom, Ring, Untrusted

MAX_WAITING_BYTES = 1 << 20
#: Each costs the disk a sync: some 5 ms on flash. What is left waits for the next turn of the loop.
MOST_LINES_A_TURN = 16


@dataclass(frozen=True, slots=True)
class Tools:
    """The clock and the disk; tests bring their own."""

    clock: Callable[[], Moment]
    disk: Disk
    layout: Layout = LAYOUT


class Ledger:
    """One life's receipts."""

    def __init__(self, folder: Path, tools: Tools) -> None:
        self._clock = tools.clock
        self._views = Views()
        self._waiting: deque[Draft] = deque()
        self._waiting_bytes = 0
        self._stopped = ""
        self._held = self._lost = 0
        self._ring: Ring | None = None
        self._untrusted = False
        self.counters: Counter[str] = Counter()
        try:
            self._ring = Ring(folder, tools.disk, tools.layout)
            self._begin(self._ring)
        except (OSError, Untrusted) as wrong:
            self._ring, self._untrusted = None, True
            self._stopped = (
                wrong.reason if isinstance(wrong, Untrusted) else errno.errorcode.get(wrong.errno or 0, "EIO")
            )

    def _begin(self, ring: Ring) -> None:
        """Say in the chain that a life begins, and what the last one left torn."""
        at, before = self._clock(), ring.head.sequence
        if ring.torn:
            self.counters["receipts_torn"] += 1
            self._put(draft(at, "torn", {"octets": ring.torn}), now=True)
        if before:
            self._put(draft(at, "restarted", {"unended": ring.unended}), now=True)
        else:
            self._put(draft(at, "started", {}), now=True)

    # -- what is told --------------------------------------------------------------------------------------------

    def view(self, event: str, call: int, told: Mapping[str, str | int]) -> None:
        """Write a view's line; one that opens is durable when this returns, unless a finding says otherwise.

        Raises:
            Untrusted: the process must end.
        """
        at = self._clock()
        if event == "opened":
            self._put(self._views.opened(call, told, at), now=True)
        elif event == "ordered":
            if (ordered := self._views.ordered(told, at)) is not None:
                self._put(ordered)
        elif (closed := self._views.closed(call, told, at)) is not None:
            self._put(closed)

    def read(self, uid: int, what: str) -> bool:
        """Write that somebody reads; False when that cannot be written now: he is not to be shown anything.

        Raises:
            Untrusted: the process must end.
        """
        if self._stopped:
            return False
        line = self._views.read(uid, what, self._clock())
        if line is not None:
            self._put(line, now=True)
        return not self._stopped

    def settle(self) -> None:
        """Write what waits, a few lines at a time.

        Raises:
            Untrusted: the process must end.
        """
        for line in self._views.counted(self._clock()):
            self._put(line)
        for _ in range(MOST_LINES_A_TURN):
            if not self._waiting or not self._write(self._waiting[0]):
                return
            self._waiting_bytes -= len(self._waiting.popleft().members)
            if self._stopped and not self._waiting:
                told: dict[str, Value] = {"reason": self._stopped, "held": self._held, "lost": self._lost}
                self._stopped, self._held, self._lost = "", 0, 0
                self._put(draft(self._clock(), "resumed", told))

    # -- what is written -----------------------------------------------------------------------------------------

    def _put(self, line: Draft, now: bool = False) -> None:
        if now and not self._stopped and self._write(line):
            return
        if self._waiting_bytes + len(line.members) > MAX_WAITING_BYTES:
            self.counters["receipts_lost"] += 1
            self._lost += 1
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line.members)
        self._held += bool(self._stopped)

    def _write(self, line: Draft) -> bool:
        if self._ring is None:
            return False
        try:
            self._ring.append(line, self._clock())
        except NoRoom as full:
            if not self._stopped:
                self.counters["receipts_held"] += 1
                self._held = len(self._waiting)
            self._stopped = full.reason
            return False
        return True

    # -- what is said --------------------------------------------------------------------------------------------

    @property
    def head(self) -> Head:
        """The chain's last durable line."""
        return self._ring.head if self._ring is not None else Head()

    @property
    def busy(self) -> bool:
        """Whether lines wait that could be written at once."""
        return bool(self._waiting) and not self._stopped

    def findings(self) -> list[str]:
        """Return the codes of what is wrong now (``netconf.words``)."""
        short = self._ring.short if self._ring is not None else 0
        wrong = {
            "receipts_untrusted": self._untrusted,
            "receipts_held": bool(self._stopped) and not self._untrusted,
            "receipts_lost": bool(self.counters["receipts_lost"]),
            "receipts_short": bool(short),
        }
        return [code for code, is_so in wrong.items() if is_so]

    def facts(self) -> dict[str, str | int]:
        """Return the head and what waits, for the status file."""
        head = self.head
        return {
            "sequence": head.sequence,
            "hash": head.hash,
            "time": head.time,
            "waiting": len(self._waiting),
            "reason": self._stopped,
        }
