"""What a person at the city's machine asks of the registry. Who may open its database could change anything; so no password
is asked here, but the rights of the name that is given are held to, and every act is written down under it."""

from __future__ import annotations

import argparse
import functools
import json
import secrets
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import segno
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from city.api import truth
from city.api.office import waits
from city.cli.settings import Folder, Settings, read
from city.registry import alerts as alerts_
from city.registry import approvals, audit, claims, enrolment, figures, health, people, revocation, sites, templates
from city.registry import restored as restored_
from city.registry.people import Right
from city.registry.refused import RegistryRefused
from city.registry.signer import SignerAway
from city.registry.store import StoreUnfit, open_store
from city.registry.tables import Audit, Person
from city.signing.client import Client, over_socket
from netconf import durable, words
from netconf.enrolment import Bundle, write_bundle
from netconf.finding import finding

#: Persons in one list.
MOST_PERSONS = 10_000

Command = Callable[[argparse.Namespace], int]


def told(command: Command) -> Command:
    """Let a command say what is refused in a sentence, and end with 1."""

    @functools.wraps(command)
    def run(args: argparse.Namespace) -> int:
        try:
            return command(args)
        except RegistryRefused as refused:
            said = refused.finding
        except SignerAway:
            said = finding("signer_away")
        except (OperationalError, StoreUnfit):
            said = finding("database_away")
        print(*words.report([said], "zh-CN" if args.chinese else "en"), sep="\n", file=sys.stderr)
        return 1

    return run


@contextmanager
def desk(args: argparse.Namespace, right: Right) -> Iterator[tuple[Session, Person, Folder, Settings]]:
    """Lend a transaction to the person who asks, if he has the right."""
    folder = Folder(args.folder)
    settings = read(folder)
    store = open_store(folder.database(settings), upgrade=False)
    try:
        with store.begin() as session:
            person = session.get(Person, args.who)
            if person is None:
                raise RegistryRefused("person_unknown", name=args.who)
            people.demand(person, right)
            yield session, person, folder, settings
    finally:
        store.close()


@told
def site(args: argparse.Namespace) -> int:
    """Add, list or show sites."""
    with desk(args, "site" if args.does == "add" else "look") as (session, person, _, _):
        if args.does == "add":
            name, _, version = (args.template or "").rpartition("@")
            facts = sites.Facts(args.id, args.name, args.civil_code, args.site_class, args.carrier)
            if args.template:
                number = int(version) if templates.is_number(version) else 0
                facts = sites.Facts(args.id, args.name, args.civil_code, args.site_class, args.carrier, name, number)
            show(sites.said(sites.add(session, time.time(), person, facts)))
        elif args.does == "show":
            show(sites.said(sites.get(session, person, args.id)))
        else:
            for row in sites.page(session, person, after=args.after, state=args.state, text=args.text):
                print(row.id, row.state, row.civil_code, row.name, sep="\t")
    return 0


@told
def claim(args: argparse.Namespace) -> int:
    """Print a fresh bundle, as a line and as a code to scan; it is shown this once."""
    fresh = claims.fresh(secrets.token_bytes)
    with desk(args, "claim") as (session, person, folder, settings):
        row = sites.get(session, person, args.site, lock=True)
        kept = claims.issue(session, time.time(), person.name, row, fresh, days=args.days)
        city = over_socket(folder.socket).identity()
        text = write_bundle(
            Bundle(row.id, str(settings.address), settings.port, city.ca_hash, city.city_key, fresh)
        )  # fmt: skip
    code = segno.make(text, error="m", micro=False)
    code.terminal(sys.stdout, compact=True)
    if args.svg is not None:
        code.save(str(args.svg), kind="svg", scale=4)
    print(text)
    print(datetime.fromtimestamp(kept.ends_at).astimezone().isoformat(timespec="minutes"))
    return 0


@told
def pending(args: argparse.Namespace) -> int:
    """Say which boxes wait."""
    with desk(args, "look") as (session, person, _, _):
        for row in enrolment.waiting(session, person.scope):
            said = waits(row)
            print(row.id, said["code"], row.name, json.dumps(said["fingerprint"], ensure_ascii=False), sep="\t")
    return 0


@told
def approve(args: argparse.Namespace) -> int:
    """Let a box in."""
    with desk(args, "enrol") as (session, person, folder, _):
        row = sites.get(session, person, args.site, lock=True)
        enrolment.approve(session, signer(folder), time.time(), person.name, row, args.code)
        show(sites.said(row))
    return 0


@told
def refuse(args: argparse.Namespace) -> int:
    """Turn a box away."""
    with desk(args, "enrol") as (session, person, _, _):
        row = sites.get(session, person, args.site, lock=True)
        enrolment.refuse(session, time.time(), person.name, row, args.reason)
        show(sites.said(row))
    return 0


@told
def revoke(args: argparse.Namespace) -> int:
    """Cut a site off for good."""
    with desk(args, "revoke") as (session, person, folder, _):
        row = sites.get(session, person, args.site, lock=True)
        revocation.revoke(session, signer(folder), row, person.name, args.reason, time.time())
        show(sites.said(row))
    return 0


