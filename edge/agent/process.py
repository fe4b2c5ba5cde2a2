"""Report, hear, hand over; through the tunnel, with a deadline on everything."""

from __future__ import annotations

import base64
import contextlib
import importlib.metadata
import random
import socket
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.agent import pace
from edge.agent.exposed import Exposed
from edge.agent.line import Line
from edge.agent.link import Known, Link, LinkRefused
from edge.control.client import SMALL_SECONDS, ask
from edge.control.wire import (
    CityAnswer,
    ControlError,
    Done,
    HandOver,
    NextKey,
    Outcome,
    Proving,
    Refusal,
    RotateKey,
    Status,
    StatusReport,
    Waiting,
)
from edge.faults.causes import causes
from edge.faults.evidence import read
from edge.io import status
from edge.io.confirmed import Confirmed, Places, places
from edge.io.https import HttpsRefused, Server
from edge.io.log import Log
from edge.io.status import StatusFile
from edge.metrics.exposition import text
from edge.metrics.figures import families
from netconf import envelope, secrets
from netconf.model import Control, Site
from netconf.notify import Supervisor

TICK_SECONDS = 0.25
#: A change is applied and read back in three namespaces before the keeper answers.
CHANGE_SECONDS = 40.0
#: It beats before each thing that it waits for; only a longer silence means that it hangs.
SILENCE_SECONDS = CHANGE_SECONDS + 5.0
MOST_FAULTS = 64
VERSION = importlib.metadata.version("snowgate")
#: What a server may mean our certificate by: one that closes at once takes its own alert along (RFC 8446 4.4.2.4).
_PERHAPS_OURS = frozenset(("server_refuses_certificate", "server_tls_broken"))
_PROGRAMS = ("siteside", "cityside", "ferry")


