"""What the owner sees and does, in a real browser at the owner's PC."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import topology
from edge.lab.orders import order
from edge.lab.street import RUN, STATE, Street, eventually
from tests.browser.conftest import HOME, Browser, open_page
from tests.conftest import whole

ORDERS = RUN / "city.sock"
NEW = "192.168.1.3"
PAGES = {"overview": "/", "cameras": "/cameras", "peers": "/peers", "viewers": "/viewers", "changes": "/changes"}
#: Where the screenshots go; into docs/pages when somebody wants to look at them.
SHOTS = Path(os.environ.get("SNOWGATE_SHOTS", "build/pages"))


def lan_address() -> str:
    return str(json.loads((RUN / "keeper" / "site.json").read_bytes())["lan"]["address"])


def change(street: Street) -> dict[str, Any]:
    found: dict[str, Any] = street.status()["keeper"]["change"]
    return found


@pytest.fixture
def at_home(street: Street) -> Iterator[None]:
    """Whatever a test does to the address, the street has its own again afterwards."""
    yield
    eventually(lambda: change(street)["state"] == "steady", 90, "no change waits")
    if not lan_address().startswith(topology.LAN_IP):
        street.apply((RUN / "applied.toml").read_text(encoding="utf-8"))
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 90, "the recorder")
    eventually(lambda: street.said("ferry").get("sides") == ["city", "site"], 20, "both sides")


def ask_for(browser: Browser, address: str) -> None:
    browser.do("goto", url=f"{HOME}/changes")
    browser.do("fill", selector="[name=address]", text=f"{address}/24")
    browser.do("click", selector="form[action='/changes'] button")
    browser.do("wait", selector="[data-change]")


def test_the_address_is_changed_and_the_browser_confirms_from_the_new_one(
    street: Street, inside_page: Browser, at_home: None
) -> None:
    ask_for(inside_page, NEW)
    inside_page.do("wait", selector="[data-change=kept]", seconds=50)
    assert inside_page.do("url").startswith(f"https://{NEW}/keep")
    assert lan_address() == f"{NEW}/24"
    assert change(street)["state"] == "steady"


def test_with_the_browser_gone_the_old_address_comes_back(street: Street, inside_page: Browser, at_home: None) -> None:
    revision = change(street)["revision"]
    ask_for(inside_page, NEW)
    inside_page.close()
    eventually(lambda: lan_address() == f"{NEW}/24", 20, "the new address, for now")
    eventually(lambda: lan_address() == f"{topology.LAN_IP}/24", 90, "the old address")
    eventually(lambda: change(street)["state"] == "steady", 10, "steady")
    assert change(street)["revision"] == revision
    assert change(street)["failed"][-1]["reason"] == "not_confirmed"


def test_with_the_power_gone_in_between_the_old_address_is_there_after_the_boot(
    street: Street, inside_page: Browser, at_home: None
) -> None:
    """The keeper is killed while the change waits; a boot is its start with nothing but the disk (kernel included)."""
    ask_for(inside_page, NEW)
    inside_page.close()
    eventually(lambda: change(street)["state"] == "waiting", 20, "the change waits")
    assert lan_address() == f"{NEW}/24"
    street.kill("keeper")
    eventually(lambda: street.status().get("keeper", {}).get("change", {}).get("state") == "steady", 20, "back")
    assert lan_address() == f"{topology.LAN_IP}/24"
    assert change(street)["failed"][-1]["reason"] == "power_lost"


@pytest.fixture
def told(street: Street, at_home: None) -> Iterator[Street]:
    """A street whose stand-in proves as it is told, and all is green again afterwards."""
    yield street
    street.proof("green")


@pytest.mark.parametrize("width", [390, 1280])
def test_a_change_that_is_being_proven_is_shown_as_that(told: Street, inside_page: Browser, width: int) -> None:
    told.proof("hang")
    inside_page.do("size", width=width, height=844)
    ask_for(inside_page, NEW)
    inside_page.do("wait", selector="[data-proof]:not([hidden])")
    text = inside_page.do("text", selector=".verdict")
    assert "正在验证规则" in text
    assert "最多还需" in text
    look(inside_page, f"proving-{width}-zh-CN")
    assert lan_address() == f"{topology.LAN_IP}/24"
    assert change(told)["state"] == "proving"
    subprocess.run([sys.executable, "-m", "edge.cli", "reject", "--run", str(RUN)], check=True, timeout=30)
    inside_page.do("wait", selector="[data-change=refused]")
    assert "变更已按要求撤销" in inside_page.do("text", selector=".verdict")


def test_a_change_that_fails_its_proof_is_told_where_it_was_made(told: Street, inside_page: Browser) -> None:
    told.proof("red")
    ask_for(inside_page, NEW)
    inside_page.do("wait", selector="[data-change=refused]")
    assert inside_page.do("url").startswith(HOME)
    assert "此项变更的规则未通过验证" in inside_page.do("text", selector=".verdict")
    assert lan_address() == f"{topology.LAN_IP}/24"
    inside_page.do("goto", url=f"{HOME}/changes")
    assert "此项变更的规则未通过验证" in inside_page.do("text", selector="main")


def test_the_sharing_switch_reaches_the_city(street: Street, inside_page: Browser) -> None:
    channel = next(c for c in street.site.channel if c.share) if street.site else None
    assert channel is not None

    def shown() -> bool:
        found = order(ORDERS, "catalog")["channels"]
        return any(name == channel.name for name, _ in found.values())

    eventually(shown, 30, "the camera in the city's catalog")
    for expected in (False, True):
        inside_page.do("goto", url=f"{HOME}/cameras")
        inside_page.do("click", selector=f"form:has([name=id][value='{channel.id}']) button")
        inside_page.do("wait", selector="[data-change=kept]", seconds=50)
        eventually(lambda expected=expected: shown() is expected, 60, f"shared: {expected}")


def allowed(channel: str) -> list[str]:
    channels = json.loads((RUN / "keeper" / "site.json").read_bytes())["channel"]
    return next(list(each["allow"]) for each in channels if each["id"] == channel)


def switch_live(street: Street, browser: Browser, channel: str) -> None:
    """Press the box before "live", save, and wait until every program lives with it."""
    programs = ("siteside", "cityside", "ferry")
    starts = {name: street.starts(name) for name in programs}
    browser.do("goto", url=f"{HOME}/cameras")
    form = f"form[action='/cameras/rights']:has([name=id][value='{channel}'])"
    browser.do("click", selector=f"details.rights:has([name=id][value='{channel}']) summary")
    browser.do("click", selector=f"{form} [value=live]")
    browser.do("click", selector=f"{form} button")
    browser.do("wait", selector="[data-change=kept]", seconds=50)
    eventually(lambda: all(street.starts(name) > starts[name] for name in programs), 60, "each has begun anew")
    eventually(lambda: whole(street), 90, "the whole street")


def test_a_right_taken_away_refuses_the_citys_view(street: Street, inside_page: Browser, channel: str) -> None:
    """The owner's half of the two keys, at one camera that stays shared."""
    shared = next(c for c in street.site.channel if c.share) if street.site else None
    assert shared is not None
    before = allowed(shared.id)
    assert "live" in before
    switch_live(street, inside_page, shared.id)
    try:
        assert allowed(shared.id) == [right for right in before if right != "live"]
        order(ORDERS, f"play {channel}")
        eventually(lambda: order(ORDERS, "facts")["status"] == 403, 20, "the city is refused")
        eventually(lambda: street.said("ferry")["counters"].get("right_not_allowed") == 1, 10, "by this rule")

        def told() -> bool:
            inside_page.do("goto", url=f"{HOME}/viewers")
            return "业主未允许在该摄像机上进行此操作。" in inside_page.do("text", selector="main")

        eventually(told, 20, "the refusal among the receipts")
    finally:
        switch_live(street, inside_page, shared.id)
    assert sorted(allowed(shared.id)) == sorted(before)


