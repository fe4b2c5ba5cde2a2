"""Backup, restore, reset and support over a box's real folders; each refusal beside the same thing done rightly."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import signal
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge import cli
from edge.lab import topology
from edge.upkeep import backup, support, swap
from edge.upkeep.backup import factory_files, gather, layout
from edge.upkeep.board import board
from edge.upkeep.sealed import SealRefused, open_sealed, seal
from edge.upkeep.swap import ORDER, OrderDamaged, Places, Put, finish
from netconf import durable, layers, secrets
from netconf.check import read_site
from netconf.kept import Kept
from netconf.proposal import Layers, layers_of
from netconf.revision import Journal

TEXT = Path(topology.__file__).with_name("site.toml").read_text(encoding="utf-8")
SITE, _ = read_site(TEXT)
assert SITE is not None
OWNER, CITY = layers.split(SITE)
RECORDER = SITE.recorder[0].id
PHRASE = "four words and more"


@dataclass
class Box:
    """A box's folders with everything in them."""

    root: Path

    @property
    def places(self) -> Places:
        return Places(self.root / "state", self.root / "secrets")

    def run(self, *words: str) -> int:
        where = [f"--{name}={self.root / name}" for name in ("run", "state", "secrets")]
        return cli.main([*words, *where])

    def journal(self) -> Journal:
        return Kept(self.places.state / "keeper").read_journal()[0]

    def layers(self) -> Layers:
        journal = self.journal()
        document = Kept(self.places.state / "keeper").read_document(journal.confirmed[0])
        assert document is not None
        assert hashlib.sha256(document).hexdigest() == journal.confirmed[1]
        return layers_of(document)

    def all(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.root)): p.read_bytes() for p in self.root.rglob("*") if p.is_file()}


def make(root: Path, mark: tuple[int, int] = (3, 7), highest: tuple[int, int] = (3, 9)) -> Box:
    box = Box(root)
    for name in ("run", "state/keeper", "state/web", "state/cityside", "state/receipts", "state/uplink",
                 "secrets/keeper", "secrets/device", "secrets/siteside", "secrets/cityside"):  # fmt: skip
        (root / name).mkdir(parents=True)
    state, hidden = root / "state", root / "secrets"
    document = Layers(OWNER, CITY, mark).document()
    kept = Kept(state / "keeper")
    kept.write_document(4, document)
    digest = hashlib.sha256(document).hexdigest()
    kept.write_journal(Journal(serial=11, number=4, confirmed=(4, digest), highest=highest))
    secrets.ensure_wireguard_key(hidden / "keeper", "wg-a")
    secrets.write_city_key(hidden / "keeper", Ed25519PrivateKey.generate().public_key())
    secrets.ensure_device_key(hidden / "device")
    secrets.write_password(hidden / "siteside", f"recorder-{RECORDER}", "recorders own secret")
    secrets.write_password(hidden / "cityside", "platform", "platforms own secret")
    (state / "web" / "page.key").write_bytes(b"-----BEGIN PRIVATE KEY-----\npage\n-----END PRIVATE KEY-----\n")
    (state / "web" / "password.json").write_text('{"hash": "$argon2id$v=19$m=1$abc$def"}')
    (state / "cityside" / "issued-ids.json").write_text('[{"recorder":"r","channel":"c","issued":"i"}]')
    (state / "receipts" / "00.jsonl").write_text("a chain\n")
    (state / "keeper" / "receipt-head.json").write_text('{"sequence": 5}')
    (state / "keeper" / "clock-floor").write_text("1790000000")
    (state / "keeper" / "learned.json").write_text("{}")
    return box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return make(tmp_path / "box")


@pytest.fixture
def phrase(tmp_path: Path) -> str:
    path = tmp_path / "phrase"
    path.write_text(PHRASE + "\n", encoding="utf-8")
    return f"--passphrase-file={path}"


# -- backup and restore ----------------------------------------------------------------------------------------------


def test_on_its_own_board_everything_comes_back(box: Box, phrase: str, tmp_path: Path) -> None:
    before, made = box.all(), box.layers()
    assert box.run("backup", str(tmp_path / "b"), phrase) == 0
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert box.run("factory-reset", f"--yes={SITE.site.id}") == 0  # type: ignore[union-attr]
    assert not (box.root / "secrets" / "keeper" / "wg-a.key").exists()
    assert box.run("restore", str(tmp_path / "b"), phrase) == 0
    after = box.all()
    assert box.layers() == made
    assert box.journal().highest == (3, 9)
    same = {name for name in before if not name.startswith("state/keeper/")}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert (box.root / "secrets/keeper/wg-a.key").stat().st_mode & 0o777 == 0o600


