"""Real elementary streams for the tests: ffmpeg's encoders, and ffmpeg's own packets of them."""

from __future__ import annotations

import functools
import socket
import subprocess

from edge.rtp.packet import RtpPacket

ENCODERS = {"H264": "libx264", "H265": "libx265"}
_PARAMETERS = {
    "H264": ["-x264-params", "aud=1:scenecut=0:repeat-headers=1:slices={slices}:keyint=10"],
    "H265": ["-x265-params", "log-level=error:aud=1:repeat-headers=1:keyint=10:bframes=0:slices={slices}"],
}  # fmt: skip


@functools.cache
def annex_b(encoding: str, pictures: int = 30, size: str = "640x360", slices: int = 1) -> bytes:
    """Return a real stream of so many pictures, every tenth of which stands alone."""
    return _ffmpeg(*_encoded(encoding, pictures, size, slices), "-f", {"H264": "h264", "H265": "hevc"}[encoding], "-")


def _encoded(encoding: str, pictures: int, size: str, slices: int) -> list[str]:
    tune = ["-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1"]
    parameters = [each.format(slices=slices) for each in _PARAMETERS[encoding]]
    source = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-frames:v", str(pictures), "-pix_fmt", "yuv420p"]
    return [*source, "-c:v", ENCODERS[encoding], *tune, *parameters]


def _ffmpeg(*arguments: str, data: bytes = b"") -> bytes:
    command = ["ffmpeg", "-loglevel", "error", *arguments]
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=True).stdout


@functools.cache
def packed_by_ffmpeg(encoding: str, pictures: int = 20, slices: int = 1) -> tuple[bytes, ...]:
    """Return the packets that ffmpeg makes of a stream."""
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    ear.bind(("127.0.0.1", 0))
    ear.settimeout(0.3)
    where = f"rtp://127.0.0.1:{ear.getsockname()[1]}?pkt_size=1300"
    found: list[bytes] = []
    # As slowly as a camera: the socket's queue is short.
    command = ["ffmpeg", "-loglevel", "error", "-readrate", "4", *_encoded(encoding, pictures, "640x360", slices)]
    with subprocess.Popen([*command, "-f", "rtp", where], stdout=subprocess.PIPE) as running:
        while True:
            try:
                data = ear.recv(65536)
            except TimeoutError:
                if running.poll() is not None:
                    break
                continue
            if not 192 <= data[1] < 224:  # RTCP, from the same port
                found.append(data)
    ear.close()
    return tuple(found)


def payloads(packets: tuple[bytes, ...]) -> list[tuple[bytes, bool]]:
    """Return what the packets carry, each with its marker."""
    return [(packet.payload, packet.marker) for packet in map(RtpPacket.parse, packets)]


def decoded(encoding: str, stream: bytes) -> list[bytes]:
    """Return the hash of each picture in a stream, as ffmpeg decodes it."""
    kind = {"H264": "h264", "H265": "hevc"}[encoding]
    hashes = _ffmpeg("-f", kind, "-i", "-", "-f", "framemd5", "-", data=stream)
    return [line.rpartition(b",")[2].strip() for line in hashes.splitlines() if not line.startswith(b"#")]
