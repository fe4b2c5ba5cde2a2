"""The lab's recorder: the product's own device role in front of real H.264 from ffmpeg, muxed to PS by its own muxer.

``form NAME TYPE`` has it answer with another encoding from now on; of ``H264`` and ``H265`` it sends elementary streams.

Its recordings are painted when they are asked for: picture 25 x n is the n-th second. It takes one-line orders on a unix
socket: ``alarm CHANNEL``, ``position CHANNEL``, ``status CHANNEL ON|OFF``, ``facts``; and, owned by somebody who means ill,
``raw HEX`` (a datagram to the box) and ``sdp HEX`` (how it answers invitations from now on; none: as it should).
``send HOW`` says how it sends: ``right``, ``nothing``, ``large`` (packets that go in pieces), ``heavy`` (far more than a
camera does), ``rtcp`` and ``numbers`` (what is beside the packets: ``beside``), ``ssrc`` (another one), a payload type, or from another
of its addresses; with a channel behind it, that one's alone; ``refuse STATUS`` how it answers invitations (0: as it should);
``goes_on 1`` that a BYE does not stop its stream, until ``goes_on 0``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from edge.gb28181.device import Device, DeviceConfig, OrderReceived
from edge.gb28181.legs import CallAnswered, CallEnded, CallEstablished, InviteReceived, PlaybackReceived
from edge.gb28181.orders import ANSWERED
from edge.gb28181.pager import pages
from edge.io.chance import SystemChance
from edge.io.tcp import TcpLines
from edge.io.udp import UdpShell
from edge.lab import elementary
from edge.lab import orders as orders_of
from edge.lab.capture import MARKER_BYTES, PREFIX
from edge.lab.sound import Ear
from edge.lab.topology import LAN_IP, NVR_IP
from edge.lab.video import RATE, Camera
from edge.manscdp.catalog import CatalogEntry
from edge.manscdp.control import ControlResponse
from edge.manscdp.device import PositionNotify, PresetEntry, PresetQuery, PresetResponse
from edge.manscdp.events import AlarmNotify, Broadcast, BroadcastResponse
from edge.manscdp.recordings import RecordInfoQuery, RecordInfoResponse, Recording
from edge.mansrtsp.control import PlaybackRequest
from edge.rtp.packet import PAYLOAD_BYTES, RtpPacket, packetise
from edge.rtp.ps import CLOCK, mux
from edge.rtp.rtcp import RemoteRtcpError, parse
from edge.sdp.description import FRAMED, MediaDescription
from edge.sip.address import Address
from netconf.secrets import read_password

ID, BOX_ID, DOMAIN = "34020000001180000001", "34020000002008000001", "3402000000"
CHANNELS = {"34020000001310000001": "北门", "34020000001310000002": "值班室"}
MEDIA_PORT, EAR_PORT = 15060, 15062
#: A little over two days (2026-11-01T00:00:00 in Beijing).
FIRST_RECORDING, RECORDINGS = 1_793_462_400, 3000
_IP_MTU_DISCOVER = 10
TRANSPORT = Path("/run/snowgate-recorder-speaks-tcp")


def transport() -> Literal["udp", "tcp"]:
    """Return how this recorder speaks SIP: the file ``transport`` beside the street's sockets says tcp, or it is UDP."""
    return "tcp" if TRANSPORT.exists() else "udp"


