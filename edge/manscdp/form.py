"""How the fields of a message stand in XML: what a field is annotated with, and one reader and one writer for all.

A field without a default must be there and be right; any other one that is absent or ill-formed takes its default, and
an ill-formed one is noted: recorders fill in what they like, and nothing of it is worth losing a camera for. What no
field is annotated with has no way through: a message is made anew from its fields.

Every value is text, a whole number, or a tuple: seconds of the epoch for times (the wire says Beijing time, whatever
the host's zone), millionths of a degree for positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any, Protocol, get_type_hints
from xml.sax.saxutils import escape

from edge.manscdp.reader import Element, RemoteManscdpError

#: GB/T 28181 writes local time without a zone (2016 A.2.1); in force all over the country is UTC+8, without summer time.
BEIJING = timezone(timedelta(hours=8))
MAX_LABEL_CHARACTERS = 255
MAX_DESCRIPTION_CHARACTERS = 1024
LATEST = 4_102_444_800
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}", re.ASCII)
_CODE = re.compile(r"[0-9]{2,20}", re.ASCII)
_DECIMAL = re.compile(r"([+-]?)([0-9]{1,9})(?:\.([0-9]{1,15}))?", re.ASCII)
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})[T ]+([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
#: The field writes these where it has nothing to say.
_EMPTY = frozenset(("null", "NULL"))


class IllFormed(Exception):
    """A value is not what its field's kind allows."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a person wrote: unprintable characters are taken out, "null" is nothing, the rest is cut to ``most``."""

    most: int = MAX_LABEL_CHARACTERS

    def read(self, text: str) -> str:
        kept = text if text.isprintable() else "".join(c for c in text if c.isprintable())
        kept = kept.strip()[: self.most].rstrip()  # as it would be read again
        return "" if kept in _EMPTY else kept

    def write(self, value: str) -> str:
        return escape(value)


