"""A recorder that does not wrap its pictures: H.264 (RFC 6184) and H.265 (RFC 7798) cross as they are, and nothing in their place.

The recorder's answer decides what comes, the city's offer by which payload type; the judge decodes it, and a capture at the
city sees what a recorder that was taken over puts in its place.
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
from edge.lab.street import RUN, Street, eventually
from tests.conftest import ORDERS, whole
from tests.lab.signalling import NVR
from tests.lab.streets.test_faults_named import said

pytestmark = pytest.mark.timeout(240)
#: The longest RTP packet of a 1420-octet tunnel.
MOST = 1420 - 28


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    street = Street(Path("build/lab/elementary-streams-log"))
    try:
        street.open()
        eventually(lambda: whole(street), 90, "the whole street")
        yield street
    finally:
        street.close()


@pytest.fixture
def channel(street: Street) -> Iterator[str]:
    order(NVR, "send right")
    order(NVR, "form H264 98")
    order(ORDERS, "offers 96,98,100")
    found: dict[str, Any] = eventually(
        lambda: {c: f for c, f in order(ORDERS, "catalog")["channels"].items() if f[1] == "ON"}, 60, "a channel"
    )
    yield next(iter(found))
    order(NVR, "send right")
    for name in ("", "@second "):
        order(ORDERS, f"{name}stop")
    eventually(lambda: not street.said("ferry").get("views"), 30, "the view's end")
    eventually(lambda: not street.said("siteside").get("views"), 30, "the recorder's leg")


@pytest.fixture
def capture(street: Street) -> Iterator[Capture]:
    made = Capture("city")
    yield made
    made.close()


@pytest.fixture
def playing(channel: str) -> str:
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 25, 40, f"pictures: {call()}")
    return channel


def call(name: str = "") -> dict[str, Any]:
    facts = order(ORDERS, "facts")
    found: dict[str, Any] = facts["calls"].get(name, {}) if name else facts
    return found


def right(name: str = "") -> int:
    return int(call(name).get("judge", {}).get("right", 0))


def view(street: Street) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(street.said("ferry").get("views", {}).values()), {})
    return found


def refused(name: str = "") -> dict[str, Any]:
    eventually(lambda: call(name)["call"] == "failed", 30, f"a refusal: {call(name)}")
    return call(name)


# -- what crosses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", ["", " tcp"])
@pytest.mark.parametrize(("form", "type_", "shown"), [("H264", 98, 98), ("H265", 99, 100)])
def test_pictures_cross_as_the_recorder_sends_them(
    street: Street, channel: str, form: str, type_: int, shown: int, over: str
) -> None:
    """Some recorders call H.265 99; the city hears of it under the type of its own offer."""
    order(NVR, f"form {form} {type_}")
    order(ORDERS, f"play {channel}{over}")
    eventually(lambda: right() > 50, 40, f"pictures: {call()}")
    seen = call()
    assert seen["encoding"] == form
    assert seen["answer"] == [[shown], [[shown, f"{form}/90000"]]]
    assert order(NVR, "facts")["offered"] == [96, 98, 100], "PS first, the others behind it"
    assert (seen["judge"]["wrong"], seen["unfit"], seen["foreign_ssrc"]) == (0, 0, 0)
    assert view(street)["lost"] == 0
    assert view(street)["format"] == form.lower()
    assert set(view(street)["dropped"]) <= {"es_no_sps", "es_cut"}
    eventually(lambda: view(street)["pictures"] > 50, 20, "they are counted")
    assert view(street)["quality"]["key_frame_ms"]


def test_packets_that_are_too_long_for_the_tunnel_are_cut_and_nothing_leaves_in_pieces(
    street: Street, channel: str
) -> None:
    order(NVR, "send long")
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 50, 40, f"pictures: {call()}")
    assert call()["longest"] <= MOST
    assert (call()["judge"]["wrong"], call()["unfit"]) == (0, 0)
    eventually(lambda: view(street)["recut"] > 50, 20, "cut")


# -- who agrees with whom --------------------------------------------------------------------------------------------


def test_a_city_that_takes_ps_alone_has_the_recorder_asked_for_ps_alone(street: Street, channel: str) -> None:
    order(NVR, "form PS 96")
    order(ORDERS, "offers 96")
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 25, 40, f"pictures: {call()}")
    assert order(NVR, "facts")["offered"] == [96]
    assert call()["encoding"] == "PS"


def test_what_a_city_did_not_offer_to_take_is_refused_by_name(street: Street, channel: str) -> None:
    """The recorder answers with H.264 although it was asked for PS."""
    order(ORDERS, "offers 96")
    order(ORDERS, f"play {channel}")
    assert refused()["status"] == 488
    eventually(lambda: "answer_format_not_offered" in said(), 20, "the doctor says why")
    eventually(lambda: street.upper()["counters"].get("format_not_offered"), 20, "it is counted")


def test_who_joins_must_take_what_flows(street: Street, playing: str) -> None:
    order(ORDERS, "offers 96")
    order(ORDERS, f"@second play {playing}")
    assert refused("@second")["status"] == 488
    before = right()
    eventually(lambda: right() > before + 25, 20, "the first one goes on")
    order(ORDERS, "offers 98")
    order(ORDERS, f"@second play {playing}")
    eventually(lambda: right("@second") > 25, 40, "the control: who takes it has it")
    assert len({each["pull"] for each in street.said("ferry")["views"].values()}) == 1


@pytest.mark.parametrize("name", ["DAHUA", "HIKVISION", "X-own_form.2"])
def test_an_encoding_of_a_makers_own_is_refused_by_its_name(street: Street, channel: str, name: str) -> None:
    order(NVR, f"form {name} 96")
    order(ORDERS, f"play {channel}")
    assert refused()["status"] == 488
    named = f"names {name}/90000"
    eventually(lambda: named in said().get("answer_encoding_not_carried", ""), 20, f"the doctor names it: {said()}")
    assert not street.said("ferry").get("views")


# -- a recorder that was taken over ----------------------------------------------------------------------------------


def test_in_the_coded_picture_nobody_looks(street: Street, capture: Capture, playing: str) -> None:
    """The control of all that follows, and what stays possible."""
    order(NVR, "send behind")
    eventually(lambda: capture.markers[mark("behind")], 20, "what is in the coded picture arrives")


@pytest.mark.parametrize(("how", "rule"), [
    ("sei", "es_cut"), ("filler", "es_cut"), ("private", "es_nal"), ("reserved", "es_nal"),
])  # fmt: skip
def test_v02_what_hides_beside_the_pictures_is_taken_out(
    street: Street, capture: Capture, playing: str, how: str, rule: str
) -> None:
    before = right()
    order(NVR, f"send {how}")
    eventually(lambda: view(street).get("dropped", {}).get(rule), 20, f"{rule} is counted: {view(street)}")
    eventually(lambda: right() > before + 100, 40, "the pictures go on")
    assert not capture.markers
    assert not call()["unfit"]


def test_v02_of_a_flood_of_small_sei_crosses_what_the_budget_is(street: Street, capture: Capture, playing: str) -> None:
    before, seen = right(), view(street)["pictures"]
    order(NVR, "send seis")
    eventually(lambda: right() > before + 100, 40, "the pictures go on")
    order(NVR, "send right")
    pictures = view(street)["pictures"] - seen
    # A frame may hold several; none of ours is shorter than 36 octets, four marks.
    assert capture.markers[mark("seis")] <= (1024 + 80 * (pictures + 50)) / 36
    eventually(lambda: view(street)["dropped"]["es_cut"] > 50_000, 20, "the control: far more than that was sent")


@pytest.mark.parametrize("how", CONTENTS)
@pytest.mark.parametrize("over", ["", " tcp"])
def test_what_is_no_elementary_stream_ends_the_view_and_is_named(
    street: Street, capture: Capture, channel: str, how: str, over: str
) -> None:
    order(ORDERS, f"play {channel}{over}")
    eventually(lambda: right() > 25, 40, f"pictures: {call()}")
    order(NVR, f"send {how}")
    eventually(lambda: call()["call"] == "ended", 20, "the view is ended")
    eventually(lambda: "recorder_sends_no_es" in said(), 20, "the doctor says why")
    assert not capture.markers


def test_from_connection_to_connection(street: Street, channel: str) -> None:
    """Last of all, for it changes the configuration: the recorder dials the box, the box dials the city."""
    text = (RUN / "applied.toml").read_text(encoding="utf-8")
    before = {name: street.starts(name) for name in ("ferry", "siteside", "cityside")}
    street.apply(text.replace("[[recorder]]", '[[recorder]]\nmedia = "tcp_passive"', 1))
    eventually(lambda: all(street.starts(name) > count for name, count in before.items()), 30, "all begin anew")
    eventually(lambda: whole(street), 90, "the whole street")

    def answered() -> bool:
        order(ORDERS, f"play {channel} tcp")
        return str(eventually(lambda: call()["call"] != "asked" and call()["call"], 60, "an answer")) == "answered"

    eventually(answered, 60, "the sides have begun anew with what was applied")
    eventually(lambda: right() > 25, 40, f"pictures: {call()}")
    assert view(street)["transport"] == ["tcp", "tcp"]
    assert (call()["judge"]["wrong"], call()["unfit"]) == (0, 0)
