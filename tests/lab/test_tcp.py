"""SIP over TCP in the street: upward by default, a recorder that speaks it, and connections that mean no good."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from edge.lab import topology
from edge.lab.orders import order
from edge.lab.recorder import TRANSPORT
from edge.lab.street import Street, eventually
from tests.conftest import ORDERS


def right() -> int:
    count: int = order(ORDERS, "facts")["judge"].get("right", 0)
    return count


def online(street: Street) -> bool:
    return any(street.said("siteside").get("recorders", {}).values())


def registrations(street: Street) -> int:
    return (street.logs / "nvr.log").read_text(encoding="utf-8").count("Registered()")


def known_to_city() -> bool:
    try:
        return bool(order(ORDERS, "facts")["online"])
    except OSError:
        return False  # it is being started again


def connections(host: str, port: int) -> int:
    """How many TCP connections to ``port`` a host holds."""
    shown = topology.inside(host, "ss", "-Htn", "state", "established")
    text = subprocess.run(shown, capture_output=True, text=True, check=True).stdout
    return sum(line.split()[3].endswith(f":{port}") for line in text.splitlines())


def test_the_city_is_spoken_to_over_one_connection(street: Street, channel: str) -> None:
    eventually(lambda: order(ORDERS, "facts")["online"], 60, "registered")
    assert connections("vpn", 5060) == 1
    rules = subprocess.run(
        topology.inside("vpn", "nft", "list", "chain", "inet", "snowgate", "output"),
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert f"ip daddr {topology.CITY_IP} tcp dport 5060" in rules
    assert "udp sport 5060" not in rules


def test_f16_a_city_that_restarts_is_registered_with_again(street: Street, channel: str) -> None:
    starts = street.starts("city")
    street.kill("city")
    eventually(lambda: street.starts("city") > starts, 10, "the city again")
    eventually(known_to_city, 60, "registered again")
    eventually(lambda: order(ORDERS, "catalog")["channels"], 30, "the catalog")
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 5, 30, "pictures")
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end")


def reason_of_the_last_view() -> str:
    command = [sys.executable, "-m", "edge.cli", "receipts", "list", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return next(str(view["reason"]) for view in json.loads(done.stdout) if view["event"] == "ended")


def test_a_view_that_a_restarted_city_has_forgotten_ends_with_that_reason(street: Street, channel: str) -> None:
    order(ORDERS, f"play {channel}")
    eventually(lambda: right() > 5, 30, "pictures")
    starts = street.starts("city")
    street.kill("city")
    eventually(lambda: street.starts("city") > starts, 10, "the city again")
    eventually(known_to_city, 60, "registered again")
    eventually(lambda: not street.said("ferry").get("views"), 30, "the view's end")
    assert reason_of_the_last_view() == "city_forgot"


def test_a_view_goes_on_when_its_connection_alone_is_lost(street: Street, playing: str) -> None:
    """The city's host resets it and takes no other for a while; the city still knows its view when it is dialled anew."""
    (number,) = street.said("ferry")["views"]
    rules = ("add table inet cut", "add chain inet cut input { type filter hook input priority 0; }",
             "add rule inet cut input tcp dport 5060 reject with tcp reset")  # fmt: skip
    subprocess.run(topology.inside("city", "nft", "; ".join(rules)), check=True, timeout=20)
    try:
        with contextlib.suppress(OSError):
            order(ORDERS, "catalog")  # a word of the city, which the box acknowledges: that segment is reset
        eventually(lambda: not street.said("cityside").get("registered"), 60, "the connection is lost")
    finally:
        subprocess.run(topology.inside("city", "nft", "delete table inet cut"), check=True, timeout=20)
    eventually(lambda: street.said("cityside").get("registered"), 90, "registered again")
    count = right()
    eventually(lambda: right() > count + 50, 30, "pictures of the same view")
    assert list(street.said("ferry")["views"]) == [number]
    assert order(ORDERS, "facts")["judge"].get("wrong", 0) == 0


@pytest.fixture
def tcp_recorder(street: Street) -> Iterator[None]:
    TRANSPORT.touch()
    street.kill("nvr")
    eventually(lambda: connections("nvr", 5060) == 1, 30, "the recorder's connection")
    eventually(lambda: online(street), 90, "the recorder")
    yield
    TRANSPORT.unlink()
    before = registrations(street)
    street.kill("nvr")
    eventually(lambda: connections("nvr", 5060) == 0, 30, "no connection")
    eventually(lambda: registrations(street) > before and online(street), 90, "the recorder over UDP")


def test_a_recorder_over_tcp_is_watched_and_its_call_ends_over_its_connection(
    street: Street, tcp_recorder: None, playing: str
) -> None:
    before = right()
    eventually(lambda: right() > before + 50, 30, "more pictures")
    log = (street.logs / "nvr.log").read_text(encoding="utf-8")
    order(ORDERS, "stop")
    eventually(lambda: "CallEnded" in (street.logs / "nvr.log").read_text(encoding="utf-8")[len(log) :], 20, "its BYE")


SLOW = """
import socket, sys, time
held = []
for at in range(int(sys.argv[2])):
    try:
        line = socket.create_connection((sys.argv[1], 5060), 3)
    except OSError:
        continue
    line.send(b"MESSAGE sip:a@b SIP/2.0\\r\\nVia: SIP/2.0/TCP ")
    held.append(line)
print(len(held), flush=True)
time.sleep(600)
"""


def test_connections_that_begin_and_do_not_end_take_nobodys_place(street: Street, playing: str) -> None:
    """The recorder itself is owned and opens what it can (nobody else gets a segment through): its own UDP goes on."""
    before = street.said("siteside").get("tcp", {})
    hosts = [subprocess.Popen(topology.inside(host, sys.executable, "-c", SLOW, topology.LAN_IP, "30"),
                              stdout=subprocess.PIPE, text=True) for host in ("nvr", "nvr2")]  # fmt: skip
    try:

        def counted(rule: str) -> int:
            return int(street.said("siteside").get("tcp", {}).get(rule, 0) - before.get(rule, 0))

        eventually(lambda: counted("tcp_too_many_of_one_host") > 0, 60, "the ninth of one host is refused")
        eventually(lambda: counted("tcp_message_slow") >= 8, 60, "the slow ones are ended")
        count = right()
        eventually(lambda: right() > count + 25, 20, "the picture goes on")
        assert online(street)
    finally:
        for host in hosts:
            host.kill()
            host.wait(10)
