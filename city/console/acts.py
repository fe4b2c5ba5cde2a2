"""What a person does: a form, the right that it needs, a reason that is written down, and the registry's function.

Every act is one transaction. ``Callers.person`` judges who asks, as it does for programs; the form's word against forgery is
judged there, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import segno
from flask import Blueprint, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from city.api import hubs
from city.api.office import Office
from city.api.strict import loads
from city.registry import (
    alerts,
    approvals,
    audit,
    claims,
    concentrators,
    enrolment,
    hooks,
    people,
    revocation,
    rotation,
    sites,
    troubles,
)
from city.registry.people import Right
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.tables import Person

MAX_CODE = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """One act's surroundings: its transaction, who wants it, when, and what he wrote."""

    session: Session
    signer: Signer
    person: Person
    now: float
    form: MultiDict[str, str]

    def said(self, name: str, most: int = 256) -> str:
        """Return a field, without the blanks around it."""
        return self.form.get(name, "")[:most].strip()

    @property
    def reason(self) -> str:
        return self.said("reason", audit.MAX_REASON_CHARACTERS + 1)


Does = Callable[..., str]


def act(made: Blueprint, office: Office, path: str, right: Right, does: Does, done: str) -> None:
    """Let who has ``right`` do something by a form at ``path``; ``does`` returns the page to go to, which says ``done``."""

    def view(**of: Any) -> BaseResponse:
        person = office.callers.person(right)
        with office.store.begin() as session:
            asked = Asked(session, office.signer, person, office.clock(), request.form)
            audit.because(session, asked.reason)
            where = does(asked, **of)
        return redirect(where + ("&" if "?" in where else "?") + f"done={done}", 303)

    made.add_url_rule(path, endpoint=f"do_{done}", view_func=view, methods=["POST"])


def add(made: Blueprint, office: Office) -> None:
    """Add the acts."""

    def can(path: str, right: Right, does: Does, done: str) -> None:
        act(made, office, path, right, does, done)

    can("/sites/<site>/approve", "enrol", _approve, "approved")
    can("/sites/<site>/refuse", "enrol", _refuse, "refused")
    can("/sites/<site>/rotate", "rotate", _rotate, "rotate")
    can("/sites/<site>/reset", "rotate", _reset, "reset")
    can("/sites/<site>/revoke", "revoke", _revoke, "revoked")
    can("/sites/<site>/not-cloned", "revoke", _not_cloned, "not_cloned")
    can("/approvals/<number:number>", "approve", _judge, "judged")
    can("/revoke-all/ask", "revoke", _ask_revoke_all, "asked")
    can("/revoke-all", "revoke", _revoke_all, "revoked_all")
    can("/alerts/<number:number>/acknowledge", "alert", _acknowledge, "acknowledged")
    can("/hooks/<number:number>/remove", "hook", _remove_hook, "hook_removed")
    for word in ("drain", "undrain", "rotate", "exchange", "tell", "finish", "allow-smaller"):
        can(f"/concentrators/<hub>/{word}", "concentrator", _HUBS[word], f"hub_{word.replace('-', '_')}")
    _claims(made, office)
    _hooks(made, office)
    _added(made, office)


def _claims(made: Blueprint, office: Office) -> None:
    @made.post("/sites/<site>/claim")
    def claim(site: str) -> str:
        """Show a fresh bundle, this once."""
        person = office.callers.person("claim")
        fresh, days = claims.fresh(office.chance), request.form.get("days", claims.DAYS, type=int)
        with office.store.begin() as session:
            asked = Asked(session, office.signer, person, office.clock(), request.form)
            audit.because(session, asked.reason)
            row = sites.get(session, person, site, lock=True)
            kept = claims.issue(session, asked.now, person.name, row, fresh, days=days)
            bundle = office.claim(site, fresh)
        return render_template(
            "console/bundle.html",
            site=row,
            bundle=bundle,
            code=picture(bundle),
            ends_at=kept.ends_at,
            prefix=kept.prefix,
        )


def picture(bundle: str) -> Markup:
    """Return a bundle as a code to scan: an SVG of the page itself, dark on light whatever the page's colours are."""
    code = segno.make(bundle, error="m", micro=False)
    # It is segno's own drawing: of the bundle nothing is in it but dots.
    return Markup(code.svg_inline(border=4, dark="#000", light="#fff", omitsize=True))  # noqa: S704


def _hooks(made: Blueprint, office: Office) -> None:
    @made.post("/hooks")
    def add_hook() -> str:
        """The secret is shown this once."""
        person, secret = office.callers.person("hook"), office.chance(32).hex()
        with office.store.begin() as session:
            asked = Asked(session, office.signer, person, office.clock(), request.form)
            audit.because(session, asked.reason)
            row = hooks.add(
                session, asked.now, person, asked.said("kind", 16), asked.said("target", 257), secret,
                least=asked.said("least", 16), inside=asked.said("inside") == "yes",
                language=asked.said("language", 8),
            )  # fmt: skip
        return render_template("console/hook.html", hook=row, secret=secret)


