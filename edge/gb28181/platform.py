"""The accepting role: admits devices, collects their catalogs, invites (GB/T 28181-2016 9.1, 9.2, 9.5, 9.6)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge.digest.server import Authenticator, Verdict
from edge.gb28181 import edition
from edge.gb28181.catalog import Collector, entries
from edge.gb28181.device import KEEPALIVE_MISSES
from edge.gb28181.kept import NotKept
from edge.gb28181.legs import Identity
from edge.gb28181.orders import ANSWERED, LATER
from edge.gb28181.reports import (
    AlarmReceived,
    Answered,
    AskRefused,
    CatalogReceived,
    ChannelChanged,
    ChannelsFaulty,
    ControlSent,
    DeviceInfoReceived,
    DeviceOffline,
    DeviceOnline,
    DeviceStatusReceived,
    MediaEnded,
    PositionReceived,
)
from edge.gb28181.role import Role
from edge.gb28181.tries import Tries
from edge.gb28181.watches import Watches
from edge.manscdp.catalog import CatalogEntry, CatalogNotify, CatalogQuery, CatalogResponse, Change
from edge.manscdp.control import Control, ControlResponse, GuardControl
from edge.manscdp.device import (
    DeviceInfoQuery,
    DeviceInfoResponse,
    DeviceStatusQuery,
    DeviceStatusResponse,
    Keepalive,
    Position,
    PositionNotify,
    PositionQuery,
    PositionsNotify,
    PresetQuery,
    PresetResponse,
)
from edge.manscdp.events import (
    END_OF_FILE,
    AlarmNotify,
    AlarmQuery,
    AlarmResponse,
    Broadcast,
    BroadcastResponse,
    MediaStatus,
)
from edge.manscdp.messages import Message
from edge.manscdp.recordings import RecordInfoQuery, RecordInfoResponse
from edge.mansrtsp.control import PlaybackRequest
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from edge.sip.chance import Chance
from edge.sip.endpoint import TransactionKey
from edge.sip.errors import RemoteSipError
from edge.sip.message import Request, Response

MIN_EXPIRES, MAX_EXPIRES = 60, 604_800
CATALOG_AGAIN_SECONDS = 300.0
#: A recorder that answered nothing at all, because it was still starting, is asked again sooner.
CATALOG_SILENT_SECONDS = 30.0
#: Everything a recorder reports without being asked.
WANTS = ("Catalog", "Alarm", "MobilePosition")
MAX_ASKED = 256
POSITION_SECONDS = 5
INVITE_SECONDS = 30.0
#: What is no number there is as if it were not there (RFC 3261 10.3).
_CONTACT_EXPIRES = re.compile(r";\s*expires\s*=\s*([0-9]{1,10})\s*(?=[;,>]|$)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device that may register: its id, password and the addresses it may come from.

    ``wants`` are what it is subscribed to (``WANTS``); ``strict``: its deviations from the standards are refused.
    """

    id: str
    password: str
    addresses: frozenset[str]
    port: int = 5060
    wants: tuple[str, ...] = ()
    strict: bool = False

    def __repr__(self) -> str:
        return f"KnownDevice({self.id} at {sorted(self.addresses)})"


@dataclass(frozen=True, slots=True)
class PlatformConfig:
    id: str
    domain: str
    local: Address
    realm: str
    devices: tuple[KnownDevice, ...]
    keepalive_seconds: int = 60
    user_agent: str = "snowgate"
    edition: int = 2022


Ask = RecordInfoQuery | PresetQuery | Control | Broadcast
#: A recorder dials again within a second or two; longer, and the owner should read that it is away.
RECONNECT_SECONDS = 20.0


@dataclass(slots=True)
class _Binding:
    """What is known of one device now."""

    known: KnownDevice
    address: Address | None = None
    expires_at: float = 0.0
    seen_at: float = 0.0
    tries: Tries = field(default_factory=Tries)
    edition: int = edition.EARLIER
    collector: Collector | None = None
    #: The SN of the catalog that was published last: its late pages still count.
    collected: int | None = None
    query_at: float | None = None
    asked: set[int] = field(default_factory=set)
    #: Until when it may ask for the sound of a broadcast that it was told of.
    invites_until: float = 0.0


