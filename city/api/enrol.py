"""What a box asks before it has a tunnel: the CA's certificate, and to be let in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from city.api import errors
from city.api.limits import Limit
from city.registry import enrolment
from city.registry.signer import Signer
from city.registry.store import Store
from netconf.enrolment import MAX_REQUEST_BYTES, EnrolmentRefused, open_request

#: A box asks every few seconds for a while, then more slowly; behind one address there may be a whole street's.
BURST, PER_SECOND = 60.0, 1.0
#: Refused requests cost more: 128 bits are not guessed, but who tries is slowed down and seen.
REFUSED_BURST, REFUSED_PER_SECOND = 20.0, 1 / 30


@dataclass(frozen=True, slots=True)
class Door:
    """What the views rest on; ``say`` writes a line of the log (code, facts)."""

    store: Store
    signer: Signer
    clock: Callable[[], float]
    say: Callable[..., None]
    asked: Limit = field(default_factory=lambda: Limit(BURST, PER_SECOND))
    refused: Limit = field(default_factory=lambda: Limit(REFUSED_BURST, REFUSED_PER_SECOND))


def blueprint(door: Door) -> APIBlueprint:
    """Return the views ``/v1/ca``, ``/v1/authority`` and ``/v1/enrol``."""
    made = APIBlueprint("enrol", __name__, url_prefix="/v1")

    @made.get("/ca")
    def ca() -> Response:
        """The CA's certificate (PEM); a box compares it with its bundle's hash before it believes anything."""
        return Response(door.signer.identity().ca, mimetype="application/x-pem-file")

    @made.get("/authority")
    def authority() -> Response:
        """By which CAs the city is known from now on, signed by its key; nothing while it has its first one (adr/0033)."""
        text = door.signer.identity().authority
        return Response(text, mimetype="application/json") if text else Response(status=204)

    @made.post("/enrol")
    def enrol() -> Response:
        """A signed request to be let in; posted again until it is answered (docs/city.md)."""
        source, now = request.remote_addr or "", door.clock()
        if not door.asked.takes(source, now):
            return errors.answer("enrol_often")
        try:
            opened, key = open_request(_body())
            with door.store.begin() as session:
                said = enrolment.ask(session, door.signer, now, opened, key)
        except EnrolmentRefused as wrong:
            return _slowed(door, source, now, errors.answer(wrong.rule, 400), wrong.rule, "")
        response = jsonify(said.body)
        response.status_code = said.status
        if said.status == 200:
            return response
        return _slowed(door, source, now, response, said.body["rule"], opened.site)

    return made


def _slowed(door: Door, source: str, now: float, response: Response, rule: str, site: str) -> Response:
    door.say("enrol_refused", source, rule=rule, site=site)
    return response if door.refused.takes(source, now) else errors.answer("enrol_often")


def _body() -> str:
    """Return the request's text, of which no more is read than may be."""
    request.max_content_length = MAX_REQUEST_BYTES
    raw = request.get_data(cache=False)
    if len(raw) > MAX_REQUEST_BYTES:
        raise RequestEntityTooLarge
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise EnrolmentRefused("enrol_form") from None
