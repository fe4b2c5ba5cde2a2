"""What no person does alone: one asks, a second one with the right to approve says yes, and only then it may be done, once.

All of it touches the whole city (a template is for every site of it), so neither of both has a scope. To let a box in is of
this kind too, with rules of its own (``enrolment.approve``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from city.registry import audit, people, templates
from city.registry.refused import RegistryRefused
from city.registry.tables import Approval, Person, Template

Action = Literal["template", "revoke-all", "ca"]
#: Which right a person needs to ask.
ASKS: Mapping[str, people.Right] = {"template": "template", "revoke-all": "revoke", "ca": "revoke"}
#: What nobody has judged in a week, or not used within a day, is asked anew.
OPEN_SECONDS, USE_SECONDS = 7 * 86_400.0, 86_400.0
MAX_REASON_CHARACTERS = 500


def ask(
    session: Session,
    now: float,
    person: Person,
    action: str,
    subject: str,
    reason: str,
    body: Mapping[str, Any] | None = None,
) -> Approval:
    """Ask for something.

    Raises:
        RegistryRefused: ``action_unknown``, ``not_allowed``, ``city_only``, ``reason_missing`` or ``reason_long``.
    """
    if action not in get_args(Action):
        raise RegistryRefused("action_unknown", action=action)
    people.demand(person, ASKS[action])
    people.demand_whole(person)
    if not reason.strip():
        raise RegistryRefused("reason_missing")
    if len(reason) > MAX_REASON_CHARACTERS:
        raise RegistryRefused("reason_long", most=MAX_REASON_CHARACTERS)
    text = json.dumps(dict(body or {}), ensure_ascii=False, sort_keys=True)
    row = Approval(
        action=action, subject=subject, body=text, reason=reason, asked_by=person.name, asked_at=now, state="open"
    )
    session.add(row)
    session.flush()
    audit.write(
        session, now, person.name, "approval.ask", f"approval:{row.id}", action=action, of=subject, reason=reason
    )
    return row


def judge(session: Session, now: float, person: Person, number: int, yes: bool) -> Approval:
    """Approve or refuse what another person asked. A template that is approved may be used at once.

    Raises:
        RegistryRefused: ``not_allowed``, ``city_only``, ``approval_unknown``, ``approval_over`` or ``second_person``.
    """
    people.demand(person, "approve")
    people.demand_whole(person)
    row = session.get(Approval, number, with_for_update=True)
    if row is None:
        raise RegistryRefused("approval_unknown", number=number)
    if row.state != "open" or now > row.asked_at + OPEN_SECONDS:
        raise RegistryRefused("approval_over", number=number)
    if person.name == row.asked_by:
        raise RegistryRefused("second_person")
    row.state, row.judged_by, row.judged_at = ("approved" if yes else "refused"), person.name, now
    if row.action == "template" and yes:
        _approve_template(session, row, person)
        row.state = "done"
    session.flush()
    audit.write(
        session, now, person.name, "approval.yes" if yes else "approval.no", f"approval:{number}",
        action=row.action, of=row.subject,
    )  # fmt: skip
    return row


def use(session: Session, now: float, action: Action, subject: str) -> Approval:
    """Take the approval that an action needs; it is good for one time, in the transaction that does it.

    Raises:
        RegistryRefused: ``approval_missing``.
    """
    row = session.scalars(
        select(Approval)
        .where(
            Approval.action == action,
            Approval.subject == subject,
            Approval.state == "approved",
            Approval.judged_at >= now - USE_SECONDS,
        )
        .order_by(Approval.id)
        .limit(1)
        .with_for_update()
    ).first()
    if row is None:
        raise RegistryRefused("approval_missing", action=action)
    row.state = "done"
    session.flush()
    return row


def waiting(session: Session, now: float, most: int = 200) -> list[Approval]:
    """Return what waits for a second person."""
    wanted = select(Approval).where(Approval.state == "open", Approval.asked_at >= now - OPEN_SECONDS)
    return list(session.scalars(wanted.order_by(Approval.id).limit(most)))


def _approve_template(session: Session, asked: Approval, person: Person) -> None:
    name, _, version = asked.subject.rpartition("@")
    row = session.get(Template, (name, int(version)), with_for_update=True) if templates.is_number(version) else None
    if row is None:
        raise RegistryRefused("template_unknown", template=name, version=version)
    if person.name == row.made_by:
        raise RegistryRefused("second_person")
    if row.state != "draft":
        raise RegistryRefused("approval_over", number=asked.id)
    row.state, row.approved_by = "approved", person.name
