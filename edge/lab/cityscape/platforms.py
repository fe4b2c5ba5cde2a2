"""The city's GB/T 28181 platforms, one for each site, and the program that tells each its sites' passwords."""

from __future__ import annotations

import base64
import sys
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge.lab.cityscape.desk import Desk
from edge.lab.cityscape.internet import Place
from edge.lab.cityscape.registry import environment
from edge.lab.orders import order
from edge.lab.programs import Programs
from edge.lab.street import eventually
from edge.lab.topology import inside
from netconf import secrets
from netconf.sealed import unseal

_ROOT = Path("/run/snowgate-platforms")


class Platform:
    """The platform of one site: the lab's city, with ffmpeg as the judge of its pictures."""

    def __init__(self, place: Place, running: Programs, logs: Path) -> None:
        self.place = place
        self._programs, self._logs = running, logs
        self._orders = _ROOT / f"{place.number}.sock"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._before = 0, 0

    def introduce(self, desk: Desk) -> None:
        """Tell the registry the key to which its sites' passwords are to be sealed."""
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        key = self._key.public_key().public_bytes(serialization.Encoding.DER, spki)
        said = {"key": base64.b64encode(key).decode("ascii")}
        desk.ask("system", "PUT", f"/api/platforms/{self.place.platform}", said)

    def start(self, desk: Desk, tunnels: dict[str, str]) -> None:
        """Fetch the site's password and start; the site comes from one of its tunnels' addresses."""
        place, folder = self.place, _ROOT / str(self.place.number)
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        secrets.write_password(folder, f"platform-{place.platform}", self._password(desk))
        words = (str(folder), str(self._orders), "2022", place.platform, place.platform_address, place.id)
        command = [sys.executable, "-m", "edge.lab.city", *words, ",".join(tunnels.values())]
        self._programs.add(f"platform-{place.number}", inside("city", *command),
                           self._logs / f"platform-{place.number}.log", environment(), None)  # fmt: skip
        eventually(self._orders.exists, 40, f"the platform of site {place.number}")

    def _password(self, desk: Desk) -> str:
        told = desk.ask("system", "GET", f"/api/platforms/changes?platform={self.place.platform}")["changes"]
        (sealed,) = (one["password"] for one in told if one["site"] == self.place.id)
        return unseal(sealed, self._key, f"platform {self.place.id}").decode("ascii")

    def order(self, words: str = "facts") -> dict[str, Any]:
        return order(self._orders, words)

    def judge(self) -> dict[str, Any]:
        """Return what ffmpeg decoded of the view that runs."""
        found: dict[str, Any] = self.order()["judge"]
        return found

    def registered_from(self) -> str:
        """Return the address from which the site is registered, "" when it is not."""
        return str(self.order()["box_at"])

    def watch(self, within: float = 40.0) -> float:
        """Ask for the first camera that is on, and return when its first right picture was decoded (monotonic)."""
        channel = eventually(self._channel, within, f"a camera of site {self.place.number}")
        self.order(f"play {channel}")
        found: float = eventually(lambda: self.judge().get("first_at"), within,
                                  f"a picture of site {self.place.number}")  # fmt: skip
        return found

    def _channel(self) -> str:
        channels = self.order("catalog")["channels"]
        return next((code for code, (_, status) in channels.items() if status == "ON"), "")

    def flows(self, pictures: int = 25, within: float = 30.0) -> None:
        """Wait for so many more right pictures."""
        before = self.judge().get("right", 0)
        eventually(lambda: self.judge().get("right", 0) >= before + pictures, within,
                   f"more pictures of site {self.place.number}")  # fmt: skip

    def mark(self) -> None:
        """Measure gaps, and count what is wrong, from now on."""
        self.order("mark")
        judge = self.judge()
        self._before = int(judge["wrong"]), int(judge["error_count"])

    def gap(self) -> float:
        """Return the longest time without a right picture since ``mark``, in seconds."""
        judge = self.judge()
        return max(float(judge["longest_gap"]), time.monotonic() - float(judge["last_at"] or 0.0))

    def spoilt(self) -> int:
        """Return how many wrong pictures and decode errors there were since ``mark``."""
        judge = self.judge()
        return int(judge["wrong"]) + int(judge["error_count"]) - sum(self._before)
