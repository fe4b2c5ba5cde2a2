"""What sites are to be: their facts, templates with their versions, and rollouts; what each would change is shown before."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from typing import Any

from flask import Blueprint, g, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from city.api import errors
from city.api.office import Office
from city.api.strict import loads
from city.console import lists, shown
from city.console.acts import Asked, act
from city.registry import approvals, audit, layers, people, rollouts, sites, templates
from city.registry.layers import Why
from city.registry.refused import RegistryRefused
from city.registry.tables import Rollout, RolloutStep, Site, Template
from city.rollout.table import TABLE, Event, State
from netconf.finding import Finding

#: Sites of a preview on one page.
PREVIEWED = 20
#: What a person may want of a rollout.
ORDERS = (Event.START, Event.PAUSE, Event.RESUME, Event.ROLL_BACK)
Reply = str | BaseResponse | tuple[str, int]


def add(made: Blueprint, office: Office) -> None:
    """Add the pages and their acts."""
    _facts(made, office)
    _templates(made, office)
    _drafts(made, office)
    _rollouts(made, office)


def _facts(made: Blueprint, office: Office) -> None:
    def page(form: Any, site: str | None, **more: Any) -> str:
        with office.store.read() as session:
            usable = approved(session)
        return render_template("console/site_form.html", form=form, site=site, templates=usable, **more)

    def written(edits: str | None) -> Reply:
        person, form = office.callers.person("site"), request.form
        try:
            facts = read_facts(form, edits)
            with office.store.begin() as session:
                audit.because(session, form.get("reason", ""))
                row = (sites.edit if edits else sites.add)(session, office.clock(), person, facts)
                if row.state == "active":
                    layers.offer(session, office.signer, row, office.clock(), Why(person.name, form["reason"]))
        except RegistryRefused as refused:
            return page(form, edits, wrong=refused.finding), errors.status(refused.rule)
        return redirect(url_for("console.site", site=facts.id, done="site_changed" if edits else "site_made"), 303)

    @made.get("/sites/new")
    def new_site() -> str:
        people.demand(g.person, "site")
        return page({}, None)

    @made.post("/sites/new")
    def make_site() -> Reply:
        return written(None)

    @made.get("/sites/<site>/edit")
    def edit_site(site: str) -> str:
        people.demand(g.person, "site")
        with office.store.read() as session:
            row = sites.get(session, g.person, site)
            said = sites.said(row)
        said["template"] = f"{row.template}@{row.template_version}" if row.template else ""
        said["own"] = json.dumps(said["own"], ensure_ascii=False, indent=2) if said["own"] else ""
        return page(said, site)

    @made.post("/sites/<site>/edit")
    def change_site(site: str) -> Reply:
        return written(site)


def read_facts(form: Any, site: str | None) -> sites.Facts:
    """Return what a form says of a site.

    Raises:
        RegistryRefused: ``site_form`` or ``site_own``: it cannot be read.
    """
    name, _, version = form.get("template", "")[:80].rpartition("@")
    number, kind = form.get("site_class", "3"), form.get("template", "")
    if number not in ("1", "2", "3"):
        raise RegistryRefused("site_form", field="class")
    if kind and not templates.is_number(version):
        raise RegistryRefused("site_form", field="template")
    try:
        own = loads(form.get("own", "").strip() or "{}")
    except ValueError:
        own = None
    if not isinstance(own, dict):
        raise RegistryRefused("site_own", field="own")
    return sites.Facts(
        id=site or form.get("id", "")[:64].strip(), name=form.get("name", "")[:128].strip(),
        civil_code=form.get("civil_code", "")[:16].strip(), site_class=int(number),
        carrier=form.get("carrier", "")[:128].strip(), template=name if kind else None,
        template_version=int(version) if kind else None, own=own,
    )  # fmt: skip


def approved(session: Session) -> list[Template]:
    """Return the versions that a site may be given."""
    wanted = select(Template).where(Template.state == "approved").order_by(Template.name, Template.version.desc())
    return list(session.scalars(wanted.limit(200)))


def _templates(made: Blueprint, office: Office) -> None:
    @made.get("/templates")
    def templates_() -> str:
        with office.store.read() as session:
            rows, counts = templates.every(session), users(session, g.person.scope)
            recent = lists.rollouts(session, most=10)
        return render_template("console/templates.html", rows=rows, counts=counts, rollouts=recent)

    @made.get("/templates/<path:name>/<number:version>")
    def template(name: str, version: int) -> str:
        after = request.args.get("after", "")[:20]
        with office.store.read() as session:
            row = session.get(Template, (name, version))
            if row is None:
                raise RegistryRefused("template_unknown", template=name, version=version)
            told = rollouts.preview(session, name, version, PREVIEWED + 1, scope=g.person.scope, after=after)
            before = session.get(Template, (name, version - 1))
            asked = approvals.waiting(session, g.now)
        body = json.loads(row.body)
        own = layers.differences(json.loads(before.body), body) if before is not None else []
        return render_template(
            "console/template.html", row=row, body=body, wrong=trouble(body), preview=told[:PREVIEWED], own=own, after=after,
            following=told[PREVIEWED - 1]["site"] if len(told) > PREVIEWED else None,
            asked=next((a for a in asked if a.action == "template" and a.subject == f"{name}@{version}"), None),
        )  # fmt: skip

    def ask(asked: Asked, name: str, version: int) -> str:
        subject = f"{name}@{version}"
        approvals.ask(asked.session, asked.now, asked.person, "template", subject, asked.reason)
        return url_for("console.template", name=name, version=version)

    def retire(asked: Asked, name: str, version: int) -> str:
        templates.retire(asked.session, asked.now, asked.person, name, version)
        return url_for("console.template", name=name, version=version)

    act(made, office, "/templates/<path:name>/<number:version>/ask", "template", ask, "approval_asked")
    act(made, office, "/templates/<path:name>/<number:version>/retire", "template", retire, "retired")


def users(session: Session, scope: str) -> dict[tuple[str, int], int]:
    """Return how many active sites of a scope use each version."""
    wanted = (
        select(Site.template, Site.template_version, func.count())
        .where(Site.state == "active", Site.template.is_not(None), Site.civil_code.startswith(scope))
        .group_by(Site.template, Site.template_version)
    )  # fmt: skip
    return {(str(name), int(version or 0)): number for name, version, number in session.execute(wanted)}


def _drafts(made: Blueprint, office: Office) -> None:
    @made.get("/templates/new")
    def new_template() -> str:
        people.demand(g.person, "template")
        name, version = request.args.get("name", "")[:64], shown.asked_number("version")
        with office.store.read() as session:
            row = session.get(Template, (name, version)) if name else None
        body = json.dumps(json.loads(row.body), ensure_ascii=False, indent=2) if row is not None else ""
        return render_template("console/template_form.html", form={"name": name, "body": body})

    @made.post("/templates/new")
    def make_template() -> Reply:
        person, form = office.callers.person("template"), request.form
        try:
            body = read_body(form.get("body", ""))
            with office.store.begin() as session:
                audit.because(session, form.get("reason", ""))
                row = templates.add(session, office.clock(), person, form.get("name", "").strip(), body)
        except RegistryRefused as refused:
            page = render_template("console/template_form.html", form=form, wrong=refused.finding)
            return page, errors.status(refused.rule)
        return redirect(url_for("console.template", name=row.name, version=row.version, done="template_made"), 303)


def trouble(body: dict[str, Any]) -> list[Finding]:
    """Return what a box would not take of a template; what it lacks, sites may have of their own.

    Whether a platform lies behind the tunnels is each site's to say: its preview does.
    """
    tried = body | {"site": {"id": "0" * 20, "name": "-", "civil_code": "00", "class": 3}, "tunnel": []}
    return [
        found
        for found in layers.findings(tried)
        if not found.path.startswith(("/tunnel", "/site")) and not found.code.endswith("_outside_tunnel")
    ]


def read_body(text: str) -> dict[str, Any]:
    """Return a template's body, written as TOML or as JSON.

    Raises:
        RegistryRefused: ``template_form``.
    """
    if len(text) > templates.MAX_BODY_CHARACTERS:
        raise RegistryRefused("template_form", part="body")
    try:
        body = loads(text) if text.lstrip().startswith("{") else tomllib.loads(text.replace("\r\n", "\n"))
        json.dumps(body)  # a date of TOML's is none of ours
    except (ValueError, TypeError, RecursionError) as wrong:
        raise RegistryRefused("template_form", part=str(wrong)[:120]) from None
    if not isinstance(body, dict) or not body:
        raise RegistryRefused("template_form", part="body")
    return body


def _rollouts(made: Blueprint, office: Office) -> None:
    @made.get("/rollouts")
    def rollouts_() -> str:
        before = shown.asked_number("before")
        with office.store.read() as session:
            rows = lists.rollouts(session, before=before, most=lists.PAGE + 1)
        following = rows[lists.PAGE - 1].id if len(rows) > lists.PAGE else None
        return render_template("console/rollouts.html", rows=rows[: lists.PAGE], following=following)

    @made.get("/rollouts/<number:number>")
    def rollout(number: int) -> str:
        after = request.args.get("after", "")[:20]
        with office.store.read() as session:
            row = session.get(Rollout, number)
            if row is None:
                raise RegistryRefused("rollout_unknown", rollout=number)
            rings = lists.rings(session, g.person, number)
            found = lists.rollout_sites(session, g.person, number, after, lists.PAGE + 1)
            wanted = select(RolloutStep).where(RolloutStep.rollout == number).order_by(RolloutStep.id.desc())
            steps = list(session.scalars(wanted.limit(lists.PAGE)))
        following = found[lists.PAGE - 1][0].site if len(found) > lists.PAGE else None
        possible = [event for event in ORDERS if event in TABLE[State(row.state)]]
        return render_template(
            "console/rollout.html", row=row, rings=rings, rows=found[: lists.PAGE], steps=steps, possible=possible,
            following=following, after=after,
        )  # fmt: skip

    def begin(asked: Asked, name: str, version: int) -> str:
        rollouts.demand_scope(asked.session, asked.person, name)
        row = rollouts.begin(asked.session, name, version, asked.person.name, asked.reason, asked.now)
        return url_for("console.rollout", number=row.id)

    def order(event: Event) -> Callable[[Asked, int], str]:
        def done(asked: Asked, number: int) -> str:
            row = asked.session.get(Rollout, number)
            if row is None:
                raise RegistryRefused("rollout_unknown", rollout=number)
            rollouts.demand_scope(asked.session, asked.person, row.template)
            rollouts.order(asked.session, asked.signer, number, event, asked.person.name, asked.reason, asked.now)
            return url_for("console.rollout", number=number)

        return done

    act(made, office, "/templates/<path:name>/<number:version>/rollout", "rollout", begin, "rollout_begun")
    for event in ORDERS:
        act(
            made,
            office,
            f"/rollouts/<number:number>/{event.value}",
            "rollout",
            order(event),
            f"rollout_{event.value}",
        )
