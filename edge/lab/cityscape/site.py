"""One site in namespaces of its own: its street and its box, obeying orders, one line of JSON each, on standard input.

``ready``, ``build``, ``start``, ``enrol`` (with ``bundle``), ``said`` (with ``program``), ``status``, ``tunnels``. Each is answered with one
line: ``{"done": …}`` or ``{"refused": sentence}``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.io.confirmed import Confirmed
from edge.lab.cityscape.internet import Place
from edge.lab.hubs import two_tunnels
from edge.lab.street import RUN, SITE_FILE, Street
from edge.lab.topology import WAN0_MAC, LabBroken, ip

#: What the kernel says of the hardware is one machine's; here each site's box is another.
_HARDWARE = ("/sys/block", "/sys/class/dmi", "/proc/device-tree")


def _site_text(place: Place) -> str:
    """The street's site file, of another site and plugged in elsewhere."""
    text = two_tunnels(SITE_FILE.read_text(encoding="utf-8"))
    for old, new in (
        ('"34020000002008000001"', f'"{place.id}"'),
        ("198.51.100.2/24", f"{place.uplink}/28"),
        ('gateway = "198.51.100.1"', f'gateway = "{place.gateway}"'),
    ):
        text = text.replace(old, new)
    return text


class Host:
    """The site's host: it builds the street, starts the box, and answers for it."""

    def __init__(self, place: Place, folder: Path) -> None:
        self._place, self._folder = place, folder
        file = folder / f"site-{place.number}.toml"
        file.write_text(_site_text(place), encoding="utf-8")
        self._street = Street(folder / f"site-{place.number}", site_file=file, rewire=self._rewire, hubs=(),
                              proves=True, enrolled=False, twin=False)  # fmt: skip
        self.orders: dict[str, Callable[[dict[str, Any]], Any]] = {
            "ready": lambda _: True,
            "build": lambda _: self._build(),
            "start": lambda _: self._street.start(),
            "enrol": lambda said: self._enrol(str(said["bundle"])),
            "said": lambda said: self._street.said(str(said["program"])),
            "status": lambda _: self._street.status(),
            "tunnels": lambda _: self._tunnels(),
        }

    def _build(self) -> None:
        for at in _HARDWARE:
            if Path(at).is_dir():
                subprocess.run(["mount", "-t", "tmpfs", "tmpfs", at], check=True, timeout=20)
        serial = Path("/sys/block/sda/serial")
        serial.parent.mkdir(parents=True)
        serial.write_text(f"lab disk {self._place.number}\n", encoding="ascii")
        self._street.build()

    def _rewire(self) -> None:
        """The box's port is plugged into the Internet that all have in common."""
        ip("-n", "wan", "link", "del", "wan0")
        ip("link", "set", "out0", "netns", "wan", "name", "wan0", "address", WAN0_MAC)

    def _enrol(self, bundle: str) -> str:
        """Type the bundle in at the box, as an installer does, and return what it shows."""
        command = [sys.executable, "-m", "edge.cli", "enrol", "--run", str(RUN), bundle]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise LabBroken(done.stderr.strip())
        return done.stdout

    def _tunnels(self) -> dict[str, str]:
        """The addresses of the tunnels that the box has."""
        site = Confirmed(RUN).read()
        return {tunnel.name: str(tunnel.address.ip) for tunnel in site.tunnel} if site is not None else {}

    def close(self) -> None:
        """End the box and its street."""
        self._street.close()


def main() -> int:
    """Answer orders until there are no more."""
    number, folder = sys.argv[1:]
    host = Host(Place(int(number)), Path(folder))
    answers = sys.stdout
    sys.stdout = sys.stderr  # whoever prints must not answer
    try:
        for line in sys.stdin:
            said = json.loads(line)
            try:
                answer = {"done": host.orders[said["order"]](said)}
            except (LabBroken, TimeoutError, OSError, subprocess.SubprocessError) as wrong:
                answer = {"refused": str(wrong)}
            print(json.dumps(answer), file=answers, flush=True)
    finally:
        host.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