def test_on_another_board_the_settings_come_back_and_no_identity(
    box: Box, phrase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert box.run("backup", str(tmp_path / "b"), phrase) == 0
    other = make(tmp_path / "other", mark=(0, 0), highest=(5, 1))
    before = other.all()
    monkeypatch.setattr("edge.upkeep.commands.board", lambda: "another")
    assert other.run("restore", str(tmp_path / "b"), phrase) == 0
    assert "enrol it anew" in capsys.readouterr().out
    after = other.all()
    for name in ("secrets/keeper/wg-a.key", "secrets/keeper/city.pub", "secrets/device/device.key",
                 "secrets/cityside/platform.password", "state/web/page.key", "state/receipts/00.jsonl"):  # fmt: skip
        assert after[name] == before[name], name
    for name in ("secrets/siteside/recorder-" + RECORDER + ".password", "state/cityside/issued-ids.json"):
        assert after[name] == box.all()[name], name
    assert other.layers().owner == box.layers().owner
    assert other.layers().mark == (0, 0), "the city's signature was for another box"
    assert other.journal().highest == (5, 1), "never down"


def test_the_highest_mark_never_goes_down(box: Box, tmp_path: Path) -> None:
    content = gather(box.places, "b")
    kept = Kept(box.places.state / "keeper")
    kept.write_journal(replace(box.journal(), serial=40, number=9, highest=(8, 2)))
    files, own = layout(content, box.places, "b")
    assert own
    put = files["state/keeper/journal.json"]
    assert put is not None
    journal = Journal.decode(put.data)
    assert journal is not None
    assert (journal.highest, journal.serial, journal.number) == ((8, 2), 41, 10)


def test_a_wrong_passphrase_and_every_kind_of_damage_change_nothing(
    box: Box, phrase: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert box.run("backup", str(tmp_path / "b"), phrase) == 0
    good, before = (tmp_path / "b").read_bytes(), box.all()
    wrong = tmp_path / "wrong"
    wrong.write_text("another passphrase", encoding="utf-8")
    assert box.run("restore", str(tmp_path / "b"), f"--passphrase-file={wrong}") == 1
    assert "(passphrase_wrong)" in capsys.readouterr().err
    head, _, body = good.partition(b"\n")
    told = json.loads(head)
    cases = {
        "backup_form": [b"", b"\n", b"{}\n", b"x" * 5000, head, b"[1]\n" + body, b"\xff\n",
                        json.dumps(told | {"argon2id": [1 << 30, 8, 1]}).encode() + b"\n" + body,
                        json.dumps(told | {"argon2id": [3, 1 << 30, 4]}).encode() + b"\n" + body],
        "backup_version": [json.dumps(told | {"format": "snowgate backup 2"}).encode() + b"\n" + body],
        "passphrase_wrong": [good[:-1], good + b"x", head + b"\n", head + b"\n" + bytes(len(body)),
                             json.dumps(told | {"more": 1}).encode() + b"\n" + body],
        "backup_content": [seal(b"{}", PHRASE), seal(b"\xff", PHRASE), seal(b"[" * 100000, PHRASE)],
    }  # fmt: skip
    for rule, files in cases.items():
        for at, data in enumerate(files):
            (tmp_path / "bad").write_bytes(data)
            assert box.run("restore", str(tmp_path / "bad"), phrase) == 1, (rule, at)
            assert f"({rule})" in capsys.readouterr().err, (rule, at)
            assert box.all() == before, (rule, at)
    assert box.run("restore", str(tmp_path / "b"), phrase) == 0, "the control"


def test_a_backup_names_only_files_that_a_backup_has(box: Box) -> None:
    said = json.loads(gather(box.places, "b"))
    for name in ("state/receipts/00.jsonl", "secrets/../../etc/passwd", "state/keeper/journal.json", "/etc/passwd"):
        bad = json.dumps(said | {"files": said["files"] | {name: ""}}).encode()
        with pytest.raises(SealRefused, match="backup_content"):
            layout(bad, box.places, "b")
    layout(json.dumps(said).encode(), box.places, "b")


def test_a_passphrase_is_long_and_the_seal_hides_what_it_holds(box: Box) -> None:
    with pytest.raises(SealRefused, match="passphrase_short"):
        seal(b"x", "short")
    sealed = seal(gather(box.places, "b"), PHRASE)
    assert b"secret" not in sealed
    assert json.loads(open_sealed(sealed, PHRASE))["highest"] == [3, 9]


def test_a_box_without_a_configuration_has_nothing_to_keep(
    tmp_path: Path, phrase: str, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = Box(tmp_path / "empty")
    for name in ("run", "state/keeper", "secrets"):
        (empty.root / name).mkdir(parents=True)
    assert empty.run("backup", str(tmp_path / "b"), phrase) == 1
    assert "(backup_nothing)" in capsys.readouterr().err


def test_a_box_that_runs_is_left_alone(
    box: Box, phrase: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    assert box.run("backup", str(tmp_path / "b"), phrase) == 0
    before = box.all()
    (box.root / "run/keeper/operator").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as keeper:
        keeper.bind(str(box.root / "run/keeper/operator/socket"))
        keeper.listen(5)
        for words in (["restore", str(tmp_path / "b"), phrase], ["factory-reset", f"--yes={SITE.site.id}"]):  # type: ignore[union-attr]
            assert box.run(*words) == 1
            assert "(box_runs)" in capsys.readouterr().err
        assert box.all() == before
    assert box.run("restore", str(tmp_path / "b"), phrase) == 0, "a socket that nobody listens at is no program"


# -- the order -------------------------------------------------------------------------------------------------------


def killed_after(steps: int, places: Places, files: dict[str, Put | None]) -> bool:
    """Swap in a child that is killed at its ``steps``-th change of the disk; return whether it was."""
    pid = os.fork()
    if pid == 0:
        left = [steps]

        def counted(real: Any) -> Any:
            def deed(*words: Any, **more: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*words, **more)

            return deed

        os.replace, os.unlink, os.fsync, os.open = (counted(f) for f in (os.replace, os.unlink, os.fsync, os.open))
        swap.swap(places, files)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0


def test_a_kill_at_every_step_leaves_all_or_nothing(tmp_path: Path) -> None:
    """After ``finish``, as at every boot, the files are all old or all new."""
    old = {"state/keeper/a": b"old", "state/keeper/b": b"old", "secrets/keeper/k": b"old"}
    files: dict[str, Put | None] = {
        "state/keeper/a": Put(b"new", 0o600), "state/keeper/b": None,
        "secrets/keeper/k": Put(b"new", 0o600), "state/keeper/revisions/1.json": Put(b"new", 0o600),
    }  # fmt: skip
    outcomes, steps, killed = set(), 0, True
    while killed:
        root = tmp_path / str(steps)
        for name, data in old.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        places = Places(root / "state", root / "secrets")
        killed = killed_after(steps, places, files)
        finish(places)
        assert not (root / "state" / ORDER).exists()
        now = {
            str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and ".new" not in p.name
        }
        outcomes.add("old" if now == old else "new" if now == {n: p.data for n, p in files.items() if p} else str(now))
        steps += 1
        assert steps < 200
    assert outcomes == {"old", "new"}
    assert steps > 15


def test_an_order_that_is_damaged_or_leads_elsewhere_is_refused(tmp_path: Path, box: Box) -> None:
    order = box.places.state / ORDER
    body = json.dumps({"state/../../x": {"mode": 384, "data": base64.b64encode(b"x").decode()}})
    forged = json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest(), "body": body}).encode()
    for data in (b"", b"{}", b"\xff", b"[]", forged, forged[:-2]):
        order.write_bytes(data)
        with pytest.raises(OrderDamaged):
            finish(box.places)
        assert box.run("finish") == 1
    order.unlink()
    assert box.run("finish") == 0


# -- reset -----------------------------------------------------------------------------------------------------------


def test_a_reset_forgets_all_but_the_receipts_and_the_citys_mark(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    before = box.all()
    assert box.run("factory-reset", "--yes=34020000002000000099") == 1
    assert "(site_id_wrong)" in capsys.readouterr().err
    assert box.all() == before
    assert box.run("factory-reset", f"--yes={SITE.site.id}") == 0  # type: ignore[union-attr]
    assert set(box.all()) == {"state/receipts/00.jsonl", "state/keeper/receipt-head.json", "state/keeper/clock-floor",
                              "state/keeper/journal.json", "state/keeper/journal.copy.json"}  # fmt: skip
    journal = box.journal()
    assert (journal.highest, journal.confirmed, journal.number) == ((3, 9), (0, ""), 4)
    assert box.run("factory-reset") == 0, "a box without a site has no id to be asked for"
    assert box.journal().highest == (3, 9)


def test_what_a_reset_takes_is_everything_but_what_is_named(box: Box) -> None:
    taken = {name for name, put in factory_files(box.places).items() if put is None}
    assert {name for name in taken if name.startswith("secrets/")} == {
        f"secrets/{p.relative_to(box.places.secrets)}" for p in box.places.secrets.rglob("*") if p.is_file()
    }


# -- the board -------------------------------------------------------------------------------------------------------


def test_a_board_is_known_by_its_hardware_and_not_by_what_makers_leave_in(tmp_path: Path) -> None:
    def machine(name: str, **said: str) -> Path:
        for path, text in said.items():
            file = tmp_path / name / path.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path / name

    uuid = "sys__class__dmi__id__product_uuid"
    one = board(machine("one", **{uuid: "4c4c4544-0042-3510-8054-b7c04f4d3132\n", "etc__machine-id": "aa11"}))
    assert one == board(machine("flashed", **{uuid: "4c4c4544-0042-3510-8054-b7c04f4d3132\n", "etc__machine-id": "bb"}))
    assert one != board(machine("two", **{uuid: "4c4c4544-0042-3510-8054-b7c04f4d3133\n"}))
    dummies = ("03000200-0400-0500-0006-000700080009", "00000000-0000-0000-0000-000000000000", "Default string",
               "ffffffff-ffff-ffff-ffff-ffffffffffff", "")  # fmt: skip
    found = {board(machine(f"d{at}", **{uuid: text, "etc__machine-id": f"m{at}"})) for at, text in enumerate(dummies)}
    assert len(found) == len(dummies), "each is told by its machine's id"
    assert board(machine("pi", **{"proc__device-tree__serial-number": "10000000abcd\0"})) != one


# -- support ---------------------------------------------------------------------------------------------------------


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar.getmembers()}  # type: ignore[union-attr]


def test_the_bundle_holds_no_secret_even_one_that_got_into_a_log(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    key = (box.root / "secrets/keeper/wg-a.key").read_text().strip()
    (logs / "siteside.log").write_text(f"good line\npassword=recorders own secret key={key}\n")
    (logs / "huge.log").write_bytes(b"0123456789" * 200_000)
    monkeypatch.setenv("SNOWGATE_TEST_SECRET", "environments own secret")
    assert box.run("support", str(tmp_path / "s.tar.gz"), f"--logs={logs}") == 0
    files = unpacked(tmp_path / "s.tar.gz")
    whole = b"\n".join(files.values())
    for secret in (
        "recorders own secret",
        "platforms own secret",
        "environments own secret",
        key,
        "$argon2id",
        "PRIVATE",
    ):
        for form in (secret.encode(), base64.b64encode(secret.encode()), secret.encode().hex().encode()):
            assert form not in whole, secret
    assert b"good line" in files["snowgate-support/logs/siteside.log"], "the control: the log is there"
    assert b"(hidden)" in files["snowgate-support/logs/siteside.log"]
    assert len(files["snowgate-support/logs/huge.log"]) == support.MAX_LOG_BYTES
    assert SITE is not None
    assert SITE.site.id.encode() in files["snowgate-support/configuration.json"]
    assert b"keeper_away" in files["snowgate-support/doctor.txt"]
    assert (tmp_path / "s.tar.gz").stat().st_mode & 0o777 == 0o600
    assert gzip.decompress((tmp_path / "s.tar.gz").read_bytes())


def test_without_the_guard_the_secret_would_be_found(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "siteside.log").write_text("password=recorders own secret\n")
    monkeypatch.setattr(support, "_without", lambda data, kept: data)
    found = support.gather(box.root / "run", box.places.state, box.places.secrets, logs)
    assert any(b"recorders own secret" in data for data in found.values())


def test_the_bundle_of_an_empty_box_is_written_too(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    found = support.gather(nowhere, nowhere, nowhere, nowhere)
    assert found["configuration.json"] == b"none is confirmed\n"
    durable.write(tmp_path / "x", b"")
    assert backup.MAX_FILES


def test_another_board_begins_its_own_count_of_the_citys_layers(box: Box) -> None:
    """A layer is signed for one device key, so none of the old board's can come here; a city may count anew."""
    fresh = make(box.root.parent / "fresh", mark=(0, 0), highest=(0, 0))
    files, own = layout(gather(box.places, "one"), fresh.places, "other")
    put = files["state/keeper/journal.json"]
    assert put is not None
    journal = Journal.decode(put.data)
    assert journal is not None
    assert (own, journal.highest) == (False, (0, 0))
