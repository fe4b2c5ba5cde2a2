"""Who may look and act. One table says which role has which right; what is not in it is not allowed.

The three administrators (系统, 安全, 审计) have no right in common but looking: who runs the machine cannot approve, who
approves cannot run it, and both are watched by a third. A person sees and touches only sites whose civil code begins with
his scope; others do not exist for him.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from city.registry import audit
from city.registry.refused import RegistryRefused
from city.registry.tables import Person, Site
from city.registry.tables import Session as SignedIn

Role = Literal["viewer", "operator", "system", "security", "audit"]
Right = Literal[
    "look", "site", "claim", "enrol", "template", "rollout", "rotate", "concentrator", "hook",
    "person", "approve", "revoke", "audit", "alert",
]  # fmt: skip
#: Which role has which rights. "enrol" is to approve or refuse a box, "approve" to be the second person,
#: "alert" to say that one has seen an alert.
RIGHTS: dict[str, frozenset[Right]] = {
    "viewer": frozenset(("look",)),
    "operator": frozenset(("look", "site", "claim", "enrol", "rollout", "alert")),
    "system": frozenset(("look", "concentrator", "template", "rotate", "alert")),
    "security": frozenset(("look", "enrol", "person", "approve", "revoke", "hook")),
    "audit": frozenset(("look", "audit")),
}
#: After so many wrong passwords in a row nobody may try this name for a while: fifteen minutes cost a person one break,
#: and who guesses gets 480 tries a day.
FAILED_MOST, LOCKED_SECONDS = 5, 900.0
#: A page that nobody touches, and a working day.
IDLE_SECONDS, SESSION_SECONDS = 1800.0, 43_200.0
LEAST_PASSWORD = 12
#: Who made the first persons: ``snowgate city init``.
INIT = "init"
_NAME = re.compile(r"[\w.@-]{2,64}")
_SCOPE = re.compile(r"(?:[0-9]{2}){0,4}", re.ASCII)
_HASHER = PasswordHasher()
#: What a wrong name is compared with, so that it takes as long as a wrong password.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def hashed(password: str) -> str:
    """Return what is kept of a password (argon2id, with chance of its own); slow, so not within a transaction.

    Raises:
        RegistryRefused: ``password_short``.
    """
    if len(password) < LEAST_PASSWORD:
        raise RegistryRefused("password_short", least=LEAST_PASSWORD)
    return _HASHER.hash(password)


def password_hash(session: Session, name: str) -> str:
    """Return what a name's password must fit; of a name that nobody has, what no password fits."""
    return session.scalar(select(Person.password).where(Person.name == name)) or NOBODY


def fits(kept: str, password: str) -> bool:
    """Say whether a password is the one; as slow as ``hashed``, so not within a transaction."""
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


def add(session: Session, now: float, who: str, name: str, kept: str, role: str, scope: str = "") -> Person:
    """Add a person whose password was ``hashed``.

    Raises:
        RegistryRefused: ``person_form``, ``role_unknown``, ``scope_form``, ``outside_scope`` (wider than the scope of
            ``who``) or ``person_known``.
    """
    within = _scope_of(session, who)
    if not _NAME.fullmatch(name) or not name.isprintable():
        raise RegistryRefused("person_form")
    _check(role, scope, within)
    if session.get(Person, name) is not None:
        raise RegistryRefused("person_known", name=name)
    person = Person(
        name=name, password=kept, role=role, scope=scope, made_at=now, off=False, failed=0, locked_until=0.0
    )
    session.add(person)
    session.flush()
    audit.write(session, now, who, "person.add", f"person:{name}", role=role, scope=scope)
    return person


def edit(
    session: Session,
    now: float,
    who: str,
    name: str,
    *,
    kept: str | None = None,
    role: str | None = None,
    scope: str | None = None,
    off: bool | None = None,
) -> Person:
    """Change what is given; whoever is changed must sign in again.

    Raises:
        RegistryRefused: ``person_unknown`` (there is none, or not for ``who``), ``person_self`` (nobody changes his own
            rights), ``role_unknown``, ``scope_form`` or ``outside_scope``.
    """
    within = _scope_of(session, who)
    person = session.get(Person, name, with_for_update=True)
    if person is None or not person.scope.startswith(within):
        raise RegistryRefused("person_unknown", name=name)
    if name == who and (role, scope, off) != (None, None, None):
        raise RegistryRefused("person_self")
    _check(role or person.role, person.scope if scope is None else scope, within)
    person.role, person.scope = role or person.role, person.scope if scope is None else scope
    person.off = person.off if off is None else off
    if kept is not None:
        person.password, person.failed, person.locked_until = kept, 0, 0.0
    session.execute(delete(SignedIn).where(SignedIn.person == name))
    session.flush()
    said = {"role": person.role, "scope": person.scope, "off": person.off, "password": kept is not None}
    audit.write(session, now, who, "person.edit", f"person:{name}", **said)
    return person


