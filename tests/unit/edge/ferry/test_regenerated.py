"""V02: a header of RTP is made anew. Change what a recorder writes into it, and not an octet changes behind the box.

Numbers and time stamps begin where a lot says that the recorder does not know (``edge.ferry``), so a viewer's packets are
compared from their first on. What does cross is shown as well: it is what docs/media.md says stays possible.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from edge.rtp.packet import packetise
from tests.unit.edge.ferry.test_relayed import KEY, SSRC, Bench, picture

Change = Callable[[bytes], bytes]


def begins(sequence: int, timestamp: int) -> Change:
    def change(data: bytes) -> bytes:
        old = struct.unpack_from("!HI", data, 2)
        return data[:2] + struct.pack("!HI", old[0] + sequence & 0xFFFF, old[1] + timestamp & 0xFFFFFFFF) + data[8:]

    return change


def extended(data: bytes) -> bytes:
    return bytes((data[0] | 0x10,)) + data[1:12] + b"\xbe\xde\0\1secr" + data[12:]


def with_sources(data: bytes) -> bytes:
    return bytes((data[0] | 3,)) + data[1:12] + b"secretsecret" + data[12:]


def padded(data: bytes) -> bytes:
    return bytes((data[0] | 0x20,)) + data[1:] + b"secret!\x08"


def unmarked(data: bytes) -> bytes:
    return data[:1] + bytes((data[1] & 0x7F,)) + data[2:]


def odd_times(data: bytes) -> bytes:
    (number,) = struct.unpack_from("!H", data, 2)
    return data[:4] + struct.pack("!I", number * 7919 & 0xFFFFFFFF) + data[8:]


def shown(change: Change) -> list[bytes]:
    """Three pictures, each packet changed; what a viewer has of them, numbers and time stamps from its first packet on."""
    bench = Bench()
    try:
        bench.join(1)
        sequence = 100
        for at, unit in enumerate((KEY, picture(), picture(2000))):
            for packet in packetise(unit, 3600 * at, sequence, SSRC):
                bench.send(change(bytes(packet)))
                sequence = packet.sequence + 1
        seen = bench.seen(1)
    finally:
        bench.close()
    assert len(seen) >= 7
    first = seen[0]
    back = begins(-first.sequence, -first.timestamp)
    return [back(bytes(packet)) for packet in seen]


@pytest.mark.parametrize(
    "change", [begins(12345, 0), begins(65530, 0), begins(0, 987654321), extended, with_sources, padded],
    ids=["first number", "number that wraps", "first time stamp", "extension", "contributing sources", "padding"],
)  # fmt: skip
def test_v02_what_a_recorder_writes_into_a_header_changes_nothing_behind_the_box(change: Change) -> None:
    assert shown(change) == shown(bytes)


@pytest.mark.parametrize("change", [unmarked, odd_times], ids=["marker", "time stamps"])
def test_v02_marker_and_differences_of_time_stamps_cross_as_is_written_down(change: Change) -> None:
    assert shown(change) != shown(bytes)
    assert b"".join(data[12:] for data in shown(change)) == b"".join(data[12:] for data in shown(bytes))
