"""Entering a namespace, and giving up everything but CAP_NET_ADMIN."""

from __future__ import annotations

from edge.io.rights import CAP_NET_ADMIN, become, call

CLONE_NEWNET = 0x40000000
USER = "snowgate-keeper"


def enter(namespace: int) -> None:
    """Enter the network namespace that a descriptor stands for.

    Raises:
        OSError: the kernel does not let us.
    """
    call("setns", namespace, CLONE_NEWNET)


def keep_net_admin() -> None:
    """Become the keeper's own user, with no capability but CAP_NET_ADMIN, and forbid new ones.

    Raises:
        LookupError: the box has no such user.
        OSError: the kernel does not let us.
    """
    become(USER, CAP_NET_ADMIN)
