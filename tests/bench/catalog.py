"""A catalog of 10,000 channels: collected from a recorder by our platform role, and published upward by our device role.

Recorder and platform are processes of their own on loopback, in the product's own shells, over UDP and over TCP. Seconds
run from the registration to the last page; memory is what the measured process' resident set grew by.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from edge.gb28181.device import Device, DeviceConfig
from edge.gb28181.platform import Platform
from edge.gb28181.reports import CatalogReceived, DeviceOnline
from edge.io.chance import SystemChance
from edge.io.tcp import TcpLines
from edge.io.udp import UdpShell
from edge.lab import private
from edge.manscdp.catalog import CatalogEntry, CatalogQuery, CatalogResponse
from edge.manscdp.messages import Message
from edge.sip.address import Address
from edge.sip.endpoint import TransactionKey
from edge.sip.message import Request, Response
from netconf import durable
from tests.bench import traffic
from tests.bench.messages import cpu_seconds
from tests.registered import BOX_ID, CITY_ID, configs

CHANNELS = 10_000
MOST_SECONDS = 120.0
LIMITS = {"seconds": 15.0, "rss_growth_mb": 60.0, "lost": 0}
OUT = Path("build/bench.json")
Transport = Literal["udp", "tcp"]
#: Recorders do not wait for one page's 200 before the next; so many are on their way at most.
FLYING = 16
#: How many items one page has: as Dahua's recorders send, and as Hikvision's do.
HABITS = {"one item a page": 1, "ten items a page": 10}
DEVICE, PLATFORM = Address("127.0.0.10", 5060), Address("127.0.0.1", 5060)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def entries(channels: int) -> tuple[CatalogEntry, ...]:
    """Return the cameras of a large site, as full as recorders fill them in."""
    return tuple(
        CatalogEntry(
            f"3402000000131{at:07d}", f"{at // 100}号楼{at}摄像机", "Dahua", "DH-IPC-HFW", "Owner", "340200", "Address",
            parent_id=BOX_ID, ptz_type=1 + at % 3,
        )
        for at in range(channels)
    )  # fmt: skip


def pages(query: CatalogQuery, channels: int, items_a_page: int) -> Iterator[CatalogResponse]:
    """Yield what a recorder of so many channels answers a catalog query with."""
    listed = entries(channels)
    for at in range(0, channels, items_a_page):
        yield CatalogResponse(query.sn, query.device_id, channels, listed[at : at + items_a_page])


class BigRecorder(Device):
    """A recorder with many channels and a vendor's habit of telling them."""

    def __init__(self, config: DeviceConfig, channels: int, items_a_page: int) -> None:
        super().__init__(config, SystemChance())
        self._channels, self._items_a_page = channels, items_a_page
        self._left: Iterator[CatalogResponse] = iter(())
        self._flying: set[TransactionKey] = set()

    def _on_message(self, peer: str, body: Message, request: Request, now: float) -> None:
        if isinstance(body, CatalogQuery):
            self._left = pages(body, self._channels, self._items_a_page)
            self._go_on(now)
        else:
            super()._on_message(peer, body, request, now)

    def _on_final(self, key: TransactionKey, response: Response | None, now: float) -> None:
        if key in self._flying:
            self._flying.remove(key)
            self._go_on(now)
        else:
            super()._on_final(key, response, now)

    def _go_on(self, now: float) -> None:
        while len(self._flying) < FLYING and (page := next(self._left, None)) is not None:
            self._flying.add(self._send_message(CITY_ID, self._config.server, page, now))


class _Watched(Platform):
    """A platform that notes in which order items come."""

    order: list[str]

    def _page(self, binding: Any, page: CatalogResponse, now: float) -> None:
        self.order += [item.device_id for item in page.items]
        super()._page(binding, page, now)


def _serve_platform(transport: Transport, ready: int, told: int) -> None:
    """Be a platform until killed; tell once what came of the first catalog."""

    async def run() -> None:
        platform = _Watched(configs(DEVICE, PLATFORM)[1], SystemChance())
        platform.order = []
        began = 0.0

        def on_event(event: object, now: float) -> None:
            nonlocal began
            if isinstance(event, DeviceOnline):
                began = now
            elif isinstance(event, CatalogReceived):
                facts = {"seconds": now - began, "items": len(event.items), "complete": event.complete,
                         "in_order": platform.order == sorted(set(platform.order)), "refused": dict(platform.counters)}  # fmt: skip
                os.write(told, json.dumps(facts).encode() + b"\n")

        shell = UdpShell(platform, PLATFORM, on_event)
        lines = TcpLines(shell.receive)
        shell.lines = lines
        await shell.start()
        if transport == "tcp":
            await lines.listen(PLATFORM)
        os.write(ready, b"1")
        await asyncio.Event().wait()

    asyncio.run(run())


