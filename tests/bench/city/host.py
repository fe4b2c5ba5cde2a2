"""The city's host: ``snowgate city init`` and ``serve`` as processes, PostgreSQL if asked for, and what each of them costs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from city.registry.store import Store, open_store
from edge.lab import postgres
from tests import cityserver
from tests.bench.city import fleet

ADDRESS = "127.0.0.1"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Host:
    """A city with its fleet; ``serving`` runs its server."""

    folder: Path
    url: str
    port: int
    database: postgres.Server | None = None
    store: Store = field(init=False)
    pid: int = 0
    workers: int = 0

    @property
    def boxes(self) -> Path:
        return self.folder / "boxes"

    @property
    def ca(self) -> str:
        return (self.folder / "signing" / "ca.pem").read_text(encoding="ascii")

    @contextlib.contextmanager
    def serving(self, *words: str) -> Iterator[None]:
        """Have ``snowgate city serve`` run, with its signing process and its worker processes."""
        process = subprocess.Popen(
            [sys.executable, "-m", "edge.cli", "city", "--folder", str(self.folder), "serve", *words]
        )
        try:
            until = time.monotonic() + cityserver.START_SECONDS
            while not self.answers():
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("snowgate city serve does not answer")
                time.sleep(0.1)
            self.pid = process.pid
            yield
        finally:
            self.pid = 0
            process.terminate()
            process.wait(60)

    def answers(self) -> bool:
        try:
            socket.create_connection((ADDRESS, self.port), 1).close()
        except OSError:
            return False
        return True

    def server(self) -> list[int]:
        """Return the server's processes, but for the one that signs."""
        return [self.pid, *(pid for pid in children(self.pid) if pid not in self.signing())]

    def signing(self) -> list[int]:
        return [pid for pid in children(self.pid) if b"\0sign\0" in command(pid)]

    def postgres(self) -> list[int]:
        """Return PostgreSQL's processes; [] where there is none."""
        return self.database.processes() if self.database is not None else []

    def cpu(self) -> dict[str, float]:
        """Return CPU seconds so far of the server, the signing process and the database."""
        return {"api": cpu(self.server()), "signing": cpu(self.signing()), "database": cpu(self.postgres())}


@contextlib.contextmanager
def host(sites: int, kind: str = "sqlite") -> Iterator[Host]:
    """Make a city whose registry has so many sites; everything goes with the block."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="snowgate-bench-")))
        database = None
        if kind == "postgresql":
            where = postgres.programs()
            if where is None:
                raise RuntimeError("PostgreSQL is not installed: make tools")
            database = postgres.Server(where)
            stack.callback(database.stop)
            database.start()
            database.create("registry")
        port = free_port()
        url = database.url("registry") if database is not None else f"sqlite:///{folder / 'data' / 'city.sqlite'}"
        words = ("--database", url) if database is not None else ()
        made = cityserver.run(folder, "init", "--name", "市", "--address", ADDRESS, "--port", str(port), *words)
        if made.returncode:
            raise RuntimeError(made.stderr)
        city = Host(folder, url, port, database)
        store = open_store(url, upgrade=False)
        fleet.fill(store, folder / "signing", city.boxes, sites)
        city.store = store
        stack.callback(store.close)
        yield city


def free_port() -> int:
    with socket.create_server((ADDRESS, 0)) as line:
        return int(line.getsockname()[1])


def children(pid: int) -> list[int]:
    """Return a process's children and theirs."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text(encoding="ascii").split()):
                found += [child, *children(child)]
    return found


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def cpu(pids: list[int]) -> float:
    """Return the CPU seconds of processes, and of those children of theirs that have ended (PostgreSQL's sessions do)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            total += sum(map(int, words[11:15]))
    return total / _TICKS


def pss_mb(pids: list[int]) -> float:
    """Return the memory of processes, what they share counted once in all (PSS)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return round(total / 1024, 1)
