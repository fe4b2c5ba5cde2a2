"""The owner reads cause, evidence and next step, in his language, where on the path they lie, each once."""

from __future__ import annotations

import copy
import html
from typing import Any

import pytest

from netconf import words
from netconf.finding import finding
from tests.unit.edge.faults.test_causes import SERVER, WELL, lost, view
from tests.unit.webui.test_guard import Page, page

__all__ = ["page"]
NOW = {"monotonic": 10_000.0}


def well() -> dict[str, Any]:
    said = copy.deepcopy(WELL) | NOW
    said["keeper"] |= {"findings": [], "change": {"revision": 6}}
    said["ferry"]["sides"] = ["city", "site"]
    return said


def text(page: Page, facts: dict[str, Any], language: str) -> str:
    page.facts.clear()
    page.facts.update(facts)
    page.client.set_cookie("language", language, domain="192.168.1.2", secure=True)
    answer = page.get("/")
    assert answer.status_code == 200
    return html.unescape(answer.get_data(as_text=True))


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_overview_says_why(page: Page, language: Any) -> None:
    page.enter()
    shown = text(page, well(), language)
    assert words.TABLE["city_port_refused"].en not in shown
    assert 'class="verdict bad' not in shown
    facts = well() | {"cityside": lost("dial_refused")["cityside"], "siteside": view("no_media")["siteside"]}
    shown = text(page, facts, language)
    about = {"recorder": "34020000001180000001", "channel": "北门", "port": 30004, "agreed": "192.168.1.10"}
    for found in (
        finding("city_port_refused", server=SERVER, tries=3),
        finding("recorder_sends_nothing", **about),  # type: ignore[arg-type]
    ):
        for told in (words.sentence, words.evidence, words.advice):
            assert told(found, language) in shown, (found.code, told.__name__)
        assert shown.count(words.advice(found, language)) == 1
    assert shown.count('<li class="bad"') == 2, "the recorders and the city are marked"


def test_without_any_facts_the_page_still_stands(page: Page) -> None:
    page.enter()
    assert "/keep" not in text(page, {}, "en")
