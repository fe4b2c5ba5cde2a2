"""The fuzzing targets, without a fuzzer: they hold on every file of the field, and each goes red on a planted fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.manscdp import messages
from edge.manscdp.device import Keepalive
from edge.rtp.es import EsInspection
from edge.sdp import description
from edge.sip import message as sip
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, Finding

SEEDS = [(name, at, seed) for name in TARGETS for at, seed in enumerate(seeds(name))]


@pytest.mark.parametrize("seed", [seed for _, _, seed in SEEDS], ids=[f"{name}-{at}" for name, at, _ in SEEDS])
def test_every_target_holds_on_every_seed(seed: bytes) -> None:
    for target in TARGETS.values():
        target(seed)


def _seed(name: str) -> bytes:
    return Path("tests/wire", f"{name}.raw").read_bytes()


def test_a_message_that_becomes_another_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "encode", lambda message, *_: b"<Notify><CmdType>Keepalive</CmdType><SN>7</SN>"
                        b"<DeviceID>34020000001310000001</DeviceID></Notify>")  # fmt: skip
    with pytest.raises(Finding, match=Keepalive.__name__):
        TARGETS["manscdp"](_seed("manscdp/catalog-gbk-declared-gb2312"))


def test_a_description_that_becomes_another_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    first = description.parse
    monkeypatch.setattr(description, "parse", lambda data: first(data.replace(b"y=0", b"y=1")))
    with pytest.raises(Finding):
        TARGETS["sdp"](
            b"v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=Play\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=video 9 RTP/AVP 96\r\ny=0\r\n"
        )


def test_a_header_that_is_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sip.Request.__bytes__
    monkeypatch.setattr(sip.Request, "__bytes__", lambda self: whole(self).replace(b"Route", b"Rout"))
    with pytest.raises(Finding):
        TARGETS["sip"](_seed("sip/dahua-route-header"))


def test_pieces_that_are_not_the_whole_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EsInspection, "pieces", lambda self, payload, room: [payload[:room]])
    with pytest.raises(Finding, match="in pieces"):
        for seed in seeds("es"):
            TARGETS["es"](seed)
