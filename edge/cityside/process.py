"""The city side's shell: sockets, the loop and the clock around ``core``."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path

from edge.cityside.core import CitySide, CloseTalkPort, Dial, OpenSink, OpenTalkPort, PassSink, Say, SendRecord
from edge.cityside.issued import IssuedIds
from edge.gb28181.device import Device, DeviceConfig
from edge.gb28181.kept import NotKept
from edge.io.chance import SystemChance
from edge.io.confirmed import Confirmed, Places, places
from edge.io.log import Log
from edge.io.notify import Supervisor
from edge.io.outlives import Outlives
from edge.io.password import password
from edge.io.seqpacket import FerryLine
from edge.io.status import StatusFile
from edge.io.tcp import TcpLines
from edge.io.udp import UdpShell
from edge.records.codec import encode
from edge.sip.address import Address
from netconf.model import Site

TICK_SECONDS = 0.25
#: The tunnel takes a burst of a key frame without loss.
SEND_BUFFER_BYTES = 1 << 20
_USER_AGENT = "snowgate"


class Process:
    """One life of the city side: from a confirmed configuration until it changes."""

    def __init__(self, site: Site, where: Places) -> None:
        self._site = site
        self._log = Log("cityside")
        config = device_config(site, where.secrets / "cityside", self._log)
        self._device = Device(config, SystemChance())
        issued = IssuedIds(where.state / "cityside" / "issued-ids.json", site.site.id)
        self._core = CitySide(site, self._device, issued, SystemChance())
        self._sinks: dict[int, socket.socket] = {}
        self._talk_ports: dict[int, socket.socket] = {}
        self._line = FerryLine(
            where.run / "ferry" / "city" / "socket", self._core.on_ferry_up, self._record, self._ferry_lost
        )
        self._udp = UdpShell(self._device, config.local, self._event)
        self._config = config
        self._lines = TcpLines(self._udp.receive, self._connected, self._disconnected, on_unreached=self._unreached)
        self._udp.lines = self._lines
        self._status = StatusFile(where.run, "cityside")
        self._outlives = Outlives(where.run, "cityside")

    async def run(self, confirmed: Confirmed, supervisor: Supervisor) -> None:
        """Serve until the confirmed configuration changes."""
        await self._udp.start()
        self._adopt()
        line = asyncio.create_task(self._line.run())
        if self._config.server.transport == "tcp":
            self._lines.dial(self._config.local.host, self._config.server)
        else:
            self._device.start(time.monotonic())
        try:
            while not confirmed.changed():
                supervisor.beat()
                self._act()
                self._status.write(self._core.status() | {"tcp": dict(self._lines.counters)})
                done, _ = await asyncio.wait({line}, timeout=TICK_SECONDS)
                for task in done:
                    task.result()
        finally:
            line.cancel()
            self._lines.close()
            self._udp.close()

    def _connected(self) -> None:
        self._device.reconnected(time.monotonic())
        self._udp.drain()

    def _disconnected(self) -> None:
        self._device.disconnected(time.monotonic())
        self._udp.drain()

    def _unreached(self, why: str) -> None:
        self._device.not_reached(why, time.monotonic())

    def _adopt(self) -> None:
        """Go on where the process before us was killed."""
        left = self._outlives.read()
        if left is None:
            return
        try:
            self._core.adopt(left)
        except NotKept:
            self._log.say("kept_damaged")
        self._udp.drain()
        self._act()

    def _ferry_lost(self) -> None:
        self._core.on_ferry_lost(time.monotonic())
        self._act()

    def _record(self, data: bytes) -> None:
        self._core.on_record(data, time.monotonic())
        self._act()

    def _event(self, event: object, now: float) -> None:
        self._core.on_event(event, now)
        self._act()

    def _act(self) -> None:
        for command in self._core.commands():
            if isinstance(command, SendRecord):
                self._line.send(encode(command.record))
            elif isinstance(command, OpenSink):
                self._core.on_sink(command.call, self._open_sink(command.call, command.city), time.monotonic())
                self._act()
            elif isinstance(command, PassSink):
                sink = self._sinks.pop(command.call)
                self._line.send(encode(command.record), [sink.fileno()])
                sink.close()
            elif isinstance(command, OpenTalkPort):
                self._core.on_talk_port(command.call, self._open_talk_port(command.call), time.monotonic())
                self._act()
            elif isinstance(command, CloseTalkPort):
                if (port := self._talk_ports.pop(command.call, None)) is not None:
                    port.close()
            elif isinstance(command, Dial):
                self._lines.redial(command.server)
            elif isinstance(command, Say):
                self._log.say(command.code, command.about)
        self._outlives.write(self._core.kept())
        self._udp.flush()

    def _open_sink(self, call: int, city: Address) -> Address | None:
        """Return the address of a new socket that is connected to the city's media address and to nothing else."""
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sink.bind((str(self._site.tunnel[0].address.ip), 0))
            sink.connect((city.host, city.port))
        except OSError:
            sink.close()
            return None
        sink.setblocking(False)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._sinks[call] = sink
        host, port = sink.getsockname()
        return Address(host, port)

    def _open_talk_port(self, call: int) -> int | None:
        """Return a port of the tunnel's address that is held for a talk; None when there is none."""
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            held.bind((str(self._site.tunnel[0].address.ip), 0))
        except OSError:
            held.close()
            return None
        self._talk_ports[call] = held
        port: int = held.getsockname()[1]
        return port


def device_config(site: Site, secrets: Path, log: Log) -> DeviceConfig:
    """Return the device role that registers ``site`` with the city."""
    platform = site.platform
    return DeviceConfig(
        id=site.site.id,
        domain=platform.domain,
        local=Address(str(site.tunnel[0].address.ip), platform.local_port),
        server=Address(str(platform.address), platform.port, platform.transport),
        server_id=platform.id,
        realm=platform.realm or platform.domain,
        password=password(secrets, "platform", log),
        expires_seconds=platform.register_expires_seconds,
        keepalive_seconds=platform.keepalive_seconds,
        user_agent=_USER_AGENT,
        name=site.site.name,
        edition=platform.edition,
        charset=platform.charset,
        strict=platform.reading == "strict",
    )


async def _serve(where: Places) -> None:
    confirmed, supervisor = Confirmed(where.run), Supervisor()
    supervisor.ready()
    while (site := confirmed.read()) is None:
        supervisor.beat()
        await asyncio.sleep(TICK_SECONDS)
    await Process(site, where).run(confirmed, supervisor)


def main() -> int:
    """Run until the configuration changes; the supervisor starts us again."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(places("snowgate-cityside")))
    return 0
