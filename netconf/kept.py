"""The revisions on the disk: the journal twice, one document a revision, nothing that is of no more use."""

from __future__ import annotations

import contextlib
from pathlib import Path

from netconf import durable
from netconf.revision import MAX_JOURNAL_BYTES, Journal

MAX_DOCUMENT_BYTES = 1 << 21
_COPIES = ("journal.json", "journal.copy.json")


class Kept:
    """``<state>/journal.json``, its copy, and ``<state>/revisions/N.json``."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._documents = state / "revisions"

    def read_journal(self) -> tuple[Journal, bool]:
        """Return the newest whole copy, and whether the disk has one or never had any."""
        copies = [journal for name in _COPIES if (journal := self._copy(name)) is not None]
        there = any((self._state / name).exists() for name in _COPIES)
        return max(copies, key=lambda journal: journal.serial, default=Journal()), bool(copies) or not there

    def _copy(self, name: str) -> Journal | None:
        try:
            return Journal.decode(durable.read(self._state / name, MAX_JOURNAL_BYTES))
        except (OSError, durable.TooLong):
            return None

    def write_journal(self, journal: Journal) -> None:
        """Make it durable.

        Raises:
            OSError: it may or may not be.
        """
        first, second = _COPIES
        data = journal.encode()
        durable.write(self._state / first, data)
        with contextlib.suppress(OSError):  # the first is what counts; this one is against rot
            durable.write(self._state / second, data)
        self._drop({journal.confirmed[0], journal.previous[0], journal.pending[0]})

    def _drop(self, kept: set[int]) -> None:
        with contextlib.suppress(OSError):
            for path in self._documents.glob("*.json"):
                if path.stem.isdigit() and int(path.stem) not in kept:
                    path.unlink()

    def write_document(self, number: int, document: bytes) -> None:
        """Make it durable.

        Raises:
            OSError: it is not.
        """
        self._documents.mkdir(mode=0o700, exist_ok=True)
        durable.write(self._documents / f"{number}.json", document)

    def read_document(self, number: int) -> bytes | None:
        """Return the document, or None when there is none to read."""
        try:
            return durable.read(self._documents / f"{number}.json", MAX_DOCUMENT_BYTES)
        except (OSError, durable.TooLong):
            return None
