"""The site side's thinking part: records and the platform's events in, commands out.

A view goes through these states: its port is reserved; the ferry has the pin opened; the recorder is invited and
answers; the port is watched for the first good packet; the socket is passed to the ferry. CloseMedia is heard in each
of them.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from edge.faults.noted import Noted
from edge.gb28181.kept import NotKept
from edge.gb28181.legs import CallAnswered, CallEnded, CallFailed, PlaybackAnswered
from edge.gb28181.orders import control_of
from edge.gb28181.platform import Platform
from edge.gb28181.reports import (
    CatalogReceived,
    ChannelChanged,
    ChannelsFaulty,
    DeviceOffline,
    DeviceOnline,
    MediaEnded,
)
from edge.gb28181.role import Refused
from edge.manscdp.catalog import CatalogEntry
from edge.mansrtsp.control import PlaybackRequest
from edge.records.codec import RemoteRecordError, decode
from edge.records.types import (
    FORMATS,
    CallLives,
    CallsTold,
    CatalogItem,
    ChannelState,
    CloseMedia,
    DeviceControl,
    MediaAnswered,
    MediaFinished,
    MediaReady,
    MediaRefused,
    MediaReserved,
    OpenMedia,
    OpenTalk,
    OrderDone,
    PinOpened,
    PlaybackAnswer,
    PlaybackControl,
    PresetQuery,
    Record,
    RecordQuery,
    TalkReady,
    WantKeyFrame,
)
from edge.sdp.description import MediaDescription
from edge.sdp.formats import carried
from edge.sip.chance import Chance
from edge.siteside.answers import at_fault, unusable
from edge.siteside.labels import clean
from edge.siteside.orders import SiteOrders
from edge.siteside.talks import PassTalkPort, SiteTalks
from netconf.model import Channel, Site

#: A recorder that has not answered an INVITE after this long is taken as not answering (ARCHITECTURE 6, step 2).
ANSWER_SECONDS = 10.0
#: A recorder that answered and sends nothing usable for this long ends the view (ARCHITECTURE 6, step 4).
FIRST_PACKET_SECONDS = 10.0
#: A city that hangs up sooner has changed its mind; later, it has waited for a picture in vain.
PATIENCE_SECONDS = 3.0
#: Refusals of a REGISTER that tell why a recorder of ours is not registered.
_TURNED_AWAY = ("wrong_password", "digest_malformed", "password_locked", "unknown_address", "unknown_device")
#: What a view's kind is called in SDP, and the first digit of its SSRC (2016 annex F).
_SESSIONS = {"live": ("Play", 0), "playback": ("Playback", 1), "download": ("Download", 1)}


class State(enum.StrEnum):
    RESERVING = "reserving"
    RESERVED = "reserved"
    INVITED = "invited"
    WATCHING = "watching"
    PASSED = "passed"


@dataclass(slots=True)
class View:
    request: OpenMedia
    state: State
    since: float
    port: int = 0
    leg: str = ""
    #: What the recorder has agreed to send, and by which payload type.
    format: str = "ps"
    payload_type: int = FORMATS["ps"]


@dataclass(frozen=True, slots=True)
class SendRecord:
    """Hand a record to the ferry."""

    record: Record


@dataclass(frozen=True, slots=True)
class ReservePort:
    """Hold a port; ``media`` is how what comes to it comes (``netconf.model.Recorder``)."""

    call: int
    media: str = "udp"


@dataclass(frozen=True, slots=True)
class WatchPort:
    """Look at the port's packets for the first good one from one of ``sources``; ``dial`` the recorder if it listens.

    It hears reports at ``reports``, or one above the port that it sends from.
    """

    call: int
    sources: frozenset[str]
    payload_type: int
    dial: tuple[str, int] | None = None
    reports: int | None = None


@dataclass(frozen=True, slots=True)
class PassPort:
    """Hand the record over together with the call's socket, before it the one for reports, then close our copies."""

    call: int
    record: MediaReady


@dataclass(frozen=True, slots=True)
class ReleasePort:
    call: int


@dataclass(frozen=True, slots=True)
class Say:
    """Something the owner should be able to read in the log: a code of ``netconf.words`` and whom it concerns."""

    code: str
    about: str


Command = SendRecord | ReservePort | WatchPort | PassPort | PassTalkPort | ReleasePort | Say


