"""What a field of a record may be: each alphabet says which values it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Digits:
    """Alphabet: exactly ``length`` ASCII digits (GB/T 28181 annex D codes)."""

    length: int

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and len(value) == self.length and value.isascii() and value.isdigit()


@dataclass(frozen=True, slots=True)
class Whole:
    """Alphabet: a whole number from ``low`` to ``high``, both included; or 0 for none, where ``none`` is allowed."""

    low: int
    high: int
    none: bool = False

    def holds(self, value: object) -> bool:
        return type(value) is int and (self.low <= value <= self.high or (self.none and value == 0))


@dataclass(frozen=True, slots=True)
class Choice:
    """Alphabet: one of a closed list of words."""

    words: tuple[str, ...]

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and value in self.words


@dataclass(frozen=True, slots=True)
class Some:
    """Alphabet: at least one of a closed list of words, each once, in the list's order, joined by commas."""

    words: tuple[str, ...]

    def holds(self, value: object) -> bool:
        if not isinstance(value, str):
            return False
        chosen = value.split(",")
        return chosen == [word for word in self.words if word in chosen]


@dataclass(frozen=True, slots=True)
class Label:
    """Alphabet: text a person wrote, at most ``most_bytes`` of UTF-8, every character of it printable.

    ``str.isprintable`` refuses controls, separators other than the space, bidirectional overrides and surrogates.
    """

    most_bytes: int

    def holds(self, value: object) -> bool:
        return (
            isinstance(value, str) and value.isprintable() and len(value.encode("utf-8", "replace")) <= self.most_bytes
        )


@dataclass(frozen=True, slots=True)
class Numbers:
    """Alphabet: at most ``most`` whole numbers from 0 to ``high``, joined by commas; "" is none."""

    most: int
    high: int

    def holds(self, value: object) -> bool:
        if not isinstance(value, str) or not value.isascii():
            return False
        parts = value.split(",") if value else []
        return len(parts) <= self.most and all(self._is_one(part) for part in parts)

    def _is_one(self, part: str) -> bool:
        return part.isdigit() and len(part) <= 10 and str(int(part)) == part and int(part) <= self.high


Alphabet = Digits | Whole | Choice | Some | Label | Numbers
