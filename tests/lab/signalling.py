"""The signalling of everything but live pictures, through the whole box, with a recorder and a city of given editions.

The two files of ``streets`` that import this each have a street of their own, with the editions crossed: what one side says
in the one, the other hears in the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.lab import private
from edge.lab.orders import order
from edge.lab.recorder import CHANNELS, FIRST_RECORDING, RECORDINGS
from edge.lab.street import RUN, SITE_FILE, STATE, Street, eventually
from tests.conftest import ORDERS, whole

NVR = RUN / "nvr.sock"
SHARED, HIDDEN = CHANNELS
RIGHTS = ["live", "playback", "download", "talk", "ptz", "alarms", "positions"]
TWO_DAYS = FIRST_RECORDING + RECORDINGS * 60


def site_text(edition: int, rights: list[str] = RIGHTS) -> str:
    """Return the lab's site with every right granted by the city and, for the shared channel, allowed by the owner."""
    text = SITE_FILE.read_text(encoding="utf-8").replace('rights = ["live"]', f"rights = {rights}\nedition = {edition}")
    return text.replace("share = true", f"share = true\nallow = {rights}")


def open_street(folder: Path, recorder_edition: int, city_edition: int) -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    site_file = folder / "site.toml"
    site_file.write_text(site_text(city_edition), encoding="utf-8")
    street = Street(Path("build/lab/signalling-log"), site_file=site_file, recorder_edition=recorder_edition)
    try:
        street.open()
        eventually(lambda: order(ORDERS, "facts")["online"], 40, "the site's registration")
        eventually(lambda: whole(street), 60, "the whole street")
        yield street
    finally:
        street.close()


def facts() -> dict[str, Any]:
    return order(ORDERS, "facts")


def recorder() -> dict[str, Any]:
    return order(NVR, "facts")


@pytest.fixture
def camera(street: Street) -> str:
    """The issued id of the one channel that is shared."""
    eventually(lambda: whole(street), 60, "the whole street")
    channels: dict[str, Any] = eventually(lambda: order(ORDERS, "catalog")["channels"], 30, "the catalog")
    return next(iter(channels))


@pytest.fixture
def playback(street: Street, camera: str) -> Iterator[str]:
    order(ORDERS, f"playback {camera} {FIRST_RECORDING} {FIRST_RECORDING + 3600}")
    eventually(lambda: facts()["judge"].get("right", 0) > 20, 30, f"pictures of the recording: {facts()}")
    yield camera
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")
    eventually(lambda: not street.said("siteside").get("views"), 20, "the recorder's leg")


def last() -> int:
    """The number of the picture that the city saw last: 25 a second of the recording."""
    number: int = facts()["judge"].get("last", -1)
    return number


def steer(words: str) -> None:
    """Let the viewer steer the playback; the recorder's 200 comes back to the city."""
    before = len(facts()["playback"])
    order(ORDERS, words)
    eventually(lambda: facts()["playback"][before:] == [200], 20, f"the recorder's answer to {words}")


def test_both_sides_speak_their_own_edition(street: Street, camera: str) -> None:
    assert set(street.said("siteside")["editions"].values()) == {street.recorder_edition}
    assert street.site is not None
    assert street.upper()["edition"] == street.site.platform[0].edition


def test_a_recording_is_paused_played_faster_and_sought_in(street: Street, playback: str) -> None:
    steer("pause")
    eventually(lambda: recorder()["playback"][-1][0] == "PAUSE", 10, "the pause at the recorder")

    def still() -> bool:
        before = last()
        return not eventually_more(before)

    eventually(still, 20, "a picture that stands")
    paused_at = last()
    steer("resume")
    eventually(lambda: last() > paused_at, 20, "it goes on where it stood")
    assert last() < paused_at + 25 * 60
    steer("scale 4")
    assert recorder()["playback"][-1][:2] == ["PLAY", 400]
    packets, number = facts()["packets"], last()
    eventually(lambda: last() > number + 200, 30, "four seconds of recording a second")
    assert facts()["packets"] > packets
    steer("seek 1800")
    eventually(lambda: last() >= 1800 * 25, 20, "the half hour")
    assert facts()["judge"]["wrong"] == 0
    assert recorder()["playback"][-1] == ["PLAY", None, 1_800_000]


def eventually_more(before: int) -> bool:
    """Whether more pictures come within a second and a half."""
    try:
        return bool(eventually(lambda: last() > before, 1.5, "a picture"))
    except TimeoutError:
        return False


