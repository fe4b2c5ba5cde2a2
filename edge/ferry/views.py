"""Views and the pulls that they share: what is asked of the keeper, of the workers and of both sides, and in which order.

Every way a view can end runs through ``Views.end``: relay, socket, pin, the city's leg, receipt; every way a pull can
end through ``Views._end_pull``, which gives the site's half. One live stream of a camera is pulled once, however many
watch it (GB/T 28181-2016 annex K: a second INVITE makes a recorder drop the first stream).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace

from edge.access import Access, Refusal
from edge.control.wire import ClosePin, FerryRequest, OpenIn, OpenOut, RenewPin
from edge.ferry.calls import ASSUMED_RATE, Event, PassedSocket, Pull, State, View
from edge.ferry.commands import (
    AskKeeper,
    CloseDescriptor,
    Command,
    JoinRelay,
    LeaveRelay,
    Send,
    StartRelay,
    StopRelay,
    WriteReceipt,
)
from edge.ferry.receipts import rank
from edge.ferry.relay import StreamTold
from edge.ferry.sinks import Sinks
from edge.ferry.verify import VerifyRefused
from edge.records.types import (
    FORMATS,
    STREAMS,
    CloseMedia,
    MediaAnswered,
    MediaDialled,
    MediaReady,
    MediaRefused,
    MediaReports,
    MediaReserved,
    OpenMedia,
    Party,
    PinOpened,
    WantKeyFrame,
)
from edge.rtp.packet import MAX_PACKET_BYTES
from edge.rtp.quality import Quality
from netconf.model import Site

#: The keeper lets a pin live this long; renewing at a third of it survives two lost renewals.
PIN_TTL_SECONDS = 30
PIN_RENEW_SECONDS = 10.0
#: A pull without one good packet for so long is over (the practice of GB28181 media servers).
SILENCE_SECONDS = 15.0
#: A viewer who pauses a recording and goes away holds a pin, two sockets and one of the recorder's few sessions.
PAUSE_SECONDS = 600.0
#: What sends something else than it agreed to in good RTP for so long is cut off; workers report twice a second.
FOREIGN_SECONDS = 1.5
#: A city that never took the connection it asked for; the city side gives up long before.
DIAL_SECONDS = 40.0
#: The most that the keeper opens a pin for, kbytes a second; what goes out is as much as may come in, or less.
PIN_KBYTES_PER_SECOND = 2048
#: Key frames come in bursts: nft's bucket holds so much of a pin's rate. A renewal makes the element anew, its bucket full.
PIN_BUCKET_SECONDS = 2
#: A pin lets in 1.2 times what an encoder is set to, full buckets included: its rate is the lower one that comes to that
#: from one renewal to the next. Octets, in nft's kbytes of 1024.
PIN_KBYTES_PER_MBIT = 1.2e6 / 8 / 1024 * PIN_RENEW_SECONDS / (PIN_RENEW_SECONDS + PIN_BUCKET_SECONDS)
#: A recording is steered to up to four times its speed, and is asked for as a whole at any (2016 annex B).
STEERED = 4
#: A view's rate follows its pictures this slowly: some groups of pictures.
RATE_SECONDS = 8.0
#: Octets before each packet, by framing.
_PREFIX = {"datagram": 0, "length": 2, "interleaved": 4}
#: IPv4 and UDP headers.
_IP_UDP_BYTES = 28
_UNKNOWN = Quality()
#: Octets that show that what comes is not what the recorder agreed to send; others are cut out of a good stream.
_FOREIGN = (
    "ps_unknown", "ps_start_code", "ps_mpeg1", "ps_header", "ps_map", "ps_no_map", "ps_nal",
    "es_forbidden", "es_length", "es_reserved", "es_stap_b", "es_mtap", "es_fu_b", "es_paci", "es_fragment", "es_nal", "es_unit",
)  # fmt: skip


class Views:
    """All views of one confirmed configuration."""

    def __init__(self, site: Site, access: Access, emit: Callable[[Command], None], counters: Counter[str]) -> None:
        self._site = site
        self._access = access
        self._emit = emit
        self._counters = counters
        self._recorders = {recorder.id: recorder for recorder in site.recorder}
        self._channels = {(channel.recorder, channel.id): channel for channel in site.channel}
        self._tunnels = {str(tunnel.address.ip): tunnel for tunnel in site.tunnel}
        self.views: dict[int, View] = {}
        self.pulls: dict[int, Pull] = {}
        self.sinks = Sinks(site, self.views, emit)

    # -- from the city -------------------------------------------------------------------------------------------

    def hold_reports(self, told: MediaReports, passed: PassedSocket, sender: Party) -> None:
        """Keep where the far end of a call's media hears reports: the same host, from the port above the media's own.

        Raises:
            VerifyRefused: no honest side sends it.
        """
        if passed.transport != "udp":
            raise VerifyRefused("descriptor_not_udp")
        if sender is Party.SITE:
            self._hold_back(told.call, passed)
            return
        self.sinks.hold_reports(told, passed)

    def _hold_back(self, call: int, passed: PassedSocket) -> None:
        pull = self.pulls.get(call)
        if pull is None:
            self._emit(CloseDescriptor(passed.descriptor))  # it ended while the record was on its way
            return
        if pull.state is not State.WAITING_MEDIA or pull.back is not None or self._transport(pull) != "udp":
            raise VerifyRefused("reports_unexpected")
        sources = {str(address) for address in self._recorders[pull.request.recorder].media_addresses}
        if passed.local != (str(self._site.lan.address.ip), pull.lan_port + 1) or passed.peer[0] not in sources:
            raise VerifyRefused("source_not_reserved")
        pull.back = passed

    def dialled(self, done: MediaDialled, passed: PassedSocket, now: float) -> None:
        """The city has taken a view's connection.

        Raises:
            VerifyRefused: no honest side sends it, or not this socket.
        """
        view = self.views.get(done.call)
        if view is None:
            self._emit(CloseDescriptor(passed.descriptor))
            return
        way = view.way
        if way.descriptor is not None or not view.answered:
            raise VerifyRefused("sink_unexpected")
        if (passed.transport, passed.local, passed.peer) != (way.transport, way.local, way.peer):
            raise VerifyRefused("sink_foreign_address")
        view.way = replace(way, descriptor=passed.descriptor)
        self._go_on(self.pulls[view.pull], now)

    def open(self, request: OpenMedia, now: float) -> None:
        """Begin a view, or refuse it.

        Raises:
            VerifyRefused: no honest side asks for it.
        """
        way = self.sinks.take(request.call, request.platform)
        view = View(request, way, request.call, now, request.stream)
        refusal = self._access.refuses_view(
            request.platform, request.recorder, request.channel, request.kind, len(self.views)
        ) or self._fit(view, now)
        if refusal is not None:
            self._counters[refusal.reason] += 1
            self.sinks.let_go(way)
            self._emit(Send(Party.CITY, MediaRefused(request.call, refusal.status, refusal.reason)))
            self._receipt(request.call, view, "refused", refusal.reason)
            return
        request = view.request
        shared = self._shared(request)
        view.pull = request.call if shared is None else shared
        self.views[request.call] = view
        self._receipt(request.call, view, "allowed")
        if shared is None:
            asked = tuple(FORMATS[name] for name in way.types)
            self.pulls[view.pull] = Pull(request, since=now, payload_types=asked)
            self._emit(Send(Party.SITE, request))
        self.pulls[view.pull].views.add(request.call)
        self._ask_out(request.call, view)

    def _fit(self, view: View, now: float) -> Refusal | None:
        """Choose the stream that a view gets: as asked, or for want of room the sub-stream (docs/adr/0020), if it takes it.

        Only where not even that fits, views of lower levels end, the lowest and youngest first, and none in vain.
        """
        streams = tuple(stream for stream in self._streams(view.request) if self._suits(view, stream))
        if not streams:
            return Refusal(488, "format_not_offered")
        budget = self._site.uplink.mbit_up
        if budget is None:
            self._take(view, streams[0])
            return None
        room = budget * 1e6 - sum(each.rate for each in self.views.values())
        for stream in streams:
            self._take(view, stream)
            if room >= view.rate:
                return None
        mine = rank(view.request.viewer)
        lower = [each for each in self.views.values() if rank(each.request.viewer) < mine]
        lower.sort(key=lambda each: (rank(each.request.viewer), -each.began))
        room += sum(each.rate for each in lower)
        if room < view.rate:
            return Refusal(486, "uplink_full")
        for each in reversed(lower.copy()):  # the highest and oldest stays first, if the others are enough
            if room - each.rate >= view.rate:
                room -= each.rate
                lower.remove(each)
        for each in lower:
            self.end(each.request.call, "uplink_yielded", now)
        return None

    def _suits(self, view: View, stream: int) -> bool:
        """Who does not take what the recorder sends of a stream already cannot join it; nobody wraps or unwraps it for him."""
        shared = self._shared(replace(view.request, stream=stream))
        coming = "" if shared is None else self.pulls[shared].format
        return not coming or coming in view.way.types

    def _streams(self, request: OpenMedia) -> tuple[int, ...]:
        """Return the streams that a view may get, the best one first: what is asked for, if the camera has it."""
        has_sub = request.kind == "live" and self._channels[request.recorder, request.channel].sub_stream
        return (1,) if has_sub and request.stream else (0, 1) if has_sub else (0,)

    def _take(self, view: View, stream: int) -> None:
        request = view.request
        view.request = replace(request, stream=stream)
        view.rate = min(ASSUMED_RATE, 1e6 * self._channels[request.recorder, request.channel].rate(stream))

    def _shared(self, request: OpenMedia) -> int | None:
        """The pull that a view may join: the same stream of the same camera, live."""
        if request.kind != "live":
            return None
        wanted = (request.recorder, request.channel, "live", request.stream)
        same = (
            number
            for number, pull in self.pulls.items()
            if (pull.request.recorder, pull.request.channel, pull.request.kind, pull.request.stream) == wanted
        )
        return next(same, None)

    # -- from the site -------------------------------------------------------------------------------------------

    def reserve(self, reserved: MediaReserved, now: float) -> None:
        """The site side holds a port.

        Raises:
            VerifyRefused, CallRefused: no honest side says this now.
        """
        pull = self.pulls.get(reserved.call)
        if pull is None:
            return  # it ended while the record was on its way
        ports = self._site.lan.media_port_range
        if reserved.port not in ports or any(other.lan_port == reserved.port for other in self.pulls.values()):
            raise VerifyRefused("port_not_free")
        pull.step(Event.RESERVED, now)
        pull.lan_port = reserved.port
        self._ask_in(reserved.call, pull)

    def answer(self, answered: MediaAnswered, now: float) -> None:
        """The recorder agreed to send, and has chosen what: who does not take that is refused.

        Raises:
            VerifyRefused, CallRefused: no honest side says this now.
        """
        pull = self.pulls.get(answered.call)
        if pull is None:
            return
        if answered.stream != pull.request.stream:
            raise VerifyRefused("stream_not_asked")
        pull.step(Event.ANSWERED, now)
        pull.format, before = answered.format, pull.payload_types
        pull.payload_types = (answered.payload_type,)
        for number in sorted(pull.views):
            if pull.format not in self.views[number].way.types:
                self._counters["format_not_offered"] += 1
                self.end(number, "format_not_offered", now, 488)
        if pull.views and before != pull.payload_types and self._transport(pull) == "udp":
            self._ask_in(answered.call, pull)  # nothing but what was chosen comes in any more
        self._go_on(pull, now)

    def flow(self, ready: MediaReady, passed: PassedSocket, now: float) -> None:
        """The first good packet is there.

        Raises:
            VerifyRefused, CallRefused: no honest side says this now.
        """
        pull = self.pulls.get(ready.call)
        if pull is None:
            self._emit(CloseDescriptor(passed.descriptor))
            return
        sources = {str(address) for address in self._recorders[pull.request.recorder].media_addresses}
        if passed.local != (str(self._site.lan.address.ip), pull.lan_port) or passed.peer[0] not in sources:
            raise VerifyRefused("source_not_reserved")
        if (passed.transport == "udp") != (ready.framing == "datagram") or passed.transport != self._transport(pull):
            raise VerifyRefused("source_not_reserved")
        pull.step(Event.READY, now)
        if (ready.payload_type,) != pull.payload_types:
            raise VerifyRefused("payload_type_not_answered")
        pull.source, pull.last_good = passed, now
        prefix, back = _PREFIX[ready.framing], pull.back.descriptor if pull.back is not None else None
        shape = (ready.ssrc, ready.payload_type, prefix, pull.format, back)
        self._emit(StartRelay(ready.call, passed.descriptor, *shape))
        self._go_on(pull, now)

    def refused(self, refused: MediaRefused, now: float) -> None:
        """The site side cannot have it."""
        if refused.call in self.pulls:
            self._end_pull(refused.call, refused.reason, now, refused.status, gone=Party.SITE)

    def close(self, close: CloseMedia, sender: Party, now: float) -> None:
        """A side ends a view, or what it is a view of."""
        if sender is Party.CITY:
            self.end(close.call, close.reason, now, told=True)
        else:
            self._end_pull(close.call, close.reason, now, gone=Party.SITE)

    # -- from the keeper and the workers -------------------------------------------------------------------------

    def on_pin(self, request: FerryRequest, opened: bool, now: float) -> None:
        """Take the keeper's answer."""
        if not isinstance(request, OpenIn | OpenOut):
            return
        number = int(request.pin.partition("-")[2])
        if isinstance(request, OpenIn):
            self._on_in(number, opened, now)
        elif number in self.views and not self.views[number].pinned:
            self.views[number].pinned = opened
            if opened:
                self._go_on(self.pulls[self.views[number].pull], now)
            else:
                self.end(number, "pin_refused", now, 503)

    def _on_in(self, number: int, opened: bool, now: float) -> None:
        pull = self.pulls.get(number)
        if pull is None or pull.state not in (State.WAITING_PIN, State.WAITING_MEDIA):
            return
        if not opened:
            self._end_pull(number, "pin_refused", now, 503)
            return
        pull.renewed = now
        if pull.state is State.WAITING_PIN:
            pull.step(Event.PIN_OPENED, now)
            wanted = ",".join(name for name in FORMATS if FORMATS[name] in pull.payload_types)
            self._emit(Send(Party.SITE, PinOpened(number, wanted)))

    def on_stream(self, told: StreamTold, now: float) -> None:
        """Take a worker's word about a pull."""
        pull = self.pulls.get(told.stream)
        if pull is None or pull.state is not State.FLOWING:
            return
        foreign = sum(told.dropped.get(rule, 0) for rule in _FOREIGN)
        if told.packets > pull.packets or foreign == pull.foreign:
            pull.foreign_since = None
        elif pull.foreign_since is None:
            pull.foreign_since = now
        if told.packets > pull.packets:
            pull.last_good = now
        pull.packets, pull.lost, pull.foreign = told.packets, told.lost, foreign
        pull.keys, pull.pace = told.keys, (told.jitter_ms, told.key_frame_ms)
        for view in (self.views[number] for number in pull.views):
            if view.joined and view.first_picture_ms is None and pull.keys > view.before[2]:
                view.first_picture_ms = round(1000 * (now - view.began))
        if pull.foreign_since is not None and now - pull.foreign_since >= FOREIGN_SECONDS:
            self._end_pull(told.stream, "media_foreign", now)
        elif (
            told.ended and pull.request.kind == "live"
        ):  # what follows a recording's last packet is its end, in its own words
            self._end_pull(told.stream, "media_stopped", now)

    def on_viewer(
        self,
        call: int,
        packets: int,
        octets: int,
        gone: str,
        now: float,
        said: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """Take how much a viewer has had so far, and why it has no more; its rate follows what is measured.

        ``said`` is its own word: packets lost, ms there and back.
        """
        view = self.views.get(call)
        if view is None:
            return
        if view.measured_at and now > view.measured_at:
            seconds = now - view.measured_at
            view.rate += (8 * (octets - view.octets) / seconds - view.rate) * min(1.0, seconds / RATE_SECONDS)
        view.measured_at, view.packets, view.octets = now, packets, octets
        view.viewer_lost, view.round_trip_ms = said
        if gone:
            self.end(call, gone, now)

    # -- forward -------------------------------------------------------------------------------------------------

    def _go_on(self, pull: Pull, now: float) -> None:
        """Tell and join the views that are ready for it."""
        for number in sorted(pull.views):
            view = self.views[number]
            if view.pinned and not view.answered and pull.state in (State.WAITING_MEDIA, State.FLOWING):
                view.answered = True
                came = (pull.format, view.way.types[pull.format])
                self._emit(Send(Party.CITY, MediaAnswered(number, view.request.stream, *came)))
            way = view.way
            if view.answered and not view.joined and pull.state is State.FLOWING and way.descriptor is not None:
                view.join(pull, now)
                datagram = min(self._tunnels[way.local[0]].mtu - _IP_UDP_BYTES, 2000)
                most = datagram if way.transport == "udp" else MAX_PACKET_BYTES
                reports = way.reports.descriptor if way.reports is not None else None
                stamp = (way.ssrc, way.types[pull.format], most, reports, way.mux)
                self._emit(JoinRelay(view.pull, number, way.descriptor, *stamp))
                if number != view.pull:  # whoever joins later sees nothing before the next key frame
                    self._emit(Send(Party.SITE, WantKeyFrame(view.pull)))

    def _ask_in(self, number: int, pull: Pull) -> None:
        rate, recorder = self._most(pull.request), pull.request.recorder
        how = (pull.payload_types, rate, PIN_TTL_SECONDS, self._transport(pull))
        self._emit(AskKeeper(OpenIn(f"in-{number}", recorder, pull.lan_port, *how)))

    def _most(self, request: OpenMedia) -> int:
        """How much may come in, kbytes a second."""
        faster = 1 if request.kind == "live" else max(STEERED, request.speed)
        mbit = self._channels[request.recorder, request.channel].rate(request.stream)
        return min(PIN_KBYTES_PER_SECOND, int(PIN_KBYTES_PER_MBIT * mbit * faster))

    def _transport(self, pull: Pull) -> str:
        return "udp" if self._recorders[pull.request.recorder].media == "udp" else "tcp"

    def _ask_out(self, number: int, view: View) -> None:
        way = view.way
        ends, how = (*way.peer, *way.local), (PIN_KBYTES_PER_SECOND, PIN_TTL_SECONDS, way.transport)
        self._emit(AskKeeper(OpenOut(f"out-{number}", *ends, *how, *way.report_ports())))

    def on_keeper_up(self) -> None:
        """A keeper is there, perhaps a new one that knows no pins: it hears of those of the pulls that flow."""
        for number, pull in self.pulls.items():
            if pull.state is State.FLOWING:
                self._ask_in(number, pull)
                for call in sorted(pull.views):
                    self._ask_out(call, self.views[call])

    def on_keeper_lost(self, now: float) -> None:
        """Without the keeper no pin can be opened; pins that live are left to their time to live."""
        for number, pull in list(self.pulls.items()):
            if pull.state is State.WAITING_PIN:
                self._end_pull(number, "pin_refused", now, 503)
        for number, view in list(self.views.items()):
            if not view.pinned:
                self.end(number, "pin_refused", now, 503)

    def handle_timer(self, now: float) -> None:
        """Renew pins of pulls with good packets; end the silent and the overdue."""
        for number, view in list(self.views.items()):
            if view.answered and view.way.descriptor is None and now - view.began > DIAL_SECONDS:
                self.end(number, "city_media_unreached", now)
        for number, pull in list(self.pulls.items()):
            if pull.state is State.FLOWING:
                self._renew(number, pull, now)
            elif pull.overdue(now):
                reason = "no_media" if pull.state is State.WAITING_MEDIA else "recorder_no_answer"
                self._end_pull(number, reason, now, 408)

    def _renew(self, number: int, pull: Pull, now: float) -> None:
        if now - pull.last_good > (SILENCE_SECONDS if pull.paused_at is None else PAUSE_SECONDS):
            self._end_pull(number, "media_stopped", now)
        elif now - pull.renewed >= PIN_RENEW_SECONDS and (pull.last_good >= pull.renewed or pull.paused_at is not None):
            pull.renewed = now
            for pin in (f"in-{number}", *(f"out-{call}" for call in sorted(pull.views))):
                self._emit(AskKeeper(RenewPin(pin, PIN_TTL_SECONDS)))

    # -- endings -------------------------------------------------------------------------------------------------

    def end(self, number: int, reason: str, now: float, status: int = 480, *, told: bool = False) -> None:
        """Take a view down; the city is told unless it ``told`` us. The last one takes its pull along."""
        view = self.views.get(number)
        if view is not None:
            pull = self.pulls[view.pull]
            self._take_down(number, pull, reason, status, told)
            pull.views.discard(number)
            if not pull.views:
                self._end_pull(view.pull, reason, now)

    def _take_down(self, number: int, pull: Pull, reason: str, status: int, told: bool) -> None:
        view = self.views.pop(number)
        if view.joined:
            self._emit(LeaveRelay(view.pull, number))
        self.sinks.let_go(view.way)
        self._emit(AskKeeper(ClosePin(f"out-{number}")))
        if not told:
            refusal = MediaRefused(number, status, reason)
            self._emit(Send(Party.CITY, CloseMedia(number, reason) if view.answered else refusal))
        result = "viewed" if view.packets else "not_viewed" if view.answered or told else "refused"
        self._receipt(number, view, result, reason, view.quality(pull))

    def _end_pull(self, number: int, reason: str, now: float, status: int = 480, gone: Party | None = None) -> None:
        """Take a pull and all its views down; the site is told unless it is ``gone``."""
        pull = self.pulls.pop(number, None)
        if pull is None:
            return
        pull.step(Event.END, now)
        if pull.lan_port:
            self._emit(AskKeeper(ClosePin(f"in-{number}")))
        if pull.source is not None:
            self._emit(StopRelay(number))
            self._emit(CloseDescriptor(pull.source.descriptor))
        if pull.back is not None:
            self._emit(CloseDescriptor(pull.back.descriptor))
        for call in sorted(pull.views):
            self._take_down(call, pull, reason, status, gone is Party.CITY)
        if gone is not Party.SITE:
            self._emit(Send(Party.SITE, CloseMedia(number, reason)))

    def on_side_lost(self, side: Party, now: float) -> None:
        """A side is gone for a moment: what does not flow yet ends."""
        for number, pull in list(self.pulls.items()):
            if pull.state is not State.FLOWING:
                self._end_pull(number, "side_lost", now, gone=side)
        if side is Party.CITY:
            for number, view in list(self.views.items()):
                if not view.joined:
                    self.end(number, "side_lost", now, told=True)
            self.sinks.let_all_go()

    def on_side_away(self, side: Party, now: float) -> None:
        """A side does not come back: everything ends, for one of its legs is gone."""
        for number in list(self.pulls):
            self._end_pull(number, "side_lost", now, gone=side)

    def living(self, side: Party) -> list[int]:
        """Return the numbers of what flows, as a side knows them."""
        flowing = {number for number, pull in self.pulls.items() if pull.state is State.FLOWING}
        if side is Party.SITE:
            return sorted(flowing)
        return sorted(number for number, view in self.views.items() if view.joined)

    def _receipt(self, number: int, view: View, result: str, reason: str = "", quality: Quality = _UNKNOWN) -> None:
        request = view.request
        told: dict[str, str | int] = {
            "viewer": request.viewer,
            "platform": request.platform,
            "recorder": request.recorder,
            "channel": request.channel,
            "kind": request.kind,
            **_stream(view),
            **_span(request),
            "packets": view.packets,
            "bytes": view.octets,
            **_figures(quality),
            "result": result,
            "reason": reason,
        }
        self._emit(WriteReceipt("opened" if result == "allowed" else "closed", number, told))


def _figures(quality: Quality) -> dict[str, int]:
    """The figures that are known, by their names in a receipt, in whole units."""
    return {name: round(figure) for name, figure in asdict(quality).items() if figure is not None}


def _stream(view: View) -> dict[str, str]:
    """Which stream is viewed, if it is not the main one, and whether that one was asked for."""
    given, asked = STREAMS[view.request.stream], STREAMS[view.asked]
    return {"stream": given, **({"asked": asked} if asked != given else {})} if view.request.stream else {}


def _span(request: OpenMedia) -> dict[str, int]:
    """What of a recording is viewed: a receipt of a playback says which hours somebody looked at."""
    return {} if request.kind == "live" else {"start": request.start, "end": request.end}
