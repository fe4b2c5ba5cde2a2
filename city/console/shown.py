"""How things are written on the pages: moments, ages, documents, codes."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from flask import g, request

from city.console import words as own
from netconf import words
from netconf.finding import Finding

#: What people here read, wherever the server stands.
_BEIJING = timezone(timedelta(hours=8))
#: Longer values of a document are cut in a table of differences.
MOST_VALUE = 160


def asked_number(name: str) -> int:
    """Return a number of the page's address: 0 of none, and of what no number of ours is."""
    number = request.args.get(name, 0, type=int)
    return number if 0 < number < 1 << 53 else 0


def word(key: str, **facts: object) -> str:
    """Return a word of the pages in the language of who asks."""
    return own.word(key, g.language, **facts)


def told(found: Finding) -> tuple[str, str, str]:
    """Return a finding's sentence, what it rests on, and what to do about it."""
    language = g.language
    return words.sentence(found, language), words.evidence(found, language), words.advice(found, language)


def local(moment: float | None) -> str:
    """Return a moment; "–" of none."""
    if moment is None:
        return "–"
    return datetime.fromtimestamp(moment, UTC).astimezone(_BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def day(moment: float | None) -> str:
    """Return the day of a moment."""
    return local(moment)[:10]


def ago(moment: float | None) -> str:
    """Return how long ago a moment is, in the largest unit that fits twice."""
    if moment is None:
        return word("never")
    seconds = max(0.0, g.now - moment)
    for unit, size in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return word(f"ago_{unit}", count=int(seconds // size))
    return word("ago_seconds", count=int(seconds))


def span(seconds: float) -> str:
    """Return a length of time that is still to come."""
    for unit, size in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return word(f"in_{unit}", count=int(seconds // size))
    return word("in_seconds", count=max(0, int(seconds)))


def value(document: Any) -> str:
    """Return a value of a document on one line."""
    if document is None:
        return "–"
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    return text if len(text) <= MOST_VALUE else text[: MOST_VALUE - 1] + "…"


def pretty(document: Any) -> str:
    """Return a document to read."""
    return json.dumps(document, ensure_ascii=False, indent=2)


def cut(text: str, columns: int) -> str:
    """Return a text that is no wider than so many columns; a Chinese sign has two."""
    width = 0
    for at, sign in enumerate(text):
        width += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if width > columns:
            return text[: max(0, at - 1)] + "…"
    return text


def grouped(digits: str | None) -> str:
    """Return six digits as they are read out: in two threes."""
    return f"{digits[:3]} {digits[3:]}" if digits else "–"


def print_(digest: str | None) -> str:
    """Return a long digest in groups of eight, so that two can be compared by eye."""
    text = digest or "–"
    return " ".join(text[at : at + 8] for at in range(0, len(text), 8))


def what(code: str) -> str:
    """Return what a line of the record says was done; one without a word is its own."""
    key = "did_" + code.replace(".", "_").replace("-", "_")
    said = word(key)
    return code if said == key else said


def subject(text: str) -> str:
    """Return whom an alert or a line concerns, without its kind."""
    return text.partition(":")[2] or text


FILTERS: dict[str, Callable[..., Any]] = {
    "local": local, "day": day, "ago": ago, "span": span, "value": value, "pretty": pretty, "cut": cut,
    "grouped": grouped, "print": print_, "what": what, "subject": subject,
}  # fmt: skip