def test_who_is_connected_and_how_it_speaks_is_shown(street: Street, inside_page: Browser) -> None:
    def shown() -> str:
        inside_page.do("goto", url=f"{HOME}/peers")
        return str(inside_page.do("text", selector="main"))

    eventually(lambda: "已注册" in shown() and "在线" in shown(), 60, "both sides of the box")
    text = shown()
    assert "GB/T 28181-2016" in text
    assert "与国标不符之处" in text


def test_a_camera_inside_the_premises_has_no_switch(street: Street, inside_page: Browser) -> None:
    inside_page.do("goto", url=f"{HOME}/cameras")
    text = inside_page.do("text", selector="main")
    assert "单位内部的摄像机不能共享。" in text
    assert "值班室" in text


def test_what_is_broken_is_named(street: Street, inside_page: Browser) -> None:
    """The city's platform is away: the owner reads where the path is broken; with it back all is well."""
    eventually(lambda: "一切正常" in verdict(inside_page), 60, "all is well")
    street.stop_program("city")
    try:
        eventually(lambda: "市级平台的 SIP 地址无服务监听" in verdict(inside_page), 90, "the city is named")
        assert "拒绝连接" in verdict(inside_page), "the evidence"
        assert "请市级平台检查 SIP 服务是否运行" in verdict(inside_page), "the next step"
        path = inside_page.do("text", selector="ol.path li.bad")
        assert "市级平台" in path
        assert "异常" in path
    finally:
        street.resume_program("city")
    eventually(lambda: "一切正常" in verdict(inside_page), 120, "all is well again")


