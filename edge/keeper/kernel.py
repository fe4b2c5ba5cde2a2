"""Making the kernel what a site says, seeing whether it still is, and putting it back; through the hands."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.keeper.hand import Hand, HandRefused
from firewall.compile import rulesets
from firewall.ruleset import Ruleset, shut_text
from netconf import secrets
from netconf.compile import desired, wireguard_device
from netconf.finding import Finding, finding
from netconf.kernel import wireguard
from netconf.model import Site, Tunnel
from netconf.plan import wireguard_missing

NAMESPACES = ("lan", "vpn", "wan")


class NotApplied(Exception):
    """The kernel could not be made so, or is not so afterwards; ``findings`` say why."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__(findings)
        self.findings = findings


class Kernel:
    """The three namespaces. ``after_load`` is told the namespace whose rules were loaded: its pins are put back."""

    def __init__(
        self, hands: dict[str, Hand], descriptors: dict[str, int], secrets_folder: Path, run: Path,
        after_load: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._hands = hands
        self._descriptors = descriptors
        self._secrets = secrets_folder
        self._after_load = after_load
        #: Namespace -> (digest of our rules, what the kernel showed right after it took them), and tunnel -> (digest of
        #: its configuration, ""). A keeper that was started again finds it on tmpfs and does nothing anew that holds.
        self._remembered = run / "rules.json"
        self._rules: dict[str, tuple[str, str]] = _read(self._remembered)
        #: What is known and does not stop the rest: a tunnel whose device is not there yet.
        self.findings: tuple[Finding, ...] = ()
        self.counters: Counter[str] = Counter()

    def ask(self, namespace: str, code: str, what: str, *arguments: Any) -> Any:
        """Have a hand do a thing.

        Raises:
            NotApplied: with a finding of ``code``.
        """
        try:
            return self._hands[namespace].ask(what, *arguments)
        except HandRefused as wrong:
            raise NotApplied(finding(code, namespace=namespace, what=wrong)) from None

    # -- applying ------------------------------------------------------------------------------------------------

    def apply(self, site: Site) -> tuple[Finding, ...]:
        """Make it so: ports, then rules (checked in all three first), then the rest; nothing found means it holds."""
        try:
            self._ports(site)
            rules = {rules.namespace: rules for rules in rulesets(site)}
            for namespace, ruleset in rules.items():
                self.ask(namespace, "ruleset_refused", "check", ruleset.text())
            for ruleset in rules.values():
                self._load(ruleset)
            states = {state.namespace: state for state in desired(site)}
            for namespace in ("wan", "lan"):
                self.ask(namespace, "apply_refused", "apply", states[namespace])
            self.findings = tuple(self._tunnels(site))
            for namespace, ruleset in rules.items():
                wrong = sorted(ruleset.policies() - self.ask(namespace, "not_held", "policies"))
                if namespace != "vpn" or not self.findings:
                    # A tunnel whose device is not there yet is a finding, not a failure: the box waits for it.
                    wrong += self.ask(namespace, "not_held", "missing", states[namespace])
                if wrong:
                    return (finding("not_held", namespace=namespace, what="; ".join(wrong[:5])),)
        except NotApplied as wrong:
            return wrong.findings
        return ()

    def _load(self, ruleset: Ruleset) -> None:
        """Load the rules of a namespace, unless exactly they are there."""
        if self._hold(ruleset):
            return
        self.ask(ruleset.namespace, "ruleset_refused", "load", ruleset.text())
        self._remember(ruleset.namespace, ruleset.digest(), self._hands[ruleset.namespace].ask("shown"))
        self._after_load(ruleset.namespace)

    def _remember(self, name: str, digest: str, shown: str) -> None:
        self._rules[name] = (digest, shown)
        self._remembered.write_text(json.dumps(self._rules), encoding="utf-8")

    def _hold(self, ruleset: Ruleset) -> bool:
        digest, shown = self._rules.get(ruleset.namespace, ("", ""))
        return digest == ruleset.digest() and shown == self._hands[ruleset.namespace].ask("shown")

    def _ports(self, site: Site) -> None:
        """Find both ports, know them by their MAC, and bring the LAN port over, down, before its rules are loaded."""
        wan = self._hands["wan"]
        for at, (name, wanted) in {
            "/uplink/port": (site.uplink.port, site.uplink.mac),
            "/lan/port": (site.lan.port, site.lan.mac),
        }.items():
            mac = wan.ask("mac", name) or (self._hands["lan"].ask("mac", name) if at == "/lan/port" else None)
            if mac is None:
                raise NotApplied(finding("port_missing", at, port=name))
            if wanted is not None and mac != wanted:
                raise NotApplied(finding("ports_swapped", at, port=name, found=mac, expected=wanted))
        if self._hands["lan"].ask("mac", site.lan.port) is None:
            self.ask("wan", "apply_refused", "move", site.lan.port, self._descriptors["lan"])

    def _tunnels(self, site: Site) -> list[Finding]:
        """Bring each WireGuard device into ``vpn`` and give it its whole configuration; say which are not there."""
        away = [finding("wireguard_missing", tunnel=tunnel.name) for tunnel in site.tunnel if not self._bring(tunnel)]
        self.ask("vpn", "apply_refused", "apply", desired(site)[1])
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
        made = self._there("wan", tunnel.name) or self.ask("wan", "apply_refused", "create_wireguard", tunnel.name)
        if made:
            self.ask("wan", "apply_refused", "move", tunnel.name, self._descriptors["vpn"])
        return bool(made)

    def _sync(self, tunnel: Tunnel) -> bool:
        """Give a device its whole configuration if it has another one; say whether it had."""
        try:
            public = secrets.ensure_wireguard_key(self._secrets, tunnel.name)
            text = wireguard.text(tunnel, secrets.read_wireguard_key(self._secrets, tunnel.name))
        except (secrets.SecretDamaged, OSError):
            raise NotApplied(finding("key_damaged", tunnel=tunnel.name)) from None
        if public == tunnel.public_key:
            raise NotApplied(finding("tunnel_key_own", tunnel=tunnel.name))
        digest = hashlib.sha256(tunnel.model_dump_json().encode("utf-8")).hexdigest()
        if self._rules.get(tunnel.name, ("", ""))[0] != digest:
            # Another endpoint or key: a session that happens to live proves nothing about it.
            self.ask("vpn", "apply_refused", "begin_anew", tunnel.name, text)
            self._remember(tunnel.name, digest, "")
            return True
        seen = self.ask("vpn", "apply_refused", "observe_wireguard", tunnel.name)
        if not wireguard_missing(wireguard_device(tunnel, public), seen):
            return False
        self.ask("vpn", "apply_refused", "syncconf", tunnel.name, text)
        return True

    # -- afterwards ----------------------------------------------------------------------------------------------

    def tend(self, site: Site) -> None:
        """Put drift back and count it: rules, sysctls, links, addresses, routes, neighbours, tunnels."""
        try:
            for ruleset in rulesets(site):
                if not self._hold(ruleset):
                    self.counters["rules_put_back"] += 1
                    self._load(ruleset)
            self._ports(site)
            self.findings = tuple(self._tunnels(site))
            for state in desired(site):
                if state.namespace != "vpn" and self.ask(state.namespace, "apply_refused", "apply", state):
                    self.counters["links_put_back"] += 1
        except NotApplied as wrong:
            self.findings = wrong.findings

    def plan(self, site: Site) -> tuple[str, ...]:
        """Return what ``apply`` would do, as the commands a person would type.

        Raises:
            NotApplied: it could not be done.
        """
        steps: list[str] = []
        for ruleset in rulesets(site):
            self.ask(ruleset.namespace, "ruleset_refused", "check", ruleset.text())
            if not self._hold(ruleset):
                steps.append(f"{ruleset.namespace}: nft -f - # {ruleset.digest()[:12]}")
        for state in desired(site):
            steps += [f"{state.namespace}: {step}" for step in self.ask(state.namespace, "not_held", "missing", state)]
        for tunnel in site.tunnel:
            if self._there("vpn", tunnel.name):
                public = secrets.ensure_wireguard_key(self._secrets, tunnel.name)
                seen = self.ask("vpn", "apply_refused", "observe_wireguard", tunnel.name)
                steps += [f"vpn: {step}" for step in wireguard_missing(wireguard_device(tunnel, public), seen)]
        return tuple(steps)

    def shut(self) -> None:
        """Close all three namespaces; what cannot be closed raises, for the rules of the start are closed already."""
        for namespace in NAMESPACES:
            self.ask(namespace, "ruleset_refused", "load", shut_text())
        self._rules.clear()

    def script(self, scripts: dict[str, str]) -> None:
        """Run pins' scripts.

        Raises:
            HandRefused: the kernel does not take one.
        """
        for namespace, script in scripts.items():
            self._hands[namespace].ask("load", script)

    def cookies(self) -> tuple[int, int]:
        """Return the cookies of ``lan`` and ``vpn`` (SO_NETNS_COOKIE)."""
        return self._hands["lan"].ask("cookie"), self._hands["vpn"].ask("cookie")

    def tunnel(self, name: str) -> Any:
        """Return the facts of a tunnel's peer, None without one.

        Raises:
            HandRefused: there is no such device.
        """
        return self._hands["vpn"].ask("facts", name)

    def rules_missing(self, site: Site) -> dict[str, list[str]]:
        """Return the policies that are not in the kernel, by namespace."""
        return {
            ruleset.namespace: sorted(ruleset.policies() - self._hands[ruleset.namespace].ask("policies"))
            for ruleset in rulesets(site)
        }


def _read(path: Path) -> dict[str, tuple[str, str]]:
    try:
        return {name: (str(digest), str(shown)) for name, (digest, shown) in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
