"""Numbers of an address (``/rollouts/7``, ``?after=7``), within what the tables hold."""

from __future__ import annotations

from flask import request
from werkzeug.routing import BaseConverter

from city.registry.refused import RegistryRefused

#: What a double, and so any reader of JSON, still holds whole; the tables hold more.
MOST_NUMBER = (1 << 53) - 1


class Number(BaseConverter):
    """A number in a path, ``<number:…>``: of what no column holds the path is none of ours (``int`` with a maximum would
    end the search for another rule)."""

    regex = "[0-9]{1,9}"

    def to_python(self, value: str) -> int:
        return int(value)


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
