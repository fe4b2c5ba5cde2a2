"""10,000 datagrams a second at the box's SIP port, while a view plays through the whole street.

Half is garbage, half looks like SIP: MESSAGEs and REGISTERs of somebody who is not registered. They come from a host of
the LAN that is none of the site's recorders, then from the recorder's own address and hardware, where no firewall can
tell them from the recorder's words. Measured: pictures that the city misses, whether the recorder stays registered, what
the site side's memory grows by, and how long after the end a question is answered again.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.lab import private, topology
from edge.lab.orders import order
from edge.lab.street import RUN, Street, eventually
from netconf import durable
from tests.bench.catalog import rss_bytes
from tests.bench.messages import cpu_seconds

RATE = 10_000
SECONDS = float(os.environ.get("FLOOD_SECONDS", "60"))
#: At most so many at once: a sender that was kept from running does not make up for it in one burst.
MOST_AT_ONCE = 50
LIMITS = {"pictures_lost": 0.01, "rss_growth_mb": 5.0, "recovery_seconds": 2.0}
RECOVERY_SECONDS = 30.0
ORDERS, OUT = RUN / "city.sock", Path("build/bench.json")
SOURCES = {"stranger": "pc", "recorder's address": "nvr"}
RECORDER = "34020000001180000001"


def datagrams(source: str) -> Iterator[bytes]:
    """Yield what is sent, for ever: no two alike."""
    noise = os.urandom(4096)
    at = 0
    while True:
        at += 1
        if at % 2:
            start = at * 131 % 3600
            yield noise[start : start + 20 + at % 400]
            continue
        method = "REGISTER" if at % 8 == 0 else "MESSAGE"
        yield (
            f"{method} sip:34020000002008000001@{topology.LAN_IP}:5060 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {source}:5060;rport;branch=z9hG4bK{at:x}{os.getpid():x}\r\n"
            f"From: <sip:{RECORDER}@3402000000>;tag={at:x}\r\nTo: <sip:{RECORDER}@3402000000>\r\n"
            f"Call-ID: {at:x}@{source}\r\nCSeq: {at & 0xFFFF} {method}\r\nMax-Forwards: 70\r\n"
            f"Contact: <sip:{RECORDER}@{source}:5060>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        ).encode()


def send(source: str, seconds: float) -> dict[str, Any]:
    """Flood from where this process is; return what was sent and what that cost."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.connect((topology.LAN_IP, 5060))
    stream, sent, failed = datagrams(source), 0, 0
    began = told = time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        due = int((now - told) * RATE)
        told += due / RATE
        for _ in range(min(due, MOST_AT_ONCE)):
            try:
                opened.send(next(stream))
                sent += 1
            except OSError:
                failed += 1  # nobody took it: a full queue, or a port that says it is closed
        time.sleep(0.001)
    return {
        "sent": sent,
        "failed": failed,
        "rate": round(sent / seconds),
        "cpu": round(time.process_time() / seconds, 2),
        "ended": time.monotonic(),
    }


