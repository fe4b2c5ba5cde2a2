"""Making the kernel what a site says, seeing whether it still is, and putting it back; through the hands."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.keeper.hand import Hand, HandRefused, NotApplied
from edge.keeper.wires import Wires
from firewall.compile import rulesets
from firewall.ruleset import Ruleset, shut_text
from netconf import rotation, secrets
from netconf.compile import desired, wireguard_device
from netconf.finding import Finding, finding
from netconf.kernel import wireguard
from netconf.learned import NOTHING, Learned, fitting
from netconf.model import Site, Tunnel
from netconf.plan import MarkLink, wireguard_missing

NAMESPACES = ("lan", "vpn", "wan")


class Kernel:
    """The three namespaces. ``left`` says what opens a namespace's pins and hole again, in the transaction that loads its rules."""

    def __init__(
        self, hands: dict[str, Hand], descriptors: dict[str, int], secrets_folder: Path, run: Path,
        left: Callable[[str], str],
    ) -> None:  # fmt: skip
        self._hands = hands
        self._descriptors = descriptors
        self._secrets = secrets_folder
        self._left = left
        self._wires = Wires(hands, descriptors)
        #: What DHCP and DNS told; judged against the site at each use (``netconf.learned``).
        self.learned: Learned = NOTHING
        #: Namespace -> (which rules upon which devices, what the kernel showed right after it took them), and tunnel ->
        #: (digest of its configuration, ""). A keeper that was started again finds it on tmpfs and does nothing anew that
        #: holds.
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
        """Make it so: devices, then rules (checked in all three first), then the rest; nothing found means it holds."""
        try:
            if wrong := self._wires.bring(site):
                return tuple(wrong)
            away = self._bring(site)
            if wrong := [each for each in away if each.code != "wireguard_missing"]:
                return tuple(wrong)
            rules = {rules.namespace: rules for rules in rulesets(site, self.learned)}
            for namespace, ruleset in rules.items():
                self.ask(namespace, "ruleset_refused", "check", ruleset.text(self._standing(ruleset)))
            for ruleset in rules.values():
                self._load(ruleset)
            states = {state.namespace: state for state in desired(site, self.learned)}
            for namespace in ("wan", "lan"):
                self.ask(namespace, "apply_refused", "apply", states[namespace])
            self._tunnels(site, aim=True)
            self.findings = tuple(away)
            for namespace, ruleset in rules.items():
                unheld = sorted(ruleset.policies() - self.ask(namespace, "not_held", "policies"))
                if namespace != "vpn" or not self.findings:
                    # A tunnel whose device is not there yet is a finding, not a failure: the box waits for it.
                    unheld += self.ask(namespace, "not_held", "missing", states[namespace])
                if unheld:
                    return (finding("not_held", namespace=namespace, what="; ".join(unheld[:5])),)
        except NotApplied as refused:
            return refused.findings
        return ()

    def relearn(self, site: Site, learned: Learned) -> None:
        """Use what was learned: rules of ``wan``, its address and route, the tunnels' endpoints.

        Raises:
            NotApplied: what was learned before holds again, as far as the kernel lets it.
        """
        before, self.learned = self.learned, learned
        try:
            self._outside(site)
        except NotApplied:
            self.learned = before
            with contextlib.suppress(NotApplied):
                self._outside(site)
            raise
        self._tunnels(site, aim=True)

    def _outside(self, site: Site) -> None:
        self._load(rulesets(site, self.learned)[2])
        self.ask("wan", "apply_refused", "apply", desired(site, self.learned)[2])

    def _load(self, ruleset: Ruleset) -> None:
        """Load the rules of a namespace, unless exactly they are there."""
        if self._hold(ruleset):
            return
        name, standing = ruleset.namespace, self._standing(ruleset)
        self.ask(name, "ruleset_refused", "load", ruleset.text(standing) + self._left(name))
        self._remember(name, _mark(ruleset, standing), self._hands[name].ask("shown"))

    def _standing(self, ruleset: Ruleset) -> dict[str, int]:
        """Return which of its devices are there, by their index: one that was made anew has another, and no rules."""
        seen = {wire.port: self._hands[ruleset.namespace].ask("index", wire.port) for wire in ruleset.wires}
        return {port: index for port, index in seen.items() if index}

    def _remember(self, name: str, digest: str, shown: str) -> None:
        self._rules[name] = (digest, shown)
        self._remembered.write_text(json.dumps(self._rules), encoding="utf-8")

    def _hold(self, ruleset: Ruleset) -> bool:
        return self._laid(ruleset) and self._rules[ruleset.namespace][1] == self._hands[ruleset.namespace].ask("shown")

    def _laid(self, ruleset: Ruleset) -> bool:
        """Whether we have loaded these rules upon these devices, whoever may have changed them since."""
        return self._rules.get(ruleset.namespace, ("", ""))[0] == _mark(ruleset, self._standing(ruleset))

    def _bring(self, site: Site) -> list[Finding]:
        """Bring each WireGuard device into ``vpn``, shut, before rules are loaded upon it; say which are not there.

        One that no site names any more goes first: what is loaded next says nothing of it.
        """
        found: list[Finding] = []
        with contextlib.suppress(NotApplied):  # it is tried again, and said, with all else
            self.ask("vpn", "apply_refused", "make", desired(site)[1])
        for tunnel in site.tunnel:
            try:
                if not self._is_brought(tunnel):
                    found.append(finding("wireguard_missing", tunnel=tunnel.name))
            except NotApplied as wrong:
                found += wrong.findings
        return found

    def _tunnels(self, site: Site, aim: bool = False) -> None:
        """Give each WireGuard device that is there its whole configuration.

        ``aim``: to its endpoint too, which at all other times follows the peer's last good packet.
        """
        self.ask("vpn", "apply_refused", "apply", desired(site)[1])
        for tunnel in site.tunnel:
            if self._there("vpn", tunnel.name):
                self._sync(site, tunnel, aim)

    def _there(self, namespace: str, link: str) -> bool:
        there: bool = self._hands[namespace].ask("there", link)
        return there

    def _is_brought(self, tunnel: Tunnel) -> bool:
        if self._there("vpn", tunnel.name):
            return True
        made = self._there("wan", tunnel.name) or self.ask("wan", "apply_refused", "create_wireguard", tunnel.name)
        if made:
            self.ask("wan", "apply_refused", "move", tunnel.name, self._descriptors["vpn"])
            self.ask("vpn", "apply_refused", "perform", MarkLink(tunnel.name))
        return bool(made)

    def _keys(self, tunnel: Tunnel) -> tuple[str, str]:
        """Return a tunnel's private key, and the one that it shares with its concentrator."""
        private = rotation.private_key(self._secrets, tunnel.name, tunnel.own_key)
        return private, secrets.read_preshared_key(self._secrets, tunnel.name)

    def _sync(self, site: Site, tunnel: Tunnel, aim: bool) -> bool:
        """Give a device its whole configuration if it has another one; say whether it had."""
        host = tunnel.endpoint_address or fitting(site, self.learned).endpoint(tunnel.endpoint_host)
        try:
            private, shared = self._keys(tunnel)
            public, text = secrets.public_key(private), wireguard.text(tunnel, private, host, shared)
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
        if not wireguard_missing(wireguard_device(tunnel, public, shared), seen):
            facts = self.ask("vpn", "apply_refused", "facts", tunnel.name) if aim and host else None
            if facts is None or facts.endpoint == f"{host}:{tunnel.endpoint_port}":
                return False
        self.ask("vpn", "apply_refused", "syncconf", tunnel.name, text)
        return True

    # -- afterwards ----------------------------------------------------------------------------------------------

    def tend(self, site: Site) -> None:
        """Put drift back and count it: wires, rules, sysctls, links, addresses, routes, neighbours, tunnels.

        A wire that is away is said, and keeps nobody else from being tended; it comes back shut, then gets its rules.
        """
        self.counters["lan_port_put_back"] += self._wires.note_left(site)
        found = self._wires.bring(site)
        away = {"lan" if each.path.startswith("/lan") else "wan" for each in found}
        found += [*self._wires.findings(site), *self._bring(site)]
        try:
            for ruleset in rulesets(site, self.learned):
                if ruleset.namespace not in away and not self._hold(ruleset):
                    # A device that was made anew is nobody's tampering.
                    self.counters["rules_put_back"] += self._laid(ruleset)
                    self._load(ruleset)
            self._tunnels(site)
            for state in desired(site, self.learned):
                if state.namespace not in (*away, "vpn"):
                    self.counters["links_put_back"] += bool(self.ask(state.namespace, "apply_refused", "apply", state))
        except NotApplied as wrong:
            found += wrong.findings
        self.findings = tuple(found)

    def plan(self, site: Site) -> tuple[str, ...]:
        """Return what ``apply`` would do, as the commands a person would type.

        Raises:
            NotApplied: it could not be done.
        """
        steps: list[str] = []
        for ruleset in rulesets(site, self.learned):
            # Rules upon a link that is still to be made cannot be asked about yet.
            self.ask(ruleset.namespace, "ruleset_refused", "check", ruleset.text(self._standing(ruleset)))
            if not self._hold(ruleset):
                steps.append(f"{ruleset.namespace}: nft -f - # {ruleset.digest()[:12]}")
        for state in desired(site, self.learned):
            steps += [f"{state.namespace}: {step}" for step in self.ask(state.namespace, "not_held", "missing", state)]
        for tunnel in site.tunnel:
            if self._there("vpn", tunnel.name):
                private, shared = self._keys(tunnel)
                wanted = wireguard_device(tunnel, secrets.public_key(private), shared)
                seen = self.ask("vpn", "apply_refused", "observe_wireguard", tunnel.name)
                steps += [f"vpn: {step}" for step in wireguard_missing(wanted, seen)]
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

    def noted(self) -> dict[str, Any]:
        """Return what the rules dropped lately that tells why a picture does not come (``firewall.compile``)."""
        where = {"strays": "lan", "fragments": "lan", "moved": "lan", "refusals": "vpn"}
        return {name: self._hands[namespace].ask("noted", name) for name, namespace in where.items()}

    def rules_missing(self, site: Site) -> dict[str, list[str]]:
        """Return the policies that are not in the kernel, by namespace."""
        return {
            ruleset.namespace: sorted(ruleset.policies() - self._hands[ruleset.namespace].ask("policies"))
            for ruleset in rulesets(site, self.learned)
        }


def _mark(ruleset: Ruleset, standing: dict[str, int]) -> str:
    return f"{ruleset.digest()} {standing}"


def _read(path: Path) -> dict[str, tuple[str, str]]:
    try:
        return {name: (str(digest), str(shown)) for name, (digest, shown) in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
