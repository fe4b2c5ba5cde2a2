"""One street for all tests that need one; each leaves it as it found it."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.lab import private
from edge.lab.naive import NaiveRelay
from edge.lab.orders import order
from edge.lab.probes import NO_CALL_PORT, PROBES, Captures, LiveCall, run_probe
from edge.lab.street import RUN, Street, eventually

ORDERS = RUN / "city.sock"


@contextlib.contextmanager
def as_user(name: str) -> Iterator[None]:
    """Be another user for a while, by the effective ids, which is whom a socket's other end sees."""
    who = pwd.getpwnam(name)
    if who.pw_uid == os.geteuid():
        yield
        return
    groups = os.getgroups()
    os.setgroups(os.getgrouplist(name, who.pw_gid))
    os.setegid(who.pw_gid)
    os.seteuid(who.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.fixture(scope="session")
def street() -> Iterator[Street]:
    if not private.is_inside():
        pytest.skip("the lab's tests need private namespaces: make test")
    street = Street(Path("build/lab/test-log"))
    try:
        street.open()
        eventually(lambda: order(ORDERS, "facts")["online"], 40, "the site's registration")
        eventually(lambda: order(ORDERS, "catalog")["channels"], 20, "the catalog")
        yield street
    finally:
        street.close()


NO_CALL = LiveCall(NO_CALL_PORT, 15060, 0x11223344, 40000, 41000, 1, 1)
SCANS = ("scan-nvr-city", "rtp-without-call", "scan-city-nvr")


def nothing_crosses(*wanted: str) -> None:
    """Send these probes; each arrives at its control, none at its victim."""
    captures, relay = Captures(), NaiveRelay((5060, NO_CALL_PORT), NO_CALL.city_local_port)
    try:
        for probe in (probe for probe in PROBES if probe.id in wanted):
            result = run_probe(probe, captures, NO_CALL, 1)
            assert result.control_arrived > 0, f"{probe.id}: its control"
            assert result.arrived == 0, probe.id
    finally:
        captures.close()
        relay.close()


def alive(pid: int | None) -> bool:
    """Whether a process is there and no corpse that nobody has fetched."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False


def whole(street: Street) -> bool:
    """Whether every program of the box knows every other, by their own words: what the city believes may be old."""
    ferry, city = street.said("ferry"), street.said("cityside")
    return (
        ferry.get("sides") == ["city", "site"]
        and ferry.get("keeper") is True
        and any(street.said("siteside").get("recorders", {}).values())
        and city.get("registered") is True
        and "ON" in street.upper().get("channels", {}).values()
    )


@pytest.fixture
def channel(street: Street) -> str:
    """The one channel that the city may see, when it is there."""
    eventually(lambda: whole(street), 90, "the whole street")
    found: dict[str, list[str]] = eventually(
        lambda: {
            code: facts for code, facts in order(ORDERS, "catalog")["channels"].items() if facts[1] == "ON"
        } or None,
        40,
        "a channel that is on",
    )  # fmt: skip
    return next(iter(found))


@pytest.fixture
def playing(street: Street, channel: str) -> Iterator[str]:
    """A live view, ended afterwards."""
    order(ORDERS, f"play {channel}")
    eventually(lambda: order(ORDERS, "facts")["judge"].get("right", 0) > 5, 30, "pictures at the city")
    yield channel
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end at the ferry")
    eventually(lambda: not street.said("siteside").get("views"), 20, "the view's end at the site side")
