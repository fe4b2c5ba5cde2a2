"""Every refusal is one JSON object, ``{"rule": code}``, with its sentence in both languages; nothing else leaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiflask import APIFlask, HTTPError
from flask import Response, jsonify
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from city.registry.refused import RegistryRefused
from city.registry.signer import SignerAway
from netconf import words
from netconf.enrolment import EnrolmentRefused

#: Rules that say more by their status than "no".
_STATUS = {
    "sign_in_needed": 401, "sign_in_wrong": 401, "certificate_missing": 401,
    "not_allowed": 403, "second_person": 403, "person_self": 403, "certificate_unknown": 403,
    "certificate_revoked": 403, "certificate_held": 403, "certificate_expired": 403, "csrf_missing": 403, "outside_scope": 403,
    "site_unknown": 404, "person_unknown": 404, "approval_unknown": 404, "template_unknown": 404,
    "city_only": 403,
    "number_form": 400, "enrol_often": 429, "sign_in_often": 429, "signer_away": 503, "database_away": 503,
}  # fmt: skip
_HTTP = {
    404: "no_such_page",
    405: "no_such_page",
    413: "body_long",
    415: "body_form",
    422: "body_fields",
    429: "enrol_often",
}


def answer(rule: str, code: int | None = None, args: Mapping[str, object] | None = None) -> Response:
    """Return a refusal."""
    args = args or {}
    found = RegistryRefused(rule, **args).finding
    said: dict[str, Any] = {"rule": rule, "en": words.sentence(found), "zh": words.sentence(found, "zh-CN")}
    response = jsonify(said | ({"args": {name: str(value) for name, value in args.items()}} if args else {}))
    response.status_code = code or status(rule)
    return response


def status(rule: str) -> int:
    """Return the HTTP status of a refusal."""
    return _STATUS.get(rule, 409)


def install(app: APIFlask) -> None:
    """Let an app answer so."""

    @app.errorhandler(RegistryRefused)
    def refused(wrong: RegistryRefused) -> Response:
        return answer(wrong.rule, args=wrong.args_)

    @app.errorhandler(EnrolmentRefused)
    def not_enrolled(wrong: EnrolmentRefused) -> Response:
        return answer(wrong.rule, 400)

    @app.errorhandler(SignerAway)
    def away(_: SignerAway) -> Response:
        return answer("signer_away")

    @app.errorhandler(IntegrityError)
    def taken(_: IntegrityError) -> Response:
        # Two came in one moment, and the other one was first.
        return answer("taken")

    @app.errorhandler(DataError)
    def unfit(_: DataError) -> Response:
        # A sign or a number that the database cannot hold (PostgreSQL keeps no NUL).
        return answer("body_fields", 422)

    @app.errorhandler(OperationalError)
    @app.errorhandler(InterfaceError)
    @app.errorhandler(PoolTimeout)
    def no_database(_: SQLAlchemyError) -> Response:
        return answer("database_away")

    @app.errorhandler(HTTPException)
    def http(wrong: HTTPException) -> Response:
        status = wrong.code or 500
        return answer(_HTTP.get(status, "body_form" if status < 500 else "inside"), status)

    @app.error_processor
    def fields(wrong: HTTPError) -> tuple[Any, int]:
        response = answer(_HTTP.get(wrong.status_code, "body_form"), wrong.status_code)
        return response.get_json(), wrong.status_code
