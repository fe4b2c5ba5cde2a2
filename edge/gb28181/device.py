"""The asking role: registers, keeps alive, shows a catalog, is invited (GB/T 28181-2016 9.1, 9.2, 9.5, 9.6)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.digest.client import authorization
from edge.digest.fields import RemoteDigestError
from edge.gb28181.kept import NotKept
from edge.gb28181.legs import Identity
from edge.gb28181.role import Role
from edge.manscdp.catalog import CatalogEntry, CatalogQuery, CatalogResponse
from edge.manscdp.device import (
    DeviceInfoQuery,
    DeviceInfoResponse,
    DeviceStatusQuery,
    DeviceStatusResponse,
    Keepalive,
)
from edge.manscdp.messages import Message
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from edge.sip.chance import Chance
from edge.sip.endpoint import TransactionKey
from edge.sip.errors import RemoteSipError
from edge.sip.message import CSeq, Headers, Request, Response
from edge.sip.uri import NameAddr, SipUri

#: 9.6.1: offline after three keepalives without an answer.
#: How long calls stand while the server cannot be reached by SIP. Shorter than two tries to register (60 s apart, each
#: known to fail after 32 s), and a platform that restarts takes its viewers' pictures away although media flows.
#: Longer, and a camera whose viewer hung up meanwhile fills the site's uplink for nobody.
UNREACHED_SECONDS = 180.0
KEEPALIVE_MISSES = 3
#: Two items of a full catalog stay below 1300 bytes of UDP in a 1420-byte tunnel.
ITEMS_PER_PAGE = 2
MAX_WAITING_PAGES = 20_000


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

    def __repr__(self) -> str:
        return f"DeviceConfig({self.id} -> {self.server})"


@dataclass(frozen=True, slots=True)
class Registered:
    """The server accepted us."""


@dataclass(frozen=True, slots=True)
class RegistrationLost:
    """The server refused us or does not answer; we go on trying."""

    cause: str


class Device(Role):
    """One device, registered with one platform."""

    heard = (CatalogQuery, DeviceInfoQuery, DeviceStatusQuery)
    methods = ("INVITE", "ACK", "CANCEL", "BYE", "MESSAGE", "OPTIONS")

    def __init__(self, config: DeviceConfig, chance: Chance) -> None:
        super().__init__(Identity(config.id, config.domain, config.local), chance, config.user_agent)
        self._config = config
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
        self._entries: tuple[CatalogEntry, ...] = ()
        self._pages: deque[CatalogResponse] = deque()
        self._page_key: TransactionKey | None = None
        #: When the calls end, while the server is not reached.
        self._give_up_at: float | None = None

    # -- what the user asks --------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin to register, and keep at it for ever."""
        self._register(now, None)

    def set_catalog(self, entries: Sequence[CatalogEntry]) -> None:
        """Say what a catalog query is answered with."""
        self._entries = tuple(entries)

    def reconnected(self, now: float) -> None:
        """The connection to the server is a new one: it knows us again when we have registered over it."""
        self._missed, self._keepalive_key = 0, None
        self._register(now, None)

    def disconnected(self, now: float) -> None:
        """The connection to the server is gone; calls stand, and go on over the next one."""
        self._register_at = self._register_key = None
        # What was on its way is lost; whoever asked for a catalog asks again.
        self._page_key = None
        self._pages.clear()
        if self._registered:
            self._registered, self._keepalive_at = False, None
            self._unreached(now)
            self._tell(RegistrationLost("connection"))

    def kept(self) -> dict[str, Any]:
        """Return what a restart must not lose: the dialogs. Registration is simply done again."""
        return {"legs": self._legs.kept()}

    def adopt(self, kept: Mapping[str, Any]) -> None:
        """Take over what the process before us kept.

        Raises:
            NotKept: it is something else.
        """
        try:
            legs = dict(kept["legs"])
        except (LookupError, TypeError, ValueError) as wrong:
            raise NotKept(str(wrong)) from None
        self._legs.adopt(legs)

    def accept(self, call: str, answer: MediaDescription, now: float) -> None:
        """Answer an invitation with 200 and our description."""
        self._legs.accept(call, answer, now)

    def refuse(self, call: str, status: int, reason: str, now: float) -> None:
        """Refuse an invitation with a final status of 400 to 699."""
        self._legs.refuse(call, status, reason, now)

    # -- registration --------------------------------------------------------------------------------------------

    def _register(self, now: float, challenge: Response | None) -> None:
        self._cseq += 1
        server = self._config.server
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
        if challenge is not None:
            fields.append(("Authorization", self._authorization(challenge, str(uri))))
        self._answered_challenge = challenge is not None
        self._register_at = None
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
                self._lose(wrong.rule, now)
        elif 200 <= response.status < 300:
            self._hold(response, now)
        else:
            self._lose(f"status_{response.status}", now)

    def _hold(self, response: Response, now: float) -> None:
        try:
            expires = response.number("expires") or self._config.expires_seconds
        except RemoteSipError:
            expires = self._config.expires_seconds
        self._register_at = now + max(1.0, min(expires, self._config.expires_seconds) * 0.8)
        if not self._registered:
            self._registered, self._missed = True, 0
            self._keepalive_at = now + self._config.keepalive_seconds
            self._give_up_at = None
            self._legs.ask(now)
            self._tell(Registered())

    def _lose(self, cause: str, now: float) -> None:
        self._registered, self._keepalive_at = False, None
        self._unreached(now)
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
        body = Keepalive(self._next_sn(), self._config.id)
        self._keepalive_key = self._send_message(self._config.server_id, self._config.server, body, now)

    def _miss(self, now: float) -> None:
        self._keepalive_key = None
        self._missed += 1
        if self._missed >= KEEPALIVE_MISSES:
            self._missed = 0
            self._lose("keepalive", now)
            self._register(now, None)

    def _on_final(self, key: TransactionKey, response: Response | None, now: float) -> None:
        good = response is not None and 200 <= response.status < 300
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
        elif key == self._page_key:
            self._page_key = None
            if not good:
                self._pages.clear()
            self._send_page(now)

    def _own_timer(self) -> float | None:
        times = (self._register_at, self._keepalive_at, self._give_up_at)
        return min((at for at in times if at is not None), default=None)

    def _on_timer(self, now: float) -> None:
        if self._register_at is not None and self._register_at <= now:
            self._register(now, None)
        if self._keepalive_at is not None and self._keepalive_at <= now:
            self._send_keepalive(now)
        if self._give_up_at is not None and self._give_up_at <= now:
            self._give_up_at = None
            self._legs.lose(now)

    # -- what the platform asks ----------------------------------------------------------------------------------

    def _known(self, request: Request, source: Address) -> str | None:
        return self._config.server_id if source == self._config.server else None

    def _on_message(self, peer: str, body: Message, now: float) -> None:
        if isinstance(body, CatalogQuery):
            self._queue_pages(body, now)
        elif isinstance(body, DeviceInfoQuery):
            self._reply(self._info(body), now)
        else:
            assert isinstance(body, DeviceStatusQuery)  # nothing else is heard
            known = {entry.device_id: entry for entry in self._entries}
            entry = known.get(body.device_id)
            online = "OFFLINE" if entry is not None and entry.status == "OFF" else "ONLINE"
            self._reply(DeviceStatusResponse(body.sn, body.device_id, online=online), now)

    def _info(self, query: DeviceInfoQuery) -> DeviceInfoResponse:
        config = self._config
        return DeviceInfoResponse(
            query.sn,
            query.device_id,
            name=config.name,
            manufacturer=config.manufacturer,
            model=config.model,
            channels=len(self._entries),
        )

    def _reply(self, body: Message, now: float) -> None:
        self._send_message(self._config.server_id, self._config.server, body, now)

    def _queue_pages(self, query: CatalogQuery, now: float) -> None:
        """Answer page by page, each after the 200 of the one before (2016 annex N)."""
        chosen = [e for e in self._entries if query.device_id in (self._config.id, e.device_id)]
        starts = range(0, max(1, len(chosen)), ITEMS_PER_PAGE)
        for at in starts:
            if len(self._pages) < MAX_WAITING_PAGES:
                page = tuple(chosen[at : at + ITEMS_PER_PAGE])
                self._pages.append(CatalogResponse(query.sn, query.device_id, len(chosen), page))
        self._send_page(now)

    def _send_page(self, now: float) -> None:
        if self._pages and self._page_key is None:
            page = self._pages.popleft()
            self._page_key = self._send_message(self._config.server_id, self._config.server, page, now)
