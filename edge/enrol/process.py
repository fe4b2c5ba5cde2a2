"""The program: it asks the keeper whether there is a reason, and the city's door as long as there is one."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import secrets as chance
import time
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.control.client import SMALL_SECONDS
from edge.control.client import ask as ask_keeper
from edge.control.wire import ControlError, HandOver, Keys, Refusal, StatusReport
from edge.enrol.conversation import (
    CA_SECONDS,
    Answer,
    AnswerWrong,
    Approved,
    Asker,
    Pending,
    Refused,
    Revoked,
    ask_door,
    fetch_ca,
)
from edge.enrol.machine import Event, Machine, State
from edge.io import credentials
from edge.io.confirmed import Places, places
from edge.io.https import HttpsRefused, Server
from edge.io.log import Log
from edge.io.status import StatusFile
from netconf import certificates, durable, enrolment, secrets
from netconf.certificates import CertificateRefused
from netconf.enrolment import Claimed, EnrolRequest
from netconf.envelope import EnvelopeRefused, open_revocation
from netconf.notify import Supervisor

TICK_SECONDS = 2.0
#: The keeper applies and reads back three namespaces before it answers a layer.
CHANGE_SECONDS = 40.0
#: The longest wait between two beats.
SILENCE_SECONDS = 60.0
MAX_KEPT_BYTES = 1 << 17
_REVOCATION = "revocation.json"


@dataclass(frozen=True, slots=True)
class Told:
    """What the keeper told, typed: where the door is, why it may be asked, and what the city is to be shown."""

    site: str
    server: Server
    pin: str
    city: Ed25519PublicKey
    device: str
    hole: str
    open: bool
    enrolled: bool
    clock_behind: bool
    wireguard: dict[str, str]


def told(facts: dict[str, Any]) -> Told | None:
    """Return what a keeper told, None of a box that has no bundle or whose keeper cannot say it all."""
    try:
        if not facts["site"] or not facts["city_key"]:
            return None
        city = Ed25519PublicKey.from_public_bytes(base64.b64decode(facts["city_key"]))
        return Told(
            facts["site"], Server(facts["address"], facts["port"]), facts["ca"], city, facts["device"], facts["hole"],
            facts["open"], facts["enrolled"], facts["clock_behind"], dict(facts["wireguard"]),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError):
        return None


class Enrol:
    """One life of the program."""

    def __init__(self, where: Places, log: Log, supervisor: Supervisor) -> None:
        self._where = where
        self._log = log
        self._supervisor = supervisor
        self._status = StatusFile(where.run, "enrol")
        self._revoked = self._read_revocation()
        self.machine = Machine(random.random, self._revoked is not None)  # noqa: S311 - jitter, no secret
        self._rule = ""
        self._bundle: tuple[object, ...] = ()
        self._request: EnrolRequest | None = None
        #: Who has a certificate needs no claim; a city that does not see it so is shown the claim again.
        self._claimless = True

    def run(self) -> None:
        """Serve for ever."""
        while True:
            self._supervisor.beat()
            try:
                self.turn(time.monotonic())
            except (OSError, ControlError):
                self._log.say("keeper_away")
            except secrets.SecretDamaged as wrong:
                self._log.say("secret_damaged_named", str(wrong))
            time.sleep(self.machine.wait(time.monotonic(), TICK_SECONDS))

    def turn(self, now: float) -> None:
        """Look whether there is a reason to ask, ask when it is time, and say how it stands."""
        known = self._keys(go=False)
        claimed = secrets.read_claim(self._where.secrets / "enrol")
        if known is None:
            self._status.write({"state": State.IDLE.value})
            return
        bundle = (known.site, known.server, known.pin, claimed.claim if claimed else "")
        if bundle != self._bundle:
            if self._revoked is not None and not believed(self._revoked, known):
                self._forget_revocation()
                self.machine.on(Event.ANEW, now)
            elif self._bundle:
                self.machine.on(Event.ANEW, now)
            self._bundle, self._request, self._claimless = bundle, None, True
        self.machine.on(Event.WANTED if known.hole else Event.UNWANTED, now)
        device = secrets.ensure_device_key(self._where.secrets / "device")
        if known.hole and self.machine.due(now):
            self._attempt(known, claimed, device)
        self._say(known, claimed, device)

    def _keys(self, go: bool) -> Told | None:
        answer = ask_keeper(self._where.run, Keys(go), "enrol", SMALL_SECONDS)
        return told(answer.facts) if isinstance(answer, StatusReport) else None

    # -- one attempt ---------------------------------------------------------------------------------------------

    def _attempt(self, known: Told, claimed: Claimed | None, device: ec.EllipticCurvePrivateKey) -> None:
        event, self._rule = Event.AWAY, ""
        try:
            answer = self._answered(known, claimed, device)
        except (AnswerWrong, HttpsRefused, CertificateRefused) as wrong:
            self._rule = wrong.rule
        except OSError:
            self._rule = "enrol_away"
        else:
            event = self._took(answer)
        if self._rule:
            self._log.say(self._rule if event is Event.AWAY else "enrol_refused", self._rule)
        self.machine.on(event, time.monotonic())

    def _answered(self, known: Told, claimed: Claimed | None, device: ec.EllipticCurvePrivateKey) -> Answer:
        opened = self._keys(go=True)
        if opened is None or not opened.open:
            raise AnswerWrong("enrol_hole_shut")
        self._supervisor.beat()
        held = credentials.read(self._where.state, known.pin, device.public_key(), known.site, known.city)
        cas = held.cas if held is not None else self._fetch(known, device.public_key())
        self._supervisor.beat()
        certified = self._claimless and held is not None and held.certificate is not None
        request = self._asked(known, None if certified else claimed, device)
        asker = Asker(known.site, known.pin, known.city, device, known.device)

        def asked(cas: tuple[x509.Certificate, ...]) -> Answer:
            now = certificates.believable(time.time(), cas, behind=known.clock_behind)
            return ask_door(known.server, cas, now, request, asker)

        try:
            return asked(cas)
        except HttpsRefused as wrong:
            if wrong.rule != "server_other_ca":
                raise
        return asked(self._follow(known, device.public_key()))

    def _fetch(self, known: Told, device: ec.EllipticCurvePublicKey) -> tuple[x509.Certificate, ...]:
        try:
            pem = fetch_ca(known.server, known.pin)
        except CertificateRefused as wrong:
            if wrong.rule != "ca_other":
                raise
            with contextlib.suppress(HttpsRefused):
                return self._follow(known, device)
            raise
        credentials.keep_ca(self._where.state, pem)
        return (certificates.pinned(pem, known.pin),)

    def _follow(self, known: Told, device: ec.EllipticCurvePublicKey) -> tuple[x509.Certificate, ...]:
        """The door has a certificate of another CA: it may be the city's new one, by the city's own signed word."""
        self._supervisor.beat()
        credentials.follow(self._where.state, "enrol", known.server, known.pin, known.city, CA_SECONDS)
        self._log.say("city_ca_renewed")
        self._supervisor.beat()
        held = credentials.read(self._where.state, known.pin, device, known.site, known.city)
        return held.cas if held is not None else ()

    def _asked(self, known: Told, claimed: Claimed | None, device: ec.EllipticCurvePrivateKey) -> EnrolRequest:
        """Return the request, the same until something of it is another."""
        claim = claimed.claim if claimed is not None else ""
        before = self._request
        if before is None or (before.claim, before.wireguard) != (claim, known.wireguard):
            self._request = before = EnrolRequest(
                site=known.site,
                claim=claim,
                csr=certificates.request(device, known.site),
                wireguard=known.wireguard,
                fingerprint=claimed.fingerprint if claimed is not None else {},
                time=max(0, int(time.time())),
                nonce=chance.token_hex(16),
            )
        return before

    def _took(self, answer: Answer) -> Event:
        """Do what an answer asks for; certificate and revocation are kept before anything is done with them."""
        if isinstance(answer, Pending):
            return Event.PENDING
        if isinstance(answer, Refused):
            self._rule = answer.rule or "enrol_refused"
            self._claimless = not self._claimless
            return Event.REFUSED
        if isinstance(answer, Revoked):
            kept = {"envelope": answer.envelope, "at": answer.at, "reason": answer.reason}
            durable.write(self._where.state / "enrol" / _REVOCATION, json.dumps(kept).encode("utf-8"), 0o640)
            self._revoked = kept
            self._log.say("revoked")
            return Event.REVOKED
        return self._approved(answer)

    def _approved(self, answer: Approved) -> Event:
        credentials.keep(self._where.state, "enrol", answer.certificate)
        self._forget_revocation()
        self._log.say("enrol_certificate_kept")
        if not answer.layer:
            return Event.APPROVED
        self._supervisor.beat()
        handed = ask_keeper(self._where.run, HandOver(answer.layer), "enrol", CHANGE_SECONDS)
        if isinstance(handed, Refusal):
            # An enrolled box that asks again is told the layer that it has already.
            for found in handed.findings:
                self._log.say(found.code, found.path)
            self._rule = handed.findings[0].code if handed.findings else handed.rule
        return Event.APPROVED

    # -- what is said and kept -----------------------------------------------------------------------------------

    def _say(self, known: Told, claimed: Claimed | None, device: ec.EllipticCurvePrivateKey) -> None:
        facts: dict[str, Any] = {"state": self.machine.state.value, "rule": self._rule, "hole": known.hole}
        if claimed is not None and not known.enrolled:
            facts["code"] = enrolment.code(known.pin, device.public_key(), claimed.claim)
        if self._revoked is not None:
            facts["revoked"] = {"at": self._revoked["at"], "reason": self._revoked["reason"]}
        self._status.write(facts)

    def _forget_revocation(self) -> None:
        (self._where.state / "enrol" / _REVOCATION).unlink(missing_ok=True)
        self._revoked = None

    def _read_revocation(self) -> dict[str, Any] | None:
        """What was kept; whether it is the city's word is judged as soon as the keeper has told the city's key."""
        try:
            kept = json.loads(durable.read(self._where.state / "enrol" / _REVOCATION, MAX_KEPT_BYTES))
            return {"envelope": str(kept["envelope"]), "at": int(kept["at"]), "reason": str(kept["reason"])}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None


def believed(kept: dict[str, Any], known: Told) -> bool:
    """Say whether a kept revocation is the city's word about this very box."""
    try:
        open_revocation(kept["envelope"], known.city, site=known.site, device=known.device)
    except EnvelopeRefused:
        return False
    return True


def main() -> int:
    """Run for ever."""
    where = places("snowgate-enrol")
    supervisor = Supervisor(SILENCE_SECONDS)
    enrol = Enrol(where, Log("enrol"), supervisor)
    supervisor.ready()
    enrol.run()
    return 0
