"""The uplink's port as this process sees it: one packet socket, opened while there is a right to, and what it tells.

``bind`` of a packet socket needs no right, so the socket that was opened first follows the port through replugging
and a changed configuration, and no right has to be kept for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from edge.uplink.frame import CLIENT_PORT, MAX_FRAME_BYTES

_SO_ATTACH_FILTER = 26
_SIOCGIFFLAGS, _SIOCGIFHWADDR, _SIOCGIFINDEX = 0x8913, 0x8927, 0x8933
_UP, _RUNNING = 0x1, 0x40
_ETHERNET, _IPV4 = 1, 0x0800
#: rtnetlink(7): one message a link that changed; ``ifinfomsg`` follows the header.
_LINK_GROUP, _NEW_LINK = 1, 16
_NETLINK_HEAD, _LINK_INFO = struct.Struct("=IHHII"), struct.Struct("=BxHiII")
_MOST_NETLINK_BYTES = 1 << 16
_MOST_PER_WAKE = 64
#: Classic BPF (linux/filter.h): IPv4, UDP, no later fragment, to port 68; all else, and that is the tunnel's whole
#: traffic, never wakes this process.
_FILTER = (
    (0x28, 0, 0, 12),
    (0x15, 0, 8, _IPV4),
    (0x30, 0, 0, 23),
    (0x15, 0, 6, 17),
    (0x28, 0, 0, 20),
    (0x45, 4, 0, 0x1FFF),
    (0xB1, 0, 0, 14),
    (0x48, 0, 0, 16),
    (0x15, 0, 1, CLIENT_PORT),
    (0x06, 0, 0, MAX_FRAME_BYTES),
    (0x06, 0, 0, 0),
)


@dataclass(frozen=True, slots=True)
class PortState:
    """What the kernel says of the port; ``index`` is another one when it was plugged anew."""

    index: int
    hardware: bytes
    running: bool


class Port:
    """One packet socket for the port that the site names."""

    def __init__(self) -> None:
        """Open the socket; it hears nothing before ``follow``.

        Raises:
            OSError: without CAP_NET_RAW.
        """
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setblocking(False)
        code = b"".join(struct.pack("=HBBI", *line) for line in _FILTER)
        kept = ctypes.create_string_buffer(code)
        self.socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_FILTER), ctypes.addressof(kept))
        )
        self._asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        #: A cable that is pulled and put in again within a tick is seen here alone.
        self.changes = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.changes.setblocking(False)
        self.changes.bind((0, _LINK_GROUP))

    def lost_carrier(self, index: int) -> bool:
        """Read what the kernel told of its links; say whether this one was without a carrier meanwhile.

        News that did not fit into the buffer counts as one: to ask once too often costs nothing.
        """
        lost = False
        for _ in range(_MOST_PER_WAKE):
            try:
                data = self.changes.recv(_MOST_NETLINK_BYTES)
            except BlockingIOError:
                break
            except OSError:
                return True
            lost |= any(at == index and not flags & _RUNNING for at, flags in _links(data))
        return lost

    def state(self, name: str) -> PortState | None:
        """Return what the port is, None when there is no such Ethernet port."""
        try:
            (index,) = struct.unpack_from("=i", self._ioctl(_SIOCGIFINDEX, name), 16)
            (flags,) = struct.unpack_from("=H", self._ioctl(_SIOCGIFFLAGS, name), 16)
            kind, hardware = struct.unpack_from("=H6s", self._ioctl(_SIOCGIFHWADDR, name), 16)
        except OSError:
            return None
        wanted = _UP | _RUNNING
        return PortState(index, hardware, flags & wanted == wanted) if kind == _ETHERNET else None

    def follow(self, name: str) -> None:
        """Hear and speak on this port from now on.

        Raises:
            OSError: it is gone.
        """
        self.socket.bind((name, _IPV4))

    def receive(self) -> bytes | None:
        """Return a waiting frame, None when there is none (a port that went down says so once, and is watched)."""
        try:
            return self.socket.recv(MAX_FRAME_BYTES)
        except OSError:
            return None

    def send(self, data: bytes) -> None:
        """Send a frame; one that the port does not take is lost, and sent again in its time."""
        with contextlib.suppress(OSError):
            self.socket.send(data)

    def _ioctl(self, request: int, name: str) -> bytes:
        return fcntl.ioctl(self._asking, request, struct.pack("=16s24x", name.encode("ascii")))


def _links(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (index, flags) of each changed link in what the kernel sent."""
    at = 0
    while at + _NETLINK_HEAD.size + _LINK_INFO.size <= len(data):
        length, kind, *_ = _NETLINK_HEAD.unpack_from(data, at)
        if kind == _NEW_LINK:
            _, _, index, flags, _ = _LINK_INFO.unpack_from(data, at + _NETLINK_HEAD.size)
            yield index, flags
        at += max((length + 3) & ~3, _NETLINK_HEAD.size)
