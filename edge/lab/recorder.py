"""The lab's recorder: the product's own device role in front of real H.264 from ffmpeg, muxed to PS by its own muxer."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal

from edge.gb28181.device import Device, DeviceConfig
from edge.gb28181.legs import CallEnded, CallEstablished, InviteReceived
from edge.io.chance import SystemChance
from edge.io.tcp import TcpLines
from edge.io.udp import UdpShell
from edge.lab.topology import LAN_IP, NVR_IP
from edge.lab.video import RATE, Camera
from edge.manscdp.catalog import CatalogEntry
from edge.rtp.packet import packetise
from edge.rtp.ps import CLOCK, mux
from edge.sdp.description import MediaDescription
from edge.sip.address import Address
from netconf.secrets import read_password

ID, BOX_ID, DOMAIN = "34020000001180000001", "34020000002008000001", "3402000000"
CHANNELS = {"34020000001310000001": "北门", "34020000001310000002": "值班室"}
MEDIA_PORT = 15060
TRANSPORT = Path("/run/snowgate-recorder-speaks-tcp")


def transport() -> Literal["udp", "tcp"]:
    """Return how this recorder speaks SIP: the file ``transport`` beside the street's sockets says tcp, or it is UDP."""
    return "tcp" if TRANSPORT.exists() else "udp"


class Sender:
    """One stream to one receiver, from an established call to its end."""

    def __init__(self, offer: MediaDescription) -> None:
        self._to = (offer.address, offer.port)
        self._ssrc = offer.ssrc or 1
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((NVR_IP, MEDIA_PORT))
        self._camera: Camera | None = None
        self._stopped = False

    def start(self) -> None:
        self._camera = Camera()
        threading.Thread(target=self._run, args=(self._camera,), daemon=True).start()

    def _run(self, camera: Camera) -> None:
        sequence = 0
        for number, unit in enumerate(camera.units()):
            pts = number * CLOCK // RATE
            for packet in packetise(mux(unit, pts), pts, sequence, self._ssrc):
                sequence += 1
                if self._stopped:
                    return
                try:
                    self._socket.sendto(bytes(packet), self._to)
                except OSError:
                    continue  # the receiver is gone: its BYE is on the way

    def stop(self) -> None:
        self._stopped = True
        if self._camera is not None:
            self._camera.stop()
        self._socket.close()


class Recorder:
    """The recorder's process."""

    def __init__(self, secrets: Path) -> None:
        local, server = Address(NVR_IP, 5060), Address(LAN_IP, 5060, transport())
        password = read_password(secrets, f"recorder-{ID}") or ""
        config = DeviceConfig(
            ID, DOMAIN, local, server, BOX_ID, DOMAIN, password, keepalive_seconds=3, retry_seconds=1.0,
            user_agent="lab recorder", manufacturer="snowgate lab", model="recorder",
        )  # fmt: skip
        self._device = Device(config, SystemChance())
        self._device.set_catalog(
            [
                CatalogEntry(code, name=name, manufacturer="snowgate lab", model="camera", parent_id=ID, ptz_type=3)
                for code, name in CHANNELS.items()
            ],
            time.monotonic(),
        )
        self._udp = UdpShell(self._device, local, self._event)
        self._server = server
        self._lines = TcpLines(self._udp.receive, self._connected, self._disconnected)
        self._udp.lines = self._lines
        self._senders: dict[str, Sender] = {}

    async def run(self) -> None:
        await self._udp.start()
        if self._server.transport == "tcp":
            self._lines.dial(NVR_IP, self._server)
        else:
            self._device.start(time.monotonic())
            self._udp.flush()
        await asyncio.Event().wait()

    def _connected(self) -> None:
        self._device.reconnected(time.monotonic())
        self._udp.drain()

    def _disconnected(self) -> None:
        self._device.disconnected(time.monotonic())
        self._udp.drain()

    def _event(self, event: Any, now: float) -> None:
        print(event, file=sys.stderr, flush=True)
        if isinstance(event, InviteReceived):
            if event.channel not in CHANNELS:
                self._device.refuse(event.call, 404, "Not Found", now)
                return
            # A second INVITE means: drop the old stream, start the new (GB/T 28181-2016 annex K).
            for old in list(self._senders.values()):
                old.stop()
            self._senders.clear()
            self._senders[event.call] = Sender(event.offer)
            ssrc = event.offer.ssrc or 1
            answer = event.offer.answer(origin_id=ID, address=NVR_IP, port=MEDIA_PORT, payload_type=96, ssrc=ssrc)
            self._device.accept(event.call, answer, now)
        elif isinstance(event, CallEstablished):
            sender = self._senders.get(event.call)
            if sender is not None:
                sender.start()
        elif isinstance(event, CallEnded):
            ended = self._senders.pop(event.call, None)
            if ended is not None:
                ended.stop()


if __name__ == "__main__":

    async def _main() -> None:
        await Recorder(Path(sys.argv[1])).run()

    asyncio.run(_main())
