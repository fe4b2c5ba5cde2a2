"""A county's administrator makes and changes persons of that county alone; of others he does not even hear."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from city.registry import approvals, hooks, people, templates
from city.registry.store import Store
from city.registry.tables import Approval, Hook, Person, Template
from tests import scene
from tests.consoled import Console
from tests.enrolling import NOW, person
from tests.unit.city.test_peers import refused

COUNTY = "340221"


@pytest.fixture
def county(store: Store) -> Store:
    """The city's officer, a county's, an operator of each, and one of another county."""
    with store.begin() as session:
        for name, role, scope in (
            ("sec", "security", ""), ("xian-sec", "security", COUNTY), ("li", "operator", ""),
            ("xian-li", "operator", COUNTY), ("zhen-li", "operator", COUNTY + "01"), ("other", "operator", "340207"),
            ("shi-li", "operator", "3402"),
        ):  # fmt: skip
            person(session, name, role, scope)
    return store


@pytest.mark.parametrize(
    ("scope", "may"), [(COUNTY, True), ("34022103", True), ("", False), ("3402", False), ("340207", False)]
)
def test_u07_nobody_is_made_with_a_wider_scope_than_who_makes_him(county: Store, scope: str, may: bool) -> None:
    with county.begin() as session:
        if may:
            assert people.add(session, NOW, "xian-sec", "new", "-", "operator", scope).scope == scope
            return
        with refused("outside_scope"):
            people.add(session, NOW, "xian-sec", "new", "-", "operator", scope)
        assert session.get(Person, "new") is None
        assert people.add(session, NOW, "sec", "new", "-", "operator", scope).scope == scope, "the city's own may"


@pytest.mark.parametrize("name", ["li", "shi-li", "other", "sec", "nobody"])
def test_who_is_outside_of_it_does_not_exist(county: Store, name: str) -> None:
    for changed in ({"kept": "stolen"}, {"role": "viewer"}, {"scope": COUNTY}, {"off": True}):
        with county.begin() as session, refused("person_unknown"):
            people.edit(session, NOW, "xian-sec", name, **changed)  # type: ignore[arg-type]
    with county.read() as session:
        mine = [row.name for row in people.every(session, session.get_one(Person, "xian-sec"), 100)]
        assert mine == ["xian-li", "xian-sec", "zhen-li"]
        assert len(people.every(session, session.get_one(Person, "sec"), 100)) == 7


def test_u07_nobody_is_given_more_than_who_gives_has(county: Store) -> None:
    for scope in ("", "3402", "340207"):
        with county.begin() as session, refused("outside_scope"):
            people.edit(session, NOW, "xian-sec", "xian-li", scope=scope)
    with county.begin() as session:
        assert people.edit(session, NOW, "xian-sec", "xian-li", scope=COUNTY + "02").scope == COUNTY + "02"
        assert people.edit(session, NOW, "xian-sec", "zhen-li", off=True).off
        assert people.edit(session, NOW, "xian-li", "xian-li", kept="own").password == "own"
        assert people.edit(session, NOW, "sec", "other", scope="").scope == ""
        # Who took the rights of his maker before he is asked has none to give.
        with refused("person_unknown"):
            people.edit(session, NOW, "gone", "xian-li", off=True)


def test_what_is_for_every_site_of_the_city_is_not_a_countys_officers(county: Store) -> None:
    hook = ("webhook", "https://alerts.city.example/in", "5c" * 32)
    with county.begin() as session:
        system = person(session, "sys", "system")
        person(session, "xian-sys", "system", COUNTY)
        templates.add(session, NOW, system, "street", {"control": {"address": "10.20.0.6"}})
        asked = approvals.ask(session, NOW, system, "template", "street@1", "a new control").id
        kept = hooks.add(session, NOW, session.get_one(Person, "sec"), *hook).id
    acts: dict[str, tuple[str, Callable[[Session, Person], object]]] = {
        "agree": ("sec", lambda session, who: approvals.judge(session, NOW, who, asked, yes=True)),
        "ask": ("sys", lambda session, who: approvals.ask(session, NOW, who, "template", "street@1", "again")),
        "retire": ("sys", lambda session, who: templates.retire(session, NOW, who, "street", 1)),
        "add": ("sec", lambda session, who: hooks.add(session, NOW, who, *hook)),
        "remove": ("sec", lambda session, who: hooks.remove(session, NOW, who, kept)),
    }
    for name, (who, does) in acts.items():
        with county.begin() as session, refused("city_only"):
            does(session, session.get_one(Person, f"xian-{who}"))
            pytest.fail(name)
    with county.read() as session:
        assert session.get_one(Template, ("street", 1)).state == "draft"
        assert session.get_one(Approval, asked).state == "open"
        assert [row.id for row in session.query(Hook)] == [kept]
    for who, does in acts.values():
        with county.begin() as session:
            does(session, session.get_one(Person, who))


def test_the_console_shows_a_countys_officer_his_own_people_alone(console: Console) -> None:
    console.person("xian-sec", "security", COUNTY)
    console.enter("xian-sec")
    shown = console.get("/people").text
    assert "xian-zhao" in shown
    assert not [name for name, (_, scope) in scene.PERSONS.items() if not scope and f"<b>{name}</b>" in shown]
    assert console.post("/people/security", password="a stolen password").status_code == 404
    made = {"name": "all", "password": "a long password", "role": "security", "scope": ""}
    assert console.post("/people", **made).status_code == 403
    assert console.session_of("all") is None
    assert console.post("/people", **made | {"scope": COUNTY}).status_code == 303
    assert console.post("/people/all", role="security", scope="").status_code == 403
