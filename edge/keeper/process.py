"""The keeper's shell: hands, sockets, one loop. What is decided is decided in ``keeper``."""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import socket
import struct
import time
from pathlib import Path

from edge.control.client import socket_path
from edge.control.wire import (
    MAX_REQUEST_BYTES,
    ControlError,
    Hello,
    Refusal,
    decode_request,
    encode_answer,
    encode_hello,
)
from edge.io import rights, seqpacket
from edge.io.confirmed import places
from edge.io.log import Log
from edge.keeper.hand import Hand
from edge.keeper.keeper import Folders, Keeper
from edge.keeper.rights import keep_net_admin
from netconf.notify import Supervisor

TICK_SECONDS = 2.0
#: A restarted ferry has no pins until we have said hello: soon, but not so that a loop of restarts keeps us busy.
DIAL_SECONDS = 0.5
NAMESPACES = Path("/run/netns")
MAX_CALLERS = 16
#: Who dials us, and the user that each must be; the ferry, which cannot, is dialled.
LISTENED = {
    "operator": "root", "web": "snowgate-web", "agent": "snowgate-agent", "uplink": "snowgate-uplink",
    "prove": "snowgate-prove", "enrol": "snowgate-enrol",
}  # fmt: skip


class Process:
    """One life of the keeper."""

    def __init__(self, keeper: Keeper, run: Path, supervisor: Supervisor) -> None:
        self._keeper = keeper
        self._supervisor = supervisor
        self._selector = selectors.DefaultSelector()
        self._ferry_path = run / "ferry" / "keeper" / "socket"
        self._ferry: socket.socket | None = None
        self._callers = 0
        self._uids = {caller: rights.uid_of(user) for caller, user in LISTENED.items()}
        for caller in LISTENED:
            listener = seqpacket.listen(socket_path(run, caller), MAX_CALLERS)
            self._selector.register(listener, selectors.EVENT_READ, ("listen", caller))

    def run(self) -> None:
        """Serve for ever."""
        due = time.monotonic()
        while True:
            for key, _ in self._selector.select(DIAL_SECONDS):
                opened = key.fileobj
                assert isinstance(opened, socket.socket)  # nothing else is registered
                what, caller = key.data
                if what == "listen":
                    self._accept(opened, caller)
                else:
                    self._serve(opened, caller)
            self._dial_ferry()
            self._supervisor.beat()
            if time.monotonic() >= due:
                self._keeper.tick()
                due = time.monotonic() + TICK_SECONDS

    def _accept(self, listener: socket.socket, caller: str) -> None:
        line, _ = listener.accept()
        if _uid(line) != self._uids[caller] or self._callers >= MAX_CALLERS:
            self._keeper.counters["caller_refused"] += 1
            line.close()
            return
        self._callers += 1
        self._selector.register(line, selectors.EVENT_READ, ("line", caller))

    def _serve(self, line: socket.socket, caller: str) -> None:
        try:
            data = line.recv(MAX_REQUEST_BYTES)
        except OSError:
            data = b""
        if not data:
            self._hang_up(line, caller)
            return
        number = 0
        try:
            number, request = decode_request(caller, data)
            answer = self._keeper.answer(caller, request)
        except ControlError as wrong:
            self._keeper.counters[wrong.rule] += 1
            answer = Refusal(wrong.rule)
        with contextlib.suppress(OSError):
            line.send(encode_answer(number, answer))

    def _hang_up(self, line: socket.socket, caller: str) -> None:
        self._selector.unregister(line)
        line.close()
        if caller == "ferry":
            self._ferry = None
        else:
            self._callers -= 1

    def _dial_ferry(self) -> None:
        """The ferry can dial nobody once it is confined: we dial it, and say hello with the namespaces' cookies."""
        if self._ferry is not None:
            return
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            line.connect(str(self._ferry_path))
            line.send(encode_hello(Hello(*self._keeper.cookies())))
        except OSError:
            line.close()
            return
        self._ferry = line
        self._selector.register(line, selectors.EVENT_READ, ("line", "ferry"))


def _uid(line: socket.socket) -> int:
    peer = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", peer)[1])


def main() -> int:
    """Fork the hands, give rights up, restore what was confirmed, serve."""
    where = places("snowgate-keeper")
    log, supervisor = Log("keeper"), Supervisor()
    descriptors = {name: os.open(NAMESPACES / name, os.O_RDONLY | os.O_CLOEXEC) for name in ("lan", "vpn")}
    descriptors["wan"] = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    hands = {"lan": Hand("lan", descriptors["lan"]), "vpn": Hand("vpn", descriptors["vpn"]), "wan": Hand("wan", None)}
    keep_net_admin()
    folders = Folders(where.run / "keeper", where.state / "keeper", where.secrets / "keeper", where.secrets / "device",
                      where.secrets / "cityside")  # fmt: skip
    keeper = Keeper(hands, descriptors, folders, lambda: secrets.token_hex(16))
    process = Process(keeper, where.run, supervisor)
    keeper.restore()
    supervisor.ready()
    log.say("keeper_ready")
    process.run()
    return 0
