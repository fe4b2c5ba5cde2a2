"""The accepting role: admits devices, collects their catalogs, invites (GB/T 28181-2016 9.1, 9.2, 9.5, 9.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge.digest.server import Authenticator, Verdict
from edge.gb28181.catalog import Collector
from edge.gb28181.device import KEEPALIVE_MISSES
from edge.gb28181.kept import NotKept
from edge.gb28181.legs import Identity
from edge.gb28181.role import Role
from edge.manscdp.messages import (
    CatalogEntry,
    CatalogQuery,
    CatalogResponse,
    DeviceInfoQuery,
    DeviceInfoResponse,
    DeviceStatusQuery,
    DeviceStatusResponse,
    Keepalive,
    Message,
)
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from edge.sip.chance import Chance
from edge.sip.endpoint import TransactionKey
from edge.sip.errors import RemoteSipError
from edge.sip.message import Request, Response

#: After so many wrong passwords in a row a device hears 403 for a while instead of a new challenge.
MAX_WRONG_PASSWORDS = 3
LOCK_SECONDS = 60.0
MIN_EXPIRES, MAX_EXPIRES = 60, 604_800
CATALOG_AGAIN_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device that may register: its id, password and the addresses it may come from."""

    id: str
    password: str
    addresses: frozenset[str]
    port: int = 5060

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


@dataclass(frozen=True, slots=True)
class DeviceOnline:
    id: str


@dataclass(frozen=True, slots=True)
class DeviceOffline:
    id: str
    cause: str


