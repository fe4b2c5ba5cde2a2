"""The lab's city: the product's own platform role, a receiver of RTP, and the judge of its pictures.

It takes one-line orders on a unix socket (``play CHANNEL``, ``stop``, ``facts``) and answers each with a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

from edge.gb28181.legs import CallAnswered, CallEnded, CallFailed
from edge.gb28181.platform import KnownDevice, Platform, PlatformConfig
from edge.gb28181.reports import CatalogReceived, DeviceOffline, DeviceOnline
from edge.io.chance import SystemChance
from edge.io.tcp import TcpLines
from edge.io.udp import UdpShell
from edge.lab.topology import CITY_IP, TUNNEL_IP
from edge.lab.video import Judge
from edge.rtp.packet import RemoteRtpError, RtpPacket
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from netconf.secrets import read_password

ID, DOMAIN, BOX_ID = "34020000002000000001", "3402000000", "34020000002008000001"
MEDIA_PORT = 40000
SSRC = 200_004_321


class City:
    """The city's process."""

    def __init__(self, secrets: Path) -> None:
        local = Address(CITY_IP, 5060)
        box = KnownDevice(BOX_ID, read_password(secrets, "platform") or "", frozenset({TUNNEL_IP}))
        config = PlatformConfig(ID, DOMAIN, local, DOMAIN, (box,), keepalive_seconds=10, user_agent="lab city")
        self._platform = Platform(config, SystemChance())
        self._udp = UdpShell(self._platform, local, self._event)
        self._local = local
        self._lines = TcpLines(self._udp.receive)
        self._udp.lines = self._lines
        self._media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._judge: Judge | None = None
        self._port = MEDIA_PORT
        self._call: str | None = None
        self.facts: dict[str, Any] = {"online": False, "channels": {}, "call": "", "packets": 0, "foreign_ssrc": 0}

    async def run(self, orders: Path) -> None:
        await self._udp.start()
        await self._lines.listen(self._local)
        orders.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, path=str(orders))
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).decode("utf-8", "replace").split()
        now = time.monotonic()
        if words[:1] == ["play"]:
            self._play(words[1], now)
        elif words[:1] == ["raw"]:
            self._lines.say(bytes.fromhex(words[1] if len(words) > 1 else ""))
        elif words[:1] == ["stop"] and self._call is not None:
            self._platform.hang_up(self._call, now)
            self.facts["call"] = "stopped"
        elif words[:1] == ["catalog"]:
            self._platform.query_catalog(BOX_ID, now)
        self._udp.flush()
        writer.write(json.dumps(self._facts()).encode() + b"\n")
        await writer.drain()
        writer.close()

    def _facts(self) -> dict[str, Any]:
        verdict = self._judge.verdict if self._judge is not None else None
        seen = {} if verdict is None else {
            "right": verdict.right, "wrong": verdict.wrong, "errors": verdict.errors[:20],
            "error_count": len(verdict.errors), "last": verdict.last_number, "first_at": verdict.first_at,
        }  # fmt: skip
        return {**self.facts, "refused": dict(self._platform.counters), "judge": seen}

    def _play(self, channel: str, now: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._media.fileno())
        self._media.close()
        self._port += 2
        self._media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._media.bind((CITY_IP, self._port))
        self._media.setblocking(False)
        if self._judge is not None:
            self._judge.finish()
        self._judge = Judge()
        loop.add_reader(self._media.fileno(), self._receive)
        offer = MediaDescription.offer(
            session_name="Play", origin_id=ID, address=CITY_IP, port=self._port, payload_types=(96,), ssrc=SSRC
        )
        self.facts |= {"call": "asked", "asked_at": now, "status": 0, "packets": 0, "port": self._port}
        self._call = self._platform.invite(BOX_ID, channel, offer, now)
        if self._call is None:
            self.facts["call"] = "offline"

    def _receive(self) -> None:
        for _ in range(256):
            try:
                data, _ = self._media.recvfrom(65536)
            except OSError:
                return
            try:
                packet = RtpPacket.parse(data)
            except RemoteRtpError:
                self.facts["foreign_ssrc"] += 1
                continue
            if packet.ssrc != SSRC or packet.payload_type != 96:
                self.facts["foreign_ssrc"] += 1
                continue
            if not self.facts["packets"]:
                self.facts["first_packet_at"] = time.monotonic()
            self.facts["packets"] += 1
            if self._judge is not None:
                self._judge.feed(packet.payload)

    def _event(self, event: Any, now: float) -> None:
        print(event, file=sys.stderr, flush=True)
        if isinstance(event, DeviceOnline):
            self.facts["online"] = True
        elif isinstance(event, DeviceOffline):
            self.facts["online"] = False
        elif isinstance(event, CatalogReceived):
            if event.complete:
                self.facts["channels"] = {}
            self.facts["channels"] |= {item.device_id: [item.name, item.status] for item in event.items}
        elif isinstance(event, CallAnswered):
            self.facts |= {"call": "answered", "sender": [event.answer.address, event.answer.port]}
        elif isinstance(event, CallFailed):
            self.facts |= {"call": "failed", "status": event.status, "cause": event.cause}
        elif isinstance(event, CallEnded):
            self.facts["call"] = "ended"


def order(path: Path, words: str) -> dict[str, Any]:
    """Give the lab's city one order and return its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(10)
        line.connect(str(path))
        line.sendall(words.encode() + b"\n")
        data = b""
        while chunk := line.recv(65536):
            data += chunk
    answer: dict[str, Any] = json.loads(data)
    return answer


if __name__ == "__main__":

    async def _main() -> None:
        await City(Path(sys.argv[1])).run(Path(sys.argv[2]))

    asyncio.run(_main())
