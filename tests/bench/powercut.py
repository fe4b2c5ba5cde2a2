"""64 recorders of 64 channels each, all back at once after a power cut, through the whole box.

The box boots with what it had confirmed: so large a site is more than one request to the keeper takes. The recorders
are one process with the product's device role 64 times, each with an address and a hardware address of its
own. First they come to a box that has never seen them, then they fall silent until none is registered any more, then
all are back in the same moment. Measured: seconds until the city shows every channel as on again, and how many messages the city
was sent for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from edge.gb28181.device import Device, DeviceConfig
from edge.io.chance import SystemChance
from edge.io.udp import UdpShell
from edge.lab import private, topology
from edge.lab.orders import order
from edge.lab.street import RUN, SECRETS, SITE_FILE, STATE, Street, eventually
from edge.manscdp.catalog import CatalogEntry
from edge.sip.address import Address
from netconf import durable
from netconf.kept import Kept
from netconf.proposal import layers_of, whole
from netconf.revision import Journal
from netconf.secrets import read_password
from tests.bench.catalog import rss_bytes
from tests.bench.messages import cpu_seconds

RECORDERS, CHANNELS = 64, 64
LIMIT_SECONDS = 60.0
MOST_SECONDS = 240.0
#: A registration lasts so long: that is how long it takes until silence is an end.
EXPIRES_SECONDS = 60
#: What the city may be told of one channel's going and coming, in messages: a notice carries up to 100 changes.
MOST_MESSAGES_A_CHANNEL = 0.1
#: What is held back for a moment, and a flicker's second half, comes yet.
QUIET_SECONDS = 10.0
FIRST_HOST = 128
DOMAIN, BOX_ID = "3402000000", "34020000002008000001"
ORDERS, OUT = RUN / "city.sock", Path("build/bench.json")


class Booting(Street):
    """A street whose box finds its site confirmed when it starts."""

    def apply(self, text: str) -> None:
        folder = STATE / "keeper"
        kept = Kept(folder)
        document = whole(text, layers_of(None))
        kept.write_document(1, document)
        kept.write_journal(Journal(1, 1, confirmed=(1, hashlib.sha256(document).hexdigest())))
        owner = folder.stat()
        for path in folder.rglob("*"):
            os.chown(path, owner.st_uid, owner.st_gid)
        self.kill("keeper")


def recorder_id(at: int) -> str:
    return f"3402000000118{at:07d}"


def channel_id(at: int, channel: int) -> str:
    return f"3402000000131{at * 100 + channel:07d}"


def address(at: int) -> str:
    return f"192.168.1.{FIRST_HOST + at}"


def hardware(at: int) -> str:
    return f"02:00:00:00:40:{at:02x}"


def site_text(recorders: int, channels: int) -> str:
    """Return the lab's site with many recorders."""
    lines = [SITE_FILE.read_text(encoding="utf-8").partition("[[recorder]]")[0]]
    for at in range(recorders):
        lines.append(
            f'[[recorder]]\nid = "{recorder_id(at)}"\naddress = "{address(at)}"\nmac = "{hardware(at)}"\n'
            f'media_addresses = ["{address(at)}"]\n'
        )
        lines += [
            f'[[channel]]\nrecorder = "{recorder_id(at)}"\nid = "{channel_id(at, channel)}"\nname = "摄像机{at}-{channel}"\n'
            f'coverage = "A"\nshare = true\n'
            for channel in range(channels)
        ]
    return "\n".join(lines)


def cameras(at: int, channels: int) -> list[CatalogEntry]:
    """Return the catalog of one recorder."""
    return [
        CatalogEntry(channel_id(at, channel), f"Camera {channel}", "bench", "camera", parent_id=recorder_id(at))
        for channel in range(channels)
    ]


def plug() -> None:
    """Give each recorder a port of its own on the lab's first recorder's host."""
    for at in range(RECORDERS):
        name, table = f"r{at}", str(1000 + at)
        for words in (
            ("link", "add", name, "link", "eth0", "address", hardware(at), "type", "macvlan", "mode", "bridge"),
            ("addr", "add", f"{address(at)}/32", "dev", name), ("link", "set", name, "up"),
            ("route", "add", "192.168.1.0/24", "dev", name, "table", table),
            ("rule", "add", "from", address(at), "lookup", table),
        ):  # fmt: skip
            topology.ip("-n", "nvr", *words)


async def _recorders(secrets: Path) -> None:
    """Be all recorders, from this moment on, until killed."""
    server = Address(topology.LAN_IP, 5060)
    shells = []
    for at in range(RECORDERS):
        config = DeviceConfig(
            recorder_id(at), DOMAIN, Address(address(at), 5060), server, BOX_ID, DOMAIN,
            read_password(secrets, f"recorder-{recorder_id(at)}") or "", expires_seconds=EXPIRES_SECONDS,
            keepalive_seconds=20, retry_seconds=1.0,
        )  # fmt: skip
        device = Device(config, SystemChance())
        device.set_catalog(cameras(at, CHANNELS), time.monotonic())
        shells.append((device, UdpShell(device, config.local, lambda event, now: None)))
    for device, shell in shells:
        device.start(time.monotonic())
        await shell.start()
    await asyncio.Event().wait()


