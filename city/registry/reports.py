"""What a box tells once a minute, and what it hears: health and control in one exchange.

Two roads. What a report says of health, and how far its receipts have come, is kept by many at once, in a few statements a
second (``keep``): it may be a second late, and the last one wins. What changes something (a layer is in use or was undone, a
key comes, receipts deny what they were) is done at once, in a transaction of its own, and most reports have nothing of it (``quiet``). All of it may be said twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from city.registry import alerts, layers, rotation
from city.registry.glance import Glance
from city.registry.signer import Signer
from city.registry.tables import Health, Layer, ReceiptHead, Site
from city.truth import verdict

MAX_TUNNELS, MAX_FINDINGS, MAX_TEXT, MAX_CSR_CHARACTERS = 4, 64, 64, 4096
MAX_KEPT_BYTES = 1 << 14
#: A site whose reports stay the same is looked at this often all the same.
LOOK_SECONDS = 3600.0
#: A report waits for so long at most before it is kept; one that seems older came by a clock that went back.
LATE_SECONDS = 600.0
#: Of the heads of a site's receipts one is kept for so long, besides the newest: a chain that was cut shows at once by the
#: newest, and the others say when.
HEAD_SECONDS = 600.0
_MAX_NUMBER = (1 << 53) - 1
#: SQLite binds some thousands of values at most.
_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class Told:
    """A report, read within bounds. ``applied`` and ``tried`` are marks (epoch, revision); ages in seconds.

    ``registered``: whether the platform knows the box; None when it does not say. ``media``: views with pictures now.
    ``errors``: those of its findings that the box itself calls errors.
    """

    site: str
    device: str
    nonce: str
    applied: tuple[int, int]
    tried: tuple[int, int]
    waiting: bool
    refused: tuple[tuple[int, int], tuple[str, ...]] | None
    why_undone: str
    handshakes: dict[str, int | None]
    registered: bool | None
    media: int
    findings: tuple[str, ...]
    errors: tuple[str, ...]
    receipts: tuple[int, str] | None
    csr: str
    next_keys: dict[str, str]
    version: str
    kept: str


def read(report: Mapping[str, Any]) -> Told:
    """Return what a report says; what has another form than expected is as if it were not said."""
    change = _table(report.get("change"))
    tunnels = _table(report.get("tunnels"))
    ages = {str(name)[:MAX_TEXT]: _number(_table(facts).get("handshake_age_seconds"))
            for name, facts in list(tunnels.items())[:MAX_TUNNELS]}  # fmt: skip
    programs = _table(report.get("programs"))
    registered = _table(programs.get("cityside")).get("registered")
    failed = [one for one in _list(change.get("failed")) if _table(one).get("caller") == "agent"]
    keys = _table(report.get("next_keys"))
    return Told(
        site=_text(report.get("site"), 20),
        device=_text(report.get("device"), 64),
        nonce=_text(report.get("nonce"), 64),
        applied=_mark(change.get("applied")),
        tried=_mark(report.get("city_layer")),
        waiting=change.get("state", "steady") != "steady",
        refused=_refused(_table(report.get("refused"))),
        why_undone=_text(_table(failed[-1]).get("reason"), MAX_TEXT) if failed else "",
        handshakes=ages,
        registered=registered if isinstance(registered, bool) else None,
        media=_media(_table(_table(programs.get("ferry")).get("views"))),
        findings=_codes(report.get("findings"), report.get("faults")),
        errors=_errors(report.get("faults")),
        receipts=_head(_table(report.get("receipts"))),
        csr=_lines(report.get("csr"), MAX_CSR_CHARACTERS),
        next_keys={str(name)[:15]: _text(key, 44) for name, key in list(keys.items())[:MAX_TUNNELS]},
        version=_text(report.get("version"), MAX_TEXT),
        kept=_kept(report),
    )


def answer(session: Session, signer: Signer, site: Site, told: Told, now: float) -> dict[str, str]:
    """Return what the box hears: the city's word upon a change that waits, a newer layer, a key to make."""
    if told.nonce:
        return {"answer": signer.sign_answer({"site": site.id, "device": site.device, "nonce": told.nonce})}
    found: dict[str, str] = {}
    mark = (layers.epoch(session), site.offered)
    if site.offered and told.applied < mark and told.tried < mark and not told.waiting:
        current = layers.sign_again(session, signer, site, now)
        if current is not None and not _refuses(told, (current.epoch, current.revision)):
            found["layer"] = current.envelope
    tunnel = rotation.wanted(session, site.id)
    if tunnel is not None:
        found["rotate"] = tunnel
    return found


def quiet(seen: Glance, told: Told) -> bool:
    """Return whether a report asks for nothing and is answered with nothing: ``settle`` and ``answer`` need not be asked."""
    if told.nonce or told.csr or told.next_keys or seen.asked or _denies(told.receipts, seen.head):
        return False
    if _lacks_key(told, seen.mark) or (seen.layer == "offered" and _outcome(told, seen.mark) is not None):
        return False
    # A layer may be handed out, and may have to be signed again before, which is a write.
    return not seen.offered or told.applied == seen.mark or told.waiting


