"""What is written stays: files whole or old, keys and passwords 0600 and silent."""

from __future__ import annotations

import base64
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from netconf import durable, secrets


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_whole_and_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "site.json"
    durable.write(path, b"old" * 1000)
    durable.write(path, b"new", 0o644)
    assert durable.read(path, 3) == b"new"
    assert mode(path) == 0o644
    assert os.listdir(tmp_path) == ["site.json"]


def test_the_umask_neither_widens_nor_narrows_the_mode(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        durable.write(tmp_path / "a", b"", 0o644)
        os.umask(0)
        durable.write(tmp_path / "b", b"")
    finally:
        os.umask(before)
    assert (mode(tmp_path / "a"), mode(tmp_path / "b")) == (0o644, 0o600)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "site.json"
    durable.write(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, full)
        with pytest.raises(OSError, match="No space"):
            durable.write(path, b"new")
    assert durable.read(path, 9) == b"old"
    assert os.listdir(tmp_path) == ["site.json"]


def test_file_and_folder_reach_the_disk_before_anybody_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    really_sync, really_replace = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        really_sync(descriptor)

    def rename(old: Path, new: Path) -> None:
        done.append("rename")
        really_replace(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", rename)
    durable.write(tmp_path / "x", b"x")
    assert done == ["file", "rename", "folder"]


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    durable.write(tmp_path / "x", b"1234")
    with pytest.raises(durable.TooLong):
        durable.read(tmp_path / "x", 3)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    public = secrets.ensure_wireguard_key(folder, "wg-a")
    assert secrets.ensure_wireguard_key(folder, "wg-a") == public
    assert secrets.ensure_wireguard_key(folder, "wg-b") != public
    assert (mode(folder), mode(folder / "wg-a.key")) == (0o700, 0o600)
    private = secrets.read_wireguard_key(folder, "wg-a")
    assert len(base64.b64decode(private)) == 32
    assert secrets.public_key(private) == public != private


def test_a_public_key_is_the_one_that_wg_makes(tmp_path: Path) -> None:
    if shutil.which("wg") is None:
        pytest.skip("lab_no_program: wg")
    public = secrets.ensure_wireguard_key(tmp_path, "wg-a")
    with (tmp_path / "wg-a.key").open("rb") as private:
        done = subprocess.run(["wg", "pubkey"], stdin=private, capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout.strip() == public


@pytest.mark.parametrize("held", [b"", b"no key", b"\xff" * 44, b"A" * 43, b"A" * 300, b"QQ==\n"])
def test_a_damaged_key_is_told_by_its_files_name_and_kept(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "wg-a.key").write_bytes(held)
    with pytest.raises(secrets.SecretDamaged, match=r"^wg-a\.key$"):
        secrets.ensure_wireguard_key(tmp_path, "wg-a")
    assert (tmp_path / "wg-a.key").read_bytes() == held


def test_a_password_is_read_without_its_line_end(tmp_path: Path) -> None:
    secrets.write_password(tmp_path / "s", "platform", " 密码 ")
    assert secrets.read_password(tmp_path / "s", "platform") == " 密码 "
    assert mode(tmp_path / "s" / "platform.password") == 0o640, "its folder says who may come near"
    assert secrets.read_password(tmp_path / "s", "recorder-34020000001180000001") is None


@pytest.mark.parametrize("held", [b"\xff\xfe", b"x" * 257])
def test_a_damaged_password_is_told_by_its_files_name(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "platform.password").write_bytes(held)
    with pytest.raises(secrets.SecretDamaged, match=r"^platform\.password$"):
        secrets.read_password(tmp_path, "platform")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "wg.a", "a" * 50, "x\n"])
def test_a_secrets_name_leaves_its_folder_never(tmp_path: Path, name: str) -> None:
    for deed in (secrets.read_password, secrets.ensure_wireguard_key, secrets.read_wireguard_key):
        with pytest.raises(ValueError, match="not a secret's name"):
            deed(tmp_path, name)
