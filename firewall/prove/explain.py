"""Which rule decides of each packet of a capture: the packets are sent again, against the rules in a scratch namespace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from scapy.error import Scapy_Exception
from scapy.utils import RawPcapReader

from firewall.prove.opened import opened
from firewall.prove.packet import Room
from firewall.prove.trial import Stage, decided
from netconf.learned import Learned
from netconf.model import Site

MAX_CAPTURE_BYTES, MAX_PACKETS = 64 << 20, 5000
_ETHERNET, _IPV4 = 1, (101, 228)
_HEAD_BYTES = 14


class BadCapture(Exception):
    """It cannot be read as a capture of Ethernet frames or IPv4 packets; the message says why."""


def explained(path: Path, room: Room, site: Site, learned: Learned, texts: Mapping[Room, str]) -> Iterator[str]:
    """Yield a line a packet, of which only those that came to the box are sent again.

    Raises:
        BadCapture, NoScratch, NftRefused
    """
    frames = list(_frames(path))
    stage = Stage(site, learned, ())
    try:
        stage.load(texts)
        stage.load(opened(site))
        own = bytes.fromhex(stage.mac(room).replace(":", ""))
        before = stage.counters(room)
        for number, data in enumerate(frames, 1):
            stage.send_frame(room, own + data[6:])
            now = stage.counters(room)
            rule = decided("in", now, before)
            before = now
            said = f"{rule.verdict}\t{rule.comment}" if rule is not None else "drop\tthe kernel, before any rule"
            yield f"{number}\t{_named(data)}\t{said}"
    finally:
        stage.close()


def _frames(path: Path) -> Iterator[bytes]:
    try:
        if path.stat().st_size > MAX_CAPTURE_BYTES:
            raise BadCapture(f"more than {MAX_CAPTURE_BYTES} octets")
        with RawPcapReader(str(path)) as capture:
            kind = getattr(capture, "linktype", _ETHERNET)
            for at, (data, _) in enumerate(capture):
                if at >= MAX_PACKETS:
                    raise BadCapture(f"more than {MAX_PACKETS} packets")
                if kind in _IPV4:
                    data = bytes(12) + b"\x08\x00" + data
                elif kind not in (None, _ETHERNET):
                    raise BadCapture(f"link type {kind}")
                if len(data) > _HEAD_BYTES:
                    yield bytes(data)
    except (OSError, Scapy_Exception, EOFError) as wrong:
        raise BadCapture(str(wrong)) from None


def _named(data: bytes) -> str:
    """Return addresses and ports, as far as they stand there."""
    if data[12:14] != b"\x08\x00" or len(data) < _HEAD_BYTES + 20:
        return f"ethertype {data[12:14].hex()}"
    head = data[_HEAD_BYTES:]
    source, target = (".".join(map(str, head[at : at + 4])) for at in (12, 16))
    at, protocol = 4 * (head[0] & 0xF), head[9]
    if protocol in (6, 17) and len(head) >= at + 4:
        ports = (int.from_bytes(head[at + n : at + n + 2], "big") for n in (0, 2))
        return f"{'tcp' if protocol == 6 else 'udp'} {source}:{next(ports)} > {target}:{next(ports)}"
    return f"protocol {protocol} {source} > {target}"
