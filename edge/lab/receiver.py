"""What the lab's city receives of one call: by UDP or over a connection that it listens for, with a judge of the pictures."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from edge.lab.elementary import Unpacking
from edge.lab.video import Judge, Verdict
from edge.rtp.packet import RemoteRtpError, RtpPacket
from edge.rtp.rtcp import PACKET_TYPES, SENDER_REPORT, ReportBlock, middle, ntp, receiver_report

#: What the city's offers call each payload type.
ENCODINGS = {96: "PS", 98: "H264", 100: "H265"}
_READ_BYTES = 1 << 18


class Receiver:
    """One call's media at the city. ``facts`` is what the tests see of the call; the first packet says what is judged."""

    def __init__(
        self, host: str, port: int, ssrc: int, framed: bool, types: tuple[int, ...], reports: int | None = None
    ) -> None:
        """``reports`` is the UDP port that RTCP comes to: None for none, the media's own for both by one."""
        self.leg: str | None = None
        self.port, self.ssrc, self.framed = port, ssrc, framed
        self._types, self._type = types, 0
        self._judge: Judge | None = None
        self._unpacking: Unpacking | None = None
        self.facts: dict[str, Any] = {
            "call": "asked", "asked_at": time.monotonic(), "status": 0, "packets": 0, "foreign_ssrc": 0, "port": port,
            "playback": [], "finished": False, "connection": "", "encoding": "", "longest": 0, "reports": 0, "report": {},
        }  # fmt: skip
        #: How many packets it says that it has lost; None: it answers no report.
        self.lost: int | None = 0
        self._highest = 0
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._connection: socket.socket | None = None
        self._opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM if framed else socket.SOCK_DGRAM)
        self._opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << (16 if framed else 20))
        self._opened.bind((host, port))
        self._opened.setblocking(False)
        if framed:
            self._opened.listen(1)
        self._loop.add_reader(self._opened.fileno(), self._accept if framed else self._receive)
        self._ear: socket.socket | None = None
        if not framed and reports not in (None, port):
            self._ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._ear.bind((host, reports))
            self._ear.setblocking(False)
            self._loop.add_reader(self._ear.fileno(), self._receive_report, self._ear)

    def told(self) -> dict[str, Any]:
        """Return what is known of the call, and what the judge saw."""
        verdict = self._judge.verdict if self._judge is not None else Verdict()
        unfit = self._unpacking.wrong if self._unpacking is not None else 0
        return self.facts | {"unfit": unfit, "judge": {
            "right": verdict.right, "wrong": verdict.wrong, "errors": verdict.errors[:20],
            "error_count": len(verdict.errors), "last": verdict.last_number, "size": list(verdict.size), "first_at": verdict.first_at,
            "last_at": verdict.last_at, "longest_gap": verdict.longest_gap,
        }}  # fmt: skip

    def mark(self) -> None:
        """From now on the longest time between two right pictures is looked for anew."""
        if self._judge is not None:
            self._judge.verdict.longest_gap = 0.0

    def finish(self) -> None:
        """All is there: let the judge see the end of it."""
        if self._judge is not None:
            self._judge.finish()

    def back(self, data: bytes) -> None:
        """Say something down the connection, where nothing is to be said."""
        if self._connection is not None:
            self._connection.send(data)

    def read(self, on: bool) -> None:
        """Read the connection, or let it fill."""
        if self._connection is not None and on:
            self._loop.add_reader(self._connection.fileno(), self._stream)
        elif self._connection is not None:
            self._loop.remove_reader(self._connection.fileno())

    def close(self) -> None:
        for opened in (self._opened, self._connection, self._ear):
            if opened is not None:
                self._loop.remove_reader(opened.fileno())
                opened.close()
        self.finish()

    def _receive(self) -> None:
        for _ in range(256):
            try:
                data, source = self._opened.recvfrom(65536)
            except OSError:
                return
            if len(data) > 1 and data[1] in PACKET_TYPES:
                self._told(data, functools.partial(self._answer_to, source))
            else:
                self._take(data)

    def _answer_to(self, source: tuple[str, int], answer: bytes) -> None:
        self._opened.sendto(answer, source)

    def _receive_report(self, ear: socket.socket) -> None:
        try:
            data, source = ear.recvfrom(65536)
        except OSError:
            return
        self._told(data, lambda answer: ear.sendto(answer, source))

    def _told(self, data: bytes, answer: Callable[[bytes], object]) -> None:
        """Take a report of the sender, and answer with one of ours."""
        self.facts["reports"] += 1
        if data[1] != SENDER_REPORT or len(data) < 28:
            return
        ssrc, stamp, timestamp, packets, octets = struct.unpack_from("!IQIII", data, 4)
        self.facts["report"] = {
            "ssrc": ssrc, "timestamp": timestamp, "packets": packets, "octets": octets, "name": data[38:54].decode("latin-1"),
            "bytes": len(data), "received": self.facts["packets"], "late": time.time() - (stamp / (1 << 32) - 2_208_988_800),
            "last": self.facts.get("timestamp", 0),
        }  # fmt: skip
        if self.lost is not None:
            # Held for a while, so that the way there and back is not what lies between.
            self._loop.call_later(0.2, self._answer, answer, middle(stamp), time.time())

    def _answer(self, answer: Callable[[bytes], object], stamp: int, came: float) -> None:
        delay = middle(ntp(time.time())) - middle(ntp(came)) & 0xFFFFFFFF
        block = ReportBlock(self.ssrc, 0, self.lost or 0, self._highest, 0, stamp, delay)
        with contextlib.suppress(OSError):
            answer(receiver_report(1, (block,), b"the lab's city"))

    def _accept(self) -> None:
        try:
            taken, peer = self._opened.accept()
        except OSError:
            return
        if self._connection is not None:
            taken.close()
            return
        taken.setblocking(False)
        self._connection, self.facts["connection"] = taken, "open"
        self.facts["dialled_from"] = list(peer)
        self.read(on=True)

    def _stream(self) -> None:
        assert self._connection is not None  # it is what is read
        try:
            data = self._connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.facts["connection"] = "closed"
            self.read(on=False)
            return
        data, at = self._rest + data, 0
        while len(data) - at >= 2 and len(data) - at >= 2 + (size := int.from_bytes(data[at : at + 2], "big")):
            self._take_frame(data[at + 2 : at + 2 + size])
            at += 2 + size
        self._rest = data[at:]

    def _take_frame(self, data: bytes) -> None:
        if len(data) > 1 and data[1] in PACKET_TYPES:
            self._told(data, lambda answer: self.back(len(answer).to_bytes(2, "big") + answer))
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            packet = RtpPacket.parse(data)
        except RemoteRtpError:
            self.facts["foreign_ssrc"] += 1
            return
        good = packet.payload_type == self._type if self._type else packet.payload_type in self._types
        if packet.ssrc != self.ssrc or not good:
            self.facts["foreign_ssrc"] += 1
            return
        if self._judge is None:
            self.facts["first_packet_at"] = time.monotonic()
            self._type, encoding = packet.payload_type, ENCODINGS[packet.payload_type]
            self.facts["encoding"] = encoding
            self._judge = Judge(encoding)
            self._unpacking = Unpacking(encoding) if encoding != "PS" else None
        self.facts["packets"] += 1
        self.facts["longest"] = max(self.facts["longest"], len(data))
        self.facts["timestamp"], self._highest = packet.timestamp, packet.sequence
        stream = self._unpacking.feed(packet.payload) if self._unpacking is not None else packet.payload
        if stream:
            self._judge.feed(stream)