class Platform(Role):
    """One platform and the devices it knows."""

    heard = (
        Keepalive, CatalogResponse, CatalogNotify, DeviceInfoResponse, DeviceStatusResponse, RecordInfoResponse,
        PresetResponse, ControlResponse, BroadcastResponse, AlarmNotify, PositionNotify, PositionsNotify, MediaStatus,
    )  # fmt: skip
    methods = ("REGISTER", "INVITE", "ACK", "CANCEL", "BYE", "MESSAGE", "NOTIFY", "OPTIONS")

    def __init__(self, config: PlatformConfig, chance: Chance) -> None:
        strict = frozenset(device.id for device in config.devices if device.strict)
        identity = Identity(config.id, config.domain, config.local)
        super().__init__(identity, chance, config.user_agent, strict)
        self._config = config
        self._watches = Watches(self._endpoint, chance, identity)
        self._asks: dict[TransactionKey, tuple[str, int, bool]] = {}
        self._bindings = {device.id: _Binding(device) for device in config.devices}
        self._authenticator = Authenticator(config.realm, bytes.fromhex(chance.token(256)))

    # -- what the user asks --------------------------------------------------------------------------------------

    def invite(self, device: str, channel: str, offer: MediaDescription, now: float, viewer: str = "") -> str | None:
        """Ask a channel of a device for media; return the call's name, or None when the device is not online."""
        address = self._bindings[device].address
        return self._legs.invite(device, channel, offer, address, now, viewer) if address is not None else None

    def query_catalog(self, device: str, now: float) -> None:
        """Ask a device that is online for its catalog."""
        binding = self._bindings[device]
        if binding.address is None:
            return
        sn = self._next_sn()
        binding.collector = Collector(sn, now)
        binding.query_at = now + CATALOG_AGAIN_SECONDS
        self._send_message(device, binding.address, CatalogQuery(sn, device), now, binding.edition)

    def query_device_info(self, device: str, now: float) -> None:
        self._query(device, DeviceInfoQuery(self._next_sn(), device), now)

    def query_device_status(self, device: str, target: str, now: float) -> None:
        self._query(device, DeviceStatusQuery(self._next_sn(), target), now)

    def ask(self, device: str, make: Callable[[int], Ask], now: float) -> int | None:
        """Send what ``make`` makes of a serial number to a device; return the number, or None if it is not online.

        What comes of it is told as ``Answered``, ``AskRefused`` or, of a control without an answer, ``ControlSent``.
        """
        binding = self._bindings[device]
        if binding.address is None:
            return None
        sn = self._next_sn()
        body = make(sn)
        binding.asked = {*sorted(binding.asked)[-MAX_ASKED:], sn}
        if isinstance(body, Broadcast):
            binding.invites_until = now + INVITE_SECONDS
        key = self._send_message(device, binding.address, body, now, binding.edition)
        self._asks[key] = (device, sn, isinstance(body, Control) and not isinstance(body, ANSWERED))
        return sn

    def understands(self, device: str, body: Control) -> bool:
        """Return whether the edition that a device speaks has this control."""
        return self._bindings[device].edition >= edition.LATER or not isinstance(body, LATER)

    def edition_of(self, device: str) -> int:
        """Return the edition that a device has declared."""
        return self._bindings[device].edition

    def control_playback(self, call: str, order: int, wanted: PlaybackRequest, now: float) -> bool:
        """Ask for a recording to be played otherwise; ``PlaybackAnswered`` tells what came of it."""
        return self._legs.control(call, order, wanted, now)

    def _query(self, device: str, query: DeviceInfoQuery | DeviceStatusQuery, now: float) -> None:
        binding = self._bindings[device]
        if binding.address is not None:
            binding.asked = {*list(binding.asked)[-8:], query.sn}
            self._send_message(device, binding.address, query, now, binding.edition)

    def disconnected(self, peer: Address, now: float) -> None:
        """A connection is gone: who had registered over it has a moment to do so again over another."""
        for binding in self._bindings.values():
            if binding.address == peer:
                binding.expires_at = min(binding.expires_at, now + RECONNECT_SECONDS)

    def kept(self) -> dict[str, Any]:
        """Return what a restart must not lose: who is registered from where until when, and the dialogs."""
        bound = {
            device: [*binding.address, binding.expires_at, binding.edition, _proof(binding.known)]
            for device, binding in self._bindings.items()
            if binding.address is not None
        }
        return {"bound": bound, "legs": self._legs.kept()}

    def adopt(self, kept: Mapping[str, Any], now: float) -> None:
        """Take over what the process before us kept; times are of the same monotonic clock.

        Raises:
            NotKept: it is something else.
        """
        try:
            bound = {
                d: (str(h), int(p), str(t), float(e), int(v), str(s)) for d, (h, p, t, e, v, s) in kept["bound"].items()
            }
            legs = dict(kept["legs"])
        except (LookupError, TypeError, ValueError, AttributeError) as wrong:
            raise NotKept(str(wrong)) from None
        for device, (host, port, transport, expires_at, spoken, proof) in bound.items():
            binding = self._bindings.get(device)
            known = binding is not None and host in binding.known.addresses and proof == _proof(binding.known)
            # A connection is gone with the process that held it: its device registers again over a new one.
            if binding is not None and known and now < expires_at and transport == "udp":
                # While we were dead nobody could hear it: it has its full time again.
                binding.address, binding.expires_at, binding.seen_at = Address(host, port), expires_at, now
                binding.edition = spoken
                self._tell(DeviceOnline(device))
                self.query_catalog(device, now)
                self._begin_watching(binding, now)
        self._legs.adopt(legs)

    def _may_invite(self, peer: str, now: float) -> bool:
        return now < self._bindings[peer].invites_until

    # -- registration --------------------------------------------------------------------------------------------

    def _on_register(self, key: TransactionKey, request: Request, source: Address, now: float) -> None:
        device = request.from_.uri.user
        binding = self._bindings.get(device)
        try:
            expires = self._expires(request)
        except RemoteSipError as wrong:
            self._refuse(wrong.rule, source, device)
            self._answer_register(key, request, 400, "Bad Request", now)
            return
        if binding is None or request.to.uri.user != device:
            self._refuse("unknown_device", source, device)
            self._answer_register(key, request, 403, "Forbidden", now)
        elif source.host not in binding.known.addresses:
            self._refuse("unknown_address", source, device)
            self._answer_register(key, request, 403, "Forbidden", now)
        elif binding.tries.locked(now):
            self._refuse("password_locked", source, device)
            self._answer_register(key, request, 403, "Forbidden", now)
        else:
            self._authenticate(key, request, source, binding, expires, now)

    def _expires(self, request: Request) -> int:
        contact = request.headers.get("contact") or ""
        given = request.number("expires")
        told = _CONTACT_EXPIRES.search(contact)
        if given is None and told is not None:
            given = int(told[1])
        given = 3600 if given is None else given
        return 0 if given == 0 else min(max(given, MIN_EXPIRES), MAX_EXPIRES)

    def _answer_register(self, key: TransactionKey, request: Request, status: int, reason: str, now: float,
                         *fields: tuple[str, str]) -> None:  # fmt: skip
        """Answer with our edition, if the device has told its own: one that has not may choke on the header."""
        if request.headers.get(edition.HEADER) is not None:
            fields = (*fields, edition.header(self._config.edition))
        if status == 200:
            self._answer(key, request, status, reason, now, *fields)
        else:
            self._turn_away(key, request, status, reason, *fields)

    def _authenticate(
        self, key: TransactionKey, request: Request, source: Address, binding: _Binding, expires: int, now: float
    ) -> None:
        device, given = binding.known.id, request.headers.get("authorization")
        verdict = Verdict.STALE
        if given is not None:
            verdict = self._authenticator.check(
                given,
                username=device,
                password=binding.known.password,
                method="REGISTER",
                source=source.host,
                now=now,
            )
        if verdict is Verdict.GOOD:
            binding.tries.right()
            binding.edition = min(edition.of(request.headers), self._config.edition)
            self._answer_register(key, request, 200, "OK", now, ("Contact", request.headers.get("contact") or ""),
                         ("Expires", str(expires)))  # fmt: skip
            self._bind(binding, source, expires, now)
            return
        if verdict in (Verdict.WRONG, Verdict.MALFORMED):
            self._refuse(str(verdict), source, device)
            if binding.tries.wrong(now):
                self._answer_register(key, request, 403, "Forbidden", now)
                return
        # Of a wrong answer it would say that the password is right, and ask for the same one again (RFC 2617 3.2.1).
        stale = given is not None and verdict is Verdict.STALE
        challenge = self._authenticator.challenge(source.host, now, stale=stale)
        self._answer_register(key, request, 401, "Unauthorized", now, ("WWW-Authenticate", challenge))

    def _bind(self, binding: _Binding, source: Address, expires: int, now: float) -> None:
        if expires == 0:
            self._lose(binding, "unregistered", now)
            return
        fresh = binding.address is None
        if binding.address is not None and binding.address != source:
            self._legs.move(source)
        binding.address, binding.expires_at, binding.seen_at = source, now + expires, now
        if fresh:
            self._tell(DeviceOnline(binding.known.id))
            self.query_catalog(binding.known.id, now)
            self._begin_watching(binding, now)

    def _begin_watching(self, binding: _Binding, now: float) -> None:
        """Subscribe to what is wanted. Some vendors report no alarm until they are told to guard (9.3.1)."""
        device = binding.known.id
        for kind in binding.known.wants:
            self.watch(device, kind, now)
        if "Alarm" in binding.known.wants:
            self.ask(device, lambda sn: GuardControl(sn, device, "SetGuard"), now)

    def watch(self, device: str, kind: str, now: float) -> None:
        """Subscribe to what a device that is online reports of a kind (``WANTS``)."""
        binding = self._bindings[device]
        queries: dict[str, Callable[[], Message]] = {
            "Catalog": lambda: CatalogQuery(self._next_sn(), device),
            "Alarm": lambda: AlarmQuery(self._next_sn(), device, 0, 0, "0"),
            "MobilePosition": lambda: PositionQuery(self._next_sn(), device, POSITION_SECONDS),
        }
        if binding.address is not None:
            self._watches.watch(device, kind, queries[kind], binding.address, now, binding.edition)

    def _lose(self, binding: _Binding, cause: str, now: float) -> None:
        if binding.address is None:
            return
        for name in self._legs.names(binding.address.host):
            self._legs.hang_up(name, now)
        binding.address = binding.collector = binding.query_at = None
        self._watches.forget(binding.known.id)
        self._tell(DeviceOffline(binding.known.id, cause))

    # -- what devices say ----------------------------------------------------------------------------------------

    def _known(self, request: Request, source: Address) -> str | None:
        """A request is a device's if it comes from where the device registered; dialogs are matched further in."""
        for device, binding in self._bindings.items():
            if binding.address == source:
                user = request.from_.uri.user
                # In a call From names the channel; in a MESSAGE of its own it must be the device itself.
                of_call = request.method != "MESSAGE" or (request.to.tag is not None and self._legs.knows(request))
                return device if of_call or user == device else None
        return None

    def _on_message(self, peer: str, body: Message, request: Request, now: float) -> None:
        binding = self._bindings[peer]
        binding.seen_at = now
        if isinstance(body, Keepalive):
            self._tell(ChannelsFaulty(peer, body.faulty))
        elif isinstance(body, CatalogResponse):
            self._page(binding, body, now)
        elif isinstance(body, CatalogNotify):
            self._changes(peer, body)
        elif isinstance(body, AlarmNotify):
            self._on_alarm(binding, body, request, now)
        elif isinstance(body, PositionNotify):
            place = Position(
                body.device_id, body.time, body.longitude, body.latitude, body.speed, body.direction, body.altitude
            )
            self._tell(PositionReceived(peer, place))
        elif isinstance(body, PositionsNotify):
            for position in body.positions:
                self._tell(PositionReceived(peer, position))
        elif isinstance(body, MediaStatus):
            self._on_media_status(binding, body, request)
        else:
            self._on_answer(binding, body)

    def _on_answer(self, binding: _Binding, body: Message) -> None:
        """An answer counts if we asked for it (its SN is ours)."""
        if body.sn not in binding.asked:
            self._own["answer_unasked"] += 1
        elif isinstance(body, DeviceInfoResponse):
            self._tell(DeviceInfoReceived(binding.known.id, body))
        elif isinstance(body, DeviceStatusResponse):
            self._tell(DeviceStatusReceived(binding.known.id, body))
        elif isinstance(body, RecordInfoResponse | PresetResponse | ControlResponse | BroadcastResponse):
            self._tell(Answered(binding.known.id, body.sn, body))

    def _on_alarm(self, binding: _Binding, body: AlarmNotify, request: Request, now: float) -> None:
        self._tell(AlarmReceived(binding.known.id, body))
        if request.method == "MESSAGE" and binding.address is not None:
            # A subscriber's 200 is enough; an alarm that came as a message waits for a message (2016 9.4.2).
            answer = AlarmResponse(body.sn, body.device_id)
            self._send_message(binding.known.id, binding.address, answer, now, binding.edition)

    def _on_media_status(self, binding: _Binding, body: MediaStatus, request: Request) -> None:
        address = binding.address
        call = self._legs.find(request.call_id, body.device_id, address) if address is not None else None
        if call is not None and body.notify_type == END_OF_FILE:
            self._tell(MediaEnded(call))
        else:
            self._own["media_status_unknown"] += 1

    def _changes(self, peer: str, notice: CatalogNotify) -> None:
        whole = []
        for change in notice.items:
            if change.event in ("ADD", "UPDATE"):
                whole.append(_entry(change))
            elif change.event != "DEL":  # what is deleted there is the owner's to take out of his list here
                self._tell(ChannelChanged(peer, change.device_id, change.event == "ON"))
        if whole:
            self._tell(CatalogReceived(peer, tuple(whole), False))

    def _on_empty_notify(self, peer: str, request: Request, now: float) -> None:
        if (request.headers.get("subscription-state") or "").lower().startswith("terminated"):
            self._watches.ended(request.call_id, now)

    def _page(self, binding: _Binding, page: CatalogResponse, now: float) -> None:
        collector = binding.collector
        if collector is not None and collector.take(page, now):
            if collector.complete:
                self._publish(binding, now)
        elif page.items and (len(page.items) == 1 or page.sn == binding.collected):
            # Some recorders report a changed channel as an unasked catalog of one item; others are late with a page.
            self._tell(CatalogReceived(binding.known.id, entries(page), False))
        else:
            self._own["catalog_unasked"] += 1

    def _publish(self, binding: _Binding, now: float) -> None:
        collector, binding.collector = binding.collector, None
        if collector is None:
            return
        binding.collected = collector.sn
        if collector.total is None:
            binding.query_at = now + CATALOG_SILENT_SECONDS
            self._own["catalog_silent"] += 1
        else:
            self._tell(CatalogReceived(binding.known.id, tuple(collector.items.values()), collector.complete))

    def _on_final(self, key: TransactionKey, response: Response | None, now: float) -> None:
        if response is None:
            self._own["no_answer"] += 1
        asked = self._asks.pop(key, None)
        if asked is None:
            self._watches.on_final(key, response, now)
            return
        device, sn, done_by_200 = asked
        status = response.status if response is not None else 408
        if status >= 300:
            self._bindings[device].asked.discard(sn)
            self._tell(AskRefused(device, sn, status))
        elif done_by_200:
            self._tell(ControlSent(device, sn))

    # -- time ----------------------------------------------------------------------------------------------------

    def _deadline(self, binding: _Binding) -> float:
        return min(binding.expires_at, binding.seen_at + KEEPALIVE_MISSES * self._config.keepalive_seconds)

    def _own_timer(self) -> float | None:
        times: list[float] = []
        for binding in self._bindings.values():
            if binding.address is not None:
                times.append(self._deadline(binding))
                if binding.collector is not None:
                    times.append(binding.collector.last_at + 5.5)
                if binding.query_at is not None:
                    times.append(binding.query_at)
        watching = self._watches.timer()
        return min([*times, *([watching] if watching is not None else [])], default=None)

    def _where(self, device: str) -> tuple[Address, int] | None:
        binding = self._bindings[device]
        return (binding.address, binding.edition) if binding.address is not None else None

    def _on_timer(self, now: float) -> None:
        self._watches.handle_timer(now, self._where)
        for binding in self._bindings.values():
            if binding.address is None:
                continue
            if self._deadline(binding) <= now:
                self._lose(binding, "keepalive" if binding.expires_at > now else "expired", now)
                continue
            if binding.collector is not None and binding.collector.finished(now):
                self._publish(binding, now)
            if binding.query_at is not None and binding.query_at <= now:
                self.query_catalog(binding.known.id, now)


def _entry(change: Change) -> CatalogEntry:
    """Return the whole item that comes with an ADD or UPDATE."""
    return CatalogEntry(
        change.device_id,
        name=change.name,
        manufacturer=change.manufacturer,
        model=change.model,
        parental=change.parental or 0,
        parent_id=change.parent_id,
        status=change.status or "ON",
        ptz_type=change.ptz_type,
    )


def _proof(known: KnownDevice) -> str:
    """What a registration rested on, not to be read from a file: with another password it is worth nothing."""
    return hashlib.sha256(f"{known.id}:{known.password}".encode()).hexdigest()
