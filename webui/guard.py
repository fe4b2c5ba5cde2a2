"""What stands before every request: the right host, the right origin, no recorder, and headers that bind the browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Flask, Response, abort, request

if TYPE_CHECKING:
    from netconf.model import Site

MAX_FORM_BYTES = 64 * 1024
_HEADERS = {
    # Everything from here, nothing inline, nothing embedded: a name that a recorder made up cannot become a program.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    # Not no-referrer: with it a browser calls the origin of our own forms null.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def install(app: Flask, site: Callable[[], Site | None]) -> None:
    """Put the guard before every request of ``app``, static files too."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_FORM_BYTES
    app.config["MAX_FORM_PARTS"] = 64

    @app.before_request
    def _check() -> None:
        found = site()
        if found is None:
            return
        if not request.headers.get("Content-Length", "0").isdecimal():
            abort(400)  # a length below zero reads, to some, as "up to the end"
        if request.host not in hosts(found):
            abort(421)
        if request.remote_addr in {str(a) for r in found.recorder for a in (r.address, *r.media_addresses)}:
            abort(403, "refused_recorder")
        if request.method not in ("GET", "HEAD") and not _same_origin():
            abort(403, "refused_origin")

    @app.after_request
    def _bind(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response


def hosts(site: Site) -> frozenset[str]:
    """Return what a browser may call us: the address itself. A name could be made to point here by somebody else."""
    address = str(site.lan.address.ip)
    return frozenset({address, f"{address}:443"})


def _same_origin() -> bool:
    """A form of another page has another Origin; a browser that sends neither header is none of ours."""
    fetched, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if fetched is not None and fetched != "same-origin":
        return False
    if origin is not None:
        return origin.removesuffix(":443") == f"https://{request.host.removesuffix(':443')}"
    return fetched == "same-origin"
