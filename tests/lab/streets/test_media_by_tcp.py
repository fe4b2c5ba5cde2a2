"""Media over connections: the recorder dials the box, the box dials the city, and each frame is taken apart and made anew.

city [listens] <── tunnel ── box [listens] <── lan ── nvr
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import private
from edge.lab.orders import order
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