def test_the_end_of_a_recording_is_told_and_the_receipt_says_which_hours(street: Street, camera: str) -> None:
    order(ORDERS, f"playback {camera} {FIRST_RECORDING} {FIRST_RECORDING + 3}")
    eventually(lambda: facts()["finished"], 40, "MediaStatus 121 at the city")
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")
    lines = receipts()
    said = [line for line in lines if line["event"] == "ended" and line["kind"] == "playback"][-1]
    assert (said["start"], said["end"]) == (FIRST_RECORDING, FIRST_RECORDING + 3)


def receipts() -> list[dict[str, Any]]:
    """All lines that stand in the ring."""
    found = []
    for path in sorted((STATE / "receipts").glob("*")):
        for line in path.read_bytes().split(b"\n"):
            if line.startswith(b'{"sequence"'):
                found.append(json.loads(line))
    return found


def test_a_download_comes_as_fast_as_it_was_asked_for(street: Street, camera: str) -> None:
    order(ORDERS, f"download {camera} {FIRST_RECORDING} {FIRST_RECORDING + 600}")
    eventually(lambda: facts()["judge"].get("right", 0) > 20, 30, "pictures of the download")
    seen = facts()["judge"]
    assert seen["last"] > 2 * seen["right"], "each fourth picture of the recording"
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")


def test_three_thousand_recordings_of_two_days_come_complete(street: Street, camera: str) -> None:
    order(ORDERS, f"records {camera} {FIRST_RECORDING} {TWO_DAYS}")
    eventually(lambda: facts()["items"] >= RECORDINGS, 90, f"{RECORDINGS} recordings")
    seen = facts()
    assert (seen["items"], seen["distinct"], seen["total"]) == (RECORDINGS, RECORDINGS, RECORDINGS)


def test_recordings_outside_are_not_told(street: Street, camera: str) -> None:
    order(ORDERS, f"records {camera} {FIRST_RECORDING + 6000} {FIRST_RECORDING + 6600}")
    eventually(lambda: facts()["total"] is not None, 30, "an answer")
    eventually(lambda: facts()["items"] == 10, 10, "ten minutes")
    order(ORDERS, f"records {camera} 1000 2000")
    eventually(lambda: facts()["total"] == 0, 30, "an empty answer")


@pytest.mark.parametrize(
    ("words", "heard"),
    [
        ("move 2,1,1,9,0,0", "Move(pan=1, tilt=0, zoom=0, pan_speed=9"),
        ("move 1,1,1,0,0,0", "Move(pan=0, tilt=0, zoom=0"),
        ("lens 2,1,5,0", "Lens(focus=1"),
        ("preset_call 2", "Preset(what='call', number=2)"),
        ("zoom_to 1920,1080,960,540,200,100", "DragZoom(sn="),
        ("key_frame", "KeyFrame(sn="),
    ],
)
def test_the_camera_is_turned(street: Street, camera: str, words: str, heard: str) -> None:
    before = len(recorder()["orders"])
    order(ORDERS, f"do {camera} {words}")
    eventually(lambda: facts()["answered"] == "sent", 20, "the city's 200")
    orders = eventually(lambda: recorder()["orders"][before:], 20, "the order at the recorder")
    assert heard in orders[0]
    assert SHARED in orders[0], "under the recorder's own id"


def test_what_is_denied_is_refused_and_the_recorder_hears_nothing(street: Street, camera: str) -> None:
    before = len(recorder()["orders"])
    order(ORDERS, f"deny {camera}")
    eventually(lambda: facts()["refusal"] == 403, 20, "403 to TeleBoot")
    order(ORDERS, f"do {camera} preset_call 1")  # the control: it arrives, and only it
    eventually(lambda: len(recorder()["orders"]) > before, 20, "the order that may")
    assert len(recorder()["orders"]) == before + 1
    assert not any("TeleBoot" in each for each in recorder()["orders"])


def test_presets_are_listed(street: Street, camera: str) -> None:
    order(ORDERS, f"presets {camera}")
    eventually(lambda: facts()["presets"] == [[1, "大门"], [2, "车棚"]], 20, "the presets")