@told
def template(args: argparse.Namespace) -> int:
    """Add a template's next version, or list them."""
    with desk(args, "template" if args.does == "add" else "look") as (session, person, _, _):
        if args.does == "add":
            try:
                body = tomllib.loads(durable.read(args.file, templates.MAX_BODY_CHARACTERS).decode("utf-8"))
            except (OSError, ValueError) as wrong:
                raise RegistryRefused("template_form", part=wrong) from None
            row = templates.add(session, time.time(), person, args.name, body)
            print(f"{row.name}@{row.version}", row.state, sep="\t")
        else:
            for row in templates.every(session):
                print(f"{row.name}@{row.version}", row.state, row.made_by, row.approved_by or "", sep="\t")
    return 0


@told
def approval(args: argparse.Namespace) -> int:
    """Ask for what needs two persons, list it, or be the second."""
    with desk(args, "look" if args.does in ("ask", "list") else "approve") as (session, person, _, _):
        now = time.time()
        if args.does == "ask":
            print(approvals.ask(session, now, person, args.action, args.subject, args.reason).id)
        elif args.does == "list":
            for row in approvals.waiting(session, now):
                print(row.id, row.action, row.subject, row.asked_by, row.reason, sep="\t")
        else:
            print(approvals.judge(session, now, person, args.number, args.does == "yes").state)
    return 0


@told
def person(args: argparse.Namespace) -> int:
    """Add a person with a fresh password, which is printed once; list them; take one's rights."""
    password = secrets.token_urlsafe(12)
    kept = people.hashed(password) if args.does == "add" else ""
    with desk(args, "person") as (session, who, _, _):
        if args.does == "add":
            people.add(session, time.time(), who.name, args.name, kept, args.role, args.scope)
            print(args.name, password, sep="\t")
        elif args.does == "off":
            people.edit(session, time.time(), who.name, args.name, off=True)
        else:
            for row in people.every(session, who, MOST_PERSONS):
                print(row.name, row.role, row.scope or "-", "off" if row.off else "", sep="\t")
    return 0


@told
def audit_(args: argparse.Namespace) -> int:
    """Check the chain of who did what, or print it."""
    with desk(args, "audit") as (session, _, _, _):
        if args.does == "verify":
            good, broken = audit.verify(session)
            said = finding("audit_whole", lines=good) if broken is None else finding("audit_broken", line=broken)
            print(*words.report([said], "zh-CN" if args.chinese else "en"), sep="\n")
            return 0 if broken is None else 1
        for row in session.scalars(select(Audit).order_by(Audit.sequence)).yield_per(1000):
            at = datetime.fromtimestamp(row.at).astimezone().isoformat(timespec="seconds")
            print(row.sequence, at, row.who, row.what, row.subject, row.detail, sep="\t")
    return 0


@told
def restored(args: argparse.Namespace) -> int:
    """Take the registry on after its database was laid back from a backup (``city.registry.restored``)."""
    with desk(args, "concentrator") as (session, person, folder, _):
        people.demand_whole(person)
        done = restored_.restored(session, signer(folder), person.name, args.reason, time.time())
    said = finding(
        "city_restored", epoch=done.epoch, offered=done.offered, revoked=len(done.revoked), unknown=len(done.unknown)
    )
    print(*words.report([said], "zh-CN" if args.chinese else "en"), sep="\n")
    for site, rule in done.refused:
        print(f"{site}\t{rule}")
    return 1 if done.refused else 0


@told
def alerts(args: argparse.Namespace) -> int:
    """Print the open alerts, one a line."""
    with desk(args, "look") as (session, person, _, _):
        for row in truth.listed(session, person, after=args.after):
            at = datetime.fromtimestamp(row.opened_at).astimezone().isoformat(timespec="seconds")
            said = alerts_.sentence(row, "zh-CN" if args.chinese else "en")
            seen = row.acknowledged_by or "-"
            print(f"{row.id}\t{at}\t{row.severity}\t{row.subject}\t{row.grouping or '-'}\t{seen}\t{said} ({row.code})")
    return 0


@told
def acknowledge(args: argparse.Namespace) -> int:
    """Say that somebody sees to an alert."""
    with desk(args, "alert") as (session, person, _, _):
        audit.because(session, args.reason)
        show(truth.alert(alerts_.acknowledge(session, time.time(), person, args.number, args.reason)))
    return 0


@told
def status(args: argparse.Namespace) -> int:
    """Print how the city is, in numbers, or how one site is."""
    with desk(args, "look") as (session, person, _, _):
        if args.site:
            show(health.said(session, sites.get(session, person, args.site)))
        else:
            show(figures.overview(session, time.time(), person.scope))
    return 0


def signer(folder: Folder) -> Client:
    return over_socket(folder.socket)


def show(facts: Mapping[str, Any]) -> None:
    print(json.dumps(facts, ensure_ascii=False, indent=2))
