"""The page under attack from the site's own network, case by case; each refusal beside the same thing done rightly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from edge.control.wire import Confirm, Done, Propose, Refusal, Reject, Waiting
from edge.io.log import Log
from edge.lab import topology
from netconf import layers
from netconf.check import read_site
from netconf.finding import finding
from netconf.proposal import Layers, of_owner, site_of
from webui import accounts as accounts_room
from webui.accounts import LOCK_SECONDS, Accounts, first_code
from webui.app import COOKIE, Box, create_app
from webui.changes import Changes

SITE, _ = read_site(Path(topology.__file__).with_name("site.toml").read_text(encoding="utf-8"))
assert SITE is not None
HOST = str(SITE.lan.address.ip)
ORIGIN = f"https://{HOST}"
PASSWORD = "correct horse battery"


@dataclass
class Page:
    """The application, its clock, and what it put to the keeper."""

    client: FlaskClient
    accounts: Accounts
    folder: Path
    now: list[float]
    asked: list[Any] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, base_url=ORIGIN, **more)

    def post(self, path: str, form: dict[str, str], address: str = "192.168.1.66", **headers: str) -> Any:
        sent = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        kept = {name: value for name, value in sent.items() if value != "-"}
        return self.client.post(path, base_url=ORIGIN, data=form, headers=kept, environ_base={"REMOTE_ADDR": address})

    def enter(self) -> str:
        """Log in; return the session's CSRF token."""
        self.post("/login", {"password": PASSWORD})
        (session,) = self.accounts.sessions.values()
        return session.csrf


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    now = [1_800_000_000.0]
    made = Accounts(tmp_path, lambda: now[0])
    asked: list[Any] = []
    said: list[tuple[str, str]] = []

    def keeper(request: Any) -> Any:
        asked.append(request)
        if isinstance(request, Propose) and "refuse-me" in request.layer_text:
            return Refusal("site_refused", (finding("interface_form", "/lan/address"),))
        return Waiting(7, "a" * 32, 60) if isinstance(request, Propose) else Done()

    facts: dict[str, Any] = {"keeper": {"change": {"revision": 6, "failed": []}}}
    box = Box(lambda: SITE, lambda: facts, list, lambda: True, "AA:BB")
    app = create_app(box, made, Changes(keeper, lambda _, thing: thing()), lambda *line: said.append(line))
    assert made.set_first(first_code(tmp_path, now[0]), PASSWORD, "192.168.1.66") is None
    yield Page(app.test_client(), made, tmp_path, now, asked, said, facts)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "192.168.1.2.nip.io",
        "0xc0a80102",
        "3232235778",
        "192.168.1.2.",
        "192.168.1.2:444",
        "localhost",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/login", "/", "/static/app.js"])
def test_u01_another_host_is_refused_everywhere(page: Page, host: str, path: str) -> None:
    answer = page.client.get(path, base_url=ORIGIN, headers={"Host": host, "X-Forwarded-Host": HOST})
    assert answer.status_code == 421
    assert "Set-Cookie" not in answer.headers
    assert page.get(path).status_code in (200, 302), "the control"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://a.192.168.1.2"},
        {"Origin": f"http://{HOST}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "-", "Sec_Fetch_Site": "-"},
        {"Origin": "-", "Sec_Fetch_Site": "none"},
    ],
)
def test_u02_a_form_of_another_page_changes_nothing(page: Page, headers: dict[str, str]) -> None:
    csrf = page.enter()
    form = {"csrf": csrf, "recorder": "34020000001180000001", "id": "34020000001310000001", "share": "off"}
    assert page.post("/cameras", form, **headers).status_code == 403
    assert page.asked == []
    assert page.post("/cameras", form).status_code == 200, "the control"
    assert len(page.asked) == 1