def ask(seconds: float) -> None:
    """Ask the box's SIP port one thing again and again; print when each answer came."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(0.1)
    words = next(data for data in datagrams(topology.NVR_IP) if data.startswith(b"MESSAGE"))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            opened.sendto(words, (topology.LAN_IP, 5060))
            if opened.recv(2048).startswith(b"SIP/2.0 "):
                print(time.monotonic(), flush=True)
                time.sleep(0.05)
        except OSError:
            continue


def _inside(host: str, *words: str) -> subprocess.Popen[bytes]:
    command = topology.inside(host, sys.executable, "-m", "tests.bench.flood", *words)
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def measure() -> dict[str, Any]:
    """Measure all; the shape of ``build/bench.json`` under ``flood``."""
    street = Street(Path("build/lab/flood-log"))
    try:
        street.open()
        eventually(lambda: order(ORDERS, "facts")["online"], 40, "the registration")
        channels = eventually(
            lambda: [code for code, said in order(ORDERS, "catalog")["channels"].items() if said[1] == "ON"],
            40,
            "a channel",
        )
        order(ORDERS, f"play {channels[0]}")
        eventually(lambda: order(ORDERS, "facts")["judge"].get("right", 0) > 50, 40, "pictures")
        found: dict[str, Any] = {"quiet": _window(street, None)}
        for name, host in SOURCES.items():
            found[name] = _window(street, host)
    finally:
        street.close()
    return {"rate": RATE, "seconds": SECONDS, "limits": LIMITS, **found}


def _window(street: Street, host: str | None) -> dict[str, Any]:
    """Look at the street for a while, flooded from a host or not at all."""
    pid = street.pid("siteside")
    assert pid is not None
    before, rss, cpu = order(ORDERS, "facts"), rss_bytes(pid), cpu_seconds([pid])
    lost_before = _lost_registrations(street)
    source = topology.PC_IP if host == "pc" else topology.NVR_IP
    sender = _inside(host, "send", source, str(SECONDS)) if host is not None else None
    asker = _inside("nvr", "ask", str(SECONDS + RECOVERY_SECONDS)) if host is not None else None
    most, offline, until = rss, 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        most = max(most, rss_bytes(pid))
        offline += not all(street.said("siteside").get("recorders", {"": False}).values())
        time.sleep(0.25)
    sent = json.loads(sender.communicate(timeout=30)[0]) if sender is not None else {}
    spent = cpu_seconds([pid]) - cpu
    recovery = _recovery(asker, sent["ended"]) if asker is not None else 0.0
    after = order(ORDERS, "facts")
    return {
        "pictures_lost": _pictures_lost(before, after), "packets": after["packets"] - before["packets"],
        "offline_looks": offline, "registrations_lost": _lost_registrations(street) - lost_before,
        "same_siteside": street.pid("siteside") == pid, "same_call": after["call"] == "answered",
        "rss_growth_mb": round((most - rss) / 1e6, 2), "recovery_seconds": recovery,
        "siteside_cpu": round(spent / SECONDS, 2), "sender": sent,
        "counters": {k: v for k, v in street.said("siteside").get("counters", {}).items() if v > 100},
    }  # fmt: skip


def _recovery(asker: subprocess.Popen[bytes], ended: float) -> float | None:
    """Return seconds until a question is answered again; None when that takes too long."""
    assert asker.stdout is not None  # piped
    with asker:
        for line in asker.stdout:
            if float(line) > ended:
                asker.terminate()
                return round(float(line) - ended, 2)
    return None


def _lost_registrations(street: Street) -> int:
    return (street.logs / "nvr.log").read_text(encoding="utf-8", errors="replace").count("RegistrationLost")


def _pictures_lost(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Return the share of the numbered pictures that were not seen, or seen wrong."""
    drawn = after["judge"]["last"] - before["judge"]["last"]
    seen = after["judge"]["right"] - before["judge"]["right"]
    return round(1 - seen / drawn, 4) if drawn > 0 else 1.0


def broken(found: dict[str, Any]) -> list[str]:
    """Return what is beyond its limit, in words."""
    beyond = []
    for name in SOURCES:
        for key, most in LIMITS.items():
            value = found[name][key]
            if value is None or value >= most:
                beyond.append(f"{name}: {key} {value} (limit {most})")
        if found[name]["registrations_lost"] or found[name]["offline_looks"] or not found[name]["same_siteside"]:
            beyond.append(f"{name}: the recorder lost its registration, or the site side died")
    return beyond


def table(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    lines = [
        f"flood of {found['rate']}/s for {found['seconds']:g} s{'sent/s':>12}{'pictures lost':>15}{'offline':>9}{'RSS':>11}"
        f"{'again after':>13}{'CPU: siteside':>15}{'sender':>8}"
    ]
    for name in ("quiet", *SOURCES):
        row = found[name]
        again = (
            "-"
            if name == "quiet"
            else "never"
            if row["recovery_seconds"] is None
            else f"{row['recovery_seconds']:.2f} s"
        )
        lines.append(
            f"  {name:<29}{row['sender'].get('rate', 0):>7}{row['pictures_lost']:>15.2%}{row['registrations_lost']:>9}"
            f"{row['rss_growth_mb']:>+8.1f} MB{again:>13}{row['siteside_cpu']:>15.2f}{row['sender'].get('cpu', 0.0):>8.2f}"
        )
    return [*lines, *(f"  BEYOND: {each}" for each in broken(found))]


def main() -> int:
    """Measure, print, and write beside the other figures; 1 when a limit is broken."""
    if sys.argv[1:2] == ["send"]:
        print(json.dumps(send(sys.argv[2], float(sys.argv[3]))))
        return 0
    if sys.argv[1:2] == ["ask"]:
        ask(float(sys.argv[2]))
        return 0
    if not private.is_inside():
        return private.run_inside("tests.bench.flood")
    found = measure()
    print("\n".join(table(found)))
    others = json.loads(OUT.read_bytes()) if OUT.exists() else {}
    OUT.parent.mkdir(exist_ok=True)
    durable.write(OUT, json.dumps({**others, "flood": found}, indent=1).encode() + b"\n", mode=0o644)
    return int(bool(broken(found)))


if __name__ == "__main__":
    sys.exit(main())
