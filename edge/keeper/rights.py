"""Entering a namespace, and giving up everything but CAP_NET_ADMIN."""

from __future__ import annotations

from edge.io.rights import CAP_NET_ADMIN, call, keep_only

CLONE_NEWNET = 0x40000000


def enter(namespace: int) -> None:
    """Enter the network namespace that a descriptor stands for.

    Raises:
        OSError: the kernel does not let us.
    """
    call("setns", namespace, CLONE_NEWNET)


def keep_net_admin() -> None:
    """Drop every capability but CAP_NET_ADMIN, also from the bounding set, and forbid new ones.

    Raises:
        OSError: the kernel does not let us.
    """
    keep_only(CAP_NET_ADMIN)
