"""The blueprint: what stands around every page, and the way in and out."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.wrappers import Response as BaseResponse

from city.api import errors
from city.api.callers import COOKIE
from city.api.office import Office
from city.console import acts, changes, lists, pages, persons, shown
from city.registry import people
from city.registry.refused import RegistryRefused
from city.registry.signer import SignerAway
from city.registry.tables import Person
from netconf import words

LANGUAGE = "__Host-language"
#: What a browser may ask without having signed in.
_OPEN = frozenset(("console.login", "console.language", "console.static"))
_HEADERS = {
    # Everything from here, nothing inline: a name that somebody gave a site cannot become a program.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    # Not no-referrer: with it a browser calls the origin of our own forms null.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_EVERY = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
Reply = str | BaseResponse | tuple[str, int]


def blueprint(office: Office) -> Blueprint:
    """Return the console, below ``/console``."""
    made = APIBlueprint(
        "console", __name__, url_prefix="/console", template_folder="templates", static_folder="static",
        static_url_path="/static", enable_openapi=False,
    )  # fmt: skip
    _around(made, office)
    _refusing(made)
    _door(made, office)
    pages.add(made, office)
    changes.add(made, office)
    persons.add(made, office)
    acts.add(made, office)

    @made.route("/<path:_rest>", methods=_EVERY)
    @made.route("/", methods=_EVERY[2:])
    def nothing(_rest: str = "") -> Reply:
        """Whatever is no page here is still answered by one, also what a page does not do."""
        raise NotFound

    return made


def _around(made: Blueprint, office: Office) -> None:
    @made.before_request
    def who() -> Reply | None:
        g.language = words.language_of(request.cookies.get(LANGUAGE), request.headers.get("Accept-Language"))
        g.person, g.token, g.now = None, "", office.clock()
        if request.method not in ("GET", "HEAD") and not _same_origin():
            raise RegistryRefused("csrf_missing")
        if any("\0" in value for said in (request.args, request.form) for value in said.values()):
            # PostgreSQL keeps no such sign, and nobody's name or reason has one.
            raise BadRequest
        if request.endpoint in _OPEN:
            return None
        try:
            # Whatever changes something must carry the page's word, too: that is judged there.
            g.person = office.callers.person("look")
        except RegistryRefused as refused:
            if refused.rule == "sign_in_needed":
                return redirect(url_for("console.login"), 303)
            raise
        return None

    @made.after_request
    def bind(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    for name, filter_ in shown.FILTERS.items():
        made.add_app_template_filter(filter_, f"c_{name}")

    @made.context_processor
    def around() -> dict[str, Any]:
        person: Person | None = getattr(g, "person", None)
        waits = {"pending": 0, "alerts": 0}
        if person is not None:
            try:
                with office.store.read() as session:
                    waits = lists.waits(session, person, g.now)
            except SQLAlchemyError:
                pass  # the page that says so needs no numbers
        return {
            "w": shown.word,
            "told": shown.told,
            "language": g.language,
            "person": person,
            "csrf": people.page_word(g.token) if g.token else "",
            "may": lambda right: person is not None and people.may(person, right),
            "waits": waits,
            "now": g.now,
            "done": request.args.get("done", "")[:32],
            "navigation": pages.navigation(person),
        }


def _refusing(made: Blueprint) -> None:
    def page(rule: str, status: int, **args: object) -> Reply:
        found = RegistryRefused(rule, **args).finding
        # A form that is too long is not read here either.
        back = request.form.get("back", "") if request.method == "POST" and status != 413 else ""
        back = back if back.startswith("/console/") else url_for("console.overview")
        return render_template("console/refused.html", found=found, back=back), status

    @made.errorhandler(RegistryRefused)
    def refused(wrong: RegistryRefused) -> Reply:
        return page(wrong.rule, errors.status(wrong.rule), **wrong.args_)

    @made.errorhandler(SignerAway)
    def away(_: SignerAway) -> Reply:
        return page("signer_away", 503)

    @made.errorhandler(IntegrityError)
    def taken(_: IntegrityError) -> Reply:
        return page("taken", 409)

    @made.errorhandler(OperationalError)
    @made.errorhandler(InterfaceError)
    @made.errorhandler(PoolTimeout)
    def no_database(_: SQLAlchemyError) -> Reply:
        # Whoever asked is not known either: nothing on the page may need the database.
        g.person = None
        return page("database_away", 503)

    @made.errorhandler(HTTPException)
    def http(wrong: HTTPException) -> Reply:
        status = wrong.code or 500
        rule = {404: "no_such_page", 405: "no_such_page", 413: "body_long"}.get(status, "form_incomplete")
        return page(rule if status < 500 else "inside", status)


def _door(made: Blueprint, office: Office) -> None:
    @made.route("/login", methods=["GET", "POST"])
    def login() -> Reply:
        if request.method == "GET":
            return render_template("console/login.html")
        name, password = (request.form.get(field, "")[:1024] for field in ("name", "password"))
        try:
            _, token = office.sign_in(name.strip(), password, request.remote_addr or "")
        except RegistryRefused as refused:
            return render_template("console/login.html", wrong=refused.finding), errors.status(refused.rule)
        answer = redirect(url_for("console.overview"), 303)
        answer.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="Strict")
        return answer

    @made.post("/logout")
    def logout() -> Reply:
        with office.store.begin() as session:
            people.sign_out(session, g.token)
        answer = redirect(url_for("console.login"), 303)
        answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
        return answer

    @made.post("/language")
    def language() -> Reply:
        back = request.form.get("back", "")
        answer = make_response(redirect(back if back.startswith("/console/") else url_for("console.overview"), 303))
        if request.form.get("to", "") in words.LANGUAGES:
            answer.set_cookie(
                LANGUAGE, request.form["to"], max_age=31_536_000, secure=True, httponly=True, samesite="Strict"
            )
        return answer


def _same_origin() -> bool:
    """A form of another page has another origin; a browser that sends neither header is none of ours."""
    fetched, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if fetched is not None and fetched != "same-origin":
        return False
    if origin is not None:
        return origin.removesuffix(":443") == f"https://{request.host.removesuffix(':443')}"
    return fetched == "same-origin"
