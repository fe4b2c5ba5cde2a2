"""The console's pages: who may open which, what they show, and that nothing is wrong with any of them in either language."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from city import console as room
from city.console import words
from city.console.pages import navigation
from city.registry import people
from city.registry.people import Right, Role
from city.registry.sites import STATES
from city.registry.tables import Person
from city.rollout.table import Event, State
from city.truth.verdict import Verdict
from netconf.words import LANGUAGES
from tests import scene
from tests.consoled import BASE, Console
from tests.enrolling import NOW

ROOM = Path(room.__file__).parent
SITE = scene.site_id(0)
#: page -> a right that it needs, or "city" for who has no scope.
PAGES = {
    "/": "look", "/pending": "look", "/sites": "look", f"/sites/{SITE}": "look", "/sites/new": "site",
    f"/sites/{SITE}/edit": "site", "/concentrators": "city", "/templates": "look", "/templates/街道/2": "look",
    "/templates/new": "template", "/rollouts": "look", "/rollouts/1": "look", "/alerts": "look",
    "/alerts?state=over": "look", "/keys": "look", "/people": "person", "/account": "look", "/audit": "audit",
    "/audit?verify=1": "audit", "/health": "city",
}  # fmt: skip


class Reader(HTMLParser):
    """What a page has that it should not have, and how it nests."""

    VOID = frozenset(("meta", "link", "input", "br", "path", "circle", "rect", "option"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.forms: list[list[str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if any(name.startswith("on") or name == "style" for name in names) or (tag == "script" and "src" not in names):
            self.wrong.append(f"inline: {tag} {names}")
        if tag == "form":
            self.forms.append([names.get("method") or "get"])
        if self.forms and "name" in names:
            self.forms[-1].append(str(names["name"]))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        while self.open and self.open[-1] in ("li", "option") and self.open[-1] != tag:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_whole_in_both_languages(console: Console, language: str) -> None:
    console.speak(language)
    for name in ("wangfang", "system", "security", "audit"):
        console.enter(name)
        person = console.session_of(name)
        assert person is not None
        for path, right in PAGES.items():
            answer = console.get(path)
            allowed = right == "city" or people.may(person, right)  # type: ignore[arg-type]
            assert answer.status_code == (200 if allowed else 403), (name, path, answer.text)
            reader = Reader()
            reader.feed(answer.text)
            assert (reader.wrong, reader.open) == ([], []), (name, path)
            assert f'lang="{language}"' in answer.text
            missing = [key for key in re.findall(r">\s*([a-z]+_[a-z_0-9]+)\s*<", answer.text) if key not in CODES]
            assert not missing, (path, missing)
            for method, *fields in reader.forms:
                assert method == "get" or "csrf" in fields or "to" in fields, (path, fields)


#: Words with a line in them that stand on pages as they are.
CODES = frozenset(
    {"concentrator_add", "not_allowed", "site_dark", "site_degraded", "claim_used", "concentrator_silent"}
)


def test_u07_each_right_opens_its_pages_and_no_other(console: Console) -> None:
    """Refused to who has not the right, with a sentence; what is not offered in the menu is what is refused."""
    for name in scene.PERSONS:
        console.enter(name)
        person = console.session_of(name)
        assert person is not None
        menu = console.get("/account").text
        for page in ("concentrators", "people", "audit", "health"):
            shown = f'href="/console/{page}"' in menu
            answer = console.get(f"/{page}")
            assert (answer.status_code == 200) is shown is (page in navigation(person)), (name, page)
            if not shown:
                assert answer.status_code == 403
                assert "无权执行此操作" in answer.text or "此内容涉及全市" in answer.text


def test_who_has_not_signed_in_sees_the_door_alone(console: Console) -> None:
    for path in PAGES:
        answer = console.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/console/login")
    assert console.get("/login").status_code == 200
    assert console.client.get("/").headers["Location"] == "/console/"


def test_another_countys_site_does_not_exist(console: Console) -> None:
    """xian-zhao has the county 340221: he sees its sites on every page, and of the others nothing."""
    mine, others = (
        scene.site_id(6),
        [scene.site_id(number) for number in range(len(scene.ACTIVE)) if number not in (6, 7)],
    )
    console.enter("xian-zhao")
    for path in ("/", "/sites", "/pending", "/alerts", "/keys", "/templates/街道/2", "/rollouts/1"):
        text = console.get(path).text
        assert not [each for each in others if each in text], path
        assert not [name for name, code, *_ in scene.ACTIVE if not code.startswith("340221") and name in text], path
    assert mine in console.get("/sites").text
    assert mine in console.get("/templates/街道/2").text
    assert console.get(f"/sites/{mine}").status_code == 200
    for other in (others[0], scene.WAITS, "34020000002008009999"):
        for path in (f"/sites/{other}", f"/sites/{other}/edit"):
            answer = console.get(path)
            assert (answer.status_code, "没有站点" in answer.text) == (404, True)
    for path in ("/concentrators", "/health"):
        assert console.get(path).status_code == 403


def test_lists_are_bounded_and_go_on(console: Console) -> None:
    from city.registry.tables import Site

    with console.store.begin() as session:
        for number in range(120):
            session.add(
                Site(
                    id=f"5{number:019d}",
                    name=f"站点{number}",
                    civil_code="34",
                    made_by="lina",
                    made_at=NOW,
                    state="new",
                )
            )
    console.enter("look")
    seen: list[str] = []
    path = "/sites?state=new&text=5"
    for _ in range(4):
        text = console.get(path).text
        found = re.findall(r"<small>(5[0-9]{19})</small>", text)
        assert len(found) <= 50
        seen += found
        following = re.search(r'href="/console(/sites\?[^"]*after=5[^"]*)"', text)
        if following is None:
            break
        path = following[1].replace("&amp;", "&")
    assert seen == sorted(set(seen))
    assert len(seen) == 120


def test_the_sites_page_shows_the_way_what_is_used_and_what_lacks(console: Console) -> None:
    console.enter("look")
    good = console.get(f"/sites/{SITE}").text
    assert "东机房集中器" in good
    assert scene.PLATFORM in good
    assert good.count('class="road good used"') == 4, "wg-a and its way on, in both drawings"
    assert "备用，正常" in good
    degraded = console.get(f"/sites/{scene.site_id(3)}").text
    assert "隧道 wg-b 无近期握手" in degraded
    assert 'class="road bad"' in degraded
    dark = console.get(f"/sites/{scene.site_id(5)}").text
    assert 'class="road good' not in dark, "of a silent box nothing is drawn as if it were so now"
    assert 'class="road unknown"' in dark
    console.enter("system")
    with console.store.begin() as session:
        from city.registry.tables import Site

        row = session.get_one(Site, SITE)
        row.own = '{"platform": [{"id": "34020000002000000901"}]}'
    text = console.get(f"/sites/{SITE}").text
    assert "尚未下发的更改" in text
    assert "34020000002000000901" in text


def test_what_somebody_named_is_text_and_no_page(console: Console) -> None:
    from city.registry.tables import Site

    with console.store.begin() as session:
        row = session.get_one(Site, SITE)
        row.name, row.carrier = '<script>alert("x")</script>', "<b onclick=x>"
    console.enter("look")
    for path in ("/", "/sites", f"/sites/{SITE}"):
        text = console.get(path).text
        assert "<script>alert" not in text
        assert "<b onclick" not in text
    answer = console.get("/sites")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    "path",
    ["/sites?after=%01&text=%25&verdict=x&state=y", "/alerts?before=-1", "/alerts?before=x", "/keys?end=nan&serial=x",
     "/audit?before=99999999999999999999", "/rollouts/1?after=x", "/rollouts?before=x", "/templates/街道/2?after=9",
     "/concentrators?told=x&last=%3Cb%3E", "/?done=nothing", "/sites?text=" + "x" * 500],
)  # fmt: skip
def test_nonsense_in_an_address_is_no_fault(console: Console, path: str) -> None:
    console.enter("audit")
    assert console.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/sites/1/2/3",
        "/templates/街道/99",
        "/rollouts/99",
        "/templates/x/y",
    ],
)
def test_what_is_not_there_is_said_on_a_page(console: Console, path: str) -> None:
    console.enter("look")
    answer = console.get(path)
    assert answer.status_code in (404, 409)
    assert "<html" in answer.text
    assert "Traceback" not in answer.text
    assert console.get("/rollouts/99999999999999999999").status_code == 404


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/nothing", "/sites/", "/rollouts/x", "/static/none.js", "/rollouts/99999999999999999999"]
)
def test_whatever_is_asked_within_the_console_is_answered_by_a_page(console: Console, path: str, method: str) -> None:
    console.enter("look")
    answer = console.client.open(
        f"/console{path}", method=method, base_url=BASE, headers=console.heads | {"X-Snowgate": console.word}
    )
    assert (answer.status_code, answer.mimetype) == (404, "text/html"), answer.text[:200]
    assert "该地址没有内容" in answer.text


def test_what_a_page_does_not_do_is_said_on_one_too(console: Console) -> None:
    console.enter("look")
    for path, method in (("/sites", "DELETE"), ("/alerts", "PUT"), ("/", "POST")):
        answer = console.client.open(
            f"/console{path}", method=method, base_url=BASE, headers=console.heads | {"X-Snowgate": console.word}
        )
        assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert console.client.get("/console", base_url=BASE).status_code in (303, 308)


def test_a_nul_that_postgresql_cannot_keep_is_refused_before_it_is_asked(console: Console) -> None:
    console.enter("wangfang")
    assert console.get("/sites?text=%00").status_code == 400
    assert console.post("/sites/new", id="34020200002008000444", name="x\0", civil_code="340202").status_code == 400
    assert console.post(f"/sites/{SITE}/edit", name="x", civil_code="340202", reason="\0").status_code == 400
    assert console.post("/login", name="\0", password="x").status_code == 400


def test_every_word_is_there_in_both_languages() -> None:
    """What templates ask for by name, and by the names of states, rights, roles and deeds."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOM / "templates").rglob("*.html")))
    asked = set(re.findall(r'\bw\("([a-z_0-9A-Z]+)"[,)]', text)) | set(re.findall(r"\bw\('([a-z_0-9]+)'[,)]", text))
    assert len(asked) > 200
    families = {
        "verdict_": Verdict, "state_": STATES, "role_": get_args(Role), "right_": get_args(Right), "rollout_": State,
        "nav_": [name for name, _ in __import__("city.console.pages", fromlist=["_ORDER"])._ORDER],
        "severity_": ("info", "warning", "error"), "layer_": ("offered", "applied", "reverted", "superseded"),
        "moment_layer_": ("offered", "applied", "reverted", "superseded"), "step_": (*Event, "begin"),
        "rs_": ("waiting", "offered", "applied", "reverted", "back"), "template_": ("draft", "approved", "retired"),
        "rotation_": ("asked", "exchanging"), "action_": ("template", "revoke-all", "ca"), "class_": "123",
        "order_": ("start", "pause", "resume", "roll_back"), "road_": ("good", "bad", "unknown", "used", "spare"),
        "moment_": ("made", "approved", "revoked", "alert_opened", "alert_acknowledged", "alert_closed", "claim", "certificate"),
        "ago_": ("days", "hours", "minutes", "seconds"), "in_": ("days", "hours", "minutes", "seconds"),
    }  # fmt: skip
    asked |= {prefix + name for prefix, names in families.items() for name in names}
    assert not sorted(asked - words.TABLE.keys())
    assert all(zh and en for zh, en in words.TABLE.values())
    assert not [key for key, (zh, en) in words.TABLE.items() if sorted(fields(zh)) != sorted(fields(en))]


