"""V01 and V02: what an owned recorder writes into fields that nobody needs is nowhere at the city, measured on both sides.

A field of the recorder's carries a bit; whether a field at the city knows of it is the mutual information of both over two
hundred messages, in bits. What does stay possible in media is measured as well (docs/media.md), and left in ``build/lab``.
"""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from edge.lab.capture import Capture
from edge.lab.city import BOX_ID
from edge.lab.orders import order
from edge.lab.recorder import ID
from edge.lab.street import Street, eventually
from edge.lab.topology import CITY_IP, LAN_IP, NVR_IP, TUNNEL_IP
from edge.rtp.rtcp import PACKET_TYPES
from tests.conftest import ORDERS
from tests.lab.signalling import NVR, SHARED, camera, open_street

__all__ = ["camera"]
pytestmark = pytest.mark.timeout(240)
MESSAGES = 200
#: Of two bits that have nothing to do with each other, over 200 messages, one pair in ten million seems to share this much.
CHANCE_BITS = 0.11
FIELDS = ("Call-ID", "branch", "tag", "User-Agent", "Subject", "display", "order", "CSeq", "Max-Forwards", "SN", "port",
          "Date", "unknown")  # fmt: skip


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    yield from open_street(tmp_path_factory.mktemp("site"), 2016, 2016)


def alarm(number: int, bits: dict[str, int], told: int) -> bytes:
    """Return an alarm whose fields carry a bit each; ``told`` is in its description, which crosses."""
    b, shown = bits, ("", '"north" ')
    lines = [
        f"Via: SIP/2.0/UDP {NVR_IP}:{5060 + 2 * b['port']};rport;branch=z9hG4bK{number}{'ab'[b['branch']] * 9}",
        f"From: {shown[b['display']]}<sip:{ID}@3402000000>;tag={number}{'cd'[b['tag']] * 5}",
        f"To: <sip:{BOX_ID}@3402000000>",
        f"Call-ID: {number}{'ef'[b['Call-ID']] * (8 + 8 * b['Call-ID'])}",
        f"CSeq: {1 + 77 * b['CSeq']} MESSAGE",
        f"Max-Forwards: {70 - b['Max-Forwards']}",
        f"User-Agent: {('one', 'another')[b['User-Agent']]}",
        f"Date: 2026-11-0{1 + b['Date']}T08:00:00",
    ]
    lines += [f"Subject: {number}"] * b["Subject"] + ["X-Vendor: 1"] * b["unknown"]
    if b["order"]:
        lines = [lines[0], *reversed(lines[1:])]
    body = (
        f'<?xml version="1.0" encoding="GB2312"?>\r\n<Notify>\r\n<CmdType>Alarm</CmdType>\r\n'
        f"<SN>{2 * number + 1000 * b['SN'] + b['SN']}</SN>\r\n<DeviceID>{SHARED}</DeviceID>\r\n"
        f"<AlarmPriority>1</AlarmPriority>\r\n<AlarmMethod>5</AlarmMethod>\r\n<AlarmTime>2026-11-01T08:00:00</AlarmTime>\r\n"
        f"<AlarmDescription>v{number:03d}{'xy'[told]}</AlarmDescription>\r\n</Notify>\r\n"
    ).encode("gb18030")
    lines += ["Content-Type: Application/MANSCDP+xml", f"Content-Length: {len(body)}"]
    head = f"MESSAGE sip:{BOX_ID}@{LAN_IP}:5060 SIP/2.0\r\n" + "\r\n".join(lines) + "\r\n\r\n"
    return head.encode() + body


