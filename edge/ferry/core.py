"""The ferry's thinking part: records, keeper's answers and relay reports in; commands out. No socket, no clock.

Every way a call can end runs through ``Ferry._end``, which gives one order: pin closed, relay and sockets closed,
both legs told, receipt written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from edge.access import Access
from edge.control.wire import ClosePin, OpenPin, RenewPin
from edge.ferry.calls import Call, CallRefused, Event, PassedSocket, State
from edge.ferry.commands import (
    AskKeeper,
    CloseDescriptor,
    Command,
    DropSide,
    Send,
    StartRelay,
    StopRelay,
    WriteReceipt,
)
from edge.ferry.orders import Orders
from edge.ferry.verify import VerifyRefused, verify
from edge.records.types import (
    CallLives,
    CallsTold,
    CatalogItem,
    ChannelState,
    CloseMedia,
    MediaAnswered,
    MediaFinished,
    MediaReady,
    MediaRefused,
    MediaReserved,
    MediaSink,
    OpenMedia,
    Party,
    PinOpened,
    PlaybackAnswer,
    PlaybackControl,
    Record,
)
from netconf.model import Site

#: The keeper lets a pin live this long; renewing at a third of it survives two lost renewals.
PIN_TTL_SECONDS = 30
PIN_RENEW_SECONDS = 10.0
#: A call without one good packet for so long is over (the practice of GB28181 media servers).
SILENCE_SECONDS = 15.0
#: A viewer who pauses a recording and goes away holds a pin, two sockets and one of the recorder's few sessions.
PAUSE_SECONDS = 600.0
#: A side that died is started again within two seconds; what it takes longer than this is no restart, and nobody hears
#: a BYE for a view without its legs.
SIDE_SECONDS = 10.0
#: The keeper's rate for one pin: 8 Mbit/s main stream, doubled for key frame bursts.
PIN_KBYTES_PER_SECOND = 2048


class Ferry:
    """The crossing of one confirmed configuration."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._access = Access(site)
        self._media = {platform.id: platform.media_networks for platform in site.platform}
        self._recorders = {recorder.id: recorder for recorder in site.recorder}
        self._tunnel_addresses = {str(tunnel.address.ip) for tunnel in site.tunnel}
        self._sinks: dict[int, tuple[MediaSink, PassedSocket]] = {}
        self._published: dict[tuple[str, str], CatalogItem] = {}
        self._lost: dict[Party, float] = {}
        self._commands: list[Command] = []
        self.calls: dict[int, Call] = {}
        self.counters: Counter[str] = Counter()
        self.orders = Orders(self._access, self._commands.append, self.counters)
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

    def on_pin(self, number: int, opened: bool, now: float) -> None:
        """Take the keeper's answer to OpenPin."""
        call = self.calls.get(number)
        if call is None or call.state is not State.WAITING_PIN:
            return
        if not opened:
            self._refuse(number, 503, "pin_refused", now)
            return
        call.renewed = now
        call.step(Event.PIN_OPENED, now)
        self._commands.append(Send(Party.SITE, PinOpened(number)))

    def on_traffic(self, number: int, packets: int, octets: int, now: float) -> None:
        """Take a relay worker's report: totals of good packets so far."""
        call = self.calls.get(number)
        if call is None or call.state is not State.FLOWING:
            return
        if packets > call.packets:
            call.last_good = now
        call.packets, call.octets = packets, octets

    def on_side_up(self, side: Party) -> None:
        """A side is there: it hears which calls live, and the city side what is published now."""
        self._lost.pop(side, None)
        flowing = [number for number, call in self.calls.items() if call.state is State.FLOWING]
        self._commands += [Send(side, CallLives(number)) for number in flowing]
        self._commands.append(Send(side, CallsTold(len(flowing))))
        if side is Party.CITY:
            self._commands += [Send(Party.CITY, item) for item in self._published.values()]

    def on_side_lost(self, side: Party, now: float) -> None:
        """A side is gone. Media that flows goes on for a while: the side comes back and knows its legs."""
        self._lost[side] = now
        for number, call in list(self.calls.items()):
            if call.state is not State.FLOWING:
                self._end(number, "side_lost", now, gone=side)
        self.orders.on_side_away(side)
        if side is Party.CITY:
            for _, passed in self._sinks.values():
                self._commands.append(CloseDescriptor(passed.descriptor))
            self._sinks.clear()

    def on_side_away(self, side: Party, now: float) -> None:
        """A side does not come back, or was owned: every call ends, for one of its legs is gone."""
        self._lost.pop(side, None)
        if side is Party.SITE:
            for recorder, channel in self._published:
                self._commands.append(Send(Party.CITY, ChannelState(recorder, channel, 0)))
            self._published.clear()
        for number in list(self.calls):
            self._end(number, "side_lost", now, gone=side)
        self.orders.on_side_away(side)

    def on_keeper_up(self) -> None:
        """A keeper is there, perhaps a new one that knows no pins: it hears of those of the calls that flow."""
        for number, call in self.calls.items():
            if call.state is State.FLOWING:
                self._commands.append(AskKeeper(number, self._pin(number, call)))

    def on_keeper_lost(self, now: float) -> None:
        """Without the keeper no pin can be opened; pins that live are left to their time to live."""
        for number, call in list(self.calls.items()):
            if call.state is State.WAITING_PIN:
                self._refuse(number, 503, "pin_refused", now)

    def handle_timer(self, now: float) -> None:
        """Renew pins of calls with good packets; end the silent, the overdue, and those of a side that stays away."""
        for side, since in list(self._lost.items()):
            if now - since > SIDE_SECONDS:
                self.on_side_away(side, now)
        for number, call in list(self.calls.items()):
            if call.state is State.FLOWING:
                if now - call.last_good > (SILENCE_SECONDS if call.paused_at is None else PAUSE_SECONDS):
                    self._end(number, "media_stopped", now)
                elif now - call.renewed >= PIN_RENEW_SECONDS and (
                    call.last_good >= call.renewed or call.paused_at is not None
                ):
                    call.renewed = now
                    self._commands.append(AskKeeper(number, RenewPin(str(number), PIN_TTL_SECONDS)))
            elif call.overdue(now):
                late = call.state
                reason = "no_media" if late is State.WAITING_MEDIA else "recorder_no_answer"
                self._refuse(number, 408, reason, now)
        self.orders.handle_timer(now)

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
            MediaSink: lambda sink: self._hold_sink(sink, sockets[0]),
            OpenMedia: lambda request: self._open(request, now),
            MediaReserved: lambda reserved: self._reserve(reserved, now),
            MediaAnswered: lambda answered: self._answer(answered, now),
            MediaReady: lambda ready: self._flow(ready, sockets[0], now),
            MediaRefused: lambda refused: self._refused(refused, now),
            CloseMedia: lambda close: self._close(close, now, sender),
            PlaybackControl: lambda control: self._steer(control, now),
            PlaybackAnswer: lambda answer: self._to_city_of(answer.call, answer),
            MediaFinished: lambda finished: self._to_city_of(finished.call, finished),
        }
        handler = handlers.get(type(record))
        if handler is not None:
            handler(record)
        else:
            self.orders.handle(record, now)

    def _close(self, close: CloseMedia, now: float, sender: Party) -> None:
        if not self.orders.end_talk(close.call, close.reason, gone=sender):
            self._end(close.call, close.reason, now, gone=sender)

    def _steer(self, control: PlaybackControl, now: float) -> None:
        """Hand a playback's control to the site. While it pauses nothing comes, and that is as it should be."""
        call = self.calls.get(control.call)
        if call is None:
            return
        if call.request.kind == "live":
            raise VerifyRefused("control_of_live")
        if control.action != "stop":
            call.paused_at = now if control.action == "pause" else None
            call.last_good = now
        self._commands.append(Send(Party.SITE, control))

    def _to_city_of(self, number: int, record: PlaybackAnswer | MediaFinished) -> None:
        if number in self.calls:
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

    def _hold_sink(self, sink: MediaSink, passed: PassedSocket) -> None:
        if sink.call in self._sinks or sink.call in self.calls or len(self._sinks) >= self._site.max_calls:
            raise VerifyRefused("sink_unexpected")
        if passed.local[0] not in self._tunnel_addresses or not self._is_city_media(passed.peer[0]):
            raise VerifyRefused("sink_foreign_address")
        self._sinks[sink.call] = (sink, passed)

    def _is_city_media(self, host: str) -> bool:
        return any(IPv4Address(host) in network for networks in self._media.values() for network in networks)

    def _open(self, request: OpenMedia, now: float) -> None:
        held = self._sinks.pop(request.call, None)
        if held is None:
            raise VerifyRefused("open_without_sink")
        stamp, sink = held
        if not any(IPv4Address(sink.peer[0]) in network for network in self._media.get(request.platform, ())):
            self._commands.append(CloseDescriptor(sink.descriptor))
            raise VerifyRefused("sink_of_another_platform")
        call = Call(request, sink, stamp, began=now, since=now)
        refusal = self._access.refuses_view(
            request.platform, request.recorder, request.channel, request.kind, len(self.calls)
        )
        if refusal is not None:
            self.counters[refusal.reason] += 1
            self._commands.append(CloseDescriptor(sink.descriptor))
            self._commands.append(Send(Party.CITY, MediaRefused(request.call, refusal.status, refusal.reason)))
            self._receipt(request.call, call, "refused", refusal.reason)
            return
        self.calls[request.call] = call
        self._receipt(request.call, call, "allowed")
        self._commands.append(Send(Party.SITE, request))

    def _reserve(self, reserved: MediaReserved, now: float) -> None:
        call = self.calls.get(reserved.call)
        if call is None:
            return  # it ended while the record was on its way
        ports = self._site.lan.media_port_range
        if reserved.port not in ports or any(c.lan_port == reserved.port for c in self.calls.values()):
            raise VerifyRefused("port_not_free")
        call.step(Event.RESERVED, now)
        call.lan_port = reserved.port
        self._commands.append(AskKeeper(reserved.call, self._pin(reserved.call, call)))

    def _pin(self, number: int, call: Call) -> OpenPin:
        return OpenPin(
            call=str(number),
            recorder=call.request.recorder,
            lan_port=call.lan_port,
            city_address=call.sink.peer[0],
            city_port=call.sink.peer[1],
            city_local_port=call.sink.local[1],
            payload_type=call.stamp.payload_type,
            max_kbytes_per_second=PIN_KBYTES_PER_SECOND,
            ttl_seconds=PIN_TTL_SECONDS,
        )

    def _answer(self, answered: MediaAnswered, now: float) -> None:
        call = self.calls.get(answered.call)
        if call is None:
            return
        call.step(Event.ANSWERED, now)
        self._commands.append(Send(Party.CITY, answered))

    def _flow(self, ready: MediaReady, passed: PassedSocket, now: float) -> None:
        call = self.calls.get(ready.call)
        if call is None:
            self._commands.append(CloseDescriptor(passed.descriptor))
            return
        recorder = self._recorders[call.request.recorder]
        sources = {str(address) for address in recorder.media_addresses}
        if passed.local != (str(self._site.lan.address.ip), call.lan_port) or passed.peer[0] not in sources:
            raise VerifyRefused("source_not_reserved")
        call.step(Event.READY, now)
        call.source, call.last_good = passed, now
        self._commands.append(
            StartRelay(
                ready.call,
                passed.descriptor,
                call.sink.descriptor,
                ready.ssrc,
                ready.payload_type,
                call.stamp.ssrc,
                call.stamp.payload_type,
            )
        )

    def _refused(self, refused: MediaRefused, now: float) -> None:
        if refused.call in self.calls:
            self._refuse(refused.call, refused.status, refused.reason, now, gone=Party.SITE)

    # -- the roads out -------------------------------------------------------------------------------------------

    def _refuse(self, number: int, status: int, reason: str, now: float, gone: Party | None = None) -> None:
        """End a call that the city has had no answer for yet: it gets a status instead of a BYE."""
        call = self.calls[number]
        if call.state in (State.WAITING_MEDIA, State.FLOWING):
            self._end(number, reason, now, gone)
            return
        self._commands.append(Send(Party.CITY, MediaRefused(number, status, reason)))
        self._end(number, reason, now, gone, told=Party.CITY)

    def _end(self, number: int, reason: str, now: float, gone: Party | None = None, told: Party | None = None) -> None:
        """Take a call down: pin, sockets, both legs, receipt. ``gone`` ended it, ``told`` knows already."""
        call = self.calls.pop(number, None)
        if call is None:
            return
        call.step(Event.END, now)
        if call.lan_port:
            self._commands.append(AskKeeper(number, ClosePin(str(number))))
        if call.source is not None:
            self._commands += [StopRelay(number), CloseDescriptor(call.source.descriptor)]
        self._commands.append(CloseDescriptor(call.sink.descriptor))
        for side in (Party.SITE, Party.CITY):
            if side not in (gone, told):
                self._commands.append(Send(side, CloseMedia(number, reason)))
        result = "refused" if told is Party.CITY else "viewed" if call.packets else "not_viewed"
        self._receipt(number, call, result, reason)

    def _receipt(self, number: int, call: Call, result: str, reason: str = "") -> None:
        told: dict[str, str | int] = {
            "viewer": call.request.viewer,
            "platform": call.request.platform,
            "recorder": call.request.recorder,
            "channel": call.request.channel,
            "kind": call.request.kind,
            **_span(call.request),
            "packets": call.packets,
            "bytes": call.octets,
            "result": result,
            "reason": reason,
        }
        self._commands.append(WriteReceipt("opened" if result == "allowed" else "closed", number, told))


def _span(request: OpenMedia) -> dict[str, int]:
    """What of a recording is viewed: a receipt of a playback says which hours somebody looked at."""
    return {} if request.kind == "live" else {"start": request.start, "end": request.end}
