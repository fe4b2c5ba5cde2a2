"""A packet of a proof, as a value: what it says, from where, and through which door it is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: "in": from the wire, with a frame of its own; "out": by a socket in the room, past the output chain; "frame": by a packet
#: socket in the room, which no output chain sees.
Way = Literal["in", "out", "frame"]
Room = Literal["lan", "vpn", "wan"]
UDP, TCP, ICMP = 17, 6, 1
#: Instead of IP's number: a question for a hardware address (RFC 826).
ARP = 0x806


@dataclass(frozen=True, slots=True)
class Packet:
    """``protocol`` is IP's number; ports are 0 and ``flags`` "" where it has none; ``hardware`` is the sender's MAC."""

    source: str
    target: str
    protocol: int = UDP
    sport: int = 0
    dport: int = 0
    payload: bytes = b""
    #: Of TCP, as scapy writes them: "S", "SA", "A", "PA", "R", "F".
    flags: str = ""
    #: Of ICMP: type and code.
    kind: tuple[int, int] = (8, 0)
    hardware: str = ""
    #: Offset in eights of octets, and whether more comes.
    fragment: tuple[int, bool] = (0, False)
    options: bytes = b""
    ttl: int = 64
    six: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is proven. ``passes``: whether the packet must arrive behind the rules."""

    id: str
    room: Room
    way: Way
    words: str
    packet: Packet
    passes: bool
    #: Which of the room's ports it comes or goes by: of several tunnels, in their order.
    door: int = 0
    #: What is sent right behind it, under the same identification: the other pieces of it.
    also: tuple[Packet, ...] = ()
    #: How often it is sent, and how many of those may pass where that is a matter of rate.
    times: int = 1
    most: int | None = None
    #: What is opened and closed in the room before (``firewall.pin`` scripts).
    before: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case: how many arrived, which rule spoke last, and how many arrive without rules."""

    case: Case
    got: int
    wall: str
    bare: int = 0

    @property
    def green(self) -> bool:
        if self.case.most is not None:
            return 0 < self.got <= self.case.most
        return (self.got > 0) == self.case.passes
