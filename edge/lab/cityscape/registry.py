"""The registry's host: PostgreSQL, the signing process, the server, the schedule, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from city.registry.signer import Identity
from city.signing.client import over_socket
from edge.lab import postgres
from edge.lab.cityscape.desk import Desk
from edge.lab.cityscape.internet import REGISTRY_INNER, REGISTRY_PORT, REGISTRY_PUBLIC
from edge.lab.programs import Programs
from edge.lab.street import eventually
from edge.lab.topology import LabBroken, inside

FOLDER = Path("/run/snowgate-city")
CHECKOUT = Path(__file__).parents[3]
PROCESSES = ("sign", "serve", "schedule")
_START_SECONDS = 120


def environment() -> dict[str, str]:
    """Return what the city's programs find in their environment."""
    return {**os.environ, "PYTHONPATH": str(CHECKOUT)}


def command(*words: str) -> list[str]:
    """Return ``snowgate city`` with the words."""
    return [sys.executable, "-m", "edge.cli", "city", "--folder", str(FOLDER), *words]


class Registry:
    """Build with ``start``; ``stop`` takes it away as a fire in the machine room does."""

    def __init__(self, running: Programs, logs: Path) -> None:
        self._programs, self._logs = running, logs
        self._database: postgres.Server | None = None

    def start(self) -> Desk:
        """Make a city, start its processes, and return it as its persons see it.

        Raises:
            LabBroken: PostgreSQL is not installed, or a command's own words.
        """
        where = postgres.programs()
        if where is None:
            raise LabBroken("PostgreSQL is not installed: apt-get install postgresql")
        self._database = postgres.Server(where)
        self._database.start()
        self._database.create("registry")
        made = self.run("init", "--name", "示范市", "--address", REGISTRY_PUBLIC, "--port", str(REGISTRY_PORT),
                        "--also", REGISTRY_INNER, "--database", self._database.url("registry"))  # fmt: skip
        for name in PROCESSES:
            words = (name, "--no-sign") if name == "serve" else (name,)
            self._programs.add(f"city-{name}", inside("registry", *command(*words)), self._logs / f"city-{name}.log",
                               environment(), None)  # fmt: skip
        desk = Desk(FOLDER / "signing" / "ca.pem")
        eventually(desk.answers, _START_SECONDS, "the registry answers")
        for line in made.splitlines():
            desk.sign_in(*line.split("\t"))
        return desk

    def run(self, *words: str, who: str = "system", given: str = "") -> str:
        """Run a command at the city's machine, and return what it prints.

        Raises:
            LabBroken: it was refused; its own words.
        """
        done = subprocess.run(command("--as", who, *words), input=given, capture_output=True, text=True, timeout=120,
                              check=False, env=environment())  # fmt: skip
        if done.returncode:
            raise LabBroken(f"snowgate city {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def identity(self) -> Identity:
        """Return what the city is known by."""
        return over_socket(FOLDER / "socket" / "sign.sock").identity()

    def stop(self, names: Iterable[str] = PROCESSES) -> None:
        """End its processes, and the database."""
        for name in names:
            if self._programs.has(f"city-{name}"):
                self._programs.stop(f"city-{name}")
        if self._database is not None:
            with contextlib.suppress(OSError):
                self._database.stop()
            self._database = None