def test_u02_without_its_token_or_by_get_nothing_changes(page: Page) -> None:
    csrf = page.enter()
    form = {"recorder": "34020000001180000001", "id": "34020000001310000001", "share": "off"}
    for wrong in ({}, {"csrf": ""}, {"csrf": csrf[:-1]}, {"csrf": csrf + "x"}):
        assert page.post("/cameras", form | wrong).status_code == 403
    assert page.get("/cameras?share=off&id=34020000001310000001&recorder=34020000001180000001").status_code == 200
    for path in ("/logout", "/keep", "/undo", "/state"):
        assert page.get(path).status_code in (200, 404, 405)
    assert page.asked == []


def test_u03_five_wrong_passwords_and_the_address_waits_while_others_do_not(page: Page) -> None:
    guesser = "192.168.1.70"
    for _ in range(5):
        assert page.post("/login", {"password": "wrong wrong"}, guesser).status_code == 403
    locked = page.post("/login", {"password": PASSWORD}, guesser)
    assert locked.status_code == 429
    assert "300" in locked.text
    assert page.post("/login", {"password": PASSWORD}).status_code == 302, "the owner's own address is not locked"
    page.now[0] += LOCK_SECONDS + 1
    assert page.post("/login", {"password": PASSWORD}, guesser).status_code == 302
    assert ("page_locked", guesser) in page.said


def test_u03_there_is_no_password_before_the_code_and_the_code_is_good_once_and_for_a_day(tmp_path: Path) -> None:
    now = [1000.0]
    made = Accounts(tmp_path, lambda: now[0])
    assert not made.has_password
    assert made.enter("", "a") is None
    assert made.enter("admin", "a") is None
    code = first_code(tmp_path, now[0])
    assert made.set_first(code, "short", "b") == "password_length"
    assert made.set_first(code, "aaaaaaaaaaaa", "b") == "password_simple"
    assert made.set_first("WRONG234", PASSWORD, "b") == "code_wrong"
    late = first_code(tmp_path, now[0])
    assert made.set_first(code, PASSWORD, "b") == "code_wrong", "a new code ends the one before"
    now[0] += 86_401
    assert made.set_first(late, PASSWORD, "c") == "code_wrong", "a day is over"
    good = first_code(tmp_path, now[0])
    assert made.set_first(good.lower(), PASSWORD, "c") is None
    assert made.set_first(good, PASSWORD, "d") == "code_wrong", "once"
    assert PASSWORD.encode() not in (tmp_path / "password.json").read_bytes()


def test_u04_a_session_is_new_at_each_login_dead_after_logout_idleness_and_age(page: Page) -> None:
    page.client.set_cookie(COOKIE, "fixed-before", domain=HOST)
    page.enter()
    one = page.client.get_cookie(COOKIE, domain=HOST)
    assert one is not None
    assert one.value != "fixed-before"
    assert page.get("/").status_code == 200
    csrf = page.accounts.session(one.value)
    assert csrf is not None
    page.post("/logout", {"csrf": csrf.csrf})
    page.client.set_cookie(COOKIE, one.value, domain=HOST)
    assert page.get("/").status_code == 302, "the old cookie is worth nothing"
    for seconds in (1801, 12 * 3600 + 1):
        page.post("/login", {"password": PASSWORD})
        assert page.get("/").status_code == 200
        page.now[0] += seconds
        assert page.get("/").status_code == 302


def test_u04_sessions_are_few_and_end_with_a_new_password(page: Page) -> None:
    for _ in range(12):
        page.post("/login", {"password": PASSWORD})
    assert len(page.accounts.sessions) == accounts_room.MOST_SESSIONS
    assert page.accounts.set_first(first_code(page.folder, page.now[0]), "another good one", "x") is None
    assert page.accounts.sessions == {}


@pytest.mark.parametrize(
    "text", [";reboot", "$(id)", "a\nb", "../", "fe80::1%eth0;id", "-x", "0x0a000001", "10.1", "0.0.0.0/0"]
)
def test_u05_what_the_owner_types_reaches_the_keeper_as_text_in_a_typed_layer(page: Page, text: str) -> None:
    csrf = page.enter()
    form = {"csrf": csrf, "address": text, "owner_networks": text, "uplink_address": text, "gateway": text}
    assert page.post("/changes", form).status_code == 200
    (asked,) = page.asked
    layer = json.loads(asked.layer_text)
    assert layer["lan"]["address"] == text.strip()
    assert SITE is not None
    owner, city = layers.split(SITE)
    site, findings = site_of(of_owner(asked.layer_text, Layers(owner, city, (0, 0))))
    assert site is None, "no such address is taken"
    assert {one.path.split("/")[1] for one in findings} <= {"lan", "uplink"}


