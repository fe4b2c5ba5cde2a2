"""Numbers of an address (``?after=7``), within what the tables hold."""

from __future__ import annotations

from flask import request

from city.registry.refused import RegistryRefused

#: What a double, and so any reader of JSON, still holds whole; the tables hold more.
MOST_NUMBER = (1 << 53) - 1


def number(name: str, default: int) -> int:
    """Return a number that the request's address names, or ``default``.

    Raises:
        RegistryRefused: ``number_form``.
    """
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) <= MOST_NUMBER):
        raise RegistryRefused("number_form", field=name, most=MOST_NUMBER)
    return int(text)
