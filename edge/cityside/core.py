"""The city side's thinking part: records and the device role's events in, commands out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from typing import Any

from edge.access import Access
from edge.cityside.issued import IssuedIds
from edge.cityside.orders import CityOrders
from edge.cityside.talks import CityTalks, PassTalk
from edge.cityside.tree import Tree
from edge.faults.noted import Noted
from edge.gb28181.device import Device, OrderReceived, Redirected, Registered, RegistrationLost
from edge.gb28181.kept import NotKept
from edge.gb28181.legs import CallEnded, CallEstablished, InviteReceived, InviteRefused, PlaybackReceived
from edge.gb28181.role import Refused
from edge.manscdp.catalog import CatalogEntry
from edge.manscdp.events import Broadcast
from edge.manscdp.form import LATEST
from edge.manscdp.messages import Message
from edge.records.types import (
    FORMATS,
    CallLives,
    CallsTold,
    CatalogItem,
    ChannelState,
    CloseMedia,
    MediaAnswered,
    MediaDial,
    MediaDialled,
    MediaFinished,
    MediaRefused,
    MediaSink,
    OpenMedia,
    PlaybackAnswer,
    PlaybackControl,
    Record,
)
from edge.sdp.description import FRAMED, MediaDescription
from edge.sdp.formats import carried, named
from edge.sip.address import Address
from edge.sip.chance import Chance
from netconf import words
from netconf.model import Platform, Site

_VIEWER_BYTES = 96
_RIGHTS = ("right_not_granted", "right_not_allowed", "channel_not_shared")
#: What a view's kind is called in SDP (2016 annex F).
KINDS = {"Play": "live", "Playback": "playback", "Download": "download"}


@dataclass(slots=True)
class View:
    """One INVITE of the city."""

    leg: str
    issued: str
    request: OpenMedia
    #: None once it was answered by a process before us.
    offer: MediaDescription | None
    ssrc: int
    answered: bool = False
    port: int = 0


@dataclass(frozen=True, slots=True)
class SendRecord:
    """Hand a record to the ferry."""

    record: Record


@dataclass(frozen=True, slots=True)
class OpenSink:
    """Make a socket connected to the city's media address; it goes to the ferry with ``record`` once its port is known.

    With it, if there are two ports side by side, one that is connected to the city's port for ``reports`` (0: none).
    """

    call: int
    city: Address
    reports: int = 0


@dataclass(frozen=True, slots=True)
class PassSink:
    call: int
    record: MediaSink


@dataclass(frozen=True, slots=True)
class HoldDial:
    """Bind, and no more, what is to be connected with the city's listener; its port is told by ``on_sink``."""

    call: int


@dataclass(frozen=True, slots=True)
class DialSink:
    """Connect it; what comes of it is told by ``on_dialled``."""

    call: int
    city: Address


@dataclass(frozen=True, slots=True)
class PassDialled:
    call: int
    record: MediaDialled


@dataclass(frozen=True, slots=True)
class DropDial:
    call: int


@dataclass(frozen=True, slots=True)
class Say:
    """Something the owner should be able to read in the log: a code of ``netconf.words`` and whom it concerns."""

    code: str
    about: str


@dataclass(frozen=True, slots=True)
class OpenTalkPort:
    """Hold a port of the tunnel's address for a talk's sound; nothing reads it yet."""

    call: int


@dataclass(frozen=True, slots=True)
class CloseTalkPort:
    call: int


@dataclass(frozen=True, slots=True)
class Dial:
    """The platform is to be reached at another address."""

    server: Address


Command = (
    SendRecord | OpenSink | PassSink | HoldDial | DialSink | PassDialled | DropDial | Say | OpenTalkPort | CloseTalkPort
    | PassTalk | Dial
)  # fmt: skip


