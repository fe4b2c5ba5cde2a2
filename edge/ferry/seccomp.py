"""What the ferry can still do once it has begun: an allow-list, everything else is EPERM (ARCHITECTURE 1).

A passed socket keeps its namespace. Without this filter whoever owned the ferry could connect it anew, send elsewhere
with it, or ask it for the site's interfaces. With it there is no socket, connect, bind, listen, ioctl, setns, exec,
fork or open; ``sendto`` takes no address; ``sendmsg`` only goes to the workers' sockets, by descriptor number, and in
a worker nowhere.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

#: What CPython and the two loops need. open and openat are not here: what is written later is opened before.
_ALWAYS = (
    "read", "readv", "write", "writev", "pwrite64", "pread64", "lseek", "close", "close_range", "fstat", "newfstatat",
    "stat", "lstat", "statx", "ftruncate", "fcntl", "dup",
    "recvfrom", "recvmsg", "getsockname", "getpeername", "getsockopt",
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "epoll_create1", "poll", "ppoll", "select", "pselect6",
    "clock_gettime", "clock_nanosleep", "clock_getres", "nanosleep", "gettimeofday", "time",
    "mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "futex", "sched_yield", "membarrier", "rseq",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
    "getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrandom", "uname", "sysinfo", "getrusage",
    "exit", "exit_group", "tgkill", "set_robust_list", "get_robust_list",
)  # fmt: skip
_PARENT = ("accept", "accept4", "wait4", "shutdown")
_WORKER = ("setitimer",)


class NoSeccomp(RuntimeError):
    """libseccomp is not there; the ferry does not start without it."""


def load_parent(workers: Sequence[int]) -> None:
    """Confine the ferry's parent; ``sendmsg`` stays possible on the descriptors ``workers``.

    Raises:
        NoSeccomp: libseccomp is not there.
    """
    _load((*_ALWAYS, *_PARENT), workers)


def load_worker() -> None:
    """Confine a relay worker: ``sendmsg`` is not possible at all.

    Raises:
        NoSeccomp: libseccomp is not there.
    """
    _load((*_ALWAYS, *_WORKER), ())


def _load(names: Sequence[str], sendmsg_on: Sequence[int]) -> None:
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as missing:
        raise NoSeccomp(str(missing)) from missing
    allow = pyseccomp.ALLOW
    filter_ = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in names:
        try:
            filter_.add_rule(allow, name)
        except (OSError, RuntimeError, ValueError):
            continue  # a call that this architecture or this libseccomp does not have
    filter_.add_rule(allow, "sendto", pyseccomp.Arg(4, pyseccomp.EQ, 0))
    for descriptor in sendmsg_on:
        filter_.add_rule(allow, "sendmsg", pyseccomp.Arg(0, pyseccomp.EQ, descriptor))
    filter_.load()
