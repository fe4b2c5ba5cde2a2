"""The verdict upon one site. A handshake alone proves a key and a line, and no picture.

Two steps. ``judge`` says how a site is by what is known at this moment; ``settle`` lets that become the verdict only after
it has stood for a while, so that a line that comes and goes every minute is not a hundred alerts. A *silence* is counted
only while the registry listened: after it was down nobody is dark for what nobody could hear.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from netconf.finding import Finding, finding

#: A box reports once a minute.
INTERVAL_SECONDS = 60.0
#: So many reports that are missing are silence. Fewer, and one lost packet with a slow answer is; more, and a site is out
#: for five minutes before anybody looks.
SILENT_INTERVALS = 3
SILENT_SECONDS = SILENT_INTERVALS * INTERVAL_SECONDS
#: A tunnel without a handshake for so long is dead: WireGuard makes a new one every 120 s while anything is sent.
HANDSHAKE_SECONDS = 180
#: What is worse becomes the verdict after so long. Shorter, and a single bad report is an alert; longer, and a site that
#: went dark is told of after more than five minutes.
WORSE_SECONDS = 90.0
#: What is better becomes it after so long: three good reports. Shorter, and a line that flaps closes its alert each time;
#: longer, and a repaired site stays red on the engineer's screen after he has left it.
BETTER_SECONDS = 150.0
#: A layer is looked for on the box after so long. Shorter, and a box that waits two minutes for its confirmation is behind;
#: longer, and a rollout's ring is judged before its laggards show.
APPLY_SECONDS = 600.0
#: Nobody may look at a camera for days. Shorter, and every quiet site is degraded; longer, and a recorder that was
#: unplugged goes unseen for weeks.
MEDIA_DAYS = 7
MEDIA_SECONDS = MEDIA_DAYS * 86_400.0
#: The server says every ten seconds that it listens; longer than this without, and it does not.
DEAF_SECONDS = 45.0
#: What is known is older than this, because the registry did not listen: it is known no more.
FORGOTTEN_SECONDS = 600.0
MOST_REASONS = 8


class Verdict(enum.StrEnum):
    GOOD = "good"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"
    DARK = "dark"


#: How bad each is; a change upwards is for the worse.
RANK: Mapping[Verdict, int] = {Verdict.GOOD: 0, Verdict.DEGRADED: 1, Verdict.UNKNOWN: 2, Verdict.DARK: 3}


@dataclass(frozen=True, slots=True)
class Listening:
    """The last stretch in which the registry's server listened without a break."""

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one active site. Moments in seconds since 1970.

    ``seen_at``: of the newest report, None: there was none. ``handshakes``: tunnel -> age in seconds at that moment, None:
    never. ``tunnels``: those that it should have. ``errors``: codes that the box itself calls errors. ``behind_since``: when
    a layer was offered that it does not use. ``alive``: whether a concentrator that has spoken lately hears a tunnel of it;
    None when none of them speaks. ``active_since``: when the box was approved.
    """

    seen_at: float | None
    handshakes: Mapping[str, int | None]
    tunnels: tuple[str, ...]
    registered: bool | None
    media_at: float | None
    errors: tuple[str, ...]
    behind_since: float | None
    alive: bool | None
    active_since: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict and why it is no better; the reasons are codes of ``netconf.words``."""

    verdict: Verdict
    reasons: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Stood:
    """A site's verdict as it stands ``since``; ``leaning`` is what it is becoming, if that goes on, since ``leaning_at``."""

    verdict: Verdict = Verdict.UNKNOWN
    since: float = 0.0
    reasons: tuple[Finding, ...] = ()
    leaning: Verdict | None = None
    leaning_at: float = 0.0


