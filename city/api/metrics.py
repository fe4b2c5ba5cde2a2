"""``/metrics``: the city's numbers for Prometheus, to this machine itself or to who has the token."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from apiflask import APIBlueprint
from flask import Response, request

from city.registry import figures
from city.registry.refused import RegistryRefused
from city.registry.store import Store


def blueprint(store: Store, clock: Callable[[], float]) -> APIBlueprint:
    """Return the view."""
    made = APIBlueprint("metrics", __name__)

    @made.get("/metrics")
    def metrics() -> Response:
        bearer = request.headers.get("Authorization", "")
        with store.read() as session:
            if not _here() and not figures.may_read(session, bearer.removeprefix("Bearer ")):
                raise RegistryRefused("sign_in_needed")
            return Response(figures.metrics(session, clock()), 200, content_type="text/plain; version=0.0.4")

    return made


def _here() -> bool:
    try:
        return ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
