"""Which worker carries which call, and what it was told, so that another can be told the same."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from edge.ferry import relay
from edge.ferry.commands import StartRelay

#: The nursery replaces a worker that hangs after 5 s; when that long after it has not, it hangs itself. The calls would
#: end after 15 s of silence, and nobody would relay those that come then.
STUCK_SECONDS = 12.0


@dataclass(slots=True)
class _Carried:
    """One call: its place, its order, the offsets of its numbers, and what workers before this one have carried."""

    place: int
    order: StartRelay
    offsets: tuple[int, int]
    before: tuple[int, int] = (0, 0)
    now: tuple[int, int] = (0, 0)


class Relays:
    """The calls over the workers behind ``controls``."""

    def __init__(self, controls: Sequence[socket.socket]) -> None:
        self._controls = controls
        self._carried: dict[int, _Carried] = {}
        self._heard = dict.fromkeys(range(len(controls)), 0.0)

    def heard(self, place: int, now: float) -> None:
        """A worker has reported."""
        self._heard[place] = now

    def stuck(self, now: float) -> bool:
        """Return whether a worker that carries calls has not reported for ``STUCK_SECONDS``."""
        busy = {carried.place for carried in self._carried.values()}
        for place in self._heard.keys() - busy:
            self._heard[place] = now
        return any(now - heard > STUCK_SECONDS for heard in self._heard.values())

    def start(self, order: StartRelay) -> None:
        """Give a call to the worker that carries the fewest."""
        busy = [carried.place for carried in self._carried.values()]
        place = min(range(len(self._controls)), key=busy.count)
        offsets = (int.from_bytes(os.urandom(2), "big"), int.from_bytes(os.urandom(4), "big"))
        self._carried[order.call] = _Carried(place, order, offsets)
        self._tell(self._carried[order.call])

    def stop(self, call: int) -> None:
        """Take a call away from its worker."""
        carried = self._carried.pop(call, None)
        if carried is not None:
            with contextlib.suppress(BlockingIOError):
                relay.drop(self._controls[carried.place], call)

    def again(self, place: int) -> None:
        """Another worker is in ``place``: it begins with nothing, and with the same numbers goes on where the last ended."""
        with contextlib.suppress(BlockingIOError):
            relay.reset(self._controls[place])
        for carried in self._carried.values():
            if carried.place == place:
                carried.before, carried.now = _sum(carried.before, carried.now), (0, 0)
                self._tell(carried)

    def total(self, traffic: relay.Traffic) -> tuple[int, int]:
        """Return the packets and octets of a call over all workers that carried it."""
        carried = self._carried.get(traffic.call)
        if carried is None:
            return traffic.packets, traffic.octets
        carried.now = (traffic.packets, traffic.octets)
        return _sum(carried.before, carried.now)

    def places(self) -> dict[int, int]:
        """Return the place of each call."""
        return {call: carried.place for call, carried in self._carried.items()}

    def _tell(self, carried: _Carried) -> None:
        order = carried.order
        # A worker that does not read its orders is dying; the next one is told anew.
        with contextlib.suppress(BlockingIOError):
            relay.add(
                self._controls[carried.place],
                order.call,
                (order.source, order.sink),
                (order.source_ssrc, order.source_payload_type),
                (order.sink_ssrc, order.sink_payload_type),
                carried.offsets,
            )


def _sum(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]
