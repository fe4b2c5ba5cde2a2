"""The line to the city's fleet control: TLS 1.3 both ways, inside a tunnel; the box's certificate, and its renewal.

Without a good certificate there is no report, and nothing else is lost: the tunnel does not know certificates. One that
has run out is asked for anew at the same server, with the device key's signature alone.
"""

from __future__ import annotations

import json
import secrets as chance
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.io import credentials
from edge.io.credentials import Credentials
from edge.io.https import Dial, HttpsRefused, Resumption, Server, Trust, connected, exchange
from netconf import certificates
from netconf.certificates import CertificateRefused
from netconf.enrolment import EnrolRequest, sign_request

#: A city that has accepted the connection and then says nothing is away.
DEADLINE_SECONDS = 10.0


class LinkRefused(Exception):
    """There is nothing to report with; ``rule`` is a code of ``words``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Known:
    """What the keeper tells: the pinned CA (SHA-256, hexadecimal), whether the clock is known to be behind, the city's key."""

    pin: str
    clock_behind: bool
    #: Tunnel -> public key.
    wireguard: dict[str, str]
    city: Ed25519PublicKey | None = None


class Link:
    """One site's line; ``now`` of the wall clock comes in, for it may be wrong. ``dial`` chooses the tunnel."""

    def __init__(
        self, state: Path, key_file: Path, key: ec.EllipticCurvePrivateKey, site: str, dial: Dial = connected
    ) -> None:
        self._state = state
        self._key_file = key_file
        self._key = key
        self._site = site
        self._dial = dial
        self._resumption = Resumption()
        #: How often the city was found to have another CA.
        self.followed = 0

    def request(self, known: Known, now: float) -> str:
        """Return the request for a new certificate, "" while the one that there is lasts."""
        held = self._held(known)
        if held.certificate is None:
            return ""
        left = certificates.seconds_left(held.certificate, self._believed(held, known, now))
        return certificates.request(self._key, self._site) if left < certificates.RENEW_SECONDS else ""

    def post(self, server: Server, report: str, known: Known, now: float) -> dict[str, Any]:
        """Send a report and return the city's answer.

        Raises:
            LinkRefused: there is no certificate to do it with.
            HttpsRefused: the server is not to be believed, or does not believe us.
            OSError: it is away.
        """
        held = self._held(known)
        believed = self._believed(held, known, now)
        if held.certificate is None:
            raise LinkRefused("certificate_missing")
        try:
            certificates.judge_time(held.certificate, believed)
        except CertificateRefused as wrong:
            raise LinkRefused(wrong.rule) from None
        return self._exchanged(server, "/v1/report", report.encode("ascii"), known, now)

    def ask_anew(self, server: Server, known: Known, now: float) -> tuple[bool, object]:
        """Ask for a certificate without showing one, as an active device may.

        Return whether one was kept, and what the city says is its revocation of this box, None when it says nothing such.

        Raises:
            LinkRefused, HttpsRefused, OSError: as for ``post``.
        """
        asked = EnrolRequest(self._site, "", certificates.request(self._key, self._site), known.wireguard, {},
                             max(0, int(now)), chance.token_hex(16))  # fmt: skip
        body = sign_request(asked, self._key).encode("ascii")
        answer = self._exchanged(server, "/v1/enrol", body, known, now, shown=False)
        if answer.get("state") != "approved":
            return False, answer.get("revocation")
        return self.keep(answer.get("certificate"), known, now), None

    def keep(self, pem: object, known: Known, now: float) -> bool:
        """Judge and keep a certificate that the city sent; return whether it is a newer one than there was.

        Raises:
            LinkRefused: what is wrong with it; nothing was changed.
            OSError: it is not kept.
        """
        held = self._held(known)
        if not isinstance(pem, str) or not pem.isascii():
            raise LinkRefused("certificate_form")
        try:
            fresh = certificates.device(pem.encode("ascii"), held.cas, self._key.public_key(), self._site)
            certificates.judge_time(fresh, self._believed(held, known, now))
        except CertificateRefused as wrong:
            raise LinkRefused(wrong.rule) from None
        if held.certificate is not None and certificates.ends_at(fresh) <= certificates.ends_at(held.certificate):
            return False
        credentials.keep(self._state, "agent", pem)
        return True

    def _exchanged(
        self, server: Server, target: str, body: bytes, known: Known, now: float, *, shown: bool = True
    ) -> dict[str, Any]:
        """Ask; of a server whose CA we do not know hear first whether it is the city's new one."""

        def asked() -> tuple[int, bytes]:
            trust, left = self._trust(known, now, shown), self._resumption if shown else None
            return exchange(server, target, body, trust, DEADLINE_SECONDS, self._dial, left)

        try:
            return _answer(asked())
        except HttpsRefused as wrong:
            if wrong.rule != "server_other_ca":
                raise
        credentials.follow(self._state, "agent", server, known.pin, known.city, DEADLINE_SECONDS, self._dial)
        self.followed += 1
        return _answer(asked())

    def _held(self, known: Known) -> Credentials:
        held = credentials.read(self._state, known.pin, self._key.public_key(), self._site, known.city)
        if held is None:
            raise LinkRefused("certificate_missing")
        return held

    def _believed(self, held: Credentials, known: Known, now: float) -> float | None:
        return certificates.believable(now, held.cas, behind=known.clock_behind)

    def _trust(self, known: Known, now: float, shown: bool) -> Trust:
        held = self._held(known)
        believed = self._believed(held, known, now)
        return Trust(held.cas, believed, held.path, self._key_file) if shown else Trust(held.cas, believed)


def _answer(came: tuple[int, bytes]) -> dict[str, Any]:
    status, data = came
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise HttpsRefused("server_answer") from None
    if isinstance(found, dict) and status == 200:
        return found
    # The city judges time and serial behind TLS, where it can say what is wrong (docs/city.md).
    ours = isinstance(found, dict) and status in (401, 403) and str(found.get("rule")).startswith("certificate_")
    raise HttpsRefused("server_refuses_certificate" if ours else "server_answer")
