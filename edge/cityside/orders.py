"""What the city orders beside views, as records; and what comes back, as messages in the edition that the city speaks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from edge.access import Access
from edge.cityside.issued import IssuedIds
from edge.gb28181.device import Device, OrderReceived
from edge.gb28181.orders import ANSWERED, action_of
from edge.gb28181.pager import pages
from edge.manscdp import device
from edge.manscdp.control import Control, ControlResponse
from edge.manscdp.device import PositionNotify, PositionsNotify, PresetEntry, PresetResponse
from edge.manscdp.events import AlarmNotify, Broadcast
from edge.manscdp.messages import Message, encode
from edge.manscdp.recordings import RecordInfoQuery, RecordInfoResponse, Recording
from edge.records.types import (
    ACTIONS,
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
from edge.sip.chance import Chance

_EAST, _NORTH, _DEPTH = 180_000_000, 90_000_000, 10_000
MAX_ORDERS = 256
Asked = RecordInfoQuery | device.PresetQuery | Control


@dataclass(slots=True)
class _Order:
    """An order of the city: what it asked, and what has come of it."""

    asked: Asked
    recordings: deque[Recording] = field(default_factory=deque)
    presets: list[PresetEntry] = field(default_factory=list)
    total: int = 0
    told: int = 0
    done: bool = False


class CityOrders:
    """All orders of one city, by the number that they have inside the box."""

    def __init__(
        self, platform: str, device_role: Device, issued: IssuedIds, access: Access, chance: Chance,
        send: Callable[[Record], None],
    ) -> None:  # fmt: skip
        self._platform = platform
        self._device = device_role
        self._issued = issued
        self._access = access
        self._chance = chance
        self._send = send
        self._orders: dict[int, _Order] = {}
        self.counters: Counter[str] = Counter()

    # -- from the city -------------------------------------------------------------------------------------------

    def refuses(self, body: Message) -> str | None:
        """Return the rule by which an order is refused before it is taken; the ferry asks the same again."""
        target = self._issued.channel(body.device_id)
        if target is None:
            return "channel_unknown"
        refusal = self._access.refuses(self._platform, *target, _right(body))
        return refusal.reason if refusal is not None else None

    def take(self, event: OrderReceived, viewer: str) -> None:
        """Send an order into the box."""
        body = event.body
        target = self._issued.channel(body.device_id)
        if target is None or isinstance(body, Broadcast) or len(self._orders) >= MAX_ORDERS:
            self.counters["order_dropped"] += 1
            return
        number = 1 + self._chance.number(0xFFFFFFFF)
        self._orders[number] = _Order(body)
        if isinstance(body, RecordInfoQuery):
            start, end = min(body.start, body.end), max(body.start, body.end)
            self._send(RecordQuery(number, self._platform, *target, viewer, start, end, body.kind))
        elif isinstance(body, device.PresetQuery):
            self._send(PresetQuery(number, self._platform, *target, viewer))
        else:
            action = action_of(body)
            assert action is not None  # the role takes no other
            values = ",".join(map(str, _within(*action)))
            self._send(DeviceControl(number, self._platform, *target, viewer, action[0], values))

    # -- from the ferry ------------------------------------------------------------------------------------------

    def on_record(self, record: Record, now: float) -> bool:
        """Take a record; False when it is none of an order."""
        if isinstance(record, RecordItem):
            self._recording(record, now)
        elif isinstance(record, PresetItem):
            order = self._orders.get(record.order)
            if order is not None:
                order.presets.append(PresetEntry(record.preset, record.name))
        elif isinstance(record, OrderDone):
            self._done(record, now)
        elif isinstance(record, AlarmNotice):
            self._alarm(record, now)
        elif isinstance(record, PositionNotice):
            self._position(record, now)
        else:
            return False
        return True

    def _recording(self, item: RecordItem, now: float) -> None:
        order = self._orders.get(item.order)
        if order is None:
            return
        about = order.asked.device_id
        order.recordings.append(Recording(about, item.name, item.start, item.end, item.secrecy, item.kind))
        order.total = max(order.total, item.total)
        if order.told == 0 and len(order.recordings) == 1:
            self._device.answer_pages(self._pages(order), now)
        else:
            self._device.wake(now)

    def _pages(self, order: _Order) -> Iterator[Message | None]:
        """Yield what has come, as long as a page may be; None while nothing waits; at the end what is left."""
        asked, most = order.asked, self._device.page_bytes()

        def page(items: tuple[Recording, ...]) -> Message:
            # When all have come, how many came is how many there are, whatever the recorder had said.
            total = order.told + len(order.recordings) if order.done else order.total
            return RecordInfoResponse(asked.sn, asked.device_id, "", total, items)

        def write(message: Message) -> bytes:
            return encode(message, self._device.edition)

        while order.recordings or not order.done:
            if not order.recordings:
                yield None
                continue
            waiting = list(order.recordings)[:64]
            first = next(pages(page, waiting, most, write))
            assert isinstance(first, RecordInfoResponse)
            yield first
            for _ in first.items:
                order.recordings.popleft()
            order.told += len(first.items)

    def _done(self, done: OrderDone, now: float) -> None:
        order = self._orders.pop(done.order, None)
        if order is None:
            return
        order.done = True
        asked = order.asked
        if done.reason != "done":
            self.counters[done.reason] += 1
        if isinstance(asked, RecordInfoQuery):
            if order.recordings or order.told:
                self._device.wake(now)
            else:
                self._device.answer(RecordInfoResponse(asked.sn, asked.device_id, "", 0), now)
        elif isinstance(asked, device.PresetQuery):
            presets = tuple(order.presets)
            self._device.answer(PresetResponse(asked.sn, asked.device_id, len(presets), presets), now)
        elif isinstance(asked, ANSWERED):
            result = "OK" if done.reason == "done" else "ERROR"
            self._device.answer(ControlResponse(asked.sn, asked.device_id, result), now)

    def _alarm(self, notice: AlarmNotice, now: float) -> None:
        issued = self._heard(notice, "alarms")
        if issued is None:
            return
        told = AlarmNotify(
            0,
            issued,
            notice.priority,
            notice.method,
            notice.at or None,
            notice.text,
            notice.longitude - _EAST if notice.located else None,
            notice.latitude - _NORTH if notice.located else None,
            notice.kind or None,
            notice.event or None,
        )
        self._device.alarm(issued, told, now)

    def _position(self, notice: PositionNotice, now: float) -> None:
        issued = self._heard(notice, "positions")
        if issued is None:
            return
        longitude, latitude = notice.longitude - _EAST, notice.latitude - _NORTH
        rest = (notice.speed, notice.direction, notice.altitude - _DEPTH)
        sn, at = self._device.next_sn(), notice.at or None
        body: Message = PositionNotify(sn, issued, at, longitude, latitude, *rest)
        if self._device.speaks_later_edition():
            place = device.Position(issued, at, longitude, latitude, *rest)
            body = PositionsNotify(sn, issued, at, 1, (place,))
        self._device.position(body, now)

    def _heard(self, notice: AlarmNotice | PositionNotice, right: str) -> str | None:
        """Return the id of a notice's channel here, None when this platform does not hear of it: another one does."""
        refusal = self._access.refuses(self._platform, notice.recorder, notice.channel, right)
        return self._issued.of(notice.recorder, notice.channel) if refusal is None else None

    def on_ferry_lost(self, now: float) -> None:
        """Without the ferry nothing is answered."""
        for number in list(self._orders):
            self._done(OrderDone(number, "ferry_unreachable", 0), now)


def _right(body: Message) -> str:
    if isinstance(body, Broadcast):
        return "talk"
    if isinstance(body, Control):
        action = action_of(body)
        return ACTIONS[action[0]][0] if action is not None else ""
    return "ptz" if isinstance(body, device.PresetQuery) else "playback"


def _within(action: str, values: tuple[int, ...]) -> tuple[int, ...]:
    """Bring numbers into their ranges: the later edition's widest spans exceed what any camera does."""
    return tuple(min(max(v, low), high) for v, (low, high) in zip(values, ACTIONS[action][1], strict=True))
