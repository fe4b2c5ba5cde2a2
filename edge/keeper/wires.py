"""The wires: which port is whose, the second face of a one-arm port, VLANs; brought to their place, shut."""

from __future__ import annotations

import time
from typing import Any

from edge.keeper.hand import Hand, HandRefused, NotApplied
from netconf.compile import arm, desired
from netconf.finding import Finding, Severity, finding
from netconf.model import ARM_LINK, Site
from netconf.plan import AddLink, DeleteLink

#: How long it is told that the LAN port had left: long enough to be seen by a person who looks after a fault.
LEFT_SHOWN_SECONDS = 600.0


class Wires:
    """Each wire ends in its namespace, down, before rules are loaded upon it: those rules name it."""

    def __init__(self, hands: dict[str, Hand], descriptors: dict[str, int]) -> None:
        self._hands = hands
        self._descriptors = descriptors
        self._left_at: float | None = None

    def bring(self, site: Site) -> list[Finding]:
        """Bring every wire to its place; return what could not be, each with the path of its port."""
        found: list[Finding] = []
        for namespace, place in (("wan", self._uplink), ("lan", self._lan)):
            try:
                place(site)
            except NotApplied as wrong:
                found += wrong.findings
            except HandRefused as wrong:
                found.append(finding("apply_refused", f"/{_PART[namespace]}/port", namespace=namespace, what=wrong))
        return found

    def note_left(self, site: Site) -> bool:
        """See whether the LAN port has left ``lan`` since it was brought; the kernel gives a lost one to ``wan``."""
        left = site.lan.mode == "two_ports" and not self._there("lan", site.lan.port)
        left = left and self._there("wan", site.lan.port)
        if left:
            self._left_at = time.monotonic()
        return left

    def findings(self, site: Site) -> list[Finding]:
        """Return what was put right lately and may point to a bad adapter."""
        if self._left_at is None or time.monotonic() - self._left_at > LEFT_SHOWN_SECONDS:
            return []
        return [finding("lan_port_left", "/lan/port", Severity.WARNING, port=site.lan.port)]

    # -- one wire each -------------------------------------------------------------------------------------------

    def _uplink(self, site: Site) -> None:
        """The uplink's port lives where we do; one that was the LAN's until now is fetched back."""
        port = site.uplink.port
        if not self._there("wan", port) and self._there("lan", port):
            self._hands["lan"].ask("move", port, self._descriptors["wan"])
        self._know("wan", "/uplink/port", port, site.uplink.mac)

    def _lan(self, site: Site) -> None:
        if site.lan.mode == "one_arm":
            self._arm(site)
        elif (
            self._there("lan", site.lan.port)
            or site.lan.mac is not None
            and self._hands["lan"].ask("give_name", site.lan.port, site.lan.mac)
        ):
            self._know("lan", "/lan/port", site.lan.port, site.lan.mac)
        else:
            self._know("wan", "/lan/port", site.lan.port, site.lan.mac)
            self._hands["wan"].ask("move", site.lan.port, self._descriptors["lan"])
        self._hands["lan"].ask("make", desired(site)[0])

    def _arm(self, site: Site) -> None:
        """Make the macvlan anew when its port was plugged anew, or is another one."""
        made = arm(site)
        assert made is not None  # the site is one-arm
        lan, wan = self._hands["lan"], self._hands["wan"]
        if not self._there("wan", site.lan.port):
            raise NotApplied(finding("port_missing", "/lan/port", port=site.lan.port))
        lower = lan.ask("lower", ARM_LINK)
        if lower is not None and (lower != wan.ask("index", site.lan.port) or lan.ask("mac", ARM_LINK) != made.mac):
            lan.ask("perform", DeleteLink(ARM_LINK))
            lower = None
        if lower is None:
            wan.ask("make_macvlan", AddLink(ARM_LINK, made, "lan"), self._descriptors["lan"])

    def _know(self, namespace: str, path: str, port: str, wanted: str | None) -> None:
        mac = self._hands[namespace].ask("mac", port)
        if mac is None and wanted is not None and self._hands[namespace].ask("give_name", port, wanted):
            mac = wanted  # somebody had renamed it
        if mac is None:
            raise NotApplied(finding("port_missing", path, port=port))
        if wanted is not None and mac != wanted:
            raise NotApplied(finding("ports_swapped", path, port=port, found=mac, expected=wanted))

    def _there(self, namespace: str, link: str) -> Any:
        return self._hands[namespace].ask("there", link)


_PART = {"wan": "uplink", "lan": "lan"}
