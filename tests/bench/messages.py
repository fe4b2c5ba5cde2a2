"""What a MESSAGE costs us beside Debian's Kamailio: processor time, at one rate, on loopback, in turn.

Ours is a process with both roles in the product's own shells: the platform reads, judges and answers a registered
device's MESSAGE, its body becomes a typed message, and the device role writes a new MESSAGE of it to the sink. Kamailio
relays the same octets statefully to the same sink, with one worker: it neither reads a body nor writes a new one, and
spends more than half of its time in the memory manager that Debian builds into it (``qm_malloc``, by perf).
Processor time is what /proc says of all processes of each over the same window.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.gb28181.device import Device
from edge.gb28181.platform import Platform
from edge.io.chance import SystemChance
from edge.io.udp import UdpShell
from edge.lab import private
from edge.manscdp.catalog import CatalogEntry, CatalogResponse
from edge.manscdp.device import Keepalive
from edge.manscdp.messages import Message
from edge.sip.address import Address
from edge.sip.message import Request
from netconf import durable
from tests.bench import signals, traffic
from tests.registered import BOX_ID, CITY_ID, configs, register

RATE, ROUND_MESSAGES, ROUNDS = 2000, 6000, 5
LIMIT = 1.0
SETTLE_SECONDS = 1.0
OURS, FORWARDING, KAMAILIO = Address("127.0.0.1", 5060), Address("127.0.0.1", 5061), Address("127.0.0.3", 5060)
OUT = Path("build/bench.json")
#: The least and the most that a recorder says many times over.
BODIES: dict[str, Callable[[int], Message]] = {
    "keepalive": lambda sn: Keepalive(sn, BOX_ID),
    "catalog item": lambda sn: CatalogResponse(sn, BOX_ID, 10_000, (_item(sn),)),
}


def _item(sn: int) -> CatalogEntry:
    code = f"3402000000131{sn % 10_000_000:07d}"
    return CatalogEntry(
        code, f"摄像机{sn}", "Dahua", "DH-IPC", "Owner", "340200", "Address", parent_id=BOX_ID, ptz_type=1
    )


@dataclass(frozen=True, slots=True)
class Round:
    """One contender's turn; processor time in microseconds a message."""

    us: float
    sent: int
    arrived: int
    answered: int
    rate: float
    generator_us: float
    sink_us: float


class _Relay(Platform):
    """What crosses in the product as a record goes straight to the other role here."""

    forward: Callable[[Message], None]

    def _on_message(self, peer: str, body: Message, request: Request, now: float) -> None:
        super()._on_message(peer, body, request, now)
        self.forward(body)


def _serve_ours(ready: int) -> None:
    """Be a box between generator and sink, for ever."""

    async def run() -> None:
        device_config, platform_config = configs(signals.GENERATOR, OURS)
        platform = _Relay(platform_config, SystemChance())
        platform.forward = lambda body: None
        register(Device(device_config, SystemChance()), platform, (signals.GENERATOR, OURS), time.monotonic())
        device = Device(configs(FORWARDING, signals.SINK)[0], SystemChance())
        upward = UdpShell(device, FORWARDING, lambda event, now: None)
        # Each body is told as an event, too: what it caused is sent then, as the product's sides do after every event.
        downward = UdpShell(platform, OURS, lambda event, now: upward.flush())
        platform.forward = lambda body: device._send_message(CITY_ID, signals.SINK, body, time.monotonic())
        await upward.start()
        await downward.start()
        os.write(ready, b"1")
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def _ours() -> Iterator[list[int]]:
    read, write = os.pipe()
    pid = traffic.child(lambda: _serve_ours(write), traffic.MEASURED)
    os.close(write)
    os.read(read, 1)
    os.close(read)
    try:
        yield [pid]
    finally:
        traffic.stop(pid)


@contextmanager
def _kamailio() -> Iterator[list[int]]:
    run = Path("/run/kamailio")
    run.mkdir(exist_ok=True)
    template = Path(__file__).with_name("kamailio.cfg").read_text(encoding="ascii")
    config = run / "bench.cfg"
    config.write_text(
        template.format(listen=KAMAILIO, host=signals.SINK.host, port=signals.SINK.port), encoding="ascii"
    )
    words = [
        "kamailio",
        "-f",
        str(config),
        "-DD",
        "-E",
        "-m",
        "256",
        "-M",
        "16",
        "-P",
        str(run / "pid"),
        "-Y",
        str(run),
    ]
    with (run / "log").open("wb") as log:
        main = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        time.sleep(1.5)  # it tells nobody when it is ready; a first message that is lost would show
        if main.poll() is not None:
            raise RuntimeError((run / "log").read_text(encoding="utf-8", errors="replace")[-1000:])
        pids = _family(main.pid)
        for pid in pids:
            os.sched_setaffinity(pid, {traffic.core(traffic.MEASURED)})
        yield pids
    finally:
        main.send_signal(signal.SIGTERM)
        try:
            main.wait(10)
        except subprocess.TimeoutExpired:
            main.kill()
            main.wait(5)


