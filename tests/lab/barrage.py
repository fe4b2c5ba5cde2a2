"""Many packets from one host, sent by a process of its own so that whoever judges is not kept from looking."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence

from edge.lab.sockets import packet_in

#: What bounds a barrage that nobody ends.
SECONDS, PACKETS = 60.0, 2_000_000


@contextlib.contextmanager
def barrage(host: str, link: str, frames: Sequence[bytes], most: int = PACKETS, kind: int = 0) -> Iterator[int]:
    """Send frames, over and over, for the length of a block; yields the sender's process id.

    ``kind``: the protocol's number on a link without hardware addresses.
    """
    pid = os.fork()
    if pid == 0:
        try:
            _send(host, link, frames, most, kind)
        finally:
            os._exit(0)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _send(host: str, link: str, frames: Sequence[bytes], most: int, kind: int) -> None:
    line = packet_in(host, link)
    until, sent = time.monotonic() + SECONDS, 0
    while sent < most and time.monotonic() < until:
        for frame in frames:
            with contextlib.suppress(OSError):
                line.sendto(frame, (link, kind)) if kind else line.send(frame)
        sent += len(frames)
        if sent % 512 < len(frames):
            time.sleep(0.002)  # two cores carry the street as well