def _added(made: Blueprint, office: Office) -> None:
    @made.post("/concentrators")
    def add_hub() -> str:
        """Show what is laid beside the keys of a concentrator that was added."""
        person = office.callers.person("concentrator")
        form = {name: request.form.get(name, "")[:most].strip() for name, most in _HUB_FIELDS.items()}
        try:
            prepared = loads(form["prepared"].encode("utf-8"))
        except ValueError as wrong:
            raise RegistryRefused("concentrator_prepared", trouble=wrong) from None
        said = {name: form[name] for name in ("name", "plane", "endpoint")}
        return render_template("console/hub.html", hub=hubs.added(office, person, prepared, form["reason"], **said))


_HUB_FIELDS = {"prepared": 8192, "name": 65, "plane": 16, "endpoint": 260, "reason": audit.MAX_REASON_CHARACTERS + 1}


def _site(site: str) -> str:
    return url_for("console.site", site=site)


def _approve(asked: Asked, site: str) -> str:
    row = sites.get(asked.session, asked.person, site, lock=True)
    code = "".join(asked.said("code", MAX_CODE).split())
    enrolment.approve(asked.session, asked.signer, asked.now, asked.person.name, row, code)
    return _site(site)


def _refuse(asked: Asked, site: str) -> str:
    row = sites.get(asked.session, asked.person, site, lock=True)
    enrolment.refuse(asked.session, asked.now, asked.person.name, row, asked.reason)
    return url_for("console.pending")


def _rotate(asked: Asked, site: str) -> str:
    row = sites.get(asked.session, asked.person, site, lock=True)
    rotation.begin(asked.session, row, asked.said("tunnel", 15), asked.person.name, asked.now)
    return _site(site)


def _reset(asked: Asked, site: str) -> str:
    row = sites.get(asked.session, asked.person, site, lock=True)
    rotation.reset(asked.session, row, asked.said("tunnel", 15), asked.person.name, asked.now)
    return _site(site)


def _revoke(asked: Asked, site: str) -> str:
    row = sites.get(asked.session, asked.person, site, lock=True)
    _same(asked, site)
    revocation.revoke(asked.session, asked.signer, row, asked.person.name, asked.reason, asked.now)
    return _site(site)


def _not_cloned(asked: Asked, site: str) -> str:
    row = sites.get(asked.session, asked.person, site, lock=True)
    troubles.cleared(asked.session, asked.now, asked.person.name, row, asked.reason)
    return _site(site)


def _judge(asked: Asked, number: int) -> str:
    approvals.judge(asked.session, asked.now, asked.person, number, asked.said("yes") == "yes")
    return url_for("console.pending")


def _ask_revoke_all(asked: Asked) -> str:
    approvals.ask(asked.session, asked.now, asked.person, "revoke-all", "", asked.reason)
    return url_for("console.pending")


def _revoke_all(asked: Asked) -> str:
    people.demand_whole(asked.person)
    _same(asked, "revoke-all")
    approvals.use(asked.session, asked.now, "revoke-all", "")
    revocation.revoke_all(asked.session, asked.signer, asked.person.name, asked.reason, asked.now)
    return url_for("console.keys")


def _acknowledge(asked: Asked, number: int) -> str:
    alerts.acknowledge(asked.session, asked.now, asked.person, number, asked.reason)
    return url_for("console.alerts_")


def _remove_hook(asked: Asked, number: int) -> str:
    hooks.remove(asked.session, asked.now, asked.person, number)
    return url_for("console.alerts_")


def _drain(asked: Asked, hub: str) -> str:
    people.demand_whole(asked.person)
    concentrators.drain(asked.session, asked.person.name, hub, asked.now)
    return url_for("console.concentrators_")


def _undrain(asked: Asked, hub: str) -> str:
    people.demand_whole(asked.person)
    concentrators.drain(asked.session, asked.person.name, hub, asked.now, drained=False)
    return url_for("console.concentrators_")


def _tell(asked: Asked, hub: str) -> str:
    """Offer its next hundred sites the layer; the page says where to go on."""
    people.demand_whole(asked.person)
    told = concentrators.tell(
        asked.session, asked.signer, asked.person.name, hub, asked.now, asked.said("after", 20)
    )  # fmt: skip
    return url_for("console.concentrators_", hub=hub, told=len(told), last=told[-1] if told else None)


def _simple(does: Callable[[Session, str, str, float], None]) -> Does:
    def done(asked: Asked, hub: str) -> str:
        people.demand_whole(asked.person)
        does(asked.session, asked.person.name, hub, asked.now)
        return url_for("console.concentrators_")

    return done


_HUBS: dict[str, Does] = {
    "drain": _drain,
    "undrain": _undrain,
    "tell": _tell,
    "rotate": _simple(concentrators.rotate),
    "exchange": _simple(concentrators.exchange),
    "finish": _simple(concentrators.finish),
    "allow-smaller": _simple(concentrators.allow_smaller),
}


def _same(asked: Asked, name: str) -> None:
    """What cannot be undone is named once more by who wants it."""
    if asked.said("again") != name:
        raise RegistryRefused("named_otherwise", name=name)
