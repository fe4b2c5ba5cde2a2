"""More at once than the kernel holds for a line: it waits, in order, and nobody takes the line for dead."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from edge.io import seqpacket
from edge.io.seqpacket import FerryLine, Outbox, listen

RECORDS = 5000


def record(at: int) -> bytes:
    return b"%08d" % at + bytes(300)


def test_a_burst_arrives_whole_and_in_order(tmp_path: Path) -> None:
    listener = listen(tmp_path / "socket", 1)
    lost, heard = [], []

    async def run() -> None:
        line = FerryLine(tmp_path / "socket", lambda: None, lambda data: None, lambda: lost.append(1))
        task = asyncio.create_task(line.run())
        while not line.up:
            await asyncio.sleep(0)
        ferry, _ = listener.accept()
        assert all(line.send(record(at)) for at in range(RECORDS))
        ferry.setblocking(False)
        while len(heard) < RECORDS:
            try:
                heard.append(ferry.recv(4096))
            except BlockingIOError:
                await asyncio.sleep(0)
        assert line.up
        task.cancel()
        ferry.close()

    asyncio.run(asyncio.wait_for(run(), 30))
    assert heard == [record(at) for at in range(RECORDS)]
    assert not lost
    listener.close()


def test_a_descriptor_waits_with_its_record_and_is_nobody_elses() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setblocking(False)
    outbox, (read, write) = Outbox(), os.pipe()
    while not outbox:
        outbox.send(near, b"filler")
    outbox.send(near, b"with a descriptor", [write])
    os.close(write)
    passed: list[int] = []
    while not passed:
        _, passed, _, _ = socket.recv_fds(far, 100, 1)
        outbox.flush(near)
    os.write(passed[0], b"!")
    assert os.read(read, 1) == b"!"
    os.close(passed[0])
    assert os.read(read, 1) == b"", "no copy is left open"
    os.close(read)
    for each in (near, far):
        each.close()


def test_who_takes_nothing_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seqpacket, "MAX_WAITING", 10)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setblocking(False)
    outbox, sent = Outbox(), 0
    with pytest.raises(BlockingIOError):
        while sent < 100_000:
            outbox.send(near, b"filler")
            sent += 1
    assert sent > 10
    for each in (near, far):
        each.close()
