"""The loop: ask the keeper for work, have it run, tell what came of it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

from edge.control.client import ANSWER_SECONDS, SMALL_SECONDS, ask
from edge.control.wire import Answer, ControlError, Done, Job, Refusal, Request, Verdict, Work
from edge.io.log import Log
from edge.io.status import StatusFile
from edge.prove.run import Run, none, whole
from netconf.notify import Supervisor

#: The keeper misses us after sixteen seconds; who waits for a proof feels each half second of it.
ASK_SECONDS = 0.5


class Prover:
    """One life of the prover: at most one run at a time."""

    def __init__(self, run: Path, state: Path, runner: list[str], log: Log) -> None:
        self._folder = run
        self._work = run / "prove" / "job"
        self._pages = state / "prove" / "change"
        self._runner = runner
        self._log = log
        self._status = StatusFile(run, "prove")
        self._last: dict[str, object] = {}
        self._run: Run | None = None

    def turn(self, now: float) -> None:
        """Ask once, and do what is to be done."""
        try:
            self._heed(self._ask(Work(self._run.job.revision if self._run else 0), SMALL_SECONDS), now)
            verdict = self._run.verdict(now) if self._run else None
            if verdict is not None:
                self._run = None
                self._tell(verdict)
        except (OSError, ControlError):
            self._log.say("keeper_away")
        self._status.write({"proving": self._run.job.revision if self._run else 0, "last": self._last})

    def _heed(self, answer: Answer, now: float) -> None:
        if isinstance(answer, Job | Done) and self._run is not None:
            self._run.end()  # nobody waits for it any more
            self._run = None
        if isinstance(answer, Job):
            self._begin(answer, now)

    def _begin(self, job: Job, now: float) -> None:
        if not whole(job):
            self._tell(none(job, "texts that are those of the digests"))
            return
        try:
            self._run = Run(job, self._runner, self._work, self._pages, now)
        except OSError as wrong:
            self._tell(none(job, f"a runner that starts: {wrong}"))

    def _tell(self, verdict: Verdict) -> None:
        self._last = {"revision": verdict.revision, "result": verdict.result, "what": verdict.what,
                      "count": verdict.count, "cases": list(verdict.cases)}  # fmt: skip
        answer = self._ask(verdict, ANSWER_SECONDS)
        if isinstance(answer, Refusal):
            self._log.say(answer.rule)

    def _ask(self, request: Request, seconds: float) -> Answer:
        return ask(self._folder, request, "prove", seconds)


def main() -> int:
    """Serve for ever."""
    parser = argparse.ArgumentParser(prog="snowgate-prove")
    parser.add_argument("--runner", type=shlex.split, default=[sys.executable, "-m", "firewall.prove"],
                        metavar="PROGRAM", help="what proves rules, as a command line")  # fmt: skip
    for name, place in (("run", "/run/snowgate"), ("state", "/var/lib/snowgate")):
        default = os.environ.get(f"SNOWGATE_{name.upper()}", place)
        parser.add_argument(f"--{name}", type=Path, default=Path(default), help=argparse.SUPPRESS)
    given = parser.parse_args()
    log, supervisor = Log("prove"), Supervisor(ANSWER_SECONDS + 10)
    prover = Prover(given.run, given.state, given.runner, log)
    supervisor.ready()
    while True:
        supervisor.beat()
        prover.turn(time.monotonic())
        time.sleep(ASK_SECONDS)
