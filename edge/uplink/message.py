"""DHCP messages (RFC 2131 2, options of RFC 2132), as far as a client needs them: strict, bounded, and no more.

Kept of an answer: its type, the address, mask, first router, four DNS and four NTP servers, the server's id and three
times. Names, paths, boot files, routes and vendors' options are not even looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

MIN_MESSAGE_BYTES, MAX_MESSAGE_BYTES = 241, 1500
MAX_OPTIONS = 64
MAX_SERVERS = 4
_HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s192xI")
_COOKIE = 0x63825363
_BOOTREQUEST, _BOOTREPLY, _ETHERNET = 1, 2, 1
#: A BOOTP relay may drop what is shorter (RFC 1542 2.1).
_LEAST_BYTES = 300
_PAD, _END = 0, 255
_MASK, _ROUTER, _DNS, _NTP = 1, 3, 6, 42
_REQUESTED, _SECONDS, _TYPE, _SERVER, _ASKED, _MOST, _T1, _T2, _CLIENT = 50, 51, 53, 54, 55, 57, 58, 59, 61
_USED = (_MASK, _ROUTER, _DNS, _NTP, _SECONDS, _TYPE, _SERVER, _T1, _T2)
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = 1, 2, 3, 4, 5, 6, 7
_NOWHERE = IPv4Address(0)


class RemoteDhcpError(Exception):
    """What came is no answer that this client can read; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; None and () where it said nothing. Times are seconds."""

    kind: int
    transaction: int
    hardware: bytes
    address: IPv4Address
    server: IPv4Address | None = None
    mask: IPv4Address | None = None
    router: IPv4Address | None = None
    dns: tuple[IPv4Address, ...] = ()
    ntp: tuple[IPv4Address, ...] = ()
    seconds: int | None = None
    t1_seconds: int | None = None
    t2_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client says: ``address`` is the one it has (ciaddr), ``requested`` the one it wants."""

    kind: int
    transaction: int
    hardware: bytes
    elapsed_seconds: int = 0
    address: IPv4Address = _NOWHERE
    requested: IPv4Address | None = None
    server: IPv4Address | None = None

    def __bytes__(self) -> bytes:
        header = _HEADER.pack(
            _BOOTREQUEST, _ETHERNET, 6, 0, self.transaction, min(self.elapsed_seconds, 0xFFFF), 0,
            self.address.packed, b"", b"", b"", self.hardware, _COOKIE,
        )  # fmt: skip
        options = [(_TYPE, bytes([self.kind])), (_CLIENT, bytes([_ETHERNET]) + self.hardware)]
        options += [(_REQUESTED, self.requested.packed)] if self.requested else []
        options += [(_SERVER, self.server.packed)] if self.server else []
        # No host name and no vendor class: what the box is, is nobody's business here.
        options += [
            (_MOST, MAX_MESSAGE_BYTES.to_bytes(2, "big")),
            (_ASKED, bytes([_MASK, _ROUTER, _DNS, _NTP, _SECONDS, _T1, _T2])),
        ]
        text = b"".join(bytes([code, len(value)]) + value for code, value in options) + bytes([_END])
        return (header + text).ljust(_LEAST_BYTES, b"\0")


def parse(data: bytes) -> Answer:
    """Return what a server said.

    Raises:
        RemoteDhcpError: with the rule that it breaks.
    """
    if not MIN_MESSAGE_BYTES <= len(data) <= MAX_MESSAGE_BYTES:
        raise RemoteDhcpError("length")
    op, kind, size, _, transaction, _, _, _, yours, _, _, hardware, cookie = _HEADER.unpack_from(data)
    if (op, kind, size) != (_BOOTREPLY, _ETHERNET, 6) or cookie != _COOKIE:
        raise RemoteDhcpError("header")
    said: dict[int, bytes] = {}
    for code, value in _options(data[_HEADER.size :]):
        if code in _USED:
            if code in said:
                raise RemoteDhcpError("option_repeated")
            said[code] = value
    if len(said.get(_TYPE, b"")) != 1:
        raise RemoteDhcpError("option_type")
    routers = _addresses(said, _ROUTER)
    return Answer(
        said[_TYPE][0], transaction, hardware[:6], IPv4Address(yours), _one(said, _SERVER), _one(said, _MASK),
        routers[0] if routers else None, _addresses(said, _DNS)[:MAX_SERVERS], _addresses(said, _NTP)[:MAX_SERVERS],
        _number(said, _SECONDS), _number(said, _T1), _number(said, _T2),
    )  # fmt: skip


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (code, value); a message without an end mark is a torn one."""
    at, seen = 0, 0
    while at < len(data):
        code = data[at]
        if code == _END:
            return
        if code == _PAD:
            at += 1
            continue
        seen += 1
        if seen > MAX_OPTIONS:
            raise RemoteDhcpError("options_many")
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise RemoteDhcpError("option_cut")
        yield code, data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    raise RemoteDhcpError("no_end")


def _addresses(said: dict[int, bytes], code: int) -> tuple[IPv4Address, ...]:
    value = said.get(code, b"")
    if len(value) % 4 or (code in said and not value):
        raise RemoteDhcpError("option_length")
    return tuple(IPv4Address(value[at : at + 4]) for at in range(0, len(value), 4))


def _one(said: dict[int, bytes], code: int) -> IPv4Address | None:
    found = _addresses(said, code)
    if len(found) > 1:
        raise RemoteDhcpError("option_length")
    return found[0] if found else None


def _number(said: dict[int, bytes], code: int) -> int | None:
    if code not in said:
        return None
    if len(said[code]) != 4:
        raise RemoteDhcpError("option_length")
    return int.from_bytes(said[code], "big")
