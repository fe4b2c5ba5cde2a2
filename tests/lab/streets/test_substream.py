"""A narrow line: the first viewer has the main stream, the next one the smaller, and then there is no room.

city [judges sizes and numbers] <── tunnel, 5 Mbit/s ── box ── lan ── nvr [camera 1: main; camera 2: main and sub]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import private
from edge.lab.orders import order
from edge.lab.recorder import CHANNELS, live_from
from edge.lab.street import SITE_FILE, STATE, Street, eventually
from edge.lab.video import HEIGHT, WIDTH
from netconf import words
from tests.conftest import ORDERS, whole
from tests.lab.signalling import NVR

pytestmark = pytest.mark.timeout(240)
ONE, TWO = CHANNELS
#: The lab's main stream takes a little over 2 Mbit/s, its sub-stream 0.8.
SUB = "share = true\nmbit = 3\nsub_stream = true\nsub_mbit = 1.0"
#: Of a city's administration, by its digits.
CITY_LEVEL = "34020000002000000009"


def site_text() -> str:
    text = SITE_FILE.read_text(encoding="utf-8").replace("[uplink]", "[uplink]\nmbit_up = 5")
    text = text.replace("share = true", "share = true\nmbit = 3").replace("share = false", SUB)
    text = text.replace('coverage = "B"', 'coverage = "A"')
    return text.replace("[[recorder]]", '[[recorder]]\nstream_attribute = "streamprofile"')


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    site = Path("build/lab/substream.toml")
    site.parent.mkdir(parents=True, exist_ok=True)
    site.write_text(site_text(), encoding="utf-8")
    street = Street(Path("build/lab/substream-log"), site_file=site)
    try:
        street.open()
        eventually(lambda: whole(street), 90, "the whole street")
        yield street
    finally:
        street.close()


@pytest.fixture
def cameras(street: Street) -> Iterator[dict[str, str]]:
    """The issued ids of both cameras, by the recorder's own."""

    def found() -> dict[str, str]:
        shown = order(ORDERS, "catalog")["channels"]
        named = {facts[0]: issued for issued, facts in shown.items() if facts[1] == "ON"}
        return {code: named[name] for code, name in CHANNELS.items() if name in named}

    yield eventually(lambda: len(found()) == 2 and found(), 60, "both cameras")
    for name in ("@first", "@second", "@third", "@fourth"):
        order(ORDERS, f"{name} stop")
    eventually(lambda: not street.said("ferry").get("views"), 30, "the views' end")
    eventually(lambda: not street.said("siteside").get("views"), 30, "the recorder's legs")


def call(name: str) -> dict[str, Any]:
    found: dict[str, Any] = order(ORDERS, "facts")["calls"].get(name, {})
    return found


def seen(name: str) -> dict[str, Any]:
    judge: dict[str, Any] = call(name).get("judge", {})
    return judge


def watch(name: str, words: str, code: str, size: tuple[int, int]) -> None:
    """Ask, and see right pictures of that camera in that size."""
    order(ORDERS, f"{name} play {words}")
    eventually(lambda: seen(name).get("right", 0) > 25, 60, f"pictures: {call(name)}")
    found = seen(name)
    assert (found["size"], found["wrong"]) == (list(size), 0)
    assert live_from(code) <= found["last"] < live_from(code) + (1 << 20), "of this camera"


MAIN, SMALL = (WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2)


def test_the_city_gets_the_stream_that_it_asks_for_and_the_recorder_hears_its_own_words(
    street: Street, cameras: dict[str, str]
) -> None:
    before = len(order(NVR, "facts")["streams"])
    watch("@first", f"{cameras[TWO]} main", TWO, MAIN)
    assert call("@first")["stream"] == 0
    watch("@second", f"{cameras[TWO]} sub", TWO, SMALL)
    assert call("@second")["stream"] == 1
    assert order(NVR, "facts")["streams"][before:] == [[TWO, 0, "streamprofile"], [TWO, 1, "streamprofile"]]
    views = street.said("ferry")["views"].values()
    assert sorted(view["stream"] for view in views) == ["main", "sub"] and len({view["pull"] for view in views}) == 2
    right = seen("@first")["right"]
    eventually(lambda: seen("@first")["right"] > right + 25, 30, "the first goes on beside it")


def test_a_narrow_line_gives_the_sub_stream_then_nothing_and_a_higher_level_first(
    street: Street, cameras: dict[str, str]
) -> None:
    watch("@first", cameras[ONE], ONE, MAIN)
    assert call("@first")["stream"] is None, "who does not ask for a stream is told of none while he has the main one"
    watch("@second", cameras[TWO], TWO, SMALL)
    assert call("@second")["stream"] == 1, "the answer says what it got"
    order(ORDERS, f"@third play {cameras[ONE]}")
    eventually(lambda: call("@third")["call"] == "failed", 30, "no room")
    assert (call("@third")["status"], call("@third")["cause"]) == (486, words.reason("uplink_full", "en"))
    for name in ("@first", "@second"):
        right = seen(name)["right"]
        eventually(lambda name=name, right=right: seen(name)["right"] > right + 25, 30, f"{name} goes on as it was")
    watch("@fourth", f"{cameras[ONE]} as={CITY_LEVEL}", ONE, MAIN)
    assert call("@first")["call"] == "ended", "it made room"
    right = seen("@second")["right"]
    eventually(lambda: seen("@second")["right"] > right + 25, 30, "a view that need not end goes on")
    assert seen("@second")["size"] == list(SMALL) and seen("@second")["wrong"] == 0
    lines = [
        json.loads(line)
        for path in sorted((STATE / "receipts").glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]
    told = [line for line in lines if line.get("channel") == TWO and line["event"] == "opened"][-1]
    assert (told["stream"], told["asked"]) == ("sub", "main")
    ended = [line for line in lines if line["event"] == "ended"][-1]
    assert ended["reason"] == "uplink_yielded" and "stream" not in ended
