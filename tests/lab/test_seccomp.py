"""The ferry owned: what its process could do with a passed socket, without the filter and with it.

Each attack runs twice in a forked child of its own: without the filter it must succeed (the control), with it fail.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
from collections.abc import Callable

import pytest

from edge.ferry import seccomp

Attack = Callable[[socket.socket], object]


def reconnect(passed: socket.socket) -> object:
    return passed.connect(("127.0.0.1", 9))


def send_elsewhere(passed: socket.socket) -> object:
    return passed.sendto(b"out", ("127.0.0.1", 9))


def sendmsg_elsewhere(passed: socket.socket) -> object:
    return passed.sendmsg([b"out"], [], 0, ("127.0.0.1", 9))


def ask_interfaces(passed: socket.socket) -> object:
    return fcntl.ioctl(passed, 0x8912, b"\0" * 16)


def new_socket(_: socket.socket) -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def bind(passed: socket.socket) -> object:
    return socket.socket.bind(passed, ("127.0.0.1", 0))


def open_file(_: socket.socket) -> object:
    return os.open("/etc/hostname", os.O_RDONLY)


def fork(_: socket.socket) -> object:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)


def execute(_: socket.socket) -> object:
    return os.execv("/bin/true", ["true"])


def enter_namespace(_: socket.socket) -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000 if os.getuid() else 0x04000000):
        raise OSError(ctypes.get_errno(), "unshare")
    return None


ATTACKS = [
    reconnect, send_elsewhere, sendmsg_elsewhere, ask_interfaces, new_socket, bind, open_file, fork, execute, enter_namespace,
]  # fmt: skip


def outcome(attack: Attack, confine: Callable[[], None]) -> int:
    """Run an attack in a child: 0 it succeeded, 1 it was refused, 2 something else."""
    pid = os.fork()
    if pid == 0:
        status = 2
        try:
            passed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if attack is not bind:
                passed.bind(("127.0.0.1", 0))
                passed.connect(("127.0.0.1", 10))
            ctypes.CDLL(None)
            confine()
            attack(passed)
            status = 0
        except PermissionError:
            status = 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_owned_ferry_can_do_nothing_with_what_it_holds(attack: Attack) -> None:
    assert outcome(attack, lambda: None) == 0, "the control: without the filter it succeeds"
    assert outcome(attack, lambda: seccomp.load_parent((99,))) == 1
    assert outcome(attack, seccomp.load_worker) == 1