def verdict(browser: Browser) -> str:
    browser.do("goto", url=HOME)
    return str(browser.do("text", selector=".verdict"))


def test_who_is_watching_is_shown(street: Street, inside_page: Browser, playing: str) -> None:
    inside_page.do("goto", url=f"{HOME}/viewers")
    text = inside_page.do("text", selector="main")
    assert "北门" in text
    assert "未声明" in text


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_is_good_to_read(
    street: Street, inside_page: Browser, playing: str, width: int, language: str
) -> None:
    """axe finds nothing serious, nothing is wider than the screen, nothing is asked of anybody else, no script fails."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    inside_page.do("size", width=width, height=844 if width < 500 else 900)
    if language == "en":
        inside_page.do("click", selector="form[action='/language'] button")
        inside_page.do("wait", selector="html[lang=en]")
    inside_page.do("seen")
    for name, path in PAGES.items():
        inside_page.do("goto", url=HOME + path)
        look(inside_page, f"{name}-{width}-{language}")
    inside_page.do("click", selector="form[action='/logout'] button")
    inside_page.do("wait", selector="[name=password]")
    look(inside_page, f"login-{width}-{language}")
    inside_page.do("goto", url=f"{HOME}/first")
    look(inside_page, f"first-{width}-{language}")
    told = inside_page.do("seen")
    assert not [one for one in told if not one.startswith(f"request {HOME}/") and not one.startswith("request data:")]


def look(browser: Browser, name: str) -> None:
    found = browser.do("axe")
    assert not [one for one in found if one["impact"] in ("serious", "critical")], f"{name}: {found}"
    assert browser.do("wide") <= 0, name
    browser.do("shot", path=str(SHOTS / f"{name}.png"))


def test_u11_a_recorder_and_the_uplink_do_not_reach_the_page(street: Street, browser: Browser) -> None:
    open_page(browser, f"{HOME}/login")  # the control: the owner's PC does
    for host, reaches in (("pc", True), ("nvr", False), ("nvr2", False), ("internet", False), ("city", False)):
        for address in (topology.LAN_IP, topology.WAN_IP, topology.TUNNEL_IP):
            expected = reaches and address == topology.LAN_IP
            assert connects(host, address) is expected, f"{host} to {address}"


def connects(host: str, address: str) -> bool:
    code = f"import socket; socket.create_connection(('{address}', 443), 1.5)"
    command = topology.inside(host, sys.executable, "-c", code)
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0


def test_the_page_keeps_no_password_and_no_code_in_clear(inside_page: Browser) -> None:
    from tests.browser.conftest import PASSWORD

    kept = b"".join(path.read_bytes() for path in (Path(STATE) / "web").iterdir())
    assert PASSWORD.encode() not in kept
    cookies = {cookie["name"]: cookie for cookie in inside_page.do("cookies")}
    session = cookies["__Host-session"]
    assert session["httpOnly"]
    assert session["secure"]
    assert session["sameSite"] == "Strict"
    assert session["value"].encode() not in (RUN / "webui" / "kept.json").read_bytes()
