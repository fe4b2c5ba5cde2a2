"""One-line orders to the lab's hosts over a unix socket; each is answered with a line of JSON."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

Handler = Callable[[list[str]], dict[str, Any]]


async def serve(path: Path, handler: Handler) -> asyncio.Server:
    """Answer orders at ``path`` with what ``handler`` makes of their words."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).decode("utf-8", "replace").split()
        writer.write(json.dumps(handler(words)).encode() + b"\n")
        await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    return await asyncio.start_unix_server(answer, path=str(path), limit=1 << 20)


def order(path: Path, words: str) -> dict[str, Any]:
    """Give one order and return its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(10)
        line.connect(str(path))
        line.sendall(words.encode() + b"\n")
        data = b""
        while chunk := line.recv(65536):
            data += chunk
    answer: dict[str, Any] = json.loads(data)
    return answer
