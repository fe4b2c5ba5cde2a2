"""The keeper's decisions: who may change what, what is confirmed, what is put back."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.control.proofs import Proofs
from edge.control.wire import (
    PROOF_SECONDS,
    Answer,
    Apply,
    AskCity,
    CityAnswer,
    Confirm,
    Done,
    HandOver,
    Keys,
    NextKey,
    OperatorRequest,
    Outcome,
    PinRequest,
    Plan,
    Planned,
    Propose,
    ProveRequest,
    Proving,
    ReceiptHead,
    Refusal,
    Reject,
    Request,
    RotateKey,
    Status,
    StatusReport,
    UplinkRequest,
    Waiting,
    WebRequest,
    Work,
)
from edge.keeper.enrol import Enrolling
from edge.keeper.hand import Hand, HandRefused, NotApplied
from edge.keeper.heads import Heads
from edge.keeper.kernel import Kernel
from edge.keeper.pins import Pins
from edge.keeper.store import Store
from edge.keeper.uplink import Uplink
from firewall.compile import rulesets
from netconf import proposal, rotation, secrets, unsealed
from netconf.check import read_site
from netconf.clock import Floor
from netconf.envelope import EnvelopeRefused, open_answer, open_layer
from netconf.finding import Finding, finding
from netconf.revision import ChangeRefused, Commit, Pending, State
from netconf.sealed import SealBroken

#: Shorter, and a city over 4G with a new handshake is not back in time; longer, and a site that the city cut off stays
#: dark for minutes. The tunnel's handshake takes seconds, the agent asks at once after a change.
CITY_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Folders:
    run: Path
    state: Path
    secrets: Path
    #: The device key's, which agent and enrol may read, too.
    device: Path
    #: Where the city side reads its passwords.
    cityside: Path


class Keeper:
    """What holds now, and the hands that make it so."""

    def __init__(
        self, hands: dict[str, Hand], descriptors: dict[str, int], folders: Folders, token: Callable[[], str]
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._folders = folders
        self._pins = Pins(self.counters)
        self._kernel = Kernel(hands, descriptors, folders.secrets, folders.run, self._left)
        self._enrolling = Enrolling(folders.secrets, self._kernel, self.counters)
        self._uplink = Uplink(folders.state, self._kernel, self.counters)
        files = unsealed.Files(folders.secrets, folders.cityside)
        self._store = Store(self._kernel, self._pins, folders.state, folders.run, files)
        journal, whole = self._store.read_journal()
        self._commit = Commit(self._store, journal, token)
        self._damaged = not whole
        self._floor = Floor(folders.state / "clock-floor", time.monotonic())
        self._heads = Heads(folders.state / "receipt-head.json")
        self._proofs = Proofs()
        self._applied_at = 0.0
        self._tunnels_moved = False
        self._device = ""

    def restore(self) -> None:
        """At the start: what was confirmed, or everything stays shut."""
        try:
            self._store.device = secrets.ensure_device_key(self._folders.device)
            self._device = secrets.key_hash(self._store.device.public_key())
        except (secrets.SecretDamaged, OSError):
            self.counters["device_key_damaged"] += 1
        self._commit.restore()
        if self._commit.journal.confirmed[0] and self._commit.confirmed() is None:
            self._damaged = True

    def _left(self, namespace: str) -> str:
        """Return the script that lets pass again what a namespace's rules let pass for seconds."""
        return self._pins.left(namespace) + self._enrolling.left(namespace, time.monotonic())

    # -- callers -------------------------------------------------------------------------------------------------

    def answer(self, caller: str, request: Request) -> Answer:
        """Do what one of the closed lists allows; nothing else was decoded."""
        if isinstance(request, ReceiptHead):
            return self._head(request)
        if isinstance(request, PinRequest):
            return self._pins.answer(request, self._store.site, self._kernel)
        if isinstance(request, RotateKey):
            return self._rotate(request.tunnel, request.refused)
        if isinstance(request, UplinkRequest):
            return self._uplink.answer(request, self._store.site)
        try:
            if isinstance(request, Status):
                return StatusReport(self._facts(caller))
            if isinstance(request, Outcome):
                return self._became(self._commit.outcome(request.token, caller))
            if isinstance(request, ProveRequest):
                return self._prover(request, time.monotonic())
            if isinstance(request, Keys):
                return self._keys(request, time.monotonic())
            if isinstance(request, HandOver | CityAnswer):
                return self._agent(request)
            return self._change(caller, request)
        except ChangeRefused as refused:
            self.counters[refused.rule] += 1
            return Refusal(refused.rule, refused.findings or (finding(refused.rule),))
        except EnvelopeRefused as refused:
            self.counters[refused.rule] += 1
            return Refusal(refused.rule, (finding(refused.rule),))

    def _head(self, told: ReceiptHead) -> Answer:
        rule = self._heads.take(told)
        if rule is None:
            return Done()
        self.counters[rule] += 1
        return Refusal(rule)

    def _rotate(self, tunnel: str, refused: str) -> Answer:
        """Make a tunnel's next key; it is used once a confirmed layer of the city names it (``netconf.rotation``)."""
        site = self._store.site
        if site is not None and any(each.own_key == refused for each in site.tunnel):
            refused = ""  # a layer that is in force or on trial names it: it was taken after all
        if site is None or all(each.name != tunnel for each in site.tunnel):
            return Refusal("tunnel_unknown", (finding("tunnel_unknown", tunnel=tunnel),))
        try:
            return NextKey(tunnel, rotation.begin_rotation(self._folders.secrets, tunnel, refused))
        except (secrets.SecretDamaged, OSError):
            return Refusal("key_damaged", (finding("key_damaged", tunnel=tunnel),))

    def _change(self, caller: str, request: OperatorRequest | WebRequest) -> Answer:
        if isinstance(request, Plan):
            return self._plan(request.site_text)
        if isinstance(request, Apply):
            document = proposal.whole(request.site_text, self._confirmed())
            return self._propose(document, caller, request.confirm_seconds, with_proof=request.with_proof)
        if isinstance(request, Propose):
            if request.base != self._commit.journal.confirmed[0]:
                raise ChangeRefused("revision_stale")
            document = proposal.of_owner(request.layer_text, self._confirmed())
            return self._propose(document, caller, request.confirm_seconds)
        if isinstance(request, AskCity):
            self._enrolling.ask(time.monotonic())
        elif isinstance(request, Confirm):
            self._commit.confirm(request.token, caller)
        elif isinstance(request, Reject):
            held = self._commit.pending
            # Root on the box may undo anybody's change; all others only their own.
            mine = held is None or caller != "operator"
            self._commit.reject(request.token if mine or held is None else held.token,
                                caller if mine or held is None else held.caller)  # fmt: skip
        return Done()

    def _propose(
        self, document: bytes, caller: str, seconds: int, mark: tuple[int, int] | None = None, with_proof: bool = True
    ) -> Answer:
        site, found = proposal.site_of(document)
        if site is None:
            raise ChangeRefused("site_refused", found)
        if foreign := tuple(rotation.unknown(self._folders.secrets, site)):
            raise ChangeRefused("site_refused", foreign)
        now, learned = time.monotonic(), self._kernel.learned
        wanted = self._proofs.wanted(site, self._store.site, learned)
        self._applied_at = time.time()
        held = self._commit.propose(
            document, caller, seconds, now, mark,
            proof_seconds=PROOF_SECONDS * (wanted and with_proof), waived=wanted and not with_proof,
        )  # fmt: skip
        if held is not None and self._commit.state is State.PROVING:
            self._proofs.begin(held.number, site, learned)
        return self._became(held)

    def _became(self, held: Pending | None) -> Answer:
        if held is None:
            return Done()
        kind = Proving if self._commit.state is State.PROVING else Waiting
        return kind(held.number, held.token, max(0, round(held.until - time.monotonic())))

    def _prover(self, request: ProveRequest, now: float) -> Answer:
        held = self._commit.pending if self._commit.state is State.PROVING else None
        if isinstance(request, Work):
            return self._proofs.work(request, held.number if held else 0, round(held.until - now) if held else 0)
        if held is None:
            raise ChangeRefused("verdict_stale")
        self._applied_at = time.time()
        self._commit.prove(self._proofs.judge(request), now)
        return Done()

    def _confirmed(self) -> proposal.Layers:
        return proposal.layers_of(self._commit.confirmed())

    def _keys(self, request: Keys, now: float) -> Answer:
        """What enrol needs to know; with ``go`` the hole is opened for it, if there is a reason."""
        site = self._store.site
        if request.go:
            self._enrolling.open(site, now)
        told = {"device": self._device, "clock_behind": self._clock_behind()}
        return StatusReport(self._enrolling.facts(site, now) | told)

    def _agent(self, request: HandOver | CityAnswer) -> Answer:
        """Take the city's signed word, which agent or enrol brought; a change of it is the agent's to confirm."""
        city, site = self._enrolling.city(), self._store.site
        known = self._site_id()
        if city is None or site is None or not known:
            raise ChangeRefused("city_unknown")
        if isinstance(request, CityAnswer):
            held = self._commit.pending
            nonce = held.token if held is not None else ""
            open_answer(request.answer_text, city, site=known, device=self._device, nonce=nonce)
            if self._tunnels_moved and not self._handshake_since(self._applied_at):
                raise ChangeRefused("no_new_handshake")
            self._commit.confirm(nonce, "agent")
            return Done()
        confirmed = self._confirmed()
        epoch, revision = self._commit.journal.highest
        # A box that is not enrolled takes the newest that it has seen once more: its trial may have been cut off.
        again = int("site" not in confirmed.city and revision > 0)
        layer = open_layer(
            request.envelope_text,
            city,
            site=known,
            device=self._device,
            highest=(epoch, revision - again),
            now=self._floor.wall(time.time()),
        )
        document = proposal.of_city(layer, confirmed)
        self._openable(document)
        self._tunnels_moved = layer.layer.get("tunnel") != confirmed.city.get("tunnel")
        seconds = site.control.confirm_seconds if site.control is not None else CITY_SECONDS
        return self._propose(document, "agent", seconds, layer.mark)

    def _site_id(self) -> str:
        """Which site the city calls this box: its configuration says so, before there is one the bundle."""
        site, door = self._store.site, self._enrolling.door()
        if site is not None and site.site is not None:
            return site.site.id
        return door.site if door is not None else ""

    def _openable(self, document: bytes) -> None:
        """Raises:
        ChangeRefused: ``seal_broken``, its secrets are not for this device; or it is no site, or another's.
        """
        site, found = proposal.site_of(document)
        if site is None:
            raise ChangeRefused("site_refused", found)
        if site.identity.id != self._site_id():
            raise ChangeRefused("layer_other_site")
        try:
            self._store.unsealed(site, proposal.layers_of(document).sealed)
        except SealBroken:
            raise ChangeRefused("seal_broken") from None

    def _handshake_since(self, moment: float) -> bool:
        site = self._store.site
        return site is not None and any(
            facts is not None and facts.last_handshake >= int(moment)
            for facts in (self._tunnel(tunnel.name) for tunnel in site.tunnel)
        )

    def _tunnel(self, name: str) -> Any:
        try:
            return self._kernel.tunnel(name)
        except HandRefused:
            return None

    def _plan(self, text: str) -> Answer:
        site, found = read_site(text)
        if site is None:
            raise ChangeRefused("site_refused", found)
        try:
            return Planned(self._kernel.plan(site))
        except NotApplied as wrong:
            raise ChangeRefused("site_refused", wrong.findings) from None

    # -- time ----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let changes run out, forget dead pins, put drift back."""
        if self._commit.state is State.PROVING and (missing := self._proofs.look()):
            self._commit.prove(missing, time.monotonic())
        self._commit.tick(time.monotonic())
        self._pins.expire()
        with contextlib.suppress(OSError):  # a floor that is an hour older is still a floor
            self._floor.tick(time.time(), time.monotonic())
        if self._store.site is not None:
            self._kernel.tend(self._store.site)
            with contextlib.suppress(OSError):  # the next look finishes it
                if self._commit.state is State.STEADY:
                    rotation.settle(self._folders.secrets, self._store.site)
        self._enrolling.tend(self._store.site, time.monotonic())

    def cookies(self) -> tuple[int, int]:
        """Return the cookies of ``lan`` and ``vpn``."""
        return self._kernel.cookies()

    # -- status --------------------------------------------------------------------------------------------------

    def findings(self) -> tuple[Finding, ...]:
        """Return what a person should know now."""
        damaged = (finding("site_damaged"),) if self._damaged else ()
        outside = self._uplink.findings(self._store.site) if self._store.site is not None else ()
        return (*damaged, *self._kernel.findings, *outside, *self._commit.findings)

    def _clock_behind(self) -> bool:
        return time.time() < self._floor.seconds - 1

    def _facts(self, caller: str) -> dict[str, Any]:
        site = self._store.site
        found = [[f.code, f.path, dict(f.args)] for f in self.findings()]
        held = self._commit.pending
        facts: dict[str, Any] = {
            "confirmed": site is not None,
            "findings": found,
            "change": self._commit.facts(time.monotonic()) | {"applied": list(self._confirmed().mark)},
            "device": self._device,
            # Enrol may have handed it over, and an agent that was started again has forgotten what it asked.
            "nonce": held.token if held is not None and caller == held.caller == "agent" else "",
            "enrolment": self._enrolling.facts(site, time.monotonic()),
            "receipts": self._heads.facts(),
            "counters": dict(self.counters + self._kernel.counters),
        }
        if site is None:
            return facts
        return facts | {
            "rulesets": {rules.namespace: rules.digest() for rules in rulesets(site, self._kernel.learned)},
            "uplink": self._uplink.facts(site),
            "rules_missing": self._kernel.rules_missing(site),
            "tunnels": {tunnel.name: self._tunnel_facts(tunnel.name) for tunnel in site.tunnel},
            "pins": len(self._pins),
            "noted": self._kernel.noted(),
            "clock_behind": self._clock_behind(),
        }

    def _tunnel_facts(self, name: str) -> dict[str, Any]:
        facts = self._tunnel(name)
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
