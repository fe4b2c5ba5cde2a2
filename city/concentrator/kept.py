"""What the agent starts from when nobody answers: the last snapshot and the changes since, as the city signed them.

Each is written before it is carried out. After a power cut the device may be behind what is kept, never the other way
round: a peer that was taken off does not come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from netconf import durable
from netconf.envelope import MAX_PEERS_BYTES

_SNAPSHOT, _CHANGES = "snapshot.json", ".changes"
#: With so many files the next thing to ask for is a snapshot.
MOST_FILES = 256


class Kept:
    """A folder of signed envelopes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self.files = len(list(self._changes()))

    def read(self) -> Iterator[str]:
        """Return the envelopes in the order in which they came; one that cannot be read ends it."""
        for path in (self._folder / _SNAPSHOT, *self._changes()):
            try:
                yield durable.read(path, MAX_PEERS_BYTES).decode("utf-8")
            except (OSError, ValueError):
                return

    def snapshot(self, envelope: str) -> None:
        """Keep a snapshot, which makes the changes before it pointless.

        Raises:
            OSError: what was kept before is kept still.
        """
        durable.write(self._folder / _SNAPSHOT, envelope.encode("utf-8"))
        for path in self._changes():
            path.unlink(missing_ok=True)
        self.files = 0

    def changes(self, revision: int, envelope: str) -> None:
        """Keep changes up to ``revision``.

        Raises:
            OSError: they are not kept.
        """
        durable.write(self._folder / f"{revision:016d}{_CHANGES}", envelope.encode("utf-8"))
        self.files += 1

    def _changes(self) -> list[Path]:
        return sorted(self._folder.glob(f"[0-9]*{_CHANGES}"))
