"""Real video whose pictures carry their number, and a judge who reads the numbers from the decoded pixels.

A picture is 640 x 360, gray, and half as wide and high in a sub-stream. Its upper part is eight by four squares of 64 x 48, black or white: 24 bits of number and
8 of checksum, most significant first. Below a bar moves, so that no two pictures are alike, and
noise at the bottom makes the stream as heavy as a small real one (about 1.5 Mbit/s, a sub-stream about 0.4).
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from edge.rtp.ps import Units

WIDTH, HEIGHT, RATE = 640, 360, 25
_COLUMNS, _ROWS, _CELL_WIDTH, _CELL_HEIGHT, _LEFT = 8, 4, 64, 48, 64
_BLACK, _WHITE, _MIDDLE = 16, 235, 126
_NOISE_ROWS = 16
_NOISE = b"".join(hashlib.sha512(bytes([at])).digest() for at in range(256)) * 8
#: What the decoder says before its pictures, and before each of them (yuv4mpeg).
_HEADER = re.compile(rb"YUV4MPEG2 W([0-9]{1,5}) H([0-9]{1,5}) [^\n]*Cmono[^\n]*\n")
_FRAME = b"FRAME\n"


def draw(number: int, part: int = 1) -> bytes:
    """Return picture ``number`` as yuv420p, of every ``part``-th line and row."""
    code = _code(number)
    rows = []
    for row in range(_ROWS):
        line = bytearray([_MIDDLE]) * WIDTH
        for column in range(_COLUMNS):
            bit = code >> (31 - row * _COLUMNS - column) & 1
            start = _LEFT + column * _CELL_WIDTH
            line[start : start + _CELL_WIDTH] = bytes([_WHITE if bit else _BLACK]) * _CELL_WIDTH
        rows.append(bytes(line) * _CELL_HEIGHT)
    bar = bytearray([_MIDDLE]) * WIDTH
    at = number * 8 % (WIDTH - 40)
    bar[at : at + 40] = bytes([_WHITE]) * 40
    noise_at = number * 7919 % (len(_NOISE) - WIDTH * _NOISE_ROWS)
    rows.append(bytes(bar) * (HEIGHT - _ROWS * _CELL_HEIGHT - _NOISE_ROWS))
    rows.append(_NOISE[noise_at : noise_at + WIDTH * _NOISE_ROWS])
    whole = b"".join(rows)
    gray = b"".join(whole[y * WIDTH : (y + 1) * WIDTH : part] for y in range(0, HEIGHT, part))
    return gray + bytes([128]) * (len(gray) // 2)


def number_in(gray: bytes, width: int = WIDTH) -> int | None:
    """Return the number that a decoded gray picture of a width carries, None when its checksum is wrong."""
    code, part = 0, WIDTH // width
    for row in range(_ROWS):
        for column in range(_COLUMNS):
            y, x = row * _CELL_HEIGHT + _CELL_HEIGHT // 2, _LEFT + column * _CELL_WIDTH + _CELL_WIDTH // 2
            code = code << 1 | (gray[y // part * width + x // part] > _MIDDLE)
    return code >> 8 if _code(code >> 8) == code else None


def _code(number: int) -> int:
    number &= 0xFFFFFF
    return number << 8 | zlib.crc32(number.to_bytes(3, "big")) & 0xFF


_ENCODERS = {
    "H264": ["libx264", "-x264-params", "aud=1:scenecut=0:repeat-headers=1", "-f", "h264"],
    "H265": ["libx265", "-x265-params", "log-level=error:aud=1:repeat-headers=1:scenecut=0:bframes=0:info=0", "-f", "hevc"],
}  # fmt: skip


class Camera:
    """ffmpeg encoding our pictures to H.264 or H.265 in real time: access units as they come.

    A recording is played from ``number`` to ``last``, ``step`` pictures on at each picture, and may be ``paused``. A
    sub-stream is encoded by itself, of smaller pictures.
    """

    def __init__(
        self, number: int = 0, last: int = 1 << 24, step: int = 1, sub: bool = False, encoding: str = "H264"
    ) -> None:
        self.number, self.last, self.step, self.paused = number, last, step, False
        self._part = 2 if sub else 1
        self._h265 = encoding == "H265"
        encoder, *parameters = _ENCODERS[encoding]
        size = f"{WIDTH // self._part}x{HEIGHT // self._part}"
        command = ["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size,
                   "-r", str(RATE), "-i", "pipe:0", "-c:v", encoder, "-preset", "ultrafast", "-tune", "zerolatency",
                   "-threads", "1", "-g", str(RATE), *parameters, "pipe:1"]  # fmt: skip
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stopped = threading.Event()
        self._painter = threading.Thread(target=self._paint, daemon=True)
        self._painter.start()

    def _paint(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None  # asked for above
        began, drawn = time.monotonic(), 0
        try:
            while (
                not self._stopped.wait(max(0.0, began + drawn / RATE - time.monotonic())) and self.number <= self.last
            ):
                drawn += 1
                if self.paused:
                    continue
                pipe.write(draw(self.number, self._part))
                pipe.flush()
                self.number += self.step
            pipe.close()
        except OSError:
            return  # ffmpeg was stopped

    def units(self) -> Iterator[bytes]:
        """Yield access units until stopped."""
        pipe = self._process.stdout
        assert pipe is not None  # asked for above
        splitter = Units(self._h265)
        while data := pipe.read1(65536):  # type: ignore[attr-defined]
            yield from splitter.feed(data)

    def stop(self) -> None:
        self._stopped.set()
        self._process.kill()  # its pipe may be full: it would not hear anything milder
        self._process.wait(5)


@dataclass(slots=True)
class Verdict:
    """What the judge saw so far."""

    right: int = 0
    wrong: int = 0
    errors: list[str] = field(default_factory=list)
    first_at: float | None = None
    last_number: int = -1
    #: When the last right one came, and the longest time between two of them since somebody asked for it anew.
    last_at: float | None = None
    longest_gap: float = 0.0
    #: Width and height of what was decoded.
    size: tuple[int, int] = (0, 0)


#: What an elementary stream's probing has read must not be thrown away: its first key picture is in it.
_DEMUXERS = {"PS": ["-fflags", "nobuffer", "-f", "mpeg"], "H264": ["-f", "h264"], "H265": ["-f", "hevc"]}


class Judge:
    """ffmpeg decoding a program stream or an elementary one (Annex B); each picture's number must rise.

    It joins at the first key picture.
    """

    def __init__(self, encoding: str = "PS") -> None:
        self._encoding = encoding
        command = ["ffmpeg", "-loglevel", "error", "-flags", "low_delay", "-probesize", "32768",
                   "-analyzeduration", "0", "-threads", "1", *_DEMUXERS[encoding], "-i", "pipe:0", "-fps_mode", "passthrough",
                   "-pix_fmt", "gray", "-strict", "-1", "-f", "yuv4mpegpipe", "pipe:1"]  # fmt: skip
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self._joined = False
        self.verdict = Verdict()
        self._threads = [
            threading.Thread(target=self._watch, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def feed(self, stream: bytes) -> None:
        """Give it what the next packet brings; what comes before the first key picture is let pass."""
        if not self._joined:
            self._joined = self._is_key(stream)
        if not self._joined or self._process.poll() is not None:
            return
        pipe = self._process.stdin
        assert pipe is not None  # asked for above
        try:
            pipe.write(stream)
            pipe.flush()
        except OSError:
            self._joined = False
            self.verdict.errors.append("the decoder ended")

    def _is_key(self, stream: bytes) -> bool:
        """Return whether a key picture begins: with a system header, or with parameter sets."""
        if self._encoding == "PS":
            return stream[:4] == b"\x00\x00\x01\xba" and stream[14:18] == b"\x00\x00\x01\xbb"
        return (b"\x00\x00\x01\x67" if self._encoding == "H264" else b"\x00\x00\x01\x40") in stream

    def _watch(self, pipe: IO[bytes]) -> None:
        found = _HEADER.fullmatch(pipe.readline(200))
        if found is None:
            return  # nothing was decoded
        width, height = self.verdict.size = int(found[1]), int(found[2])
        while pipe.readline(200) == _FRAME and len(gray := pipe.read(width * height)) == width * height:
            number = number_in(gray, width) if WIDTH % width == 0 else None
            if number is None or number <= self.verdict.last_number:
                self.verdict.wrong += 1
                continue
            now = time.monotonic()
            if self.verdict.first_at is None:
                self.verdict.first_at = now
            if self.verdict.last_at is not None:
                self.verdict.longest_gap = max(self.verdict.longest_gap, now - self.verdict.last_at)
            self.verdict.last_at = now
            self.verdict.last_number = number
            self.verdict.right += 1

    def _listen(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            if len(self.verdict.errors) < 100:
                self.verdict.errors.append(line.decode("utf-8", "replace").strip())

    def finish(self) -> Verdict:
        """End the stream and return what was seen."""
        pipe = self._process.stdin
        assert pipe is not None  # asked for above
        try:
            pipe.close()
        except OSError:
            self.verdict.errors.append("the decoder ended")
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        for thread in self._threads:
            thread.join(5)
        return self.verdict
