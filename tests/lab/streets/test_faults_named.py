"""What goes wrong at a site, done for real, and the one cause that the box says of it. In a street of its own.

The order is that of a site's first day: the tunnel, the registration, the first picture. Each fault ends with the picture
there and nothing said any more.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import private, topology
from edge.lab.orders import order
from edge.lab.recorder import CHANNELS, ID, MEDIA_PORT
from edge.lab.street import CONTROL, RUN, Street, eventually
from edge.lab.topology import NVR_IP
from tests.conftest import ORDERS, whole
from tests.lab.signalling import NVR

pytestmark = pytest.mark.timeout(300)
OTHER_IP, SHARED = "192.168.1.77", next(iter(CHANNELS))
CITY_SIP = "100.64.255.10:5060/tcp"


@pytest.fixture(scope="module")
def dark() -> Iterator[Street]:
    """The street while the city's end of the tunnel is away."""
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    street = Street(Path("build/lab/faults-log"))
    try:
        street.build()
        topology.ip("-n", "nvr", "addr", "add", f"{OTHER_IP}/24", "dev", "eth0")
        street.start()
        yield street
    finally:
        street.close()


@pytest.fixture(scope="module")
def street(dark: Street) -> Street:
    dark.start_hub()
    eventually(lambda: whole(dark), 90, "the whole street")
    return dark


@pytest.fixture
def camera(street: Street) -> Iterator[str]:
    """The issued id of the shared channel, when nothing is wrong; afterwards a picture, and nothing wrong."""
    eventually(lambda: whole(street), 90, "the whole street")
    found: dict[str, Any] = eventually(
        lambda: {c: f for c, f in order(ORDERS, "catalog")["channels"].items() if f[1] == "ON"}, 60, "a channel"
    )
    issued = next(iter(found))
    picture(street, issued)
    eventually(lambda: said() == {}, 30, "nothing wrong")
    yield issued
    for words in ("address", "deaf"):
        order(ORDERS, words)
    for words in ("sdp", "send right", "refuse 0"):
        order(NVR, words)
    ended(street)
    picture(street, issued)
    eventually(lambda: said() == {}, 150, "nothing wrong any more")


def picture(street: Street, issued: str) -> None:
    order(ORDERS, f"play {issued}")
    eventually(lambda: order(ORDERS, "facts")["judge"].get("right", 0) > 10, 40, "pictures")
    ended(street)


def ended(street: Street) -> None:
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 30, "the view's end")
    eventually(lambda: not street.said("siteside").get("views"), 30, "the recorder's leg")


def said() -> dict[str, str]:
    """What the doctor says: code -> evidence; for each there is a next step in both languages."""
    found: dict[str, str] = {}
    for language in ("en", "zh-CN"):
        command = [sys.executable, "-m", "edge.cli", "doctor", "--json", "--language", language]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        for each in json.loads(done.stdout):
            assert each["text"], each
            assert each["advice"], each
            found.setdefault(each["code"], each["evidence"])
    return found


