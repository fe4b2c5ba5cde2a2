"""``snowgate city schedule``: what the registry does by itself. One process leads, any number wait to take over.

A table of jobs, each bounded and repeatable: it finds what it has done already. One that fails says so by name and is tried
again; the others go on. Telling may take seconds, so it has a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from city.registry import concentrators, health, hooks, outages, revocation, rollouts, trimming, troubles
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer, SignerAway
from city.registry.store import Leader, Store
from city.telling import process

TURN_SECONDS, WAIT_SECONDS = 1.0, 5.0
#: Batches of verdicts in one turn: two hundred thousand sites, and then it is the other jobs' turn.
MOST_BATCHES = 100
#: Revocations that are finished in one turn: seconds, and what is done is done also if the whole city was cut off halfway.
MOST_REVOKED = 1000
Say = Callable[..., None]
Work = Callable[[Store, Signer, float], None]


def _in_one(does: Callable[[Session, float], object]) -> Work:
    def work(store: Store, _: Signer, now: float) -> None:
        with store.begin() as session:
            does(session, now)

    return work


def _verdicts(store: Store, _: Signer, now: float) -> None:
    for _batch in range(MOST_BATCHES):
        with store.begin() as session:
            if health.turn(session, now) < health.MOST:
                return


def _rollouts(store: Store, signer: Signer, now: float) -> None:
    with store.begin() as session:
        rollouts.turn(session, signer, now)


def _revocations(store: Store, signer: Signer, now: float) -> None:
    """What was cut off between the signing process's word and the registry's own is brought to its end; until then that
    process signs nothing that names the site, also no snapshot of its concentrators. One by one: what is done stays done, and
    one that cannot be done keeps back no other."""
    _, gone = revocation.remembered(signer)
    with store.read() as session:
        gone = revocation.standing(session, gone)
    failed: Exception | None = None
    for site in gone[:MOST_REVOKED]:
        try:
            with store.begin() as session:
                revocation.again(
                    session, signer, [site], "registry", "revoked already by the signing process's word", now
                )
        except (RegistryRefused, SQLAlchemyError) as wrong:
            failed = wrong
    if failed is not None:
        raise failed


def _keys(store: Store, signer: Signer, now: float) -> None:
    with store.begin() as session:
        concentrators.tell_on(session, signer, now)


#: name -> (how often in seconds, what is done). Verdicts before what rests on them.
JOBS: dict[str, tuple[float, Work]] = {
    "verdicts": (2.0, _verdicts),
    "layers": (60.0, _in_one(health.sweep)),
    "concentrators": (10.0, _in_one(troubles.concentrators)),
    "outages": (5.0, _in_one(outages.gather)),
    "rollouts": (5.0, _rollouts),
    "revocations": (15.0, _revocations),
    "keys": (5.0, _keys),
    "halted": (5.0, _in_one(troubles.rollouts)),
    "certificates": (3600.0, _in_one(troubles.certificates)),
    "queue": (2.0, _in_one(hooks.queue)),
    "trim": (600.0, _in_one(trimming.trim)),
}


@dataclass(slots=True)
class Schedule:
    """Call ``turn`` every second. ``failed`` counts by job; ``deliver`` sends one message to a hook; ``beat`` is called
    before each job, and while another process leads."""

    store: Store
    signer: Signer
    clock: Callable[[], float]
    say: Say
    deliver: process.Send = process.send
    beat: Callable[[], None] = lambda: None
    jobs: dict[str, tuple[float, Work]] = field(default_factory=lambda: dict(JOBS))
    failed: dict[str, int] = field(default_factory=dict)
    _next: dict[str, float] = field(default_factory=dict)
    _teller: threading.Thread | None = None

    def turn(self, monotonic: float) -> None:
        """Do the jobs whose moment has come by a clock that never jumps; then let what waits be told."""
        for name, (every, work) in self.jobs.items():
            if monotonic >= self._next.get(name, monotonic):
                self._next[name] = monotonic + every
                self.beat()
                self._try(name, partial(work, self.store, self.signer, self.clock()))
        if self._teller is None or not self._teller.is_alive():
            self._teller = threading.Thread(target=self.tell, daemon=True)
            self._teller.start()

    def tell(self) -> None:
        """Send what waits."""
        self._try("tell", lambda: process.tell(self.store, self.clock, self.say, self.deliver))

    def rest(self) -> None:
        """Wait for what is being told."""
        if self._teller is not None:
            self._teller.join(process.ROUND_SECONDS)

    def _try(self, name: str, does: Callable[[], object]) -> None:
        try:
            does()
        except SignerAway:
            self._failed(name, "signer_away")
        except SQLAlchemyError as wrong:
            self._failed(name, type(wrong).__name__)
        except Exception as wrong:  # noqa: BLE001 - one job's fault must not stop the others
            self._failed(name, type(wrong).__name__)

    def _failed(self, name: str, what: str) -> None:
        self.failed[name] = self.failed.get(name, 0) + 1
        self.say("schedule_job", name, job=name, what=what)


def run(schedule: Schedule, ended: threading.Event) -> None:
    """Lead when nobody else does, until ``ended``."""
    while not ended.is_set():
        schedule.beat()
        try:
            with schedule.store.leader("schedule") as lead:
                if lead is None:
                    schedule.say("schedule_waits")
                else:
                    _lead(schedule, lead, ended)
        except SQLAlchemyError:
            schedule.say("database_away")
        ended.wait(WAIT_SECONDS)


def _lead(schedule: Schedule, lead: Leader, ended: threading.Event) -> None:
    schedule.say("schedule_leads")
    while not ended.is_set() and lead.holds():
        schedule.beat()
        schedule.turn(time.monotonic())
        ended.wait(TURN_SECONDS)
    schedule.rest()
