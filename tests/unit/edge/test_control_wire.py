"""Long requests are deflated: the largest site that may be configured fits into one datagram, and no bomb unfolds."""

from __future__ import annotations

import socket
import zlib
from dataclasses import replace
from typing import Any

import pytest

from edge.control.wire import (
    MAX_INFLATED_BYTES,
    MAX_REQUEST_BYTES,
    Apply,
    ControlError,
    Job,
    Status,
    Verdict,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)
from firewall.compile import rulesets
from netconf.check import read_site
from netconf.learned import NOTHING
from netconf.model import MAX_CHANNELS
from tests.bench.powercut import site_text

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


def test_the_largest_job_for_the_prover_goes_through_one_datagram() -> None:
    site, found = read_site(site_text(64, 64))
    assert site is not None, found
    assert len(site.channel) == MAX_CHANNELS
    rules = rulesets(site, NOTHING)
    job = Job(1, site.model_dump_json(by_alias=True), tuple(r.text() for r in rules), tuple(r.digest() for r in rules))
    data = encode_answer(7, job)
    assert len(data) <= MAX_REQUEST_BYTES
    assert decode_answer(data) == (7, job)


GREEN = Verdict(3, ("0" * 64,) * 3, "green", 0, (), "page.html")


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"result": "yes"}, "request_verdict"),
        ({"result": "red"}, "request_verdict"),
        ({"count": 1, "cases": ("K1",)}, "request_verdict"),
        ({"result": "red", "count": 2, "cases": ("K1",)}, "request_verdict"),
        ({"result": "red", "count": 1, "cases": ("\x1b[2J",)}, "request_verdict"),
        ({"result": "red", "count": 9, "cases": ("K1",) * 9}, "request_verdict"),
        ({"what": "x" * 301}, "request_verdict"),
        ({"digests": ("0" * 64,) * 2}, "request_digest"),
        ({"digests": ("0" * 64, "0" * 64, "Z" * 64)}, "request_digest"),
        ({"revision": -1}, "request_range"),
        ({"count": "0"}, "request_types"),
    ],
)
def test_a_verdict_that_contradicts_itself_is_none(wrong: dict[str, Any], rule: str) -> None:
    for good in (GREEN, replace(GREEN, result="red", count=9, cases=("K1",) * 8), replace(GREEN, result="none")):
        assert decode_request("prove", encode_request(1, good)) == (1, good), "the control"
    with pytest.raises(ControlError) as refused:
        decode_request("prove", encode_request(1, replace(GREEN, **wrong)))
    assert refused.value.rule == rule


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
