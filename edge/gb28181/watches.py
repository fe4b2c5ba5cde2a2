"""Our subscriptions at the devices: alarms, positions, catalog changes (RFC 6665; GB/T 28181-2016 9.11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edge.gb28181.legs import Identity
from edge.manscdp.messages import Message, encode
from edge.sip.address import Address
from edge.sip.chance import Chance
from edge.sip.dialog import Dialog
from edge.sip.endpoint import Endpoint, TransactionKey
from edge.sip.errors import RemoteSipError
from edge.sip.message import Response
from edge.sip.uri import NameAddr, SipUri

EXPIRES_SECONDS = 3600
#: A device that does not know subscriptions is asked again this seldom: its firmware may have been renewed.
AGAIN_SECONDS = 3600.0
MANSCDP_TYPE = "Application/MANSCDP+xml"
MAX_WATCHES = 512


@dataclass(slots=True)
class _Watch:
    device: str
    query: Callable[[], Message]
    event: str
    dialog: Dialog | None = None
    due: float = 0.0
    key: TransactionKey | None = None


@dataclass(slots=True)
class Watches:
    """One subscription a device and kind of query."""

    endpoint: Endpoint
    chance: Chance
    identity: Identity
    _all: dict[tuple[str, str], _Watch] = field(default_factory=dict)

    def watch(
        self, device: str, kind: str, query: Callable[[], Message], to: Address, now: float, edition: int
    ) -> None:
        """Subscribe to what ``query`` asks for, and go on doing so until ``forget``."""
        if len(self._all) >= MAX_WATCHES or (device, kind) in self._all:
            return
        event = f"Catalog;id={1 + self.chance.number(99999)}" if kind == "Catalog" else "presence"
        watch = self._all[device, kind] = _Watch(device, query, event)
        self._subscribe(watch, to, now, edition)

    def _subscribe(self, watch: _Watch, to: Address, now: float, edition: int) -> None:
        body = watch.query()
        if watch.dialog is None:
            local = self.identity.name_addr(self.chance.token(64))
            remote = NameAddr(SipUri(body.device_id, self.identity.domain))
            watch.dialog = Dialog(self.chance.token(128), local, remote, SipUri(body.device_id, to.host, to.port))
        request = watch.dialog.request(
            "SUBSCRIBE",
            ("Contact", self.identity.contact(to.transport)),
            ("Event", watch.event),
            ("Expires", str(EXPIRES_SECONDS)),
            ("Content-Type", MANSCDP_TYPE),
            body=encode(body, edition),
        )
        watch.due = now + EXPIRES_SECONDS * 0.8
        watch.key = self.endpoint.send_request(request, to, now)

    def on_final(self, key: TransactionKey, response: Response | None, now: float) -> bool:
        """Take the answer to a SUBSCRIBE; False when it is to none of ours."""
        watch = next((each for each in self._all.values() if each.key == key), None)
        if watch is None:
            return False
        watch.key = None
        if response is not None and 200 <= response.status < 300 and watch.dialog is not None:
            watch.dialog.remote = response.to
            try:
                seconds = response.number("expires") or EXPIRES_SECONDS
            except RemoteSipError:
                seconds = EXPIRES_SECONDS
            watch.due = now + max(30.0, min(seconds, EXPIRES_SECONDS) * 0.8)
        else:
            watch.dialog = None
            lost = response is None or response.status == 481
            watch.due = now + (60.0 if lost else AGAIN_SECONDS)
        return True

    def ended(self, call_id: str, now: float) -> None:
        """The device ended a subscription by itself: it is asked for anew."""
        for watch in self._all.values():
            if watch.dialog is not None and watch.dialog.call_id == call_id:
                watch.dialog, watch.due = None, now + 60.0

    def forget(self, device: str) -> None:
        """The device is away; when it registers again it is asked anew."""
        for key in [key for key in self._all if key[0] == device]:
            del self._all[key]

    def timer(self) -> float | None:
        return min((each.due for each in self._all.values()), default=None)

    def handle_timer(self, now: float, reach: Callable[[str], tuple[Address, int] | None]) -> None:
        """Refresh what is due; ``reach`` says where a device is and what edition it speaks."""
        for watch in list(self._all.values()):
            if watch.due <= now and watch.key is None:
                where = reach(watch.device)
                watch.due = now + 60.0
                if where is not None:
                    self._subscribe(watch, where[0], now, where[1])
