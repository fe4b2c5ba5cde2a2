"""Private namespaces for the whole bench: user (when not root), network, mount and process; nothing of it is left.

The bench re-executes itself under util-linux' ``unshare``; when its first process ends, the kernel ends all others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

_MARK = "SNOWGATE_LAB_INSIDE"
#: The box's folders in the lab, as every program and the command find them (``edge.io.confirmed``).
PLACES = {
    "SNOWGATE_RUN": "/run/snowgate",
    "SNOWGATE_STATE": "/run/snowgate-state",
    "SNOWGATE_SECRETS": "/run/snowgate-secrets",
}
_PREPARE = (
    "mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/netns /run/snowgate /run/wireguard /run/lock "
    "&& ip link set lo up && exec \"$@\""
)  # fmt: skip


def is_inside() -> bool:
    return os.environ.get(_MARK) == "1"


def command(words: Sequence[str]) -> list[str]:
    """Return the command that runs ``words`` in fresh private namespaces."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*unshare, "sh", "-c", _PREPARE, "sh", *words]


def environment() -> dict[str, str]:
    return {**os.environ, **PLACES, _MARK: "1", "PYTHONUNBUFFERED": "1"}


def run_inside(module: str, *words: str) -> int:
    """Run ``python -m module words`` in private namespaces and return its exit status.

    Ctrl-C is for the one inside: it reaches both, and whoever waits here must outlive it.
    """
    with subprocess.Popen(command([sys.executable, "-m", module, *words]), env=environment()) as inside:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return inside.wait()
        finally:
            signal.signal(signal.SIGINT, before)