@dataclass(frozen=True, slots=True)
class Code:
    """2 to 20 digits: a division, a domain or a device (2016 A.2.1, deviceIDType); ``rule`` names the refusal."""

    rule: str = "device_id"

    def read(self, text: str) -> str:
        if not _CODE.fullmatch(text):
            raise IllFormed
        return text

    def write(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from ``low`` to ``high``, both included."""

    low: int
    high: int

    def read(self, text: str) -> int:
        if not _NUMBER.fullmatch(text) or not self.low <= int(text) <= self.high:
            raise IllFormed
        return int(text)

    def write(self, value: int) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Word:
    """One of a closed list of words, read without case and written as listed; ``heard`` are other spellings of them."""

    words: tuple[str, ...]
    heard: tuple[tuple[str, str], ...] = ()

    def read(self, text: str) -> str:
        lowered = text.lower()
        for word in self.words:
            if word.lower() == lowered:
                return word
        for other, word in self.heard:
            if other.lower() == lowered:
                return word
        raise IllFormed

    def write(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds of the epoch; ``2026-01-31T08:00:00`` in Beijing on the wire. A zone that is written all the same is heard."""

    def read(self, text: str) -> int:
        found = _TIME.fullmatch(text)
        if found is None:
            raise IllFormed
        zone = found[7]
        offset = BEIJING if zone is None else UTC if zone == "Z" else _zone(zone)
        try:
            year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
            seconds = int(datetime(year, month, day, hour, minute, second, tzinfo=offset).timestamp())
        except (ValueError, OverflowError):
            raise IllFormed from None
        if not 0 <= seconds <= LATEST:
            raise IllFormed
        return seconds

    def write(self, value: int) -> str:
        return datetime.fromtimestamp(value, BEIJING).strftime("%Y-%m-%dT%H:%M:%S")


def _zone(text: str) -> timezone:
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    if minutes > 14 * 60:
        raise IllFormed
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


@dataclass(frozen=True, slots=True)
class Fixed:
    """A decimal number from ``low`` to ``high``, kept as a whole number of ``10**-places``; digits beyond are cut off."""

    low: int
    high: int
    places: int

    def read(self, text: str) -> int:
        found = _DECIMAL.fullmatch(text)
        if found is None:
            raise IllFormed
        fraction = (found[3] or "")[: self.places].ljust(self.places, "0")
        value = int(found[2] + fraction) * (-1 if found[1] == "-" else 1)
        if not self.low * 10**self.places <= value <= self.high * 10**self.places:
            raise IllFormed
        return value

    def write(self, value: int) -> str:
        whole, part = divmod(abs(value), 10**self.places)
        return f"{'-' if value < 0 else ''}{whole}.{part:0{self.places}d}"


LONGITUDE, LATITUDE = Fixed(-180, 180, 6), Fixed(-90, 90, 6)


@dataclass(frozen=True, slots=True)
class Several:
    """A container with an element for each entry, of class ``of``; an entry that cannot be read is left out and noted.

    ``counted``: the container says how many it holds (attribute Num).
    """

    item: str
    of: type[Any]
    most: int
    rule: str = "items_many"
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Values:
    """The same element several times, each of one ``kind``: the faulty devices of a keepalive."""

    kind: Code | Text
    most: int


class Single(Protocol):
    """How one value stands in one element."""

    def read(self, text: str) -> Any:
        """Return the value of a text that is not empty.

        Raises:
            IllFormed: it has none.
            RemoteManscdpError: it has none, and a name for why.
        """

    def write(self, value: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class At:
    """Where a field stands below its element (``Info/PTZType``), and how its value is written.

    ``only`` is the edition that has it, if one alone has; ``in_2022`` where the later edition writes it instead; ``also``
    are other places where the field has been seen. ``always``: written even when it is empty, as the standard demands. ``absent``: what is read when a
    needed field is not there; an ill-formed one still refuses the message.
    """

    path: str
    kind: Single | Several | Values
    only: int | None = None
    in_2022: str | None = None
    also: tuple[str, ...] = ()
    always: bool = False
    absent: int | None = None

    def place(self, edition: int) -> str | None:
        """Return the path that an edition writes, None if it has no such field."""
        if self.only is not None and self.only != edition:
            return None
        return self.in_2022 if self.in_2022 is not None and edition >= 2022 else self.path


_Spec = tuple[tuple[str, At, Any], ...]


_specs: dict[Any, _Spec] = {}


def _spec(kind: type[Any]) -> _Spec:
    """Return the fields of a message class: name, place, and what stands for it when it is absent."""
    known = _specs.get(kind)
    if known is None:
        hints = get_type_hints(kind, include_extras=True)
        known = tuple((field.name, hints[field.name].__metadata__[0], field.default) for field in fields(kind))
        _specs[kind] = known
    return known


@cache
def _paths(at: At) -> tuple[tuple[str, ...], ...]:
    named = (at.path, *((at.in_2022,) if at.in_2022 else ()), *at.also)
    return tuple(tuple(path.lower().split("/")) for path in named)


def build(kind: type[Any], element: Element, notes: list[str]) -> Any:
    """Return a ``kind`` made of the children of ``element``; what is ill-formed and not needed is noted.

    Raises:
        RemoteManscdpError: a needed field is absent or wrong, or an element stands twice that may stand once.
    """
    return kind(*[_value(element, at, default, notes) for _, at, default in _spec(kind)])


def _value(element: Element, at: At, default: Any, notes: list[str]) -> Any:
    if isinstance(at.kind, Several):
        return _several(element, at, at.kind, notes)
    if isinstance(at.kind, Values):
        return _values(element, at, at.kind, notes)
    text = ""
    for path in _paths(at):
        text = element.text_at(path)
        if text:
            break
    try:
        if text:
            return at.kind.read(text)
        if default is not MISSING:
            return default
        if at.absent is not None:
            return at.absent
    except IllFormed:
        if default is not MISSING:
            notes.append("value_form")
            return default
    raise RemoteManscdpError(at.kind.rule if isinstance(at.kind, Code) else "value_form")


def _several(element: Element, at: At, kind: Several, notes: list[str]) -> tuple[Any, ...]:
    container = element.child_at(_paths(at)[0])
    if container is None:
        return ()
    named = kind.item.lower()
    found = [child for child in container.children if child.name.lower() == named]
    if len(found) > kind.most:
        raise RemoteManscdpError(kind.rule)
    items = []
    for child in found:
        try:
            items.append(build(kind.of, child, notes))
        except RemoteManscdpError as wrong:
            notes.append(f"item_{wrong.rule}")
    return tuple(items)


def _values(element: Element, at: At, kind: Values, notes: list[str]) -> tuple[str, ...]:
    *above, name = _paths(at)[0]
    container = element.child_at(tuple(above))
    if container is None:
        return ()
    values = []
    for child in container.children:
        if child.name.lower() != name:
            continue
        try:
            values.append(kind.kind.read(child.text.strip()))
        except IllFormed:
            notes.append("value_form")
    if len(values) > kind.most:
        raise RemoteManscdpError("items_many")
    return tuple(values)


def lines(message: Any, edition: int) -> Iterator[str]:
    """Yield the elements of a message's fields as ``edition`` writes them, in the fields' order."""
    standing: list[str] = []
    for name, at, _ in _spec(type(message)):
        place, value = at.place(edition), getattr(message, name)
        if place is None or (value in (None, "", ()) and not at.always):
            continue
        *above, tag = place.split("/")
        while standing != above[: len(standing)]:
            yield f"</{standing.pop()}>"
        for group in above[len(standing) :]:
            standing.append(group)
            yield f"<{group}>"
        yield from _written(tag, at.kind, value, edition)
    yield from (f"</{group}>" for group in reversed(standing))


def _written(tag: str, kind: Single | Several | Values, value: Any, edition: int) -> Iterator[str]:
    if isinstance(kind, Several):
        yield f'<{tag} Num="{len(value)}">' if kind.counted else f"<{tag}>"
        for item in value:
            yield f"<{kind.item}>"
            yield from lines(item, edition)
            yield f"</{kind.item}>"
        yield f"</{tag}>"
    elif isinstance(kind, Values):
        yield from (f"<{tag}>{kind.kind.write(each)}</{tag}>" for each in value)
    else:
        yield f"<{tag}>{kind.write(value)}</{tag}>"
