"""What rules must be proven before they are loaded: the job, and the verdict upon exactly these. Pure.

Compared is what would be loaded. So a change of names, rights or channels waits for nothing, and neither does a lease or
an endpoint's new address, which the uplink tells and nobody proposes.
"""

from __future__ import annotations

from edge.control.wire import Answer, Done, Job, Proving, Verdict, Work
from firewall.compile import rulesets
from netconf.finding import Finding, finding
from netconf.learned import Learned
from netconf.model import Site
from netconf.revision import ChangeRefused

#: The prover asks each half second, and one that was killed is there again soon. The keeper looks each two seconds; it
#: counts its looks, not the time: one that stood still itself blames nobody.
MOST_LOOKS = 8


class Proofs:
    """The one job that may wait, and the last rules that were green."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._green: tuple[str, ...] = ()
        self._looks = 0

    def wanted(self, site: Site, holds: Site | None, learned: Learned) -> bool:
        """Say whether its rules are neither those that hold nor the last that were proven."""
        digests = _digests(site, learned)
        return digests != self._green and (holds is None or digests != _digests(holds, learned))

    def begin(self, revision: int, site: Site, learned: Learned) -> None:
        """Have the rules of a site ready for the prover."""
        texts = tuple(rules.text() for rules in rulesets(site, learned))
        self._job = Job(revision, site.model_dump_json(by_alias=True), texts, _digests(site, learned))
        self._looks = 0

    def work(self, request: Work, revision: int, seconds: int) -> Answer:
        """Answer the prover: a job, Done for none, or to go on. ``revision`` is what waits for its proof, 0 for nothing."""
        self._looks = 0
        if self._job is None or self._job.revision != revision:
            return Done()
        return Proving(revision, "", seconds) if request.revision == revision else self._job

    def look(self) -> tuple[Finding, ...]:
        """Return what is wrong when the prover has said nothing for too long; called regularly while one waits for it."""
        self._looks += 1
        return (finding("proof_missing", what="the prover"),) if self._looks > MOST_LOOKS else ()

    def judge(self, verdict: Verdict) -> tuple[Finding, ...]:
        """Return what a verdict has against the change that waits.

        Raises:
            ChangeRefused: ``verdict_other``, it is upon other rules.
        """
        job = self._job
        if job is None or (verdict.revision, verdict.digests) != (job.revision, job.digests):
            raise ChangeRefused("verdict_other")
        self._job = None
        if verdict.result == "green":
            self._green = verdict.digests
            return ()
        if verdict.result == "red":
            cases = ", ".join(verdict.cases)
            return (finding("proof_red", count=verdict.count, cases=cases, page=verdict.what),)
        return (finding("proof_missing", what=verdict.what),)


def _digests(site: Site, learned: Learned) -> tuple[str, ...]:
    return tuple(rules.digest() for rules in rulesets(site, learned))
