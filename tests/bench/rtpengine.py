"""Debian's rtpengine in user space beside us: a daemon with one media thread, and its ng protocol (bencode over UDP).

It stands where the relay worker stands: a call's packets come in on one of its ports and leave by another. Everything
that could make it cheaper is as its manual advises: no kernel table, no endpoint learning, no log.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.lab.sockets import in_namespace

PROGRAM = "rtpengine"
PORTS = (10_000, 60_000)
_NG_PORT = 2223
_MAX_REPLY_BYTES = 65_535
READY_SECONDS, ANSWER_SECONDS = 15.0, 5.0
_SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=Play\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=video {port} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} PS/90000\r\na={direction}\r\n"
)
_PORT = re.compile(rb"m=video (\d+) ")


def is_there() -> bool:
    return shutil.which(PROGRAM) is not None


def bencode(value: Any) -> bytes:
    """Return a string, a number, a list or a dictionary as the ng protocol writes it."""
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, str):
        return bencode(value.encode())
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, dict):
        pairs = (bencode(key) + bencode(each) for key, each in sorted(value.items()))
        return b"d" + b"".join(pairs) + b"e"
    return b"l" + b"".join(map(bencode, value)) + b"e"


def bdecode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """Return what stands at ``at`` and where the next thing begins.

    Raises:
        ValueError: it is no bencode.
    """
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        found, at = [], at + 1
        while data[at : at + 1] != b"e":
            value, at = bdecode(data, at)
            found.append(value)
        return (found if kind == b"l" else dict(zip(found[::2], found[1::2], strict=True))), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    if end > len(data):
        raise ValueError("bencode: cut short")
    return data[colon + 1 : end], end


@dataclass(slots=True)
class Daemon:
    """A running rtpengine, and the socket that it is asked by."""

    pid: int
    asker: socket.socket
    asked: int = field(default=0)

    def ask(self, **words: Any) -> dict[bytes, Any]:
        """Return its answer to one command.

        Raises:
            RuntimeError: it refuses.
            TimeoutError: it does not answer.
        """
        self.asked += 1
        cookie = b"%d_%d" % (os.getpid(), self.asked)
        self.asker.send(cookie + b" " + bencode(words))
        answer: dict[bytes, Any] = bdecode(self.asker.recv(_MAX_REPLY_BYTES).partition(b" ")[2])[0]
        if answer.get(b"result") not in (b"ok", b"pong"):
            raise RuntimeError(f"rtpengine: {answer!r}")
        return answer

    def open_call(self, source: tuple[str, int], sink: tuple[str, int], payload_type: int) -> int:
        """Have it relay from ``source`` to ``sink``; return the port that the source sends to."""
        at = self.asked
        call = {"call-id": f"call-{at}", "from-tag": f"from-{at}"}
        common = {"replace": ["origin", "session-connection"], "ICE": "remove", "rtcp-mux": ["demux"]}
        self.ask(command="offer", sdp=_sdp(source, payload_type, "sendonly"), **call, **common)
        answer = self.ask(
            command="answer", sdp=_sdp(sink, payload_type, "recvonly"), **call, **common, **{"to-tag": f"to-{at}"}
        )
        found = _PORT.search(answer[b"sdp"])
        if found is None:
            raise RuntimeError(f"rtpengine: {answer!r}")
        return int(found[1])


def _sdp(at: tuple[str, int], payload_type: int, direction: str) -> str:
    return _SDP.format(host=at[0], port=at[1], payload_type=payload_type, direction=direction)


@contextmanager
def daemon(namespace: str, address: str, core: int, log: Path) -> Iterator[Daemon]:
    """Run one in ``namespace`` at an address of it."""
    words = [
        PROGRAM, "--foreground", "--log-stderr", "--log-level=3", "--table=-1", "--num-threads=1",
        "--config-file=none", f"--interface={address}", f"--listen-ng=127.0.0.1:{_NG_PORT}", f"--port-min={PORTS[0]}",
        f"--port-max={PORTS[1]}", "--endpoint-learning=off", "--timeout=3600", "--silent-timeout=3600",
    ]  # fmt: skip
    with in_namespace(namespace):
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asker.connect(("127.0.0.1", _NG_PORT))
        asker.settimeout(ANSWER_SECONDS)
        with log.open("wb") as out:
            main = subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        running = Daemon(main.pid, asker)
        _wait(running, main, log)
        for task in Path(f"/proc/{main.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})
        yield running
    finally:
        asker.close()
        main.send_signal(signal.SIGTERM)
        try:
            main.wait(10)
        except subprocess.TimeoutExpired:
            main.kill()
            main.wait(5)


def _wait(running: Daemon, main: subprocess.Popen[bytes], log: Path) -> None:
    """Ask until it answers."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and main.poll() is None:
        try:
            running.ask(command="ping")
            return
        except OSError:  # nobody listens yet
            time.sleep(0.05)
    raise RuntimeError("rtpengine did not start: " + log.read_text(encoding="utf-8", errors="replace")[-1000:])
