"""A concentrator's host: WireGuard and the agent, as docs/concentrator.md says that a person sets one up."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from edge.lab.cityscape.internet import CITY_NETWORK, HUB_PORT, REGISTRY_INNER, REGISTRY_PORT, Hub
from edge.lab.cityscape.registry import Registry, environment
from edge.lab.programs import Programs
from edge.lab.street import eventually
from edge.lab.topology import LabBroken, inside, ip

_ROOT = Path("/run/snowgate-hubs")
#: SIP and its media, and the registry.
_TCP, _UDP = ("5060", "8443"), ("5060", "40000-49999")


class Concentrator:
    """One of them."""

    def __init__(self, hub: Hub, running: Programs, logs: Path) -> None:
        self.hub = hub
        self._programs, self._logs = running, logs
        self._folder = _ROOT / hub.host
        self._file = self._folder / "concentrator.toml"
        self._device = f"{hub.device}0"

    def prepare(self) -> str:
        """Make its keys, and return the public half as the registry is told it."""
        self._folder.mkdir(parents=True, mode=0o700)
        hub = self.hub
        self._file.write_text(
            f'id = "{hub.host}"\ndevice = "{hub.device}"\nnetwork = "{hub.network}"\naddress = "{hub.inner}"\n'
            f'folder = "{self._folder / "keys"}"\nstate = "{self._folder / "state"}"\nreport_seconds = 5\n'
            f'[registry]\naddress = "{REGISTRY_INNER}"\nport = {REGISTRY_PORT}\n'
            f'[[city]]\nnetwork = "{CITY_NETWORK}"\ntcp = {json.dumps(_TCP)}\nudp = {json.dumps(_UDP)}\n',
            encoding="utf-8",
        )
        return self._said("prepare")

    def join(self, registry: Registry) -> None:
        """Have the city add it, and start it."""
        hub, keys = self.hub, self._folder / "keys"
        made = self.prepare()
        certificate = registry.run("concentrator", "add", "-", "--name", hub.host, "--plane", hub.plane, "--endpoint",
                                   f"{hub.public}:{HUB_PORT}", given=made)  # fmt: skip
        city = registry.identity()
        for name, text in (("certificate.pem", certificate), ("ca.pem", city.ca), ("city.pub", city.city_key)):
            (keys / name).write_text(text, encoding="ascii")
        if not self._kernel():
            self._programs.add(self._device, inside(hub.host, "wireguard-go", "-f", self._device),
                               self._logs / f"{self._device}.log", environment(), None)  # fmt: skip
        run = [sys.executable, "-m", "city.concentrator", str(self._file)]
        self._programs.add(hub.host, inside(hub.host, *run), self._logs / f"{hub.host}.log", environment(), None)
        eventually(lambda: self._shows("listen-port") == [str(HUB_PORT)], 60, f"{hub.host} has its device")

    def _kernel(self) -> bool:
        try:
            ip("-n", self.hub.host, "link", "add", self._device, "type", "wireguard")
        except LabBroken:
            return False
        return True

    def _said(self, word: str) -> str:
        command = [sys.executable, "-m", "edge.cli", "city", "concentrator", word, "--config", str(self._file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment())
        if done.returncode:
            raise LabBroken(done.stderr.strip())
        return done.stdout

    def _shows(self, what: str) -> list[str] | None:
        """What ``wg`` says of the device, None where there is none."""
        done = subprocess.run(inside(self.hub.host, "wg", "show", self._device, what), capture_output=True, text=True,
                              timeout=20, check=False)  # fmt: skip
        return done.stdout.split() if done.returncode == 0 else None

    def peers(self) -> list[str]:
        """Return the public keys of the sites that it lets in."""
        return self._shows("peers") or []

    def restart_agent(self) -> None:
        """kill -9 its agent, which is started again."""
        self._programs.kill(self.hub.host)

    def kill(self) -> None:
        """Take the whole host away at once: agent, WireGuard, cables."""
        for link in ("c0", "e0"):
            ip("-n", self.hub.host, "link", "set", link, "down")
        self._programs.stop(self.hub.host)
        if self._programs.has(self._device):
            self._programs.stop(self._device)
        else:
            ip("-n", self.hub.host, "link", "del", self._device)

    def revive(self) -> None:
        """Switch it on again; it knows its sites from its own disk."""
        hub = self.hub
        for link in ("c0", "e0"):
            ip("-n", hub.host, "link", "set", link, "up")
        ip("-n", hub.host, "route", "replace", "default", "via", "203.0.113.1")
        if self._programs.has(self._device):
            self._programs.resume(self._device)
        else:
            self._kernel()
        self._programs.resume(hub.host)


def forget() -> None:
    """Begin without what an earlier run left behind."""
    shutil.rmtree(_ROOT, ignore_errors=True)
