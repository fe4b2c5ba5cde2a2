"""``snowgate decode``: a report for every file there can be, and the deviations that it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import cli
from edge.decode.report import KINDS, report

WIRE = Path(__file__).parents[3] / "wire"
HEAD = (
    "MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK1\r\n"
    "From: <sip:34020000001180000001@3402000000>;tag=1\r\nTo: <sip:34020000002000000001@3402000000>\r\n"
    "Call-ID: 1\r\nCSeq: 20 MESSAGE\r\nMax-Forwards: 70\r\nContent-Type: Application/MANSCDP+xml\r\n"
)
BODY = (
    '<?xml version="1.0" encoding="GB2312"?>\r\n<Control><CmdType>DeviceControl</CmdType><SN>11</SN>'
    "<DeviceID>34020000001310000001</DeviceID><PTZCmd>A50F01021F0000D6</PTZCmd></Control>\r\n"
)
#: Real messages lie beside the checkout where the product is made; a clone elsewhere has none.
CORPUS = Path(__file__).parents[5] / "shared" / "corpus"


def message(body: str = BODY, head: str = HEAD) -> bytes:
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode("ascii")


def test_a_message_is_told_with_its_body() -> None:
    found = report("sip", message())
    assert (found["ok"], found["kind"], found["deviations"]) == (True, "MESSAGE DeviceControl Control", [])
    body = found["fields"]["body"]["fields"]
    assert body["device_id"] == "34020000001310000001"
    assert (body["ptz"]["command"], body["ptz"]["pan"], body["ptz"]["pan_speed"]) == ("move", -1, 31)


@pytest.mark.parametrize(
    ("data", "deviation"),
    [
        (message(head=HEAD.replace("Max-Forwards: 70\r\n", "")), "no_max_forwards"),
        (message(head=HEAD.replace("z9hG4bK1", "1")), "branch_form"),
        (message(BODY.replace(' encoding="GB2312"', "")), "no_encoding"),
        (message(BODY.replace("<SN>11</SN>", "")), "no_sn"),
        ((HEAD + "\r\n" + BODY).encode("ascii"), "no_content_length"),
    ],
)
def test_what_deviates_is_named_and_refused_by_strict(data: bytes, deviation: str) -> None:
    assert report("sip", data)["deviations"] == [deviation]
    assert report("sip", data, strict=True) == {"ok": False, "rule": deviation, "reason": f"strict: {deviation}"}


def test_a_control_with_a_second_command_beside_the_first_is_none() -> None:
    body = report("sip", message(BODY.replace("</Control>", "<TeleBoot>Boot</TeleBoot></Control>")))["fields"]["body"]
    assert (body["ok"], body["rule"]) == (False, "command_unknown")


@given(st.sampled_from(KINDS), st.binary(max_size=400), st.booleans())
def test_whatever_the_octets_are_there_is_a_report(kind: str, data: bytes, strict: bool) -> None:
    found = report(kind, data, strict)
    assert found["ok"] or found["rule"]
    json.dumps(found)


@given(st.integers(0, len(message())), st.binary(min_size=1, max_size=3))
def test_a_message_damaged_anywhere_is_read_or_refused_by_name(at: int, octets: bytes) -> None:
    whole = message()
    found = report("sip", whole[:at] + octets + whole[at + len(octets) :])
    assert found["ok"] or found["rule"]
    json.dumps(found)


def test_the_command_prints_a_line_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good").write_bytes(message())
    (tmp_path / "bad").write_bytes(b"\xff")
    (tmp_path / "long").write_bytes(b"x" * (1 << 18))
    names = [str(tmp_path / name) for name in ("good", "bad", "long")]
    assert cli.main(["decode", "sip", *names]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["ok"] for line in lines] == [True, False, False]
    assert [line["file"] for line in lines] == names
    assert cli.main(["decode", "sip", str(tmp_path / "none")]) == 1


def test_every_oddity_that_is_kept_has_a_report() -> None:
    files = sorted(WIRE.glob("*/*.raw"))
    assert len(files) > 30
    for path in files:
        found = report(path.parent.name, path.read_bytes())
        assert found["ok"] or found["rule"], path


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real messages is not beside this checkout")
def test_every_real_message_is_read_or_refused_by_name() -> None:
    files = [path for path in CORPUS.glob("*/*") if path.suffix in (".sip", ".dat", ".xml", ".sdp")]
    assert len(files) > 100
    for path in files:
        kind = {".xml": "manscdp", ".sdp": "sdp"}.get(path.suffix, "sip")
        found = report(kind, path.read_bytes())
        assert found["ok"] or found["rule"], path
