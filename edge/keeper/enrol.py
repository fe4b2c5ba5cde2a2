"""The keeper's part in enrolment: the hole, what enrol is told, and the secrets that come with a layer."""

from __future__ import annotations

import base64
from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.control.hole import Handshakes, why_open
from edge.io import rights
from edge.keeper.hand import HandRefused
from edge.keeper.kernel import Kernel
from firewall import hole
from netconf import secrets
from netconf.enrolment import Door
from netconf.model import PLANES, Site

USER = "snowgate-enrol"


class Enrolling:
    """The hole, opened for seconds when enrol is about to go out, and closed as soon as its reason is gone."""

    def __init__(self, folder: Path, kernel: Kernel, counters: Counter[str]) -> None:
        self._folder = folder
        self._kernel = kernel
        self._counters = counters
        self._handshakes = Handshakes()
        self._asked_at: float | None = None
        self._open_until = 0.0
        self._opened = ""

    def ask(self, now: float) -> None:
        """A person wants the city to be asked now."""
        self._asked_at = now

    def door(self) -> Door | None:
        """Return where the city enrols this box; a file that holds something else is none, and counted."""
        try:
            return secrets.read_door(self._folder)
        except (secrets.SecretDamaged, OSError):
            self._counters["enrolment_damaged"] += 1
            return None

    def city(self) -> Ed25519PublicKey | None:
        """Return the key of the city that this box belongs to."""
        try:
            return secrets.read_city_key(self._folder)
        except (secrets.SecretDamaged, OSError):
            return None

    def why(self, site: Site | None, now: float) -> str:
        """Return why the hole may be open now, "" when it may not."""
        asked = None if self._asked_at is None else now - self._asked_at
        return why_open(site, self.door(), self._handshakes.dead_seconds(now), asked)

    def keys(self, site: Site | None) -> dict[str, str]:
        """Return the public key of each tunnel, made where there is none; nothing when one is damaged."""
        names = () if site is None else tuple(tunnel.name for tunnel in site.tunnel) or PLANES
        try:
            return {name: secrets.ensure_wireguard_key(self._folder, name) for name in names}
        except (secrets.SecretDamaged, OSError):
            self._counters["key_damaged"] += 1
            return {}

    def open(self, site: Site | None, now: float) -> bool:
        """Open the hole for ``hole.HOLE_SECONDS`` if there is a reason; return whether it is open."""
        door, user = self.door(), rights.uid_of(USER)
        if door is None or user is None or not self.why(site, now):
            return False
        try:
            self._kernel.script({"wan": hole.opened(user, IPv4Address(door.address), door.port)})
        except HandRefused:
            self._counters["hole_not_opened"] += 1
            return False
        self._counters["hole_opened"] += 1
        self._open_until, self._opened = now + hole.HOLE_SECONDS, f"{door.address}:{door.port}"
        return True

    def tend(self, site: Site | None, now: float) -> None:
        """See how the tunnels are; close a hole whose reason is gone."""
        tunnels = site.tunnel if site is not None else ()
        self._handshakes.note(((tunnel.name, self._last(tunnel.name)) for tunnel in tunnels), now)
        if self._open_until > now and not self.why(site, now):
            self.close()

    def close(self) -> None:
        """Close the hole; rules that were loaded meanwhile are without it anyway."""
        self._open_until, self._opened = 0.0, ""
        try:
            self._kernel.script({"wan": hole.closed()})
        except HandRefused:
            self._counters["hole_not_closed"] += 1

    def left(self, namespace: str, now: float) -> str:
        """Return the script that opens the hole again for what is left of its time: the frames' set is made anew with the rules."""
        left, user = int(self._open_until - now), rights.uid_of(USER)
        if namespace != "wan" or left < 1 or user is None:
            return ""
        address, _, port = self._opened.partition(":")
        return hole.opened(user, IPv4Address(address), int(port), left)

    def facts(self, site: Site | None, now: float) -> dict[str, Any]:
        """Return what is told of enrolment: nothing of it is secret."""
        door, city = self.door(), self.city()
        return {
            "enrolled": site is not None and site.enrolled,
            "site": door.site if door else "",
            "address": door.address if door else "",
            "port": door.port if door else 0,
            "ca": door.ca if door else "",
            "city_key": base64.b64encode(city.public_bytes_raw()).decode("ascii") if city else "",
            "wireguard": self.keys(site),
            "hole": self.why(site, now),
            "open": self._open_until > now,
        }

    def _last(self, tunnel: str) -> int:
        try:
            facts = self._kernel.tunnel(tunnel)
        except HandRefused:
            return 0
        return int(facts.last_handshake) if facts is not None else 0
