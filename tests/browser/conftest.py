"""The browser at the owner's PC, and the page opened for the first time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import topology
from edge.lab.street import STATE, Street, eventually
from tests.browser import browser as inside

PASSWORD = "绿水青山就是金山银山！"
HOME = f"https://{topology.LAN_IP}"


class Browser:
    """Orders to the browser that a command starts."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, what: str, **order: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what} | order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())["answer"]
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{what} {order}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End it, at once: the owner's lid falls."""
        self._process.kill()
        self._process.wait(10)


@pytest.fixture
def browser(street: Street) -> Iterator[Browser]:
    if not inside.CHROMIUM.exists():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    eventually(lambda: street.runs("webui") and street.pid("webui"), 20, "the page's program")
    made = Browser(topology.inside("pc", sys.executable, "-m", "tests.browser.browser"))
    yield made
    made.close()


def first_code() -> str:
    command = [sys.executable, "-m", "edge.cli", "first-code", "--state", str(STATE)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def open_page(browser: Browser, url: str = HOME) -> None:
    """Go there as soon as somebody answers."""

    def there() -> bool:
        try:
            browser.do("goto", url=url)
        except AssertionError:
            return False
        return True

    eventually(there, 30, f"{url} answers")


@pytest.fixture
def inside_page(browser: Browser) -> Browser:
    """Logged in; the first time with a one-time code."""
    if not (Path(STATE) / "web" / "password.json").exists():
        open_page(browser, f"{HOME}/first")
        browser.do("fill", selector="[name=code]", text=first_code())
        for name in ("password", "again"):
            browser.do("fill", selector=f"[name={name}]", text=PASSWORD)
        browser.do("click", selector="form[action='/first'] button")
    else:
        open_page(browser, f"{HOME}/login")
        browser.do("fill", selector="[name=password]", text=PASSWORD)
        browser.do("click", selector="form[action='/login'] button")
    browser.do("wait", selector=".verdict")
    return browser
