"""What the owner lets the city do, camera by camera; who is connected; what was ordered: each page, in both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge.lab import topology
from edge.records.types import ACTIONS, RIGHTS
from netconf.check import read_site
from netconf.model import Site
from webui import app as app_room
from webui import peers as peers_room
from webui.accounts import Accounts, first_code
from webui.app import NEVER, Box, create_app
from webui.changes import Changes
from webui.peers import peers
from webui.words import word

TEXT = Path(topology.__file__).with_name("site.toml").read_text(encoding="utf-8")
RECORDER, SHARED, INSIDE = "34020000001180000001", "34020000001310000001", "34020000001310000002"
ORIGIN = "https://192.168.1.2"
NAMED = {"recorder": RECORDER, "id": SHARED}


def site_of(text: str) -> Site:
    site, found = read_site(text)
    assert site is not None, found
    return site


SITE = site_of(TEXT.replace('rights = ["live"]', 'rights = ["live", "ptz"]'))


class Page:
    """A browser without scripts, logged in, and what came to the keeper."""

    def __init__(self, folder: Path, keeper: Any, site: Site = SITE) -> None:
        self.asked: list[Any] = []
        self.later: list[Any] = []
        self.facts: dict[str, Any] = {"keeper": {"change": {"revision": 6}}}
        self.history: list[dict[str, Any]] | None = []

        def put(request: Any) -> Any:
            self.asked.append(request)
            return keeper(request)

        accounts = Accounts(folder, lambda: 1_800_000_000.0)
        assert accounts.set_first(first_code(folder, 1_800_000_000.0), "correct horse battery", "a") is None
        box = Box(lambda: site, lambda: self.facts, lambda: self.history, lambda: True, "AA:BB")
        made = create_app(box, accounts, Changes(put, lambda _, thing: self.later.append(thing)), lambda *_: None)
        self.client = made.test_client()
        self.post("/login", {"password": "correct horse battery"})
        (session,) = accounts.sessions.values()
        self.csrf = session.csrf

    def get(self, path: str, language: str = "zh-CN") -> str:
        return str(self.client.get(path, base_url=ORIGIN, headers={"Accept-Language": language}).get_data(as_text=True))

    def post(self, path: str, form: dict[str, Any]) -> Any:
        return self.client.post(path, base_url=ORIGIN, data=form, headers={"Origin": ORIGIN})


@pytest.fixture
def page(tmp_path: Path) -> Page:
    from edge.control.wire import Confirm, Done, Waiting

    return Page(tmp_path, lambda asked: Done() if isinstance(asked, Confirm) else Waiting(7, "a" * 32, 60))


def test_the_rights_asked_for_are_proposed_like_the_sharing(page: Page) -> None:
    answer = page.post("/cameras/rights", NAMED | {"csrf": page.csrf, "allow": ["ptz", "live"]})
    assert answer.status_code == 200
    page.later.pop()()
    (asked,) = page.asked
    channels = json.loads(asked.layer_text)["channel"]
    assert [channel["allow"] for channel in channels] == [["live", "ptz"], ["live"]]
    assert [channel["share"] for channel in channels] == [True, False], "nothing else is changed"
    assert asked.base == 6


def test_nothing_at_all_can_be_allowed(page: Page) -> None:
    page.post("/cameras/rights", NAMED | {"csrf": page.csrf})
    page.later.pop()()
    assert json.loads(page.asked[0].layer_text)["channel"][0]["allow"] == []


@pytest.mark.parametrize(
    ("form", "status"),
    [
        (NAMED | {"allow": ["live", "TeleBoot"]}, 400),
        (NAMED | {"allow": ["live"], "id": "34020000001310000009"}, 400),
        ({"allow": ["live"]}, 400),
        (NAMED | {"allow": ["live"], "csrf": "another's"}, 403),
    ],
)
def test_another_form_changes_nothing(page: Page, form: dict[str, Any], status: int) -> None:
    assert page.post("/cameras/rights", {"csrf": page.csrf} | form).status_code == status
    assert page.later == []


def test_a_browser_without_scripts_confirms_with_a_button(page: Page) -> None:
    shown = page.post("/cameras/rights", NAMED | {"csrf": page.csrf, "allow": ["live"]}).get_data(as_text=True)
    quiet = re.search(r"<noscript>.*?</noscript>", shown, re.DOTALL)
    assert quiet is not None
    secret = re.search(r'name="secret" value="([0-9a-f]{32})"', quiet[0])
    assert secret is not None
    form = {"secret": secret[1], "page": "1"}
    early = page.post("/keep", form).get_data(as_text=True)
    assert word("state_working", "zh-CN") in early
    assert secret[1] in early, "the button is there again"
    page.later.pop()()
    done = page.post("/keep", form).get_data(as_text=True)
    assert word("state_kept", "zh-CN") in done
    assert secret[1] not in done
    assert word("state_unknown", "zh-CN") in page.post("/keep", {"secret": "0" * 32, "page": "1"}).get_data(
        as_text=True
    )


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_cameras_page_says_what_counts_and_what_never_passes(page: Page, language: str) -> None:
    shown = page.get("/cameras", language)
    assert word("two_keys", language).replace("'", "&#39;") in shown
    for command in NEVER:
        assert f"({command})" in shown
    assert shown.count('type="checkbox"') == len(RIGHTS), "one camera is shared"
    assert shown.count(word("city_asks", language) + "</span>") == 2
    assert shown.count(word("city_asks_not", language) + "</span>") == 5
    assert re.findall(r'value="(\w+)" checked', shown) == ["live"]


def test_what_the_city_may_is_what_both_grant(tmp_path: Path) -> None:
    both = TEXT.replace('rights = ["live"]', 'rights = ["playback", "ptz"]')
    site = site_of(both.replace("share = true", 'share = true\nallow = ["live", "ptz"]'))
    shown = Page(tmp_path, None, site).get("/cameras", "en")
    summary = re.search(r"The city may: <strong>(.*?)</strong>", shown)
    assert summary is not None
    assert summary[1] == word("right_ptz", "en")


def test_every_right_and_every_action_has_words() -> None:
    keys = [f"right_{right}" for right in RIGHTS] + [f"about_{right}" for right in RIGHTS]
    keys += [f"action_{action}" for action in (*ACTIONS, "records", "presets")]
    keys += [f"never_{command.split()[-1]}" for command in NEVER]
    for key in keys:
        assert word(key, "en") != key
        assert word(key, "zh-CN") not in (key, word(key, "en"))
    assert app_room.RIGHTS == RIGHTS


SIDE = {
    "recorders": {RECORDER: True},
    "editions": {RECORDER: 2022},
    "deviations": {RECORDER: {"no_subject": 2, "charset_wrong": 40}},
}
ID = SITE.platform[0].id
CITY = {"platforms": {ID: {"registered": True, "edition": 2022, "deviations": {ID: {"branch_form": 3}}}}}


def test_who_is_connected_is_what_the_two_sides_say() -> None:
    city, recorder = peers(SITE, {"siteside": SIDE, "cityside": CITY})
    assert (city.kind, city.there, city.edition, city.deviations) == ("city", True, 2022, (("branch_form", 3),))
    assert recorder.deviations == (("charset_wrong", 40), ("no_subject", 2)), "the commonest first"
    assert (recorder.there, recorder.edition, recorder.reading) == (True, 2022, "lenient")


def test_two_platforms_are_two_peers_and_either_may_ask_for_a_right() -> None:
    other = SITE.platform[0].model_copy(update={"id": "34020000002000000002", "rights": ("alarms",)})
    site = SITE.model_copy(update={"platform": (SITE.platform[0], other)})
    told = {"platforms": CITY["platforms"] | {other.id: {"registered": False, "edition": 2016}}}
    first, second, _ = peers(site, {"cityside": told})
    assert (first.there, second.there, second.edition) == (True, False, None)
    assert peers_room.asked_rights(site) == {"live", "ptz", "alarms"}


def test_nobody_is_there_while_the_sides_say_nothing() -> None:
    assert [(peer.there, peer.edition, peer.deviations) for peer in peers(SITE, {})] == [(False, None, ())] * 2


@pytest.mark.parametrize(
    ("language", "said"), [("zh-CN", "消息体实际字符集与声明不符。"), ("en", "another charset than it declares")]
)
def test_the_page_of_peers_has_a_sentence_and_a_count(page: Page, language: str, said: str) -> None:
    page.facts |= {"siteside": SIDE, "cityside": CITY}
    shown = page.get("/peers", language)
    assert said in shown
    assert word("times", language, count=40) in shown
    assert "GB/T 28181-2022" in shown


WHO = {"viewer": "34020000002000000001-张三", "organisation": "34020000002000000001", "level": "city"}
LINE = NAMED | {"channel": SHARED, "time": "2026-10-01T02:03:04+00:00"} | WHO


def test_orders_are_told_as_plain_lines(page: Page) -> None:
    page.history = [
        LINE | {"event": "ordered", "kind": "ptz", "action": "preset_call", "result": "ordered", "reason": ""},
        LINE
        | {"event": "refused", "kind": "ptz", "action": "move", "result": "refused", "reason": "right_not_allowed"},
    ]
    shown = page.get("/viewers")
    assert "2026-10-01 10:03:04" in shown, "Beijing time"
    assert "34020000002000000001-张三 · 市级：调用预置位，北门。" in shown
    assert "业主未允许在该摄像机上进行此操作。" in shown
    assert word("nobody", "zh-CN") in shown, "orders are no views"


def test_a_playback_says_which_hours_and_a_talk_has_no_amount(page: Page) -> None:
    ended = LINE | {"event": "ended", "result": "viewed", "reason": "ended_normally", "bytes": 5_000_000, "packets": 1}
    page.history = [ended | {"kind": "playback", "start": 1_790_000_000, "end": 1_790_003_600}]
    shown = page.get("/viewers", "en")
    assert '2026-09-21 22:13:20 –</span> <span class="whole">2026-09-21 23:13:20' in shown
    assert "5.0 MB" in shown
    page.history = [ended | {"kind": "talk", "bytes": 0}]
    shown = page.get("/viewers", "en")
    assert word("right_talk", "en") in shown
    assert word("bytes", "en") not in shown
