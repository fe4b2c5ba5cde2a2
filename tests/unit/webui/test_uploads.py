"""U06: the page takes no file at all. Every shape of an upload, over real TLS, gets a refusal, no disk, and no rest."""

from __future__ import annotations

import io
import socket
import ssl
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cheroot.wsgi import Server

from edge.io.log import Log
from tests.unit.webui.test_guard import HOST, ORIGIN, SITE
from webui import process
from webui.accounts import Accounts
from webui.app import Box, create_app
from webui.changes import Changes
from webui.process import MAX_BODY_BYTES

PATHS = ("/", "/login", "/first", "/changes", "/cameras", "/upload", "/static/x", "/../../etc/cron.d/x")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """The page's own server, on a loopback port."""
    folder = tmp_path_factory.mktemp("web")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    patch = pytest.MonkeyPatch()
    patch.setattr(process, "PORT", port)
    accounts = Accounts(folder, time.time)
    changes = Changes(lambda request: None, lambda seconds, thing: None)  # type: ignore[arg-type, return-value]
    app = create_app(Box(lambda: SITE, dict, list, lambda: True, ""), accounts, changes, lambda code, about="": None)
    made = process._server(app, "127.0.0.1", folder, Log("webui", io.StringIO()))
    made.prepare()
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    yield made, folder
    made.stop()
    patch.undo()


def said(
    server: Server, path: str, body: bytes, length: int | None = None, kind: str = "multipart/form-data; boundary=b"
) -> int:
    """POST, as fast as it is taken; return the status, 0 when the server hung up without one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    head = (f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {ORIGIN}\r\nSec-Fetch-Site: same-origin\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body) if length is None else length}\r\n"
            "Connection: close\r\n\r\n").encode("ascii")  # fmt: skip
    with socket.create_connection(server.bind_addr, 10) as plain, context.wrap_socket(plain) as line:
        try:
            line.sendall(head)
            line.sendall(body)
        except OSError:
            pass  # it has said enough is enough
        try:
            answer = line.recv(4096)
        except OSError:
            return 0
    return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def part(name: str, data: bytes) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return head + data + b"\r\n"


def bomb() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(20 << 20))
    return held.getvalue()


def links() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        entry = tarfile.TarInfo("x")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    return held.getvalue()


SHAPES = {
    "a path in its name": part("../../etc/cron.d/x", b"* * * * * root true\n") + b"--b--\r\n",
    "an absolute name": part("/etc/cron.d/x", b"x") + b"--b--\r\n",
    "a zip bomb": part("a.zip", bomb()) + b"--b--\r\n",
    "a link in a tar": part("a.tar", links()) + b"--b--\r\n",
    "a hundred thousand parts": b"".join(part(str(n), b"") for n in range(100_000)) + b"--b--\r\n",
    "cut off": part("x", b"y" * 1000)[:-300],
}


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("path", PATHS)
def test_u06_no_upload_is_taken_anywhere(server: tuple[Server, Path], path: str, shape: str) -> None:
    page, folder = server
    before = used(folder)
    status = said(page, path, SHAPES[shape])
    assert status == 0 or 300 <= status < 500, "never taken, never a traceback"
    assert used(folder) == before
    assert said(page, "/login", b"password=x", kind="application/x-www-form-urlencoded") in (200, 302, 403, 422, 429), (
        "it lives"
    )


def test_u06_ten_gigabytes_are_refused_by_their_announcement(server: tuple[Server, Path]) -> None:
    page, folder = server
    before = used(folder)
    for length in (10 << 30, MAX_BODY_BYTES + 1, 1 << 62):
        assert said(page, "/login", b"x" * 1000, length) in (0, 400, 413)
    assert said(page, "/login", b"x" * 1000, -1) in (0, 400)
    assert used(folder) == before
