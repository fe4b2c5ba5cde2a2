"""The street in operation: tunnel, programs, and what they say of themselves. Runs inside the private namespaces."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from edge.lab import topology
from edge.lab.control import city_key
from netconf import secrets
from netconf.check import read_site
from netconf.model import Site

RUN, STATE, SECRETS = Path("/run/snowgate"), Path("/run/snowgate-state"), Path("/run/snowgate-secrets")
CONTROL = Path("/run/snowgate-control")
SITE_FILE = Path(__file__).with_name("site.toml")
CLOSED = Path(__file__).parents[2] / "firewall" / "closed.nft"
_EMPTY_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
_RESTART_SECONDS = 0.5
#: The box's programs and where each lives.
_PROGRAMS = (("keeper", "wan"), ("uplink", "wan"), ("ferry", "ferry"), ("siteside", "lan"), ("cityside", "vpn"),
             ("agent", "vpn"))  # fmt: skip


def eventually(read: Callable[[], Any], within: float, what: str) -> Any:
    """Return the first true value of ``read``.

    Raises:
        TimeoutError: none came; it says what was waited for.
    """
    until = time.monotonic() + within
    while True:
        value = read()
        if value:
            return value
        if time.monotonic() > until:
            raise TimeoutError(f"waited {within:g} s for: {what}")
        time.sleep(0.05)


@dataclass(slots=True)
class _Program:
    """One program, started again whenever it ends."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = True
    starts: int = 0
    last: float = 0.0

    def tend(self) -> None:
        alive = self.process is not None and self.process.poll() is None
        if alive or not self.wanted or time.monotonic() - self.last < _RESTART_SECONDS:
            return
        self.starts, self.last = self.starts + 1, time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


