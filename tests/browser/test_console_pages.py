"""The city's console in a real browser, over its real HTTPS: every page, both languages, a phone and a desk."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from city.registry import people
from city.registry.store import Store, open_store
from city.signing.client import over_socket
from tests import scene
from tests.browser import browser as inside
from tests.browser.conftest import Browser

pytestmark = pytest.mark.timeout(420)
START_SECONDS = 110.0
#: Where the screenshots go; into docs/pages when somebody wants to look at them.
SHOTS = Path(os.environ.get("SNOWGATE_SHOTS", "build/pages"))
SITE, SILENT = scene.site_id(3), scene.site_id(5)
#: name of a picture -> (who looks, path).
PAGES = {
    "overview": ("wangfang", "/"), "pending": ("wangfang", "/pending"), "sites": ("wangfang", "/sites"),
    "site": ("system", f"/sites/{SITE}"), "site-dark": ("security", f"/sites/{SILENT}"),
    "site-new": ("wangfang", "/sites/new"), "site-edit": ("wangfang", f"/sites/{SITE}/edit"),
    "concentrators": ("system", "/concentrators"), "templates": ("system", "/templates"),
    "template": ("wangfang", "/templates/街道/2"), "template-new": ("system", "/templates/new"),
    "rollouts": ("wangfang", "/rollouts"), "rollout": ("wangfang", "/rollouts/1"),
    "alerts": ("wangfang", "/alerts"), "alerts-security": ("security", "/alerts"), "keys": ("security", "/keys"),
    "people": ("security", "/people"), "account": ("look", "/account"), "audit": ("audit", "/audit?verify=1"),
    "health": ("system", "/health"), "county": ("xian-zhao", "/"), "refused": ("look", "/people"),
}  # fmt: skip


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "city", "--folder", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Store]]:
    """The city's server with a furnished registry: the console's address, and the registry."""
    folder = tmp_path_factory.mktemp("city")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    here = ("--address", "127.0.0.1", "--listen", "127.0.0.1", "--port", str(port))
    run(folder, "init", "--name", "江城市", *here)
    process = subprocess.Popen([sys.executable, "-m", "edge.cli", "city", "--folder", str(folder), "serve"])
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, "it ended"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.1)
        store = open_store(f"sqlite:///{folder / 'data' / 'city.sqlite'}", upgrade=False)
        scene.furnish(store, over_socket(folder / "socket" / "sign.sock"), time.time(), people.hashed(scene.PASSWORD))
        yield f"https://127.0.0.1:{port}/console", store
        store.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture
def city(served: tuple[str, Store]) -> str:
    """The console's address; its boxes have just spoken."""
    address, store = served
    scene.refresh(store, time.time())
    return address


@pytest.fixture
def browser() -> Iterator[Browser]:
    if not inside.CHROMIUM.exists():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    made = Browser([sys.executable, "-m", "tests.browser.browser"])
    yield made
    made.close()


def enter(browser: Browser, city: str, name: str) -> None:
    browser.do("goto", url=f"{city}/login")
    browser.do("fill", selector="[name=name]", text=name)
    browser.do("fill", selector="[name=password]", text=scene.PASSWORD)
    browser.do("click", selector="form[action='/console/login'] button")
    browser.do("wait", selector="a.me")


def leave(browser: Browser) -> None:
    browser.do("click", selector="form[action='/console/logout'] button")
    browser.do("wait", selector="[name=password]")


def look(browser: Browser, name: str) -> None:
    found = browser.do("axe")
    assert not [one for one in found if one["impact"] in ("serious", "critical")], f"{name}: {found}"
    assert browser.do("wide") <= 0, f"{name} is wider than the screen"
    browser.do("shot", path=str(SHOTS / f"city-{name}.png"))


