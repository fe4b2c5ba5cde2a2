"""Which worker carries which pull, and what it was told, so that another can be told the same."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from edge.ferry import relay
from edge.ferry.commands import JoinRelay, LeaveRelay, StartRelay, StopRelay
from edge.ferry.relay import Stamp, StreamTold, ViewerTold
from edge.ferry.reporting import fresh_name

#: The nursery replaces a worker that hangs after 5 s; when that long after it has not, it hangs itself. The pulls would
#: end after 15 s of silence, and nobody would relay those that come then.
STUCK_SECONDS = 12.0


@dataclass(slots=True)
class _Viewer:
    order: JoinRelay
    stamp: Stamp
    #: What workers before this one have sent, and what this one has: packets, octets.
    before: tuple[int, int] = (0, 0)
    now: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class _Carried:
    """One pull: its place, its order, its viewers, and what workers before this one have read."""

    place: int
    order: StartRelay
    viewers: dict[int, _Viewer] = field(default_factory=dict)
    before: StreamTold | None = None
    now: StreamTold | None = None


class Relays:
    """The pulls over the workers behind ``controls``."""

    def __init__(self, controls: Sequence[socket.socket]) -> None:
        self._controls = controls
        self._carried: dict[int, _Carried] = {}
        self._heard = dict.fromkeys(range(len(controls)), 0.0)

    def heard(self, place: int, now: float) -> None:
        """A worker has reported."""
        self._heard[place] = now

    def stuck(self, now: float) -> bool:
        """Return whether a worker that carries pulls has not reported for ``STUCK_SECONDS``."""
        busy = {carried.place for carried in self._carried.values()}
        for place in self._heard.keys() - busy:
            self._heard[place] = now
        return any(now - heard > STUCK_SECONDS for heard in self._heard.values())

    def do(self, order: StartRelay | JoinRelay | LeaveRelay | StopRelay) -> None:
        """Give a pull to the worker that carries the fewest, or change what is said of one."""
        if isinstance(order, StartRelay):
            busy = [carried.place for carried in self._carried.values()]
            place = min(range(len(self._controls)), key=busy.count)
            self._carried[order.pull] = _Carried(place, order)
            self._tell_pull(self._carried[order.pull])
            return
        carried = self._carried.get(order.pull)
        if carried is None:
            return
        control = self._controls[carried.place]
        if isinstance(order, JoinRelay):
            sequence, timestamp = int.from_bytes(os.urandom(2), "big"), int.from_bytes(os.urandom(4), "big")
            stamp = Stamp(order.ssrc, order.payload_type, sequence, timestamp, order.most, fresh_name())
            viewer = carried.viewers[order.call] = _Viewer(order, stamp)
            self._tell(lambda: _join(control, viewer))
        elif isinstance(order, LeaveRelay):
            carried.viewers.pop(order.call, None)
            self._tell(lambda: relay.leave(control, order.pull, order.call))
        else:
            del self._carried[order.pull]
            self._tell(lambda: relay.close_stream(control, order.pull))

    def again(self, place: int) -> None:
        """Another worker is in ``place``: it begins with nothing, and with the same numbers goes on where the last ended."""
        self._tell(lambda: relay.reset(self._controls[place]))
        for carried in self._carried.values():
            if carried.place == place:
                carried.before, carried.now = _sum(carried.before, carried.now), None
                for viewer in carried.viewers.values():
                    viewer.before, viewer.now = _add(viewer.before, viewer.now), (0, 0)
                    viewer.stamp = replace(viewer.stamp, packets=viewer.before[0], octets=viewer.before[1])
                self._tell_pull(carried)

    def stream(self, told: StreamTold) -> StreamTold:
        """Return a pull's totals over all workers that carried it."""
        carried = self._carried.get(told.stream)
        if carried is None:
            return told
        carried.now = told
        return _sum(carried.before, told) or told

    def viewer(self, told: ViewerTold) -> tuple[int, int]:
        """Return a view's packets and octets over all workers that carried it; its numbers are kept for the next one."""
        for carried in self._carried.values():
            viewer = carried.viewers.get(told.call)
            if viewer is not None:
                viewer.now = (told.packets, told.octets)
                viewer.stamp = replace(viewer.stamp, sequence=told.sequence)
                return _add(viewer.before, viewer.now)
        return told.packets, told.octets

    def places(self) -> dict[int, int]:
        """Return the place of each pull."""
        return {pull: carried.place for pull, carried in self._carried.items()}

    def _tell_pull(self, carried: _Carried) -> None:
        order, control = carried.order, self._controls[carried.place]
        types = carried.before.types if carried.before is not None else {}
        facts = (order.ssrc, order.payload_type, order.prefix, order.content, types)
        sources = [order.source] if order.back is None else [order.source, order.back]
        self._tell(lambda: relay.open_stream(control, order.pull, sources, *facts))
        for viewer in carried.viewers.values():
            self._tell(partial(_join, control, viewer))

    def _tell(self, order: Callable[[], None]) -> None:
        # A worker that does not read its orders is dying; the next one is told anew.
        with contextlib.suppress(BlockingIOError):
            order()


def _join(control: socket.socket, viewer: _Viewer) -> None:
    order = viewer.order
    sinks = [order.sink] if order.reports is None else [order.sink, order.reports]
    relay.join(control, order.pull, order.call, sinks, viewer.stamp, order.mux)


def _add(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]


def _sum(one: StreamTold | None, other: StreamTold | None) -> StreamTold | None:
    if one is None or other is None:
        return one or other
    return replace(
        other,
        packets=one.packets + other.packets,
        lost=one.lost + other.lost,
        protected=one.protected or other.protected,
        types=other.types or one.types,
        dropped=dict(Counter(one.dropped) + Counter(other.dropped)),
        pictures=one.pictures + other.pictures,
        keys=one.keys + other.keys,
        jitter_ms=one.jitter_ms if other.jitter_ms is None else other.jitter_ms,
        key_frame_ms=one.key_frame_ms if other.key_frame_ms is None else other.key_frame_ms,
    )