def _family(pid: int) -> list[int]:
    """Return a process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())]


def cpu_seconds(pids: list[int]) -> float:
    """Return the processor time of processes, theirs and the kernel's for them."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


CONTENDERS: dict[str, tuple[Callable[[], AbstractContextManager[list[int]]], Address]] = {
    "ours": (_ours, OURS),
    "kamailio": (_kamailio, KAMAILIO),
}


def _round(name: str, kind: str) -> Round:
    """Let one contender have its turn, from a fresh start: what it still holds of the turn before is no part of this one."""
    contender, to = CONTENDERS[name]
    ready = signals.messages([BODIES[kind](1 + at) for at in range(ROUND_MESSAGES)], to)
    with signals.sink() as sink, contender() as pids:
        before, sink_before = cpu_seconds(pids), cpu_seconds([sink.pid])
        sent = signals.send(ready, to, RATE, SETTLE_SECONDS)
        spent, sink_spent = cpu_seconds(pids) - before, cpu_seconds([sink.pid]) - sink_before
        different, _total = sink.count()
    a_message = 1e6 / sent.sent
    return Round(
        us=round(spent * a_message, 1), sent=sent.sent, arrived=different, answered=sent.answered,
        rate=round(sent.sent / sent.seconds, 1), generator_us=round(sent.cpu_seconds * a_message, 1),
        sink_us=round(sink_spent * a_message, 1),
    )  # fmt: skip


def measure() -> dict[str, Any]:
    """Measure all contenders that there are; the shape of ``build/bench.json`` under ``messages``."""
    names = [name for name in CONTENDERS if name == "ours" or shutil.which("kamailio")]
    found: dict[str, Any] = {"rate": RATE, "limit": LIMIT, "lacks": [] if len(names) > 1 else ["kamailio"]}
    for kind in BODIES:
        rounds: dict[str, list[Round]] = {name: [] for name in names}
        for turn in range(ROUNDS):
            for name in names if turn % 2 else reversed(names):
                rounds[name].append(_round(name, kind))
        found[kind] = {name: _summed(told) for name, told in rounds.items()}
    if not found["lacks"]:
        ratios = [found[kind]["ours"]["us"] / found[kind]["kamailio"]["us"] for kind in BODIES]
        found["ratio_to_kamailio"] = round(max(ratios), 2)
    return found


def _summed(rounds: list[Round]) -> dict[str, Any]:
    keys = ("us", "generator_us", "sink_us", "rate")
    facts: dict[str, Any] = {key: statistics.median(getattr(one, key) for one in rounds) for key in keys}
    sent = sum(one.sent for one in rounds)
    facts["lost"] = round(1 - sum(one.arrived for one in rounds) / sent, 4)
    facts["unanswered"] = round(1 - sum(one.answered for one in rounds) / sent, 4)
    return facts | {"rounds": [asdict(one) for one in rounds]}


def table(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    lines = [f"MESSAGEs at {RATE}/s: us of CPU a message{'generator':>18}{'sink':>8}{'lost':>8}{'unanswered':>12}"]
    for kind in BODIES:
        for name in CONTENDERS:
            if name in found[kind]:
                row = found[kind][name]
                lines.append(
                    f"  {kind:<14}{name:<12}{row['us']:>10.1f}{row['generator_us']:>18.1f}{row['sink_us']:>8.1f}"
                    f"{row['lost']:>8.2%}{row['unanswered']:>12.2%}"
                )
    if found["lacks"]:
        return [*lines, "  no ratio: kamailio is not installed (make bench-peers, as root)"]
    return [
        *lines,
        f"  ratio to kamailio, the worse of both: {found['ratio_to_kamailio']:.2f}   limit {LIMIT}",
    ]


def main() -> int:
    """Measure, print, and write beside the other figures; 1 when the limit is broken."""
    if not private.is_inside():
        return private.run_inside("tests.bench.messages")
    found = measure()
    print("\n".join(table(found)))
    others = json.loads(OUT.read_bytes()) if OUT.exists() else {}
    OUT.parent.mkdir(exist_ok=True)
    durable.write(OUT, json.dumps({**others, "messages": found}, indent=1).encode() + b"\n", mode=0o644)
    return int(found.get("ratio_to_kamailio", 0.0) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