class Tap:
    """What the box says to the city's platform on its connection, put together again."""

    def __init__(self, capture: Capture) -> None:
        self._pieces: dict[int, bytes] = {}
        self._ends = IPv4Address(TUNNEL_IP).packed + IPv4Address(CITY_IP).packed
        capture.watches[b"tap"] = self._see

    def _see(self, frame: bytes) -> bool:
        if frame[12:20] == self._ends and frame[9] == 6 and frame[22:24] == (5060).to_bytes(2, "big"):
            data = frame[20 + (frame[32] >> 4) * 4 : int.from_bytes(frame[2:4], "big")]
            if data:
                self._pieces[int.from_bytes(frame[24:28], "big")] = data
        return False

    def alarms(self) -> dict[int, bytes]:
        """Return the alarms that were seen, by their number."""
        whole, end = b"", -1
        for at, data in sorted(self._pieces.items()):
            whole += data[max(0, end - at) :] if end >= at else data
            end = max(end, at + len(data))
        found = {}
        for message in re.split(rb"(?=(?:MESSAGE|REGISTER|SIP/2\.0) )", whole):
            number = re.search(rb"<AlarmDescription>v(\d{3})", message)
            if message.startswith(b"MESSAGE") and number:
                found[int(number[1])] = message
        return found


def fields(message: bytes) -> dict[str, object]:
    """Return what an eavesdropper at the city can read out of a message's fields, but for what the alarm says."""
    head, _, body = message.partition(b"\r\n\r\n")
    text = head.decode()
    lines = text.split("\r\n")
    named = {line.partition(":")[0]: line.partition(":")[2].strip() for line in lines[1:]}
    branch, tag, call = (re.search(p, text) for p in (r"branch=([^;\r]+)", r"From:.*tag=(\S+)", r"Call-ID: (\S+)"))
    sn = re.search(rb"<SN>(\d+)</SN>", body)
    assert branch is not None and tag is not None and call is not None and sn is not None  # noqa: PT018 - of one message
    lots = {"branch": branch[1], "tag": tag[1], "Call-ID": call[1]}
    count = int(named["CSeq"].split()[0])
    rest = text
    for lot in (*lots.values(), named["CSeq"], named["Content-Length"]):
        rest = rest.replace(lot, "#")
    found: dict[str, object] = {"all else": rest, "names": tuple(line.partition(":")[0] for line in lines[1:])}
    found |= {f"length of {name}": len(lot) for name, lot in lots.items()}
    found |= {f"{name}, bit {at}": ord(lot[-1 - at]) & 1 for name, lot in lots.items() for at in range(3)}
    # A count goes on by one, whatever was asked: its lowest bit is the message's place.
    found |= {
        "CSeq, length": len(str(count)),
        "SN, length": len(sn[1]),
        "body": re.sub(rb"<(SN|AlarmDescription)>[^<]*", b"", body),
    }
    return found


def information(one: Sequence[object], other: Sequence[object]) -> float:
    """Return the mutual information of two columns, in bits."""
    n, pairs, a, b = len(one), Counter(zip(one, other, strict=True)), Counter(one), Counter(other)
    return sum(k / n * math.log2(k * n / (a[x] * b[y])) for (x, y), k in pairs.items())


