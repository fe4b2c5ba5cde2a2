"""Orders of the city at the recorders, what comes of them, and what recorders report by themselves.

An order becomes a message to a recorder; its answer is matched by SN and becomes records again. A recorder that stops in
the middle of its list of recordings is asked once more, from where it stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edge.gb28181.orders import control_of
from edge.gb28181.platform import Ask, Platform
from edge.gb28181.reports import AlarmReceived, Answered, AskRefused, ControlSent, PositionReceived
from edge.manscdp import device
from edge.manscdp.control import Control, ControlResponse
from edge.manscdp.device import PresetResponse
from edge.manscdp.events import BroadcastResponse
from edge.manscdp.recordings import RecordInfoQuery, RecordInfoResponse
from edge.records.types import (
    AlarmNotice,
    DeviceControl,
    OrderDone,
    PositionNotice,
    PresetItem,
    PresetQuery,
    Record,
    RecordItem,
    RecordQuery,
)
from edge.siteside.labels import clean

#: A recorder that looks through a slow disk pauses; one that says nothing for so long has stopped.
IDLE_SECONDS = 8.0
#: A recording a minute over a week.
MAX_RECORDINGS = 20_000
_EAST, _NORTH, _DEPTH = 180_000_000, 90_000_000, 10_000
Asked = RecordQuery | PresetQuery | DeviceControl


@dataclass(slots=True)
class _Order:
    asked: Asked
    last: float
    total: int | None = None
    seen: set[tuple[int, int, str]] = field(default_factory=set)
    #: Until when the recordings that came reach.
    reached: int = 0
    again: bool = False
    count: int = 0


class SiteOrders:
    """All orders at the recorders of one site, by the SN of the message that asks."""

    def __init__(self, platform: Platform, send: Callable[[Record], None], counters: Counter[str]) -> None:
        self._platform = platform
        self._send = send
        self._counters = counters
        self._by_sn: dict[int, _Order] = {}

    def ask(self, asked: Asked, now: float) -> None:
        """Ask a recorder for what the city ordered."""
        order = _Order(asked, now)
        if isinstance(asked, DeviceControl) and not self._platform.understands(asked.recorder, self._control(asked, 0)):
            self._end(order, "edition_lacks")
        elif not self._put(order, now):
            self._end(order, "recorder_offline")

    def _put(self, order: _Order, now: float, start: int = 0) -> bool:
        asked = order.asked

        def make(sn: int) -> Ask:
            if isinstance(asked, RecordQuery):
                return RecordInfoQuery(sn, asked.channel, max(start, asked.start), asked.end, 0, asked.kind)
            if isinstance(asked, PresetQuery):
                return device.PresetQuery(sn, asked.channel)
            return self._control(asked, sn)

        sn = self._platform.ask(asked.recorder, make, now)
        if sn is None:
            return False
        self._by_sn[sn] = order
        return True

    def _control(self, asked: DeviceControl, sn: int) -> Control:
        values = tuple(int(value) for value in asked.values.split(",")) if asked.values else ()
        return control_of(asked.action, values, sn, asked.channel)

    # -- from the recorders --------------------------------------------------------------------------------------

    def on_event(self, event: object, now: float) -> bool:
        """Take an event of the platform role; False when it is none of an order."""
        if isinstance(event, Answered):
            if isinstance(event.body, BroadcastResponse):
                return False
            self._answered(event, now)
        elif isinstance(event, AskRefused):
            if event.sn not in self._by_sn:
                return False
            reason = "recorder_no_answer" if event.status == 408 else "recorder_refused"
            self._end(self._by_sn.pop(event.sn), reason)
        elif isinstance(event, ControlSent):
            order = self._by_sn.pop(event.sn, None)
            if order is not None:
                self._end(order, "done")
        elif isinstance(event, AlarmReceived):
            self._alarm(event)
        elif isinstance(event, PositionReceived):
            self._position(event)
        else:
            return False
        return True

    def _answered(self, event: Answered, now: float) -> None:
        order = self._by_sn.get(event.sn)
        if order is None or order.asked.recorder != event.device:
            self._counters["answer_unasked"] += 1
            return
        order.last = now
        body = event.body
        if isinstance(body, RecordInfoResponse) and isinstance(order.asked, RecordQuery):
            self._recordings(event.sn, order, body)
        elif isinstance(body, PresetResponse) and isinstance(order.asked, PresetQuery):
            for preset in body.presets:
                self._send(PresetItem(order.asked.order, preset.preset_id, clean(preset.name)))
                order.count += 1
            self._end(self._by_sn.pop(event.sn), "done")
        elif isinstance(body, ControlResponse) and isinstance(order.asked, DeviceControl):
            self._end(self._by_sn.pop(event.sn), "done" if body.result == "OK" else "recorder_refused")
        else:
            self._counters["answer_unasked"] += 1

    def _recordings(self, sn: int, order: _Order, page: RecordInfoResponse) -> None:
        if order.total is None:
            order.total = min(page.total if page.total is not None else len(page.items), MAX_RECORDINGS)
        for item in page.items:
            if item.start is None or item.end is None or item.start > item.end:
                self._counters["recording_times"] += 1
                order.total = max(0, order.total - 1)
                continue
            key = (item.start, item.end, item.name)
            if key in order.seen or len(order.seen) >= MAX_RECORDINGS:
                continue
            order.seen.add(key)
            order.reached = max(order.reached, item.end)
            name = clean(item.name)
            self._send(RecordItem(order.asked.order, order.total, name, item.start, item.end, item.kind, item.secrecy))
        order.count = len(order.seen)
        if order.count >= order.total:
            self._end(self._by_sn.pop(sn), "done")

    def _alarm(self, event: AlarmReceived) -> None:
        alarm = event.alarm
        located = alarm.longitude is not None and alarm.latitude is not None
        self._send(
            AlarmNotice(
                event.device,
                alarm.device_id if len(alarm.device_id) == 20 else event.device,
                alarm.priority,
                alarm.method,
                alarm.alarm_type or 0,
                alarm.event_type or 0,
                alarm.time or 0,
                clean(alarm.description, 300),
                int(located),
                (alarm.longitude or 0) + _EAST,
                (alarm.latitude or 0) + _NORTH,
            )
        )

    def _position(self, event: PositionReceived) -> None:
        place = event.position
        if place.longitude is None or place.latitude is None or len(place.device_id) != 20:
            self._counters["position_incomplete"] += 1
            return
        self._send(
            PositionNotice(
                event.device,
                place.device_id,
                place.time or 0,
                place.longitude + _EAST,
                place.latitude + _NORTH,
                place.speed or 0,
                place.direction or 0,
                (place.altitude or 0) + _DEPTH,
            )
        )

    # -- time and endings ----------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """End, or ask again for, what a recorder leaves unanswered."""
        for sn, order in list(self._by_sn.items()):
            if now - order.last <= IDLE_SECONDS:
                continue
            del self._by_sn[sn]
            if order.count and not order.again and isinstance(order.asked, RecordQuery):
                self._counters["recordings_again"] += 1
                rest = replace(order, last=now, again=True)
                if self._put(rest, now, start=order.reached):
                    continue
            self._end(order, "done" if order.count else "recorder_no_answer")

    def forget(self) -> None:
        """Nobody waits for answers any more."""
        self._by_sn.clear()

    def _end(self, order: _Order, reason: str) -> None:
        self._send(OrderDone(order.asked.order, reason, order.count))