@dataclass(slots=True)
class Street:
    """Build with ``open``, leave with ``close``."""

    logs: Path
    without: frozenset[str] = frozenset()
    site_file: Path = SITE_FILE
    #: Lays the cables otherwise, once the street stands and before anything runs.
    rewire: Callable[[], None] | None = None
    site: Site | None = None
    _programs: dict[str, _Program] = field(default_factory=dict)
    _tending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def open(self) -> None:
        """Build the street, start everything, apply the site, start the city's hub."""
        self.build()
        self.start()
        self.start_hub()

    def build(self) -> None:
        """Build the street with the box shut and nothing running."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for old in self.logs.glob("*.log"):
            old.unlink()
        for folder in (RUN, STATE, SECRETS):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        RUN.chmod(0o755)
        topology.build()
        if self.rewire is not None:
            self.rewire()
        for namespace in ("lan", "vpn", "wan"):
            _must(topology.inside(namespace, "nft", "-f", str(CLOSED)))

    def start(self) -> None:
        """Start the programs and apply the site; the city's hub is still away."""
        text = self._secrets_and_site()
        self._thread = threading.Thread(target=self._tend, daemon=True)
        self._start_programs()
        self._thread.start()
        self.apply(text)

    def _secrets_and_site(self) -> str:
        hub = X25519PrivateKey.generate()
        public = base64.b64encode(hub.public_key().public_bytes_raw()).decode("ascii")
        text = self.site_file.read_text(encoding="utf-8").replace(_EMPTY_KEY, public)
        site, found = read_site(text)
        if site is None:
            raise topology.LabBroken(f"{self.site_file}: {found}")
        self.site = site
        secrets.write_password(SECRETS, "platform", os.urandom(12).hex())
        for recorder in site.recorder:
            secrets.write_password(SECRETS, f"recorder-{recorder.id}", os.urandom(12).hex())
        secrets.write_city_key(SECRETS, city_key(CONTROL).public_key())
        folder = RUN / "hub"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "key").write_text(base64.b64encode(hub.private_bytes_raw()).decode("ascii"), encoding="ascii")
        return text

    def start_hub(self) -> None:
        """Start the city's end of the tunnel."""
        assert self.site is not None  # made before
        tunnel = self.site.tunnel[0]
        public = secrets.ensure_wireguard_key(SECRETS, tunnel.name)
        config = RUN / "hub" / "conf"
        config.write_text(
            f"[Interface]\nPrivateKey = {(RUN / 'hub' / 'key').read_text()}\nListenPort = {topology.HUB_PORT}\n"
            # The site's whole LAN is allowed on purpose: the city must be able to try to reach it.
            f"[Peer]\nPublicKey = {public}\nAllowedIPs = {tunnel.address.ip}/32, 192.168.1.0/24\n",
            encoding="ascii",
        )
        if not self._kernel_wireguard("city", "wg0"):
            self.program("wg-hub", "city", "wireguard-go", "-f", "wg0")
            eventually(lambda: _ok(["wg", "show", "wg0"]), 10, "the hub's device")
        _must(topology.inside("city", "wg", "setconf", "wg0", str(config)))
        for words in (
            ("addr", "add", f"{topology.CITY_IP}/24", "dev", "wg0"), ("link", "set", "wg0", "mtu", "1420", "up"),
            ("route", "add", "100.64.0.0/16", "dev", "wg0"), ("route", "add", "192.168.1.0/24", "dev", "wg0"),
        ):  # fmt: skip
            topology.ip("-n", "city", *words)
        if "city" not in self.without:
            control = self.site.control
            if control is not None:
                facts = (str(control.address), str(control.port), str(CONTROL), str(SECRETS))
                self.program("control", "city", sys.executable, "-m", "edge.lab.control", *facts)
            orders = RUN / "city.sock"
            self.program("city", "city", sys.executable, "-m", "edge.lab.city", str(SECRETS), str(orders))
            eventually(orders.exists, 20, "the city's platform")

    def _kernel_wireguard(self, namespace: str, name: str) -> bool:
        return _ok(["ip", "-n", namespace, "link", "add", name, "type", "wireguard"])

    def _start_programs(self) -> None:
        python = sys.executable
        where = ("--run", str(RUN), "--state", str(STATE), "--secrets", str(SECRETS))
        if not self._kernel_wireguard("wan", "probe0"):
            self.program("wg-a", "wan", "wireguard-go", "-f", "wg-a")
        else:
            topology.ip("-n", "wan", "link", "del", "probe0")
        for name, namespace in _PROGRAMS:
            self.program(name, namespace, python, "-m", f"edge.{name}", *where)
        self.program("webui", "lan", python, "-m", "webui", *where)
        if "nvr" not in self.without:
            self.program("nvr", "nvr", python, "-m", "edge.lab.recorder", str(SECRETS))

    def program(self, name: str, namespace: str, *command: str) -> None:
        """Keep a program running in a host."""
        self._programs[name] = _Program(name, topology.inside(namespace, *command), self.logs / f"{name}.log")

    def _tend(self) -> None:
        while not self._tending.wait(0.2):
            for program in list(self._programs.values()):
                program.tend()

    def runs(self, name: str) -> bool:
        """Return whether the street has such a program at all."""
        return name in self._programs

    def pid(self, name: str) -> int | None:
        process = self._programs[name].process
        return process.pid if process is not None and process.poll() is None else None

    def starts(self, name: str) -> int:
        return self._programs[name].starts

    def kill(self, name: str) -> None:
        """kill -9 a program; it is started again."""
        pid = self.pid(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Stop a program (SIGSTOP) for a while: the keeper would put back what is taken away."""
        pid = self.pid(name)
        assert pid is not None  # it runs
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop_program(self, name: str) -> None:
        """End a program for good."""
        self._programs[name].wanted = False
        self.kill(name)

    def resume_program(self, name: str) -> None:
        """Let a program that was ended run again."""
        self._programs[name].wanted = True

    def apply(self, text: str) -> None:
        """Apply a site text through the keeper.

        Raises:
            LabBroken: the keeper refused it.
        """
        path = RUN / "applied.toml"
        path.write_text(text, encoding="utf-8")
        eventually((RUN / "keeper-operator.sock").exists, 20, "the keeper")
        command = [sys.executable, "-m", "edge.cli", "apply", "--run", str(RUN), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        if done.returncode:
            raise topology.LabBroken(done.stderr.strip())

    def status(self) -> dict[str, Any]:
        """Return what ``snowgate status --json`` says."""
        command = [sys.executable, "-m", "edge.cli", "status", "--json", "--run", str(RUN)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        facts: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        return facts

    def said(self, name: str) -> dict[str, Any]:
        """Return what a program's status file says, {} when it says nothing yet."""
        try:
            facts: dict[str, Any] = json.loads((RUN / f"{name}.status.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return facts

    def close(self) -> None:
        """Stop what was started. The namespaces go with the process that holds them."""
        self._tending.set()
        if self._thread is not None:
            self._thread.join(5)
        for program in self._programs.values():
            program.wanted = False
            if program.process is not None and program.process.poll() is None:
                program.process.kill()
                program.process.wait(5)


def _ok(command: Sequence[str]) -> bool:
    return subprocess.run(list(command), capture_output=True, timeout=20, check=False).returncode == 0


def _must(command: Sequence[str]) -> None:
    done = subprocess.run(list(command), capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise topology.LabBroken(f"{' '.join(command)}: {done.stderr.strip()}")
