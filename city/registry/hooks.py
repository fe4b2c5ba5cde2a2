"""Where alerts are told: the hooks, and the queue of what is on its way to them.

An alert is put in the queue in one transaction with ``Alert.told_at``, and leaves it when a hook has taken it: nothing is
lost when a process dies in between, and a hook may then hear the same twice (each telling has a number).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from city.registry import alerts, audit, people
from city.registry.outages import SINGLE
from city.registry.refused import RegistryRefused
from city.registry.tables import Alert, Hook, Person, Telling

#: How long the alert of one site waits for others of the same cause. Shorter, and an outage is told house by house; longer,
#: and one dark site is told of minutes late.
HOLD_SECONDS = 60.0
#: After a failure it is tried again after 10, 20, 40 … s, an hour at most; after the last, half a day later, it is given up.
FIRST_SECONDS, LONGEST_SECONDS, MOST_TRIES = 10.0, 3600.0, 18
#: How many alerts are put in the queue, and how many are sent, in one turn.
MOST_QUEUED, MOST_SENT = 200, 20
KEPT_SECONDS = 7 * 86_400.0
MOST_HOOKS = 16
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Message:
    """One telling on its way: ``facts`` is what a webhook gets, ``text`` what a person reads."""

    number: int
    hook: int
    kind: str
    target: str
    secret: str
    ca: str
    inside: bool
    severity: str
    facts: dict[str, Any]
    text: str


def add(
    session: Session, now: float, person: Person, kind: str, target: str, secret: str, *,
    least: str = "warning", ca: str = "", inside: bool = False, language: str = "zh-CN",
) -> Hook:  # fmt: skip
    """Add a hook, which is told of every site's alerts. ``secret``: 64 hexadecimal digits of chance, shown once to who adds it.

    Raises:
        RegistryRefused: ``not_allowed``, ``city_only``, ``hook_target``, ``hook_least`` or ``hooks_many``.
    """
    people.demand(person, "hook")
    people.demand_whole(person)
    if not _fits(kind, target):
        raise RegistryRefused("hook_target", target=target[:64])
    if least not in alerts.RANK or language not in ("en", "zh-CN") or len(ca) > 1 << 14:
        raise RegistryRefused("hook_least", least=least[:16])
    if (session.scalar(select(func.count()).select_from(Hook)) or 0) >= MOST_HOOKS:
        raise RegistryRefused("hooks_many", most=MOST_HOOKS)
    row = Hook(kind=kind, target=target, secret=secret, least=least, ca=ca, inside=inside, language=language)
    session.add(row)
    session.flush()
    audit.write(session, now, person.name, "hook.add", f"hook:{row.id}", kind=kind, target=target, inside=inside)
    return row


def remove(session: Session, now: float, person: Person, number: int) -> None:
    """Take a hook away, with all that waits for it.

    Raises:
        RegistryRefused: ``not_allowed``, ``city_only`` or ``hook_unknown``.
    """
    people.demand(person, "hook")
    people.demand_whole(person)
    row = session.get(Hook, number)
    if row is None:
        raise RegistryRefused("hook_unknown", number=number)
    session.execute(delete(Telling).where(Telling.hook == number))
    session.delete(row)
    alerts.close(session, now, "hook_fails", f"hook:{number}")
    audit.write(session, now, person.name, "hook.remove", f"hook:{number}", target=row.target)


def queue(session: Session, now: float) -> int:
    """Put what is to be told in the queue; return how many alerts that were. Without hooks nothing waits for one."""
    hooks = list(session.scalars(select(Hook)))
    if not hooks:
        return 0
    # One of a site waits a while, and then is told if no outage has taken it in.
    ripe = or_(Alert.code.not_in(SINGLE), Alert.opened_at <= now - HOLD_SECONDS)
    fresh = select(Alert).where(
        Alert.told_at.is_(None), Alert.closed_at.is_(None), Alert.grouping == "", ripe, Alert.acknowledged_at.is_(None)
    )
    opened = list(session.scalars(fresh.order_by(Alert.id).limit(MOST_QUEUED)))
    for row in opened:
        row.told_at = now
        _tell(session, now, row, hooks, "open")
    over = select(Alert).where(
        Alert.closed_at > now - KEPT_SECONDS, Alert.told_at.is_not(None), Alert.over_told_at.is_(None)
    )
    ended = list(session.scalars(over.order_by(Alert.id).limit(MOST_QUEUED)))
    for row in ended:
        row.over_told_at = now
        _tell(session, now, row, hooks, "over")
    session.flush()
    return len(opened) + len(ended)


def waiting(session: Session, now: float, most: int = MOST_SENT) -> list[Message]:
    """Return what is to be sent now, the oldest first; "over" never before its "open" was taken or given up."""
    before = Telling.__table__.alias("before")
    earlier = select(before.c.id).where(
        before.c.alert == Telling.alert, before.c.hook == Telling.hook, before.c.id < Telling.id, before.c.done_at.is_(None)
    )  # fmt: skip
    rows = session.execute(
        select(Telling, Alert, Hook).join(Alert, Alert.id == Telling.alert).join(Hook, Hook.id == Telling.hook)
        .where(Telling.done_at.is_(None), Telling.next_at <= now, ~exists(earlier)).order_by(Telling.id).limit(most)
    )  # fmt: skip
    return [_message(told, alert, hook) for told, alert, hook in rows]


def sent(session: Session, now: float, number: int, why: str) -> None:
    """Say how a telling went: ``why`` is "" when the hook took it, else a code of ``words``."""
    row = session.get(Telling, number)
    if row is None or row.done_at is not None:
        return
    row.tries, row.why = row.tries + 1, why
    subject = f"hook:{row.hook}"
    if not why:
        row.done_at = now
        alerts.close(session, now, "hook_fails", subject)
        return
    if row.tries >= MOST_TRIES:
        row.done_at = now
    row.next_at = now + min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** (row.tries - 1))
    # The others that wait for this hook wait with it, so that one that is away costs one try at a time.
    session.execute(
        update(Telling).where(Telling.hook == row.hook, Telling.done_at.is_(None), Telling.next_at < row.next_at)
        .values(next_at=row.next_at).execution_options(synchronize_session=False)
    )  # fmt: skip
    if row.tries > 1:
        alerts.raise_(session, now, "hook_fails", subject, "warning", hook=row.hook, why=why)


def trim(session: Session, now: float, most: int = 5000) -> None:
    """Forget tellings that are long done."""
    old = select(Telling.id).where(Telling.done_at < now - KEPT_SECONDS).order_by(Telling.id).limit(most)
    session.execute(delete(Telling).where(Telling.id.in_(old)).execution_options(synchronize_session=False))


def _tell(session: Session, now: float, row: Alert, hooks: list[Hook], what: str) -> None:
    for hook in hooks:
        of_itself = row.code == "hook_fails" and row.subject == f"hook:{hook.id}"
        if alerts.RANK[row.severity] >= alerts.RANK[hook.least] and not of_itself:
            session.add(Telling(alert=row.id, hook=hook.id, what=what, next_at=now))


def _message(told: Telling, row: Alert, hook: Hook) -> Message:
    english, chinese = alerts.sentence(row), alerts.sentence(row, "zh-CN")
    facts = {
        "telling": told.id, "alert": row.id, "what": told.what, "code": row.code, "subject": row.subject,
        "severity": row.severity, "args": json.loads(row.args), "opened_at": row.opened_at, "closed_at": row.closed_at,
        "en": english, "zh": chinese,
    }  # fmt: skip
    text = english if hook.language == "en" else chinese
    return Message(
        told.id, hook.id, hook.kind, hook.target, hook.secret, hook.ca, hook.inside,
        "info" if told.what == "over" else row.severity, facts, text,
    )  # fmt: skip


def _fits(kind: str, target: str) -> bool:
    """Say whether a target has the form of its kind: no user, no fragment, a port in range, nothing unprintable."""
    if len(target) > 256 or not target.isascii() or not target.isprintable() or " " in target:
        return False
    try:
        parts = urlsplit(target)
        port = parts.port
    except ValueError:
        return False
    if kind == "syslog" and parts.scheme == "unix":
        return target.startswith("unix:/") and not parts.netloc and ".." not in parts.path and len(parts.path) < 100
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    plain = "@" not in parts.netloc and not parts.fragment and _HOST.fullmatch(host) is not None and port != 0
    if kind == "webhook":
        return plain and parts.scheme == "https"
    return (
        kind == "syslog"
        and plain
        and parts.scheme in ("udp", "tcp")
        and port is not None
        and not parts.path + parts.query
    )
