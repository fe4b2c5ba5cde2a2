"""The application: a view parses, asks, renders."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from flask import Flask, Response, abort, g, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from edge.control.wire import Propose
from netconf import layers, words
from netconf.model import Site
from webui import guard
from webui.accounts import Accounts, Locked, Session, same
from webui.changes import CONFIRM_SECONDS, Changes
from webui.verdict import verdict
from webui.words import LANGUAGES, language_of, word

_BEIJING = timezone(timedelta(hours=8))
COOKIE = "__Host-session"
_OPEN = frozenset(("login", "first", "language", "static", "keep", "keep_page", "state"))
Reply = str | BaseResponse | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Box:
    """How the pages see the box: the published site, everybody's facts, finished views, the page's fingerprint."""

    site: Callable[[], Site | None]
    facts: Callable[[], dict[str, Any]]
    history: Callable[[], list[dict[str, Any]] | None]
    fingerprint: str


def create_app(box: Box, accounts: Accounts, changes: Changes, say: Callable[[str, str], None]) -> Flask:
    """Return the pages of ``box``; ``say`` writes a code and whom it concerns to the log."""
    app = Flask("webui", static_url_path="/static")
    guard.install(app, box.site)
    _around(app, box, accounts)
    _entry(app, accounts, say)
    _pages(app, box)
    _changing(app, box, changes, say)
    return app


# -- around every view -----------------------------------------------------------------------------------------------


def _around(app: Flask, box: Box, accounts: Accounts) -> None:
    @app.before_request
    def _who() -> Reply | None:
        g.language = language_of(request.cookies.get("language"), request.headers.get("Accept-Language"))
        g.session = accounts.session(request.cookies.get(COOKIE, ""))
        if request.endpoint in _OPEN or request.endpoint is None:
            return None
        if box.site() is None:
            abort(503, "not_set_up")
        if not isinstance(g.session, Session):
            return redirect(url_for("login" if accounts.has_password else "first"))
        if request.method == "POST" and not same(request.form.get("csrf", ""), g.session.csrf):
            abort(403, "refused_origin")
        return None

    app.add_template_filter(local)

    @app.context_processor
    def _words() -> dict[str, Any]:
        session = getattr(g, "session", None)
        language: words.Language = getattr(g, "language", "zh-CN")
        return {
            "w": lambda key, **facts: word(key, language, **facts),
            "sentence": lambda code: words.reason(code, language),
            "told": lambda found: (
                words.sentence(found, language),
                words.evidence(found, language),
                words.advice(found, language),
            ),
            "language": language,
            "csrf": session.csrf if session is not None else "",
            "inside": session is not None,
            "fingerprint": box.fingerprint,
        }

    @app.errorhandler(HTTPException)
    def _refused(wrong: HTTPException) -> Reply:
        known = {421: "refused_host", 404: "not_found", 405: "not_found", 413: "refused_form", 400: "refused_form"}
        key = known.get(wrong.code or 500, str(wrong.description))
        return render_template("refused.html", key=key), wrong.code or 500


# -- coming in -------------------------------------------------------------------------------------------------------


def _entry(app: Flask, accounts: Accounts, say: Callable[[str, str], None]) -> None:
    @app.route("/login", methods=["GET", "POST"])
    def login() -> Reply:
        if not accounts.has_password:
            return redirect(url_for("first"))
        if request.method == "GET":
            return render_template("login.html")
        address = request.remote_addr or ""
        try:
            cookie = accounts.enter(request.form.get("password", ""), address)
        except Locked as locked:
            say("page_locked", address)
            return render_template("login.html", wrong=word("locked", g.language, seconds=locked.seconds)), 429
        if cookie is None:
            say("page_password_wrong", address)
            return render_template("login.html", wrong=word("password_wrong", g.language)), 403
        say("page_entered", address)
        return _enter(cookie)

    @app.route("/first", methods=["GET", "POST"])
    def first() -> Reply:
        if request.method == "GET":
            return render_template("first.html")
        address, form = request.remote_addr or "", request.form
        password = form.get("password", "")
        wrong: str | None = "password_differs"
        try:
            if same(password, form.get("again", "")):
                wrong = accounts.set_first(form.get("code", ""), password, address)
        except Locked as locked:
            return render_template("first.html", wrong=word("locked", g.language, seconds=locked.seconds)), 429
        if wrong is not None:
            return render_template("first.html", wrong=word(wrong, g.language)), 422
        say("page_password_set", address)
        cookie = accounts.enter(password, address)
        return _enter(cookie) if cookie is not None else redirect(url_for("login"))

    @app.post("/logout")
    def logout() -> Reply:
        accounts.leave(request.cookies.get(COOKIE, ""))
        answer = redirect(url_for("login"))
        answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
        return answer

    @app.post("/language")
    def language() -> Reply:
        chosen = request.form.get("to", "")
        answer = redirect(_back(request.form.get("back", "/")))
        if chosen in LANGUAGES:
            answer.set_cookie("language", chosen, max_age=31_536_000, secure=True, httponly=True, samesite="Strict")
        return answer


def _enter(cookie: str) -> Response:
    answer = make_response(redirect(url_for("overview")))
    answer.set_cookie(COOKIE, cookie, secure=True, httponly=True, samesite="Strict", path="/")
    return answer


def _back(path: str) -> str:
    """Only to a page of ours: one path, no other host (``//evil``)."""
    return path if path in ("/", "/cameras", "/viewers", "/changes", "/login", "/first") else "/"


# -- showing ---------------------------------------------------------------------------------------------------------


def _pages(app: Flask, box: Box) -> None:
    def site() -> Site:
        found = box.site()
        assert found is not None  # the guard saw to it
        return found

    @app.get("/")
    def overview() -> Reply:
        part = "overview_live.html" if "HX-Request" in request.headers else "overview.html"
        return render_template(part, verdict=verdict(site(), box.facts()), site=site())

    @app.get("/cameras")
    def cameras() -> Reply:
        facts = box.facts()
        online = (facts.get("siteside") or {}).get("recorders", {})
        return render_template("cameras.html", site=site(), online=online)

    @app.get("/viewers")
    def viewers() -> Reply:
        views = list(((box.facts().get("ferry") or {}).get("views") or {}).values())
        names = {channel.id: channel.name for channel in site().channel}
        if "HX-Request" in request.headers:
            return render_template("viewers_live.html", views=views, names=names)
        return render_template("viewers.html", views=views, history=box.history(), names=names)

    @app.get("/changes")
    def changes() -> Reply:
        change = (box.facts().get("keeper") or {}).get("change") or {}
        return render_template("changes.html", site=site(), change=change)


# -- changing --------------------------------------------------------------------------------------------------------


def _changing(app: Flask, box: Box, changes: Changes, say: Callable[[str, str], None]) -> None:
    def propose(parts: dict[str, Any], address: str) -> Reply:
        revision = ((box.facts().get("keeper") or {}).get("change") or {}).get("revision", 0)
        where = f"https://{address}"
        secret = changes.begin(Propose(revision, json.dumps(parts, ensure_ascii=False), CONFIRM_SECONDS), where)
        say("page_change_asked", ", ".join(sorted(parts)))
        return render_template("applying.html", secret=secret, where=where, seconds=CONFIRM_SECONDS)

    @app.post("/cameras")
    def share() -> Reply:
        found = box.site()
        assert found is not None  # the guard saw to it
        owner, _ = layers.split(found)
        wanted = (request.form.get("recorder"), request.form.get("id"))
        channels = [dict(channel) for channel in owner.get("channel", [])]
        mine = [channel for channel in channels if (channel["recorder"], channel["id"]) == wanted]
        if len(mine) != 1 or request.form.get("share") not in ("on", "off"):
            abort(400)
        mine[0]["share"] = request.form["share"] == "on"
        return propose({"channel": channels}, str(found.lan.address.ip))

    @app.post("/changes")
    def settle() -> Reply:
        found = box.site()
        assert found is not None  # the guard saw to it
        owner, _ = layers.split(found)
        form = {name: request.form.get(name, "").strip() for name in _SETTINGS}
        lan = owner["lan"] | {"address": form["address"], "owner_networks": form["owner_networks"].split()}
        uplink = owner["uplink"] | {"address": form["uplink_address"], "gateway": form["gateway"]}
        uplink = {name: value for name, value in uplink.items() if value}
        return propose({"lan": lan, "uplink": uplink}, _address(form["address"], str(found.lan.address.ip)))

    @app.get("/keep")
    def keep_page() -> Reply:
        return render_template("keep.html", seconds=CONFIRM_SECONDS)

    @app.post("/keep")
    def keep() -> Reply:
        return _told(changes.keep(request.form.get("secret", "")))

    @app.post("/state")
    def state() -> Reply:
        return _told(changes.look(request.form.get("secret", "")))

    @app.post("/undo")
    def undo() -> Reply:
        return _told(changes.undo(request.form.get("secret", "")))


_SETTINGS = ("address", "owner_networks", "uplink_address", "gateway")


def _address(text: str, otherwise: str) -> str:
    """Return where the page will be; nonsense is the keeper's to refuse, and leaves the page where it is."""
    host = text.partition("/")[0]
    parts = host.split(".")
    good = len(parts) == 4 and all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts)
    return host if good else otherwise


def local(moment: str) -> str:
    """Return an ISO moment as people here read it, whatever zone the box lives in (GB/T 28181: Beijing time)."""
    try:
        return datetime.fromisoformat(moment).astimezone(_BEIJING).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return "?"


def _told(asked: Any) -> Reply:
    state = asked.state if asked is not None else "unknown"
    lines = [word(f"state_{state}", g.language)]
    if asked is not None:
        lines += [f"{path} {words.reason(code, g.language)}".strip() for code, path in asked.rules]
    body = json.dumps({"state": state, "text": " ".join(lines)}, ensure_ascii=False)
    return Response(body, 200 if asked is not None else 404, mimetype="application/json")
