"""Sockets made in another host's namespace: setns is a thread's affair, and a socket stays where it was made."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3


@contextmanager
def in_namespace(name: str) -> Iterator[None]:
    """Be in the namespace ``name`` for the length of a block, this thread only.

    Raises:
        OSError: there is no such namespace, or we may not enter it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if libc.setns(there, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {name}")
        try:
            yield
        finally:
            libc.setns(back, _CLONE_NEWNET)
    finally:
        os.close(there)
        os.close(back)


def udp_in(name: str, local: tuple[str, int]) -> socket.socket:
    """Return a UDP socket of a host, bound to ``local``."""
    with in_namespace(name):
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind(local)
    return opened


def packet_in(name: str, link: str = "") -> socket.socket:
    """Return a packet socket of a host, on one link or on all."""
    with in_namespace(name):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL) if not link else 0)
        if link:
            opened.bind((link, 0))
    return opened
