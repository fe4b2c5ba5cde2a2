"""The application: a view parses, asks, renders."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from typing import Any, get_args

from flask import Flask, Response, abort, g, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from edge.control.wire import PROOF_SECONDS, Propose
from edge.faults.enrolment import why_revoked
from edge.metrics.exposition import CONTENT_TYPE, text
from edge.metrics.figures import families
from netconf import layers, words
from netconf.model import Right, Site
from webui import guard
from webui.accounts import Accounts, Locked, Session, same
from webui.changes import CONFIRM_SECONDS, Changes
from webui.peers import asked_rights, peers
from webui.verdict import verdict
from webui.words import word

_BEIJING = timezone(timedelta(hours=8))
UNDECLARED = "未声明"
COOKIE = "__Host-session"
RIGHTS: tuple[Right, ...] = get_args(Right)
#: What nobody can allow: there is no way to say it between the two sides (``edge.records``).
NEVER = (
    "TeleBoot",
    "RecordCmd StopRecord",
    "GuardCmd ResetGuard",
    "DeviceConfig",
    "DeviceUpgrade",
    "SnapShotConfig",
    "FormatSDCard",
)
_OPEN = frozenset(("login", "first", "language", "static", "keep", "keep_page", "state", "metrics"))
Reply = str | BaseResponse | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Box:
    """How the pages see the box: the published site, everybody's facts, finished views, the page's fingerprint; and the
    one thing that is asked of it besides changes, to ask its city now."""

    site: Callable[[], Site | None]
    facts: Callable[[], dict[str, Any]]
    history: Callable[[], list[dict[str, Any]] | None]
    ask_city: Callable[[], bool]
    fingerprint: str


def create_app(box: Box, accounts: Accounts, changes: Changes, say: Callable[[str, str], None]) -> Flask:
    """Return the pages of ``box``; ``say`` writes a code and whom it concerns to the log."""
    app = Flask("webui", static_url_path="/static")
    guard.install(app, box.site)
    _around(app, box, accounts)
    _entry(app, accounts, say)
    _pages(app, box)
    _figures(app, box)
    _changing(app, box, changes, say)
    return app


# -- around every view -----------------------------------------------------------------------------------------------


def _around(app: Flask, box: Box, accounts: Accounts) -> None:
    @app.before_request
    def _who() -> Reply | None:
        g.language = words.language_of(request.cookies.get("language"), request.headers.get("Accept-Language"))
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
    app.add_template_filter(local_seconds)
    app.add_template_filter(who)
    app.add_template_filter(quality)

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
        if chosen in words.LANGUAGES:
            answer.set_cookie("language", chosen, max_age=31_536_000, secure=True, httponly=True, samesite="Strict")
        return answer


def _enter(cookie: str) -> Response:
    answer = make_response(redirect(url_for("overview")))
    answer.set_cookie(COOKIE, cookie, secure=True, httponly=True, samesite="Strict", path="/")
    return answer


def _back(path: str) -> str:
    """Only to a page of ours: one path, no other host (``//evil``)."""
    return path if path in ("/", "/cameras", "/peers", "/viewers", "/changes", "/login", "/first") else "/"


# -- showing ---------------------------------------------------------------------------------------------------------


def _pages(app: Flask, box: Box) -> None:
    def site() -> Site:
        found = box.site()
        assert found is not None  # the guard saw to it
        return found

    @app.get("/")
    def overview() -> Reply:
        part = "overview_live.html" if "HX-Request" in request.headers else "overview.html"
        facts = box.facts()
        return render_template(part, verdict=verdict(site(), facts), site=site(), code=code_shown(facts),
                               revoked=why_revoked(facts))  # fmt: skip

    @app.post("/ask-city")
    def ask_city() -> Reply:
        if not box.ask_city():
            abort(503, "keeper_away")
        return redirect(url_for("overview"))

    @app.get("/cameras")
    def cameras() -> Reply:
        facts = box.facts()
        online = (facts.get("siteside") or {}).get("recorders", {})
        asked = asked_rights(site())
        return render_template("cameras.html", site=site(), online=online, rights=RIGHTS, asked=asked, never=NEVER)

    @app.get("/peers")
    def connections() -> Reply:
        part = "peers_live.html" if "HX-Request" in request.headers else "peers.html"
        return render_template(part, peers=peers(site(), box.facts()))

    @app.get("/viewers")
    def viewers() -> Reply:
        views = list(((box.facts().get("ferry") or {}).get("views") or {}).values())
        names = {(channel.recorder, channel.id): channel.name for channel in site().channel}
        if "HX-Request" in request.headers:
            return render_template("viewers_live.html", views=views, names=names)
        several = len(site().platform) > 1
        return render_template("viewers.html", views=views, history=box.history(), names=names, several=several)

    @app.get("/changes")
    def changes() -> Reply:
        change = (box.facts().get("keeper") or {}).get("change") or {}
        return render_template("changes.html", site=site(), change=change)


def _figures(app: Flask, box: Box) -> None:
    @app.get("/metrics")
    def metrics() -> Reply:
        """Without a password, so only if the owner said so, and only to those whom the firewall lets to the page."""
        found = box.site()
        if found is None or not found.metrics.site:
            abort(404)
        asking = request.remote_addr
        if asking is None or not any(ip_address(asking) in network for network in found.lan.owner_networks):
            abort(403, "refused_metrics")
        facts = box.facts()
        return Response(text(families(facts, facts.get("monotonic") or 0.0)), content_type=CONTENT_TYPE)


# -- changing --------------------------------------------------------------------------------------------------------


def _changing(app: Flask, box: Box, changes: Changes, say: Callable[[str, str], None]) -> None:
    def propose(parts: dict[str, Any], address: str) -> Reply:
        revision = ((box.facts().get("keeper") or {}).get("change") or {}).get("revision", 0)
        where = f"https://{address}"
        secret = changes.begin(Propose(revision, json.dumps(parts, ensure_ascii=False), CONFIRM_SECONDS), where)
        say("page_change_asked", ", ".join(sorted(parts)))
        return render_template("applying.html", secret=secret, where=where, seconds=CONFIRM_SECONDS,
                               proof_seconds=round(PROOF_SECONDS))  # fmt: skip

    _allowing(app, box, propose)

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
        secret = request.form.get("secret", "")
        asked = changes.keep(secret)
        if "page" in request.form:  # of a browser without scripts
            state = asked.state if asked is not None else "unknown"
            return render_template("kept.html", secret=secret, state=state, lines=_lines(asked))
        return _told(asked)

    @app.post("/state")
    def state() -> Reply:
        return _told(changes.look(request.form.get("secret", "")))

    @app.post("/undo")
    def undo() -> Reply:
        return _told(changes.undo(request.form.get("secret", "")))


def _allowing(app: Flask, box: Box, propose: Callable[[dict[str, Any], str], Reply]) -> None:
    """Both switches of a camera: whether the city has it at all, and what it may do with it."""

    def change(wanted: dict[str, Any]) -> Reply:
        found = box.site()
        assert found is not None  # the guard saw to it
        owner, _ = layers.split(found)
        named = (request.form.get("recorder"), request.form.get("id"))
        channels = [dict(channel) for channel in owner.get("channel", [])]
        mine = [channel for channel in channels if (channel["recorder"], channel["id"]) == named]
        if len(mine) != 1:
            abort(400)
        mine[0].update(wanted)
        return propose({"channel": channels}, str(found.lan.address.ip))

    @app.post("/cameras")
    def share() -> Reply:
        if request.form.get("share") not in ("on", "off"):
            abort(400)
        return change({"share": request.form["share"] == "on"})

    @app.post("/cameras/rights")
    def allow() -> Reply:
        given = request.form.getlist("allow")
        if not set(given) <= set(RIGHTS):
            abort(400)
        return change({"allow": [right for right in RIGHTS if right in given]})


def code_shown(facts: dict[str, Any]) -> str:
    """Return the six digits that the city must show, too; "" when no person there is asked for them."""
    enrol = facts.get("enrol") or {}
    code = str(enrol.get("code") or "")
    return code if enrol.get("state") in ("asking", "pending", "refused") and code.isdigit() and len(code) == 6 else ""


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


def local_seconds(seconds: int) -> str:
    """Return a moment of a recording, in seconds of the epoch, as people here read it."""
    return datetime.fromtimestamp(seconds, _BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def who(said: dict[str, Any]) -> str:
    """Return who a receipt names: what he calls himself, the code of his organisation if that does not say it, its level."""
    viewer, organisation, level = (str(said.get(name) or UNDECLARED) for name in ("viewer", "organisation", "level"))
    parts = [viewer] if viewer != UNDECLARED else []
    if organisation not in (UNDECLARED, *parts) and organisation not in viewer:
        parts.append(organisation)
    if level != UNDECLARED:
        parts.append(word(f"level_{level}", g.language))
    return " · ".join(parts) or word("undeclared", g.language)


def quality(view: dict[str, Any]) -> list[str]:
    """Return in words how good a view is: a verdict, then each figure that is below the standard."""
    found = view.get("quality") or {}
    if not found.get("below"):
        judged = ("loss_ppm", "jitter_ms", "first_picture_ms")
        known = any(found.get(name) is not None for name in judged)
        return [word("quality_good" if known else "quality_measuring", g.language)]
    figures = {
        "quality_loss": (found.get("loss_ppm") or 0) / 1000,
        "quality_jitter": found.get("jitter_ms"),
        "quality_first_picture": (found.get("first_picture_ms") or 0) / 1000,
        "quality_viewer_loss": (found.get("viewer_loss_ppm") or 0) / 1000,
    }
    below = [word(code, g.language, figure=figures.get(code)) for code in found["below"]]
    return [word("quality_below", g.language), *below]


def _told(asked: Any) -> Reply:
    state = asked.state if asked is not None else "unknown"
    seconds = asked.seconds if asked is not None else 0
    body = json.dumps({"state": state, "text": " ".join(_lines(asked)), "seconds": seconds}, ensure_ascii=False)
    return Response(body, 200 if asked is not None else 404, mimetype="application/json")


def _lines(asked: Any) -> list[str]:
    lines = [word(f"state_{asked.state if asked is not None else 'unknown'}", g.language)]
    if asked is not None:
        lines += [f"{path} {words.reason(code, g.language)}".strip() for code, path in asked.rules]
    return lines
