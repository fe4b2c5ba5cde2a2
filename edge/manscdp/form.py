"""How the fields of a message stand in XML: what a field is annotated with, and one reader and one writer for all.

A field without a default must be there and be right; any other one that is absent or ill-formed takes its default, and
an ill-formed one is noted: recorders fill in what they like, and nothing of it is worth losing a camera for. What no
field is annotated with has no way through: a message is made anew from its fields.

Every value is text, a whole number, or a tuple: seconds of the epoch for times (the wire says Beijing time, whatever
the host's zone), millionths of a degree for positions.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any, NamedTuple, Protocol, get_type_hints
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
_NOTHING: tuple[Any, ...] = (None, "", ())


class IllFormed(Exception):
    """A value is not what its field's kind allows."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a person wrote: unprintable characters are taken out, "null" is nothing, the rest is cut to ``most``."""

    most: int = MAX_LABEL_CHARACTERS

    def read(self, text: str) -> str:
        if len(text) > self.most or not text.isprintable():
            printable = "".join([c for c in text if c.isprintable()])
            text = printable.strip()[: self.most].rstrip()  # as it would be read again
        return "" if text in _EMPTY else text

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
        if text in self.words:
            return text
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


class _Field(NamedTuple):
    """A field of a message class: where it is read from, in lower case, and what stands for it when it is absent."""

    name: str
    at: At
    paths: tuple[tuple[str, ...], ...]
    default: Any


class _Place(NamedTuple):
    """Where an edition writes a field: the elements above it, and its own."""

    name: str
    above: tuple[str, ...]
    tag: str
    kind: Single | Several | Values
    always: bool


@cache
def _fields(kind: Any) -> tuple[_Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for field in fields(kind):
        at: At = hints[field.name].__metadata__[0]
        named = (at.path, *((at.in_2022,) if at.in_2022 else ()), *at.also)
        paths = tuple(tuple(path.lower().split("/")) for path in named)
        found.append(_Field(field.name, at, paths, field.default))
    return tuple(found)


@cache
def _places(kind: Any, edition: int) -> tuple[_Place, ...]:
    found = []
    for name, at, _, _ in _fields(kind):
        place = at.place(edition)
        if place is not None:
            *above, tag = place.split("/")
            found.append(_Place(name, tuple(above), tag, at.kind, at.always))
    return tuple(found)


def build(kind: Any, element: Element, notes: list[str]) -> Any:
    """Return a ``kind`` made of the children of ``element``; what is ill-formed and not needed is noted.

    Raises:
        RemoteManscdpError: a needed field is absent or wrong, or an element stands twice that may stand once.
    """
    return kind(*[_value(element, field, notes) for field in _fields(kind)])


def _value(element: Element, field: _Field, notes: list[str]) -> Any:
    _, at, paths, default = field
    kind = at.kind
    if isinstance(kind, Several):
        return _several(element, paths[0], kind, notes)
    if isinstance(kind, Values):
        return _values(element, paths[0], kind, notes)
    text = ""
    for path in paths:
        text = element.text_at(*path)
        if text:
            break
    try:
        if text:
            return kind.read(text)
        if default is not MISSING:
            return default
        if at.absent is not None:
            return at.absent
    except IllFormed:
        if default is not MISSING:
            notes.append("value_form")
            return default
    raise RemoteManscdpError(kind.rule if isinstance(kind, Code) else "value_form")


def _several(element: Element, path: tuple[str, ...], kind: Several, notes: list[str]) -> tuple[Any, ...]:
    container = element.child_at(path)
    if container is None:
        return ()
    named = kind.item.lower()
    found = [child for child in container.children if child.name == named]
    if len(found) > kind.most:
        raise RemoteManscdpError(kind.rule)
    items = []
    for child in found:
        try:
            items.append(build(kind.of, child, notes))
        except RemoteManscdpError as wrong:
            notes.append(f"item_{wrong.rule}")
    return tuple(items)


def _values(element: Element, path: tuple[str, ...], kind: Values, notes: list[str]) -> tuple[str, ...]:
    *above, name = path
    container = element.child_at(tuple(above))
    if container is None:
        return ()
    values = []
    for child in container.children:
        if child.name != name:
            continue
        try:
            values.append(kind.kind.read(child.text.strip()))
        except IllFormed:
            notes.append("value_form")
    if len(values) > kind.most:
        raise RemoteManscdpError("items_many")
    return tuple(values)


def lines(message: Any, edition: int) -> list[str]:
    """Return the elements of a message's fields as ``edition`` writes them, in the fields' order."""
    out: list[str] = []
    standing: tuple[str, ...] = ()
    for name, above, tag, kind, always in _places(message.__class__, edition):
        value = getattr(message, name)
        if value in _NOTHING and not always:
            continue
        if above != standing:
            out += _between(standing, above)
            standing = above
        if isinstance(kind, Several):
            out.append(f'<{tag} Num="{len(value)}">' if kind.counted else f"<{tag}>")
            for item in value:
                out += (f"<{kind.item}>", *lines(item, edition), f"</{kind.item}>")
            out.append(f"</{tag}>")
        elif isinstance(kind, Values):
            out += [f"<{tag}>{kind.kind.write(each)}</{tag}>" for each in value]
        else:
            out.append(f"<{tag}>{kind.write(value)}</{tag}>")
    return out + _between(standing, ())


def _between(standing: tuple[str, ...], wanted: tuple[str, ...]) -> list[str]:
    """Return the tags that lead from within some elements to within others."""
    shared = 0
    while shared < min(len(standing), len(wanted)) and standing[shared] == wanted[shared]:
        shared += 1
    return [f"</{name}>" for name in reversed(standing[shared:])] + [f"<{name}>" for name in wanted[shared:]]