def untoward(browser: Browser, city: str) -> list[str]:
    """What was asked of anybody else, and what the browser complained of: scripts, the policy, missing files."""
    told = [str(one) for one in browser.do("seen")]
    ours = (f"request {city}", f"request {city.removesuffix('/console')}/", "request data:")
    return [one for one in told if not one.startswith(ours) and "403 (FORBIDDEN)" not in one]


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_of_the_console_is_good_to_read(browser: Browser, city: str, width: int, language: str) -> None:
    """axe finds nothing serious, nothing is wider than the screen, nothing is asked of anybody else, no script fails."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    browser.do("size", width=width, height=844 if width < 500 else 900)
    browser.do("goto", url=f"{city}/login")
    if language == "en":
        browser.do("click", selector="form[action='/console/language'] button")
        browser.do("wait", selector="html[lang=en]")
        browser.do("goto", url=f"{city}/login")
    browser.do("seen")
    look(browser, f"login-{width}-{language}")
    before = ""
    for name, (who, path) in sorted(PAGES.items(), key=lambda each: each[1][0]):
        if who != before:
            if before:
                leave(browser)
            enter(browser, city, who)
            before = who
        browser.do("goto", url=city + path)
        look(browser, f"{name}-{width}-{language}")
    assert untoward(browser, city) == []


def test_dark_colours_are_as_easy_to_read(browser: Browser, city: str) -> None:
    browser.do("colours", scheme="dark")
    browser.do("size", width=1280, height=900)
    enter(browser, city, "security")
    for name, path in {"overview": "/", "site": f"/sites/{SITE}", "people": "/people"}.items():
        browser.do("goto", url=city + path)
        look(browser, f"{name}-night-1280-zh-CN")


def test_the_policy_is_alive(browser: Browser, city: str) -> None:
    """The control of what the walk rests on: a script from elsewhere is refused, and the browser says so."""
    enter(browser, city, "look")
    browser.do("seen")
    browser.do("inject", text="https://192.0.2.1/x.js")
    browser.do("inject", text="")
    assert [one for one in untoward(browser, city) if "Content Security Policy" in one]


def test_a_box_is_let_in_and_a_bundle_printed_by_hand(browser: Browser, city: str) -> None:
    """What a person does, click by click: the digits compared and entered, a site made, its code shown."""
    browser.do("size", width=390, height=844)
    enter(browser, city, "wangfang")
    browser.do("goto", url=f"{city}/pending")
    digits = browser.do("text", selector=".box .digits").replace(" ", "")
    assert re.fullmatch(r"[0-9]{6}", digits)
    card = f"article:has(a[href='/console/sites/{scene.WAITS}'])"
    browser.do("click", selector=f"{card} details.main summary")
    browser.do("fill", selector=f"{card} [name=code]", text=digits)
    browser.do("fill", selector=f"{card} details.main [name=reason]", text="电话核对无误")
    look(browser, "approving-390-zh-CN")
    browser.do("click", selector=f"{card} details.main button")
    browser.do("wait", selector=".done")
    assert browser.do("url").endswith(f"/sites/{scene.WAITS}?done=approved")
    browser.do("goto", url=f"{city}/sites/new")
    for field, text in {
        "id": "34020200002008000999",
        "name": "滨江公园",
        "civil_code": "34020201",
        "reason": "新装",
    }.items():
        browser.do("fill", selector=f"[name={field}]", text=text)
    browser.do("click", selector="form.form button")
    browser.do("wait", selector=".done")
    browser.do("click", selector="details.act:has([name=days]) summary")
    browser.do("fill", selector="details.act:has([name=days]) [name=reason]", text="交安装队")
    browser.do("click", selector="details.act:has([name=days]) button")
    browser.do("wait", selector=".scan svg")
    browser.do("wait", selector="[data-print]:not([hidden])")
    look(browser, "bundle-390-zh-CN")
    browser.do("size", width=1280, height=900)
    look(browser, "bundle-1280-zh-CN")
    assert untoward(browser, city) == []


def test_a_concentrator_is_added_and_an_alert_acknowledged_by_hand(browser: Browser, city: str) -> None:
    browser.do("size", width=390, height=844)
    enter(browser, city, "system")
    browser.do("goto", url=f"{city}/concentrators")
    form = "details.act:has([name=prepared])"
    browser.do("click", selector=f"{form} summary")
    said = scene.prepared() | {"name": "城南", "plane": "wg-c", "endpoint": "192.0.2.7:51820", "reason": "新机房"}
    for field, text in said.items():
        browser.do("fill", selector=f"{form} [name={field}]", text=text)
    look(browser, "concentrator-adding-390-zh-CN")
    browser.do("click", selector=f"{form} button")
    browser.do("wait", selector="#file-3")
    browser.do("wait", selector="[data-copy=file-1]:not([hidden])")
    assert "BEGIN CERTIFICATE" in browser.do("text", selector="#file-1")
    look(browser, "concentrator-added-390-zh-CN")
    browser.do("size", width=1280, height=900)
    look(browser, "concentrator-added-1280-zh-CN")
    browser.do("goto", url=f"{city}/alerts")
    act = "details.act:has(form[action$=acknowledge])"
    browser.do("click", selector=f"{act} summary")
    browser.do("fill", selector=f"{act} [name=reason]", text="已派人查看")
    browser.do("click", selector=f"{act} button")
    browser.do("wait", selector=".done")
    assert "已派人查看" in browser.do("text", selector=".seen")
    assert untoward(browser, city) == []
