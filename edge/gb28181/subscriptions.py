"""Who has subscribed to our changes, and telling them (RFC 6665; GB/T 28181-2016 9.11, annex P).

What a subscription is to is decided by its body: the Event header says Catalog for positions and presence for alarms,
depending on who wrote it. It is kept as it came and echoed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.gb28181.kept import MAX_KEPT, NotKept, dialog_facts, dialog_of
from edge.manscdp.catalog import CatalogQuery
from edge.manscdp.device import PositionQuery
from edge.manscdp.events import AlarmQuery
from edge.manscdp.messages import Message, encode
from edge.sip.address import Address
from edge.sip.chance import Chance
from edge.sip.dialog import Dialog
from edge.sip.endpoint import Endpoint, TransactionKey
from edge.sip.errors import RemoteSipError
from edge.sip.message import Request, Response
from edge.sip.uri import NameAddr, SipUri

DEFAULT_SECONDS, MAX_SECONDS = 600, 86_400
#: 2016 A.2.4.9.
DEFAULT_INTERVAL_SECONDS = 5
MAX_SUBSCRIPTIONS = 64
#: So many notices of the catalog's changes are on their way to a subscriber at once, and so many more wait: when a whole
#: site comes back, forty follow one another. Beyond that he does not answer any, and has to ask for the catalog.
MOST_FLYING, MAX_WAITING = 4, 256
MANSCDP_TYPE = "Application/MANSCDP+xml"
_EVENT = re.compile(r"[A-Za-z0-9\-.]{1,32}(?:\s*;\s*id\s*=\s*[A-Za-z0-9\-.]{1,32})?", re.ASCII)
_KINDS: dict[type[Any], str] = {CatalogQuery: "Catalog", AlarmQuery: "Alarm", PositionQuery: "MobilePosition"}


@dataclass(slots=True)
class _Subscription:
    kind: str
    about: str
    event: str
    dialog: Dialog
    peer: Address
    expires_at: float
    interval: float = 0.0
    told_at: dict[str, float] = field(default_factory=dict)
    waiting: deque[Message] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))


@dataclass(slots=True)
class Subscriptions:
    """All subscriptions to one device, by Call-ID."""

    endpoint: Endpoint
    chance: Chance
    contact: str
    edition: int = 2016
    charset: str | None = None
    _all: dict[str, _Subscription] = field(default_factory=dict)
    _sent: dict[TransactionKey, str] = field(default_factory=dict)

    def take(self, request: Request, body: Message, source: Address, now: float) -> tuple[int, str, str, int]:
        """Begin, refresh or end a subscription; return status, reason, the To tag and the seconds it stands."""
        kind, event = _KINDS.get(type(body)), request.headers.get("event") or "presence"
        if kind is None or not _EVENT.fullmatch(event):
            return 489, "Bad Event", self.chance.token(64), 0
        given = request.number("expires")
        seconds = min(DEFAULT_SECONDS if given is None else given, MAX_SECONDS)
        known = self._all.get(request.call_id)
        if known is None and request.to.tag is not None and seconds:
            return 481, "Subscription Does Not Exist", self.chance.token(64), 0
        if known is None and len(self._all) >= MAX_SUBSCRIPTIONS:
            return 503, "Too Many Subscriptions", self.chance.token(64), 0
        if known is None:
            known = self._begin(kind, event, request, body, source)
        known.expires_at, known.peer = now + seconds, source
        known.dialog.remote_cseq = max(known.dialog.remote_cseq, request.cseq.number)
        if not seconds:
            self._all.pop(request.call_id, None)
        return 200, "OK", known.dialog.local.tag or "", seconds

    def _begin(self, kind: str, event: str, request: Request, body: Message, source: Address) -> _Subscription:
        local, remote = NameAddr(request.to.uri, self.chance.token(64)), request.from_
        target = SipUri(remote.uri.user, source.host, source.port)
        dialog = Dialog(request.call_id, local, remote, target, 0, request.cseq.number)
        interval = 0.0
        if isinstance(body, PositionQuery):
            interval = float(body.interval or DEFAULT_INTERVAL_SECONDS)
        made = _Subscription(kind, body.device_id, event, dialog, source, 0.0, interval)
        self._all[request.call_id] = made
        return made

    def wanted(self, kind: str) -> bool:
        """Return whether anybody has subscribed to that."""
        return any(each.kind == kind for each in self._all.values())

    def notify(self, kind: str, body: Message, now: float) -> None:
        """Tell everybody who has subscribed to ``kind``; positions no more often than each wants them."""
        for call_id, each in self._all.items():
            if each.kind != kind:
                continue
            if each.interval and now - each.told_at.get(body.device_id, -each.interval) < each.interval - 0.5:
                continue
            each.told_at[body.device_id] = now
            if kind == "Catalog":
                each.waiting.append(body)
                self._go_on(call_id, now)
            else:
                self._send(call_id, body, now)

    def _go_on(self, call_id: str, now: float) -> None:
        waiting = self._all[call_id].waiting
        while waiting and list(self._sent.values()).count(call_id) < MOST_FLYING:
            self._send(call_id, waiting.popleft(), now)

    def _send(self, call_id: str, body: Message, now: float) -> None:
        each = self._all[call_id]
        request = each.dialog.request(
            "NOTIFY",
            ("Contact", self.contact),
            ("Event", each.event),
            ("Subscription-State", f"active;expires={max(0, int(each.expires_at - now))}"),
            ("Content-Type", MANSCDP_TYPE),
            body=encode(body, self.edition, self.charset),
        )
        self._sent[self.endpoint.send_request(request, each.peer, now)] = call_id

    def on_final(self, key: TransactionKey, response: Response | None, now: float) -> bool:
        """Take the answer to a NOTIFY; a subscriber who knows nothing of it has none (RFC 6665 4.2.2)."""
        call_id = self._sent.pop(key, None)
        if call_id is None:
            return False
        if response is not None and response.status == 481:
            self._all.pop(call_id, None)
        if call_id in self._all:
            self._go_on(call_id, now)
        return True

    def move(self, to: Address) -> None:
        """The subscriber is reached by another connection now; what was on its way by the last one is not answered any more."""
        self._sent.clear()
        for each in self._all.values():
            each.peer = to

    def timer(self) -> float | None:
        return min((each.expires_at for each in self._all.values()), default=None)

    def handle_timer(self, now: float) -> None:
        for call_id, each in list(self._all.items()):
            if each.expires_at <= now:
                del self._all[call_id]
            else:
                self._go_on(call_id, now)

    # -- over a restart ------------------------------------------------------------------------------------------

    def kept(self) -> list[dict[str, Any]]:
        """Return what a restart must not lose: a subscriber who is not told any more takes all as it was."""
        return [
            dialog_facts(each.dialog, each.peer)
            | {
                "kind": each.kind,
                "about": each.about,
                "event": each.event,
                "until": each.expires_at,
                "every": each.interval,
            }
            for each in self._all.values()
        ]

    def adopt(self, kept: Sequence[Mapping[str, Any]]) -> None:
        """Take over what the process before us kept; times are of the same monotonic clock.

        Raises:
            NotKept: one of them is none.
        """
        try:
            for facts in kept[:MAX_KEPT]:
                dialog, peer = dialog_of(facts)
                self._all[dialog.call_id] = _Subscription(
                    str(facts["kind"]), str(facts["about"]), str(facts["event"]), dialog, peer, float(facts["until"]),
                    float(facts["every"]),
                )  # fmt: skip
        except (LookupError, TypeError, ValueError, RemoteSipError) as wrong:
            raise NotKept(str(wrong)) from None