def judge(facts: Facts, listening: Listening, now: float) -> Judged | None:
    """Return how a site is now; None when that cannot be said and what was said before holds."""
    if facts.seen_at is None:
        return Judged(Verdict.UNKNOWN, (finding("site_never_heard"),))
    if now - facts.seen_at <= SILENT_SECONDS:
        reasons = _reasons(facts, now)
        return Judged(Verdict.DEGRADED if reasons else Verdict.GOOD, reasons[:MOST_REASONS])
    heard_now = min(now, listening.until) if now - listening.until > DEAF_SECONDS else now
    if heard_now - max(facts.seen_at, listening.since) <= SILENT_SECONDS:
        forgotten = heard_now < now and now - max(facts.seen_at, listening.until) > FORGOTTEN_SECONDS
        return Judged(Verdict.UNKNOWN, (finding("registry_deaf"),)) if forgotten else None
    if facts.alive is None:
        return Judged(Verdict.UNKNOWN, (finding("concentrators_silent"),))
    if facts.alive:
        return Judged(Verdict.DEGRADED, (finding("agent_silent"),))
    return Judged(Verdict.DARK, (finding("no_report_no_tunnel"),))


def dead(handshakes: Mapping[str, int | None], tunnels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tunnels that nothing comes through: of those that there should be, and those the box speaks of."""
    ages = {name: handshakes.get(name) for name in sorted({*tunnels, *handshakes})}
    return tuple(name for name, age in ages.items() if age is None or age > HANDSHAKE_SECONDS)


def settle(before: Stood, judged: Judged | None, now: float) -> Stood:
    """Return the verdict that stands after a judgement.

    For the worse it moves to the mildest of what was judged without a break for ``WORSE_SECONDS``, for the better to the
    worst of what was judged for ``BETTER_SECONDS``. The first judgement of all stands at once.
    """
    if judged is None:
        return replace(before, leaning=None, leaning_at=0.0)
    if not before.since:
        return Stood(judged.verdict, now, judged.reasons)
    if judged.verdict is before.verdict:
        return Stood(before.verdict, before.since, judged.reasons)
    worse = RANK[judged.verdict] > RANK[before.verdict]
    leaning, at = judged.verdict, now
    if before.leaning is not None and (RANK[before.leaning] > RANK[before.verdict]) == worse:
        nearest = min if worse else max
        leaning, at = nearest(before.leaning, judged.verdict, key=RANK.__getitem__), min(before.leaning_at, now)
    if now - at < (WORSE_SECONDS if worse else BETTER_SECONDS):
        return replace(before, leaning=leaning, leaning_at=at)
    stood = Stood(leaning, now, judged.reasons)
    return stood if leaning is judged.verdict else replace(stood, leaning=judged.verdict, leaning_at=now)


def due(stood: Stood, facts: Facts, listening: Listening, now: float) -> float:
    """Return when the site must be looked at again although nothing new came; never sooner than in a second."""
    moments = [now + 3600.0]
    if stood.leaning is not None:
        worse = RANK[stood.leaning] > RANK[stood.verdict]
        moments.append(stood.leaning_at + (WORSE_SECONDS if worse else BETTER_SECONDS))
    if facts.seen_at is not None:
        heard = max(facts.seen_at, listening.since) + SILENT_SECONDS + 1.0
        # One that is silent is looked at once a minute: what its concentrators say of it changes without a word of its own.
        moments.append(heard if heard > now else now + INTERVAL_SECONDS)
        moments.append(max(facts.media_at or 0.0, facts.active_since) + MEDIA_SECONDS + 1.0)
        if facts.behind_since is not None:
            moments.append(facts.behind_since + APPLY_SECONDS + 1.0)
    return max(now + 1.0, min(moment for moment in moments if moment > now))


def _reasons(facts: Facts, now: float) -> tuple[Finding, ...]:
    """Why a site that reports is not good. Nothing that it leaves unsaid is taken for well."""
    found = []
    gone = dead(facts.handshakes, facts.tunnels)
    if gone and len(gone) == len({*facts.tunnels, *facts.handshakes}):
        found.append(finding("tunnels_dead"))
    elif gone:
        found.append(finding("one_tunnel_dead", tunnel=", ".join(gone)))
    elif not facts.handshakes:
        found.append(finding("tunnels_unsaid"))
    if facts.registered is None:
        found.append(finding("registration_unsaid"))
    elif not facts.registered:
        found.append(finding("not_registered"))
    if now - max(facts.media_at or 0.0, facts.active_since) > MEDIA_SECONDS:
        found.append(finding("no_media_for_days", days=MEDIA_DAYS))
    if facts.behind_since is not None and now - facts.behind_since > APPLY_SECONDS:
        found.append(finding("layer_not_applied"))
    return (*found, *(Finding(code) for code in facts.errors))
