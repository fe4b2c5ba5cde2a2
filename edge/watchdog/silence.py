"""Who beats, and who has been silent for too long. Also the lab's stand-in for systemd judges by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: A word of sd_notify(3) that is longer is none that our programs say.
MAX_WORD_BYTES = 512
#: From its start to its first beat: Python and the imports take seconds on a small box, a full disk much longer.
START_SECONDS = 90.0
#: What a program may allow itself at most: beyond it, a hang would not be noticed by anybody.
MOST_SILENCE_SECONDS = 300.0
#: Who judges is kept from it for longer: then so was everybody else (a machine that stood still), and it counts for none.
MOST_GAP_SECONDS = 3.0


@dataclass(slots=True)
class _Life:
    pid: int
    heard_at: float
    silence_seconds: float = START_SECONDS
    beaten: bool = False
    ready: bool = False


class Silence:
    """The programs' lives by name. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self._judged_at: float | None = None

    def lives(self, pids: dict[str, int], now: float) -> None:
        """Say which programs live now; a new pid is a new life, whose clock begins."""
        for name in self._lives.keys() - pids.keys():
            del self._lives[name]
        for name, pid in pids.items():
            if name not in self._lives or self._lives[name].pid != pid:
                self._lives[name] = _Life(pid, now)

    def hear(self, pid: int, word: bytes, now: float) -> None:
        """Take a word of sd_notify; of a process that is none of ours, or that is no such word, nothing is taken."""
        life = next((life for life in self._lives.values() if life.pid == pid), None)
        if life is None or len(word) > MAX_WORD_BYTES:
            return
        for line in word.split(b"\n"):
            key, _, value = line.partition(b"=")
            if key == b"WATCHDOG":
                life.heard_at, life.beaten = now, True
            elif key == b"READY":
                life.ready, life.heard_at = True, now
            elif key == b"WATCHDOG_USEC" and value.isdigit() and len(value) < 12:
                life.silence_seconds = min(int(value) / 1_000_000, MOST_SILENCE_SECONDS)

    def ready(self, names: Iterable[str]) -> bool:
        """Return whether all of these have said that they are ready."""
        return all(name in self._lives and self._lives[name].ready for name in names)

    def silent(self, now: float) -> list[tuple[str, int]]:
        """Return name and pid of each program that hangs, once a life; to be asked each second."""
        found = []
        gap = now - (now if self._judged_at is None else self._judged_at)
        self._judged_at = now
        if gap > MOST_GAP_SECONDS:
            for life in self._lives.values():
                life.heard_at += gap
        for name, life in self._lives.items():
            allowed = life.silence_seconds if life.beaten else max(START_SECONDS, life.silence_seconds)
            if now - life.heard_at > allowed:
                life.heard_at = now
                found.append((name, life.pid))
        return found
