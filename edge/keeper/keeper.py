"""The keeper's decisions: applying a site, putting drift back, and pins that must fit the confirmed site."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from edge.control.wire import (
    Answer,
    Apply,
    ClosePin,
    Done,
    FerryRequest,
    OpenPin,
    OperatorRequest,
    PinRequest,
    ReceiptHead,
    Refusal,
    RenewPin,
    StatusReport,
)
from edge.keeper.hand import Hand, HandRefused
from edge.keeper.heads import Heads
from firewall import pin as pins
from firewall.compile import rulesets
from firewall.pin import Pin
from netconf import durable, secrets
from netconf.check import read_site
from netconf.compile import desired, wireguard_device
from netconf.finding import Finding, finding
from netconf.kernel import wireguard
from netconf.model import MAX_SITE_BYTES, Site, Tunnel
from netconf.plan import wireguard_missing

#: A pin's rate may not be asked higher than a 16 Mbit/s main stream.
MAX_PIN_KBYTES = 2048


@dataclass(frozen=True, slots=True)
class Folders:
    run: Path
    state: Path
    secrets: Path


class _NotApplied(Exception):
    def __init__(self, *findings: Finding) -> None:
        super().__init__(findings)
        self.findings = findings


class Keeper:
    """What holds now, and the hands that make it so."""

    def __init__(self, hands: dict[str, Hand], vpn: int, lan: int, folders: Folders) -> None:
        self._hands = hands
        self._namespaces = {"vpn": vpn, "lan": lan}
        self._folders = folders
        self._site: Site | None = None
        self._findings: tuple[Finding, ...] = ()
        self._pins: dict[str, tuple[Pin, float]] = {}
        self.counters: Counter[str] = Counter()
        self._heads = Heads(folders.state / "receipt-head.json")

    # -- the operator --------------------------------------------------------------------------------------------

    def operator(self, request: OperatorRequest) -> Answer:
        if isinstance(request, Apply):
            return self._propose(request.site_text)
        return StatusReport(self._facts())

    def _propose(self, text: str) -> Answer:
        site, found = read_site(text)
        if site is None:
            return Refusal("site_refused", found)
        before = self._site
        try:
            self._apply(site)
            self._confirm(text, site)
        except _NotApplied as wrong:
            if before is not None:
                self._go_back(before)
            return Refusal("apply_refused", wrong.findings)
        return Done()

    def _go_back(self, before: Site) -> None:
        try:
            self._apply(before)
        except _NotApplied as wrong:
            self._findings = wrong.findings

    def _confirm(self, text: str, site: Site) -> None:
        """Durable first, then published, then acknowledged."""
        try:
            durable.write(self._folders.state / "site.toml", text.encode("utf-8"))
            self._publish(site)
        except OSError as wrong:
            raise _NotApplied(finding("apply_refused", namespace="state", what=wrong)) from None
        self._site = site

    def _publish(self, site: Site) -> None:
        durable.write(self._folders.run / "site.json", site.model_dump_json(by_alias=True).encode("utf-8"), 0o644)

    def restore(self) -> None:
        """At the start: what was confirmed, or everything stays shut."""
        path = self._folders.state / "site.toml"
        if not path.exists():
            return
        try:
            site, _ = read_site(durable.read(path, MAX_SITE_BYTES).decode("utf-8"))
            if site is None:
                raise ValueError("findings")
            self._apply(site)
            self._publish(site)
            self._site = site
        except (OSError, ValueError):
            self._findings = (finding("site_damaged"),)
        except _NotApplied as wrong:
            self._findings = (finding("site_damaged"), *wrong.findings)

    # -- applying ------------------------------------------------------------------------------------------------

    def _apply(self, site: Site) -> None:
        """Make the kernel what ``site`` says: ports, then rules (checked in all three first), then the rest."""
        self._ports(site)
        rules = {rules.namespace: rules for rules in rulesets(site)}
        for step in ("check", "load"):
            for namespace, ruleset in rules.items():
                self._ask(namespace, "ruleset_refused", step, ruleset.text())
        states = {state.namespace: state for state in desired(site)}
        for namespace in ("wan", "lan"):
            self._ask(namespace, "apply_refused", "apply", states[namespace])
        self._findings = tuple(self._tunnels(site))
        for namespace, ruleset in rules.items():
            absent = ruleset.policies() - self._ask(namespace, "not_held", "policies")
            wrong = sorted(absent)
            if namespace != "vpn" or not self._findings:
                # A tunnel whose device is not there yet is a finding, not a failure: the box waits for it.
                wrong += self._ask(namespace, "not_held", "missing", states[namespace])
            if wrong:
                raise _NotApplied(finding("not_held", namespace=namespace, what="; ".join(wrong[:5])))
        self._pins.clear()

    def _ask(self, namespace: str, code: str, what: str, *arguments: Any) -> Any:
        try:
            return self._hands[namespace].ask(what, *arguments)
        except HandRefused as wrong:
            raise _NotApplied(finding(code, namespace=namespace, what=wrong)) from None

    def _ports(self, site: Site) -> None:
        """Find both ports, know them by their MAC, and bring the LAN port over, down, before its rules are loaded."""
        wan = self._hands["wan"]
        for at, (name, wanted) in {
            "/uplink/port": (site.uplink.port, site.uplink.mac),
            "/lan/port": (site.lan.port, site.lan.mac),
        }.items():
            mac = wan.ask("mac", name) or (self._hands["lan"].ask("mac", name) if at == "/lan/port" else None)
            if mac is None:
                raise _NotApplied(finding("port_missing", at, port=name))
            if wanted is not None and mac != wanted:
                raise _NotApplied(finding("ports_swapped", at, port=name, found=mac, expected=wanted))
        if self._hands["lan"].ask("mac", site.lan.port) is None:
            self._ask("wan", "apply_refused", "move", site.lan.port, self._namespaces["lan"])

    def _tunnels(self, site: Site) -> list[Finding]:
        """Bring each WireGuard device into ``vpn`` and give it its whole configuration; say which are not there."""
        away = []
        for tunnel in site.tunnel:
            if not self._bring(tunnel):
                away.append(finding("wireguard_missing", tunnel=tunnel.name))
        state = desired(site)[1]
        self._ask("vpn", "apply_refused", "apply", state)
        for tunnel in site.tunnel:
            if self._there("vpn", tunnel.name):
                self._sync(tunnel)
        return away

    def _there(self, namespace: str, link: str) -> bool:
        there: bool = self._hands[namespace].ask("there", link)
        return there

    def _bring(self, tunnel: Tunnel) -> bool:
        if self._there("vpn", tunnel.name):
            return True
        if not self._there("wan", tunnel.name) and not self._ask(
            "wan", "apply_refused", "create_wireguard", tunnel.name
        ):
            return False
        self._ask("wan", "apply_refused", "move", tunnel.name, self._namespaces["vpn"])
        return True

    def _sync(self, tunnel: Tunnel) -> bool:
        """Give a device its whole configuration if it has another one; say whether it had."""
        folder = self._folders.secrets
        try:
            public = secrets.ensure_wireguard_key(folder, tunnel.name)
            text = wireguard.text(tunnel, secrets.read_wireguard_key(folder, tunnel.name))
        except (secrets.SecretDamaged, OSError):
            raise _NotApplied(finding("key_damaged", tunnel=tunnel.name)) from None
        seen = self._ask("vpn", "apply_refused", "observe_wireguard", tunnel.name)
        if not wireguard_missing(wireguard_device(tunnel, public), seen):
            return False
        self._ask("vpn", "apply_refused", "syncconf", tunnel.name, text)
        return True

    def tick(self) -> None:
        """Put drift of links back: a tunnel that died and came again, an address that was taken away."""
        now = time.monotonic()
        self._pins = {call: held for call, held in self._pins.items() if held[1] > now}
        if self._site is None:
            return
        try:
            self._findings = tuple(self._tunnels(self._site))
            for state in desired(self._site):
                if state.namespace != "vpn" and self._ask(state.namespace, "apply_refused", "apply", state):
                    self.counters["drift"] += 1
        except _NotApplied as wrong:
            self._findings = wrong.findings

    # -- the ferry -----------------------------------------------------------------------------------------------

    def cookies(self) -> tuple[int, int]:
        return self._hands["lan"].ask("cookie"), self._hands["vpn"].ask("cookie")

    def ferry(self, request: FerryRequest) -> Answer:
        """Keep the receipts' head; open, renew or close a pin that the confirmed site covers. Else: refused by name."""
        rule = self._heads.take(request) if isinstance(request, ReceiptHead) else self._objection(request)
        if rule is not None:
            self.counters[rule] += 1
            return Refusal(rule)
        try:
            if isinstance(request, ReceiptHead):
                return Done()
            if isinstance(request, ClosePin):
                held = self._pins.pop(request.call, None)
                if held is not None:
                    self._script(pins.closed(held[0]))
                return Done()
            pin = self._pins[request.call][0] if isinstance(request, RenewPin) else self._pin(request)
            self._script(pins.opened(pin, request.ttl_seconds))
            self._pins[request.call] = (pin, time.monotonic() + request.ttl_seconds)
        except HandRefused:
            self.counters["pin_not_loaded"] += 1
            return Refusal("pin_not_loaded")
        return Done()

    def _script(self, scripts: dict[str, str]) -> None:
        for namespace, script in scripts.items():
            self._hands[namespace].ask("load", script)

    def _objection(self, request: PinRequest) -> str | None:
        site = self._site
        if site is None:
            return "pin_without_site"
        if isinstance(request, RenewPin):
            return None if request.call in self._pins else "pin_unknown"
        if isinstance(request, ClosePin):
            return None
        recorder = next((r for r in site.recorder if r.id == request.recorder), None)
        city = IPv4Address(request.city_address)
        others = [pin for call, (pin, _) in self._pins.items() if call != request.call]
        checks = {
            "pin_recorder": recorder is not None,
            "pin_lan_port": request.lan_port in site.lan.media_port_range,
            "pin_lan_port_taken": all(pin.lan_port != request.lan_port for pin in others),
            "pin_city_address": any(city in network for network in site.platform.media_networks),
            "pin_rate": request.max_kbytes_per_second <= MAX_PIN_KBYTES,
            "pin_count": len(others) < site.max_calls,
        }
        return next((rule for rule, good in checks.items() if not good), None)

    def _pin(self, request: OpenPin) -> Pin:
        assert self._site is not None  # _objection saw it
        recorder = next(r for r in self._site.recorder if r.id == request.recorder)
        return Pin(
            recorder.media_addresses,
            request.lan_port,
            request.payload_type,
            IPv4Address(request.city_address),
            request.city_port,
            request.city_local_port,
            request.max_kbytes_per_second,
        )

    # -- status --------------------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        site = self._site
        if site is None:
            return {"confirmed": False, "findings": [f.code for f in self._findings], "receipts": self._heads.facts()}
        return {
            "confirmed": True,
            "findings": [f.code for f in self._findings],
            "rulesets": {rules.namespace: rules.digest() for rules in rulesets(site)},
            "rules_missing": {
                rules.namespace: sorted(rules.policies() - self._hands[rules.namespace].ask("policies"))
                for rules in rulesets(site)
            },
            "tunnels": {tunnel.name: self._tunnel_facts(tunnel.name) for tunnel in site.tunnel},
            "pins": len(self._pins),
            "counters": dict(self.counters),
            "receipts": self._heads.facts(),
        }

    def _tunnel_facts(self, name: str) -> dict[str, Any]:
        try:
            facts = self._hands["vpn"].ask("facts", name)
        except HandRefused as wrong:
            return {"error": str(wrong)}
        if facts is None:
            return {"error": "no peer"}
        age = int(time.time()) - facts.last_handshake if facts.last_handshake else None
        return {
            "public_key": facts.public_key,
            "endpoint": facts.endpoint,
            "handshake_age_seconds": age,
            "received": facts.received,
            "sent": facts.sent,
        }
