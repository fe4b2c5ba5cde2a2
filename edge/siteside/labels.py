"""Text of a recorder as a record may hold it."""

from __future__ import annotations

NAME_BYTES = 96


def clean(text: str, most_bytes: int = NAME_BYTES) -> str:
    """Return ``text`` with everything that is not printable taken out, cut to what a record's label holds."""
    kept = "".join(character for character in text if character.isprintable())
    return kept.encode("utf-8", "ignore")[:most_bytes].decode("utf-8", "ignore")
