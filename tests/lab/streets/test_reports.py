"""RTCP: the box makes its own toward the city and toward the recorder, hears the city's, and nothing of either crosses.

city [RTCP] <── SR, RR ──> box ── RR ──> [RTCP] nvr
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import craft, private, topology
from edge.lab.capture import Capture
from edge.lab.city import MEDIA_PORT, SSRC
from edge.lab.orders import order
from edge.lab.probes import Shot, fire
from edge.lab.recorder import beside, mark
from edge.lab.street import Street, eventually
from edge.rtp.packet import RtpPacket
from edge.rtp.rtcp import PACKET_TYPES
from tests.conftest import ORDERS, whole
from tests.lab.signalling import NVR
from tests.lab.test_survival import workers

pytestmark = pytest.mark.timeout(240)
OTHER_PORT = 45_678


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    street = Street(Path("build/lab/reports-log"))
    try:
        street.open()
        eventually(lambda: whole(street), 90, "the whole street")
        yield street
    finally:
        street.close()


@pytest.fixture
def channel(street: Street) -> Iterator[str]:
    found: dict[str, Any] = eventually(
        lambda: {c: f for c, f in order(ORDERS, "catalog")["channels"].items() if f[1] == "ON"}, 60, "a channel"
    )
    yield next(iter(found))
    order(NVR, "send right")
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 30, "the view's end")
    eventually(lambda: not street.said("siteside").get("views"), 30, "the recorder's leg")


@pytest.fixture
def captures() -> Iterator[dict[str, Capture]]:
    made = {name: Capture(name) for name in ("city", "nvr", "lan")}
    yield made
    for each in made.values():
        each.close()


def city() -> dict[str, Any]:
    return order(ORDERS, "facts")


def recorder() -> dict[str, Any]:
    """What the recorder has heard of its one stream."""
    found: dict[str, Any] = next(iter(order(NVR, "facts")["senders"].values()), {"reports": 0, "report": {}})
    return found


def view(street: Street) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(street.said("ferry").get("views", {}).values()), {})
    return found


@pytest.mark.parametrize("how", ["", "mux", str(OTHER_PORT), "tcp"])
def test_the_city_hears_what_it_was_sent_and_is_heard(street: Street, channel: str, how: str) -> None:
    order(ORDERS, f"play {channel} {how}".strip())
    eventually(lambda: city()["reports"] >= 2, 40, f"two reports: {city()}")
    facts = city()
    told = facts["report"]
    assert told["ssrc"] == SSRC
    assert not facts["foreign_ssrc"]
    # What was on its way when the report was written is not in it; octets are those of the payloads.
    assert 0 < told["packets"] <= facts["packets"]
    assert told["received"] - told["packets"] in range(-50, 50), told
    assert 200 * told["packets"] < told["octets"] < 1400 * told["packets"], told
    # The stream's clock runs on from its last picture; the report's time is the city's, for the lab has one clock.
    assert abs(told["late"]) < 5, told
    assert (told["timestamp"] - told["last"]) % (1 << 32) < 5 * 90_000, told
    assert len(told["name"]) == 16, "a name by lot, and nothing behind it"
    assert told["bytes"] == 28 + 28
    order(ORDERS, "lost 50")
    # Some thousand packets later 50 lost ones are more than the standard allows; and two reports later we know the way.
    eventually(lambda: (view(street)["quality"]["viewer_loss_ppm"] or 0) > 1000, 60, f"its loss: {view(street)}")
    assert "quality_viewer_loss" in view(street)["quality"]["below"]
    assert view(street)["quality"]["loss_ppm"] == 0, "the pull's own"
    trip = view(street)["quality"]["round_trip_ms"]
    assert trip is not None and 0 <= trip < 200, "without the 200 ms that the city held it"


def test_the_recorder_hears_that_its_stream_is_received(street: Street, channel: str) -> None:
    order(ORDERS, f"play {channel}")
    eventually(lambda: recorder()["reports"] >= 2, 40, f"two reports: {recorder()}")
    told = recorder()["report"]
    assert told["bytes"] == 32 + 28
    assert told["lost"] == told["fraction"] == 0
    assert 0 < told["highest"] <= told["sent"], told
    assert told["sent"] - told["highest"] < 500, told


def test_who_hears_none_and_says_none_is_sent_pictures_all_the_same(
    street: Street, channel: str, captures: dict[str, Capture]
) -> None:
    """Most cities are like that: nobody is at the port that reports go to, and that is no fault."""
    order(ORDERS, f"play {channel} quiet")
    captures["city"].watches[b"reports "] = lambda frame: rtcp(frame) is not None
    eventually(lambda: captures["city"].markers[b"reports "] >= 4, 60, "reports come to nobody")
    eventually(lambda: city()["judge"].get("right", 0) > 150, 40, "pictures")
    quality = view(street)["quality"]
    assert (quality["viewer_loss_ppm"], quality["round_trip_ms"]) == (None, None)
    listed = subprocess.run(topology.inside("vpn", "nft", "list", "table", "inet", "snowgate"), capture_output=True,
                            text=True, check=True, timeout=20).stdout  # fmt: skip
    (refused,) = re.findall(r'counter packets (\d+) bytes \d+ drop comment "reports that nobody takes"', listed)
    assert int(refused) >= 3, "the control: the city's host says so"
    assert 'counter packets 0 bytes 0 drop comment "media that the city refuses, noted"' in listed


def test_f01_reports_go_on_where_a_worker_that_died_has_stopped(street: Street, channel: str) -> None:
    order(ORDERS, f"play {channel}")
    eventually(lambda: city()["reports"] >= 2, 40, "reports")
    before, count, heard = city()["report"], city()["reports"], recorder()["reports"]
    for worker in workers(street):
        os.kill(worker, signal.SIGKILL)
    eventually(
        lambda: city()["reports"] > count + 1 and recorder()["reports"] > heard + 1, 60, "reports of the next one"
    )
    after = city()["report"]
    assert (after["ssrc"], after["name"]) == (before["ssrc"], before["name"])
    assert before["packets"] < after["packets"] <= city()["packets"]


def rtcp(frame: bytes, ports: range = range(MEDIA_PORT, MEDIA_PORT + 2000)) -> bytes | None:
    """Return the RTCP in a frame that goes to one of ``ports``; a tunnel's frame has no link header."""
    at = 0 if frame[:1] == b"\x45" else 14
    if len(frame) < at + 30 or frame[at] != 0x45 or frame[at + 9] != 17:
        return None
    data = frame[at + 28 :]
    port = int.from_bytes(frame[at + 22 : at + 24], "big")
    return data if port in ports and data[0] >> 6 == 2 and data[1] in PACKET_TYPES else None


