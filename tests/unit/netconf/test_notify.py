"""A program's beats as its supervisor hears them, also a supervisor that was started again."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from netconf import notify
from netconf.notify import Supervisor


def listener(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(path))
    heard.settimeout(5)
    return heard


def test_beats_are_heard_again_by_a_supervisor_that_was_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "BEAT_SECONDS", 0.0)
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    with listener(path) as first:
        supervisor = Supervisor(12.5)
        supervisor.ready()
        supervisor.beat()
        assert [first.recv(100) for _ in range(3)] == [b"WATCHDOG_USEC=12500000", b"READY=1", b"WATCHDOG=1"]
    supervisor.beat()  # nobody hears it, and nothing breaks
    with listener(path) as second:
        supervisor.beat()
        assert [second.recv(100) for _ in range(2)] == [b"WATCHDOG_USEC=12500000", b"WATCHDOG=1"]


def test_a_program_without_a_supervisor_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    supervisor = Supervisor()
    supervisor.ready()
    supervisor.beat()
