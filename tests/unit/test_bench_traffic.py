"""The bench's own traffic and its ng client: figures of a stream that is not let through would be worth nothing."""

from __future__ import annotations

import pytest

from edge.rtp.inspection import PsInspection
from tests.bench import rtpengine, traffic


@pytest.mark.parametrize("calls", (1, 64, 1000))
def test_every_packet_of_a_round_goes_on_unchanged(calls: int) -> None:
    inspection = PsInspection({0xE0: 0x1B})
    for packets in traffic.group(calls) * 2:
        for at, payload in enumerate(packets, 1):
            assert len(payload) == traffic.PACKET_BYTES - 12
            assert payload[-8:] == b"\xa5" * 8, "the time stamp of a packet lies in a slice"
            if inspection.left >= len(payload):
                inspection.left -= len(payload)
            else:
                data = bytearray(payload)
                assert inspection.take(data, 0, len(data), at == len(packets), False) is None
                assert data == payload
    assert not inspection.counters


@pytest.mark.parametrize("pattern", (traffic.BURSTS, traffic.SPREAD))
def test_a_round_has_each_call_s_packets_once_and_pictures_whole(pattern: traffic.Pattern) -> None:
    sizes = [4, 1, 2]
    order = traffic._order(5, sizes, pattern)
    for call in range(5):
        own = [(payload, marker) for at, payload, marker in order if at == call]
        assert sorted(payload for payload, _ in own) == list(range(7))
        assert {payload for payload, marker in own if marker} == {3, 4, 6}
        assert all((b - a) % 7 == 1 for (a, _), (b, _) in zip(own, own[1:], strict=False))


def test_bencode_says_and_reads_the_same() -> None:
    said = {"command": "offer", "count": -7, "flags": ["a", "bc"], "sdp": "v=0\r\n"}
    read, end = rtpengine.bdecode(rtpengine.bencode(said))
    assert end == len(rtpengine.bencode(said))
    assert read == {b"command": b"offer", b"count": -7, b"flags": [b"a", b"bc"], b"sdp": b"v=0\r\n"}
    with pytest.raises(ValueError):
        rtpengine.bdecode(b"9:short")
