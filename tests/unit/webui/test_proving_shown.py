"""A change that is being proven, as the owner's page follows it: the proof, then the word, or why it came to nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from edge.control.client import MOST_MISSED
from edge.control.wire import Confirm, Done, Outcome, Propose, Proving, Refusal, Reject, Waiting
from netconf import words
from netconf.finding import finding
from webui.app import _told
from webui.changes import Changes

PROPOSE = Propose(3, "{}", 60)
TOKEN = "a" * 32
RED = Refusal("proof_red", (finding("proof_red", count=1, cases="K07", page="/x"),))


class Page:
    """Changes before a keeper that answers in this order; an error is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), list[Any]()
        self.later: list[Callable[[], None]] = []
        self.changes = Changes(self._ask, lambda _, thing: self.later.append(thing))
        self.secret = self.changes.begin(PROPOSE, "https://x")

    def _ask(self, request: Any) -> Any:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    def turn(self) -> str:
        self.later.pop(0)()
        return self.state

    @property
    def state(self) -> str:
        asked = self.changes.look(self.secret)
        assert asked is not None
        return asked.state


def test_it_is_followed_until_it_waits_for_its_word() -> None:
    page = Page(Proving(4, TOKEN, 88), Proving(4, TOKEN, 70), OSError(), Waiting(4, TOKEN, 60), Done())
    assert [page.turn() for _ in range(4)] == ["proving", "proving", "proving", "waiting"]
    assert page.asked == [PROPOSE, *[Outcome(TOKEN)] * 3]
    assert page.changes.working() is False
    page.changes.keep(page.secret)
    assert page.asked[-1] == Confirm(TOKEN)
    assert page.state == "kept"
    assert page.later == []


@pytest.mark.parametrize("rule", ["proof_red", "proof_missing", "power_lost"])
def test_what_came_to_nothing_is_said_in_a_sentence(rule: str) -> None:
    page = Page(Proving(4, TOKEN, 88), Refusal(rule, (finding(rule),)))
    assert [page.turn(), page.turn()] == ["proving", "refused"]
    asked = page.changes.look(page.secret)
    assert asked is not None
    assert asked.rules == ((rule, ""),)
    for language in ("en", "zh-CN"):
        assert "{" not in words.reason(rule, language)  # type: ignore[arg-type]
        assert "?" not in words.reason(rule, language)  # type: ignore[arg-type]


def test_it_is_not_kept_before_it_is_proven_and_can_be_undone() -> None:
    page = Page(Proving(4, TOKEN, 88), Done())
    page.turn()
    assert page.changes.working() is True
    page.changes.keep(page.secret)
    assert page.asked == [PROPOSE], "the browser shows its secret again and again"
    page.changes.undo(page.secret)
    assert page.asked[-1] == Reject(TOKEN)
    assert page.state == "undone"
    assert page.turn() == "undone", "it is asked after no more"


def test_a_keeper_that_stays_away_is_said() -> None:
    page = Page(Proving(4, TOKEN, 88), *[OSError()] * (MOST_MISSED + 1))
    states = [page.turn() for _ in range(MOST_MISSED + 2)]
    assert states == ["proving"] * (MOST_MISSED + 1) + ["refused"]


def test_the_next_process_of_the_page_goes_on_following_it() -> None:
    page = Page(Proving(4, TOKEN, 88))
    page.turn()
    after = Page(Waiting(4, TOKEN, 60))
    after.later.clear()
    after.changes.adopt(json.loads(json.dumps(page.changes.kept())))
    after.secret = page.secret
    assert after.turn() == "waiting"


def test_the_script_is_told_how_long_it_may_take() -> None:
    from flask import Flask, g

    page = Page(Proving(4, TOKEN, 88))
    page.turn()
    with Flask("x").test_request_context():
        g.language = "zh-CN"
        told = _told(page.changes.look(page.secret)).get_json()
    assert (told["state"], told["seconds"]) == ("proving", 88)
    assert "正在验证" in told["text"]
