"""What the programs say of themselves, typed. What is not of the form that ours have counts as not said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: A side that was taken over may write what it likes into its file; it is read by the doctor, the page and the agent.
MOST_ENTRIES, MAX_CHARACTERS, _MOST = 64, 128, 1 << 60


@dataclass(frozen=True, slots=True)
class Tunnel:
    """``age_seconds`` since the last handshake, None without one."""

    name: str
    endpoint: str
    age_seconds: int | None
    sent_bytes: int
    received_bytes: int
    #: What its probes say, "" where it is not probed: unknown, lives or dead; and since when there is no answer.
    state: str = ""
    unanswered_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Registration:
    """Ours with one of the city's platforms (``edge.gb28181.device.Device.facts``)."""

    registered: bool
    id: str = "?"
    server: str = "?"
    cause: str = ""
    about: str = ""
    lost_at: float = 0.0
    tries: int = 0
    missed: int = 0
    answers_refused: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """An INVITE of the city that was refused; ``about`` is what of it was at fault."""

    channel: str
    reason: str
    about: str
    agreed: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Recorder:
    """``rule``: why it was turned away when it registered last, or ``lost_...``; "" when nothing was heard of it."""

    id: str
    online: bool
    rule: str = ""
    source: str = ""
    said_id: str = ""
    #: Its address and hardware address in the owner's list.
    agreed: str = "?"
    mac: str = "?"


@dataclass(frozen=True, slots=True)
class View:
    """A view that shows no picture for a reason of the recorder's; ``about`` is what of its answer was at fault.

    ``form`` and ``kind`` are what the recorder agreed to send, and by which payload type.
    """

    recorder: str
    channel: str
    reason: str
    status: int
    about: str
    port: int
    camera_on: bool
    agreed: tuple[str, ...]
    at: float
    form: str = "ps"
    kind: int = 96


