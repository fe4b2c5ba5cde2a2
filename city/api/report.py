"""What a device tells once a minute, and what it hears. The road of most requests: one read, and no write of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge

from city.api.callers import judged, presented, serial, shown_by, taken_up
from city.api.heartbeats import Heartbeats
from city.registry import enrolment, glance, reports
from city.registry.glance import Glance
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Site
from netconf.envelope import MAX_REPORT_BYTES, EnvelopeRefused, open_report

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_NOTHING = b"{}\n"
_QUIET_HEADERS = [
    ("Content-Type", "application/json"), ("Content-Length", str(len(_NOTHING))), ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]  # fmt: skip


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
    seen, told = _read(desk, certificate, text, now)
    desk.heartbeats.put(told)
    return {} if reports.quiet(seen, told) else _settled(desk, seen.site, told, now)


def quick(desk: Desk, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes] | None:
    """Answer a report that asks for nothing by a short way; None of all others, and of whatever is wrong: that is the app's."""
    if environ["PATH_INFO"] != "/v1/report" or environ["REQUEST_METHOD"] != "POST" or not _asks_nothing(desk, environ):
        return None
    start_response("200 OK", _QUIET_HEADERS)
    return (_NOTHING,)


def _asks_nothing(desk: Desk, environ: WSGIEnvironment) -> bool:
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdecimal() or len(length) > 7 or int(length) > MAX_REPORT_BYTES:
        return False
    raw = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = BytesIO(raw)
    try:
        seen, told = _read(desk, shown_by(environ), raw.decode("ascii"), desk.clock())
    except (RegistryRefused, SQLAlchemyError, UnicodeDecodeError):
        # Said by the app, which finds the same.
        return False
    if not reports.quiet(seen, told):
        return False
    desk.heartbeats.put(told)
    return True


def _read(desk: Desk, certificate: bytes | None, text: str, now: float) -> tuple[Glance, reports.Told]:
    """Return what the registry has on who reports, and what he says. Raises as ``heard``."""
    number = serial(certificate)
    with desk.store.look() as connection:
        seen = glance.at(connection, number)
    who = judged(seen.shown if seen is not None else None, certificate, now)
    if seen is None or not seen.site or seen.state != "active":
        raise RegistryRefused("site_revoked" if seen is not None and seen.site else "certificate_unknown", site=who)
    return seen, _told(text, seen)


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
