"""What the uplink's program tells, judged against the confirmed site, kept, and used: a lease and endpoints' addresses."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

from edge.control.wire import Answer, Done, Lease, NoLease, Refusal, Resolved, StatusReport, UplinkRequest
from edge.keeper.hand import HandRefused, NotApplied
from edge.keeper.kernel import Kernel
from netconf import durable, learned
from netconf.finding import Finding, Severity
from netconf.learned import MAX_LEARNED_BYTES, NOTHING, HeldLease, Learned
from netconf.model import Site

#: WireGuard shakes hands every two minutes while there is traffic (its keepalive is some): after three, it fails.
STALE_SECONDS = 180.0


class Uplink:
    """What was learned; the kernel has it in use, the disk for the next start."""

    def __init__(self, state: Path, kernel: Kernel, counters: Counter[str]) -> None:
        self._path = state / "learned.json"
        self._kernel = kernel
        self._counters = counters
        self._refused: Finding | None = None
        self._lease_until: float | None = None
        #: Tunnel -> (its last handshake, when we first saw that one): the wall clock may jump, ours does not.
        self._handshakes: dict[str, tuple[int, float]] = {}
        kernel.learned = self._read()

    def answer(self, request: UplinkRequest, site: Site | None) -> Answer:
        """Take a fact that fits the site; refuse all others by name, and nothing is changed."""
        if site is None:
            return self._refusal("uplink_without_site")
        if isinstance(request, Lease):
            return self._lease(request, site)
        if isinstance(request, Resolved):
            return self._resolved(request, site)
        if isinstance(request, NoLease):
            if site.uplink.mode != "dhcp" or request.port != site.uplink.port:
                return self._refusal("lease_unasked")
            self._refused = self._lease_until = None
            return self._learn(site, replace(self._kernel.learned, lease=None))
        return StatusReport({"stale": self._stale(site)})

    def findings(self, site: Site) -> tuple[Finding, ...]:
        """Return what was refused, or else what is not known yet."""
        if self._refused is not None:
            return (self._refused,)
        return tuple(learned.complaints(site, self._kernel.learned))

    def facts(self, site: Site) -> dict[str, Any]:
        stands = learned.fitting(site, self._kernel.learned)
        left = None if self._lease_until is None else int(self._lease_until - time.monotonic())
        return {
            "address": str(stands.lease.address) if stands.lease else None,
            "lease_seconds_left": left,
            "endpoints": {name: str(address) for name, address in stands.endpoints},
        }

    # -- facts ---------------------------------------------------------------------------------------------------

    def _lease(self, request: Lease, site: Site) -> Answer:
        lease = HeldLease(
            request.port,
            IPv4Interface(request.address),
            IPv4Address(request.gateway) if request.gateway else None,
            tuple(IPv4Address(server) for server in request.dns),
            tuple(IPv4Address(server) for server in request.ntp),
        )
        wrong = learned.objection(site, lease)
        if wrong is not None:
            self._refused = replace(wrong, severity=Severity.WARNING)
            return self._refusal(wrong.code, wrong)
        self._refused = None
        self._lease_until = time.monotonic() + request.seconds
        return self._learn(site, replace(self._kernel.learned, lease=lease))

    def _resolved(self, request: Resolved, site: Site) -> Answer:
        tunnel = next((t for t in site.tunnel if t.name == request.tunnel), None)
        if tunnel is None or tunnel.endpoint_address is not None:
            return self._refusal("tunnel_not_named")
        address = IPv4Address(request.address)
        rule = learned.endpoint_objection(site, address)
        if rule is not None:
            return self._refusal(rule)
        return self._learn(site, self._kernel.learned.resolved(tunnel.endpoint_host, address, site))

    def _learn(self, site: Site, fresh: Learned) -> Answer:
        """In use first, then on the disk: what does not work is not kept."""
        if fresh == self._kernel.learned:
            return Done()
        try:
            self._kernel.relearn(site, fresh)
            durable.write(self._path, learned.encode(fresh))
        except NotApplied as wrong:
            return self._refusal("not_applied", *wrong.findings)
        except OSError:
            self._counters["learned_not_kept"] += 1
        return Done()

    def _refusal(self, rule: str, *findings: Finding) -> Refusal:
        self._counters[rule] += 1
        return Refusal(rule, findings)

    def _stale(self, site: Site) -> list[str]:
        """Return the tunnels with a named endpoint whose handshake has not changed for too long."""
        now, stale = time.monotonic(), []
        for tunnel in site.tunnel:
            if tunnel.endpoint_address is not None:
                continue
            try:
                facts = self._kernel.tunnel(tunnel.name)
            except HandRefused:
                continue
            last = facts.last_handshake if facts is not None else 0
            known, since = self._handshakes.get(tunnel.name, (last, now))
            self._handshakes[tunnel.name] = (last, since if known == last else now)
            if known == last and now - since > STALE_SECONDS:
                stale.append(tunnel.name)
        return stale

    def _read(self) -> Learned:
        try:
            return learned.decode(durable.read(self._path, MAX_LEARNED_BYTES))
        except FileNotFoundError:
            return NOTHING
        except (OSError, ValueError):
            self._counters["learned_damaged"] += 1
            return NOTHING
