"""The judges: packet captures at the victims' ends, and the watch on the uplink. They believe nobody."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.lab.sockets import ETH_P_ALL, packet_in

#: Every probe's payload begins with these bytes, then four of its own.
PREFIX = b"sNgT"
MARKER_BYTES = 8
MAX_VIOLATIONS = 50
_OUTGOING = 4
_ARP, _IPV4 = 0x0806, 0x0800

Watch = Callable[[bytes], bool]


class Capture:
    """What comes into one host, on every link: markers counted, and what a watch wants to see."""

    def __init__(self, namespace: str, *, outgoing: bool = False) -> None:
        self.namespace = namespace
        self._outgoing = outgoing
        self._rtp: dict[int, tuple[int, int, int]] = {}
        self.markers: Counter[bytes] = Counter()
        self.watches: dict[bytes, Watch] = {}
        self._socket = packet_in(namespace)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.settimeout(0.2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                frame, about = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            if self._outgoing:
                self._note(frame)
            elif about[2] != _OUTGOING:
                self._look(frame)

    def _note(self, frame: bytes) -> None:
        """Remember the last RTP numbers by the UDP port that they go to."""
        if frame[12:14] == b"\x08\0" and frame[23] == 17 and len(frame) > 54 and frame[42] >> 6 == 2:
            sequence, timestamp, ssrc = struct.unpack_from("!HII", frame, 44)
            self._rtp[int.from_bytes(frame[36:38], "big")] = (sequence, timestamp, ssrc)

    def last_rtp(self, port: int) -> tuple[int, int, int] | None:
        """Return (sequence, timestamp, SSRC) of the last packet that went to ``port``."""
        return self._rtp.get(port)

    def _look(self, frame: bytes) -> None:
        at = frame.find(PREFIX)
        if at >= 0:
            self.markers[frame[at : at + MARKER_BYTES]] += 1
        for marker, watch in list(self.watches.items()):
            if watch(frame):
                self.markers[marker] += 1

    def close(self) -> None:
        self._ended.set()
        self._thread.join(2)
        self._socket.close()


@dataclass(slots=True)
class Uplink:
    """Every frame that leaves the box on ``wan0``: ARP, or WireGuard to the hub, else it is a leak.

    Where the site says so also DHCP of the box's own hardware address, and questions to the named servers; ``mac``
    judges only the frames of one hardware address, for a port that carries the LAN's too. ``enrolling`` counts the TCP
    segments to the city's enrolment.
    """

    hub: tuple[str, int]
    dhcp: bool = False
    dns: frozenset[str] = frozenset()
    ntp: frozenset[str] = frozenset()
    mac: str = ""
    #: Another hub beside the first.
    hubs: frozenset[tuple[str, int]] = frozenset()
    #: Where the city enrols boxes, while it may be asked.
    enrolment: tuple[str, int] | None = None
    frames: int = 0
    questions: int = 0
    wireguard: int = 0
    enrolling: int = 0
    violations: list[str] = field(default_factory=list)
    _socket: socket.socket | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def open(self, namespace: str, link: str, bound: bool = False) -> None:
        """Begin to look at a host's link; ``bound``: at nothing else, which costs less and ends with the link."""
        opened = packet_in(namespace)
        if bound:
            opened.bind((link, ETH_P_ALL))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        opened.settimeout(0.2)
        self._socket = opened
        self._thread = threading.Thread(target=self._run, args=(opened, link), daemon=True)
        self._thread.start()

    def _run(self, opened: socket.socket, link: str) -> None:
        while not self._ended.is_set():
            try:
                frame, about = opened.recvfrom(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            mine = not self.mac or frame[6:12] == bytes.fromhex(self.mac.replace(":", ""))
            if about[0] == link and about[2] != _OUTGOING and mine:
                self.frames += 1
                if not self._allowed(frame) and len(self.violations) < MAX_VIOLATIONS:
                    self.violations.append(f"{time.monotonic():.3f} {frame[:64].hex(' ')}")

    def _allowed(self, frame: bytes) -> bool:
        kind = int.from_bytes(frame[12:14], "big")
        if kind == _ARP:
            return True
        if kind == _IPV4 and frame[14] == 0x45 and frame[23] == 6 and self.enrolment is not None:
            to = (socket.inet_ntoa(frame[30:34]), int.from_bytes(frame[36:38], "big"))
            self.enrolling += to == self.enrolment
            return to == self.enrolment
        if kind != _IPV4 or frame[14] != 0x45 or frame[23] != 17 or frame[20] & 0x3F or frame[21]:
            return False
        to = (socket.inet_ntoa(frame[30:34]), int.from_bytes(frame[36:38], "big"))
        wireguard = (to == self.hub or to in self.hubs) and frame[42] in (1, 2, 3, 4) and frame[43:46] == b"\0\0\0"
        self.wireguard += wireguard
        asked = to[1] == 53 and to[0] in self.dns or to[1] == 123 and to[0] in self.ntp
        self.questions += asked
        return wireguard or asked or (self.dhcp and self._is_dhcp(frame))

    def _is_dhcp(self, frame: bytes) -> bool:
        """From port 68 to 67, a request of the sender's own hardware address, with the cookie, and no host name."""
        ports, message = frame[34:38], frame[42:]
        own = message[:3] == b"\1\1\6" and message[28:34] == frame[6:12] and message[236:240] == b"\x63\x82\x53\x63"
        return ports == b"\0\x44\0\x43" and own and b"\x0c" not in message[240:241]

    def close(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(2)
        if self._socket is not None:
            self._socket.close()
