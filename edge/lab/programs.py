"""What runs on the street: kept running, killed, stopped and counted by name.

The lab plays systemd for the programs that units start: it starts what ends and kills what no longer beats. The sides'
programs are supervisord's, here as on the box; they are asked after and stopped through its socket.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from edge.watchdog.silence import MAX_WORD_BYTES, Silence

RESTART_SECONDS = 0.2
TEND_SECONDS = 0.1
#: Which supervisord has which program.
SUPERVISED = {"siteside": "site", "webui": "site", "cityside": "city", "agent": "city"}


@dataclass(slots=True)
class _Program:
    """One program, started again whenever it ends; ``words`` is where it beats when a unit wants that."""

    name: str
    command: list[str]
    log: Path
    environment: Mapping[str, str]
    words: socket.socket | None = None
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = True
    watched: bool = True
    starts: int = 0
    last: float = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def tend(self) -> None:
        if self.pid is not None or not self.wanted or time.monotonic() - self.last < RESTART_SECONDS:
            return
        self.end_group()
        self.starts, self.last = self.starts + 1, time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=dict(self.environment), cwd="/",
                start_new_session=True,
            )  # fmt: skip

    def end_group(self) -> None:
        """Kill what the program left behind, as systemd does with a unit's control group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


@dataclass(slots=True)
class Programs:
    """All of them; ``run`` is where supervisord's sockets are."""

    run: Path
    _all: dict[str, _Program] = field(default_factory=dict)
    _silence: Silence = field(default_factory=Silence)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Keep running what is added, from now on."""
        self._thread = threading.Thread(target=self._tend, daemon=True)
        self._thread.start()

    def add(self, name: str, command: list[str], log: Path, environment: Mapping[str, str], beats: Path | None) -> None:
        """Keep a program running; with ``beats`` it is one that says so there, and killed when it does not."""
        words = None
        if beats is not None:
            words = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            with contextlib.suppress(FileNotFoundError):
                beats.unlink()
            words.bind(str(beats))
            words.setblocking(False)
            beats.chmod(0o666)
            environment = {**environment, "NOTIFY_SOCKET": str(beats)}
        self._all[name] = _Program(name, command, log, environment, words)

    def _tend(self) -> None:
        while not self._ended.wait(TEND_SECONDS):
            for program in list(self._all.values()):
                program.tend()
            self._watch(time.monotonic())

    def _watch(self, now: float) -> None:
        watched = {p.name: p for p in list(self._all.values()) if p.words is not None and p.watched}
        self._silence.lives({name: pid for name, p in watched.items() if (pid := p.pid) is not None}, now)
        for program in watched.values():
            with contextlib.suppress(BlockingIOError):
                while program.words is not None:
                    self._silence.hear(program.pid or 0, program.words.recv(MAX_WORD_BYTES), now)
        for name, _ in self._silence.silent(now):
            self._all[name].end_group()

    def close(self) -> None:
        """End everything."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(5)
        for program in self._all.values():
            program.wanted = False
            program.end_group()
            if program.process is not None:
                program.process.wait(5)
            if program.words is not None:
                program.words.close()

    # -- by name -------------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        return name in self._all or f"supervisor-{SUPERVISED.get(name)}" in self._all

    def pid(self, name: str) -> int | None:
        return self._all[name].pid if name in self._all else int(self._told(name).get("pid", 0)) or None

    def starts(self, name: str) -> int:
        return self._all[name].starts if name in self._all else int(self._told(name).get("starts", 0))

    def _told(self, name: str) -> dict[str, Any]:
        try:
            programs = json.loads((self.run / f"processes-{SUPERVISED[name]}.json").read_bytes())["programs"]
            found: dict[str, Any] = programs[name]
            return found
        except (OSError, ValueError, KeyError):
            return {}

    def kill(self, name: str) -> None:
        """kill -9 a program; it is started again."""
        pid = self.pid(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _wait_for_death(pid)

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Stop a program of a unit (SIGSTOP) for a while, and let nobody find that it hangs."""
        program, pid = self._all[name], self.pid(name)
        assert pid is not None  # it runs
        program.watched = False
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
            program.watched = True

    def stop(self, name: str) -> None:
        """End a program for good."""
        if name in self._all:
            self._all[name].wanted = False
            self.kill(name)
        else:
            self._ask(name, "stopProcess")

    def resume(self, name: str) -> None:
        """Let a program that was ended run again."""
        if name in self._all:
            self._all[name].wanted = True
        else:
            self._ask(name, "startProcess")

    def _ask(self, name: str, what: str) -> None:
        path = f"unix://{self.run}/supervisor-{SUPERVISED[name]}.sock"
        server = xmlrpc.client.ServerProxy("http://supervisor", transport=SupervisorTransport(None, None, path))
        with contextlib.suppress(xmlrpc.client.Fault, http.client.HTTPException):
            getattr(server.supervisor, what)(name)


def _wait_for_death(pid: int) -> None:
    """The kernel takes a moment; who asks at once would be told what the killed one said last."""
    for _ in range(400):
        try:
            state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2]
        except OSError:
            return
        if state.startswith(b" Z"):
            return
        time.sleep(0.005)
