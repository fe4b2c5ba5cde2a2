"""``snowgate enrol``: what is kept of a bundle and where, what is printed, and to whom the box belongs already."""

from __future__ import annotations

import base64
import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.cli import main
from edge.faults.enrolment import standing, why_revoked
from edge.upkeep.board import fingerprint
from netconf import enrolment, secrets
from netconf.enrolment import Bundle, write_bundle

CITY = Ed25519PrivateKey.generate()
SITE, CLAIM = "34020000002008000001", "0123abcd." + "a" * 26


def bundle(key: Ed25519PrivateKey = CITY, **other: Any) -> str:
    text = base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii")
    facts = {"site": SITE, "address": "203.0.113.10", "port": 8443, "ca": "ab" * 32, "city_key": text, "claim": CLAIM}
    return write_bundle(Bundle(**facts | other))


def enrol(folder: Path, *words: str) -> int:
    places = ["--run", str(folder / "run"), "--state", str(folder / "state"), "--secrets", str(folder / "secrets")]
    return main(["enrol", *words, *places])


def test_a_bundle_is_kept_each_part_for_its_reader_and_the_code_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enrol(tmp_path, bundle()) == 0
    said = capsys.readouterr()
    device = secrets.ensure_device_key(tmp_path / "secrets/device").public_key()
    assert enrolment.code("ab" * 32, device, CLAIM) in said.out
    assert CLAIM.partition(".")[2] not in said.out + said.err
    door = secrets.read_door(tmp_path / "secrets/keeper")
    assert door == enrolment.Door(SITE, "203.0.113.10", 8443, "ab" * 32)
    city = secrets.read_city_key(tmp_path / "secrets/keeper")
    assert city is not None
    assert city.public_bytes_raw() == CITY.public_key().public_bytes_raw()
    claimed = secrets.read_claim(tmp_path / "secrets/enrol")
    assert claimed is not None
    assert claimed.claim == CLAIM
    assert CLAIM not in repr(claimed)
    assert CLAIM not in repr(enrolment.read_bundle(bundle()))
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "secrets").rglob("*.json")}
    assert modes == {"claim.json": 0o640, "enrolment.json": 0o600}
    assert b"0123abcd.aa" not in (tmp_path / "secrets/keeper/enrolment.json").read_bytes()


def test_it_is_read_from_a_file_and_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bundle.txt"
    path.write_text(bundle()[:40] + "\n " + bundle()[40:] + "\r\n", encoding="ascii")
    assert enrol(tmp_path, "--file", str(path)) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(bundle()))
    assert enrol(tmp_path) == 0


@pytest.mark.parametrize(
    "text", ["", "SNOWGATE1:", "x" * 2000, "SNOWGATE1:e30=", bundle()[:-8], bundle().upper(), "北门"]
)
def test_what_is_no_bundle_is_refused_and_nothing_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "bundle"
    path.write_text(text, encoding="utf-8")
    assert enrol(tmp_path, "--file", str(path)) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "secrets/keeper").exists()


def test_a_box_that_belongs_to_a_city_takes_no_other_citys_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enrol(tmp_path, bundle()) == 0
    other = bundle(Ed25519PrivateKey.generate())
    assert enrol(tmp_path, other) == 0, "a bundle that nobody answered binds nobody"
    assert enrol(tmp_path, bundle()) == 0
    (tmp_path / "state/enrol").mkdir(parents=True)
    (tmp_path / "state/enrol/certificate.pem").write_text("x", encoding="ascii")
    capsys.readouterr()
    for text, rule in (
        (other, "another city"),
        (bundle(ca="cd" * 32), "another city"),
        (bundle(site=SITE[::-1]), "another site"),
    ):
        assert enrol(tmp_path, text) == 1
        assert rule in capsys.readouterr().err
    assert enrol(tmp_path, bundle(claim="0123abcd." + "b" * 26)) == 0, "a new claim of its own city's"


def test_how_it_stands_is_one_sentence() -> None:
    def told(enrol: dict[str, Any] | None = None, agent: dict[str, Any] | None = None, **known: Any) -> str | None:
        keeper = {"enrolment": {"enrolled": False, "site": SITE} | known}
        found = standing({"keeper": keeper, "enrol": enrol, "agent": agent})
        return found.code if found is not None else None

    assert told(site="") == "not_enrolled"
    assert told() == told({"state": "asking", "rule": "nonsense"}) == "enrol_asking"
    assert told({"state": "asking", "rule": "ca_other"}) == "ca_other"
    assert told({"state": "pending", "code": "123456"}) == "enrol_waits"
    assert told({"state": "trying"}) == "enrol_trying"
    assert told({"state": "refused", "rule": "claim_of_theirs"}) == "enrol_refused"
    revoked = {"state": "revoked", "revoked": {"at": 5, "reason": "stolen"}}
    assert told(revoked) == told(revoked, enrolled=True) == "revoked"
    assert told(None, {"control": "answers"}, enrolled=True) is None
    assert told(None, {"control": "refused", "rule": "server_other_ca"}, enrolled=True) == "server_other_ca"
    assert standing({"keeper": None, "enrol": "x", "agent": 3}) is None
    assert why_revoked({"enrol": revoked}) == (5, "stolen")
    assert why_revoked({"enrol": {"revoked": {"at": "x"}}, "agent": []}) is None


def test_the_hardware_says_what_can_be_read_and_nothing_that_every_board_says(tmp_path: Path) -> None:
    assert fingerprint(tmp_path) == {}
    for name, text in {
        "sys/class/dmi/id/board_serial": "Default string", "proc/device-tree/serial-number": "a1b2c3\0",
        "proc/device-tree/model": "Rock\x07 5B", "sys/block/mmcblk0/device/cid": "15010044",
        "sys/class/net/eth0/address": "02:00:00:00:00:01", "sys/class/net/lo/address": "00:00:00:00:00:00",
        "sys/class/net/eth0/device/x": "",
    }.items():  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found = fingerprint(tmp_path)
    assert found == {"board": "a1b2c3", "model": "Rock 5B", "storage": "15010044", "port-1": "02:00:00:00:00:01"}
    kept = enrolment.read_claim(enrolment.write_claim(enrolment.Claimed(CLAIM, found)))
    assert json.loads(json.dumps(kept.fingerprint)) == found
