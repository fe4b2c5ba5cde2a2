"""What crosses beside media: orders of the city and their answers, notices of the site, and the signalling of a talk.

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
    CloseMedia,
    DeviceControl,
    MediaRefused,
    OpenTalk,
    OrderDone,
    Party,
    PositionNotice,
    PresetItem,
    PresetQuery,
    Record,
    RecordItem,
    RecordQuery,
    TalkAnswered,
    TalkReady,
)

#: A city's wall of screens asks for as many recordings at once.
MAX_ORDERS = 256
#: The site side gives up sooner, and says why; this holds when it hangs.
ORDER_SECONDS = 40.0
#: A recorder that agreed to a broadcast asks for the sound at once.
TALK_SECONDS = 20.0
MAX_TALKS = 8

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


@dataclass(slots=True)
class _Talk:
    request: OpenTalk
    since: float
    ready: bool = False
    answered: bool = False


class Orders:
    """All orders and talks of one confirmed configuration."""

    def __init__(self, access: Access, emit: Callable[[Command], None], counters: Counter[str]) -> None:
        self._access = access
        self._emit = emit
        self._counters = counters
        self._orders: dict[int, _Order] = {}
        self.talks: dict[int, _Talk] = {}

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
        elif isinstance(record, OpenTalk):
            self._open_talk(record, now)
        elif isinstance(record, TalkAnswered | TalkReady):
            self._step_talk(record, now)
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

    # -- talks ---------------------------------------------------------------------------------------------------

    def _open_talk(self, request: OpenTalk, now: float) -> None:
        if request.call in self.talks:
            raise VerifyRefused("talk_twice")
        refusal = self._access.refuses(request.platform, request.recorder, request.channel, "talk")
        reason = refusal.reason if refusal is not None else "too_many_calls" if len(self.talks) >= MAX_TALKS else ""
        status = refusal.status if refusal is not None else 486
        if reason:
            self._counters[reason] += 1
            self._emit(Send(Party.CITY, MediaRefused(request.call, status, reason)))
            self._talk_receipt(request, "refused", reason)
            return
        self.talks[request.call] = _Talk(request, now)
        self._talk_receipt(request, "allowed")
        self._emit(Send(Party.SITE, request))

    def _step_talk(self, step: TalkAnswered | TalkReady, now: float) -> None:
        talk = self.talks.get(step.call)
        if talk is None:
            return  # it ended while the record was on its way
        if isinstance(step, TalkAnswered):
            talk.answered, talk.since = True, now
            self._emit(Send(Party.CITY, step))
        elif not talk.answered:
            raise VerifyRefused("talk_ready_unanswered")
        else:
            talk.ready = True
            self._emit(Send(Party.SITE, step))

    def end_talk(self, call: int, reason: str, gone: Party | None = None) -> bool:
        """End a talk; False when there is none of that number."""
        talk = self.talks.pop(call, None)
        if talk is None:
            return False
        for side in (Party.SITE, Party.CITY):
            if side is not gone:
                self._emit(Send(side, CloseMedia(call, reason)))
        self._talk_receipt(talk.request, "viewed" if talk.ready else "not_viewed", reason)
        return True

    def _talk_receipt(self, request: OpenTalk, result: str, reason: str = "") -> None:
        told: dict[str, str | int] = {
            "viewer": request.viewer,
            "platform": request.platform,
            "recorder": request.recorder,
            "channel": request.channel,
            "kind": "talk",
            "packets": 0,
            "bytes": 0,
            "result": result,
            "reason": reason,
        }
        self._emit(WriteReceipt("opened" if result == "allowed" else "closed", request.call, told))

    # -- time and endings ----------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """End what the site side leaves unanswered."""
        for number, order in list(self._orders.items()):
            if now - order.last > ORDER_SECONDS:
                self._done(OrderDone(number, "recorder_no_answer", 0))
        for number, talk in list(self.talks.items()):
            if not talk.ready and now - talk.since > TALK_SECONDS:
                self.end_talk(number, "recorder_no_answer")

    def on_side_away(self, side: Party) -> None:
        """A side is gone: nobody answers, or nobody waits."""
        for number in list(self._orders):
            if side is Party.SITE:
                self._done(OrderDone(number, "side_lost", 0))
        self._orders.clear()
        for number in list(self.talks):
            self.end_talk(number, "side_lost", gone=side)


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
