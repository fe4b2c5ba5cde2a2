"""What concentrators ask: their snapshot, the changes since, and what they report. Each with its own certificate only.

What they get is signed and judged by who gets it; this room can hold it back and make nothing up.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from apiflask import APIBlueprint
from flask import Response, request

from city.api import errors
from city.api.callers import Callers
from city.api.strict import loads
from city.registry import concentrators, feeds, layers, peers
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer, SignRefused
from city.registry.store import Store

#: How long a question about changes is held open, and how many changes one answer has.
MOST_WAIT_SECONDS, MOST_CHANGES = 25.0, 512
#: Snapshots that are kept ready; a city has some dozens of concentrators.
MOST_READY = 256
#: Longer than this none is kept: what a reader did not believe is looked up anew before he asks again.
READY_SECONDS = 20.0
_PRIVATE = {"Cache-Control": "no-store"}


@dataclass(slots=True)
class Snapshots:
    """Signed snapshots, each made once for its revision; several processes make one each."""

    ready: dict[str, tuple[tuple[int, int, bool], float, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, store: Store, signer: Signer, concentrator: str, now: float) -> str:
        """Return the signed snapshot of a concentrator as it is now.

        Raises:
            RegistryRefused: the signing process does not sign it.
            SignerAway: it does not answer.
        """
        with store.read() as session:
            smaller = concentrators.may_be_smaller(session, concentrator, now)
            mark = (layers.epoch(session), feeds.head(session, peers.feed(concentrator)), smaller)
        with self._lock:
            held = self.ready.get(concentrator)
            if held is not None and held[0] == mark and 0 <= now - held[1] < READY_SECONDS:
                return held[2]
        with store.read() as session:
            revision, entries = peers.snapshot(session, concentrator)
        payload = {"concentrator": concentrator, "epoch": mark[0], "kind": "snapshot", "first": 0, "revision": revision}
        text = signer.sign_peers(payload | {"peers": entries} | ({"smaller": True} if smaller else {}))
        with self._lock:
            if len(self.ready) >= MOST_READY:
                self.ready.clear()
            self.ready[concentrator] = ((mark[0], revision, smaller), now, text)
        return text


@dataclass(frozen=True, slots=True)
class Asked:
    """What the views rest on."""

    store: Store
    signer: Signer
    callers: Callers
    clock: Callable[[], float]
    snapshots: Snapshots = field(default_factory=Snapshots)


def blueprint(asked: Asked) -> APIBlueprint:
    """Return the views below ``/v1/concentrators``."""
    made = APIBlueprint("concentrators", __name__, url_prefix="/v1/concentrators")

    @made.before_request
    def judged() -> Response | None:
        wanted = (request.view_args or {}).get("concentrator", "")
        if asked.callers.subject() == f"concentrator:{wanted}":
            return None
        return errors.answer("concentrator_not_yours", 403, {"concentrator": wanted})

    @made.get("/<concentrator>/snapshot")
    def snapshot(concentrator: str) -> Response:
        """All peers as they are now, signed."""
        return envelope(asked.snapshots.get(asked.store, asked.signer, concentrator, asked.clock()))

    @made.get("/<concentrator>/changes")
    def changes(concentrator: str) -> Response:
        """What has changed after a revision, signed; waits up to 25 s for something to come."""
        after, epoch = (request.args.get(name, -1, int) for name in ("after", "epoch"))
        wait = min(max(request.args.get("wait", 0.0, float), 0.0), MOST_WAIT_SECONDS)
        text = following(asked, concentrator, epoch, after, wait)
        return Response(status=204, headers=_PRIVATE) if text is None else envelope(text)

    @made.post("/<concentrator>/report")
    def hear(concentrator: str) -> Response:
        """How the concentrator is; answered with what is wanted of its keys."""
        return reported(asked, concentrator)

    return made


def following(asked: Asked, concentrator: str, epoch: int, after: int, wait: float) -> str | None:
    """Return what has changed after a revision, signed; None when nothing came in time.

    Raises:
        RegistryRefused: ``take_snapshot``, also when the signing process does not sign them.
        SignerAway: it does not answer.
    """
    feed, until = peers.feed(concentrator), time.monotonic() + wait
    with asked.store.read() as session:
        if layers.epoch(session) != epoch or not 0 <= after <= feeds.head(session, feed):
            raise RegistryRefused("take_snapshot")
    found = _after(asked.store, feed, after)
    if found == () and wait:
        with feeds.hints(asked.store, feed) as hints:
            while (found := _after(asked.store, feed, after)) == () and (left := until - time.monotonic()) > 0:
                hints.wait(left)
    if found is None:
        raise RegistryRefused("take_snapshot")
    if not found:
        return None
    told = list(peers.told(found))
    payload = {"concentrator": concentrator, "epoch": epoch, "kind": "changes", "first": told[0]["revision"]}
    try:
        return asked.signer.sign_peers(payload | {"revision": told[-1]["revision"], "peers": told})
    except SignRefused:
        # One change that is signed no more (its site was revoked since) must not keep back those behind it.
        raise RegistryRefused("take_snapshot") from None


def reported(asked: Asked, concentrator: str) -> Response:
    """Keep a report, and answer with what is wanted of the concentrator's keys, and its next certificate."""
    try:
        told = loads(request.get_data(cache=False))
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return errors.answer("concentrator_report", 400, {"concentrator": concentrator})
    now, csr = asked.clock(), told.pop("csr", None)
    with asked.store.begin() as session:
        answer = concentrators.heard(session, concentrator, told, now)
        if isinstance(csr, str):
            answer["certificate"] = concentrators.certify(session, asked.signer, concentrator, concentrator, csr, now)
    return Response(json.dumps(answer), 200, _PRIVATE, mimetype="application/json")


def _after(store: Store, feed: str, after: int) -> tuple[feeds.Entry, ...] | None:
    with store.read() as session:
        return feeds.after(session, feed, after, MOST_CHANGES)


def envelope(text: str) -> Response:
    """Return an envelope as it is."""
    return Response(text, 200, _PRIVATE, mimetype="application/json")