def test_an_alarm_arrives_and_is_reset(street: Street, camera: str) -> None:
    eventually(lambda: any("SetGuard" in each for each in recorder()["orders"]), 20, "the recorder is told to guard")
    order(NVR, f"alarm {SHARED}")
    eventually(lambda: facts()["alarms"], 20, "the alarm at the city, unasked")
    assert facts()["alarms"][-1] == [camera, 1, 5, 2, "移动侦测"]
    order(ORDERS, "subscribe Alarm")
    count = len(facts()["alarms"])
    order(NVR, f"alarm {SHARED}")
    eventually(lambda: len(facts()["alarms"]) == count + 1, 20, "one alarm, once")
    order(ORDERS, f"do {camera} alarm_reset 5,2")
    eventually(lambda: facts()["answered"] == "DeviceControl OK", 20, "the recorder's answer")
    assert "AlarmReset" in recorder()["orders"][-1]


def log(name: str) -> str:
    return (Path("build/lab/signalling-log") / f"{name}.log").read_text(encoding="utf-8")


def test_an_alarm_of_a_channel_that_is_not_shared_stays_here(street: Street, camera: str) -> None:
    count = len(facts()["alarms"])
    order(NVR, f"alarm {HIDDEN}")
    eventually(lambda: street.said("ferry")["counters"].get("alarms_not_granted", 0) > 0, 20, "it is counted")
    order(NVR, f"alarm {SHARED}")
    eventually(lambda: len(facts()["alarms"]) > count, 20, "the control: a shared one arrives")
    assert len(facts()["alarms"]) == count + 1


def test_a_position_is_told_to_who_subscribed(street: Street, camera: str) -> None:
    order(ORDERS, "subscribe MobilePosition")

    def told() -> bool:
        order(NVR, f"position {SHARED}")
        return bool(facts()["positions"])

    eventually(told, 30, "a position at the city")
    assert facts()["positions"][-1] == [camera, 121_473_700, 31_230_400]


def test_a_channel_that_goes_off_is_off_at_the_city(street: Street, camera: str) -> None:
    order(ORDERS, "subscribe Catalog")
    order(NVR, f"status {SHARED} OFF")
    try:
        eventually(lambda: [camera, False] in facts()["notices"], 20, "the notice")
        eventually(lambda: facts()["faulty"] == [camera], 20, "the keepalive says so too")
    finally:
        order(NVR, f"status {SHARED} ON")
    eventually(lambda: facts()["notices"][-1] == [camera, True], 30, "on again")
    eventually(lambda: facts()["faulty"] == [], 30, "nothing faulty")


def test_a_broadcast_is_agreed_on_both_sides_and_ends(street: Street, camera: str) -> None:
    order(ORDERS, f"broadcast {camera}")
    eventually(lambda: facts()["answered"] == "Broadcast OK", 20, "the recorder agrees")
    eventually(lambda: facts()["talk"] == "established", 20, "the box has asked the city for the sound")
    eventually(lambda: recorder()["talk"] == "audio sendonly", 20, "and has promised it to the recorder")
    eventually(lambda: recorder()["heard"]["right"] > 100, 20, "the camera says what the city speaks, sample by sample")
    heard = recorder()["heard"]
    assert heard["right"] == heard["packets"] and not heard["foreign"] and heard["longest"] == 172, heard
    street.kill("siteside")
    eventually(lambda: facts()["talk"] == "ended", 30, "with one leg gone the other ends")
    eventually(lambda: not street.said("ferry").get("talks"), 30, "nobody speaks")


@pytest.mark.parametrize("side", ["siteside", "cityside"])
def test_a_side_killed_during_a_playback_takes_nothing_away(street: Street, playback: str, side: str) -> None:
    """Media goes on, the viewer steers again, and BYE is still matched."""
    eventually(lambda: whole(street), 30, "the whole street")
    number, starts = last(), street.starts(side)
    street.kill(side)
    eventually(lambda: street.starts(side) > starts, 30, "it is started again")
    eventually(lambda: last() > number + 75, 30, "pictures go on")
    eventually(lambda: whole(street), 60, "the whole street")
    steer("scale 2")
    assert recorder()["playback"][-1][:2] == ["PLAY", 200]
    ended = log("nvr").count("CallEnded")
    order(ORDERS, "stop")
    eventually(lambda: log("nvr").count("CallEnded") > ended, 30, "BYE at the recorder")
    assert facts()["judge"]["wrong"] == 0


def test_orders_stand_in_the_receipts(street: Street, camera: str) -> None:
    order(ORDERS, f"do {camera} preset_call 1")
    eventually(lambda: facts()["answered"] == "sent", 20, "the order")
    eventually(
        lambda: any(line["event"] == "ordered" and line.get("action") == "preset_call" for line in receipts()),
        20,
        "its receipt",
    )
