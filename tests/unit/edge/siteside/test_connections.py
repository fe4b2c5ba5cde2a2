"""T01, before the first good packet: a connection shows one within its time, or is closed; few may wait at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from edge.siteside import connections
from edge.siteside.connections import MAX_WAITING, Connections

GOOD = b"\x00\x20\x80\x60" + bytes(30)


class Bench:
    """A view's listener on loopback, and what it was told."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.told: list[str] = []
        self.taken: list[socket.socket] = []
        self.connections = Connections(self.listener, frozenset({"127.0.0.1"}), 96, self._tell)
        self.connections.begin(None)

    def _tell(self, taken: socket.socket, ssrc: int, payload_type: int, framing: str) -> None:
        self.told.append(framing)
        self.taken.append(taken)

    async def dial(self, *said: bytes) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(*self.listener.getsockname())
        for octets in said:
            writer.write(octets)
            await writer.drain()
        self.writer = writer
        return reader


@contextlib.asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    if not made.told:  # the first good packet closes the rest
        made.connections.close()
    for opened in (made.listener, *made.taken):
        opened.close()


async def ended(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return await asyncio.wait_for(reader.read(100), 5) == b""
    return True


@pytest.mark.parametrize("said", [
    b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\xff\xff\x40\x60" + bytes(60), b"\x00\x05\x80\x60" + bytes(60), b"\x80\x60" + bytes(30),
])  # fmt: skip
def test_t01_what_is_no_frame_is_closed_at_once(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SHOW_SECONDS", 60.0)

    async def run() -> None:
        async with bench() as made:
            assert await ended(await made.dial(said))
            assert (made.told, made.connections.foreign) == ([], 1)
            await made.dial(GOOD)
            while not made.told:
                await asyncio.sleep(0.01)
            assert made.told == ["length"], "the control"

    asyncio.run(run())


@pytest.mark.parametrize("said", [(), (b"\xff",), (b"\xff\xff", b"\x80", b"\x60")])
def test_t01_who_shows_nothing_or_an_octet_now_and_then_is_closed(
    said: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SHOW_SECONDS", 0.2)

    async def run() -> None:
        async with bench() as made:
            assert await ended(await made.dial(*said))
            assert made.told == []

    asyncio.run(run())


def test_t01_few_may_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SHOW_SECONDS", 60.0)

    async def run() -> None:
        async with bench() as made:
            waiting = [await made.dial() for _ in range(MAX_WAITING)]
            assert await ended(await made.dial())
            assert not any(reader.at_eof() for reader in waiting)
            made.writer.close()

    asyncio.run(run())
