"""What the ferry can still do once it has begun: an allow-list, everything else is EPERM (ARCHITECTURE 1).

A passed socket keeps its namespace. Without this filter whoever owned the ferry could connect it anew, send elsewhere
with it, or ask it for the site's interfaces. With it there is no socket, connect, bind, listen, ioctl, setns, exec,
fork or open; ``sendto`` takes no address; ``sendmsg`` only goes to the workers' sockets, by descriptor number, and in
a worker nowhere. A number is only as good as what stands behind it: no descriptor can be copied, and those numbers
cannot be closed, so that they never come to name another socket.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence
from fcntl import F_GETFD, F_GETFL, F_SETFD, F_SETFL
from typing import Any

#: What CPython and the two loops need. open and openat are not here: what is written later is opened before.
_ALWAYS = (
    "read", "readv", "write", "writev", "lseek", "fstat", "newfstatat",
    "recvfrom", "recvmsg", "getsockname", "getpeername", "getsockopt",
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "epoll_create1", "poll", "ppoll", "select", "pselect6",
    "clock_gettime", "clock_nanosleep", "clock_getres", "nanosleep", "gettimeofday", "time",
    "mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "futex", "sched_yield", "membarrier", "rseq",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
    "getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrandom", "uname", "sysinfo", "getrusage",
    "exit", "exit_group", "set_robust_list", "get_robust_list",
)  # fmt: skip
#: The parent takes connections, sees whether the configuration changed, and writes the files it holds open.
_PARENT = ("accept", "accept4", "shutdown", "wait4", "stat", "lstat", "statx", "pwrite64", "ftruncate", "fdatasync")
#: The worker's reports are due by a timer; it may close what it was handed.
_WORKER = ("setitimer", "close")
_MOST_URGENT = 255
#: CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD: no new namespace, no shared memory.
_FORK_FLAGS = 0x1200011
_NO_NEW_PRIVS = 38


class NoSeccomp(RuntimeError):
    """libseccomp or the kernel's part of it is not there; the ferry does not start without it."""


def load_parent(workers: Sequence[int]) -> None:
    """Confine the ferry's parent; ``sendmsg`` stays possible on the descriptors ``workers``.

    From there on only descriptors below the lowest of them can be closed: ``relay.out_of_reach`` puts them above all
    others. (A comparison for less holds for all 64 bits of the argument; one for unequal would let 2**32 + n close n.)

    Raises:
        NoSeccomp: libseccomp is not there.
    """
    seccomp, rules = _rules((*_ALWAYS, *_PARENT))
    rules.add_rule(seccomp.ALLOW, "close", seccomp.Arg(0, seccomp.LT, min(workers)))
    for descriptor in workers:
        rules.add_rule(seccomp.ALLOW, "sendmsg", seccomp.Arg(0, seccomp.EQ, descriptor))
    _load(rules)


def load_worker() -> None:
    """Confine a relay worker: ``sendmsg`` is not possible at all.

    Raises:
        NoSeccomp: libseccomp is not there.
    """
    _, rules = _rules((*_ALWAYS, *_WORKER))
    _load(rules)


def load_nursery() -> None:
    """Confine the nursery: a worker's calls, fork as the C library does it, to confine what it forks, and to end it.

    Raises:
        NoSeccomp: libseccomp is not there.
    """
    seccomp, rules = _rules((*_ALWAYS, *_WORKER, "close_range", "wait4", "rt_sigtimedwait", "seccomp"))
    rules.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.EQ, _FORK_FLAGS))
    rules.add_rule(seccomp.ALLOW, "kill", seccomp.Arg(1, seccomp.EQ, signal.SIGKILL))
    rules.add_rule(seccomp.ALLOW, "prctl", seccomp.Arg(0, seccomp.EQ, _NO_NEW_PRIVS))
    _load(rules)


def _rules(names: Sequence[str]) -> tuple[Any, Any]:
    """Return libseccomp and the rules that both filters share, with ``names`` allowed whatever their arguments."""
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as missing:
        raise NoSeccomp(str(missing)) from missing
    allow, exactly = pyseccomp.ALLOW, pyseccomp.EQ
    rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in names:
        try:
            rules.add_rule(allow, name)
        except (OSError, RuntimeError, ValueError):
            continue  # a call that this architecture or this libseccomp does not have
    rules.add_rule(allow, "sendto", pyseccomp.Arg(4, exactly, 0))
    rules.syscall_priority("sendto", _MOST_URGENT)  # once a packet; the kernel remembers only rules without arguments
    for command in (F_GETFD, F_SETFD, F_GETFL, F_SETFL):  # not F_DUPFD
        rules.add_rule(allow, "fcntl", pyseccomp.Arg(1, exactly, command))
    rules.add_rule(allow, "tgkill", pyseccomp.Arg(0, exactly, os.getpid()))  # abort()
    return pyseccomp, rules


def _load(rules: Any) -> None:
    try:
        rules.load()
    except OSError as refused:
        raise NoSeccomp(str(refused)) from refused
