"""Media over connections: the recorder dials the box, the box dials the city, and each frame is taken apart and made anew.

city [listens] <── tunnel ── box [listens] <── lan ── nvr
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import private
from edge.lab.capture import Capture
from edge.lab.orders import order
from edge.lab.recorder import mark
from edge.lab.street import RUN, SITE_FILE, Street, eventually
from tests.conftest import ORDERS, whole
from tests.lab.signalling import NVR

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    site = Path("build/lab/media-by-tcp.toml")
    site.parent.mkdir(parents=True, exist_ok=True)
    site.write_text(with_media("tcp_passive"), encoding="utf-8")
    street = Street(Path("build/lab/media-by-tcp-log"), site_file=site)
    try:
        street.open()
        eventually(lambda: whole(street), 90, "the whole street")
        yield street
    finally:
        street.close()


def with_media(media: str) -> str:
    return SITE_FILE.read_text(encoding="utf-8").replace("[[recorder]]", f'[[recorder]]\nmedia = "{media}"', 1)


@pytest.fixture
def channel(street: Street) -> Iterator[str]:
    order(NVR, "send right")
    found: dict[str, Any] = eventually(
        lambda: {c: f for c, f in order(ORDERS, "catalog")["channels"].items() if f[1] == "ON"}, 60, "a channel"
    )
    yield next(iter(found))
    order(NVR, "send right")
    for name in ("", "@second "):
        order(ORDERS, f"{name}stop")
    eventually(lambda: not street.said("ferry").get("views"), 30, "the view's end")
    eventually(lambda: not street.said("siteside").get("views"), 30, "the recorder's leg")


def call(name: str = "") -> dict[str, Any]:
    facts = order(ORDERS, "facts")
    found: dict[str, Any] = facts["calls"].get(name, {}) if name else facts
    return found


def right(name: str = "") -> int:
    return int(call(name).get("judge", {}).get("right", 0))


def test_pictures_cross_from_connection_to_connection(street: Street, channel: str) -> None:
    order(ORDERS, f"play {channel} tcp")
    eventually(lambda: right() > 50, 40, f"pictures: {call()}")
    view = next(iter(street.said("ferry")["views"].values()))
    assert view["transport"] == ["tcp", "tcp"] and view["lost"] == 0
    assert call()["judge"]["wrong"] == 0 and not call()["foreign_ssrc"]


def test_one_camera_by_udp_and_by_tcp_at_once(street: Street, channel: str) -> None:
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 25, 40, "pictures by UDP")
    order(ORDERS, f"@second play {channel} tcp")
    eventually(lambda: right("@second") > 25, 40, "pictures by TCP")
    before = right()
    eventually(lambda: right() > before + 25, 20, "both go on")
    assert len({view["pull"] for view in street.said("ferry")["views"].values()}) == 1


def test_rtsp_framing_is_read_as_well(street: Street, channel: str) -> None:
    order(NVR, "send interleaved")
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 25, 40, "pictures")


@pytest.fixture
def captures(street: Street) -> Iterator[dict[str, Capture]]:
    made = {name: Capture(name) for name in ("city", "nvr", "lan", "vpn")}
    yield made
    for each in made.values():
        each.close()


def test_t01_lengths_that_lie_cost_what_they_hide(street: Street, channel: str, captures: dict[str, Capture]) -> None:
    order(ORDERS, f"play {channel} tcp")
    eventually(lambda: right() > 25, 40, "pictures")
    order(NVR, "send lies")
    eventually(lambda: dropped(street).get("frame_lost", 0) > 50, 20, "lost frames are counted")
    before = right()
    eventually(lambda: right() > before + 25, 20, "the pictures between them arrive")
    assert not captures["city"].markers
    assert captures["lan"].markers[mark("lies")], "the control: it came to the box"


def test_t01_a_frame_that_never_ends_ends_the_view(street: Street, channel: str) -> None:
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 25, 40, "pictures")
    order(NVR, "send stalled")
    eventually(lambda: call()["call"] == "ended", 20, "the view's end")


def test_t02_a_city_that_reads_nothing_stops_nobody_and_is_let_go(street: Street, channel: str) -> None:
    order(ORDERS, f"play {channel}")
    order(ORDERS, f"@second play {channel} tcp")
    eventually(lambda: right() > 25 and right("@second") > 25, 60, "both see pictures")
    order(ORDERS, "@second unread")
    before = right()
    eventually(lambda: call("@second")["call"] == "ended", 90, "its view is ended")
    assert right() > before + 100, "the other one went on"
    assert call()["judge"]["wrong"] == 0


def test_t03_what_a_city_says_on_a_media_connection_ends_there(
    street: Street, channel: str, captures: dict[str, Capture]
) -> None:
    order(ORDERS, f"play {channel} tcp")
    eventually(lambda: right() > 25, 40, "pictures")
    order(ORDERS, f"back {(len(mark('back')).to_bytes(2, 'big') + mark('back')).hex()}")
    eventually(lambda: call()["call"] == "ended", 20, "the view is ended")
    eventually(lambda: captures["vpn"].markers[mark("back")], 10, "the control: it came to the box")
    assert not captures["nvr"].markers and not captures["lan"].markers


def dropped(street: Street) -> dict[str, int]:
    found: dict[str, int] = next(iter(street.said("ferry").get("views", {}).values()), {}).get("dropped", {})
    return found


def test_a_recorder_that_listens_is_dialled(street: Street, channel: str) -> None:
    """Last of all, for it changes the configuration."""
    text = (RUN / "applied.toml").read_text(encoding="utf-8").replace('"tcp_passive"', '"tcp_active"')
    before = {name: street.starts(name) for name in ("ferry", "siteside", "cityside")}
    street.apply(text)
    eventually(lambda: all(street.starts(name) > count for name, count in before.items()), 30, "all begin anew")
    eventually(lambda: whole(street), 90, "the whole street")

    def answered() -> bool:
        order(ORDERS, f"play {channel} tcp")
        return str(eventually(lambda: call()["call"] != "asked" and call()["call"], 60, "an answer")) == "answered"

    eventually(answered, 60, "the sides have begun anew with what was applied")
    eventually(lambda: right() > 25, 40, "pictures")
