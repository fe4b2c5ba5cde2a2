"""What the owner reads before the box is enrolled, when it is revoked, and how the city is asked now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.lab.street import SITE_FILE, owner_part
from netconf.check import read_site
from netconf.model import Site
from webui.accounts import Accounts, first_code
from webui.app import Box, create_app
from webui.changes import Changes

TEXT = SITE_FILE.read_text(encoding="utf-8")
ORIGIN, PASSWORD = "https://192.168.1.2", "correct horse battery"


class Page:
    """The application with a site and facts of one's own."""

    def __init__(self, folder: Path, site: Site | None) -> None:
        self.facts: dict[str, Any] = {}
        self.asked: list[str] = []
        self.hears = True
        self.accounts = Accounts(folder, lambda: 1_800_000_000.0)
        box = Box(lambda: site, lambda: self.facts, list, self._ask, "AA:BB")
        changes = Changes(lambda request: None, lambda _, thing: None)  # type: ignore[arg-type,return-value]
        self.client = create_app(box, self.accounts, changes, lambda *_: None).test_client()
        self.accounts.set_first(first_code(folder, 1_800_000_000.0), PASSWORD, "192.168.1.66")
        self.post("/login", password=PASSWORD)

    def _ask(self) -> bool:
        self.asked.append("city")
        return self.hears

    def post(self, path: str, **form: str) -> Any:
        sent = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
        return self.client.post(
            path, base_url=ORIGIN, data=form, headers=sent, environ_base={"REMOTE_ADDR": "192.168.1.66"}
        )

    def read(self, path: str = "/", language: str = "zh-CN") -> str:
        self.client.set_cookie("language", language, domain="192.168.1.2")
        answer = self.client.get(path, base_url=ORIGIN)
        assert answer.status_code == 200, path
        return answer.get_data(as_text=True)

    @property
    def csrf(self) -> str:
        (session,) = self.accounts.sessions.values()
        return session.csrf


def keeper(enrolled: bool, site: str = "34020000002008000001") -> dict[str, Any]:
    return {"enrolment": {"enrolled": enrolled, "site": site}, "findings": [], "tunnels": {}, "change": {}}


@pytest.fixture
def bare(tmp_path: Path) -> Page:
    site, found = read_site(owner_part(TEXT))
    assert site is not None, found
    return Page(tmp_path, site)


@pytest.fixture
def whole(tmp_path: Path) -> Page:
    return Page(tmp_path, read_site(TEXT)[0])


def test_every_page_stands_before_the_box_is_enrolled(bare: Page) -> None:
    bare.facts = {"keeper": keeper(False, "")}
    for path in ("/", "/cameras", "/peers", "/viewers", "/changes"):
        bare.read(path)
    assert "尚未注册到市平台" in bare.read()
    assert "Not enrolled with a city yet" in bare.read(language="en")
    assert "ask-city" not in bare.read()


def test_while_a_person_must_approve_the_code_is_shown(bare: Page) -> None:
    bare.facts = {"keeper": keeper(False), "enrol": {"state": "pending", "code": "042137"}}
    assert "042137" in bare.read()
    assert "042137" in bare.read(language="en")
    bare.facts["enrol"] = {"state": "pending", "code": "<b>x</b>"}
    assert "<b>x" not in bare.read(), "a program's word is text"
    bare.facts["enrol"] = {"state": "trying", "code": "042137"}
    assert "042137" not in bare.read()


def test_a_revoked_box_says_so_before_anything_else(whole: Page) -> None:
    whole.facts = {
        "keeper": keeper(True),
        "enrol": {"state": "revoked", "revoked": {"at": 1_800_000_000, "reason": "失窃"}},
    }
    shown = whole.read()
    assert "本设备已被撤销" in shown
    assert "失窃" in shown


def test_the_city_is_asked_by_a_button_with_its_token_alone(whole: Page) -> None:
    whole.facts = {"keeper": keeper(True)}
    assert "ask-city" in whole.read()
    assert whole.post("/ask-city").status_code == 403
    assert whole.asked == []
    assert whole.post("/ask-city", csrf=whole.csrf).status_code == 302
    assert whole.asked == ["city"]
    whole.hears = False
    assert whole.post("/ask-city", csrf=whole.csrf).status_code == 503
