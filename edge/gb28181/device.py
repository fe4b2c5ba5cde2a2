"""The asking role: registers, keeps alive, shows a catalog, is invited (GB/T 28181-2016 9.1, 9.2, 9.5, 9.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge.digest.client import authorization
from edge.digest.fields import RemoteDigestError
from edge.gb28181 import edition
from edge.gb28181.kept import NotKept
from edge.gb28181.legs import Identity
from edge.gb28181.orders import action_of
from edge.gb28181.pager import TCP_BODY_BYTES, UDP_BODY_BYTES, Pager
from edge.gb28181.publisher import Item, Publisher
from edge.gb28181.role import Role
from edge.gb28181.subscriptions import Subscriptions
from edge.manscdp.catalog import CatalogQuery
from edge.manscdp.control import Control
from edge.manscdp.device import (
    ConfigDownloadQuery,
    ConfigDownloadResponse,
    DeviceInfoQuery,
    DeviceInfoResponse,
    DeviceStatusQuery,
    DeviceStatusResponse,
    Keepalive,
    PositionQuery,
    PresetQuery,
)
from edge.manscdp.events import AlarmNotify, AlarmQuery, AlarmResponse, Broadcast, MediaStatus
from edge.manscdp.messages import Message, encode
from edge.manscdp.recordings import RecordInfoQuery
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from edge.sip.chance import Chance
from edge.sip.endpoint import TransactionKey
from edge.sip.errors import RemoteSipError
from edge.sip.message import CSeq, Headers, Request, Response, reply
from edge.sip.uri import NameAddr, SipUri

#: How long calls stand while the server cannot be reached by SIP. Shorter than two tries to register (60 s apart, each
#: known to fail after 32 s), and a platform that restarts takes its viewers' pictures away although media flows.
#: Longer, and a camera whose viewer hung up meanwhile fills the site's uplink for nobody.
UNREACHED_SECONDS = 180.0
#: 9.6.1: offline after three keepalives without an answer.
KEEPALIVE_MISSES = 3
_MOST_ABOUT = 120


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """Who we are and whom we register with. Times in seconds."""

    id: str
    domain: str
    local: Address
    server: Address
    server_id: str
    realm: str
    password: str
    expires_seconds: int = 3600
    keepalive_seconds: int = 60
    #: 9.1.1: not faster than 60 s after a failure.
    retry_seconds: float = 60.0
    user_agent: str = "snowgate"
    name: str = ""
    manufacturer: str = "snowgate"
    model: str = "snowgate"
    #: What we declare, and speak where the platform declares nothing else; and the charset if it wants another.
    edition: int = 2016
    charset: str | None = None
    #: Addresses that the platform may send us to (302); every other one is not followed.
    redirects: frozenset[tuple[str, int]] = frozenset()
    #: Whether the platform's deviations from the standards are refused.
    strict: bool = False

    def __repr__(self) -> str:
        return f"DeviceConfig({self.id} -> {self.server})"


@dataclass(frozen=True, slots=True)
class Registered:
    """The server accepted us."""


@dataclass(frozen=True, slots=True)
class RegistrationLost:
    """The server refused us or does not answer; we go on trying."""

    cause: str


@dataclass(frozen=True, slots=True)
class Redirected:
    """The platform wants us elsewhere (302): from now on that is where it is."""

    server: Address


@dataclass(frozen=True, slots=True)
class OrderReceived:
    """The platform wants something of a channel; ``viewer`` is who, "" when undeclared."""

    body: RecordInfoQuery | PresetQuery | Control | Broadcast
    viewer: str


class Device(Role):
    """One device, registered with one platform."""

    heard = (
        CatalogQuery, DeviceInfoQuery, DeviceStatusQuery, ConfigDownloadQuery, RecordInfoQuery, PresetQuery, Control,
        Broadcast, AlarmQuery, AlarmResponse, PositionQuery,
    )  # fmt: skip
    methods = ("INVITE", "ACK", "CANCEL", "BYE", "INFO", "MESSAGE", "OPTIONS", "SUBSCRIBE")

    def __init__(self, config: DeviceConfig, chance: Chance) -> None:
        strict = frozenset((config.server_id,)) if config.strict else frozenset()
        super().__init__(Identity(config.id, config.domain, config.local), chance, config.user_agent, strict)
        self._config = config
        self._server = config.server
        #: What the platform speaks, as far as it says so.
        self.edition = config.edition
        #: Says why an order is not taken, by the name of a rule; without it every order that may be known is.
        self.guard: Callable[[Message], str | None] = lambda body: None
        self._registered = False
        self._call_id = chance.token(128)
        self._tag = chance.token(64)
        self._cseq = 0
        self._register_at: float | None = None
        self._keepalive_at: float | None = None
        self._missed = 0
        self._register_key: TransactionKey | None = None
        self._answered_challenge = False
        self._keepalive_key: TransactionKey | None = None
        contact = self._identity.contact(config.server.transport)
        self._subscriptions = Subscriptions(self._endpoint, chance, contact, config.edition, config.charset)
        self._publisher = Publisher(config.id, self._subscriptions)
        self._pager = Pager(self._reply)
        #: Why the registration was lost or refused last, what was said with it, when, and how often it was tried since.
        self._cause, self._about, self._lost_at, self._tries = "", "", 0.0, 0
        #: How often the answer to a challenge was refused since; a platform that locks us out says 403 at once later.
        self._answers_refused = 0
        #: Since when nothing that the server must answer was answered; None while it answers.
        self.unanswered_since: float | None = None
        #: When the calls end, while the server is not reached.
        self._give_up_at: float | None = None

    # -- what the user asks --------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin to register, and keep at it for ever."""
        self._register(now, None)

    def set_catalog(self, items: Sequence[Item], now: float) -> None:
        """Say which channels there are, and how they are."""
        self._publisher.set(items, now)

    def answer(self, body: Message, now: float) -> None:
        """Answer an order."""
        self._pager.put((body,), now)

    def answer_pages(self, pages: Iterable[Message | None], now: float) -> None:
        """Answer an order, page by page; None is a page that is not there yet: ``wake`` when it is."""
        self._pager.put(pages, now)

    def wake(self, now: float) -> None:
        """A page that was not there may be now."""
        self._pager.wake(now)

    def page_bytes(self) -> int:
        """Return how long a page's body may be."""
        return TCP_BODY_BYTES if self._server.reliable else UDP_BODY_BYTES

    def alarm(self, device_id: str, told: AlarmNotify, now: float) -> None:
        """Report an alarm: to the subscribers, or to a platform that never subscribes as a message (2016 9.4)."""
        body = replace(told, sn=self._next_sn(), device_id=device_id)
        if self._subscriptions.wanted("Alarm"):
            self._subscriptions.notify("Alarm", body, now)
        elif self._registered:
            self._reply(body, now)

    def position(self, body: Message, now: float) -> None:
        """Report where a channel is, to who wants to know."""
        self._subscriptions.notify("MobilePosition", body, now)

    def speaks_later_edition(self) -> bool:
        return self.edition >= edition.LATER

    def next_sn(self) -> int:
        """Return a serial number for a message that answers nothing."""
        return self._next_sn()

    def invite(self, source: str, offer: MediaDescription, now: float) -> str:
        """Ask the platform for the sound of ``source`` (2016 9.12); return the call's name."""
        return self._legs.invite(self._config.server_id, source, offer, self._server, now)

    def answer_playback(self, order: int, status: int, now: float) -> None:
        """Say what came of a playback's control."""
        self._legs.answer_playback(order, status, now)

    def tell_end(self, call: str, channel: str, now: float) -> None:
        """Say within a call that the recording of ``channel`` was sent to its end (2016 9.8.2)."""
        body = encode(MediaStatus(self._next_sn(), channel), self.edition, self._config.charset)
        self._legs.notify(call, body, now)

    def reconnected(self, now: float) -> None:
        """The connection to the server is a new one: it knows us again when we have registered over it."""
        self._missed, self._keepalive_key = 0, None
        self._subscriptions.move(self._server)
        self._register(now, None)

    def disconnected(self, now: float) -> None:
        """The connection to the server is gone; calls stand, and go on over the next one."""
        self._register_at = self._register_key = None
        self._await(now)
        # What was on its way is lost; whoever asked for a catalog asks again.
        self._pager.clear()
        if self._registered or not self._cause:
            self._note("connection", now)
        if self._registered:
            self._registered, self._keepalive_at = False, None
            self._unreached(now)
            self._tell(RegistrationLost("connection"))

    def not_reached(self, why: str, now: float) -> None:
        """No connection to the server could be had: refused, silent or no_road."""
        self._tries += 1
        self._await(now)
        self._note(f"dial_{why}", now)

    def _await(self, now: float) -> None:
        if self.unanswered_since is None:
            self.unanswered_since = now

    def _note(self, cause: str, now: float, about: str = "") -> None:
        self._cause, self._about, self._lost_at = cause, about[:_MOST_ABOUT], now

    def facts(self) -> dict[str, str | int | float | bool]:
        """Return how the registration stands: ``cause`` is the last loss or refusal, at ``lost_at`` (monotonic)."""
        server = self._server
        return {
            "registered": self._registered,
            "id": self._config.id,
            "server": f"{server.host}:{server.port}/{server.transport}",
            "cause": self._cause,
            "about": self._about,
            "lost_at": round(self._lost_at, 1),
            "tries": self._tries,
            "answers_refused": self._answers_refused,
            "missed": self._missed,
        }

    def kept(self) -> dict[str, Any]:
        """Return what a restart must not lose: the dialogs. Registration is simply done again."""
        return {"legs": self._legs.kept(), "subscriptions": self._subscriptions.kept()}

    def follow(self, before: Device) -> None:
        """Go on where the role left off that spoke from another of our addresses: its calls ended, its subscribers did not."""
        self._subscriptions.adopt(before._subscriptions.kept())
        self._own, self.deviations = before._own, before.deviations
        self._sn = before._sn

    def adopt(self, kept: Mapping[str, Any]) -> None:
        """Take over what the process before us kept.

        Raises:
            NotKept: it is something else.
        """
        try:
            legs, subscriptions = dict(kept["legs"]), list(kept["subscriptions"])
        except (LookupError, TypeError, ValueError) as wrong:
            raise NotKept(str(wrong)) from None
        self._legs.adopt(legs)
        self._subscriptions.adopt(subscriptions)

    # -- registration --------------------------------------------------------------------------------------------

    def _register(self, now: float, challenge: Response | None) -> None:
        self._cseq += 1
        self._tries += challenge is None
        server = self._server
        uri = SipUri(self._config.server_id, server.host, server.port)
        me = NameAddr(SipUri(self._config.id, self._config.domain), self._tag)
        fields = [
            ("From", str(me)),
            ("To", str(NameAddr(me.uri))),
            ("Call-ID", self._call_id),
            ("CSeq", str(CSeq(self._cseq, "REGISTER"))),
            ("Contact", self._identity.contact(server.transport)),
            ("Expires", str(self._config.expires_seconds)),
        ]
        if self._config.edition >= edition.LATER:
            fields.append(edition.header(self._config.edition))
        if challenge is not None:
            fields.append(("Authorization", self._authorization(challenge, str(uri))))
        self._answered_challenge = challenge is not None
        self._register_at = None
        self._await(now)
        request = Request(Headers(tuple(fields)), method="REGISTER", uri=uri)
        self._register_key = self._endpoint.send_request(request, server, now)

    def _authorization(self, challenge: Response, uri: str) -> str:
        return authorization(
            challenge.headers.get("www-authenticate") or "",
            realm=self._config.realm,
            username=self._config.id,
            password=self._config.password,
            method="REGISTER",
            uri=uri,
            cnonce=lambda: self._chance.token(64),
        )

    def _on_register_answer(self, response: Response | None, now: float) -> None:
        self._register_key = None
        if response is None:
            self._lose("no_answer", now)
        elif response.status == 401 and not self._answered_challenge:
            try:
                self._register(now, response)
            except RemoteDigestError as wrong:
                self._own[wrong.rule] += 1
                self._lose(wrong.rule, now, response.headers.get("www-authenticate") or "")
        elif 200 <= response.status < 300:
            self._hold(response, now)
        elif response.status == 302 and self._follow(response, now):
            return
        else:
            self._answers_refused += self._answered_challenge and response.status in (401, 403)
            self._lose(f"status_{response.status}", now, response.reason)

    def _follow(self, response: Response, now: float) -> bool:
        """Go where the platform sends us (2022 9.1.2.3), if our configuration knows that place."""
        try:
            uri = NameAddr.parse(response.headers.get("contact") or "").uri
        except RemoteSipError:
            return False
        server = Address(uri.host, uri.port or 5060, self._config.server.transport)
        if (server.host, server.port) not in self._config.redirects or self._server != self._config.server:
            self._own["redirect_foreign"] += 1
            return False
        self._server = server
        self._tell(Redirected(self._server))
        if not self._server.reliable:
            self._register(now, None)
        return True

    def _hold(self, response: Response, now: float) -> None:
        if response.headers.get(edition.HEADER) is not None:
            self.edition = min(self._config.edition, edition.of(response.headers))
            self._subscriptions.edition = self.edition
        try:
            expires = response.number("expires") or self._config.expires_seconds
        except RemoteSipError:
            expires = self._config.expires_seconds
        self._register_at = now + max(1.0, min(expires, self._config.expires_seconds) * 0.8)
        self._tries = self._answers_refused = 0
        if not self._registered:
            self._registered, self._missed = True, 0
            # The first one at any moment of the interval: of a thousand boxes that a platform's restart has made register
            # in one second, each would else find the next restart out in one second, too.
            self._keepalive_at = now + self._config.keepalive_seconds * (1 + self._chance.number(1000)) / 1000
            self._give_up_at = None
            self._legs.ask(now)
            self._tell(Registered())

    def _lose(self, cause: str, now: float, about: str = "") -> None:
        self._note(cause, now, about)
        self._registered, self._keepalive_at = False, None
        self._unreached(now)
        if self._server != self._config.server:
            # Who was sent elsewhere and is not taken there goes back to who sent him.
            self._server = self._config.server
            self._tell(Redirected(self._server))
        self._register_at = now + self._config.retry_seconds * (1 + self._chance.number(1000) / 4000)
        self._tell(RegistrationLost(cause))

    def _unreached(self, now: float) -> None:
        if self._give_up_at is None:
            self._give_up_at = now + UNREACHED_SECONDS

    # -- keepalive -----------------------------------------------------------------------------------------------

    def _send_keepalive(self, now: float) -> None:
        self._keepalive_at = now + self._config.keepalive_seconds
        if self._keepalive_key is not None:
            self._miss(now)
            if not self._registered:
                return
        self._await(now)
        body = Keepalive(self._next_sn(), self._config.id, faulty=self._publisher.faulty())
        self._keepalive_key = self._reply(body, now)

    def _miss(self, now: float) -> None:
        self._keepalive_key = None
        self._missed += 1
        if self._missed >= KEEPALIVE_MISSES:
            self._missed = 0
            self._lose("keepalive", now)
            self._register(now, None)

    def _on_final(self, key: TransactionKey, response: Response | None, now: float) -> None:
        good = response is not None and 200 <= response.status < 300
        if response is not None and key in (self._register_key, self._keepalive_key):
            self.unanswered_since = None
        if key == self._register_key:
            self._on_register_answer(response, now)
        elif key == self._keepalive_key:
            self._keepalive_key = None
            if good:
                self._missed = 0
            elif response is not None and 400 <= response.status < 500:
                # A platform that restarted has forgotten us and says so: there is no use in asking twice more.
                self._missed = 0
                self._lose(f"keepalive_{response.status}", now)
                self._register(now, None)
            else:
                self._miss(now)
        elif not self._pager.on_final(key, good, now):
            self._subscriptions.on_final(key, response, now)

    def _own_timer(self) -> float | None:
        times = (
            self._register_at, self._keepalive_at, self._give_up_at, self._publisher.timer(), self._subscriptions.timer(),
        )  # fmt: skip
        return min((at for at in times if at is not None), default=None)

    def _on_timer(self, now: float) -> None:
        if self._register_at is not None and self._register_at <= now:
            self._register(now, None)
        if self._keepalive_at is not None and self._keepalive_at <= now:
            self._send_keepalive(now)
        if self._give_up_at is not None and self._give_up_at <= now:
            self._give_up_at = None
            self._legs.lose(now)
        self._subscriptions.handle_timer(now)
        due = self._publisher.timer()
        told = due is not None and due <= now and self._publisher.handle_timer(self._next_sn(), now)
        if told and self._registered and self._keepalive_key is None:
            # "Immediately on a fault" (9.6.1): a platform that has not subscribed reads it here.
            self._send_keepalive(now)

    # -- what the platform asks ----------------------------------------------------------------------------------

    def _known(self, request: Request, source: Address) -> str | None:
        return self._config.server_id if source == self._server else None

    def _objection(self, peer: str, body: Message, request: Request) -> tuple[int, str] | None:
        common = super()._objection(peer, body, request)
        if common is not None:
            return common
        if request.method == "SUBSCRIBE":
            return None if isinstance(body, CatalogQuery | AlarmQuery | PositionQuery) else (489, "event_unknown")
        if isinstance(body, Control) and action_of(body) is None:
            return 403, "control_denied"
        if isinstance(body, RecordInfoQuery | PresetQuery | Control | Broadcast):
            rule = self.guard(body)
            return (403, rule) if rule is not None else None
        return None

    def _on_message(self, peer: str, body: Message, request: Request, now: float) -> None:
        if isinstance(body, CatalogQuery):
            pages = self._publisher.answer(body, self.page_bytes(), self.edition, self._config.charset)
            self._pager.put(pages, now)
        elif isinstance(body, DeviceInfoQuery):
            self._pager.put((self._info(body),), now)
        elif isinstance(body, DeviceStatusQuery):
            offline = self._publisher.status(body.device_id) == "OFF"
            online = "OFFLINE" if offline else "ONLINE"
            self._pager.put((DeviceStatusResponse(body.sn, body.device_id, online=online, time=None),), now)
        elif isinstance(body, ConfigDownloadQuery):
            self._pager.put((self._settings(body),), now)
        elif isinstance(body, RecordInfoQuery | PresetQuery | Control | Broadcast):
            viewer = request.headers.get("monitor-user-identity") or ""
            self._tell(OrderReceived(body, viewer))

    def _on_subscribe(self, key: TransactionKey, request: Request, body: Message, source: Address, now: float) -> None:
        try:
            status, reason, tag, seconds = self._subscriptions.take(request, body, source, now)
        except RemoteSipError as wrong:
            self._refuse(wrong.rule, source)
            self._answer(key, request, 400, "Bad Request", now)
            return
        fields: tuple[tuple[str, str], ...] = ()
        if status == 200:
            event = request.headers.get("event") or "presence"
            fields = (
                ("Contact", self._identity.contact(source.transport)),
                ("Event", event),
                ("Expires", str(seconds)),
            )
        answer = reply(request, status, reason, to_tag=tag, headers=fields)
        self._endpoint.respond(key, answer, now)
        if status == 200 and seconds and isinstance(body, CatalogQuery):
            self._subscriptions.notify("Catalog", self._publisher.first_notice(self._next_sn()), now)

    def _info(self, query: DeviceInfoQuery) -> DeviceInfoResponse:
        config = self._config
        return DeviceInfoResponse(
            query.sn,
            query.device_id,
            name=config.name,
            manufacturer=config.manufacturer,
            model=config.model,
            channels=self._publisher.count(),
        )

    def _settings(self, query: ConfigDownloadQuery) -> ConfigDownloadResponse:
        """What we are set to ourselves; what a camera is set to is its owner's."""
        config = self._config
        if "BasicParam" not in query.config.split("/") or query.device_id != config.id:
            return ConfigDownloadResponse(query.sn, query.device_id, "ERROR")
        return ConfigDownloadResponse(
            query.sn,
            query.device_id,
            "OK",
            config.name,
            config.expires_seconds,
            config.keepalive_seconds,
            KEEPALIVE_MISSES,
        )

    def _reply(self, body: Message, now: float) -> TransactionKey:
        config = self._config
        return self._send_message(config.server_id, self._server, body, now, self.edition, config.charset)
