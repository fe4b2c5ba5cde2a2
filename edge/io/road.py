"""A tunnel as sockets see it: the address that they speak from, and the device that they go by.

Two tunnels lead to one network, so a route cannot say which of them is meant: a socket is bound to the device
(SO_BINDTODEVICE, since Linux 5.7 without a capability for a socket that is bound to none yet). A site with one tunnel needs no
such word, and its sockets outlive a device that is made anew.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address

from netconf.model import Site


@dataclass(frozen=True, slots=True)
class Road:
    """One tunnel; ``device`` is "" where it is the only one. ``probe`` is its concentrator's inner address."""

    name: str
    address: str
    device: str = ""
    probe: IPv4Address | None = None

    def take(self, opened: socket.socket, port: int = 0) -> None:
        """Bind a socket to this road.

        Raises:
            OSError: its device or its address is not there, or the port is taken.
        """
        bind_device(opened, self.device)
        opened.bind((self.address, port))

    def index(self) -> int | None:
        """Return the number of the device that a socket would be bound to now, 0 for none, and None while there is no such."""
        if not self.device:
            return 0
        with contextlib.suppress(OSError):
            return socket.if_nametoindex(self.device)
        return None


def bind_device(opened: socket.socket, device: str) -> None:
    """Have a socket go by ``device`` alone; "" is any.

    Raises:
        OSError: there is no such device.
    """
    if device:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode("ascii"))


def roads(site: Site) -> dict[str, Road]:
    """Return a site's tunnels by name, in the city's order."""
    several = len(site.tunnel) > 1
    return {t.name: Road(t.name, str(t.address.ip), t.name if several else "", t.probe) for t in site.tunnel}