def measure() -> dict[str, Any]:
    """Measure all; the shape of ``build/bench.json`` under ``powercut``."""
    folder = Path("build/lab")
    folder.mkdir(parents=True, exist_ok=True)
    site = folder / "powercut.toml"
    site.write_text(site_text(RECORDERS, CHANNELS), encoding="utf-8")
    street = Booting(folder / "powercut-log", without=frozenset({"nvr"}), site_file=site, rewire=plug)
    try:
        street.open()
        eventually(lambda: order(ORDERS, "facts")["online"], 60, "the registration with the city")
        order(ORDERS, "subscribe Catalog")
        street.program("recorders", "nvr", sys.executable, "-m", "tests.bench.powercut", "recorders",
                       str(SECRETS / "siteside"))  # fmt: skip
        found = {"first": _all_on(street, time.monotonic())}
        before = _heard()
        street.stop_program("recorders")
        gone = _wait(lambda: not any(_registered(street)) and not _on(), 3 * EXPIRES_SECONDS)
        time.sleep(QUIET_SECONDS)
        found["cut"] = {"seconds": gone, "messages": _less(_heard(), before)}
        began = time.monotonic()
        street.resume_program("recorders")
        found["again"] = _all_on(street, began)
    finally:
        street.close()
    return {"recorders": RECORDERS, "channels": CHANNELS, "limit_seconds": LIMIT_SECONDS, **found}


def _all_on(street: Street, began: float) -> dict[str, Any]:
    """Wait until the city shows every channel as on; return what that took."""
    pids = {name: pid for name in ("siteside", "ferry", "cityside", "recorders", "city") if (pid := street.pid(name))}
    cpu, rss = ({name: read(pid) for name, pid in pids.items()} for read in (lambda p: cpu_seconds([p]), rss_bytes))
    heard = _heard()
    registered = _wait(lambda: all(_registered(street)), MOST_SECONDS)
    published = _wait(lambda: _published(street) == RECORDERS * CHANNELS, MOST_SECONDS)
    seconds = _wait(lambda: _on() == RECORDERS * CHANNELS, MOST_SECONDS)
    told = time.monotonic() - began if None not in (registered, published, seconds) else None
    time.sleep(QUIET_SECONDS)
    return {
        "registered_seconds": registered, "published_seconds": published,
        "seconds": round(told, 1) if told is not None else None, "on": _on(),
        "messages": _less(_heard(), heard),
        "cpu_seconds": {name: round(cpu_seconds([pid]) - cpu[name], 2) for name, pid in pids.items()},
        "rss_growth_mb": {name: round((rss_bytes(pid) - rss[name]) / 1e6, 1) for name, pid in pids.items()},
        "same_processes": all(street.pid(name) == pid for name, pid in pids.items()),
    }  # fmt: skip


def _on() -> int:
    """Return how many channels are on, by all that the city was told so far."""
    facts = order(ORDERS, "facts")
    states = {code: said[1] == "ON" for code, said in facts["channels"].items()} | dict(facts["notices"])
    return sum(states.values())


def _wait(true: Any, within: float) -> float | None:
    began = time.monotonic()
    try:
        eventually(true, within, "all recorders")
    except TimeoutError:
        return None
    return round(time.monotonic() - began, 1)


def _registered(street: Street) -> list[bool]:
    return list(street.said("siteside").get("recorders", {"": False}).values())


def _published(street: Street) -> int:
    return list(street.upper(0).get("channels", {}).values()).count("ON")


def _heard() -> dict[str, int]:
    heard: dict[str, int] = order(ORDERS, "facts")["heard"]
    return heard


def _less(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}


def broken(found: dict[str, Any]) -> list[str]:
    """Return what is beyond its limit, in words."""
    beyond = []
    for name in ("first", "again"):
        row = found[name]
        if row["seconds"] is None or row["seconds"] > LIMIT_SECONDS:
            beyond.append(f"{name}: {row['on']} channels on after {row['seconds']} s (limit {LIMIT_SECONDS:g})")
        if not row["same_processes"]:
            beyond.append(f"{name}: a process died")
    most = MOST_MESSAGES_A_CHANNEL * RECORDERS * CHANNELS
    for name in ("first", "cut", "again"):
        told = sum(count for method, count in found[name]["messages"].items() if not method.startswith("SIP/"))
        if told > most:
            beyond.append(f"{name}: {told} messages upward (limit {most:g})")
    return beyond


def table(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    lines = [f"{RECORDERS} recorders x {CHANNELS} channels at once{'registered':>16}{'all on':>10}   upward; CPU; RSS"]
    for name in ("first", "cut", "again"):
        row = found[name]
        lines.append(
            f"  {name:<12}{row.get('registered_seconds', '-')!s:>30} s{row['seconds']!s:>8} s   {row['messages']} "
            f"{row.get('cpu_seconds', '')} {row.get('rss_growth_mb', '')}"
        )
    return [*lines, *(f"  BEYOND: {each}" for each in broken(found))]


def main() -> int:
    """Measure, print, and write beside the other figures; 1 when a limit is broken."""
    if sys.argv[1:2] == ["recorders"]:
        asyncio.run(_recorders(Path(sys.argv[2])))
    if not private.is_inside():
        return private.run_inside("tests.bench.powercut")
    found = measure()
    print("\n".join(table(found)))
    others = json.loads(OUT.read_bytes()) if OUT.exists() else {}
    OUT.parent.mkdir(exist_ok=True)
    durable.write(OUT, json.dumps({**others, "powercut": found}, indent=1).encode() + b"\n", mode=0o644)
    return int(bool(broken(found)))


if __name__ == "__main__":
    sys.exit(main())