def test_v01_no_field_of_the_recorders_messages_is_known_at_the_city(street: Street, camera: str) -> None:
    dice = random.Random(1)  # noqa: S311 - a draw that can be repeated
    capture = Capture("city")
    tap = Tap(capture)
    sent, told = {}, {}
    try:
        for number in range(MESSAGES):
            sent[number] = {name: dice.getrandbits(1) for name in FIELDS}
            told[number] = dice.getrandbits(1)
            data = alarm(number, sent[number], told[number])
            order(NVR, f"raw {data.hex()}")
            time.sleep(0.02)
        eventually(lambda: len(tap.alarms()) >= MESSAGES * 95 // 100, 40, f"the alarms; seen: {len(tap.alarms())}")
        came = tap.alarms()
    finally:
        capture.close()
    columns: dict[str, list[object]] = {}
    for number in sorted(came):
        for name, value in fields(came[number]).items():
            columns.setdefault(name, []).append(value)
    known = {
        (field, name): information([sent[number][field] for number in sorted(came)], column)
        for field in FIELDS
        for name, column in columns.items()
    }
    assert max(known.values()) < CHANCE_BITS, sorted(known.items(), key=lambda each: -each[1])[:5]
    for name in ("all else", "names", "body", "length of branch", "length of tag", "length of Call-ID"):
        assert len(set(columns[name])) == 1, f"{name}: the same in each message"
    crossing = [came[number].partition(b"<AlarmDescription>")[2][4] for number in sorted(came)]
    control = information([told[number] for number in sorted(came)], crossing)
    assert control > 0.95, "the control: what the alarm says does cross"


# -- media ------------------------------------------------------------------------------------------------------------


Seen = list[tuple[float, int, int, int]]


def rtp_of(capture: Capture, source: str, target: str) -> Seen:
    """Have a capture note each RTP packet from one address to another: when, its number, its time stamp, its size."""
    ends, found = IPv4Address(source).packed + IPv4Address(target).packed, []

    def watch(frame: bytes) -> bool:
        for at in (0, 14):
            head = frame[at + 28 : at + 40]
            rtp = len(head) == 12 and head[0] >> 6 == 2 and head[1] not in PACKET_TYPES  # a report now and then is none
            if rtp and frame[at + 12 : at + 20] == ends and frame[at + 9] == 17:
                numbers = (int.from_bytes(head[2:4], "big"), int.from_bytes(head[4:8], "big"))
                found.append((time.monotonic(), *numbers, int.from_bytes(frame[at + 24 : at + 26], "big")))
        return False

    capture.watches[b"rtp"] = watch
    return found


def test_v02_what_stays_in_sizes_and_times_is_as_it_is_written_down(street: Street, camera: str) -> None:
    """Ten seconds of a view on both sides, packet by packet."""
    before, after = Capture("lan"), Capture("city")
    try:
        order(ORDERS, f"play {camera}")
        eventually(lambda: order(ORDERS, "facts")["judge"].get("right", 0) > 25, 40, "pictures")
        came, left = rtp_of(before, NVR_IP, LAN_IP), rtp_of(after, TUNNEL_IP, CITY_IP)
        eventually(lambda: len(came) > 800, 60, "ten seconds of packets")
        time.sleep(0.5)
    finally:
        before.close()
        after.close()
        order(ORDERS, "stop")
        eventually(lambda: not street.said("ferry").get("views"), 30, "the view's end")
    # Both are the same packets in the same order; the first of each list may be another's.
    start = next(at for at in range(50) if [p[3] for p in left[at : at + 200]] == [p[3] for p in came[:200]])
    pairs = list(zip(came, left[start:], strict=False))
    assert len(pairs) > 700
    shifts = {((b[1] - a[1]) & 0xFFFF, (b[2] - a[2]) & 0xFFFFFFFF) for a, b in pairs}
    assert len(shifts) == 1, "numbers and time stamps are shifted by one lot, and by nothing else"
    ((number, stamp),) = shifts
    assert number, "a lot that is 0 is one in 65536"
    assert stamp
    sizes = sum(a[3] == b[3] for a, b in pairs) / len(pairs)
    assert sizes > 0.99, "as it is written: sizes follow the recorder's"
    seconds = pairs[-1][0][0] - pairs[0][0][0]
    entropy = information([p[0][3] for p in pairs], [p[1][3] for p in pairs])
    delays = sorted(b[0] - a[0] for a, b in pairs)
    told = {
        "packets_a_second": round(len(pairs) / seconds, 1), "sizes_kept": sizes, "bits_a_packet_in_sizes": round(entropy, 2),
        "delay_ms": {f"p{share}": round(1000 * delays[len(delays) * share // 100], 2) for share in (1, 50, 95, 99)},
    }  # fmt: skip
    Path("build/lab").mkdir(parents=True, exist_ok=True)
    Path("build/lab/v02.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