def sign_in(session: Session, now: float, name: str, right: bool, token: str, csrf: str) -> Person | None:
    """Note a try to sign in whose password was ``right`` or not; return the person, or None when it was for nothing.

    ``token`` is 256 bits of chance that the person shows from now on, ``csrf`` as many that his pages send back. Nobody
    hears whether the name, the password or a lock was the reason.
    """
    person = session.get(Person, name, with_for_update=True)
    if person is None or person.off or now < person.locked_until:
        return None
    if not right:
        person.failed += 1
        if person.failed >= FAILED_MOST:
            person.failed, person.locked_until = 0, now + LOCKED_SECONDS
            audit.write(session, now, name, "person.locked", f"person:{name}")
        return None
    person.failed = 0
    session.execute(delete(SignedIn).where(SignedIn.made_at < now - SESSION_SECONDS))
    session.add(SignedIn(id=token_hash(token), person=name, csrf=token_hash(csrf), made_at=now, seen_at=now))
    session.flush()
    audit.write(session, now, name, "person.in", f"person:{name}")
    return person


def signed_in(session: Session, now: float, token: str) -> tuple[Person, SignedIn] | None:
    """Return who shows this token, if his session still stands; looks only (``touch`` keeps it alive)."""
    row = session.get(SignedIn, token_hash(token))
    if row is None or now > row.made_at + SESSION_SECONDS or now > row.seen_at + IDLE_SECONDS:
        return None
    person = session.get(Person, row.person)
    return (person, row) if person is not None and not person.off else None


def touch(session: Session, now: float, token: str) -> None:
    """Keep a session alive; once a minute is enough."""
    session.execute(update(SignedIn).where(SignedIn.id == token_hash(token)).values(seen_at=now))


def sign_out(session: Session, token: str) -> None:
    """End a session."""
    session.execute(delete(SignedIn).where(SignedIn.id == token_hash(token)))


def may(person: Person, right: Right) -> bool:
    """Say whether a person's role has a right."""
    return not person.off and right in RIGHTS.get(person.role, frozenset())


def demand(person: Person, right: Right) -> None:
    """Raises:
    RegistryRefused: ``not_allowed``.
    """
    if not may(person, right):
        raise RegistryRefused("not_allowed", name=person.name, role=person.role)


def demand_whole(person: Person) -> None:
    """What touches the whole city is not for who has a part of it.

    Raises:
        RegistryRefused: ``city_only``.
    """
    if person.scope:
        raise RegistryRefused("city_only", scope=person.scope)


def in_scope(person: Person, site: Site) -> bool:
    """Say whether a site is within a person's scope."""
    return site.civil_code.startswith(person.scope)


def page_word(token: str) -> str:
    """Return what a session's own pages send back with whatever they change: nobody without the token can say it."""
    return hashlib.sha256(b"snowgate page word 1\n" + token.encode("utf-8", "replace")).hexdigest()


def token_hash(token: str) -> str:
    """Return what is kept of a session's token."""
    return hashlib.sha256(b"snowgate session 1\n" + token.encode("utf-8", "replace")).hexdigest()


def every(session: Session, asker: Person, most: int) -> list[Person]:
    """Return the persons whose scope lies within the asker's, by their names."""
    wanted = select(Person).where(Person.scope.startswith(asker.scope)).order_by(Person.name)
    return list(session.scalars(wanted.limit(most)))


def _scope_of(session: Session, who: str) -> str:
    """The scope of who asks: nobody gives more than he has. The machine itself, which makes the first three, has it all."""
    asker = session.get(Person, who)
    if asker is None and who != INIT:
        raise RegistryRefused("person_unknown", name=who)
    return asker.scope if asker is not None else ""


def _check(role: str, scope: str, within: str) -> None:
    if role not in get_args(Role):
        raise RegistryRefused("role_unknown", role=role, known=", ".join(get_args(Role)))
    if not _SCOPE.fullmatch(scope):
        raise RegistryRefused("scope_form")
    if not scope.startswith(within):
        raise RegistryRefused("outside_scope", scope=within)
