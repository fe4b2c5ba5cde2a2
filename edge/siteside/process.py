"""The site side's shell: sockets, the loop and the clock around ``core``."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from edge.access import Access
from edge.gb28181.kept import NotKept
from edge.gb28181.platform import KnownDevice, Platform, PlatformConfig
from edge.io.chance import SystemChance
from edge.io.confirmed import Confirmed, Places, places
from edge.io.log import Log
from edge.io.outlives import Outlives
from edge.io.password import password
from edge.io.seqpacket import FerryLine
from edge.io.status import StatusFile
from edge.io.tcp import TcpLines
from edge.io.udp import UdpShell
from edge.records.codec import encode
from edge.records.types import MediaReports
from edge.sip.address import Address
from edge.siteside.core import PassPort, ReleasePort, ReservePort, Say, SendRecord, SiteSide, WatchPort
from edge.siteside.ports import MediaPorts
from edge.siteside.talks import PassTalkPort
from netconf.model import Site
from netconf.notify import Supervisor

TICK_SECONDS = 0.25
_USER_AGENT = "snowgate"


class Process:
    """One life of the site side: from a confirmed configuration until it changes."""

    def __init__(self, site: Site, where: Places) -> None:
        self._site = site
        self._log = Log("siteside")
        self._platform = Platform(platform_config(site, where.secrets / "siteside", self._log), SystemChance())
        self._core = SiteSide(site, self._platform, SystemChance())
        self._ports = MediaPorts(
            str(site.lan.address.ip), site.lan.media_port_range, self._first_packet, SystemChance()
        )
        self._line = FerryLine(where.run / "ferry" / "site" / "socket", self._ferry_up, self._record, self._ferry_lost)
        self._local = Address(str(site.lan.address.ip), site.lan.sip_port)
        self._udp = UdpShell(self._platform, self._local, self._event)
        self._lines = TcpLines(self._udp.receive, on_closed=self._closed)
        self._udp.lines = self._lines
        self._status = StatusFile(where.run, "siteside")
        self._outlives = Outlives(where.run, "siteside")
        self._loop = asyncio.get_running_loop()
        self._settling = False

    async def run(self, confirmed: Confirmed, supervisor: Supervisor) -> None:
        """Serve until the confirmed configuration changes."""
        await self._udp.start()
        await self._lines.listen(self._local)
        self._adopt()
        line = asyncio.create_task(self._line.run())
        try:
            while not confirmed.changed():
                supervisor.beat()
                self._core.handle_timer(time.monotonic())
                self._act()
                self._status.write(
                    self._core.status() | {"foreign_packets": self._ports.foreign, "tcp": dict(self._lines.counters)}
                )
                done, _ = await asyncio.wait({line}, timeout=TICK_SECONDS)
                for task in done:
                    task.result()
        finally:
            line.cancel()
            self._ports.close()
            self._lines.close()
            self._udp.close()

    def _closed(self, peer: Address) -> None:
        self._platform.disconnected(peer, time.monotonic())
        self._udp.drain()

    def _adopt(self) -> None:
        """Go on where the process before us was killed."""
        left = self._outlives.read()
        if left is None:
            return
        try:
            self._core.adopt(left, time.monotonic())
        except NotKept:
            self._log.say("kept_damaged")
        self._udp.drain()
        self._act()

    def _ferry_up(self) -> None:
        self._core.on_ferry_up()
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

    def _first_packet(self, call: int, ssrc: int, payload_type: int, framing: str) -> None:
        self._core.on_first_packet(call, ssrc, payload_type, framing, time.monotonic())
        self._act()

    def _act(self) -> None:
        for command in self._core.commands():
            if isinstance(command, SendRecord):
                self._line.send(encode(command.record))
            elif isinstance(command, ReservePort):
                self._core.on_port(command.call, self._ports.reserve(command.call, command.media), time.monotonic())
                self._act()
            elif isinstance(command, WatchPort):
                self._ports.watch(command.call, command.sources, command.payload_type, command.dial, command.reports)
            elif isinstance(command, PassPort):
                reports = self._ports.reports(command.call)
                if reports is not None:
                    self._line.send(encode(MediaReports(command.call)), [reports])
                self._line.send(encode(command.record), [self._ports.descriptor(command.call)])
                self._ports.release(command.call)
            elif isinstance(command, PassTalkPort):
                if self._ports.connect(command.call, command.ear):
                    self._line.send(encode(command.record), [self._ports.descriptor(command.call)])
                self._ports.release(command.call)
            elif isinstance(command, ReleasePort):
                self._ports.release(command.call)
            elif isinstance(command, Say):
                self._log.say(command.code, command.about)
        if not self._settling:
            self._settling = True
            self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        """Keep and send what came of all that happened at once: of a flood's thousand events, once."""
        self._settling = False
        self._outlives.write(self._core.kept())
        self._udp.flush()


def platform_config(site: Site, secrets: Path, log: Log) -> PlatformConfig:
    """Return the platform role that the recorders of ``site`` register with."""
    known = tuple(
        KnownDevice(
            id=recorder.id,
            password=password(secrets, f"recorder-{recorder.id}", log),
            addresses=frozenset({str(recorder.address)}),
            port=recorder.port,
            wants=_wants(site, recorder.id),
            strict=recorder.reading == "strict",
        )
        for recorder in site.recorder
        if recorder.kind == "gb28181"
    )
    return PlatformConfig(
        id=site.identity.id,
        domain=site.identity.id[:10],
        local=Address(str(site.lan.address.ip), site.lan.sip_port),
        realm=site.identity.id[:10],
        devices=known,
        user_agent=_USER_AGENT,
    )


def _wants(site: Site, recorder: str) -> tuple[str, ...]:
    """Return what a recorder is subscribed to: its channels' coming and going, and what the city has a right to hear."""
    access = Access(site)
    channels = [channel.id for channel in site.channel if channel.recorder == recorder and channel.share]
    wanted = [
        kind
        for kind, right in (("Alarm", "alarms"), ("MobilePosition", "positions"))
        if any(access.grants_any(recorder, channel, right) for channel in channels)
    ]
    return ("Catalog", *wanted)


async def _serve(where: Places) -> None:
    confirmed, supervisor = Confirmed(where.run), Supervisor()
    supervisor.ready()
    while (site := confirmed.read_enrolled()) is None:
        supervisor.beat()
        await asyncio.sleep(TICK_SECONDS)
    await Process(site, where).run(confirmed, supervisor)


def main() -> int:
    """Run until the configuration changes; the supervisor starts us again."""
    asyncio.run(_serve(places("snowgate-siteside")))
    return 0