def reported() -> dict[str, Any]:
    """What the agent's last report to the city says: code -> facts."""
    try:
        report = json.loads((CONTROL / "report.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {code: facts for code, _, facts in report.get("faults", [])}


def named(code: str, *evidence: str) -> None:
    """The doctor and the report name this cause and no other; its evidence holds these words."""
    eventually(lambda: list(said()) == [code], 45, f"{code}; last said: {said()}")
    found = said()
    assert not [word for word in evidence if word not in found.get(code, "")], found
    eventually(lambda: list(reported()) == [code], 20, f"{code} at the city; reported: {reported()}")


def test_a_tunnel_that_never_shook_hands(dark: Street) -> None:
    eventually(lambda: "tunnel_never" in said(), 60, f"the tunnel: {said()}")
    eventually(lambda: list(said()) == ["tunnel_never"], 60, "nothing that only follows from it")
    assert "203.0.113.10:51820" in said()["tunnel_never"]


def test_a_well_street_has_no_fault(street: Street, camera: str) -> None:
    eventually(lambda: (CONTROL / "report.json").exists() and reported() == {}, 20, "nothing at the city")


def test_the_citys_platform_does_not_run(street: Street, camera: str) -> None:
    street.stop_program("city")
    try:
        named("city_port_refused", CITY_SIP)
    finally:
        street.resume_program("city")
    eventually(lambda: whole(street), 90, "the whole street")


def test_a_wrong_password_at_the_city(street: Street, camera: str) -> None:
    order(ORDERS, "password another")
    named("city_password_refused", CITY_SIP, "answered 401", street.site.site.id if street.site else "")
    order(ORDERS, "password")
    eventually(lambda: whole(street), 90, "the whole street")


@pytest.mark.parametrize(
    ("address", "code"),
    [("10.1.2.3", "offer_address_foreign"), ("0.0.0.0", "offer_address_unusable")],  # noqa: S104
)
def test_the_city_names_an_address_that_is_not_its_own(street: Street, camera: str, address: str, code: str) -> None:
    order(ORDERS, f"address {address}")
    order(ORDERS, f"play {camera}")
    named(code, address)


def test_the_city_does_not_listen_where_it_says(street: Street, camera: str) -> None:
    order(ORDERS, "deaf yes")
    order(ORDERS, f"play {camera}")
    named("city_refuses_media", "100.64.255.10", str(order(ORDERS, "facts")["port"]))


def test_the_recorders_answer_names_a_foreign_address(street: Street, camera: str) -> None:
    lines = ("v=0", f"o={SHARED} 0 0 IN IP4 {OTHER_IP}", "s=Play", f"c=IN IP4 {OTHER_IP}", "t=0 0",
             f"m=video {MEDIA_PORT} RTP/AVP 96", "a=sendonly", "a=rtpmap:96 PS/90000", "y=0200004321")  # fmt: skip
    order(NVR, f"sdp {''.join(line + chr(13) + chr(10) for line in lines).encode().hex()}")
    order(ORDERS, f"play {camera}")
    named("answer_address_foreign", OTHER_IP, NVR_IP, ID)


@pytest.mark.parametrize(("status", "code"), [(486, "recorder_busy"), (488, "recorder_refuses_offer")])
def test_the_recorder_refuses(street: Street, camera: str, status: int, code: str) -> None:
    order(NVR, f"refuse {status}")
    order(ORDERS, f"play {camera}")
    named(code, str(status), ID)


@pytest.mark.parametrize(
    ("how", "code", "evidence"),
    [
        ("nothing", "recorder_sends_nothing", "no packet came"),
        (OTHER_IP, "recorder_sends_from_elsewhere", f"from {OTHER_IP}"),
        ("98", "recorder_sends_other_media", "98 H.264"),
        ("large", "recorder_sends_fragments", "fragments"),
    ],
)
def test_the_recorder_agrees_and_no_picture_comes(
    street: Street, camera: str, how: str, code: str, evidence: str
) -> None:
    order(NVR, f"send {how}")
    order(ORDERS, f"play {camera}")
    named(code, evidence, ID)


def test_the_recorder_stops_in_the_middle(street: Street, camera: str) -> None:
    order(ORDERS, f"play {camera}")
    eventually(lambda: order(ORDERS, "facts")["judge"].get("right", 0) > 10, 40, "pictures")
    order(NVR, "send nothing")
    named("recorder_stopped_sending", ID)


def test_the_recorder_has_moved(street: Street, camera: str) -> None:
    """Its address is another, its hardware is the same: what it sends is dropped, and seen."""
    street.stop_program("nvr")
    street.stop_program("siteside")
    (RUN / "siteside" / "kept.json").unlink()  # what it knew of a recorder over UDP would live on for minutes
    street.resume_program("siteside")
    try:
        script = "import socket,sys,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
        script += f"s.bind(('{OTHER_IP}',5060))\n[s.sendto(b'REGISTER',('192.168.1.2',5060)) for _ in range(3)]"
        subprocess.run(topology.inside("nvr", sys.executable, "-c", script), check=True, timeout=20)
        named("recorder_address_other", OTHER_IP, NVR_IP)
    finally:
        street.resume_program("nvr")
    eventually(lambda: whole(street), 90, "the whole street")


def test_what_the_sides_say_stays_small(street: Street, camera: str) -> None:
    for name in ("siteside", "cityside", "ferry"):
        assert (RUN / name / "status.json").stat().st_size < 16_384
