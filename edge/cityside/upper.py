"""One platform above the site: its role, its lines, its sockets. It shares nothing with another but the ferry's line."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.cityside.core import (
    CitySide,
    CloseTalkPort,
    Command,
    Dial,
    DialSink,
    DropDial,
    HoldDial,
    OpenSink,
    OpenTalkPort,
    PassDialled,
    PassSink,
    Say,
    SendRecord,
)
from edge.cityside.issued import IssuedIds
from edge.cityside.talks import PassTalk
from edge.gb28181.device import Device, DeviceConfig
from edge.gb28181.kept import NotKept
from edge.io.chance import SystemChance
from edge.io.log import Log
from edge.io.password import password
from edge.io.road import Road
from edge.io.tcp import TcpLines
from edge.io.udp import UdpShell
from edge.records.types import CloseMedia, MediaReports, Record
from edge.sip.address import Address
from netconf.model import Platform, Site

#: The tunnel takes a burst of a key frame without loss.
SEND_BUFFER_BYTES = 1 << 20
#: A city that takes a connection and no octet of it for so long (RFC 5482); shorter cuts off a bad radio link.
UNREAD_MILLISECONDS = 15_000
#: A listener on a bad line answers the third SYN, 7 s after the first.
DIAL_SECONDS = 8.0
#: Two ports side by side, the first an even one: every second port is.
PAIR_TRIES = 16
_USER_AGENT = "snowgate"


class Upper:
    """The shell around one platform's ``core``: sockets, and the clock. All of it is of one tunnel at a time."""

    def __init__(
        self,
        config: Callable[[Road], DeviceConfig],
        core: Callable[[Device, Road], CitySide],
        road: Road,
        send: Callable[[Record, Sequence[int]], None],
        keep: Callable[[], None],
        log: Log,
    ) -> None:
        self._config_of, self._core_of = config, core
        self._send = send
        self._keep = keep
        self._log = log
        self._sinks: dict[int, socket.socket] = {}
        self._ears: dict[int, socket.socket] = {}
        self._dialling: set[asyncio.Future[None]] = set()
        self._talk_ports: dict[int, socket.socket] = {}
        self._make(road)

    def _make(self, road: Road) -> None:
        self._road, self._config = road, self._config_of(road)
        self.device = Device(self._config, SystemChance())
        self.core = self._core_of(self.device, road)
        self._udp = UdpShell(self.device, self._config.local, self._event, road.device)
        self._lines = TcpLines(self._udp.receive, self._connected, self._disconnected, on_unreached=self._unreached)
        self._udp.lines = self._lines

    async def start(self, kept: Mapping[str, Any] | None) -> None:
        """Begin, where the process before us was killed if it left anything.

        Raises:
            OSError: the tunnel's address is not there.
        """
        await self._udp.start()
        if kept is not None:
            self._adopt(kept)
        self._register()

    def _register(self) -> None:
        if self._config.server.transport == "tcp":
            self._lines.dial(self._config.local.host, self._config.server, self._road.device)
        else:
            self.device.start(time.monotonic())
            self._udp.flush()

    async def move(self, road: Road) -> None:
        """Go to another tunnel, or to this one made anew: every call ends, and we register from there at once.

        What is still said by the tunnel that is left (BYE) is lost if it is dead: the platform then learns by the new
        registration, or by our silence, that its calls are over.

        Raises:
            OSError: the tunnel's address is not there.
        """
        self.core.leave("tunnel_switched", time.monotonic())
        self.act()
        core, device = self.core, self.device
        self.close()
        self._make(road)
        self.device.follow(device)
        self.core.follow(core)
        await self._udp.start()
        self._register()
        self.core.publish(time.monotonic())
        self.act()

    def close(self) -> None:
        for dialling in list(self._dialling):
            dialling.cancel()
        for held in (self._sinks, self._ears, self._talk_ports):
            for opened in held.values():
                opened.close()
            held.clear()
        self._lines.close()
        self._udp.close()

    def status(self) -> dict[str, object]:
        """Return what the owner may see of this platform."""
        return self.core.status() | {"tcp": dict(self._lines.counters)}

    def _adopt(self, kept: Mapping[str, Any]) -> None:
        try:
            self.core.adopt(kept)
        except NotKept:
            self._log.say("kept_damaged")
        self._udp.drain()
        self.act()

    def _connected(self) -> None:
        self.device.reconnected(time.monotonic())
        self._udp.drain()

    def _disconnected(self) -> None:
        self.device.disconnected(time.monotonic())
        self._udp.drain()

    def _unreached(self, why: str) -> None:
        self.device.not_reached(why, time.monotonic())

    def _event(self, event: object, now: float) -> None:
        self.core.on_event(event, now)
        self.act()

    def act(self) -> None:
        """Do what the core wants; what a restart must not lose is written down before anything is sent."""
        for command in self.core.commands():
            if isinstance(command, SendRecord):
                self._send(command.record, ())
            elif isinstance(command, OpenSink):
                self.core.on_sink(command.call, self._open_sink(command), time.monotonic())
                self.act()
            elif isinstance(command, PassSink):
                self._pass_sink(command)
            elif isinstance(command, OpenTalkPort):
                self.core.on_talk_port(command.call, self._open_talk_port(command.call), time.monotonic())
                self.act()
            elif isinstance(command, PassTalk):
                self._pass_talk(command)
            elif isinstance(command, CloseTalkPort):
                if (port := self._talk_ports.pop(command.call, None)) is not None:
                    port.close()
            elif isinstance(command, HoldDial | DialSink | PassDialled | DropDial):
                self._dial(command)
            elif isinstance(command, Dial):
                self._lines.redial(command.server)
            elif isinstance(command, Say):
                self._log.say(command.code, command.about)
        self._keep()
        self._udp.flush()

    def _open_sink(self, wanted: OpenSink) -> Address | None:
        """Return the address of a new socket that is connected to the city's media address and to nothing else.

        Where the city hears reports at a port of its own, so has another one, of the next port (RFC 3550 11). A view without
        reports is better than none.
        """
        ends = (wanted.city.host, wanted.city.port), (wanted.city.host, wanted.reports)
        for _ in range(PAIR_TRIES if wanted.reports else 0):
            sink = self._connected_port(0, ends[0])
            if sink is None:
                return None
            port = sink.getsockname()[1]
            ears = None if port % 2 else self._connected_port(port + 1, ends[1])
            if ears is not None:
                self._ears[wanted.call] = ears
                break
            sink.close()
        else:
            sink = self._connected_port(0, ends[0])
            if sink is None:
                return None
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._sinks[wanted.call] = sink
        return Address(*sink.getsockname())

    def _connected_port(self, port: int, city: tuple[str, int]) -> socket.socket | None:
        """Return a new socket of the tunnel's address that is connected to a port of the city."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._road.take(made, port)
            made.connect(city)
        except OSError:
            made.close()
            return None
        made.setblocking(False)
        return made

    def _pass_sink(self, command: PassSink) -> None:
        with self._sinks.pop(command.call) as sink:
            self._send(command.record, (sink.fileno(),))
        ears = self._ears.pop(command.call, None)
        if ears is not None:
            with ears:
                self._send(MediaReports(command.call), (ears.fileno(),))

    def _dial(self, command: Command) -> None:
        if isinstance(command, HoldDial):
            self.core.on_sink(command.call, self._hold_dial(command.call), time.monotonic())
            self.act()
        elif isinstance(command, DialSink) and command.call in self._sinks:
            dialling = asyncio.ensure_future(self._connect(command.call, self._sinks[command.call], command.city))
            self._dialling.add(dialling)
            dialling.add_done_callback(self._dialling.discard)
        elif isinstance(command, PassDialled) and command.call in self._sinks:
            with self._sinks.pop(command.call) as sink:
                self._send(command.record, (sink.fileno(),))
        elif isinstance(command, DropDial) and command.call in self._sinks:
            self._sinks.pop(command.call).close()

    def _hold_dial(self, call: int) -> Address | None:
        """Return the address of a new TCP socket that is connected to nothing yet."""
        sink = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._road.take(sink)
        except OSError:
            sink.close()
            return None
        sink.setblocking(False)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)
        self._sinks[call] = sink
        host, port = sink.getsockname()
        return Address(host, port)

    async def _connect(self, call: int, sink: socket.socket, city: Address) -> None:
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sink, (city.host, city.port)), DIAL_SECONDS)
            connected = True
        except (OSError, TimeoutError):
            connected = False
        self.core.on_dialled(call, connected, time.monotonic())
        self.act()

    def _pass_talk(self, command: PassTalk) -> None:
        port = self._talk_ports.pop(command.call, None)
        if port is None:
            return
        with port:
            try:
                port.connect((command.city.host, command.city.port))
            except OSError:
                self._send(CloseMedia(command.call, "city_unreached"), ())
                return
            port.setblocking(False)
            self._send(command.record, (port.fileno(),))

    def _open_talk_port(self, call: int) -> int | None:
        """Return a port of the tunnel's address that is held for a talk; None when there is none."""
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._road.take(held)
        except OSError:
            held.close()
            return None
        self._talk_ports[call] = held
        port: int = held.getsockname()[1]
        return port