class Agent:
    """One life of the agent: from a confirmed configuration until it changes."""

    def __init__(self, site: Site, control: Control, where: Places, log: Log, supervisor: Supervisor) -> None:
        self._site = site
        self._control = control
        self._run = where.run
        self._key = secrets.ensure_device_key(where.secrets / "device")
        self._line = Line(where.run)
        self._link = Link(where.state, where.secrets / "device" / "device.key", self._key, site.identity.id, self._dial)
        self._revoked_at: dict[str, Any] | None = None
        self._known = Known("", clock_behind=False, wireguard={})
        self._followed = 0
        self._device = ""
        self._log = log
        self._supervisor = supervisor
        self._status = StatusFile(where.run, "agent")
        self.nonce = ""
        self.next_keys: dict[str, str] = {}
        #: Of a layer that the keeper has proven before it applies it; asked after until there is a nonce, or a refusal.
        self.proving = ""
        #: The layer that was not taken last, by its mark, and why.
        self._refused: tuple[tuple[int, int], tuple[str, ...]] | None = None
        self._handed = (0, 0)
        #: Whether the last report was answered.
        self._heard = True

    def move(self, site: Site, control: Control) -> None:
        """Go on with another configuration."""
        self._site, self._control = site, control

    def turn(self) -> None:
        """Report once, and do what the city answers."""
        if self.proving:
            self._tell(Outcome(self.proving))
            if self.proving:
                return
        report = self._report()
        answer = self._asked(report)
        self._heard = answer is not None
        if answer is None:
            return
        if "certificate" in answer:
            self._keep(answer["certificate"])
        if isinstance(tunnel := answer.get("rotate"), str):
            self._rotate(tunnel)
        if isinstance(answer.get("answer"), str) and self.nonce:
            self._tell(CityAnswer(answer["answer"]))
        elif isinstance(answer.get("layer"), str) and not self.nonce:
            self._handed = envelope.claimed_mark(answer["layer"])
            self._tell(HandOver(answer["layer"]))

    def _asked(self, report: str) -> dict[str, Any] | None:
        """Return the city's answer to a report; without one, say what is in between, and mend what can be mended."""
        server = Server(str(self._control.address), self._control.port)
        self._supervisor.beat()
        try:
            answer = self._link.post(server, report, self._known, time.time())
        except (LinkRefused, HttpsRefused) as wrong:
            self._say_away(wrong.rule)
            if isinstance(wrong, LinkRefused) or wrong.rule in _PERHAPS_OURS:
                self._ask_anew(server)
            return None
        except OSError as wrong:
            self._log.say("control_away", type(wrong).__name__)
            self._say("away")
            return None
        if self._link.followed > self._followed:
            self._followed = self._link.followed
            self._log.say("city_ca_renewed")
        self._say("answers")
        return answer

    def _dial(self, server: Server, seconds: float) -> socket.socket:
        # The answer to a report with a next key may come when its concentrator has taken the key already.
        return self._line.dial(self._site, server, seconds, but=self.next_keys)

    def _say_away(self, rule: str) -> None:
        self._log.say(rule)
        self._say("refused", rule)

    def _say(self, control: str, rule: str = "") -> None:
        self._status.write({"control": control, "rule": rule, "revoked": self._revoked_at})

    def _ask_anew(self, server: Server) -> None:
        """The certificate has run out or is lost: the device's signature alone asks for another, inside the tunnel."""
        self._supervisor.beat()
        with contextlib.suppress(OSError):
            try:
                renewed, revocation = self._link.ask_anew(server, self._known, time.time())
                if renewed:
                    self._log.say("certificate_renewed")
                self._revoked(revocation)
            except (LinkRefused, HttpsRefused) as wrong:
                self._log.say(wrong.rule)

    def _keep(self, pem: object) -> None:
        try:
            if self._link.keep(pem, self._known, time.time()):
                self._log.say("certificate_renewed")
        except LinkRefused as wrong:
            self._log.say(wrong.rule)

    def _revoked(self, text: object) -> None:
        """Say what the city signed of this box; nothing else is done: tunnels end at the city's end, and then enrol asks."""
        city = self._known.city
        if not isinstance(text, str) or city is None:
            return
        try:
            at, why = envelope.open_revocation(text, city, site=self._site.identity.id, device=self._device)
        except (envelope.EnvelopeRefused, ValueError):
            self._log.say("layer_unsigned", "revocation")
            return
        self._log.say("revoked")
        self._revoked_at = {"at": at, "reason": why[:256]}
        self._say("refused", "server_refuses_certificate")

    def _tell(self, request: HandOver | Outcome | CityAnswer) -> None:
        self._supervisor.beat()
        answer = ask(self._run, request, "agent", CHANGE_SECONDS)
        self.proving = answer.token if isinstance(answer, Proving) else ""
        if isinstance(answer, Waiting):
            self.nonce = answer.token
        elif isinstance(answer, Done):
            self.nonce = ""
            self._log.say("city_layer_kept")
        elif isinstance(answer, Refusal):
            if not isinstance(request, CityAnswer):
                self._refused = self._handed, tuple(found.code for found in answer.findings) or (answer.rule,)
            for found in answer.findings:
                self._log.say(found.code, found.path)

    def _rotate(self, tunnel: str) -> None:
        """Ask for a tunnel's next key, for the next report; one that the keeper does not know is told as a word in the log."""
        try:
            # Asked again although it was told: the city has not taken that one.
            refused = self.next_keys.get(tunnel, "")
            answer = ask(self._run, RotateKey(tunnel, refused), "agent", SMALL_SECONDS)
        except UnicodeError:
            return
        if isinstance(answer, NextKey):
            self.next_keys = {answer.tunnel: answer.public_key}
        elif isinstance(answer, Refusal):
            self._log.say(answer.rule, tunnel)

    def _report(self) -> str:
        answer = ask(self._run, Status(), "agent", SMALL_SECONDS)
        facts = answer.facts if isinstance(answer, StatusReport) else {}
        change = facts.get("change", {})
        self._learn(facts)
        pending = (change.get("pending") or {}).get("caller") == "agent"
        # Undone, or another life of ours or enrol has handed it over.
        self.nonce = str(facts.get("nonce") or "") if pending and change.get("state") == "waiting" else ""
        programs = {name: status.read(self._run, name) for name in _PROGRAMS}
        faults = causes(read(programs | {"keeper": facts}, time.monotonic()))
        told = {
            "site": self._site.identity.id,
            "device": facts.get("device", ""),
            "nonce": self.nonce,
            "city_layer": change.get("city_layer"),
            "change": change,
            "findings": facts.get("findings"),
            "tunnels": facts.get("tunnels"),
            # Of the tunnel whose key the city wants exchanged, the public key that it would have.
            "next_keys": self.next_keys,
            # Codes and facts: the city has the sentences, in its own language.
            "faults": [[found.code, found.severity.value, dict(found.args)] for found in faults[:MOST_FAULTS]],
            "receipts": facts.get("receipts"),
            "version": VERSION,
            "programs": programs,
        }
        if self._refused is not None:
            told["refused"] = {"mark": list(self._refused[0]), "codes": list(self._refused[1])}
        with contextlib.suppress(LinkRefused):
            if csr := self._link.request(self._known, time.time()):
                told["csr"] = csr
        return envelope.sign_report(told, self._key)

    def _learn(self, facts: dict[str, Any]) -> None:
        """Take what the keeper tells of city, clock and keys."""
        enrolment = facts.get("enrolment") or {}
        self._device = str(facts.get("device", ""))
        keys = dict(enrolment.get("wireguard") or {})
        self._known = Known(
            str(enrolment.get("ca", "")), facts.get("clock_behind") is True, keys, _city(enrolment.get("city_key"))
        )

    def pause_seconds(self) -> float:
        """Return how long to wait until the next report."""
        if self.nonce or self.proving:
            return pace.WAITING_SECONDS
        return pace.seconds(self._control.interval_seconds, heard=self._heard, chance=random.random)


