"""Who may come in: one password, given its first form by a one-time code; sessions; and patience with wrong guesses.

There is no user name to guess and no password at all before the first code was used.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from netconf import durable

LEAST_CHARACTERS, MOST_CHARACTERS = 10, 128
#: 8 characters of 32 are 40 bits, with five guesses in five minutes: enough for a day.
CODE_ALPHABET, CODE_CHARACTERS, CODE_SECONDS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ", 8, 86_400
MOST_WRONG, LOCK_SECONDS = 5, 300.0
#: Addresses that guess are remembered so many at once; beyond, the oldest is forgotten.
MOST_GUESSERS = 256
IDLE_SECONDS, LIFE_SECONDS, MOST_SESSIONS = 1800.0, 12 * 3600.0, 8
MAX_FILE_BYTES = 1 << 16
#: Half of the library's default: an ARM board has one core to spare and a page to show meanwhile.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class Locked(Exception):
    """Too many wrong guesses from this address; ``seconds`` are left."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(slots=True)
class Session:
    """Somebody who is in. Only the digest of the cookie is kept."""

    csrf: str
    began: float
    seen: float


def first_code(folder: Path, now: float) -> str:
    """Make a new one-time code, good for a day, and return it; the one before is worth nothing now."""
    code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_CHARACTERS))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = {"hash": _HASHER.hash(code), "until": now + CODE_SECONDS}
    durable.write(folder / "first-code.json", json.dumps(facts).encode("ascii"))
    return code


class Accounts:
    """The folder ``<state>/web``, and who is in now. ``clock`` is wall time in seconds."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}
        self._one = threading.Lock()
        self.sessions: dict[str, Session] = {}
        self.changed = False

    # -- the password --------------------------------------------------------------------------------------------

    @property
    def has_password(self) -> bool:
        return (self._folder / "password.json").exists()

    def set_first(self, code: str, password: str, address: str) -> str | None:
        """Use the one-time code to set the password; return what is wrong, or None.

        Raises:
            Locked: too many wrong codes from ``address``.
        """
        weak = weakness(password)
        if weak is not None:
            return weak
        with self._one:
            self._patience(address)
            found = self._read("first-code.json")
            good = found is not None and self._clock() < float(found.get("until", 0))
            if not good or not _matches(str((found or {}).get("hash", "")), code.strip().upper()):
                self._guessed_wrong(address)
                return "code_wrong"
            (self._folder / "first-code.json").unlink()
            facts = {"hash": _HASHER.hash(password)}
            durable.write(self._folder / "password.json", json.dumps(facts).encode("ascii"))
            self.sessions.clear()
        return None

    def enter(self, password: str, address: str) -> str | None:
        """Return a new session's cookie, or None for a wrong password.

        Raises:
            Locked: too many wrong ones from ``address``.
        """
        with self._one:  # one guess at a time: a flood of them costs one core, not all
            self._patience(address)
            found = self._read("password.json")
            if found is None or not _matches(str(found.get("hash", "")), password[:MOST_CHARACTERS]):
                self._guessed_wrong(address)
                return None
            self._wrong.pop(address, None)
        cookie, now = secrets.token_urlsafe(32), self._clock()
        self._forget_old(now)
        while len(self.sessions) >= MOST_SESSIONS:
            self.sessions.pop(min(self.sessions, key=lambda key: self.sessions[key].seen))
        self.sessions[_digest(cookie)] = Session(secrets.token_urlsafe(24), now, now)
        self.changed = True
        return cookie

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found = json.loads(durable.read(self._folder / name, MAX_FILE_BYTES))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _patience(self, address: str) -> None:
        count, until = self._wrong.get(address, (0, 0.0))
        now = self._clock()
        if count >= MOST_WRONG and now < until:
            raise Locked(math.ceil(until - now))
        if now >= until:
            self._wrong.pop(address, None)

    def _guessed_wrong(self, address: str) -> None:
        count, _ = self._wrong.pop(address, (0, 0.0))
        if len(self._wrong) >= MOST_GUESSERS:
            self._wrong.pop(next(iter(self._wrong)))
        self._wrong[address] = (count + 1, self._clock() + LOCK_SECONDS)

    # -- sessions ------------------------------------------------------------------------------------------------

    def session(self, cookie: str) -> Session | None:
        """Return who holds ``cookie``, if still in."""
        now = self._clock()
        self._forget_old(now)
        found = self.sessions.get(_digest(cookie))
        if found is not None:
            found.seen = now
        return found

    def leave(self, cookie: str) -> None:
        """End a session."""
        self.changed = self.sessions.pop(_digest(cookie), None) is not None or self.changed

    def _forget_old(self, now: float) -> None:
        old = [k for k, s in self.sessions.items() if now - s.seen > IDLE_SECONDS or now - s.began > LIFE_SECONDS]
        for key in old:
            del self.sessions[key]

    def kept(self) -> dict[str, list[Any]]:
        """Return the sessions for a file on tmpfs: digests, no cookie."""
        return {key: [session.csrf, session.began, session.seen] for key, session in self.sessions.items()}

    def adopt(self, kept: dict[str, Any]) -> None:
        """Take over the sessions of the process before us; what is no session is left out."""
        for key, facts in kept.items():
            if isinstance(facts, list) and len(facts) == 3:
                self.sessions[key] = Session(str(facts[0]), float(facts[1]), float(facts[2]))


def weakness(password: str) -> str | None:
    """Return why a password is not taken, or None."""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        return "password_length"
    return "password_simple" if len(set(password)) < 5 else None


def _matches(hashed: str, given: str) -> bool:
    try:
        return _HASHER.verify(hashed, given)
    except (VerificationError, InvalidHashError):
        return False


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