class CitySide:
    """The legs to one platform of one confirmed configuration."""

    def __init__(
        self, site: Site, platform: Platform, device: Device, issued: IssuedIds, chance: Chance, own: str
    ) -> None:
        self._site = site
        #: The address of the tunnel that is used.
        self._own = own
        self._platform = platform
        self._device = device
        self._issued = issued
        self._chance = chance
        self._tree = Tree(site, platform)
        self._entries: dict[str, CatalogEntry] = {}
        self._unshown = False
        self._by_leg: dict[str, int] = {}
        self._commands: list[Command] = []
        self._ferry_up = False
        #: Calls of the process before us that the ferry has not yet spoken of.
        self._doubtful: set[int] = set()
        #: The city's offers that were refused of late, by channel.
        self._refused = Noted()
        self.registered = False
        self.views: dict[int, View] = {}
        self.counters: Counter[str] = Counter()
        self._orders = CityOrders(platform.id, device, issued, Access(site), chance, self._send)
        self._talks = CityTalks(platform, device, issued, chance, own, self._send, self._commands.append)
        device.guard = self._guard

    def _guard(self, body: Message) -> str | None:
        """Why an order of the city is not even taken: it hears 403 at once, and the ferry never hears of it."""
        rule = "ferry_unreachable" if not self._ferry_up else self._orders.refuses(body)
        if rule is not None:
            self._commands.append(Say(rule, body.device_id))
        return rule

    # -- from the city -------------------------------------------------------------------------------------------

    def on_event(self, event: object, now: float) -> None:
        """Take one event of the device role."""
        if isinstance(event, Registered):
            self.registered = True
            self._commands.append(Say("city_registered", self._platform.id))
        elif isinstance(event, RegistrationLost):
            self.registered = False
            self._commands.append(Say("city_registration_lost", f"{self._platform.id} {event.cause}"))
        elif isinstance(event, InviteReceived):
            self._invited(event, now)
        elif isinstance(event, InviteRefused):
            if event.rule.startswith("sdp_"):
                self._note(event.channel, event.rule, event.about, now)
        elif isinstance(event, CallEstablished):
            self._established(event.call)
        elif isinstance(event, OrderReceived):
            self._ordered(event)
        elif isinstance(event, PlaybackReceived):
            self._steer(event, now)
        elif isinstance(event, Redirected):
            self._commands.append(Dial(event.server))
        elif (talk := self._talks.on_event(event, now)) is not None:
            self._commands.append(CloseTalkPort(talk))
        elif isinstance(event, CallEnded):
            call = self._by_leg.pop(event.call, None)
            if call is not None and self.views.pop(call, None) is not None:
                reason = _ENDINGS.get(event.cause, "ended_normally")
                self._send(CloseMedia(call, reason))
                self._commands.append(DropDial(call))
                if reason.startswith("city_"):
                    self._commands.append(Say(reason, str(call)))
        elif isinstance(event, Refused):
            self._commands.append(Say(event.rule, event.about or str(event.source)))

    def _established(self, leg: str) -> None:
        """The city has our answer: where it listens, it may be dialled (RFC 4145 4)."""
        self._commands.append(Say("view_established", self._channel_of(leg)))
        call = self._by_leg.get(leg)
        offer = self.views[call].offer if call in self.views else None
        if call is not None and offer is not None and offer.transport == FRAMED:
            self._commands.append(DialSink(call, Address(offer.address, offer.port)))

    def on_dialled(self, call: int, connected: bool, now: float) -> None:
        """Take what came of dialling the city's listener."""
        if call not in self.views:
            self._commands.append(DropDial(call))
        elif connected:
            self._commands.append(PassDialled(call, MediaDialled(call)))
        else:
            self._send(CloseMedia(call, "city_media_unreached"))
            self._hang_up(call, 480, "city_media_unreached", now)

    def _ordered(self, event: OrderReceived) -> None:
        viewer = _label(event.viewer)
        if isinstance(event.body, Broadcast):
            self._talks.take(event.body, viewer)
        else:
            self._orders.take(event, viewer)

    def _steer(self, event: PlaybackReceived, now: float) -> None:
        """Send a viewer's pause, seek or speed to the recorder; what it answers comes back by ``PlaybackAnswer``."""
        call = self._by_leg.get(event.call)
        view = self.views.get(call) if call is not None else None
        if call is None or view is None or view.request.kind == "live":
            self._device.answer_playback(event.order, 481 if view is None else 488, now)
            return
        wanted = event.request
        action = {"PLAY": "play", "PAUSE": "pause", "TEARDOWN": "stop"}[wanted.action]
        scale, seeks = wanted.scale or 0, int(wanted.position is not None)
        backwards = int(scale < 0)
        self._send(PlaybackControl(call, event.order, action, abs(scale), backwards, seeks, wanted.position or 0))

    def _channel_of(self, leg: str) -> str:
        call = self._by_leg.get(leg)
        return self.views[call].issued if call in self.views else leg

    def _invited(self, event: InviteReceived, now: float) -> None:
        target = self._issued.channel(event.channel)
        refusal = self._objection(event, target)
        self._refused.clear(event.channel)
        if refusal is not None or target is None:
            status, reason = refusal or (404, "channel_unknown")
            self._note(event.channel, reason, _told(event.offer, reason), now)
            self._refuse_leg(event.call, status, reason, now)
            return
        call = 1 + self._chance.number(0xFFFFFFFF)
        ssrc = event.offer.ssrc if event.offer.ssrc is not None else self._fresh_ssrc(event.offer)
        request = self._request(call, target, event.offer, _label(event.viewer))
        self.views[call] = View(event.call, event.channel, request, event.offer, ssrc)
        self._by_leg[event.call] = call
        dials = event.offer.transport == FRAMED
        city = Address(event.offer.address, event.offer.port)
        self._commands.append(HoldDial(call) if dials else OpenSink(call, city, _reports(event.offer)))

    def _objection(self, event: InviteReceived, target: tuple[str, str] | None) -> tuple[int, str] | None:
        offer = event.offer
        if not self._ferry_up:
            return 503, "ferry_unreachable"
        if target is None:
            return 404, "channel_unknown"
        kind = KINDS.get(offer.session_name)
        if kind is None or not _carried(offer):
            return 488, "sdp_unacceptable"
        if not carried(offer):
            return 488, "encoding_not_carried"
        if kind != "live" and not 0 < offer.start < offer.end <= LATEST:
            return 488, "times_missing"
        if not 1024 <= offer.port <= 65535:
            return 488, "sdp_unacceptable"
        if not any(IPv4Address(offer.address) in network for network in self._platform.media_networks):
            return 488, "media_address_foreign"
        if len(self.views) >= self._site.max_calls:
            return 486, "too_many_calls"
        return None

    def _request(self, call: int, target: tuple[str, str], offer: MediaDescription, viewer: str) -> OpenMedia:
        kind = KINDS[offer.session_name]
        if kind == "live":
            return OpenMedia(call, self._platform.id, *target, kind, viewer, stream=min(offer.stream or 0, 1))
        speed = offer.speed or 0 if kind == "download" else 0
        return OpenMedia(call, self._platform.id, *target, kind, viewer, offer.start, offer.end, speed)

    def _note(self, issued: str, reason: str, about: str, now: float) -> None:
        target = self._issued.channel(issued)
        name = next((c.name for c in self._site.channel if (c.recorder, c.id) == target), "")
        networks = [str(network) for network in self._platform.media_networks]
        self._refused.put(issued, now, channel=issued, name=name, reason=reason, about=about, agreed=networks)

    def _fresh_ssrc(self, offer: MediaDescription) -> int:
        """Return an SSRC as GB/T 28181 annex F writes it: 0 live, 1 history; five digits of the domain, four of ours."""
        history = int(KINDS[offer.session_name] != "live")
        return int(f"{history}{self._site.identity.id[3:8]}{self._chance.number(10000):04d}")

    # -- over a restart ------------------------------------------------------------------------------------------

    def kept(self) -> dict[str, object]:
        """Return what a restart must not lose: the answered views and their dialogs."""
        views = [
            [call, view.leg, view.issued, asdict(view.request), view.ssrc, view.port]
            for call, view in self.views.items()
            if view.answered
        ]
        return {"views": views, "device": self._device.kept()}

    def adopt(self, kept: Mapping[str, Any]) -> None:
        """Take over what the process before us kept; what the ferry does not speak of as living is ended.

        Raises:
            NotKept: it is something else.
        """
        try:
            for call, leg, issued, asked, ssrc, port in kept["views"]:
                request = OpenMedia(**asked)
                self.views[call] = View(str(leg), str(issued), request, None, int(ssrc), True, int(port))
                self._by_leg[str(leg)] = call
                self._doubtful.add(call)
            self._device.adopt(kept["device"])
        except (LookupError, TypeError, ValueError) as wrong:
            raise NotKept(str(wrong)) from None

    def _told(self, now: float) -> None:
        """The ferry has named all calls that live: the others ended while we were away."""
        for call in list(self._doubtful):
            self._hang_up(call, 480, "side_lost", now)
        self._doubtful.clear()

    # -- from the ferry ------------------------------------------------------------------------------------------

    def on_ferry_up(self) -> None:
        self._ferry_up = True

    def on_ferry_lost(self, now: float) -> None:
        """Without the ferry no channel is there and no view goes on."""
        self._ferry_up = False
        for call in list(self.views):
            self._hang_up(call, 503, "ferry_unreachable", now)
        for issued, entry in self._entries.items():
            self._entries[issued] = entry.with_status("OFF")
        self._unshown = True
        self._orders.on_ferry_lost(now)
        self._commands += [CloseTalkPort(call) for call in self._talks.close_all(now)]

    def on_talk_port(self, call: int, port: int | None, now: float) -> None:
        """Take the port that a talk's sound is to come to."""
        if not self._talks.on_port(call, port, now):
            self._commands.append(CloseTalkPort(call))

    def on_sink(self, call: int, local: Address | None, now: float) -> None:
        """Take the sink's own address, or None when no socket could be had."""
        view = self.views.get(call)
        if view is None:
            return
        if local is None:
            self._hang_up(call, 503, "media_address_foreign", now)
            return
        if view.offer is None:
            return  # it was answered by a process before us
        view.port = local.port
        offered = carried(view.offer)
        ps, h264, h265 = (offered.get(name, 0) for name in FORMATS)
        if view.offer.transport == FRAMED:
            address = int(IPv4Address(view.offer.address))
            ours = int(IPv4Address(self._own))
            self._send(MediaDial(call, view.ssrc, ps, address, view.offer.port, ours, local.port, h264, h265))
        else:
            sink = MediaSink(call, view.ssrc, ps, h264, h265, int(view.offer.mux))
            self._commands.append(PassSink(call, sink))
        self._send(view.request)

    def on_record(self, record: Record, now: float) -> bool:
        """Take one record of the ferry; return whether it is of a view of this platform."""
        if isinstance(record, CallLives):
            self._doubtful.discard(record.call)
            return record.call in self.views
        if isinstance(record, CatalogItem):
            self._show(record)
        elif isinstance(record, ChannelState):
            self._mark(record)
        elif (talk := self._talks.on_record(record, now)) is not False:
            if talk is not True:
                self._commands.append(OpenTalkPort(talk))
            elif isinstance(record, MediaRefused | CloseMedia):
                self._commands.append(CloseTalkPort(record.call))
        elif self._orders.on_record(record, now):
            pass
        elif isinstance(record, PlaybackAnswer):
            self._device.answer_playback(record.order, record.status, now)
        elif isinstance(record, MediaFinished):
            if record.call in self.views:
                view = self.views[record.call]
                self._device.tell_end(view.leg, view.issued, now)
        elif isinstance(record, MediaAnswered):
            self._accept(record, now)
        elif isinstance(record, MediaRefused):
            self._hang_up(record.call, record.status, record.reason, now)
        elif isinstance(record, CloseMedia):
            self._hang_up(record.call, 480, record.reason, now)
        elif isinstance(record, CallsTold):
            self._told(now)
        else:
            self.counters["record_unexpected"] += 1
        return False

    def _show(self, item: CatalogItem) -> None:
        issued = self._issued.of(item.recorder, item.channel)
        if issued is not None:
            self._entries[issued] = self._tree.entry(issued, item)
            self._unshown = True

    def _mark(self, state: ChannelState) -> None:
        issued = self._issued.of(state.recorder, state.channel)
        if issued in self._entries:
            self._entries[issued] = self._entries[issued].with_status("ON" if state.online else "OFF")
            self._unshown = True

    def publish(self, now: float) -> None:
        """Show the channels as they are, all that changed since the last time at once."""
        if self._unshown:
            self._device.set_catalog(self._tree.catalog(self._entries.values()), now)
            self._unshown = False

    def _accept(self, answered: MediaAnswered, now: float) -> None:
        view = self.views.get(answered.call)
        if view is None or view.answered or view.offer is None:
            return
        view.answered = True
        answer = view.offer.answer(
            origin_id=view.issued,
            address=self._own,
            port=view.port,
            payload_type=answered.payload_type,
            ssrc=view.ssrc,
        )
        if answered.stream or view.offer.stream is not None:
            answer = answer.of_stream(answered.stream, view.offer.stream_attribute)
        self._device.accept(view.leg, answer, now)

    # -- another tunnel ------------------------------------------------------------------------------------------

    @property
    def watched(self) -> bool:
        """Whether a view or a talk would end if this side went to another tunnel."""
        return bool(self.views or self._talks.running)

    def leave(self, reason: str, now: float) -> None:
        """End every view and talk: their sockets are of a tunnel that is not used any more. The ferry is told first."""
        for call in [*self.views, *self._talks.running]:
            self._send(CloseMedia(call, reason))
        for call in list(self.views):
            self._hang_up(call, 480, reason, now)
        self._commands += [CloseTalkPort(call) for call in self._talks.close_all(now)]

    def follow(self, before: CitySide) -> None:
        """Show and count on what ``before`` did, which spoke from another of our addresses."""
        self._entries, self._unshown = before._entries, True
        self._ferry_up, self._refused, self.counters = before._ferry_up, before._refused, before.counters

    # -- endings -------------------------------------------------------------------------------------------------

    def _hang_up(self, call: int, status: int, reason: str, now: float) -> None:
        view = self.views.pop(call, None)
        if view is None:
            return
        self._by_leg.pop(view.leg, None)
        self._commands.append(DropDial(call))
        if view.answered:
            self._device.hang_up(view.leg, now)
            self._commands.append(Say(reason, view.issued))
        else:
            if reason in _RIGHTS:
                # What the recorder made of it is the site side's to tell.
                self._note(view.issued, reason, view.request.kind, now)
            self._refuse_leg(view.leg, status, reason, now)

    def _refuse_leg(self, leg: str, status: int, reason: str, now: float) -> None:
        self.counters[reason] += 1
        self._commands.append(Say(reason, leg))
        self._device.refuse(leg, status, words.reason(reason, "en"), now)

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
            "registered": self.registered,
            "ferry": self._ferry_up,
            "channels": {issued: entry.status for issued, entry in self._entries.items()},
            "views": {str(call): {"channel": v.issued, "viewer": v.request.viewer} for call, v in self.views.items()},
            "counters": dict(sorted((self.counters + self._orders.counters + Counter(self._device.counters)).items())),
            "deviations": {peer: dict(sorted(seen.items())) for peer, seen in self._device.deviations.items()},
            "edition": self._device.edition,
            "registration": self._device.facts(),
            "refused": self._refused.told(),
        }