def _city(text: object) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(str(text or ""), validate=True))
    except ValueError:
        return None


def _figures(run: Path) -> str:
    """Return what the city's monitoring reads: the programs' own words, and the keeper's if it answers."""
    said: dict[str, Any] = {name: status.read(run, name) for name in _PROGRAMS}
    with contextlib.suppress(OSError, ControlError):
        answer = ask(run, Status(), "agent", SMALL_SECONDS)
        said["keeper"] = answer.facts if isinstance(answer, StatusReport) else None
    return text(families(said, time.monotonic()))


def _serve(where: Places, log: Log, supervisor: Supervisor) -> None:
    confirmed = Confirmed(where.run)
    exposed = Exposed(lambda: _figures(where.run), log)
    supervisor.ready()
    while (site := confirmed.read()) is None or site.control is None:
        exposed.follow(site)
        supervisor.beat()
        time.sleep(TICK_SECONDS)
    agent = Agent(site, site.control, where, log, supervisor)
    while True:
        try:
            agent.turn()
        except (OSError, ControlError):
            log.say("keeper_away")
        until = time.monotonic() + agent.pause_seconds()
        while time.monotonic() < until:
            supervisor.beat()
            exposed.follow(site)
            if confirmed.changed():
                moved = confirmed.read()
                if moved is None or moved.control is None or not (agent.nonce or agent.proving):
                    return
                # A change that waits is ours to see through, at the address that it names.
                site = moved
                agent.move(moved, moved.control)
            time.sleep(TICK_SECONDS)


def main() -> int:
    """Run until the configuration changes; the supervisor starts us again."""
    where = places("snowgate-agent")
    log = Log("agent")
    try:
        _serve(where, log, Supervisor(SILENCE_SECONDS))
    except secrets.SecretDamaged:
        log.say("device_key_damaged")
        return 1
    return 0
