"""Long requests are deflated: the largest site that may be configured fits into one datagram, and no bomb unfolds."""

from __future__ import annotations

import socket
import zlib

import pytest

from edge.control.wire import (
    MAX_INFLATED_BYTES,
    MAX_REQUEST_BYTES,
    Apply,
    ControlError,
    Status,
    decode_request,
    encode_request,
)
from netconf.model import MAX_CHANNELS

CHANNEL = """[[channel]]
recorder = "34020000001180000{recorder:03d}"
id = "3402000000131000{channel:04d}"
name = "小区{recorder}号楼{channel}单元门口摄像机"
coverage = "A"
share = true
allow = ["live", "playback", "ptz"]

"""


def test_the_largest_site_goes_through_one_datagram() -> None:
    text = "".join(CHANNEL.format(recorder=at // 64, channel=at) for at in range(MAX_CHANNELS))
    assert len(text.encode("utf-8")) > 4 * MAX_REQUEST_BYTES
    data = encode_request(7, Apply(text, 60))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        ours.send(data)
        came = theirs.recv(MAX_REQUEST_BYTES)
    assert decode_request("operator", came) == (7, Apply(text, 60))


def test_what_is_short_is_sent_as_it_is() -> None:
    assert encode_request(1, Status()).startswith(b"[")


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (zlib.compress(b" " * (MAX_INFLATED_BYTES + 1)), "request_long"),
        (zlib.compress(b'["Status",1,{}]')[:-1], "request_long"),
        (zlib.compress(b'["Status",1,{}]') + b"x", "request_long"),
        (b"\x78\x9c" + b"\xff" * 40, "request_syntax"),
        (zlib.compress(b"[" * 100_000), "request_syntax"),
    ],
)
def test_what_does_not_unfold_to_a_request_is_refused(data: bytes, rule: str) -> None:
    with pytest.raises(ControlError) as refused:
        decode_request("operator", data)
    assert refused.value.rule == rule