#: What a leg's end is called in the receipt; any other is the city's BYE.
_ENDINGS = {"cancel": "cancelled", "forgotten": "city_forgot", "unreached": "city_unreached"}


def _carried(offer: MediaDescription) -> bool:
    """Return whether media can go as it is offered: by UDP, or by TCP where the city listens and we dial."""
    return offer.transport == "RTP/AVP" or (offer.transport == FRAMED and offer.setup in ("passive", "actpass"))


def _reports(offer: MediaDescription) -> int:
    """Return the port that the city hears reports at, beside its media: 0 for none of its own (RFC 3605, RFC 5761)."""
    port = offer.reports or offer.port + 1
    return 0 if offer.mux or port == offer.port or port > 65535 else port


def _told(offer: MediaDescription, reason: str) -> str:
    """Return what of an offer was at fault, for a person to read."""
    if reason == "media_address_foreign":
        return offer.address
    types = " ".join(map(str, offer.payload_types))
    if reason == "encoding_not_carried":
        return named(offer) or types
    return f"{offer.transport} {types}" if reason == "sdp_unacceptable" else ""


def _label(text: str) -> str:
    kept = "".join(character for character in text if character.isprintable())
    return kept.encode("utf-8", "ignore")[:_VIEWER_BYTES].decode("utf-8", "ignore")
