"""What the programs say of themselves as families of figures: the same for the owner and the city. Pure.

A series is named by channel, platform and stream, not by call: a wall of screens that opens and closes all day leaves no
trail of dead series. Where one platform watches a stream more than once, the worst figure is told, and the rates are added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from edge.faults.evidence import read
from edge.metrics.exposition import Family

#: After so long without a handshake WireGuard takes no packet more (REJECT_AFTER_TIME).
TUNNEL_SECONDS = 180
_MOST = 1 << 53
#: Name, what it says, the figure of a view's quality, units of it in one of the family's, and how several become one.
_QUALITY: tuple[tuple[str, str, str, float, Callable[[float, float], float]], ...] = (
    ("view_loss_ratio", "Packets lost between recorder and box, of one.", "loss_ppm", 1e6, max),
    ("view_jitter_seconds", "RFC 3550 jitter over pictures.", "jitter_ms", 1e3, max),
    ("view_first_picture_seconds", "From the request to the first key picture.", "first_picture_ms", 1e3, max),
    ("view_key_frame_interval_seconds", "Between the last two key pictures.", "key_frame_ms", 1e3, max),
    (
        "view_viewer_loss_ratio",
        "Packets lost between box and viewer, of one, as the viewer says.",
        "viewer_loss_ppm",
        1e6,
        max,
    ),
    ("view_round_trip_seconds", "From the box to the viewer and back.", "round_trip_ms", 1e3, max),
    ("view_bits_per_second", "Mean rate since each view began.", "kbit_s", 1e-3, lambda one, other: one + other),
)


def families(said: Mapping[str, Any], now: float) -> list[Family]:
    """Return the figures in what ``keeper``, ``siteside``, ``cityside`` and ``ferry`` say of themselves.

    ``now`` is the monotonic clock. A program that says nothing has no figures, and 0 in ``program_up``.
    """
    ferry = _map(said.get("ferry"))
    up = Family("program_up", "gauge", "Whether a program of the box says how it is.")
    for name in ("keeper", "siteside", "cityside", "ferry"):
        up.put(int(bool(_map(said.get(name)))), program=name)
    return [up, *(_views(ferry) if ferry else ()), *_city(said, now)]


def _views(ferry: dict[str, Any]) -> list[Family]:
    views = [_map(view) for view in _map(ferry.get("views")).values()]
    many = Family("views", "gauge", "Views that are open.")
    many.put(len(views))
    pulls = Family("pulls", "gauge", "Streams that are asked of recorders for them.")
    pulls.put(len({str(view.get("pull")) for view in views}))
    per = Family("channel_views", "gauge", "Views of one stream of a channel for one platform.")
    for (channel, platform, stream), count in Counter(map(_place, views)).items():
        per.put(count, channel=channel, platform=platform, stream=stream)
    dropped = Family(
        "dropped_total", "counter", "What of media did not go on, by rule: packets; of ps_ and sei_, octets."
    )
    for rule, count in _map(ferry.get("dropped")).items():
        dropped.put(_number(count), rule=rule)
    events = Family("ferry_events_total", "counter", "What the ferry refused or noted, by rule.")
    for rule, count in _map(ferry.get("counters")).items():
        events.put(_number(count), rule=rule)
    return [many, pulls, per, *_qualities(views), dropped, events]


def _qualities(views: list[dict[str, Any]]) -> list[Family]:
    made = []
    for name, words, figure, units, join in _QUALITY:
        family = Family(name, "gauge", words)
        joined: dict[tuple[str, str, str], float] = {}
        for view in views:
            value = _number(_map(view.get("quality")).get(figure))
            if value is not None:
                place = _place(view)
                joined[place] = join(joined[place], value) if place in joined else value
        for (channel, platform, stream), value in joined.items():
            family.put(value / units, channel=channel, platform=platform, stream=stream)
        made.append(family)
    below = Family("view_below_standard", "gauge", "Views that are below GB/T 28181 in one figure.")
    failing: Counter[tuple[str, tuple[str, str, str]]] = Counter()
    for view in views:
        codes = _map(view.get("quality")).get("below")
        for code in codes if isinstance(codes, list) else ():
            failing[str(code), _place(view)] += 1
    for (code, (channel, platform, stream)), count in failing.items():
        below.put(count, code=code, channel=channel, platform=platform, stream=stream)
    return [*made, below]


def _place(view: dict[str, Any]) -> tuple[str, str, str]:
    """Return what a series is named by: channel, platform, stream."""
    return str(view.get("channel")), str(view.get("platform")), str(view.get("stream"))


def _city(said: Mapping[str, Any], now: float) -> list[Family]:
    """What stands toward the city: registrations and tunnels."""
    registered = Family("registered", "gauge", "Whether the box is registered with a platform.")
    for name, each in _map(_map(said.get("cityside")).get("platforms")).items():
        registered.put(int(_map(each).get("registered") is True), platform=name)
    up = Family("tunnel_up", "gauge", "Whether a tunnel has had a handshake within 180 s.")
    age = Family("tunnel_handshake_age_seconds", "gauge", "Since a tunnel's last handshake.")
    sent = Family("tunnel_sent_bytes_total", "counter", "Octets that a tunnel has sent.")
    received = Family("tunnel_received_bytes_total", "counter", "Octets that a tunnel has received.")
    for tunnel in read(said, now).tunnels or ():
        known = tunnel.age_seconds
        up.put(int(known is not None and known < TUNNEL_SECONDS), tunnel=tunnel.name)
        age.put(known, tunnel=tunnel.name)
        sent.put(tunnel.sent_bytes, tunnel=tunnel.name)
        received.put(tunnel.received_bytes, tunnel=tunnel.name)
    used = Family("tunnel_used", "gauge", "Whether a tunnel carries the site's signalling and media.")
    answers = Family("tunnel_answers", "gauge", "Whether a tunnel's concentrator answers probes.")
    evidence = read(said, now)
    for tunnel in evidence.tunnels or ():
        used.put(int(tunnel.name == evidence.used), tunnel=tunnel.name)
        if tunnel.state in ("lives", "dead"):
            answers.put(int(tunnel.state == "lives"), tunnel=tunnel.name)
    return [registered, up, age, sent, received, used, answers]


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    """A number that one of ours can have said; a truth value is none."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST
    return value if good and isinstance(value, int | float) else None