@dataclass(frozen=True, slots=True)
class Dropped:
    """Packets that the rules of a namespace dropped: ``address`` is the far end, ``seconds`` since the last one.

    ``kind`` is RTP's payload type of what came from the LAN, ICMP's code of what came from the city.
    """

    address: str
    packets: int
    seconds: int
    port: int = 0
    kind: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that causes are told from; ``now`` is the monotonic clock that the programs write their ``at`` by."""

    now: float
    #: None: the keeper says nothing, and what it alone knows is not known.
    tunnels: tuple[Tunnel, ...] | None = None
    #: The tunnel that the city side uses.
    used: str = ""
    clock_behind: bool = False
    registrations: tuple[Registration, ...] = ()
    offers: tuple[Offer, ...] = ()
    recorders: tuple[Recorder, ...] = ()
    views: tuple[View, ...] = ()
    #: Where the city takes the pictures that flow now.
    sinks: frozenset[tuple[str, int]] = field(default_factory=frozenset)
    strays: tuple[Dropped, ...] = ()
    fragments: tuple[Dropped, ...] = ()
    refusals: tuple[Dropped, ...] = ()
    #: (hardware address, address) of frames that carried the one of a recorder and not the other.
    moved: tuple[tuple[str, str], ...] = ()


def read(said: Mapping[str, Any], now: float) -> Evidence:
    """Return the evidence in what ``keeper``, ``siteside``, ``cityside`` and ``ferry`` say of themselves."""
    keeper, site, ferry = _map(said.get("keeper")), _map(said.get("siteside")), _map(said.get("ferry"))
    ways = _map(_map(said.get("cityside")).get("tunnel"))
    noted, platforms = _map(keeper.get("noted")), _platforms(_map(said.get("cityside")))
    return Evidence(
        now=now,
        tunnels=_tunnels(_map(keeper.get("tunnels")), _map(ways.get("tunnels"))) if keeper else None,
        used=_text(ways, "used"),
        clock_behind=keeper.get("clock_behind") is True,
        registrations=tuple(_registration(each) for each in platforms),
        offers=tuple(_offer(each) for platform in platforms for each in _maps(platform.get("refused"))),
        recorders=_recorders(site),
        views=tuple(_view(each) for each in _maps(site.get("troubles"))),
        sinks=_sinks(_map(ferry.get("views"))),
        strays=tuple(Dropped(a, n, s, p, k) for a, p, k, n, s in _entries(noted.get("strays"), 5)),
        fragments=tuple(Dropped(a, n, s) for a, n, s in _entries(noted.get("fragments"), 3)),
        moved=tuple((str(mac), str(address)) for mac, address, _, _ in _entries(noted.get("moved"), 4, texts=2)),
        refusals=tuple(Dropped(_dotted(a), n, s, p, k) for a, k, p, n, s in _entries(noted.get("refusals"), 5)),
    )


def _platforms(side: dict[str, Any]) -> list[dict[str, Any]]:
    """The one place that knows how the city side speaks of its platforms."""
    several = _map(side.get("platforms"))
    found = [_map(each) for each in several.values()] if several else [side]
    return [each for each in found if "registered" in each]


def _registration(said: dict[str, Any]) -> Registration:
    facts = _map(said.get("registration"))
    return Registration(
        registered=said.get("registered") is True,
        id=_text(facts, "id") or "?",
        server=_text(facts, "server") or "?",
        cause=_text(facts, "cause"),
        about=_text(facts, "about"),
        lost_at=_number(facts, "lost_at"),
        tries=int(_number(facts, "tries")),
        missed=int(_number(facts, "missed")),
        answers_refused=int(_number(facts, "answers_refused")),
    )


def _offer(said: dict[str, Any]) -> Offer:
    channel = _text(said, "name") or _text(said, "channel")
    return Offer(channel, _text(said, "reason"), _text(said, "about"), _texts(said, "agreed"), _number(said, "at"))


def _recorders(site: dict[str, Any]) -> tuple[Recorder, ...]:
    why = {_text(each, "recorder"): each for each in _maps(site.get("turned_away"))}
    listed = _map(site.get("listed"))
    found = []
    for name, online in list(_map(site.get("recorders")).items())[:MOST_ENTRIES]:
        said, (address, mac) = why.get(name, {}), (*_texts(listed, name), "?", "?")[:2]
        rule, source = _text(said, "rule"), _text(said, "source")
        found.append(Recorder(name, online is True, rule, source, _text(said, "id"), address, mac))
    return tuple(found)


def _view(said: dict[str, Any]) -> View:
    return View(
        recorder=_text(said, "recorder"),
        channel=_text(said, "name") or _text(said, "channel"),
        reason=_text(said, "reason"),
        status=int(_number(said, "status")),
        about=_text(said, "about"),
        port=int(_number(said, "port")),
        camera_on=bool(_number(said, "online")),
        agreed=_texts(said, "agreed"),
        at=_number(said, "at"),
        form=_text(said, "format") or "ps",
        kind=int(_number(said, "type")) or 96,
    )


def _tunnels(said: dict[str, Any], probed: dict[str, Any]) -> tuple[Tunnel, ...]:
    found = []
    for name, each in said.items():
        facts = _map(each)
        age = facts.get("handshake_age_seconds")
        if not isinstance(age, int | float | None):
            continue
        known = int(_number(facts, "handshake_age_seconds")) if age is not None else None
        sizes = int(_number(facts, "sent")), int(_number(facts, "received"))
        probes = _map(probed.get(name))
        answers = _text(probes, "state"), int(_number(probes, "answered_seconds"))
        found.append(Tunnel(name, _text(facts, "endpoint") or "?", known, *sizes, *answers))
    return tuple(found)


def _sinks(views: dict[str, Any]) -> frozenset[tuple[str, int]]:
    found = set()
    for view in views.values():
        sink = _map(view).get("sink")
        match sink:
            case [_, [str(address), int(port)]]:
                found.add((address, port))
    return frozenset(found)


def _entries(value: object, parts: int, texts: int = 1) -> list[list[Any]]:
    """The entries of a set that the keeper tells: addresses first, then numbers."""
    entries = value[:MOST_ENTRIES] if isinstance(value, list) else []
    return [each for each in entries if isinstance(each, list) and len(each) == parts and _numeric(each[texts:])]


def _numeric(values: list[object]) -> bool:
    return all(isinstance(each, int) for each in values)


def _dotted(value: object) -> str:
    """An address that nft shows as a number."""
    if not isinstance(value, int) or not 0 <= value < 1 << 32:
        return str(value)
    return ".".join(str(value >> shift & 0xFF) for shift in (24, 16, 8, 0))


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _maps(value: object) -> list[dict[str, Any]]:
    return [each for each in value[:MOST_ENTRIES] if isinstance(each, dict)] if isinstance(value, list) else []


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value[:MAX_CHARACTERS] if isinstance(value, str) else ""


def _texts(said: dict[str, Any], name: str) -> tuple[str, ...]:
    value = said.get(name)
    return tuple(each for each in value[:MOST_ENTRIES] if isinstance(each, str)) if isinstance(value, list) else ()


def _number(said: dict[str, Any], name: str) -> float:
    value = said.get(name)
    return value if isinstance(value, int | float) and abs(value) < _MOST else 0
