"""Who is watching: how good it is, in words; which figure is below the standard."""

from __future__ import annotations

import html
from dataclasses import asdict
from typing import Any

import pytest

from edge.rtp.quality import Quality, verdict
from tests.unit.webui.test_guard import Page, page

__all__ = ["page"]


def shown(page: Page, quality: Quality | None, language: str) -> str:
    """Return what the page says of one view."""
    view: dict[str, Any] = {"recorder": "1", "channel": "2", "viewer": "", "seconds": 3, "state": "flowing"}
    if quality is not None:
        view["quality"] = {**asdict(quality), "below": list(verdict(quality))}
    page.facts["ferry"] = {"views": {"7": view}}
    page.client.set_cookie("language", language, domain="192.168.1.2", secure=True)
    answer = page.get("/viewers", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return html.unescape(answer.get_data(as_text=True))


@pytest.mark.parametrize(
    ("quality", "en", "zh"),
    [
        (None, "Being measured", "正在测量"),
        (Quality(), "Being measured", "正在测量"),
        (Quality(0, 4.2, 1200, 2000, 4000), "Good", "良好"),
        (Quality(2500, 4.2, 1200), "2.5 of 1000 packets lost", "丢包 2.5‰"),
        (Quality(0, 63.2, 1200), "jitter 63.2 ms", "抖动 63.2 毫秒"),
        (Quality(0, 4.2, 1200, viewer_loss_ppm=1000, round_trip_ms=900), "Good", "良好"),
        (
            Quality(0, 4.2, 1200, viewer_loss_ppm=7200),
            "7.2 of 1000 packets lost on the way to the viewer",
            "观看端报告丢包 7.2‰",
        ),
        (Quality(0, 4.2, 6100), "6.1 s until the first picture", "首帧图像用时 6.1 秒"),
    ],
)
def test_a_view_says_how_good_it_is(page: Page, quality: Quality | None, en: str, zh: str) -> None:
    page.enter()
    for language, said in (("en", en), ("zh-CN", zh)):
        text = shown(page, quality, language)
        assert said in text
        below = quality is not None and bool(verdict(quality))
        assert ("Below the national standard" in text or "低于国家标准" in text) == below


def test_all_that_is_below_is_said_and_nothing_else(page: Page) -> None:
    page.enter()
    text = shown(page, Quality(5000, 70.0, 300), "en")
    assert "5.0 of 1000" in text
    assert "jitter 70.0 ms" in text
    assert "first picture" not in text
    assert "Good" not in text