def upper(site: Site, platform: Platform, road: Road, issued: IssuedIds, secrets: Path,
          send: Callable[[Record, Sequence[int]], None], keep: Callable[[], None], log: Log) -> Upper:  # fmt: skip
    """Return the shell that registers ``site`` with ``platform`` by ``road``."""
    secret = password(secrets, f"platform-{platform.id}", log)

    def core(device: Device, road: Road) -> CitySide:
        return CitySide(site, platform, device, issued, SystemChance(), road.address)

    return Upper(lambda road: device_config(site, platform, secret, road.address), core, road, send, keep, log)


def device_config(site: Site, platform: Platform, secret: str, own: str) -> DeviceConfig:
    """Return the device role that registers ``site`` with ``platform`` from our address ``own``."""
    return DeviceConfig(
        id=platform.known_as or site.identity.id,
        domain=platform.domain,
        local=Address(own, platform.local_port),
        server=Address(str(platform.address), platform.port, platform.transport),
        server_id=platform.id,
        realm=platform.realm or platform.domain,
        password=secret,
        expires_seconds=platform.register_expires_seconds,
        keepalive_seconds=platform.keepalive_seconds,
        user_agent=_USER_AGENT,
        name=site.identity.name,
        edition=platform.edition,
        charset=platform.charset,
        strict=platform.reading == "strict",
        redirects=frozenset((str(server.address), server.port) for server in platform.redirect),
    )
