"""The ferry's thinking part: records, keeper's answers and relay reports in; commands out. No socket, no clock.

What is published and who is there is decided here; views in ``views``, orders and talks in ``orders``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edge.access import Access
from edge.control.wire import FerryRequest
from edge.ferry.calls import CallRefused, PassedSocket
from edge.ferry.commands import (
    CloseDescriptor,
    Command,
    DropSide,
    Send,
)
from edge.ferry.orders import Orders
from edge.ferry.talks import Talks
from edge.ferry.verify import VerifyRefused, verify
from edge.ferry.views import Views
from edge.records.types import (
    CallLives,
    CallsTold,
    CatalogItem,
    ChannelState,
    CloseMedia,
    MediaAnswered,
    MediaDial,
    MediaDialled,
    MediaFinished,
    MediaReady,
    MediaRefused,
    MediaReports,
    MediaReserved,
    MediaSink,
    OpenMedia,
    OpenTalk,
    Party,
    PlaybackAnswer,
    PlaybackControl,
    Record,
    TalkAnswered,
    TalkReady,
    TalkSink,
)
from netconf.model import Site

#: A side that died is started again within two seconds; what it takes longer than this is no restart, and nobody hears
#: a BYE for a view without its legs.
SIDE_SECONDS = 10.0


class Ferry:
    """The crossing of one confirmed configuration."""

    def __init__(self, site: Site) -> None:
        self._access = Access(site)
        self._published: dict[tuple[str, str], CatalogItem] = {}
        self._lost: dict[Party, float] = {}
        self._commands: list[Command] = []
        self.counters: Counter[str] = Counter()
        self.media = Views(site, self._access, self._commands.append, self.counters)
        self.orders = Orders(self._access, self._commands.append, self.counters)
        self.talks = Talks(site, self._access, self._commands.append, self.counters)
        self.faulty: Counter[Party] = Counter()

    # -- what comes in -------------------------------------------------------------------------------------------

    def on_record(self, sender: Party, data: bytes, sockets: tuple[PassedSocket, ...], now: float) -> None:
        """Take one datagram of a side; whatever is wrong with it ends here, by rule name."""
        try:
            record = verify(sender, data, len(sockets))
            self._handle(sender, record, sockets, now)
        except (VerifyRefused, CallRefused) as refused:
            for passed in sockets:
                self._commands.append(CloseDescriptor(passed.descriptor))
            self.fault(sender, refused.rule)

    def fault(self, side: Party, rule: str) -> None:
        """Count a broken rule against a side, mark it faulty and hang up on it."""
        self.counters[rule] += 1
        self.faulty[side] += 1
        self._commands.append(DropSide(side, rule))

    def on_side_up(self, side: Party) -> None:
        """A side is there: it hears which calls live, and the city side what is published now."""
        self._lost.pop(side, None)
        living = self.media.living(side)
        self._commands += [Send(side, CallLives(number)) for number in living]
        self._commands.append(Send(side, CallsTold(len(living))))
        if side is Party.CITY:
            self._commands += [Send(Party.CITY, item) for item in self._published.values()]

    def on_side_lost(self, side: Party, now: float) -> None:
        """A side is gone. Media that flows goes on for a while: the side comes back and knows its legs."""
        self._lost[side] = now
        self.media.on_side_lost(side, now)
        self.orders.on_side_away(side)
        self.talks.on_side_away(side)

    def on_side_away(self, side: Party, now: float) -> None:
        """A side does not come back, or was owned: every call ends, for one of its legs is gone."""
        self._lost.pop(side, None)
        if side is Party.SITE:
            for recorder, channel in self._published:
                self._commands.append(Send(Party.CITY, ChannelState(recorder, channel, 0)))
            self._published.clear()
        self.media.on_side_away(side, now)
        self.orders.on_side_away(side)
        self.talks.on_side_away(side)

    def handle_timer(self, now: float) -> None:
        """End what is overdue, and what belongs to a side that stays away."""
        for side, since in list(self._lost.items()):
            if now - since > SIDE_SECONDS:
                self.on_side_away(side, now)
        self.media.handle_timer(now)
        self.orders.handle_timer(now)
        self.talks.handle_timer(now)

    # -- from the keeper and the workers -------------------------------------------------------------------------

    def on_pin(self, request: FerryRequest, opened: bool, now: float) -> None:
        """Take the keeper's answer to a pin."""
        self.media.on_pin(request, opened, now)
        self.talks.on_pin(request, opened, now)

    def on_keeper_up(self) -> None:
        """A keeper is there."""
        self.media.on_keeper_up()
        self.talks.on_keeper_up()

    def on_keeper_lost(self, now: float) -> None:
        """The keeper is gone."""
        self.media.on_keeper_lost(now)
        self.talks.on_keeper_lost()

    def on_viewer(
        self,
        call: int,
        packets: int,
        octets: int,
        gone: str,
        now: float,
        said: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """Take how much somebody has had so far, and what he says of it."""
        if call in self.talks.talks:
            self.talks.on_viewer(call, packets, octets, now)
        else:
            self.media.on_viewer(call, packets, octets, gone, now, said)

    def commands(self) -> list[Command]:
        """Return, once, what is to be done, in order."""
        due = self._commands[:]
        self._commands.clear()
        return due

    # -- what records mean ---------------------------------------------------------------------------------------

    def _handle(self, sender: Party, record: Record, sockets: tuple[PassedSocket, ...], now: float) -> None:
        handlers: dict[type[Any], Callable[[Any], None]] = {
            CatalogItem: self._publish,
            ChannelState: self._publish,
            MediaSink: lambda sink: self.media.sinks.hold(sink, sockets[0]),
            MediaDial: self.media.sinks.hold_dial,
            MediaReports: lambda told: self.media.hold_reports(told, sockets[0], sender),
            OpenTalk: lambda request: self._open_talk(request, now),
            TalkAnswered: lambda step: self.talks.answered(step, now),
            TalkReady: lambda step: self.talks.ready(step, sockets[0], now),
            TalkSink: lambda step: self.talks.sink(step, sockets[0], now),
            MediaDialled: lambda done: self.media.dialled(done, sockets[0], now),
            OpenMedia: lambda request: self.media.open(request, now),
            MediaReserved: lambda reserved: self.media.reserve(reserved, now),
            MediaAnswered: lambda answered: self.media.answer(answered, now),
            MediaReady: lambda ready: self.media.flow(ready, sockets[0], now),
            MediaRefused: lambda refused: self._refused(refused, now),
            CloseMedia: lambda close: self._close(close, now, sender),
            PlaybackControl: lambda control: self._steer(control, now),
            PlaybackAnswer: lambda answer: self._to_city_of(answer.call, answer),
            MediaFinished: lambda finished: self._to_city_of(finished.call, finished),
        }
        if isinstance(record, MediaSink | MediaDial) and record.call in self.talks.talks:
            raise VerifyRefused("sink_unexpected")
        handler = handlers.get(type(record))
        if handler is not None:
            handler(record)
        else:
            self.orders.handle(record, now)

    def _close(self, close: CloseMedia, now: float, sender: Party) -> None:
        if not self.talks.end(close.call, close.reason, gone=sender):
            self.media.close(close, sender, now)

    def _refused(self, refused: MediaRefused, now: float) -> None:
        if not self.talks.end(refused.call, refused.reason, gone=Party.SITE):
            self.media.refused(refused, now)

    def _open_talk(self, request: OpenTalk, now: float) -> None:
        if request.call in self.media.pulls or request.call in self.media.views:
            raise VerifyRefused("talk_twice")
        self.talks.open(request, now)

    def _steer(self, control: PlaybackControl, now: float) -> None:
        """Hand a playback's control to the site. While it pauses nothing comes, and that is as it should be."""
        pull = self.media.pulls.get(control.call)
        if pull is None:
            return
        if pull.request.kind == "live":
            raise VerifyRefused("control_of_live")
        if control.action != "stop":
            pull.paused_at = now if control.action == "pause" else None
            pull.last_good = now
        self._commands.append(Send(Party.SITE, control))

    def _to_city_of(self, number: int, record: PlaybackAnswer | MediaFinished) -> None:
        if number in self.media.views:
            self._commands.append(Send(Party.CITY, record))

    def _publish(self, record: CatalogItem | ChannelState) -> None:
        key = (record.recorder, record.channel)
        if not self._access.publishes(*key):
            self.counters["channel_not_shared"] += 1
            return
        if isinstance(record, CatalogItem):
            self._published[key] = record
        elif key in self._published:
            self._published[key] = replace(self._published[key], online=record.online)
        else:
            return  # a state of what was never shown means nothing to the city
        self._commands.append(Send(Party.CITY, record))