def settle(session: Session, signer: Signer, site: Site, told: Told, now: float) -> str | None:
    """Do what a report asks for; return what became of the newest layer, if that is new ("applied", "reverted")."""
    mark = (layers.epoch(session), site.offered)
    row = session.get(Layer, (site.id, *mark))
    outcome = _outcome(told, mark) if row is not None and row.state == "offered" else None
    if outcome == "applied":
        layers.applied(session, site.id, mark)
        alerts.close(session, now, "layer_reverted", f"site:{site.id}")
    elif outcome == "reverted":
        layers.reverted(session, site.id, mark)
        alerts.raise_(
            session, now, "layer_reverted", f"site:{site.id}", "warning",
            site=site.id, revision=site.offered, why=told.why_undone,
        )  # fmt: skip
    used = told.applied[1] if told.applied[0] == mark[0] else 0
    rotation.settle(session, signer, site, used, outcome == "reverted", now)
    if _lacks_key(told, (mark[0], site.offered)):
        rotation.mend(session, site, told.handshakes)
    if told.next_keys:
        rotation.heard(session, signer, site, dict(told.next_keys), now)
    if told.receipts is not None:
        _judge_head(session, site.id, told.receipts, now)
    return outcome


def keep(session: Session, reports: Iterable[tuple[Told, float]]) -> None:
    """Keep the newest health of many sites, and their receipts' heads; ``reports``: each with the moment it came."""
    newest = {told.site: (told, at) for told, at in reports}
    # In one order, so that two processes that keep the same sites never wait for each other.
    rows = [_row(*newest[site]) for site in sorted(newest)]
    insert = (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert(Health)
    # While a good site says the same, only its silence is waited for; all else is looked at by the next turn.
    quiet = and_(
        Health.verdict == verdict.Verdict.GOOD, Health.leaning == "", Health.said == insert.excluded.said,
        Health.judged_at > insert.excluded.seen_at - LOOK_SECONDS,
    )  # fmt: skip
    silence = insert.excluded.seen_at + verdict.SILENT_SECONDS + 1.0
    # Another process may have kept a later one already; but a clock that went back makes nobody dark.
    newer = or_(insert.excluded.seen_at >= Health.seen_at, insert.excluded.seen_at < Health.seen_at - LATE_SECONDS)
    for alike in ([row for row in rows if "media_at" in row], [row for row in rows if "media_at" not in row]):
        if alike:
            new = {name: insert.excluded[name] for name in alike[0] if name != "site"}
            new["due_at"] = case((quiet, silence), else_=insert.excluded.seen_at)
            session.execute(insert.on_conflict_do_update(index_elements=["site"], set_=new, where=newer), alike)
    _keep_heads(session, [newest[site] for site in sorted(newest)])


def _keep_heads(session: Session, reports: Iterable[tuple[Told, float]]) -> None:
    """Keep the heads of receipts that have gone on; what is not further than the last one is not kept here."""
    heads = {told.site: (told.receipts, at) for told, at in reports if told.receipts is not None}
    last = _last_heads(session, list(heads))
    over: list[dict[str, Any]] = []
    new: list[dict[str, Any]] = []
    for site, ((sequence, digest), at) in heads.items():
        before, begun = last.get(site, (0, 0.0))
        if sequence <= before:
            continue
        recent = before > 0 and at - begun < HEAD_SECONDS
        if recent:
            over.append({"b_site": site, "b_sequence": before})
        new.append({"site": site, "sequence": sequence, "hash": digest, "at": begun if recent else at})
    if over:
        gone = and_(ReceiptHead.site == bindparam("b_site"), ReceiptHead.sequence == bindparam("b_sequence"))
        session.connection().execute(delete(ReceiptHead).where(gone), over)
    if new:
        insert = (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert(ReceiptHead)
        # Another process may have kept the same.
        session.execute(insert.on_conflict_do_nothing(), new)


def _last_heads(session: Session, sites: list[str]) -> dict[str, tuple[int, float]]:
    """Return how far each site's receipts had come, and since when that head stands."""
    found: dict[str, tuple[int, float]] = {}
    for begin in range(0, len(sites), _AT_ONCE):
        part = sites[begin : begin + _AT_ONCE]
        last = (
            select(ReceiptHead.site, func.max(ReceiptHead.sequence).label("sequence"))
            .where(ReceiptHead.site.in_(part)).group_by(ReceiptHead.site).subquery()
        )  # fmt: skip
        both = and_(ReceiptHead.site == last.c.site, ReceiptHead.sequence == last.c.sequence)
        rows = session.execute(select(ReceiptHead.site, ReceiptHead.sequence, ReceiptHead.at).join(last, both))
        found |= {site: (sequence, at) for site, sequence, at in rows}
    return found


def _row(told: Told, at: float) -> dict[str, Any]:
    row: dict[str, Any] = {
        "site": told.site, "seen_at": at, "epoch": told.applied[0], "revision": told.applied[1],
        "registered": told.registered, "handshakes": json.dumps(told.handshakes, separators=(",", ":")),
        "findings": json.dumps(told.findings), "report": told.kept, "version": told.version,
        "said": _said(told), "due_at": at,
    }  # fmt: skip
    # A site that shows nothing to anybody keeps the last moment at which it did.
    return row | {"media_at": at} if told.media else row


def _said(told: Told) -> str:
    """What of a report a verdict rests on, but for its age."""
    gone = verdict.dead(told.handshakes, ())
    return json.dumps(
        [sorted(told.handshakes), gone, told.registered, told.errors, told.applied], separators=(",", ":")
    )


def _denies(head: tuple[int, str] | None, last: tuple[int, str] | None) -> bool:
    """Whether a head is neither the last one nor further than it; one that is further is kept with the health."""
    return head is not None and last is not None and head != last and head[0] <= last[0]


def _outcome(told: Told, mark: tuple[int, int]) -> str | None:
    if told.applied >= mark:
        return "applied"
    if told.waiting:
        return None
    return "reverted" if told.tried >= mark or _refuses(told, mark) else None


def _refuses(told: Told, mark: tuple[int, int]) -> bool:
    return told.refused is not None and told.refused[0] == mark


def _lacks_key(told: Told, mark: tuple[int, int]) -> bool:
    return told.refused is not None and told.refused[0] == mark and rotation.LACKED in told.refused[1]


def _judge_head(session: Session, site: str, head: tuple[int, str], now: float) -> None:
    """Tell a person, once, of a head that denies an earlier one; it is not kept: what it denies stays.

    One that goes on is kept with the health alone (``keep``). Were it kept here too, on PostgreSQL each of both would wait for
    the other: this one has locked the site, and that one has the row.
    """
    last = _last_head(session, site)
    if last is None or last.sequence < head[0] or (last.sequence, last.hash) == head:
        return
    told = alerts.opened(session, "receipts_went_back", f"site:{site}")
    if told is None or json.loads(told.args).get("sequence") != head[0]:
        alerts.raise_(session, now, "receipts_went_back", f"site:{site}", "error", site=site, sequence=head[0])


def _last_head(session: Session, site: str) -> ReceiptHead | None:
    newest = select(ReceiptHead).where(ReceiptHead.site == site).order_by(ReceiptHead.sequence.desc()).limit(1)
    return session.scalars(newest).first()


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value[:MAX_FINDINGS] if isinstance(value, list) else []


def _text(value: Any, most: int) -> str:
    return value if isinstance(value, str) and len(value) <= most and value.isprintable() else ""


def _lines(value: Any, most: int) -> str:
    fits = isinstance(value, str) and len(value) <= most and all(line.isprintable() for line in value.split("\n"))
    return value if fits else ""


def _number(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MAX_NUMBER else None


def _mark(value: Any) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2:
        epoch, revision = map(_number, value)
        if epoch is not None and revision is not None:
            return epoch, revision
    return 0, 0


def _refused(value: dict[str, Any]) -> tuple[tuple[int, int], tuple[str, ...]] | None:
    mark = _mark(value.get("mark"))
    return (mark, tuple(_text(code, MAX_TEXT) for code in _list(value.get("codes")))) if mark != (0, 0) else None


def _codes(*told: Any) -> tuple[str, ...]:
    """Codes alone: [code, ...] lists, as the keeper's findings and the causes of faults come."""
    found = [_text(one[0], MAX_TEXT) for part in told for one in _list(part) if isinstance(one, list) and one]
    return tuple(dict.fromkeys(code for code in found if code))[:MAX_FINDINGS]


def _errors(faults: Any) -> tuple[str, ...]:
    """The codes of [code, severity, …] that are errors."""
    return _codes([one for one in _list(faults) if isinstance(one, list) and one[1:2] == ["error"]])


def _head(value: dict[str, Any]) -> tuple[int, str] | None:
    sequence, digest = _number(value.get("sequence")), _text(value.get("hash"), 64)
    return (sequence, digest) if sequence and len(digest) == 64 else None


def _media(views: dict[str, Any]) -> int:
    """How many views had packets: the last proof that all of it works."""
    return sum(bool(_number(_table(view).get("packets"))) for view in views.values())


def _kept(report: Mapping[str, Any]) -> str:
    """The report as it came, for a person who looks closer; one that is too long loses its programs' words first."""
    for left_out in ((), ("programs",), ("programs", "faults", "findings", "change")):
        text = json.dumps(
            {k: v for k, v in report.items() if k not in left_out}, ensure_ascii=False, separators=(",", ":")
        )
        if len(text.encode("utf-8", "replace")) <= MAX_KEPT_BYTES:
            return text
    return "{}"