def _serve_device(make: Callable[[DeviceConfig], Device], transport: Transport, ready: int) -> None:
    """Be a device that registers with the platform, until killed."""

    async def run() -> None:
        server = Address(PLATFORM.host, PLATFORM.port, transport)
        device = make(configs(DEVICE, server)[0])
        shell = UdpShell(device, DEVICE, lambda event, now: None)

        def connected() -> None:
            device.reconnected(time.monotonic())
            shell.drain()

        lines = TcpLines(shell.receive, connected)
        shell.lines = lines
        await shell.start()
        os.write(ready, b"1")
        if transport == "tcp":
            lines.dial(DEVICE.host, server)
        else:
            device.start(time.monotonic())
            shell.flush()
        await asyncio.Event().wait()

    asyncio.run(run())


def _ours(config: DeviceConfig) -> Device:
    device = Device(config, SystemChance())
    device.set_catalog(entries(CHANNELS), time.monotonic())
    return device


@contextmanager
def _child(work: Callable[[int], None], core: int) -> Iterator[int]:
    """Run ``work`` in a process of its own; it writes to the descriptor it is given when it is ready."""
    read, write = os.pipe()
    pid = traffic.child(lambda: work(write), core)
    os.close(write)
    os.read(read, 1)
    os.close(read)
    try:
        yield pid
    finally:
        traffic.stop(pid)


def carry(
    make: Callable[[DeviceConfig], Device], transport: Transport, measured: Literal["platform", "device"]
) -> dict[str, Any]:
    """Let a device register and be asked for its catalog; return what that took of the measured one."""
    read, write = os.pipe()
    cores = (traffic.MEASURED, traffic.OTHERS) if measured == "platform" else (traffic.OTHERS, traffic.MEASURED)
    try:
        with _child(lambda ready: _serve_platform(transport, ready, write), cores[0]) as platform:
            platform_before = rss_bytes(platform)
            with _child(lambda ready: _serve_device(make, transport, ready), cores[1]) as device:
                pid, before = (platform, platform_before) if measured == "platform" else (device, rss_bytes(device))
                if not select.select([read], [], [], MOST_SECONDS)[0]:
                    return {"seconds": None, "lost": CHANNELS}
                facts = json.loads(os.read(read, 65536).splitlines()[0])
                grown, spent = (
                    rss_bytes(pid) - before,
                    {"platform": cpu_seconds([platform]), "device": cpu_seconds([device])},
                )
    finally:
        os.close(read)
        os.close(write)
    return {
        "seconds": round(facts["seconds"], 2), "lost": CHANNELS - facts["items"], "complete": facts["complete"],
        "in_order": facts["in_order"], "refused": facts["refused"], "rss_growth_mb": round(grown / 1e6, 1),
        "cpu_seconds": spent,
    }  # fmt: skip


def rss_bytes(pid: int) -> int:
    """Return the resident set of a process."""
    return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES


def measure() -> dict[str, Any]:
    """Measure all; the shape of ``build/bench.json`` under ``catalog``."""
    found: dict[str, Any] = {"channels": CHANNELS, "limits": LIMITS, "collected": {}, "published": {}}
    transports: tuple[Transport, ...] = ("udp", "tcp")
    for transport in transports:
        for habit, items in HABITS.items():

            def recorder(config: DeviceConfig, items: int = items) -> Device:
                return BigRecorder(config, CHANNELS, items)

            found["collected"][f"{habit}, {transport}"] = carry(recorder, transport, "platform")
        found["published"][transport] = carry(_ours, transport, "device")
    return found


def broken(found: dict[str, Any]) -> list[str]:
    """Return what is beyond its limit, in words."""
    beyond = []
    for way in ("collected", "published"):
        for name, row in found[way].items():
            if row["seconds"] is None:
                beyond.append(f"{way} {name}: never whole")
                continue
            beyond += [
                f"{way} {name}: {key} {row[key]} (limit {most:g})" for key, most in LIMITS.items() if row[key] > most
            ]
            if not row["in_order"]:
                beyond.append(f"{way} {name}: out of order")
    return beyond


def table(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    lines = [
        f"catalog of {found['channels']} channels{'seconds':>22}{'RSS':>11}{'lost':>7}{'in order':>10}{'CPU: platform':>15}{'device':>9}"
    ]
    for way in ("collected", "published"):
        for name, row in found[way].items():
            if row["seconds"] is None:
                lines.append(f"  {way} {name:<28} not within {MOST_SECONDS:g} s")
                continue
            cpu = row["cpu_seconds"]
            lines.append(
                f"  {way} {name:<28}{row['seconds']:>8.2f}{row['rss_growth_mb']:>+8.1f} MB{row['lost']:>7}"
                f"{'yes' if row['in_order'] else 'no':>10}{cpu['platform']:>13.2f} s{cpu['device']:>7.2f} s"
            )
    return [*lines, *(f"  BEYOND: {each}" for each in broken(found))]


def main() -> int:
    """Measure, print, and write beside the other figures; 1 when a limit is broken."""
    if not private.is_inside():
        return private.run_inside("tests.bench.catalog")
    found = measure()
    print("\n".join(table(found)))
    others = json.loads(OUT.read_bytes()) if OUT.exists() else {}
    OUT.parent.mkdir(exist_ok=True)
    durable.write(OUT, json.dumps({**others, "catalog": found}, indent=1).encode() + b"\n", mode=0o644)
    return int(bool(broken(found)))


if __name__ == "__main__":
    sys.exit(main())
