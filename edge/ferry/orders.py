"""What crosses beside media: orders of the city and their answers, and notices of the site.

Nothing is answered that was not asked: an item or an end that belongs to no order of that kind is counted and ends here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from edge.access import Access
from edge.ferry.commands import Command, Send, WriteReceipt
from edge.ferry.verify import VerifyRefused
from edge.records.types import (
    ACTIONS,
    AlarmNotice,
    DeviceControl,
    OrderDone,
    Party,
    PositionNotice,
    PresetItem,
    PresetQuery,
    Record,
    RecordItem,
    RecordQuery,
)

#: A city's wall of screens asks for as many recordings at once.
MAX_ORDERS = 256
#: The site side gives up sooner, and says why; this holds when it hangs.
ORDER_SECONDS = 40.0

Asked = RecordQuery | PresetQuery | DeviceControl
_ANSWERS: dict[type[Asked], type[RecordItem] | type[PresetItem] | None] = {
    RecordQuery: RecordItem,
    PresetQuery: PresetItem,
    DeviceControl: None,
}


@dataclass(slots=True)
class _Order:
    asked: Asked
    last: float
    count: int = 0


class Orders:
    """All orders of one confirmed configuration."""

    def __init__(self, access: Access, emit: Callable[[Command], None], counters: Counter[str]) -> None:
        self._access = access
        self._emit = emit
        self._counters = counters
        self._orders: dict[int, _Order] = {}

    def handle(self, record: Record, now: float) -> None:
        """Take a verified record of its sender.

        Raises:
            VerifyRefused: no honest side says this now.
        """
        if isinstance(record, RecordQuery | PresetQuery | DeviceControl):
            self._ask(record, now)
        elif isinstance(record, RecordItem | PresetItem):
            self._item(record, now)
        elif isinstance(record, OrderDone):
            self._done(record)
        elif isinstance(record, AlarmNotice | PositionNotice):
            self._notice(record)
        else:
            raise VerifyRefused("record_unexpected")

    # -- orders --------------------------------------------------------------------------------------------------

    def _ask(self, asked: Asked, now: float) -> None:
        if asked.order in self._orders:
            raise VerifyRefused("order_twice")
        if isinstance(asked, DeviceControl):
            _judge_values(asked)
        elif isinstance(asked, RecordQuery) and asked.start > asked.end:
            raise VerifyRefused("times_contrary")
        refusal = self._access.refuses(asked.platform, asked.recorder, asked.channel, _right(asked))
        reason = refusal.reason if refusal is not None else "too_many_calls" if self._full else ""
        self._receipt(asked, reason)
        if reason:
            self._counters[reason] += 1
            self._emit(Send(Party.CITY, OrderDone(asked.order, reason, 0)))
            return
        self._orders[asked.order] = _Order(asked, now)
        self._emit(Send(Party.SITE, asked))

    @property
    def _full(self) -> bool:
        return len(self._orders) >= MAX_ORDERS

    def _item(self, item: RecordItem | PresetItem, now: float) -> None:
        order = self._orders.get(item.order)
        if order is None or _ANSWERS[type(order.asked)] is not type(item):
            self._counters["answer_unasked"] += 1
            return
        order.last, order.count = now, order.count + 1
        self._emit(Send(Party.CITY, item))

    def _done(self, done: OrderDone) -> None:
        order = self._orders.pop(done.order, None)
        if order is None:
            self._counters["answer_unasked"] += 1
            return
        self._emit(Send(Party.CITY, OrderDone(done.order, done.reason, order.count)))

    def _receipt(self, asked: Asked, refused: str) -> None:
        action = (
            asked.action
            if isinstance(asked, DeviceControl)
            else "records"
            if isinstance(asked, RecordQuery)
            else "presets"
        )
        told: dict[str, str | int] = {
            "viewer": asked.viewer,
            "platform": asked.platform,
            "recorder": asked.recorder,
            "channel": asked.channel,
            "kind": _right(asked),
            "action": action,
            "result": "refused" if refused else "ordered",
            "reason": refused,
        }
        self._emit(WriteReceipt("ordered", asked.order, told))

    # -- notices -------------------------------------------------------------------------------------------------

    def _notice(self, notice: AlarmNotice | PositionNotice) -> None:
        right = "alarms" if isinstance(notice, AlarmNotice) else "positions"
        if not self._access.grants_any(notice.recorder, notice.channel, right):
            self._counters[f"{right}_not_granted"] += 1
            return
        self._counters[right] += 1
        self._emit(Send(Party.CITY, notice))

    # -- time and endings ----------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """End what the site side leaves unanswered."""
        for number, order in list(self._orders.items()):
            if now - order.last > ORDER_SECONDS:
                self._done(OrderDone(number, "recorder_no_answer", 0))

    def on_side_away(self, side: Party) -> None:
        """A side is gone: nobody answers, or nobody waits."""
        for number in list(self._orders):
            if side is Party.SITE:
                self._done(OrderDone(number, "side_lost", 0))
        self._orders.clear()


def _right(asked: Asked) -> str:
    if isinstance(asked, RecordQuery):
        return "playback"
    return "ptz" if isinstance(asked, PresetQuery) else ACTIONS[asked.action][0]


def _judge_values(control: DeviceControl) -> None:
    """An action has its own numbers, each in its own range."""
    ranges = ACTIONS[control.action][1]
    values = [int(value) for value in control.values.split(",")] if control.values else []
    if len(values) != len(ranges) or any(not low <= v <= high for v, (low, high) in zip(values, ranges, strict=True)):
        raise VerifyRefused("values_range")
