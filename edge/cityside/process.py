"""The city side's process: the ferry's line, and one shell a platform."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence

from edge.cityside.issued import IssuedIds
from edge.cityside.upper import Upper, upper
from edge.cityside.ways import Turn, Ways
from edge.io.confirmed import Confirmed, Places, places
from edge.io.log import Log
from edge.io.outlives import Outlives
from edge.io.seqpacket import FerryLine
from edge.io.status import StatusFile
from edge.records.codec import RemoteRecordError, decode, encode
from edge.records.types import CallLives, CloseMedia, Record
from netconf.model import Site
from netconf.notify import Supervisor

TICK_SECONDS = 0.25


class Process:
    """One life of the city side: from a confirmed configuration until it changes."""

    def __init__(self, site: Site, where: Places) -> None:
        self._log = Log("cityside")
        shared = [(channel.recorder, channel.id) for channel in site.channel if channel.share]
        issued = IssuedIds(where.state / "cityside" / "issued-ids.json", site.identity.id)
        if not issued.issue(shared):
            self._log.say("ids_not_kept")
        self._line = FerryLine(
            where.run / "ferry" / "city" / "socket", self._ferry_up, self._record, self._ferry_lost, self._settle
        )
        self._outlives = Outlives(where.run, "cityside")
        self._status = StatusFile(where.run, "cityside")
        self._counters: Counter[str] = Counter()
        self._ways = Ways(site, self._outlives.read() or {}, self._log)
        self._uppers: dict[str, Upper] = {
            platform.id: upper(
                site, platform, self._ways.road, issued, where.secrets / "cityside", self._send, self._keep, self._log
            )
            for platform in site.platform
        }  # fmt: skip

    async def run(self, confirmed: Confirmed, supervisor: Supervisor) -> None:
        """Serve until the confirmed configuration changes."""
        line = asyncio.create_task(self._line.run())
        try:
            while not confirmed.changed():
                supervisor.beat()
                await self._take_road()
                for each in self._uppers.values():
                    each.act()
                self._status.write(self._said())
                done, _ = await asyncio.wait({line}, timeout=TICK_SECONDS)
                for task in done:
                    task.result()
        finally:
            line.cancel()
            self._ways.close()
            for each in self._uppers.values():
                each.close()

    async def _take_road(self) -> None:
        """Begin, and go to another tunnel, when the choice says so."""
        uppers = list(self._uppers.values())
        turn = self._ways.turn(
            [each.device.unanswered_since for each in uppers], watched=any(each.core.watched for each in uppers)
        )
        if turn is Turn.BEGIN:
            for name, each in self._uppers.items():
                await each.start(self._ways.kept.get(name))
        elif turn is Turn.MOVE:
            for each in uppers:
                await each.move(self._ways.road)

    def _said(self) -> dict[str, object]:
        return {
            "registered": all(each.core.registered for each in self._uppers.values()),
            "ferry": self._line.up,
            "platforms": {name: each.status() for name, each in self._uppers.items()},
            "counters": dict(self._counters),
            "tunnel": self._ways.status(),
        }

    def _keep(self) -> None:
        kept = {name: each.core.kept() for name, each in self._uppers.items()}
        self._outlives.write(kept | {"tunnel": self._ways.keep()})

    # -- the ferry -----------------------------------------------------------------------------------------------

    def _send(self, record: Record, descriptors: Sequence[int]) -> None:
        self._line.send(encode(record), descriptors)

    def _ferry_up(self) -> None:
        for each in self._uppers.values():
            each.core.on_ferry_up()

    def _ferry_lost(self) -> None:
        for each in self._uppers.values():
            each.core.on_ferry_lost(time.monotonic())
        self._settle()

    def _record(self, data: bytes) -> None:
        """Hand a record to all platforms: each knows its own calls and orders, and what it may hear of the rest."""
        try:
            record = decode(data)
        except RemoteRecordError as wrong:
            self._counters[wrong.rule] += 1
            return
        now = time.monotonic()
        known = [each.core.on_record(record, now) for each in self._uppers.values()]
        if isinstance(record, CallLives) and not any(known):
            self._send(CloseMedia(record.call, "side_lost"), ())

    def _settle(self) -> None:
        """The ferry has nothing more to say for now."""
        now = time.monotonic()
        for each in self._uppers.values():
            each.core.publish(now)
            each.act()


async def _serve(where: Places) -> None:
    confirmed, supervisor = Confirmed(where.run), Supervisor()
    supervisor.ready()
    while (site := confirmed.read_enrolled()) is None:
        supervisor.beat()
        await asyncio.sleep(TICK_SECONDS)
    await Process(site, where).run(confirmed, supervisor)


def main() -> int:
    """Run until the configuration changes; the supervisor starts us again."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(places("snowgate-cityside")))
    return 0
