"""A PostgreSQL of our own: in a temporary folder, on a unix socket alone, gone when it is stopped."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

_PLACES = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"))
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=60")
START_SECONDS = 60.0


def programs() -> Path | None:
    """Return where the server's programs are; Debian keeps them out of the way."""
    return next((place for place in _PLACES if (place / "initdb").exists() and (place / "postgres").exists()), None)


class Server:
    """One server; it refuses to run as root, so that root lends it to somebody else."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._folder = Path(tempfile.mkdtemp(prefix="snowgate-postgres-", dir="/tmp"))
        self._as = _somebody()
        if self._as is not None and os.geteuid() == 0 and _may_change():
            os.chown(self._folder, self._as, -1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the server, and return when it answers.

        Raises:
            OSError: its own words.
        """
        data, log = self._folder / "data", self._folder / "log"
        made = self._run(
            "initdb", "-D", str(data), "-U", "snowgate", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-locale"
        )
        if made.returncode:
            raise OSError(made.stderr.decode(errors="replace"))
        settings = [word for each in (*_QUICK, f"unix_socket_directories={self._folder}") for word in ("-c", each)]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*self._words("postgres"), "-D", str(data), *settings], stdout=out, stderr=out, **self._how()
            )
        until = time.monotonic() + START_SECONDS
        while (
            not (self._folder / ".s.PGSQL.5432").exists()
            or self._run("pg_isready", "-h", str(self._folder), "-U", "snowgate", "-d", "postgres").returncode
        ):
            if self._process.poll() is not None or time.monotonic() > until:
                raise OSError(log.read_text(errors="replace"))
            time.sleep(0.05)

    def create(self, database: str) -> None:
        """Make an empty database.

        Raises:
            OSError: its own words.
        """
        made = self._run("createdb", "-h", str(self._folder), "-U", "snowgate", database)
        if made.returncode:
            raise OSError(made.stderr.decode(errors="replace"))

    def url(self, database: str) -> str:
        """Return where a database is."""
        return f"postgresql://snowgate@/{database}?host={self._folder}"

    def processes(self) -> list[int]:
        """Return its processes, of which each session has one."""
        if self._process is None:
            return []
        found, at = [self._process.pid], 0
        while at < len(found):
            for task in Path(f"/proc/{found[at]}/task").glob("*/children"):
                found += map(int, task.read_text(encoding="ascii").split())
            at += 1
        return found

    def stop(self) -> None:
        """End it and take its folder away."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _words(self, program: str) -> list[str]:
        words = [str(self._where / program)]
        if os.geteuid() == 0 and not _may_change():
            # The root of a user namespace that has one user: a namespace within, where the same user has another number.
            return ["unshare", "--user", "--map-user=1000", "--map-group=1000", *words]
        return words

    def _how(self) -> dict[str, Any]:
        if os.geteuid() == 0 and _may_change():
            return {"user": self._as, "group": None, "extra_groups": [], "cwd": self._folder}
        return {"cwd": self._folder}

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self._words(program), *words], capture_output=True, check=False, timeout=120, **self._how()
        )


def _somebody() -> int | None:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return None


def _may_change() -> bool:
    """Whether this root is root over other users too."""
    return any(int(line.split()[2]) > 1 for line in Path("/proc/self/uid_map").read_text().splitlines())