@dataclass(frozen=True, slots=True)
class CatalogReceived:
    """A device's catalog, or what came of it; unasked single items come as incomplete ones."""

    device: str
    items: tuple[CatalogEntry, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class DeviceInfoReceived:
    device: str
    info: DeviceInfoResponse


@dataclass(frozen=True, slots=True)
class DeviceStatusReceived:
    device: str
    status: DeviceStatusResponse


#: A recorder dials again within a second or two; longer, and the owner should read that it is away.
RECONNECT_SECONDS = 20.0


@dataclass(slots=True)
class _Binding:
    """What is known of one device now."""

    known: KnownDevice
    address: Address | None = None
    expires_at: float = 0.0
    seen_at: float = 0.0
    wrong: int = 0
    locked_until: float = 0.0
    collector: Collector | None = None
    query_at: float | None = None
    asked: set[int] = field(default_factory=set)


class Platform(Role):
    """One platform and the devices it knows."""

    heard = (Keepalive, CatalogResponse, DeviceInfoResponse, DeviceStatusResponse)

    def __init__(self, config: PlatformConfig, chance: Chance) -> None:
        super().__init__(Identity(config.id, config.domain, config.local), chance, config.user_agent)
        self._config = config
        self._bindings = {device.id: _Binding(device) for device in config.devices}
        self._authenticator = Authenticator(config.realm, bytes.fromhex(chance.token(256)))

    # -- what the user asks --------------------------------------------------------------------------------------

    def invite(self, device: str, channel: str, offer: MediaDescription, now: float) -> str | None:
        """Ask a channel of a device for media; return the call's name, or None when the device is not online."""
        address = self._bindings[device].address
        return self._legs.invite(device, channel, offer, address, now) if address is not None else None

    def query_catalog(self, device: str, now: float) -> None:
        """Ask a device that is online for its catalog."""
        binding = self._bindings[device]
        if binding.address is None:
            return
        sn = self._next_sn()
        binding.collector = Collector(sn, now)
        binding.query_at = now + CATALOG_AGAIN_SECONDS
        self._send_message(device, binding.address, CatalogQuery(sn, device), now)

    def query_device_info(self, device: str, now: float) -> None:
        self._query(device, DeviceInfoQuery(self._next_sn(), device), now)

    def query_device_status(self, device: str, target: str, now: float) -> None:
        self._query(device, DeviceStatusQuery(self._next_sn(), target), now)

    def _query(self, device: str, query: DeviceInfoQuery | DeviceStatusQuery, now: float) -> None:
        binding = self._bindings[device]
        if binding.address is not None:
            binding.asked = {*list(binding.asked)[-8:], query.sn}
            self._send_message(device, binding.address, query, now)

    def disconnected(self, peer: Address, now: float) -> None:
        """A connection is gone: who had registered over it has a moment to do so again over another."""
        for binding in self._bindings.values():
            if binding.address == peer:
                binding.expires_at = min(binding.expires_at, now + RECONNECT_SECONDS)

    def kept(self) -> dict[str, Any]:
        """Return what a restart must not lose: who is registered from where until when, and the dialogs."""
        bound = {
            device: [*binding.address, binding.expires_at, _proof(binding.known)]
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
            bound = {d: (str(h), int(p), str(t), float(e), str(s)) for d, (h, p, t, e, s) in kept["bound"].items()}
            legs = dict(kept["legs"])
        except (LookupError, TypeError, ValueError, AttributeError) as wrong:
            raise NotKept(str(wrong)) from None
        for device, (host, port, transport, expires_at, proof) in bound.items():
            binding = self._bindings.get(device)
            known = binding is not None and host in binding.known.addresses and proof == _proof(binding.known)
            # A connection is gone with the process that held it: its device registers again over a new one.
            if binding is not None and known and now < expires_at and transport == "udp":
                # While we were dead nobody could hear it: it has its full time again.
                binding.address, binding.expires_at, binding.seen_at = Address(host, port), expires_at, now
                self._tell(DeviceOnline(device))
                self.query_catalog(device, now)
        self._legs.adopt(legs)

    # -- registration --------------------------------------------------------------------------------------------

    def _on_register(self, key: TransactionKey, request: Request, source: Address, now: float) -> None:
        device = request.from_.uri.user
        binding = self._bindings.get(device)
        try:
            expires = self._expires(request)
        except RemoteSipError as wrong:
            self._refuse(wrong.rule, source, device)
            self._answer(key, request, 400, "Bad Request", now)
            return
        if binding is None or request.to.uri.user != device:
            self._refuse("unknown_device", source, device)
            self._answer(key, request, 403, "Forbidden", now)
        elif source.host not in binding.known.addresses:
            self._refuse("unknown_address", source, device)
            self._answer(key, request, 403, "Forbidden", now)
        elif now < binding.locked_until:
            self._answer(key, request, 403, "Forbidden", now)
        else:
            self._authenticate(key, request, source, binding, expires, now)

    def _expires(self, request: Request) -> int:
        contact = request.headers.get("contact") or ""
        given = request.number("expires")
        if given is None and "expires=" in contact.lower():
            given = int(contact.lower().partition("expires=")[2].partition(";")[0].strip(" >") or 0)
        given = 3600 if given is None else given
        return 0 if given == 0 else min(max(given, MIN_EXPIRES), MAX_EXPIRES)

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
            binding.wrong = 0
            self._answer(key, request, 200, "OK", now, ("Contact", request.headers.get("contact") or ""),
                         ("Expires", str(expires)))  # fmt: skip
            self._bind(binding, source, expires, now)
            return
        if verdict in (Verdict.WRONG, Verdict.MALFORMED):
            self._refuse(str(verdict), source, device)
            binding.wrong += 1
            if binding.wrong >= MAX_WRONG_PASSWORDS:
                binding.wrong, binding.locked_until = 0, now + LOCK_SECONDS
                self._answer(key, request, 403, "Forbidden", now)
                return
        # Of a wrong answer it would say that the password is right, and ask for the same one again (RFC 2617 3.2.1).
        stale = given is not None and verdict is Verdict.STALE
        challenge = self._authenticator.challenge(source.host, now, stale=stale)
        self._answer(key, request, 401, "Unauthorized", now, ("WWW-Authenticate", challenge))

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

    def _lose(self, binding: _Binding, cause: str, now: float) -> None:
        if binding.address is None:
            return
        for name in self._legs.names(binding.address.host):
            self._legs.hang_up(name, now)
        binding.address = binding.collector = binding.query_at = None
        self._tell(DeviceOffline(binding.known.id, cause))

    # -- what devices say ----------------------------------------------------------------------------------------

    def _known(self, request: Request, source: Address) -> str | None:
        """A request is a device's if it comes from where the device registered; dialogs are matched further in."""
        for device, binding in self._bindings.items():
            if binding.address == source:
                user = request.from_.uri.user
                # In a call From names the channel; in a MESSAGE it must be the device itself.
                return device if request.method != "MESSAGE" or user == device else None
        return None

    def _on_message(self, peer: str, body: Message, now: float) -> None:
        binding = self._bindings[peer]
        binding.seen_at = now
        if isinstance(body, Keepalive):
            return
        if isinstance(body, CatalogResponse):
            self._page(binding, body, now)
        elif isinstance(body, DeviceInfoResponse) and body.sn in binding.asked:
            self._tell(DeviceInfoReceived(peer, body))
        elif isinstance(body, DeviceStatusResponse) and body.sn in binding.asked:
            self._tell(DeviceStatusReceived(peer, body))
        else:
            self._own["message_unexpected"] += 1

    def _page(self, binding: _Binding, page: CatalogResponse, now: float) -> None:
        collector = binding.collector
        if collector is not None and collector.take(page, now):
            if collector.complete:
                self._publish(binding)
        elif len(page.items) == 1:
            # Some recorders report a changed channel as an unasked catalog of one item.
            self._tell(CatalogReceived(binding.known.id, page.items, False))
        else:
            self._own["catalog_unasked"] += 1

    def _publish(self, binding: _Binding) -> None:
        collector, binding.collector = binding.collector, None
        if collector is not None:
            self._tell(CatalogReceived(binding.known.id, tuple(collector.items.values()), collector.complete))

    def _on_final(self, key: TransactionKey, response: Response | None, now: float) -> None:
        if response is None:
            self._own["no_answer"] += 1

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
        return min(times, default=None)

    def _on_timer(self, now: float) -> None:
        for binding in self._bindings.values():
            if binding.address is None:
                continue
            if self._deadline(binding) <= now:
                self._lose(binding, "keepalive" if binding.expires_at > now else "expired", now)
                continue
            if binding.collector is not None and binding.collector.finished(now):
                self._publish(binding)
            if binding.query_at is not None and binding.query_at <= now:
                self.query_catalog(binding.known.id, now)


def _proof(known: KnownDevice) -> str:
    """What a registration rested on, not to be read from a file: with another password it is worth nothing."""
    return hashlib.sha256(f"{known.id}:{known.password}".encode()).hexdigest()
