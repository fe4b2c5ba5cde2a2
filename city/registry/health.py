"""The verdicts, kept: what ``city.truth`` says of each site that has news or is due, and the alerts that come of it.

``turn`` reads only the sites whose moment has come (``Health.due_at``): a report that says something new makes its site
due at once, one that says the same puts off the moment of its silence. Of a quiet fleet that is nothing at all.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from city.registry import alerts, layers
from city.registry.tables import Concentrator, Health, Layer, Meta, Peer, Site
from city.truth.verdict import DEAF_SECONDS, Facts, Listening, Stood, Verdict, due, judge, settle
from netconf.finding import Finding

#: One transaction's sites. More, and whoever keeps reports waits for it; fewer, and an outage of a hundred thousand takes
#: minutes to be seen.
MOST = 2000
#: A concentrator reports once a minute; what one said that is older is no word any more.
CONCENTRATOR_SECONDS = 180.0
#: Names the fact (``Meta``) that says since when the server has listened, and until when it did for certain.
LISTENING = "listening"
_NEVER = 1e12


@dataclass(frozen=True, slots=True)
class _Tunnel:
    tunnel: str
    concentrator: str
    address: str


def awake(session: Session, now: float) -> None:
    """Say that the server listens; it does so every ten seconds. After a pause a new stretch begins."""
    row = session.get(Meta, LISTENING, with_for_update=True)
    since, until = json.loads(row.value) if row is not None else (now, now)
    if not 0 <= now - until <= DEAF_SECONDS:
        since = now
    session.merge(Meta(name=LISTENING, value=json.dumps([since, now])))
    session.flush()


def listening(session: Session) -> Listening:
    """Return the last stretch in which the server listened."""
    row = session.get(Meta, LISTENING)
    return Listening(*json.loads(row.value)) if row is not None else Listening(0.0, 0.0)


def turn(session: Session, now: float, most: int = MOST) -> int:
    """Judge up to ``most`` sites that are due, the longest due first; return how many there were."""
    rows = session.execute(
        select(Health, Site.state, Site.name, Site.carrier, Site.approved_at, Site.offered)
        .join(Site, Site.id == Health.site).where(Health.due_at <= now).order_by(Health.due_at).limit(most)
    ).all()  # fmt: skip
    if not rows:
        return 0
    active = [row for row in rows if row.state == "active"]
    tunnels = _tunnels(session, [row.Health.site for row in active])
    behind = _behind(session, active)
    heard, words = listening(session), _words(session, now)
    updates = [_ended(session, row.Health, now) for row in rows if row.state != "active"]
    for row in active:
        health = row.Health
        own = tunnels.get(health.site, ())
        facts = _facts(health, own, behind.get(health.site), _alive(own, words), row.approved_at or 0.0)
        before = _stood(health)
        after = settle(before, judge(facts, heard, now), now)
        updates.append(_update(health, after, now, due(after, facts, heard, now)))
        if (after.verdict, after.reasons) != (before.verdict, before.reasons):
            _alerts(session, now, row, own, after)
    session.execute(
        # A report that came meanwhile has made its site due again, which must not be undone.
        update(Health.__table__).where(Health.__table__.c.site == bindparam("of"), Health.__table__.c.seen_at == bindparam("seen")),  # type: ignore[arg-type]
        updates,
    )  # fmt: skip
    session.expire_all()
    return len(rows)


def sweep(session: Session, now: float) -> None:
    """Make due the good sites that do not use the newest layer; in one statement, once a minute."""
    current = layers.epoch(session)
    late = select(Site.id).where(
        Site.id == Health.site, Site.state == "active", Site.offered > 0,
        or_(Health.epoch < current, and_(Health.epoch == current, Health.revision < Site.offered)),
    )  # fmt: skip
    session.execute(
        update(Health).where(Health.verdict == Verdict.GOOD, Health.due_at > now, late.exists())
        .values(due_at=now).execution_options(synchronize_session=False)
    )  # fmt: skip


def counts(session: Session, scope: str = "", prefix: int = 4) -> dict[tuple[str, str], int]:
    """Return how many active sites there are by (civil code's beginning, verdict); one never heard of is unknown."""
    area = func.substr(Site.civil_code, 1, prefix)
    verdict = func.coalesce(Health.verdict, Verdict.UNKNOWN.value)
    wanted = select(area, verdict, func.count()).outerjoin(Health, Health.site == Site.id).where(Site.state == "active")
    if scope:
        wanted = wanted.where(Site.civil_code.startswith(scope))
    return {(str(at), str(how)): number for at, how, number in session.execute(wanted.group_by(area, verdict))}


def said(session: Session, site: Site) -> dict[str, Any]:
    """Return how a site is, for people and programs."""
    row = session.get(Health, site.id)
    if row is None:
        return {"site": site.id, "verdict": Verdict.UNKNOWN.value, "since": None, "seen_at": None,
                "reasons": [["site_never_heard", {}]]}  # fmt: skip
    return {
        "site": site.id, "verdict": row.verdict, "since": row.since or None, "seen_at": row.seen_at,
        "reasons": json.loads(row.reasons), "leaning": row.leaning or None, "applied": [row.epoch, row.revision],
        "offered": [layers.epoch(session), site.offered], "registered": row.registered, "media_at": row.media_at,
        "handshakes": json.loads(row.handshakes), "findings": json.loads(row.findings), "version": row.version,
    }  # fmt: skip


def read_reasons(text: str) -> tuple[Finding, ...]:
    """Return the reasons of a row."""
    return tuple(Finding(code, args=tuple(sorted(args.items()))) for code, args in json.loads(text))


def _facts(
    health: Health, own: Sequence[_Tunnel], behind: float | None, alive: bool | None, active_since: float
) -> Facts:
    return Facts(
        seen_at=health.seen_at, handshakes=json.loads(health.handshakes), tunnels=tuple(each.tunnel for each in own),
        registered=health.registered, media_at=health.media_at, errors=tuple(json.loads(health.said or "[0,0,0,[]]")[3]),
        behind_since=behind, alive=alive, active_since=active_since,
    )  # fmt: skip


def _stood(health: Health) -> Stood:
    leaning = Verdict(health.leaning) if health.leaning else None
    return Stood(Verdict(health.verdict), health.since, read_reasons(health.reasons), leaning, health.leaning_at)


def _update(health: Health, after: Stood, now: float, due_at: float) -> dict[str, Any]:
    return {
        "of": health.site, "seen": health.seen_at, "verdict": after.verdict.value, "since": after.since,
        "reasons": json.dumps([[found.code, dict(found.args)] for found in after.reasons]),
        "leaning": after.leaning.value if after.leaning else "", "leaning_at": after.leaning_at, "judged_at": now,
        "due_at": due_at,
    }  # fmt: skip


def _ended(session: Session, health: Health, now: float) -> dict[str, Any]:
    """A site that is cut off has no verdict any more, and nothing is wrong with it."""
    for code in ("site_dark", "site_degraded"):
        alerts.close(session, now, code, f"site:{health.site}")
    return _update(health, Stood(), now, _NEVER)


def _alerts(session: Session, now: float, row: Any, own: Sequence[_Tunnel], after: Stood) -> None:
    site = row.Health.site
    dead = {found.code: dict(found.args) for found in after.reasons}
    named = dead.get("one_tunnel_dead", {}).get("tunnel", "").split(", ")
    all_of = after.verdict is Verdict.DARK or "tunnels_dead" in dead
    facts = {
        "site": site, "name": row.name, "carrier": row.carrier, "reasons": [[code, args] for code, args in dead.items()], "why": "; ".join(dead),
        "concentrators": sorted(each.concentrator for each in own if all_of or each.tunnel in named),
    }  # fmt: skip
    subject = f"site:{site}"
    if after.verdict is Verdict.DARK:
        alerts.raise_(session, now, "site_dark", subject, "error", **facts)
    elif after.verdict is not Verdict.UNKNOWN:
        # Of a dark site that nobody knows anything of any more nobody knows that it came back.
        alerts.close(session, now, "site_dark", subject)
    if after.verdict is Verdict.DEGRADED:
        alerts.raise_(session, now, "site_degraded", subject, "warning", **facts)
    else:
        alerts.close(session, now, "site_degraded", subject)


def _tunnels(session: Session, sites: list[str]) -> Mapping[str, Sequence[_Tunnel]]:
    found: dict[str, list[_Tunnel]] = defaultdict(list)
    wanted = select(Peer.site, Peer.tunnel, Peer.concentrator, Peer.address).where(Peer.state == "on")
    for part in _parts(sites):
        for site, tunnel, concentrator, address in session.execute(wanted.where(Peer.site.in_(part))):
            found[site].append(_Tunnel(tunnel, concentrator, address))
    return found


def _behind(session: Session, rows: Iterable[Any]) -> dict[str, float]:
    """Return when the newest layer was offered to those that use an older one."""
    current = layers.epoch(session)
    late = [
        (row.Health.site, current, row.offered)
        for row in rows
        if row.offered and (row.Health.epoch, row.Health.revision) < (current, row.offered)
    ]
    wanted = select(Layer.site, Layer.made_at)
    mark = tuple_(Layer.site, Layer.epoch, Layer.revision)
    return {site: at for part in _parts(late) for site, at in session.execute(wanted.where(mark.in_(part)))}


def _words(session: Session, now: float) -> dict[str, tuple[IPv4Network, bytes]]:
    """Return what each concentrator said of its peers that has spoken lately: a bit for each address of its network."""
    found = {}
    lately = select(Concentrator.id, Concentrator.network, Concentrator.report)
    for name, network, report in session.execute(lately.where(Concentrator.seen_at > now - CONCENTRATOR_SECONDS)):
        word = json.loads(report).get("alive")
        try:
            found[name] = IPv4Network(network), base64.b64decode(word, validate=True)
        except (TypeError, ValueError, binascii.Error):
            continue
    return found


def _alive(own: Iterable[_Tunnel], words: Mapping[str, tuple[IPv4Network, bytes]]) -> bool | None:
    spoken = [_hears(words[each.concentrator], each.address) for each in own if each.concentrator in words]
    return any(spoken) if spoken else None


def _hears(word: tuple[IPv4Network, bytes], address: str) -> bool:
    network, bits = word
    at = int(IPv4Address(address)) - int(network.network_address)
    return 0 <= at >> 3 < len(bits) and bool(bits[at >> 3] & 1 << (at & 7))


def _parts(every: list[Any], size: int = 400) -> Iterable[list[Any]]:
    """SQLite binds some thousands of values at most."""
    return (every[at : at + size] for at in range(0, len(every), size))
