"""By which tunnel the agent dials: the one that is used, and the next one when it leads nowhere."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.agent.line import Line
from edge.io.https import Server
from edge.io.road import Road, roads
from edge.io.status import StatusFile
from netconf.check import read_site

ROOT = Path(__file__).parents[4]
TWO, _ = read_site((ROOT / "tests/sites/two-tunnels.toml").read_text(encoding="utf-8"))
ONE, _ = read_site((ROOT / "edge/lab/site.toml").read_text(encoding="utf-8"))
assert TWO is not None
assert ONE is not None
#: Two of this host's own addresses stand for the tunnels'; the third is nobody's.
A, B, NOBODY = "127.0.0.3", "127.0.0.4", "192.0.2.9"


@pytest.fixture
def city() -> Iterator[tuple[socket.socket, Server]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        listener.settimeout(5)
        yield listener, Server("127.0.0.1", listener.getsockname()[1])


def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: Any, a: str = A, b: str = B) -> Line:
    monkeypatch.setattr("edge.agent.line.roads", lambda _: {"wg-a": Road("wg-a", a), "wg-b": Road("wg-b", b)})
    (tmp_path / "cityside").mkdir()
    StatusFile(tmp_path, "cityside").write({"tunnel": used})
    return Line(tmp_path)


def by(made: Line, city: tuple[socket.socket, Server]) -> str:
    """The address that the city was dialled from."""
    assert TWO is not None
    with made.dial(TWO, city[1], 2.0), city[0].accept()[0] as heard:
        return str(heard.getpeername()[0])


@pytest.mark.parametrize(("used", "address"), [
    ({"used": "wg-a"}, A), ({"used": "wg-b"}, B), ({"used": "wg-z"}, A), ({"used": 7}, A), ("wg-b", A), (None, A),
])  # fmt: skip
def test_the_used_tunnel_comes_first_and_a_false_word_is_none(
    used: Any, address: str, city: tuple[socket.socket, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert by(line(tmp_path, monkeypatch, used), city) == address


def test_without_the_city_sides_word_the_first_one(
    city: tuple[socket.socket, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = line(tmp_path, monkeypatch, {"used": "wg-b"})
    (tmp_path / "cityside/status.json").unlink()
    assert by(made, city) == A


def test_a_tunnel_that_is_to_have_another_key_is_taken_only_when_there_is_no_other(
    city: tuple[socket.socket, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = line(tmp_path, monkeypatch, {"used": "wg-a"}, b=NOBODY)
    assert TWO is not None
    with pytest.raises(OSError, match="address"):
        made.dial(TWO, city[1], 2.0, but={"wg-a": "its next key"})
    with made.dial(TWO, city[1], 2.0, but=("wg-a",)), city[0].accept()[0] as heard:
        assert heard.getpeername()[0] == A


def test_one_that_leads_nowhere_is_passed_over_the_next_time(
    city: tuple[socket.socket, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = line(tmp_path, monkeypatch, {"used": "wg-a"}, a=NOBODY)
    assert TWO is not None
    with pytest.raises(OSError, match="address"):
        made.dial(TWO, city[1], 2.0)
    assert by(made, city) == B
    assert by(made, city) == B


def test_a_socket_goes_by_a_device_only_where_there_are_several() -> None:
    assert TWO is not None
    assert ONE is not None
    assert [road.device for road in roads(ONE).values()] == [""]
    assert [(name, road.device) for name, road in roads(TWO).items()] == [("wg-a", "wg-a"), ("wg-b", "wg-b")]
    (only,) = roads(ONE).values()
    assert only.index() == 0
    assert Road("x", A, "no-such-link").index() is None
    with socket.socket() as opened, pytest.raises(OSError, match="No such device"):
        Road("x", A, "no-such-link").take(opened)
