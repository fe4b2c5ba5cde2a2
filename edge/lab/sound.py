"""Real G.711 for the lab's talks: ffmpeg's noise, of which each piece occurs once, so that what is heard can be compared."""

from __future__ import annotations

import asyncio
import functools
import socket
import subprocess
from typing import Any

from edge.rtp.packet import RemoteRtpError, RtpPacket

PCMA, PIECE_BYTES, PIECE_SECONDS = 8, 160, 0.02


@functools.cache
def samples() -> bytes:
    """Return a minute of A-law at 8 kHz, the same in every process."""
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "anoisesrc=seed=7:d=60:r=8000:a=0.3",
               "-c:a", "pcm_alaw", "-f", "alaw", "pipe:1"]  # fmt: skip
    return subprocess.run(command, capture_output=True, timeout=30, check=True).stdout


class Speaker:
    """Says the samples in real time, from a port to another, until it is stopped."""

    def __init__(self, local: tuple[str, int], to: tuple[str, int], ssrc: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(local)
        self._to, self._ssrc = to, ssrc
        self._task = asyncio.get_running_loop().create_task(self._speak())

    async def _speak(self) -> None:
        said = samples()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for at in range(len(said) // PIECE_BYTES):
            piece = said[at * PIECE_BYTES : (at + 1) * PIECE_BYTES]
            self._socket.sendto(bytes(RtpPacket(PCMA, at, at * PIECE_BYTES, self._ssrc, piece, not at)), self._to)
            await asyncio.sleep(max(0.0, began + (at + 1) * PIECE_SECONDS - loop.time()))

    def stop(self) -> None:
        self._task.cancel()
        self._socket.close()


class Ear:
    """Hears RTP at a port and compares. ``facts``: packets, those that are the samples in their order, and other payload types."""

    def __init__(self, local: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(local)
        self._socket.setblocking(False)
        self._at = -1
        self.facts: dict[str, Any] = {"packets": 0, "right": 0, "foreign": 0, "longest": 0}
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._hear)

    def _hear(self) -> None:
        data = self._socket.recv(65536)
        self.facts["longest"] = max(self.facts["longest"], len(data))
        try:
            packet = RtpPacket.parse(data)
        except RemoteRtpError:
            self.facts["foreign"] += 1
            return
        if packet.payload_type != PCMA:
            self.facts["foreign"] += 1
            return
        self.facts["packets"] += 1
        at = samples().find(packet.payload, max(self._at, 0))
        if at % PIECE_BYTES == 0 and at > self._at:
            self.facts["right"] += 1
            self._at = at

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
