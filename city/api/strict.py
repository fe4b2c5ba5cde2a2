"""JSON as we read it: a key once, numbers that are finite and short, no more depth than a document of ours has."""

from __future__ import annotations

import json
import math
from typing import Any

from flask.json.provider import DefaultJSONProvider

#: Longer whole numbers are nobody's; Python would read 4,300 digits, slowly.
MAX_DIGITS = 20
MAX_DEPTH = 32


class StrictJSON(DefaultJSONProvider):
    """Flask's reader and writer, with our rules for what comes in."""

    sort_keys = False
    ensure_ascii = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return loads(s)


def loads(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is none, or breaks a rule.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_constant=_constant, parse_int=_integer, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("too deep") from None
    _shallow(value)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key twice")
    return made


def _constant(word: str) -> Any:
    raise ValueError(word)


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("a number too long")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value) or len(digits) > 2 * MAX_DIGITS:
        raise ValueError("no number of ours")
    return value


def _shallow(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise ValueError("too deep")
