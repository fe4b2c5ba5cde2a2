"""The event listener's shell: supervisord's pipe, its own socket for the programs' beats, and systemd's for its own.

supervisord speaks its event protocol over standard input and output (supervisord.org, "Events"). What runs is asked of
its root-only socket, for events that came before this life are lost. When supervisord is killed its programs would go
on without it, beside those that the next one starts: at the end of standard input they are ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from supervisor.childutils import getRPCInterface

from edge.io.confirmed import Places
from edge.io.log import Log
from edge.watchdog.silence import MAX_WORD_BYTES, Silence
from netconf.notify import Supervisor

CHECK_SECONDS = 1.0
#: supervisord's TICK_5 beats; three of them may be missed.
SILENCE_SECONDS = 20.0
_MOST_EVENT_BYTES = 1 << 16
_OURS = "watchdog"


class Process:
    """One life of the watchdog of supervisord ``name`` (``site`` or ``city``)."""

    def __init__(self, name: str, where: Places, log: Log) -> None:
        self._path = where.run / f"processes-{name}.json"
        self._log = log
        self._supervisor = Supervisor(SILENCE_SECONDS)
        self._rpc: Any = getRPCInterface(os.environ).supervisor
        self._silence = Silence()
        self._programs: dict[str, dict[str, Any]] = _left(self._path)
        self._words = _listen(where.run / f"notify-{name}.sock")
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._words, selectors.EVENT_READ, "words")
        self._selector.register(0, selectors.EVENT_READ, "events")
        self._due = 0.0

    def run(self) -> None:
        """Serve until supervisord is gone."""
        self._look()
        self._supervisor.ready()
        _say(b"READY\n")
        while True:
            for key, _ in self._selector.select(CHECK_SECONDS):
                if key.data == "words":
                    self._hear()
                elif not _take_event():
                    self._end_all()
                    return
                else:
                    self._look()
                    self._supervisor.beat()
                    _say(b"RESULT 2\nOKREADY\n")
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + CHECK_SECONDS
                for name, pid in self._silence.silent(time.monotonic()):
                    self._log.say("program_silent", name)
                    _end(pid)

    def _hear(self) -> None:
        for _ in range(64):
            try:
                word, ancillary, _, _ = self._words.recvmsg(MAX_WORD_BYTES + 1, socket.CMSG_SPACE(12))
            except OSError:
                return
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(data) == 12:
                    self._silence.hear(struct.unpack("3i", data)[0], word, time.monotonic())

    def _look(self) -> None:
        """Ask what runs, and write it down when it changed."""
        found: dict[str, dict[str, Any]] = {}
        for each in self._rpc.getAllProcessInfo():
            name, pid, state = str(each["name"]), int(each["pid"]), str(each["statename"])
            if name == _OURS:
                continue
            before = self._programs.get(name, {})
            starts = int(before.get("starts", 0)) + (pid != 0 and pid != before.get("last"))
            since = datetime.fromtimestamp(int(each["start"] if pid else each["stop"]), UTC).isoformat()
            found[name] = {"state": state, "pid": pid, "since": since, "starts": starts,
                           "last": pid or before.get("last", 0)}  # fmt: skip
        self._silence.lives({name: each["pid"] for name, each in found.items() if each["pid"]}, time.monotonic())
        if found != self._programs or not self._path.exists():
            self._programs = found
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps({"programs": found}, sort_keys=True) + "\n", encoding="ascii")
            os.replace(fresh, self._path)

    def _end_all(self) -> None:
        for each in self._programs.values():
            if each["pid"]:
                _end(each["pid"])


def _left(path: Path) -> dict[str, dict[str, Any]]:
    """Return what the watchdog before us wrote: starts are counted on."""
    try:
        found: dict[str, dict[str, Any]] = json.loads(path.read_bytes())["programs"]
        return found
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _listen(path: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    words = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    words.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    words.setblocking(False)
    words.bind(str(path))
    path.chmod(0o666)  # who may enter the folder may speak; who speaks is known by his pid
    return words


def _end(pid: int) -> None:
    """End a program and what it forked: supervisord gives each a process group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _take_event() -> bool:
    """Read one event whole: a line of key:value pairs, then as many octets as its ``len`` says."""
    line = bytearray()
    while not line.endswith(b"\n"):
        octet = os.read(0, 1)
        if not octet or len(line) > _MOST_EVENT_BYTES:
            return False
        line += octet
    told = dict(pair.split(":", 1) for pair in line.decode("ascii", "replace").split() if ":" in pair)
    left = int(told["len"])
    while left > 0:
        data = os.read(0, min(left, _MOST_EVENT_BYTES))
        if not data:
            return False
        left -= len(data)
    return True


def _say(word: bytes) -> None:
    os.write(1, word)


def main(name: str, where: Places) -> int:
    """Serve supervisord ``name`` until it is gone."""
    Process(name, where, Log(_OURS)).run()
    print(f"supervisord {name} is gone; so are its programs.", file=sys.stderr)
    return 0
