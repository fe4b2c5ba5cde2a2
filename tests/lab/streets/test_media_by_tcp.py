"""Media over connections: the recorder dials the box, the box dials the city, and each frame is taken apart and made anew.

city [listens] <── tunnel ── box [listens] <── lan ── nvr
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import craft, private, topology
from edge.lab.capture import Capture
from edge.lab.orders import order
from edge.lab.probes import Shot, fire
from edge.lab.recorder import mark
from edge.lab.street import RUN, SITE_FILE, Street, eventually
from edge.siteside.ports import FRAMED_BUFFER_BYTES
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


@pytest.mark.parametrize("how", ["zeros", "web", "longest"])
def test_t01_what_is_no_frame_of_the_stream_ends_the_view_and_holds_little(
    street: Street, channel: str, captures: dict[str, Capture], how: str
) -> None:
    """What a connection may hold is asked of the kernel (``ss``) and of the worker's own pages, while it comes."""
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 25, 40, "pictures")
    port, before = next(iter(street.said("ferry")["views"].values()))["lan_port"], workers_kbytes(street)
    stalled = street.said("ferry")["dropped"].get("frame_stalled", 0)
    order(NVR, f"send {how}")
    most = 0
    while call()["call"] != "ended":
        most = max(most, kernel_bytes(port))
        time.sleep(0.2)
    assert most <= 2 * FRAMED_BUFFER_BYTES, "the kernel's part, with its own overhead"
    assert workers_kbytes(street) - before < 1024
    if how != "zeros":
        assert captures["lan"].markers[mark(how)], "the control: it came to the box"
        assert not captures["city"].markers
    assert street.said("ferry")["dropped"].get("frame_stalled", 0) > stalled, "and is named"


def kernel_bytes(port: int) -> int:
    """Return how much the kernel holds for what came on a port's connection."""
    told = subprocess.run(topology.inside("lan", "ss", "-tmnH", "sport", "=", str(port)), capture_output=True, text=True,
                          check=True, timeout=10).stdout  # fmt: skip
    return max((int(found) for found in re.findall(r"skmem:\(r(\d+),", told)), default=0)


def workers_kbytes(street: Street) -> int:
    """Return the pages of the ferry's children that are their own."""
    children = [int(street.pid("ferry") or 0)]
    for parent in children:
        children += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split())
    rolled = [Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii") for pid in children[1:]]
    return sum(int(found) for each in rolled for found in re.findall(r"Private_Dirty:\s+(\d+)", each))


def test_t02_urgent_octets_between_the_frames_cost_no_packet(
    street: Street, channel: str, captures: dict[str, Capture]
) -> None:
    """The kernel takes some of them out and leaves others in the stream; the next frame is found behind each."""
    order(ORDERS, f"play {channel} tcp")
    eventually(lambda: right() > 25, 40, "pictures")
    captures["lan"].watches[b"urgent  "] = lambda frame: (
        frame[12:14] == b"\x08\0" and frame[23] == 6 and bool(frame[47] & craft.URG)
    )
    order(NVR, "send urgent")
    eventually(lambda: captures["lan"].markers[b"urgent  "] > 50, 20, "the control: they came to the box")
    before = right()
    eventually(lambda: right() > before + 50, 20, "the pictures go on")
    assert next(iter(street.said("ferry")["views"].values()))["lost"] == 0
    assert call()["judge"]["wrong"] == 0


def test_t02_segments_that_somebody_else_puts_in_end_nothing(
    street: Street, channel: str, captures: dict[str, Capture]
) -> None:
    """Under the recorder's name, from its own hardware address: resets that guess, openings, what was sent already said
    otherwise, and, last, what is to come said before it comes: the kernel makes one stream of it, and the next frame is found."""
    order(ORDERS, f"play {channel} tcp")
    eventually(lambda: right() > 25, 40, "pictures")
    view = next(iter(street.said("ferry")["views"].values()))
    source, near = tuple(view["source"]), (topology.LAN_IP, view["lan_port"])
    sent = numbers_of(source, near)
    words = mark("inject") * 100
    shots = [
        (sent[0] + 50_000_000, craft.RST, b""), (sent[0] - 50_000_000, craft.RST, b""), (sent[0] + 5_000, craft.RST, b""),
        (sent[0], craft.SYN, b""), (sent[0] + 70_000_000, craft.SYN, b""), (sent[0] - 2_000, craft.ACK | craft.PSH, words),
        (sent[0] - 900_000_000, craft.ACK | craft.PSH, words),
    ]  # fmt: skip
    inject(source, near, sent, shots)
    before = right()
    eventually(lambda: captures["lan"].markers[mark("inject")], 10, "the control: they came to the box")
    eventually(lambda: right() > before + 50, 20, "the pictures go on")
    assert not captures["city"].markers
    assert (call()["call"], call()["judge"]["wrong"]) == ("answered", 0)
    sent = numbers_of(source, near)
    inject(source, near, sent, [(sent[0] + 8_000, craft.ACK | craft.PSH, b"\xff" * 1400)])
    before = right()
    eventually(lambda: right() > before + 100, 30, "the pictures go on, or the view would have ended by name")


def numbers_of(source: tuple[str, int], near: tuple[str, int]) -> tuple[int, int]:
    """Return where a connection of the recorder's is: its next number, and the one that it acknowledges."""
    seen: list[tuple[int, int]] = []

    def look(frame: bytes) -> bool:
        ports = (int.from_bytes(frame[34:36], "big"), int.from_bytes(frame[36:38], "big"))
        if frame[12:14] == b"\x08\0" and frame[23] == 6 and ports == (source[1], near[1]):
            size = int.from_bytes(frame[16:18], "big") - 20 - 4 * (frame[46] >> 4)
            seen.append((int.from_bytes(frame[38:42], "big") + size, int.from_bytes(frame[42:46], "big")))
        return False

    capture = Capture("lan")
    capture.watches[b"numbers "] = look
    try:
        eventually(lambda: len(seen) > 5, 10, "segments of the stream")
    finally:
        capture.close()
    return seen[-1]


def inject(
    source: tuple[str, int], near: tuple[str, int], at: tuple[int, int], segments: list[tuple[int, int, bytes]]
) -> None:
    made = [craft.tcp(source, near, (number, at[1]), flags, payload) for number, flags, payload in segments]
    shots = [Shot("nvr", "eth0", topology.LAN0_MAC, topology.NVR_MAC, 0x0800, packet) for packet in made]
    assert fire(shots, twin=False) == len(shots)


def test_r07_of_rtcp_among_a_recorders_frames_nothing_leaves(
    street: Street, channel: str, captures: dict[str, Capture]
) -> None:
    order(ORDERS, f"play {channel} tcp")
    eventually(lambda: right() > 25, 40, "pictures")
    order(NVR, "send rtcp")
    eventually(lambda: dropped(street).get("rtcp", 0) > 100, 20, "it is counted")
    before, reports = right(), call()["reports"]
    eventually(lambda: right() > before + 50 and call()["reports"] > reports, 40, "pictures and reports of ours go on")
    assert captures["lan"].markers[mark("rtcp")], "the control: it came to the box"
    assert not captures["city"].markers
    assert call()["report"]["bytes"] == 56


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
