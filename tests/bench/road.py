"""Where media is measured: a camera's host, the box, the city's host, and beside the box a plain router.

      camera 192.0.2.1 ---- 192.0.2.2  box  192.0.2.17 ---- 192.0.2.18 city
      camera 192.0.2.33 --- 192.0.2.34 road 192.0.2.49 ---- 192.0.2.50 city

The box forwards nothing; the road forwards everything (``ip_forward=1``). On a veth pair whoever sends also pays for the
receiving host's kernel, up to the socket: that of the box falls to the generator, that of the city to the box.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.lab.sockets import in_namespace

CAMERA, BOX, ROAD, CITY = "bench-camera", "bench-box", "bench-road", "bench-city"
CAMERA_ADDRESS, BOX_ADDRESS, BOX_OUT_ADDRESS, CITY_ADDRESS = "192.0.2.1", "192.0.2.2", "192.0.2.17", "192.0.2.18"
#: The same sink, as it is reached through the router.
CITY_BY_ROAD = "192.0.2.50"
_LINKS = (
    ((CAMERA, "box", CAMERA_ADDRESS), (BOX, "camera", BOX_ADDRESS)),
    ((BOX, "city", BOX_OUT_ADDRESS), (CITY, "box", CITY_ADDRESS)),
    ((CAMERA, "road", "192.0.2.33"), (ROAD, "camera", "192.0.2.34")),
    ((ROAD, "city", "192.0.2.49"), (CITY, "road", CITY_BY_ROAD)),
)
_SO_RCVBUFFORCE, _SO_ATTACH_FILTER = 33, 26


@contextmanager
def roads() -> Iterator[None]:
    """Build the four hosts and take them down again."""
    spaces = (CAMERA, BOX, ROAD, CITY)
    for space in spaces:
        _ip("netns", "add", space)
        _ip("-n", space, "link", "set", "lo", "up")
    try:
        for (space, name, address), (other, other_name, other_address) in _LINKS:
            _ip("link", "add", name, "netns", space, "type", "veth", "peer", "name", other_name, "netns", other)
            for at, link, own in ((space, name, address), (other, other_name, other_address)):
                _ip("-n", at, "address", "add", f"{own}/28", "dev", link)
                _ip("-n", at, "link", "set", link, "up")
        _ip("-n", CAMERA, "route", "add", "192.0.2.48/28", "via", "192.0.2.34")
        _ip("-n", CITY, "route", "add", "192.0.2.32/28", "via", "192.0.2.49")
        with in_namespace(ROAD):
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
        yield
    finally:
        for space in spaces:
            _ip("netns", "delete", space)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


def udp(space: str, address: str, buffer_bytes: int = 0) -> socket.socket:
    """Return a socket of a host, bound to any port of an address."""
    with in_namespace(space):
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if buffer_bytes:
        widen(opened, buffer_bytes)
    opened.bind((address, 0))
    return opened


def widen(opened: socket.socket, buffer_bytes: int) -> None:
    """Give a socket a receive buffer of so many octets, or as large a one as it may have."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)


def bottomless() -> socket.socket:
    """Return a socket of the city that refuses every packet by a filter (``ret #0``): it is counted, and wakes nobody.

    So a sink costs no processor, and a loss is the contender's, never the sink's.
    """
    opened = udp(CITY, "0.0.0.0")  # reached by both roads
    program = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))
    return opened


def arrived() -> int:
    """Return how many datagrams have come to the city's sockets so far, read or refused by their filter."""
    with in_namespace(CITY):
        lines = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii").splitlines()
    names, values = (line.split() for line in lines if line.startswith("Udp: "))
    count = dict(zip(names, values, strict=True))
    return int(count["InDatagrams"]) + int(count["InErrors"])