class SiteSide:
    """The legs to the recorders of one confirmed configuration."""

    def __init__(self, site: Site, platform: Platform, chance: Chance) -> None:
        self._site = site
        self._platform = platform
        self._chance = chance
        self._recorders = {recorder.id: recorder for recorder in site.recorder}
        self._shared: dict[tuple[str, str], Channel] = {(c.recorder, c.id): c for c in site.channel if c.share}
        self._online: set[str] = set()
        self._items: dict[tuple[str, str], CatalogItem] = {}
        #: What each recorder's keepalive says of its children.
        self._faulty: dict[str, frozenset[str]] = {}
        self._said: dict[tuple[str, str], int] = {}
        self._by_leg: dict[str, int] = {}
        self._commands: list[Command] = []
        #: Calls of the process before us that the ferry has not yet spoken of.
        self._doubtful: set[int] = set()
        #: What kept recorders from registering, by recorder, and views from showing a picture, by channel, of late.
        self._turned_away, self._troubles = Noted(), Noted()
        self.views: dict[int, View] = {}
        self.counters: Counter[str] = Counter()
        self._orders = SiteOrders(platform, self._send, self.counters)
        self._talks = SiteTalks(site, platform, self._send, self._commands.append)

    # -- from the ferry ------------------------------------------------------------------------------------------

    def on_ferry_up(self) -> None:
        """Tell a new ferry what is known: it starts empty."""
        self._said.clear()
        for key in self._items:
            self._tell_item(key)

    def kept(self) -> dict[str, object]:
        """Return what a restart must not lose: the views whose media flows without us, and their dialogs."""
        views = [
            [call, asdict(view.request), view.port, view.leg]
            for call, view in self.views.items()
            if view.state is State.PASSED
        ]
        return {"views": views, "platform": self._platform.kept()}

    def adopt(self, kept: Mapping[str, Any], now: float) -> None:
        """Take over what the process before us kept; what the ferry does not speak of as living is ended.

        Raises:
            NotKept: it is something else.
        """
        try:
            views = [(int(call), OpenMedia(**asked), int(port), str(leg)) for call, asked, port, leg in kept["views"]]
            self._platform.adopt(kept["platform"], now)
        except (LookupError, TypeError, ValueError) as wrong:
            raise NotKept(str(wrong)) from None
        for call, request, port, leg in views:
            self.views[call] = View(request, State.PASSED, now, port, leg)
            self._by_leg[leg] = call
            self._doubtful.add(call)

    def _want_key_frame(self, call: int, now: float) -> None:
        """Somebody joins: what the recorder answers is nobody's order, the next picture says enough."""
        view = self.views.get(call)
        if view is not None:
            channel = view.request.channel
            self._platform.ask(view.request.recorder, lambda sn: control_of("key_frame", (), sn, channel), now)

    def _lives(self, call: int) -> None:
        self._doubtful.discard(call)
        if call not in self.views:
            self._send(CloseMedia(call, "side_lost"))

    def _told(self, now: float) -> None:
        """The ferry has named all calls that live: the others ended while we were away."""
        for call in list(self._doubtful):
            self._close(call, now)
        self._doubtful.clear()

    def on_ferry_lost(self, now: float) -> None:
        for call in list(self.views):
            self._close(call, now)
        self._orders.forget()

    def on_record(self, data: bytes, now: float) -> None:
        """Take one datagram of the ferry."""
        try:
            record = decode(data)
        except RemoteRecordError as wrong:
            self.counters[wrong.rule] += 1
            return
        if isinstance(record, OpenMedia):
            self._open(record, now)
        elif isinstance(record, PinOpened):
            self._invite(record, now)
        elif isinstance(record, CloseMedia):
            self._given_up(record, now)
            self._close(record.call, now)
        elif isinstance(record, PlaybackControl):
            self._steer(record, now)
        elif isinstance(record, RecordQuery | PresetQuery | DeviceControl):
            self._order(record, now)
        elif isinstance(record, OpenTalk):
            self._open_talk(record, now)
        elif isinstance(record, TalkReady):
            if self._talks.ready(record.call):
                self._commands.append(ReservePort(record.call))
        elif isinstance(record, WantKeyFrame):
            self._want_key_frame(record.call, now)
        elif isinstance(record, CallLives):
            self._lives(record.call)
        elif isinstance(record, CallsTold):
            self._told(now)
        else:
            self.counters["record_unexpected"] += 1

    def _order(self, asked: RecordQuery | PresetQuery | DeviceControl, now: float) -> None:
        if (asked.recorder, asked.channel) in self._shared:
            self._orders.ask(asked, now)
        else:
            self._send(OrderDone(asked.order, "channel_unknown", 0))

    def _open_talk(self, request: OpenTalk, now: float) -> None:
        if (request.recorder, request.channel) in self._shared:
            self._talks.open(request, now)
        else:
            self._send(MediaRefused(request.call, 404, "channel_unknown"))

    def _steer(self, control: PlaybackControl, now: float) -> None:
        view = self.views.get(control.call)
        action = {"play": "PLAY", "pause": "PAUSE", "stop": "TEARDOWN"}[control.action]
        scale = (-control.scale if control.backwards else control.scale) or None
        wanted = PlaybackRequest(action, scale, control.position if control.seeks else None)
        if view is None or not self._platform.control_playback(view.leg, control.order, wanted, now):
            self._send(PlaybackAnswer(control.call, control.order, 481))

    def _open(self, request: OpenMedia, now: float) -> None:
        if request.call in self.views or (request.recorder, request.channel) not in self._shared:
            self._send(MediaRefused(request.call, 404, "channel_unknown"))
        elif request.recorder not in self._online:
            self._send(MediaRefused(request.call, 480, "recorder_offline"))
        else:
            self.views[request.call] = View(request, State.RESERVING, now)
            self._commands.append(ReservePort(request.call, self._recorders[request.recorder].media))

    def on_port(self, call: int, port: int | None, now: float) -> None:
        """Take the port that was reserved, or None when the range is used up."""
        if self._talks.on_port(call, port, now):
            return
        view = self.views.get(call)
        if view is None:
            return
        if port is None:
            self._refuse(call, 486, "too_many_calls")
            return
        view.state, view.since, view.port = State.RESERVED, now, port
        self._send(MediaReserved(call, port))

    def _invite(self, opened: PinOpened, now: float) -> None:
        call = opened.call
        view = self.views.get(call)
        if view is None or view.state is not State.RESERVED:
            return
        request = view.request
        session, history = _SESSIONS[request.kind]
        offer = MediaDescription.offer(
            session_name=session,
            origin_id=self._site.identity.id,
            address=str(self._site.lan.address.ip),
            port=view.port,
            payload_types=tuple(FORMATS[name] for name in opened.formats.split(",")),
            ssrc=int(f"{history}{self._site.identity.id[3:8]}{self._chance.number(10000):04d}"),
        )
        media = self._recorders[request.recorder].media
        if media != "udp":
            offer = offer.framed(media.removeprefix("tcp_"))
        if history:
            offer = offer.of_recording(request.channel, request.start, request.end, request.speed or None)
        elif self._shared[request.recorder, request.channel].sub_stream:
            offer = offer.of_stream(request.stream, self._recorders[request.recorder].stream_attribute)
        leg = self._platform.invite(request.recorder, request.channel, offer, now)
        if leg is None:
            self._refuse(call, 480, "recorder_offline")
            return
        view.state, view.since, view.leg = State.INVITED, now, leg
        self._by_leg[leg] = call

    # -- from the recorders --------------------------------------------------------------------------------------

    def on_event(self, event: object, now: float) -> None:
        """Take one event of the platform role."""
        if isinstance(event, DeviceOnline):
            self._online.add(event.id)
            self._turned_away.clear(event.id)
            self._commands.append(Say("recorder_online", event.id))
            self._tell_states(event.id)
        elif isinstance(event, DeviceOffline):
            self._online.discard(event.id)
            self._turned_away.put(event.id, now, recorder=event.id, rule=f"lost_{event.cause}", source="", id="")
            self._commands.append(Say("recorder_offline", event.id))
            self._faulty.pop(event.id, None)
            self._tell_states(event.id)
        elif isinstance(event, CatalogReceived):
            self._catalog(event.device, event.items)
        elif isinstance(event, CallAnswered):
            self._answered(event, now)
        elif isinstance(event, CallFailed):
            self._note(event.call, "answer_refused" if event.rule else "recorder_refused", now, status=event.status,
                       about=event.about or event.rule or event.cause)  # fmt: skip
            self._leg_gone(event.call, event.status, "recorder_refused", now)
        elif isinstance(event, CallEnded):
            talk = self._talks.leg_ended(event.call)
            if talk is not None:
                self._send(CloseMedia(talk, "ended_normally"))
                self._commands.append(ReleasePort(talk))
                return
            self._leg_gone(event.call, 480, "ended_normally" if event.cause == "bye" else "media_stopped", now)
        elif isinstance(event, PlaybackAnswered | MediaEnded):
            self._playback(event)
        elif isinstance(event, ChannelsFaulty):
            self._faulty[event.device] = frozenset(event.channels)
            self._tell_states(event.device)
        elif isinstance(event, ChannelChanged):
            self._changed(event)
        elif self._orders.on_event(event, now) or self._talks.on_event(event, now):
            return
        elif isinstance(event, Refused):
            self._commands.append(Say(event.rule, event.about or str(event.source)))
            self._turn_away(event, now)

    def _turn_away(self, refused: Refused, now: float) -> None:
        """Keep what a recorder of ours, by its id or by its address, was refused for when it registered."""
        host, known = refused.source.host, self._recorders
        by_address = next((r.id for r in known.values() if str(r.address) == host), "")
        recorder = refused.about if refused.about in known else by_address
        if refused.rule in _TURNED_AWAY and recorder and recorder not in self._online:
            # Whoever is locked out is so for his wrong passwords.
            rule = "wrong_password" if refused.rule == "password_locked" else refused.rule
            self._turned_away.put(recorder, now, recorder=recorder, rule=rule, source=host, id=refused.about)

    def _note(self, leg: str, reason: str, now: float, status: int = 0, about: str = "") -> None:
        """Keep why the view of a leg shows no picture."""
        view = self.views.get(self._by_leg.get(leg, -1))
        key = (view.request.recorder, view.request.channel) if view is not None else ("", "")
        if view is None or key not in self._shared:
            return
        on = self._is_on(key) if key in self._items else 0
        agreed = [str(address) for address in self._recorders[key[0]].media_addresses]
        facts: dict[str, str | int] = {"recorder": key[0], "channel": key[1], "name": self._shared[key].name}
        facts |= {"reason": reason, "status": status, "about": about, "port": view.port, "online": on}
        facts |= {"format": view.format, "type": view.payload_type}
        self._troubles.put(key, now, agreed=agreed, **facts)

    def _catalog(self, recorder: str, entries: Iterable[CatalogEntry]) -> None:
        for entry in entries:
            channel = self._shared.get((recorder, entry.device_id))
            if channel is None:
                continue  # the recorder has it, the owner does not share it: it ends here
            item = CatalogItem(
                recorder=recorder,
                channel=channel.id,
                name=clean(channel.name or entry.name),
                manufacturer=clean(entry.manufacturer),
                model=clean(entry.model),
                ptz_type=entry.ptz_type or 0,
                online=int(entry.status == "ON"),
            )
            if self._items.get((recorder, channel.id)) != item:
                self._items[recorder, channel.id] = item
                self._tell_item((recorder, channel.id))

    def _playback(self, event: PlaybackAnswered | MediaEnded) -> None:
        call = self._by_leg.get(event.call)
        if call is None:
            return
        if isinstance(event, MediaEnded):
            self._send(MediaFinished(call))
        else:
            self._send(PlaybackAnswer(call, event.order, event.status))

    # -- who is there --------------------------------------------------------------------------------------------

    def _is_on(self, key: tuple[str, str]) -> int:
        """A channel is on if its recorder is, says so of it, and does not count it among the faulty."""
        recorder, channel = key
        there = recorder in self._online and channel not in self._faulty.get(recorder, ())
        return int(there and bool(self._items[key].online))

    def _tell_item(self, key: tuple[str, str]) -> None:
        self._said[key] = self._is_on(key)
        self._send(replace(self._items[key], online=self._said[key]))

    def _tell_states(self, recorder: str) -> None:
        for key in self._items:
            if key[0] == recorder and self._said.get(key) != self._is_on(key):
                self._said[key] = self._is_on(key)
                self._send(ChannelState(*key, self._said[key]))

    def _changed(self, event: ChannelChanged) -> None:
        key = (event.device, event.channel)
        if key in self._items:
            self._items[key] = replace(self._items[key], online=int(event.online))
            self._tell_states(event.device)

    def _answered(self, event: CallAnswered, now: float) -> None:
        call = self._by_leg.get(event.call)
        view = self.views.get(call) if call is not None else None
        if call is None or view is None or view.state is not State.INVITED:
            self._platform.hang_up(event.call, now)
            return
        sources = frozenset(str(a) for a in self._recorders[view.request.recorder].media_addresses)
        answer, media = event.answer, self._recorders[view.request.recorder].media
        reason = unusable(answer, sources, media)
        if reason:
            told = at_fault(answer, reason)
            self._commands.append(Say(reason, f"{view.request.recorder} {told}"))
            self._note(view.leg, reason, now, about=told)
            self._refuse(call, 488, reason)
            self._drop(call, now)
            return
        view.state, view.since = State.WATCHING, now
        if answer.stream is not None and answer.stream != view.request.stream:
            self._commands.append(
                Say("stream_other", view.request.recorder)
            )  # some name the main one whatever they send
        # Of several the first is what an answerer would rather send (RFC 3264 6.1).
        view.format, view.payload_type = next(iter(carried(answer).items()))
        self._send(MediaAnswered(call, view.request.stream, view.format, view.payload_type))
        dial = (answer.address, answer.port) if media == "tcp_active" else None
        self._commands.append(WatchPort(call, sources, view.payload_type, dial, answer.reports))

    def on_first_packet(self, call: int, ssrc: int, payload_type: int, framing: str, now: float) -> None:
        """The recorder's first good packet stands at the head of the port's queue; the socket is connected to it."""
        view = self.views.get(call)
        if view is None or view.state is not State.WATCHING:
            return
        view.state, view.since = State.PASSED, now
        self._troubles.clear((view.request.recorder, view.request.channel))
        self._commands.append(PassPort(call, MediaReady(call, ssrc, payload_type, framing)))

    def _leg_gone(self, leg: str, status: int, reason: str, now: float) -> None:
        call = self._by_leg.pop(leg, None)
        view = self.views.get(call) if call is not None else None
        if call is None or view is None:
            return
        view.leg = ""
        if view.state is State.INVITED:
            self._refuse(call, status if 400 <= status <= 699 else 480, reason)
        else:
            self._send(CloseMedia(call, reason))
        self._drop(call, now)

    # -- time and endings ----------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """End the views, orders and talks whose recorder keeps silent."""
        self._orders.handle_timer(now)
        self._talks.handle_timer(now)
        for call, view in list(self.views.items()):
            if view.state is State.INVITED and now - view.since > ANSWER_SECONDS:
                self._commands.append(Say("recorder_no_answer", view.request.recorder))
                self._note(view.leg, "recorder_no_answer", now)
                self._refuse(call, 408, "recorder_no_answer")
                self._drop(call, now)
            elif view.state is State.WATCHING and now - view.since > FIRST_PACKET_SECONDS:
                self._commands.append(Say("no_media", view.request.recorder))
                self._note(view.leg, "no_media", now)
                self._send(CloseMedia(call, "no_media"))
                self._drop(call, now)

    def _refuse(self, call: int, status: int, reason: str) -> None:
        self._send(MediaRefused(call, status, reason))
        view = self.views[call]
        if not view.leg:
            self._forget(call)

    def _given_up(self, close: CloseMedia, now: float) -> None:
        """Note what a view that is closed had waited for."""
        view = self.views.get(close.call)
        if view is None:
            return
        waited = {State.INVITED: "recorder_no_answer", State.WATCHING: "no_media"}.get(view.state)
        if close.reason in ("media_stopped", "media_foreign", "format_not_offered"):
            self._note(view.leg, close.reason, now)
        elif waited is not None and now - view.since > PATIENCE_SECONDS:
            self._note(view.leg, waited, now)

    def _close(self, call: int, now: float) -> None:
        if call in self.views:
            self._drop(call, now)
        elif self._talks.close(call, now):
            self._commands.append(ReleasePort(call))

    def _drop(self, call: int, now: float) -> None:
        """Hang up on the recorder and give the port back."""
        view = self.views.get(call)
        if view is None:
            return
        if view.leg:
            self._platform.hang_up(view.leg, now)
        self._forget(call)

    def _forget(self, call: int) -> None:
        view = self.views.pop(call)
        self._by_leg.pop(view.leg, None)
        if view.state is not State.PASSED:
            self._commands.append(ReleasePort(call))

    def _send(self, record: Record) -> None:
        self._commands.append(SendRecord(record))

    def commands(self) -> list[Command]:
        """Return, once, what is to be done, in order."""
        due = self._commands[:]
        self._commands.clear()
        return due

    def status(self) -> dict[str, object]:
        """Return what the owner may see of this side."""
        return {
            "recorders": {recorder: recorder in self._online for recorder in self._recorders},
            "channels": sorted(f"{r}/{c}" for r, c in self._items),
            "views": {str(call): view.state.value for call, view in self.views.items()},
            "counters": dict(sorted((self.counters + Counter(self._platform.counters)).items())),
            "deviations": {peer: dict(sorted(seen.items())) for peer, seen in self._platform.deviations.items()},
            "editions": {recorder: self._platform.edition_of(recorder) for recorder in sorted(self._online)},
            "listed": {r.id: [str(r.address), r.mac] for r in self._recorders.values()},
            "turned_away": self._turned_away.told(),
            "troubles": self._troubles.told(),
        }