def test_r07_of_a_recorders_rtcp_nothing_leaves(street: Street, channel: str, captures: dict[str, Capture]) -> None:
    seen: list[bytes] = []

    def watch(frame: bytes) -> bool:
        data = rtcp(frame)
        if data is not None:
            seen.append(data)
        return data is not None

    captures["city"].watches[b"reports "] = watch
    order(ORDERS, f"play {channel}")
    eventually(lambda: city()["judge"].get("right", 0) > 25, 40, "pictures")
    order(NVR, "send rtcp")
    eventually(lambda: captures["lan"].markers[mark("rtcp")] > 100, 20, "the control: it came to the box")
    before = city()["judge"]["right"]
    eventually(lambda: len(seen) >= 3, 40, "reports of ours leave meanwhile")
    eventually(lambda: city()["judge"]["right"] > before + 100, 40, "the pictures go on")
    assert not captures["city"].markers[mark("rtcp")]
    assert {(data[1], len(data), data[28:30]) for data in seen} == {(200, 56, b"\x81\xca")}, "each an SR and a CNAME"
    assert view(street)["lost"] == 0


def test_what_a_city_says_beside_reports_ends_here(street: Street, channel: str, captures: dict[str, Capture]) -> None:
    """Farewells, application data, a flood: none reaches the recorder, none ends the view or stops its reports."""
    order(ORDERS, f"play {channel}")
    eventually(lambda: city()["reports"] >= 1, 40, "a report")
    (own, near), (host, far) = view(street)["sink"]
    packet = beside(RtpPacket(96, 1, 1, SSRC, b"", False), "rtcp")
    shots = [
        Shot("city", "wg0", "", "", 0x0800, craft.udp((host, far + above), (own, near + above), data))
        for _ in range(50)
        for _, data in packet
        for above in (0, 1)
    ]
    arrived = Capture("vpn")
    try:
        # A tunnel under load loses of such a burst what it likes.
        eventually(
            lambda: fire(shots, twin=False) == len(shots) and arrived.markers[mark("rtcp")] > 500,
            20,
            "the control: it came to the box",
        )
    finally:
        arrived.close()
    before = city()
    eventually(lambda: city()["reports"] >= before["reports"] + 2, 40, "reports go on")
    assert city()["judge"]["right"] > before["judge"]["right"] + 50
    assert not captures["nvr"].markers and not captures["lan"].markers
    assert view(street)["quality"]["round_trip_ms"] is not None, "and its own word is heard"
