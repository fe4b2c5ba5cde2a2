"""The signing process's socket: who may ask is said by uid, one request a connection, and nobody waits long for a slow one."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from city.signing.client import receive, send
from city.signing.requests import MAX_REQUEST_BYTES
from city.signing.service import Service

#: A snapshot of 20,000 peers goes over a socket in milliseconds.
PATIENCE_SECONDS = 5.0
MOST_AT_ONCE = 64
#: What the machine's owner alone may have done. Two persons agree to it at the registry; whoever took over the server that
#: the world can reach shall not do without them.
OWNERS_OWN = ("renew-ca", "switch-ca")
_CREDENTIALS = struct.Struct("3i")
Say = Callable[..., None]
Beat = Callable[[], None]


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves a ``Service``; ``uids`` may ask, nobody else is read; what is ``OWNERS_OWN`` may ask ``owners`` alone."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, path: Path, service: Service, uids: Collection[int], owners: Collection[int], say: Say, beat: Beat
    ) -> None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self.service, self.say, self.beat = service, say, beat
        self.owners, self.uids = frozenset(owners), frozenset((*uids, *owners))
        self.places = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(str(path), _Handler)
        # Who may connect is judged by uid below; the file's mode alone would need a group that both are in.
        path.chmod(0o666)  # noqa: S103

    def service_actions(self) -> None:
        # Asked is what the socket's callers ask: a service that answers nobody beats no more.
        self.service.alive()
        self.beat()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        uid = peer_uid(request)
        if uid not in self.uids:
            self.say("sign_stranger", uid=uid)
            return False
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.say("sign_broken")


class _Handler(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        with self.server.places:
            self.request.settimeout(PATIENCE_SECONDS)
            try:
                asked = json.loads(receive(self.request, MAX_REQUEST_BYTES))
            except (OSError, ValueError, RecursionError):
                return
            answer = self._refused(asked) or self.server.service.answer(asked)
            match answer:
                case {"rule": str(rule), "args": dict(facts)}:
                    self.server.say(rule, **facts)
            with contextlib.suppress(OSError):
                send(self.request, json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))

    def _refused(self, asked: object) -> dict[str, Any] | None:
        ask = asked.get("ask") if isinstance(asked, dict) else None
        if ask not in OWNERS_OWN or peer_uid(self.request) in self.server.owners:
            return None
        return {"rule": "sign_not_owner", "args": {"what": ask}}


def peer_uid(connection: socket.socket) -> int:
    """Return as whom the other end of a unix socket runs, by the kernel's word."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


def serve(
    path: Path, service: Service, uids: Collection[int], owners: Collection[int], say: Say, beat: Beat = lambda: None
) -> Server:
    """Return a server that listens at ``path``; ``serve_forever`` is the caller's. ``beat`` is called while it turns."""
    before = os.umask(0o077)
    try:
        return Server(path, service, uids, owners, say, beat)
    finally:
        os.umask(before)
