"""A recorder that was taken over puts into its stream what is no picture; the judge is a capture at the city.

What hides beside the pictures is taken out and the view goes on; what is no program stream ends the view, and the box says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import private
from edge.lab.capture import Capture
from edge.lab.orders import order
from edge.lab.recorder import CONTENTS, mark
from edge.lab.street import Street, eventually
from tests.conftest import ORDERS, whole
from tests.lab.signalling import NVR
from tests.lab.streets.test_faults_named import said

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    street = Street(Path("build/lab/hostile-media-log"))
    try:
        street.open()
        yield street
    finally:
        street.close()


@pytest.fixture
def capture(street: Street) -> Iterator[Capture]:
    made = Capture("city")
    yield made
    made.close()


@pytest.fixture
def playing(street: Street) -> Iterator[str]:
    eventually(lambda: whole(street), 90, "the whole street")
    order(NVR, "send right")
    found: dict[str, Any] = eventually(
        lambda: {c: f for c, f in order(ORDERS, "catalog")["channels"].items() if f[1] == "ON"}, 60, "a channel"
    )
    issued = next(iter(found))
    order(ORDERS, f"play {issued}")
    eventually(lambda: right() > 25, 40, "pictures")
    yield issued
    order(NVR, "send right")
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 30, "the view's end")
    eventually(lambda: not street.said("siteside").get("views"), 30, "the recorder's leg")


def right() -> int:
    return int(order(ORDERS, "facts")["judge"].get("right", 0))


def view(street: Street) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(street.said("ferry").get("views", {}).values()), {})
    return found


def test_behind_the_first_slice_nobody_looks(street: Street, capture: Capture, playing: str) -> None:
    """The control of all that follows, and what stays possible: the coded picture itself is not looked into."""
    order(NVR, "send behind")
    eventually(lambda: capture.markers[mark("behind")], 20, "what is in the coded picture arrives")


@pytest.mark.parametrize(("how", "rule"), [
    ("sei", "sei_blanked"), ("filler", "sei_blanked"), ("private", "ps_private"), ("private2", "ps_private"),
    ("padding", "ps_private"), ("unmapped", "ps_stream"),
])  # fmt: skip
def test_v02_what_hides_beside_the_pictures_is_taken_out(
    street: Street, capture: Capture, playing: str, how: str, rule: str
) -> None:
    before = right()
    order(NVR, f"send {how}")
    eventually(lambda: view(street).get("dropped", {}).get(rule), 20, f"{rule} is counted: {view(street)}")
    eventually(lambda: right() > before + 100, 40, "the pictures go on")
    assert not capture.markers


@pytest.mark.parametrize("how", ["extension", "sources", "padded"])
def test_r03_what_hides_in_the_packets_header_is_taken_out(
    street: Street, capture: Capture, playing: str, how: str
) -> None:
    before = right()
    order(NVR, f"send {how}")
    eventually(lambda: right() > before + 100, 40, "the pictures go on")
    assert not capture.markers


@pytest.mark.parametrize("how", CONTENTS)
def test_what_is_no_program_stream_ends_the_view_and_is_named(
    street: Street, capture: Capture, playing: str, how: str
) -> None:
    order(NVR, f"send {how}")
    eventually(lambda: order(ORDERS, "facts")["call"] == "ended", 20, "the view is ended")
    assert not capture.markers
    eventually(lambda: "recorder_sends_no_ps" in said(), 20, "the doctor says why")
    assert not capture.markers
