"""What a side may hand over: a connected UDP or TCP socket of its own namespace, and nothing else (ARCHITECTURE 1)."""

from __future__ import annotations

import array
import contextlib
import os
import socket
import stat

#: linux/socket.h; Python has no name for it.
SO_NETNS_COOKIE = 71
_MOST_BYTES = 4096
_TRANSPORTS = {
    (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP): "udp",
    (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP): "tcp",
}


class BadDescriptor(Exception):
    """What came is not what may come; ``rule`` names why. Whoever raised it has closed nothing."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def netns_cookie(opened: socket.socket) -> int:
    """Return the cookie of the namespace that a socket was made in; it keeps it wherever it is passed."""
    return int.from_bytes(opened.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")


def addresses(descriptor: int, cookie: int) -> tuple[tuple[str, int], tuple[str, int], str]:
    """Return local and peer address and transport of a connected socket of the namespace with ``cookie``.

    Raises:
        BadDescriptor: with the rule it breaks.
    """
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        raise BadDescriptor("descriptor_not_socket")
    opened = socket.socket(fileno=descriptor)
    try:
        transport = _TRANSPORTS.get((opened.family, opened.type, opened.proto))
        if transport is None:
            raise BadDescriptor("descriptor_not_media")
        if netns_cookie(opened) != cookie:
            raise BadDescriptor("descriptor_foreign_namespace")
        return opened.getsockname(), opened.getpeername(), transport
    except OSError:
        raise BadDescriptor("descriptor_not_connected") from None
    finally:
        opened.detach()


def let_go(descriptor: int) -> None:
    """Close a passed socket. A connection is ended at once, though a worker may hold it for a moment longer."""
    opened = socket.socket(fileno=descriptor)
    if opened.type == socket.SOCK_STREAM:
        with contextlib.suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
    opened.close()


def receive(line: socket.socket, most_descriptors: int) -> tuple[bytes, list[int]]:
    """Return one datagram and the descriptors that came with it; b"" at the end of the line.

    Raises:
        BadDescriptor: it was cut short, or more came than may; all that came is closed.
        OSError: as recvmsg does.
    """
    room = socket.CMSG_SPACE((most_descriptors + 1) * array.array("i").itemsize)
    data, ancillary, flags, _ = line.recvmsg(_MOST_BYTES, room)
    came = array.array("i")
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            came.frombytes(value[: len(value) - len(value) % came.itemsize])
    if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC) or len(came) > most_descriptors:
        for descriptor in came:
            os.close(descriptor)
        raise BadDescriptor("record_cut")
    return data, list(came)