def test_u07_what_is_not_on_the_form_is_not_taken(page: Page) -> None:
    csrf = page.enter()
    form = {
        "csrf": csrf, "recorder": "34020000001180000001", "id": "34020000001310000001", "share": "on", "coverage": "A",
        "platform": "x", "is_admin": "1",
    }  # fmt: skip
    page.post("/cameras", form)
    (asked,) = page.asked
    layer = json.loads(asked.layer_text)
    assert set(layer) == {"channel"}
    assert {channel["coverage"] for channel in layer["channel"]} == {"A", "B"}
    for wrong in ({"id": "9" * 20}, {"share": "maybe"}, {"recorder": ""}):
        assert page.post("/cameras", form | wrong).status_code == 400


def test_u08_sizes_and_strange_paths_are_refused(page: Page) -> None:
    assert page.post("/login", {"password": "x" * 200_000}).status_code == 413
    for path in ("/%2e%2e/etc/passwd", "/static/../app.py", "/static/%2e%2e/app.py", "/\0", "/nothing"):
        assert page.get(path).status_code in (302, 400, 404)
    answer = page.post("/language", {"to": "en", "back": "//evil.example"})
    assert answer.headers["Location"] == "/"


def test_u10_a_log_line_is_one_line_whatever_is_in_it() -> None:
    import io

    out = io.StringIO()
    log = Log("webui", out)
    log.say("page_password_wrong", 'x\r\n{"at": "forged"}\x1b[31m' + "y" * 10_000)
    (line,) = out.getvalue().splitlines()
    told = json.loads(line)
    assert told["program"] == "webui"
    assert len(line) < 600
    assert "\x1b" not in line


def test_u11_a_recorder_may_not_open_the_page(page: Page) -> None:
    for recorder, status in (("192.168.1.10", 403), ("192.168.1.66", 200)):
        answer = page.client.get("/login", base_url=ORIGIN, environ_base={"REMOTE_ADDR": recorder})
        assert answer.status_code == status


def test_every_answer_binds_the_browser(page: Page) -> None:
    for path in ("/login", "/nothing", "/static/app.js"):
        headers = page.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert page.get("/login").headers["Cache-Control"] == "no-store"
    for cookie in page.post("/login", {"password": PASSWORD}).headers.getlist("Set-Cookie"):
        assert cookie.startswith("__Host-session=")
        assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"))


def test_a_change_is_kept_by_the_browsers_own_secret_alone(page: Page) -> None:
    csrf = page.enter()
    form = {"csrf": csrf, "recorder": "34020000001180000001", "id": "34020000001310000001", "share": "off"}
    text = page.post("/cameras", form).text
    secret = text.partition('data-secret="')[2].partition('"')[0]
    assert "a" * 32 not in text, "the keeper's token stays on the box"
    assert page.post("/keep", {"secret": "0" * 32}).status_code == 404
    assert page.post("/keep", {"secret": secret}).json["state"] == "kept"
    assert page.asked[-1] == Confirm("a" * 32)
    assert not any(isinstance(one, Reject) for one in page.asked)


def test_what_the_keeper_refuses_is_said_with_its_place(page: Page) -> None:
    csrf = page.enter()
    form = {"csrf": csrf, "address": "refuse-me", "owner_networks": "", "uplink_address": "", "gateway": ""}
    text = page.post("/changes", form).text
    secret = text.partition('data-secret="')[2].partition('"')[0]
    told = page.post("/state", {"secret": secret}, Accept_Language="en").json
    assert told["state"] == "refused"
    assert "/lan/address" in told["text"]
