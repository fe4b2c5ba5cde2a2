"""What a device tells once a minute, and what it hears. The road of most requests: two reads, and no write of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import RequestEntityTooLarge

from city.api.callers import presented, subject, taken_up
from city.api.heartbeats import Heartbeats
from city.registry import enrolment, layers, reports
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Site
from netconf.envelope import MAX_REPORT_BYTES, EnvelopeRefused, open_report


@dataclass(frozen=True, slots=True)
class Desk:
    """What the view rests on; ``say`` writes a line of the log (code, facts)."""

    store: Store
    signer: Signer
    clock: Callable[[], float]
    heartbeats: Heartbeats
    say: Callable[..., None]


def blueprint(desk: Desk) -> APIBlueprint:
    """Return the view ``/v1/report``."""
    made = APIBlueprint("report", __name__, url_prefix="/v1")

    @made.post("/report")
    def hear() -> Response:
        """A report signed by the device's key, over a connection with its certificate (docs/city.md)."""
        return jsonify(heard(desk, presented(), _body()))

    return made


def heard(desk: Desk, certificate: bytes | None, text: str) -> dict[str, str]:
    """Take a report that came with a certificate (DER), and return the answer.

    Raises:
        RegistryRefused: the certificate, the site or the report is none.
        SignerAway: nothing of it was done.
    """
    try:
        return _heard(desk, certificate, text)
    except RegistryRefused as wrong:
        if not taken_up(desk.store, desk.signer, certificate, wrong):
            raise
    return _heard(desk, certificate, text)


def _heard(desk: Desk, certificate: bytes | None, text: str) -> dict[str, str]:
    now = desk.clock()
    with desk.store.read() as session:
        who = subject(session, now, certificate)
        site = session.get(Site, who.removeprefix("site:")) if who.startswith("site:") else None
        if site is None or site.state != "active":
            raise RegistryRefused("site_revoked" if site is not None else "certificate_unknown", site=who)
        told = _told(text, site)
        busy = bool(told.nonce or told.csr) or reports.news(session, site, told) or _due(session, site, told)
        answer = {} if busy else reports.answer(session, desk.signer, site, told, now)
    desk.heartbeats.put(told)
    return _settled(desk, site.id, told, now) if busy else answer


def _settled(desk: Desk, number: str, told: reports.Told, now: float) -> dict[str, str]:
    """Do what a report asks for, in one transaction, and return the answer."""
    with desk.store.begin() as session:
        site = session.get_one(Site, number, with_for_update=True)
        outcome = reports.settle(session, desk.signer, site, told, now)
        answer = reports.answer(session, desk.signer, site, told, now)
        certificate = enrolment.renew(session, desk.signer, now, site, told.csr) if told.csr else None
    if certificate is not None:
        answer["certificate"] = certificate
    if outcome == "reverted":
        desk.say("layer_reverted", site=number, revision=site.offered, why=told.why_undone)
    return answer


def _due(session: Session, site: Site, told: reports.Told) -> bool:
    """A layer may have to be signed again before it is handed out, which is a write."""
    return bool(site.offered) and told.applied != (layers.epoch(session), site.offered) and not told.waiting


def _told(text: str, site: Site) -> reports.Told:
    """Return what a report says of its site.

    Raises:
        RegistryRefused: ``report_unsigned`` or ``report_other_site``.
    """
    try:
        told = reports.read(open_report(text, enrolment.device_key(site)))
    except EnvelopeRefused as wrong:
        raise RegistryRefused(wrong.rule) from None
    if told.site != site.id:
        raise RegistryRefused("report_other_site", site=site.id)
    return told


def _body() -> str:
    request.max_content_length = MAX_REPORT_BYTES
    raw = request.get_data(cache=False)
    if len(raw) > MAX_REPORT_BYTES:
        raise RequestEntityTooLarge
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise RegistryRefused("report_unsigned") from None
