"""Who may look and act, and the record of who did what; and one's own password."""

from __future__ import annotations

import json
from typing import Any, get_args

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from city.api import errors
from city.api.callers import COOKIE
from city.api.office import Office
from city.console import lists, shown
from city.registry import audit, people
from city.registry.people import Right, Role
from city.registry.refused import RegistryRefused

MOST_PERSONS = 500
Reply = str | BaseResponse | tuple[str, int]


def add(made: Blueprint, office: Office) -> None:
    """Add the pages."""
    _people(made, office)
    _changing(made, office)
    _own(made, office)
    _record(made, office)


def _people(made: Blueprint, office: Office) -> None:
    def page(**more: Any) -> str:
        with office.store.read() as session:
            rows = people.every(session, g.person, MOST_PERSONS)
        return render_template(
            "console/people.html", rows=rows, roles=get_args(Role), rights=get_args(Right), table=people.RIGHTS,
            least=people.LEAST_PASSWORD, **more,
        )  # fmt: skip

    @made.get("/people")
    def people_() -> str:
        people.demand(g.person, "person")
        return page(form={})

    @made.post("/people")
    def add_person() -> Reply:
        who, form = office.callers.person("person"), request.form
        try:
            kept = people.hashed(form.get("password", "")[:1024])
            with office.store.begin() as session:
                audit.because(session, form.get("reason", ""))
                people.add(
                    session, office.clock(), who.name, form.get("name", "").strip(), kept, form.get("role", ""),
                    form.get("scope", "").strip(),
                )  # fmt: skip
        except RegistryRefused as refused:
            return page(form=form, wrong=refused.finding), errors.status(refused.rule)
        return redirect(url_for("console.people_", done="person_added"), 303)


def _changing(made: Blueprint, office: Office) -> None:
    @made.post("/people/<name>")
    def edit_person(name: str) -> Reply:
        """Change what is given: role and scope, a fresh password, on or off."""
        who, form = office.callers.person("person"), request.form
        password = form.get("password", "")[:1024]
        changed: dict[str, Any] = {"kept": people.hashed(password)} if password else {}
        if "role" in form:
            changed |= {"role": form["role"], "scope": form.get("scope", "").strip()}
        if form.get("off") in ("yes", "no"):
            changed["off"] = form["off"] == "yes"
        with office.store.begin() as session:
            audit.because(session, form.get("reason", ""))
            people.edit(session, office.clock(), who.name, name, **changed)
        return redirect(url_for("console.people_", done="person_changed"), 303)


def _own(made: Blueprint, office: Office) -> None:
    @made.get("/account")
    def account() -> str:
        return render_template("console/account.html", least=people.LEAST_PASSWORD, rights=people.RIGHTS[g.person.role])

    @made.post("/account")
    def own_password() -> Reply:
        """Who knows the password that he has may choose another; he signs in anew."""
        person, form = office.callers.person("look"), request.form
        try:
            if not office.tries.takes(request.remote_addr or "", office.clock()):
                raise RegistryRefused("sign_in_often")
            if form.get("password", "") != form.get("repeated", ""):
                raise RegistryRefused("passwords_differ")
            if not people.fits(person.password, form.get("old", "")[:1024]):
                raise RegistryRefused("password_old")
            kept = people.hashed(form.get("password", "")[:1024])
            with office.store.begin() as session:
                people.edit(session, office.clock(), person.name, person.name, kept=kept)
        except RegistryRefused as refused:
            page = render_template(
                "console/account.html", least=people.LEAST_PASSWORD, rights=people.RIGHTS[g.person.role],
                wrong=refused.finding,
            )  # fmt: skip
            return page, errors.status(refused.rule)
        answer = redirect(url_for("console.login", done="password"), 303)
        answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
        return answer


def _record(made: Blueprint, office: Office) -> None:
    @made.get("/audit")
    def audit_() -> str:
        people.demand(g.person, "audit")
        asked = {name: request.args.get(name, "").strip()[:96] for name in ("who", "what", "subject")}
        before = shown.asked_number("before")
        with office.store.read() as session:
            rows = lists.audit_lines(session, before=before, **asked, most=lists.PAGE + 1)
            whole = audit.verify(session) if "verify" in request.args else None
        following = rows[lists.PAGE - 1].sequence if len(rows) > lists.PAGE else None
        told = [(row, json.loads(row.detail)) for row in rows[: lists.PAGE]]
        return render_template("console/audit.html", rows=told, asked=asked, following=following, whole=whole)