class Sender:
    """One stream to one receiver, from an established call to its end; ``how`` says at each packet how it is sent."""

    def __init__(
        self,
        what: tuple[str, str, int],
        offer: MediaDescription,
        port: int,
        on_end: Callable[[], None],
        how: Callable[[], str],
        form: tuple[str, int],
    ) -> None:
        self.what, self.port = what, port
        self._encoding, self._payload_type = form
        #: Reports that came, and what the last said of our stream.
        self.reports, self.report = 0, {}  # type: tuple[int, dict[str, int]]
        self._offer = offer
        self._how = how
        self._on_end = on_end
        self._to = (offer.address, offer.port)
        self._ssrc = offer.ssrc or 1
        #: By TCP, as the offer says who dials; RTSP's framing where ``how`` says so.
        self._framed = offer.transport == FRAMED
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if self._framed else socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((how() if "." in how() else NVR_IP, port))
        if offer.setup == "active":
            self._socket.listen(1)
        self._ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ear.setblocking(False)
        self._ear.bind((NVR_IP, port + 1))
        self._camera: Camera | None = None
        self._stopped = self._stalled = False
        self._sequence = 0

    def start(self) -> None:
        offer = self._offer
        last = (offer.end - offer.start) * RATE if offer.end else 1 << 24
        # What is live of each camera begins at a number of its own: the judge sees which one it is.
        first = 0 if offer.end else live_from(self.what[0])
        encoding = "H265" if self._encoding == "H265" else "H264"
        self._camera = Camera(first, last, offer.speed or 1, sub=self.what[2] > 0, encoding=encoding)
        threading.Thread(target=self._run, args=(self._camera,), daemon=True).start()

    def _connect(self) -> None:
        if self._offer.setup == "active":
            listener = self._socket
            listener.settimeout(20)
            self._socket, _ = listener.accept()
            listener.close()
        else:
            self._socket.settimeout(20)
            self._socket.connect(self._to)

    def _send(self, data: bytes, how: str) -> None:
        if self._framed and how == "stalled":
            self._socket.sendall(b"\xff" if self._stalled else b"\xff\xff\x80\x60")
            self._stalled = True
            time.sleep(1)
        elif self._framed and how in FRAMES:
            self._socket.sendall(FRAMES[how])
            time.sleep(0.01)
        elif self._framed and how == "urgent":
            self._socket.send(b"!", socket.MSG_OOB)
            self._socket.sendall(len(data).to_bytes(2, "big") + data)
        elif self._framed and how == "lies":
            self._socket.sendall(b"\x00\x05" + mark(how) + len(data).to_bytes(2, "big") + data)
        elif self._framed:
            prefix = b"$\0" if how == "interleaved" else b""
            self._socket.sendall(prefix + len(data).to_bytes(2, "big") + data)
        else:
            if how == "headers":  # what a header of IP can say: another in each packet
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1 + os.urandom(1)[0] % 255)
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, os.urandom(1)[0])
                # Without "don't fragment" a packet has an identification of its own (RFC 6864).
                self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, 2 * (os.urandom(1)[0] % 2))
            self._socket.sendto(data, self._to)

    def _beside(self, packet: RtpPacket) -> None:
        """Send what is no packet of the stream."""
        how = self._how()
        for rtcp, data in beside(packet, how):
            self._send(data, how)
            if rtcp and not self._framed:
                self._ear.sendto(data, (self._to[0], self._to[1] + 1))

    def _hear(self) -> None:
        with contextlib.suppress(OSError, RemoteRtcpError):
            while True:
                data = self._ear.recv(2048)
                self.reports += 1
                block = parse(data, self._ssrc).block
                if block is not None:
                    self.report = {"lost": block.lost, "fraction": block.fraction, "jitter": block.jitter,
                                   "highest": block.highest, "sent": self._sequence, "bytes": len(data)}  # fmt: skip

    def _run(self, camera: Camera) -> None:
        try:
            if self._framed:
                self._connect()
        except OSError:
            return  # nobody is there: the view ends as one without media
        for number, unit in enumerate(camera.units()):
            pts = number * CLOCK // RATE
            self._hear()
            for packet in self._packets(unit, pts, self._sequence):
                self._sequence += 1
                if self._stopped:
                    return
                data = spoilt(bytes(packet), self._how())
                try:
                    if data:
                        self._send(data, self._how())
                    if packet.marker:
                        self._beside(packet)
                except OSError:
                    continue  # the receiver is gone: its BYE is on the way
        if not self._stopped:
            self._on_end()

    def _packets(self, unit: bytes, pts: int, sequence: int) -> Iterator[RtpPacket]:
        how = self._how()
        if self._encoding not in ("H264", "H265"):
            return packetise(laden(unit, pts, how), pts, sequence, self._ssrc, self._payload_type)
        room = 1440 if how == "long" else PAYLOAD_BYTES
        made = laden_unit(unit, how)
        return elementary.packets(made, self._encoding, pts, sequence, self._ssrc, self._payload_type, room)

    def control(self, wanted: PlaybackRequest) -> None:
        """Play otherwise (2016 annex B)."""
        camera = self._camera
        if camera is None:
            return
        camera.paused = wanted.action == "PAUSE"
        if wanted.scale is not None:
            camera.step = max(1, wanted.scale // 100)
        if wanted.position is not None:
            camera.number = wanted.position * RATE // 1000

    def stop(self) -> None:
        self._stopped = True
        if self._camera is not None:
            self._camera.stop()
        self._socket.close()
        self._ear.close()


def live_from(channel: str) -> int:
    """Return the number of a camera's first live picture."""
    return list(CHANNELS).index(channel) << 20


def mark(how: str) -> bytes:
    """Return the octets that a recorder of this kind puts where they do not belong."""
    return (PREFIX + how.encode("ascii")).ljust(MARKER_BYTES, b"_")[:MARKER_BYTES]


#: What is no frame of a stream, sent again and again: lengths of nothing, another protocol, the longest frames of a stranger's.
FRAMES = {
    "zeros": bytes(1024),
    "web": b"POST /" + mark("web") + b" HTTP/1.1\r\nContent-Length: 99999\r\n\r\n",
    "longest": (b"\xff\xff\x80\x60" + bytes(10) + mark("longest") + bytes(65_535 - 20)),
}


def beside(packet: RtpPacket, how: str) -> list[tuple[bool, bytes]]:
    """Return what a recorder of this kind sends beside a packet, and whether it is RTCP.

    ``rtcp``: reports with blocks, names, notes, application data, extended reports and farewells, also one by one and as they
    look with RTP's marker; ``numbers``: packets with another SSRC, another number, an old number and time.
    """
    said = mark(how) * 4
    if how == "numbers":
        octets = b"\0\0\1\xbd" + len(said).to_bytes(2, "big") + said
        later = (packet.sequence + 30_000) & 0xFFFF
        before = (packet.sequence - 60) & 0xFFFF
        strange = [
            replace(packet, ssrc=packet.ssrc ^ 0x5A, payload=octets),
            replace(packet, sequence=later, payload=octets),
            replace(packet, sequence=before, timestamp=(packet.timestamp - 900_000) & 0xFFFFFFFF, payload=octets),
        ]
        return [(False, bytes(each)) for each in strange]
    if how != "rtcp":
        return []
    own = packet.ssrc.to_bytes(4, "big")
    name = own + b"\1\x20" + said + b"\7\x20" + said + bytes(4)
    made = {
        200: own + bytes(20), 202: name, 204: own + said, 207: own + b"\4\0\0\x08" + said, 203: own + b"\x20" + said + bytes(3),
    }  # fmt: skip
    packets = [bytes((0x81, kind)) + (len(body) // 4).to_bytes(2, "big") + body for kind, body in made.items()]
    packets[0] = bytes((0x80,)) + packets[0][1:]
    farewells = [packets[-1]] * 10
    return [(True, each) for each in (*packets, b"".join(packets), *farewells)]


def laden(unit: bytes, pts: int, how: str) -> bytes:
    """Return a picture's program stream with something beside the picture in it."""
    more = mark(how) * 300
    if how == "heavy":
        return mux(unit + b"\0\0\0\1\x0c" + b"\x5a" * HEAVY_BYTES + b"\x80", pts)
    if how == "sei":
        return mux(b"\0\0\0\1\x06\x05" + more + b"\x80" + unit, pts)
    if how == "filler":
        return mux(b"\0\0\0\1\x0c" + more + b"\x80" + unit, pts)
    if how == "behind":
        return mux(unit + b"\0\0\0\1\x0c" + more + b"\x80", pts)
    stream = {"private": 0xBD, "private2": 0xBF, "padding": 0xBE, "unmapped": 0xE5}.get(how)
    if stream is None:
        return mux(unit, pts)
    return mux(unit, pts) + b"\0\0\1" + bytes((stream,)) + (len(more) + 3).to_bytes(2, "big") + b"\x80\0\0" + more


def laden_unit(unit: bytes, how: str) -> bytes:
    """Return a picture of an elementary stream with something beside the picture in it."""
    more = mark(how) * 300
    beside = {"sei": b"\x06\x05" + more + b"\x80", "filler": b"\x0c" + more + b"\x80", "private": b"\x7e" + more[:160],
              "reserved": b"\x76" + more[:1200]}  # fmt: skip
    if how == "behind":
        return unit + more
    if how == "seis":  # a flood of small ones
        return b"\0\0\0\1".join([b"", *[b"\x06\x05\x20" + mark(how) * 4 + b"\x80"] * 30]) + unit
    return b"\0\0\0\1" + beside[how] + unit if how in beside else unit


#: Behind each picture of a ``heavy`` recorder: 20 Mbit/s.
HEAVY_BYTES = 100_000

#: What is no media at all, in good RTP.
CONTENTS = {"tls": b"\x17\x03\x03\x04\x00", "http": b"HTTP/1.1 200 OK\r\n\r\n", "zip": b"PK\x03\x04", "noise": b""}


def spoilt(packet: bytes, how: str) -> bytes:
    """Return a packet as a recorder of this kind sends it; b"" for not at all."""
    if how == "nothing":
        return b""
    if how == "large":
        return packet + bytes(3000)
    if how in CONTENTS:
        return packet[:12] + CONTENTS[how] + mark(how) + os.urandom(1200)
    if how == "extension":
        return bytes([packet[0] | 0x10]) + packet[1:12] + b"\xbe\xde\0\2" + mark(how) + packet[12:]
    if how == "sources":
        return bytes([packet[0] | 2]) + packet[1:12] + mark(how) + packet[12:]
    if how == "padded":
        return bytes([packet[0] | 0x20]) + packet[1:] + mark(how) + b"\x09"
    if how == "ssrc":
        return packet[:8] + bytes([packet[8] ^ 0x5A]) + packet[9:]
    return packet[:1] + bytes([int(how) | packet[1] & 0x80]) + packet[2:] if how.isdigit() else packet


class _Raw(MediaDescription):
    """A description that is whatever octets it is."""

    def __init__(self, octets: bytes) -> None:
        object.__setattr__(self, "session_name", octets)

    def __bytes__(self) -> bytes:
        return self.session_name  # type: ignore[return-value]


class Recorder:
    """The recorder's process."""

    def __init__(self, secrets: Path, edition: int, box: str) -> None:
        local, server = Address(NVR_IP, 5060), Address(LAN_IP, 5060, transport())
        password = read_password(secrets, f"recorder-{ID}") or ""
        config = DeviceConfig(
            ID, DOMAIN, local, server, box, DOMAIN, password, keepalive_seconds=3, retry_seconds=1.0,
            user_agent="lab recorder", manufacturer="snowgate lab", model="recorder", edition=edition,
        )  # fmt: skip
        self._device = Device(config, SystemChance())
        self._status = dict.fromkeys(CHANNELS, "ON")
        self._show()
        self._udp = UdpShell(self._device, local, self._event)
        self._server = server
        self._lines = TcpLines(self._udp.receive, self._connected, self._disconnected)
        self._udp.lines = self._lines
        self._senders: dict[str, Sender] = {}
        self._ear: Ear | None = None
        self._answer_with = b""
        self._how, self._refusal = "right", 0
        #: Streams that a BYE has not stopped; None where it does.
        self._going_on: list[Sender] | None = None
        self._form = ("PS", 96)
        self._hows: dict[str, str] = {}
        self._loop = asyncio.get_running_loop()
        self.facts: dict[str, Any] = {"orders": [], "playback": [], "talk": "", "invited": 0, "streams": []}

    def _show(self) -> None:
        entries = [
            CatalogEntry(
                code, name=name, manufacturer="snowgate lab", model="camera", parent_id=ID, ptz_type=3,
                status=self._status[code],
            )
            for code, name in CHANNELS.items()
        ]  # fmt: skip
        self._device.set_catalog(entries, time.monotonic())

    async def run(self, orders: Path) -> None:
        await self._udp.start()
        if self._server.transport == "tcp":
            self._lines.dial(NVR_IP, self._server)
        else:
            self._device.start(time.monotonic())
            self._udp.flush()
        async with await orders_of.serve(orders, self._obey) as server:
            await server.serve_forever()

    def _obey(self, words: list[str]) -> dict[str, Any]:
        now, verb = time.monotonic(), words[0] if words else ""
        if verb == "alarm":
            self._device.alarm(
                words[1], AlarmNotify(0, words[1], 1, 5, int(time.time()), "移动侦测", alarm_type=2), now
            )
        elif verb == "position":
            self._device.position(PositionNotify(1, words[1], int(time.time()), 121_473_700, 31_230_400, 125), now)
        elif verb == "raw":
            self._udp.say(bytes.fromhex(words[1]), self._server)
        elif verb == "sdp":
            self._answer_with = bytes.fromhex(words[1]) if len(words) > 1 else b""
        elif verb == "send" and len(words) > 2:
            self._hows[words[2]] = words[1]
        elif verb == "send":
            self._how = words[1]
            self._hows.clear()
        elif verb == "goes_on":
            for sender in self._going_on or ():
                sender.stop()
            self._going_on = [] if words[1] == "1" else None
        elif verb == "form":
            self._form = (words[1], int(words[2]))
        elif verb == "refuse":
            self._refusal = int(words[1])
        elif verb == "status":
            self._status[words[1]] = words[2]
            self._show()
        self._udp.flush()
        senders = {
            str(sender.port): {"reports": sender.reports, "report": sender.report} for sender in self._senders.values()
        }
        return self.facts | {"senders": senders}

    def _connected(self) -> None:
        self._device.reconnected(time.monotonic())
        self._udp.drain()

    def _disconnected(self) -> None:
        self._device.disconnected(time.monotonic())
        self._udp.drain()

    def _event(self, event: Any, now: float) -> None:
        print(event, file=sys.stderr, flush=True)
        if isinstance(event, InviteReceived):
            self._invited(event, now)
        elif isinstance(event, CallEstablished):
            sender = self._senders.get(event.call)
            if sender is not None:
                sender.start()
        elif isinstance(event, CallEnded):
            ended = self._senders.pop(event.call, None)
            if ended is not None and self._going_on is not None:
                self._going_on.append(ended)
            elif ended is not None:
                ended.stop()
            else:
                self.facts["talk"] = "ended"
                self._listen(on=False)
        elif isinstance(event, PlaybackReceived):
            sender = self._senders.get(event.call)
            if sender is not None:
                sender.control(event.request)
                self.facts["playback"].append([event.request.action, event.request.scale, event.request.position])
            self._device.answer_playback(event.order, 200 if sender is not None else 481, now)
        elif isinstance(event, OrderReceived):
            self._ordered(event.body, now)
        elif isinstance(event, CallAnswered):
            self.facts["talk"] = f"{event.answer.media} {event.answer.direction}"

    def _invited(self, event: InviteReceived, now: float) -> None:
        if event.channel not in CHANNELS:
            self._device.refuse(event.call, 404, "Not Found", now)
            return
        if self._refusal:
            self._device.refuse(event.call, self._refusal, "Busy Here", now)
            return
        self.facts["invited"] += 1
        what = (event.channel, event.offer.session_name, event.offer.stream or 0)
        self.facts["streams"].append([event.channel, event.offer.stream, event.offer.stream_attribute])
        # A second INVITE for the same means: drop the old stream, start the new (GB/T 28181-2016 annex K).
        for call, old in list(self._senders.items()):
            if old.what == what:
                old.stop()
                del self._senders[call]
        taken = {sender.port for sender in self._senders.values()}
        port = next(port for port in range(MEDIA_PORT, MEDIA_PORT + 400, 4) if port not in taken)

        def ended() -> None:
            self._loop.call_soon_threadsafe(self._end_of_file, event.call, event.channel)

        def how() -> str:
            return self._hows.get(event.channel, self._how)

        self._senders[event.call] = Sender(what, event.offer, port, ended, how, self._form)
        ssrc, (name, payload_type) = event.offer.ssrc or 1, self._form
        answer = event.offer.answer(origin_id=ID, address=NVR_IP, port=port, payload_type=payload_type, ssrc=ssrc)
        answer = replace(answer, rtpmap=((payload_type, f"{name}/{CLOCK}"),))
        self.facts["offered"] = list(event.offer.payload_types)
        self._device.accept(event.call, _Raw(self._answer_with) if self._answer_with else answer, now)

    def _listen(self, on: bool) -> None:
        if self._ear is not None:
            self._ear.close()
        self._ear = Ear((NVR_IP, EAR_PORT)) if on else None
        if self._ear is not None:
            self.facts["heard"] = self._ear.facts

    def _end_of_file(self, call: str, channel: str) -> None:
        self._device.tell_end(call, channel, time.monotonic())
        self._udp.flush()

    def _ordered(self, body: Any, now: float) -> None:
        """Do, and answer, what a platform orders."""
        if isinstance(body, RecordInfoQuery):
            wanted = [r for r in recordings(body.device_id) if (r.start or 0) < body.end and (r.end or 0) > body.start]

            def page(items: tuple[Recording, ...]) -> RecordInfoResponse:
                return RecordInfoResponse(body.sn, body.device_id, "", len(wanted), items)

            self._device.answer_pages(pages(page, wanted, self._device.page_bytes()), now)
        elif isinstance(body, PresetQuery):
            presets = (PresetEntry(1, "大门"), PresetEntry(2, "车棚"))
            self._device.answer(PresetResponse(body.sn, body.device_id, 2, presets), now)
        elif isinstance(body, Broadcast):
            self._device.answer(BroadcastResponse(body.sn, body.target_id), now)
            self._listen(on=True)
            offer = MediaDescription(
                "Play", body.target_id, NVR_IP, EAR_PORT, media="audio", payload_types=(8,), ssrc=1
            )
            self._device.invite(body.source_id, offer, now)
        else:
            self.facts["orders"].append(repr(body))
            if isinstance(body, ANSWERED):
                self._device.answer(ControlResponse(body.sn, body.device_id), now)


def recordings(channel: str) -> list[Recording]:
    """Return what the recorder holds: ``RECORDINGS`` pieces of a minute, one after the other."""
    return [
        Recording(channel, f"{at}", FIRST_RECORDING + at * 60, FIRST_RECORDING + (at + 1) * 60)
        for at in range(RECORDINGS)
    ]


if __name__ == "__main__":

    async def _main() -> None:
        await Recorder(Path(sys.argv[1]), int(sys.argv[3]), sys.argv[4]).run(Path(sys.argv[2]))

    asyncio.run(_main())
