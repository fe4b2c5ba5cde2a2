"""Wall time that never falls below what was seen before: a box with a dead battery starts in 1970.

What is signed or dated asks ``wall``; what waits uses monotonic time and has no need of it. Only the floor is kept
durable: a clock that ran ahead once (a year, by a wrong NTP server) must not keep a box in the future for ever, so a jump
is taken into the floor no further than ``MOST_AHEAD_SECONDS`` past what monotonic time explains.
"""

from __future__ import annotations

from pathlib import Path

from netconf import durable

#: No box runs before it was built: 2025-01-01.
BUILT_SECONDS = 1_735_689_600
#: How often the floor is written: an hour lost after a power cut is nothing, a write a minute wears flash out.
KEEP_SECONDS = 3600.0
#: A step of the clock beyond this is not believed for the floor at once, but hour by hour.
MOST_AHEAD_SECONDS = 86_400.0
#: The first time that a new box sees may be any, but not the next century.
MOST_FIRST_SECONDS = 20 * 365 * 86_400.0
MAX_FLOOR_BYTES = 32


def wall(system_seconds: float, floor_seconds: float) -> float:
    """Return the time to sign and date with, in seconds since the epoch: the system's, but never below the floor."""
    return max(system_seconds, floor_seconds, float(BUILT_SECONDS))


def raised(floor_seconds: float, system_seconds: float, passed_seconds: float) -> float:
    """Return the new floor when ``passed_seconds`` of monotonic time went by since it was last raised."""
    if floor_seconds <= BUILT_SECONDS and system_seconds < BUILT_SECONDS + MOST_FIRST_SECONDS:
        return max(system_seconds, float(BUILT_SECONDS))  # the first time that is seen at all
    floor = max(floor_seconds, float(BUILT_SECONDS))
    most = floor + passed_seconds + MOST_AHEAD_SECONDS
    return max(floor, min(system_seconds, most))


def read_floor(path: Path) -> float:
    """Return the last time seen, or the time of the build when there is none or it cannot be read."""
    try:
        seconds = float(durable.read(path, MAX_FLOOR_BYTES).decode("ascii"))
    except (OSError, ValueError):
        return float(BUILT_SECONDS)
    # A NaN or an infinity is no time: int() below would raise.
    return max(seconds, float(BUILT_SECONDS)) if 0 <= seconds < 1 << 40 else float(BUILT_SECONDS)


def write_floor(path: Path, floor_seconds: float) -> None:
    """Keep the floor.

    Raises:
        OSError: the old one is still there.
    """
    durable.write(path, str(int(floor_seconds)).encode("ascii"), 0o644)


class Floor:
    """The floor in use: ``tick`` it every now and then and ``keep`` it at the end; ``wall`` says the time."""

    def __init__(self, path: Path, monotonic_seconds: float) -> None:
        self._path = path
        self._raised_at = self._kept_at = monotonic_seconds
        self._jumped_at: float | None = None
        self.seconds = read_floor(path)

    def wall(self, system_seconds: float) -> float:
        """Return the time to sign and date with."""
        return wall(system_seconds, self.seconds)

    def tick(self, system_seconds: float, monotonic_seconds: float) -> None:
        """Raise the floor, and write it once an hour; a clock that ran ahead takes it along a day in that time, not more.

        Raises:
            OSError: it could not be written; it is tried again an hour later.
        """
        passed = monotonic_seconds - self._raised_at
        higher, explained = raised(self.seconds, system_seconds, passed), self.seconds + passed
        if higher > explained:
            if self._jumped_at is not None and monotonic_seconds - self._jumped_at < KEEP_SECONDS:
                higher = max(self.seconds, explained)
            else:
                self._jumped_at = monotonic_seconds
        self.seconds, self._raised_at = higher, monotonic_seconds
        if monotonic_seconds - self._kept_at >= KEEP_SECONDS:
            self._kept_at = monotonic_seconds
            self.keep()

    def keep(self) -> None:
        """Write the floor, as at a stop.

        Raises:
            OSError: the old one is still there.
        """
        write_floor(self._path, self.seconds)
