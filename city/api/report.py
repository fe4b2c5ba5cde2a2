"""What a device tells once a minute, and what it hears. The road of most requests: one read, and no write of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from city.api.callers import judged, presented, serial, taken_up
from city.api.heartbeats import Heartbeats
from city.registry import enrolment, glance, reports
from city.registry.glance import Glance
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
    now, number = desk.clock(), serial(certificate)
    with desk.store.look() as connection:
        seen = glance.at(connection, number)
    who = judged(seen.shown if seen is not None else None, certificate, now)
    if seen is None or not seen.site or seen.state != "active":
        raise RegistryRefused("site_revoked" if seen is not None and seen.site else "certificate_unknown", site=who)
    told = _told(text, seen)
    desk.heartbeats.put(told)
    return {} if reports.quiet(seen, told) else _settled(desk, seen.site, told, now)


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


def _told(text: str, seen: Glance) -> reports.Told:
    """Return what a report says of its site.

    Raises:
        RegistryRefused: ``report_unsigned`` or ``report_other_site``.
    """
    try:
        told = reports.read(open_report(text, enrolment.read_device_key(seen.device_key)))
    except EnvelopeRefused as wrong:
        raise RegistryRefused(wrong.rule) from None
    if told.site != seen.site:
        raise RegistryRefused("report_other_site", site=seen.site)
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
