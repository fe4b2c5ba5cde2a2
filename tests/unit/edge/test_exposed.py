"""Figures for the city's monitoring over a real connection: who gets them, and what a reader cannot do."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from edge.agent import exposed
from edge.agent.exposed import Exposed
from edge.io.log import Log
from edge.lab import topology
from netconf.check import read_site
from netconf.model import Monitoring, Site

SITE, _ = read_site(Path(topology.__file__).with_name("site.toml").read_text(encoding="utf-8"))
assert SITE is not None
HERE, STRANGER = "127.0.0.1", "127.0.0.2"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


def site(*readers: str) -> Site:
    assert SITE is not None
    tunnel = SITE.tunnel[0].model_copy(update={"address": IPv4Interface(f"{HERE}/32")})
    monitoring = Monitoring(readers=tuple(map(IPv4Address, readers)))
    return SITE.model_copy(update={"tunnel": (tunnel,), "monitoring": monitoring})


class Bench:
    def __init__(self) -> None:
        self.port, self.reads = free_port(), 0
        self.exposed = Exposed(self.read, Log("test"), self.port)

    def read(self) -> str:
        self.reads += 1
        return f"snowgate_views {self.reads}\n"

    def dial(self, source: str = HERE) -> socket.socket:
        return socket.create_connection((HERE, self.port), 5, (source, 0))

    def get(self, path: str = "/metrics", method: str = "GET", source: str = HERE) -> tuple[int, str]:
        line = http.client.HTTPConnection(HERE, self.port, timeout=5, source_address=(source, 0))
        try:
            line.request(method, path)
            answer = line.getresponse()
            return answer.status, answer.read().decode()
        finally:
            line.close()

    def closed(self, data: bytes) -> bool:
        """Whether ``data`` is answered with nothing but the end."""
        with self.dial() as line:
            line.sendall(data)
            try:
                return line.recv(100) == b""
            except ConnectionResetError:
                return True


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.exposed.close()


def test_a_reader_gets_the_figures_and_others_nothing(bench: Bench) -> None:
    bench.exposed.follow(site(HERE))
    assert bench.get() == (200, "snowgate_views 1\n")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        bench.get(source=STRANGER)
    bench.exposed.follow(site(STRANGER))
    assert bench.get(source=STRANGER)[0] == 200, "the control"


def test_nobody_listens_unless_the_city_names_a_reader(bench: Bench) -> None:
    for silent in (None, site()):
        bench.exposed.follow(silent)
        with pytest.raises(ConnectionRefusedError):
            bench.dial()
    bench.exposed.follow(site(HERE))
    bench.dial().close()
    bench.exposed.follow(site())
    with pytest.raises(ConnectionRefusedError):
        bench.dial()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/metrics", 405), ("GET", "/", 404), ("GET", "/metrics/../x", 404), ("GET", "/metrics?a=b", 200)],
)
def test_there_is_one_thing_to_ask_for(bench: Bench, method: str, path: str, status: int) -> None:
    bench.exposed.follow(site(HERE))
    assert bench.get(path, method)[0] == status


@pytest.mark.parametrize("line", [b"\x16\x03\x01\r\n\r\n", b"GET /metrics\r\n\r\n", b"GET  /metrics HTTP/1.1\r\n\r\n"])
def test_what_is_no_request_is_refused(bench: Bench, line: bytes) -> None:
    bench.exposed.follow(site(HERE))
    with bench.dial() as dialled:
        dialled.sendall(line)
        assert dialled.recv(1024).startswith(b"HTTP/1.1 400 ")


def test_a_reader_that_hangs_or_floods_does_not_keep_the_next_one_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposed, "DEADLINE_SECONDS", 0.2)
    bench.exposed.follow(site(HERE))
    with bench.dial() as silent, bench.dial() as half:
        half.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert bench.get()[0] == 200
        assert silent.recv(100) == b""
    assert bench.closed(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 8000)
    assert bench.get()[0] == 200


def test_many_readers_are_answered_out_of_one_look(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.exposed.follow(site(HERE))
    monkeypatch.setattr(exposed, "FRESH_SECONDS", 1e9)
    assert {bench.get()[1] for _ in range(5)} == {"snowgate_views 1\n"}
    monkeypatch.setattr(exposed, "FRESH_SECONDS", -1)
    assert bench.get()[1] == "snowgate_views 2\n", "and the next look is a new one"


def test_an_address_that_is_taken_or_not_there_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposed, "AGAIN_SECONDS", 0.0)
    with socket.socket() as other:
        other.bind((HERE, bench.port))
        other.listen()
        bench.exposed.follow(site(HERE))
    bench.exposed.follow(site(HERE))
    until = time.monotonic() + 5
    while bench.get()[0] != 200:
        assert time.monotonic() < until
