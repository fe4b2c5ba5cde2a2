"""The ferry owned: what its process could do with a passed socket, without the filter and with it.

Each attack runs twice in a forked child of its own: without the filter it must succeed (the control), with it fail.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import socket
from collections.abc import Callable

import pytest

from edge.ferry import seccomp

Attack = Callable[[socket.socket], object]
#: Where the attacked process holds a relay worker's socket, the only one that ``sendmsg`` may use.
WORKER = 99
HERE = os.getpid()
CLOSE = {"x86_64": 3, "aarch64": 57}


def call(name: str, *words: int) -> None:
    """Call a function of the C library.

    Raises:
        OSError: it says so.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*(ctypes.c_long(word) for word in words)):
        raise OSError(ctypes.get_errno(), name)


def reconnect(passed: socket.socket) -> object:
    return passed.connect(("127.0.0.1", 9))


def send_elsewhere(passed: socket.socket) -> object:
    return passed.sendto(b"out", ("127.0.0.1", 9))


def sendmsg_elsewhere(passed: socket.socket) -> object:
    return passed.sendmsg([b"out"], [], 0, ("127.0.0.1", 9))


def free_the_workers_number(_: socket.socket) -> object:
    """The next descriptor to come, say one that a side passes, would take the number, and ``sendmsg`` with it."""
    return os.close(WORKER)


def free_the_workers_number_wrapped(_: socket.socket) -> object:
    """A descriptor is 32 bits for the kernel and 64 for the filter."""
    return call("syscall", CLOSE[platform.machine()], 1 << 32 | WORKER)


def free_the_workers_number_by_range(_: socket.socket) -> object:
    return call("close_range", WORKER, WORKER, 0)


def send_by_the_workers_number(passed: socket.socket) -> object:
    os.close(WORKER)
    fcntl.fcntl(passed, fcntl.F_DUPFD, WORKER)
    return _send_as_worker()


def send_by_a_copy_on_the_workers_number(passed: socket.socket) -> object:
    os.dup2(passed.fileno(), WORKER)
    return _send_as_worker()


def _send_as_worker() -> object:
    return socket.socket(fileno=WORKER).sendmsg([b"out"], [], 0, ("127.0.0.1", 9))


def copy(passed: socket.socket) -> object:
    return fcntl.fcntl(passed, fcntl.F_DUPFD, 50)


def signal_another(_: socket.socket) -> object:
    return call("tgkill", HERE, HERE, 0)


def set_an_option(passed: socket.socket) -> object:
    return passed.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)


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
    return call("unshare", 0x10000000 if os.getuid() else 0x04000000)


ATTACKS = [
    reconnect, send_elsewhere, sendmsg_elsewhere, free_the_workers_number, free_the_workers_number_wrapped,
    free_the_workers_number_by_range, send_by_the_workers_number,
    send_by_a_copy_on_the_workers_number, copy, signal_another, set_an_option, ask_interfaces, new_socket, bind, open_file,
    fork, execute, enter_namespace,
]  # fmt: skip

#: A worker closes what it was handed; no number means anything there, for it has no ``sendmsg``.
HARMLESS_IN_A_WORKER = (free_the_workers_number, free_the_workers_number_wrapped)


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
            line, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            os.dup2(line.fileno(), WORKER)
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
    assert outcome(attack, lambda: seccomp.load_parent((WORKER,))) == 1
    if attack not in HARMLESS_IN_A_WORKER:
        assert outcome(attack, seccomp.load_worker) == 1
