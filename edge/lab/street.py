"""The street in operation: tunnel, programs, and what they say of themselves. Runs inside the private namespaces."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from edge.control.client import socket_path
from edge.io import credentials
from edge.io import status as status_file
from edge.lab import private, topology
from edge.lab.authority import Authority
from edge.lab.control import city_key
from edge.lab.hubs import ONE, PLACEHOLDERS, Hub, configure
from edge.lab.programs import SUPERVISED, Programs
from edge.lab.units import House, code_path, code_python, furnish, read_unit
from netconf import durable, secrets
from netconf.check import read_site
from netconf.enrolment import Bundle, write_door
from netconf.layers import PARTS
from netconf.model import Site

RUN, STATE, SECRETS = (Path(private.PLACES[f"SNOWGATE_{name}"]) for name in ("RUN", "STATE", "SECRETS"))
CONTROL = Path("/run/snowgate-control")
SITE_FILE = Path(__file__).with_name("site.toml")
CLOSED = Path(__file__).parents[2] / "firewall" / "closed.nft"
#: The box's units that run on; each says itself where it lives and what it may.
_UNITS = ("keeper", "uplink", "enrol", "prove", "ferry", "site", "city")
#: Where the lab's city enrols boxes, at its public address.
ENROL_PORT = 8443
#: What stands here for the box's folders.
_PLACES = {"/run/snowgate": RUN, "/var/lib/snowgate": STATE, "/etc/snowgate/secrets": SECRETS}


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
class Street:
    """Build with ``open``, leave with ``close``."""

    logs: Path
    without: frozenset[str] = frozenset()
    site_file: Path = SITE_FILE
    #: Lays the cables otherwise, once the street stands and before anything runs.
    rewire: Callable[[], None] | None = None
    #: The city's ends of the site's tunnels, in their order.
    hubs: tuple[Hub, ...] = ONE
    #: Which edition of GB/T 28181 the recorder speaks; the city's stands in the site file.
    recorder_edition: int = 2016
    #: Whether rules are really proven before they are loaded, which takes a while; else a stand-in says what it is told.
    proves: bool = False
    #: Whether the box belongs to the lab's city from the start; else it has the owner's part alone, until it is enrolled.
    enrolled: bool = True
    #: Whether the open twin stands beside it, which probes need.
    twin: bool = True
    site: Site | None = None
    programs: Programs = field(default_factory=lambda: Programs(RUN))
    _house: House | None = None

    def open(self) -> None:
        """Build the street, start everything, apply the site, start the city's hub."""
        self.build()
        self.start()
        self.start_hub()

    def build(self) -> None:
        """Build the street with the box shut and nothing running."""
        self.logs.mkdir(parents=True, exist_ok=True)
        os.chown(self.logs, os.getuid(), os.getgid())  # supervisord, root with few rights, writes here
        for old in self.logs.glob("*.log"):
            old.unlink()
        self._house = furnish(_PLACES)
        topology.build(self.twin)
        if self.rewire is not None:
            self.rewire()
        for namespace in ("lan", "vpn", "wan"):
            _must(topology.inside(namespace, "nft", "-f", str(CLOSED)))

    def start(self) -> None:
        """Start the programs and apply the site; the city's hub is still away."""
        text = self._secrets_and_site()
        text = text if self.enrolled else owner_part(text)
        self._start_programs()
        self.programs.start()
        self.apply(text)
        eventually(lambda: all(self.pid(name) for name in SUPERVISED), 30, "the sides' programs")

    def _secrets_and_site(self) -> str:
        text = self.site_file.read_text(encoding="utf-8")
        folder = RUN / "hub"
        folder.mkdir(mode=0o700, exist_ok=True)
        for hub, placeholder in zip(self.hubs, PLACEHOLDERS, strict=False):
            text = text.replace(placeholder, new_hub_key(hub))
        site, found = read_site(text)
        if site is None:
            raise topology.LabBroken(f"{self.site_file}: {found}")
        self.site = site
        for platform in site.platform:
            secrets.write_password(self.passwords, f"platform-{platform.id}", os.urandom(12).hex())
        for recorder in site.recorder:
            secrets.write_password(SECRETS / "siteside", f"recorder-{recorder.id}", os.urandom(12).hex())
        if self.enrolled:
            self._belong(site)
        return text

    @property
    def passwords(self) -> Path:
        """Where the city's platforms find their passwords: where the box has them, until it gets them with its layer."""
        return SECRETS / "cityside" if self.enrolled else CONTROL / "passwords"

    def _belong(self, site: Site) -> None:
        """Have the box belong to the lab's city already: its key, its CA, and a certificate for the device."""
        authority = Authority(CONTROL)
        device = secrets.ensure_device_key(SECRETS / "device").public_key()
        door = Bundle(site.identity.id, topology.CITY_PUBLIC, ENROL_PORT, authority.pin, "", "")
        secrets.write_city_key(SECRETS / "keeper", city_key(CONTROL).public_key())
        durable.write(SECRETS / "keeper" / "enrolment.json", write_door(door))
        credentials.keep_ca(STATE, authority.pem)
        credentials.keep(STATE, "enrol", authority.device(device, site.identity.id))
        durable.write(CONTROL / "device", secrets.key_hash(device).encode("ascii"))

    def start_hub(self) -> None:
        """Start the city's ends of the tunnels, and what is behind them."""
        assert self.site is not None  # made before
        for at, hub in enumerate(self.hubs):
            self.start_one_hub(at)
            if hub.inner:
                self.program(f"echo-{hub.host}", hub.host, sys.executable, "-m", "edge.lab.echo", hub.inner)
        if "city" not in self.without:
            control = self.site.control
            if control is not None:
                places = [f"{control.address}:{control.port}"]
                if not self.hubs[0].inner:  # else the public address is the hub's
                    places.append(f"{topology.CITY_PUBLIC}:{ENROL_PORT}")
                self.program("control", "city", sys.executable, "-m", "edge.lab.control", "--folder", str(CONTROL),
                             "--device", str(SECRETS / "device"), *(f"--at={place}" for place in places))  # fmt: skip
            self._start_platforms(self.site)

    def start_one_hub(self, at: int) -> None:
        """Start a concentrator, or start it again; it knows the box by the public key that the box has now."""
        assert self.site is not None  # made before
        hub, tunnel = self.hubs[at], self.site.tunnel[at]
        if not self.runs(hub.program):
            if not self._kernel_wireguard(hub.host, hub.device):
                self.program(hub.program, hub.host, "wireguard-go", "-f", hub.device)
        else:
            self.resume_program(hub.program)
        eventually(lambda: _ok(topology.inside(hub.host, "wg", "show", hub.device)), 10, "the hub's device")
        public = secrets.ensure_wireguard_key(SECRETS / "keeper", tunnel.name)
        # The site's whole LAN is allowed on purpose: the city must be able to try to reach it.
        allowed = f"{tunnel.address.ip}/32" + (", 192.168.1.0/24" if at == 0 else "")
        configure(hub, (RUN / "hub" / hub.host).read_text(encoding="ascii"), public, allowed)

    def stop_one_hub(self, at: int) -> None:
        """Take a concentrator's WireGuard away, as its death does."""
        hub = self.hubs[at]
        if self.runs(hub.program):
            self.stop_program(hub.program)
        else:
            topology.ip("-n", hub.host, "link", "del", hub.device)

    def _start_platforms(self, site: Site) -> None:
        """The first is ``city``, the others ``city-2`` and so on, each at an address of its own beside the hub."""
        for at, platform in enumerate(site.platform, 1):
            name = "city" if at == 1 else f"city-{at}"
            if at > 1:
                topology.ip("-n", "city", "addr", "add", f"{platform.address}/24", "dev", "wg0")
            orders = RUN / f"{name}.sock"
            boxes = ",".join(str(tunnel.address.ip) for tunnel in site.tunnel)
            known_as = platform.known_as or site.identity.id
            who = (str(platform.edition), platform.id, str(platform.address), known_as, boxes)
            self.program(name, "city", sys.executable, "-m", "edge.lab.city", str(self.passwords), str(orders),
                         *who)  # fmt: skip
            eventually(orders.exists, 20, "the city's platform")

    def _kernel_wireguard(self, namespace: str, name: str) -> bool:
        return _ok(["ip", "-n", namespace, "link", "add", name, "type", "wireguard"])

    def _start_programs(self) -> None:
        assert self._house is not None  # built
        if not self._kernel_wireguard("wan", "probe0"):
            # The keeper speaks to it through a socket that it makes for its own user alone (wireguard-go(8)).
            assert self.site is not None  # made before
            for tunnel in self.site.tunnel:
                self.program(tunnel.name, "wan", *self._house.as_keeper(["wireguard-go", "-f", tunnel.name]))
        else:
            topology.ip("-n", "wan", "link", "del", "probe0")
        for name in _UNITS:
            unit = read_unit(name)
            standin = name == "prove" and not self.proves
            self.programs.add(
                f"supervisor-{name}" if name in ("site", "city") else name,
                topology.inside(unit.namespace, *self._house.command(unit), *(_standin() if standin else ())),
                self.logs / f"unit-{name}.log" if name in ("site", "city") else self.logs / f"{name}.log",
                self._house.environment(self.logs),
                RUN / f"notify-unit-{name}.sock",
            )
        if "nvr" not in self.without:
            assert self.site is not None  # made before
            self.program("nvr", "nvr", sys.executable, "-m", "edge.lab.recorder", str(SECRETS / "siteside"),
                         str(RUN / "nvr.sock"), str(self.recorder_edition), self.site.identity.id)  # fmt: skip

    def program(self, name: str, namespace: str, *command: str) -> None:
        """Keep a program of the street's other hosts running."""
        log = self.logs / f"{name}.log"
        self.programs.add(name, topology.inside(namespace, *command), log, {**os.environ, **code_path()}, None)

    def runs(self, name: str) -> bool:
        """Return whether the street has such a program at all."""
        return self.programs.has(name)

    def pid(self, name: str) -> int | None:
        return self.programs.pid(name)

    def starts(self, name: str) -> int:
        return self.programs.starts(name)

    def kill(self, name: str) -> None:
        """kill -9 a program; it is started again."""
        self.programs.kill(name)

    def held(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Stop a program (SIGSTOP) for a while: the keeper would put back what is taken away."""
        return self.programs.held(name)

    def stop_program(self, name: str) -> None:
        """End a program for good."""
        self.programs.stop(name)

    def resume_program(self, name: str) -> None:
        """Let a program that was ended run again."""
        self.programs.resume(name)

    def apply(self, text: str) -> None:
        """Apply a site text through the keeper.

        Raises:
            LabBroken: the keeper refused it.
        """
        path = RUN / "applied.toml"
        path.write_text(text, encoding="utf-8")
        eventually(socket_path(RUN, "operator").exists, 20, "the keeper")
        command = [sys.executable, "-m", "edge.cli", "apply", "--run", str(RUN), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
        if done.returncode:
            raise topology.LabBroken(done.stderr.strip())

    def proof(self, said: str) -> None:
        """Have the stand-in say from now on: green, red, none (it could not run), other (upon other rules), or hang."""
        path = RUN / "proof-standin"
        path.write_text(said, encoding="ascii")
        path.chmod(0o644)

    def status(self) -> dict[str, Any]:
        """Return what ``snowgate status --json`` says."""
        command = [sys.executable, "-m", "edge.cli", "status", "--json", "--run", str(RUN)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        facts: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        return facts

    def said(self, name: str) -> dict[str, Any]:
        """Return what a program's status file says, {} when it says nothing yet."""
        return status_file.read(RUN, name) or {}

    def views(self, side: str) -> dict[str, Any]:
        """Return the views that a side says it has."""
        if side != "cityside":
            return dict(self.said(side).get("views", {}))
        platforms = self.said(side).get("platforms", {})
        return {number: view for each in platforms.values() for number, view in each.get("views", {}).items()}

    def upper(self, at: int = 0) -> dict[str, Any]:
        """Return what the city side says of a platform, {} when it says nothing yet."""
        assert self.site is not None  # made before
        found: dict[str, Any] = self.said("cityside").get("platforms", {}).get(self.site.platform[at].id, {})
        return found

    def close(self) -> None:
        """Stop what was started. The namespaces go with the process that holds them."""
        self.programs.close()


def new_hub_key(hub: Hub) -> str:
    """Make a concentrator's key, and return the public one."""
    made = X25519PrivateKey.generate()
    (RUN / "hub" / hub.host).write_text(base64.b64encode(made.private_bytes_raw()).decode("ascii"), encoding="ascii")
    return base64.b64encode(made.public_key().public_bytes_raw()).decode("ascii")


def owner_part(text: str) -> str:
    """Return a site file without the city's tables, as an installer has it before the box is enrolled."""
    kept, owner = [], True
    for line in text.splitlines():
        if line.startswith("["):
            owner = PARTS.get(line.strip("[] ").partition(".")[0]) == "owner"
        kept += [line] if owner else []
    return "\n".join(kept) + "\n"


def _standin() -> list[str]:
    return ["--runner", f"{code_python()} -m edge.lab.proof_standin {RUN}/proof-standin"]


def _ok(command: Sequence[str]) -> bool:
    return subprocess.run(list(command), capture_output=True, timeout=20, check=False).returncode == 0


def _must(command: Sequence[str]) -> None:
    done = subprocess.run(list(command), capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise topology.LabBroken(f"{' '.join(command)}: {done.stderr.strip()}")
