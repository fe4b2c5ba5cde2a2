"""Two platforms above one site: each has its own registration, tree, rights and views, and none sees the other's.

  city [34020000002000000001] ─┐
                               ├─ tunnel ─ box ─ lan ─ nvr
city-2 [34020000002000000002] ─┘
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import private
from edge.lab.orders import order
from edge.lab.street import RUN, SITE_FILE, STATE, Street, eventually

FIRST, SECOND = RUN / "city.sock", RUN / "city-2.sock"
KNOWN_AS = "34020000002008000077"
OTHER = f"""
[[platform]]
id = "34020000002000000002"
known_as = "{KNOWN_AS}"
domain = "3402000000"
address = "100.64.255.11"
local_port = 5061
transport = "udp"
edition = 2022
media_networks = ["100.64.255.11/32"]
keepalive_seconds = 10
rights = ["live", "playback", "ptz", "alarms"]
tree.system = true

[control]"""


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    text = SITE_FILE.read_text(encoding="utf-8").replace("\n[control]", OTHER, 1)
    text = text.replace("share = true", 'share = true\nallow = ["live", "ptz", "alarms"]')
    site = Path("build/lab/two-platforms.toml")
    site.parent.mkdir(parents=True, exist_ok=True)
    site.write_text(text, encoding="utf-8")
    street = Street(Path("build/lab/two-platforms-log"), site_file=site)
    try:
        street.open()
        for at in (0, 1):
            eventually(lambda at=at: "ON" in street.upper(at).get("channels", {}).values(), 90, "the channels")
        yield street
    finally:
        street.close()


@pytest.fixture(autouse=True)
def nobody_watches_afterwards(street: Street) -> Iterator[None]:
    yield
    for city in (FIRST, SECOND):
        order(city, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 30, "nobody watches")


def channel(city: Path) -> str:
    """The shared channel as a platform knows it."""
    found: dict[str, Any] = eventually(
        lambda: {c: facts for c, facts in order(city, "catalog")["channels"].items() if facts[0] == "北门"}, 40, "北门"
    )
    return next(iter(found))


def right(city: Path) -> int:
    """How many pictures arrived whole and right."""
    return int(order(city, "facts")["judge"].get("right", 0))


def flows(city: Path) -> None:
    before = right(city)
    eventually(lambda: right(city) > before + 25, 30, "pictures")


def watch(city: Path) -> None:
    order(city, f"play {channel(city)}")
    eventually(lambda: order(city, "facts")["call"] == "answered", 30, "the answer")
    flows(city)


def receipts() -> list[dict[str, Any]]:
    lines = [line for path in sorted((STATE / "receipts").glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [json.loads(line) for line in lines]


def test_each_knows_the_box_by_its_own_name_and_sees_its_own_tree(street: Street) -> None:
    assert channel(FIRST) == channel(SECOND), "a channel has one id"
    first, second = order(FIRST, "catalog")["channels"], order(SECOND, "catalog")["channels"]
    assert KNOWN_AS not in first
    eventually(lambda: order(SECOND, "catalog")["online"], 30, "the second platform's registration")
    assert street.upper(1)["edition"] == 2022
    assert street.upper(0)["edition"] == 2016
    assert len(second) >= len(first)


def test_two_watch_one_camera_and_the_stop_of_one_is_not_the_others(street: Street) -> None:
    watch(FIRST)
    began = order(RUN / "nvr.sock", "facts")["invited"]
    watch(SECOND)
    flows(FIRST)
    assert order(RUN / "nvr.sock", "facts")["invited"] == began, "the recorder is asked once"
    order(FIRST, "stop")
    eventually(lambda: len(street.said("ferry")["views"]) == 1, 20, "one view is over")
    flows(SECOND)
    order(SECOND, "stop")
    eventually(lambda: not street.said("ferry")["views"], 20, "both are over")
    eventually(lambda: not street.said("siteside").get("views"), 20, "and so is the recorder's leg")
    ended = [line for line in receipts() if line["event"] == "ended"]
    assert {line["platform"] for line in ended} == {platform.id for platform in street.site.platform}  # type: ignore[union-attr]
    assert all(line["packets"] for line in ended)


def test_what_one_may_the_other_may_not(street: Street) -> None:
    door = channel(FIRST)
    order(SECOND, f"do {door} preset_call 3")
    eventually(lambda: order(SECOND, "facts")["answered"] == "sent", 20, "the second turns the camera")
    order(FIRST, f"do {door} preset_call 3")
    eventually(lambda: order(FIRST, "facts")["answered"] == "refused", 20, "the first hears no")
    assert order(FIRST, "facts")["refusal"] == 403


def test_an_alarm_goes_to_who_may_hear_it(street: Street) -> None:
    for city in (FIRST, SECOND):
        order(city, "subscribe Alarm")
    order(RUN / "nvr.sock", "alarm 34020000001310000001")
    eventually(lambda: order(SECOND, "facts")["alarms"], 20, "the alarm at the second")
    assert order(FIRST, "facts")["alarms"] == []


def test_one_that_dies_takes_nothing_from_the_other(street: Street) -> None:
    watch(FIRST)
    street.stop_program("city-2")
    eventually(lambda: not street.upper(1)["registered"], 90, "the second is missed")
    flows(FIRST)
    assert street.upper(0)["registered"]
    assert street.said("cityside")["registered"] is False, "the site is not whole"
    street.resume_program("city-2")
    eventually(lambda: street.upper(1)["registered"], 120, "the second is back")
    flows(FIRST)
    watch(SECOND)


def test_both_views_outlive_the_city_sides_process(street: Street) -> None:
    watch(FIRST)
    watch(SECOND)
    street.kill("cityside")
    for city in (FIRST, SECOND):
        flows(city)
    eventually(lambda: street.said("cityside").get("registered"), 60, "both registered again")
    for city in (FIRST, SECOND):
        flows(city)
        order(city, "stop")
    eventually(lambda: not street.said("ferry")["views"], 20, "each BYE is matched")
