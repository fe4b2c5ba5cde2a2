"""Everything at once through one box: one camera live by UDP and by TCP, a recording at four times its speed with a seek,
another fetched to its end, and a voice at the camera. Each is judged by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edge.lab.orders import order
from edge.lab.recorder import FIRST_RECORDING
from edge.lab.street import Street, eventually
from tests.conftest import ORDERS
from tests.lab.signalling import camera, open_street, recorder

__all__ = ["camera"]
pytestmark = pytest.mark.timeout(300)
#: Seconds of the recording that is fetched, and that many times as fast (``edge.lab.city``).
FETCHED, SPEED = 40, 4


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    yield from open_street(tmp_path_factory.mktemp("all"), 2022, 2022)


def call(name: str) -> dict[str, Any]:
    found: dict[str, Any] = order(ORDERS, "facts")["calls"].get(name, {})
    return found


def judged(name: str) -> dict[str, Any]:
    found: dict[str, Any] = call(name).get("judge", {})
    return found


def test_all_at_once(street: Street, camera: str) -> None:
    order(ORDERS, f"@live play {camera}")
    order(ORDERS, f"@tcp play {camera} tcp")
    order(ORDERS, f"@old playback {camera} {FIRST_RECORDING} {FIRST_RECORDING + 3600}")
    order(ORDERS, f"broadcast {camera}")
    for name in ("@live", "@tcp", "@old"):
        eventually(lambda name=name: judged(name).get("right", 0) > 25, 60, f"pictures of {name}")
    order(ORDERS, f"@fetched download {camera} {FIRST_RECORDING} {FIRST_RECORDING + FETCHED}")
    eventually(lambda: judged("@fetched").get("right", 0) > 10, 40, "pictures of what is fetched")
    order(ORDERS, "@old scale 4")
    order(ORDERS, "@old seek 1800")
    eventually(lambda: judged("@old")["last"] > 1800 * 25 + 200, 40, "the half hour, four times as fast")
    eventually(lambda: call("@fetched")["finished"], 60, "the end of what is fetched")
    eventually(lambda: recorder()["heard"]["right"] > 400, 40, "eight seconds of speech at the camera")
    views = street.said("ferry")["views"].values()
    assert sorted(view["kind"] for view in views) == ["download", "live", "live", "playback"]
    assert len({view["pull"] for view in views if view["kind"] == "live"}) == 1, "one camera is pulled once"
    for name in ("@live", "@tcp", "@old", "@fetched"):
        seen = call(name)
        assert (seen["judge"]["wrong"], seen["foreign_ssrc"]) == (0, 0), f"{name}: {seen}"
    order(ORDERS, "@fetched over")
    assert judged("@fetched")["last"] >= FETCHED * 25 - SPEED, "to its last picture"
    heard = recorder()["heard"]
    assert heard["right"] == heard["packets"], heard