def fields(text: str) -> list[str]:
    return re.findall(r"{([a-z]+)}", text)


def test_every_deed_of_the_record_has_words() -> None:
    """Each ``audit.write`` in the city, by what it says; a rollout's are its events."""
    found: set[str] = {f"rollout.{event.value}" for event in Event} | {"rollout.begin", "approval.yes", "approval.no"}
    for path in sorted(ROOM.parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "write":
                said = [
                    each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
                ]
                found |= {each for each in said if re.fullmatch(r"[a-z]+[._][a-z_.]+", each)}
    assert len(found) > 30
    assert not [code for code in sorted(found) if "did_" + code.replace(".", "_") not in words.TABLE]


def test_nobody_is_left_of_a_page_that_the_database_cannot_serve(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    console.enter("look")

    def away(*_: object, **__: object) -> object:
        raise OperationalError("x", {}, Exception("x"))

    monkeypatch.setattr("city.registry.figures.overview", away)
    answer = console.get("/")
    assert answer.status_code == 503
    assert "登记库无应答" in answer.text


def test_no_role_lost_a_right_by_the_console() -> None:
    assert people.RIGHTS["viewer"] == {"look"}
    holders = {right: [role for role in get_args(Role) if right in people.RIGHTS[role]] for right in get_args(Right)}
    assert all(holders.values()), "a right that nobody has is a page that nobody opens"
    assert Person.__tablename__ == "person"
