"""Two streams of a camera, on the pages: what the owner has set, who sees the smaller one, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.control.wire import Done
from tests.unit.webui.test_owner_rights import RECORDER, SHARED, TEXT, Page, site_of

TWO = site_of(TEXT.replace("share = true", "share = true\nmbit = 4\nsub_stream = true\nsub_mbit = 0.5"))


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path, lambda asked: Done(), TWO)


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "main 4 Mbit/s, sub-stream 0.5 Mbit/s"), ("zh-CN", "主码流 4 Mbit/s，子码流 0.5 Mbit/s")],
)
def test_the_owner_sees_what_he_has_set(page: Page, language: str, said: str) -> None:
    assert page.get("/cameras", language).count(said) == 1, "of the one camera that has two"


@pytest.mark.parametrize(
    ("stream", "asked", "said"),
    [
        ("main", "main", None),
        ("sub", "sub", "Sub-stream"),
        ("sub", "main", "Sub-stream, for the line has no room for the main stream"),
    ],
)
def test_who_watches_the_smaller_stream_is_shown_with_the_reason(
    page: Page, stream: str, asked: str, said: str | None
) -> None:
    at = {"recorder": RECORDER, "channel": SHARED, "viewer": ""}
    page.facts["ferry"] = {"views": {"7": {**at, "seconds": 3, "state": "flowing", "stream": stream, "asked": asked}}}
    shown = page.get("/viewers", "en")
    assert (f"<dd>{said}</dd>" in shown) is (said is not None)
    assert ("ub-stream" in shown) is (said is not None)
    page.facts["ferry"] = {"views": {}}
    receipt = {**at, "kind": "live", "time": "2026-11-28T02:00:00+00:00", "event": "ended", "reason": "ended_normally"}
    if stream == "sub":
        receipt |= {"stream": "sub"} | ({"asked": "main"} if asked == "main" else {})
    page.history = [receipt]
    shown = page.get("/viewers", "en")
    assert (f", {said}</dd>" in shown) is (said is not None)
