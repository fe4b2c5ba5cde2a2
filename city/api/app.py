"""The app: what a process of the server answers. Each worker process makes its own, after the fork."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from apiflask import APIFlask
from flask import Response, redirect
from werkzeug.wrappers import Response as BaseResponse

from city.api import concentrators, enrol, errors, hubs, metrics, office, platforms, report, rollouts, truth
from city.api.asked import Number
from city.api.callers import Callers
from city.api.enrol import Door
from city.api.heartbeats import Heartbeats
from city.api.strict import StrictJSON
from city.console import app as console
from city.registry.signer import Signer
from city.registry.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: No view of ours reads more, but for those that say so.
MAX_BODY_BYTES = 1 << 18


class _App(APIFlask):
    """Most requests are reports that ask for nothing: they are answered before anything is made of a request."""

    reports: report.Desk

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        short = report.quick(self.reports, environ, start_response)
        return super().wsgi_app(environ, start_response) if short is None else short


def create_app(
    store: Store,
    signer: Signer,
    clock: Callable[[], float],
    chance: Callable[[int], bytes],
    say: Callable[..., None],
    bundle: office.BundleFacts,
) -> APIFlask:
    """Return the app over a registry and its signing process.

    ``say`` writes a line of the log (code, facts); ``bundle``: where boxes find this city.
    """
    app = _App(__name__, title="snowgate city", spec_path="/openapi.json", docs_path=None)
    app.json = StrictJSON(app)
    app.url_map.converters["number"] = Number
    callers = Callers(store, signer, clock)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES,
        SPEC_DECORATORS=[_for_persons(callers)],
        PROPAGATE_EXCEPTIONS=False,
    )
    errors.install(app)
    app.register_blueprint(enrol.blueprint(Door(store, signer, clock, say)))
    app.register_blueprint(concentrators.blueprint(concentrators.Asked(store, signer, callers, clock)))
    heartbeats = Heartbeats(store, say, clock)
    heartbeats.start()
    app.extensions["heartbeats"] = heartbeats
    reports = report.Desk(store, signer, clock, heartbeats, say)
    app.register_blueprint(report.blueprint(reports))
    app.reports = reports
    desk = office.Office(store, signer, callers, clock, chance, bundle)
    app.register_blueprint(office.blueprint(desk))
    app.register_blueprint(truth.blueprint(desk))
    app.register_blueprint(hubs.blueprint(desk))
    app.register_blueprint(rollouts.blueprint(desk))
    app.register_blueprint(platforms.blueprint(desk))
    app.register_blueprint(metrics.blueprint(store, clock))
    app.register_blueprint(console.blueprint(desk))

    @app.get("/")
    @app.doc(hide=True)
    def first() -> BaseResponse:
        return redirect("/console/", 303)

    @app.after_request
    def private(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    return app


def _for_persons(callers: Callers) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The description of the interface is for who has signed in."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        def shown(*args: Any, **kwargs: Any) -> Any:
            callers.person("look")
            return view(*args, **kwargs)

        shown.__name__ = view.__name__
        return shown

    return decorate
