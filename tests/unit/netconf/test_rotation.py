"""A tunnel's key is exchanged: wherever the power goes, a key that the city was told is there, and the layer chooses it."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netconf import durable, secrets
from netconf.check import read_site
from netconf.compile import wireguard_device
from netconf.kernel import wireguard
from netconf.model import Site
from netconf.plan import wireguard_missing
from netconf.rotation import begin_rotation, finish_rotation, private_key, settle, unknown

TEXT = (Path(__file__).parents[2] / "sites/two-tunnels.toml").read_text(encoding="utf-8")
A, B = "wg-a", "wg-b"
PSK, OTHER_PSK = (base64.b64encode(bytes([n]) * 32).decode() for n in (7, 9))


def site(**own_keys: str) -> Site:
    found, wrong = read_site(TEXT)
    assert found is not None, wrong
    tunnels = tuple(t.model_copy(update={"own_key": own_keys.get(t.name.replace("-", "_"))}) for t in found.tunnel)
    return found.model_copy(update={"tunnel": tunnels})


def used(folder: Path, tunnel: str, expected: str | None) -> str:
    return secrets.public_key(private_key(folder, tunnel, expected))


def test_the_city_decides_when_the_next_key_is_used_and_takes_it_back(tmp_path: Path) -> None:
    old = secrets.ensure_wireguard_key(tmp_path, A)
    new = begin_rotation(tmp_path, A)
    assert new != old
    assert begin_rotation(tmp_path, A) == new, "asked twice, told the same"
    assert begin_rotation(tmp_path, A, refused=old) == new
    before, new = new, begin_rotation(tmp_path, A, refused=new)
    assert new not in (before, old), "what the city did not take it never takes"
    assert used(tmp_path, A, None) == old
    assert used(tmp_path, A, old) == old
    assert used(tmp_path, A, new) == new, "a layer that names it uses it"
    assert used(tmp_path, A, old) == old, "one that is undone does not"
    assert (tmp_path / "wg-a.next").stat().st_mode & 0o777 == 0o600


def test_a_confirmed_site_takes_it_up_once_and_no_other_tunnel_is_touched(tmp_path: Path) -> None:
    old, other = secrets.ensure_wireguard_key(tmp_path, A), secrets.ensure_wireguard_key(tmp_path, B)
    new, others_next = begin_rotation(tmp_path, A), begin_rotation(tmp_path, B)
    settle(tmp_path, site())
    settle(tmp_path, site(wg_a=old))
    assert used(tmp_path, A, None) == old, "nobody named it"
    for _ in range(3):
        settle(tmp_path, site(wg_a=new))
        assert used(tmp_path, A, None) == used(tmp_path, A, new) == new
    assert not (tmp_path / "wg-a.next").exists()
    assert used(tmp_path, B, None) == other
    assert begin_rotation(tmp_path, B) == others_next
    assert begin_rotation(tmp_path, A) not in (old, new), "and the next one is another"


def test_a_key_that_is_not_here_is_said_and_the_own_one_is_used(tmp_path: Path) -> None:
    own, new = secrets.ensure_wireguard_key(tmp_path, B), begin_rotation(tmp_path, B)
    foreign = site(wg_b="C" * 42 + "A=")
    (found,) = unknown(tmp_path, foreign)
    assert (found.code, found.path) == ("tunnel_own_key_unknown", "/tunnel/1/own_key")
    assert used(tmp_path, B, foreign.tunnel[1].own_key) == own
    for good in (site(), site(wg_b=own), site(wg_b=new)):
        assert list(unknown(tmp_path, good)) == []


def test_a_damaged_next_key_is_named_and_takes_nothing_away(tmp_path: Path) -> None:
    old = secrets.ensure_wireguard_key(tmp_path, A)
    (tmp_path / "wg-a.next").write_text("no key\n", encoding="ascii")
    with pytest.raises(secrets.SecretDamaged, match="wg-a.next"):
        begin_rotation(tmp_path, A)
    settle(tmp_path, site(wg_a=old))
    assert used(tmp_path, A, old) == old


# -- the power goes ----------------------------------------------------------------------------------------------------


class Cut(BaseException):
    """The power went."""


@contextlib.contextmanager
def cut_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Stop before the ``number``-th call that changes the disk; the list says which were made."""
    made: list[str] = []

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def one(*given: Any, **named: Any) -> Any:
            if len(made) == number:
                raise Cut
            made.append(name)
            return call(*given, **named)

        return one

    with monkeypatch.context() as patch:
        for name in ("replace", "fsync", "open", "fchmod"):
            patch.setattr(os, name, counted(name, getattr(os, name)))
        with contextlib.suppress(Cut):
            yield made


#: More calls than any of these makes: the last runs are the ones that nothing stops.
MOST_CALLS = 12


@pytest.mark.parametrize("number", range(MOST_CALLS))
def test_f10_power_goes_while_the_next_key_is_made(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = secrets.ensure_wireguard_key(tmp_path, A)
    told = ""
    with cut_at(number, monkeypatch) as made:
        told = begin_rotation(tmp_path, A)
    assert not told or made[-1] == "fsync", "told only after all of it"
    after = begin_rotation(tmp_path, A)
    assert not told or after == told, "what the city was told is there"
    assert used(tmp_path, A, old) == old
    assert used(tmp_path, A, after) == after


@pytest.mark.parametrize("number", range(MOST_CALLS))
@pytest.mark.parametrize("lost", [False, True], ids=["", "the rename was not on the disk"])
def test_f10_power_goes_while_it_is_taken_up(
    number: int, lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = secrets.ensure_wireguard_key(tmp_path, A), begin_rotation(tmp_path, A)
    before = tmp_path / "before"
    shutil.copytree(tmp_path, before)
    with cut_at(number, monkeypatch) as made:
        finish_rotation(tmp_path, A)
    if lost and made[-1:] != ["fsync"]:
        for path in (*tmp_path.glob("wg-a.*"),):
            path.unlink()
        for path in before.iterdir():
            shutil.copy2(path, tmp_path / path.name)
    assert used(tmp_path, A, new) == new, "the layer that is confirmed names the new one"
    assert used(tmp_path, A, old) in (old, new)
    settle(tmp_path, site(wg_a=new))
    assert used(tmp_path, A, new) == used(tmp_path, A, None) == new
    assert not (tmp_path / "wg-a.next").exists()


def test_the_calls_that_are_cut_are_made_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.ensure_wireguard_key(tmp_path, A)
    with cut_at(99, monkeypatch) as made:
        begin_rotation(tmp_path, A)
        finish_rotation(tmp_path, A)
    assert made == ["open", "fchmod", "fsync", "replace", "open", "fsync", "replace", "open", "fsync"]
    assert len(made) < MOST_CALLS


# -- the preshared key -------------------------------------------------------------------------------------------------


def test_a_preshared_key_goes_into_the_text_and_nowhere_else(tmp_path: Path) -> None:
    tunnel = site().tunnel[0]
    private = private_key(tmp_path, A, None)
    assert secrets.read_preshared_key(tmp_path, A) == ""
    assert f"PresharedKey = {wireguard.NO_PRESHARED_KEY}\n" in wireguard.text(tunnel, private)
    secrets.write_preshared_key(tmp_path, A, PSK)
    assert secrets.read_preshared_key(tmp_path, A) == PSK
    assert (tmp_path / "psk-wg-a").stat().st_mode & 0o777 == 0o600
    assert f"PresharedKey = {PSK}\n" in wireguard.text(tunnel, private, preshared_key=PSK)
    public = secrets.public_key(private)
    bare, one, other = (wireguard_device(tunnel, public, key) for key in ("", PSK, OTHER_PSK))
    assert wireguard_missing(one, one) == []
    for wanted, actual in ((one, bare), (one, other), (bare, one)):
        steps = wireguard_missing(wanted, actual)
        assert len(steps) == 1
        assert not any(key in f"{steps} {wanted} {actual}" for key in (PSK, OTHER_PSK))
    assert "preshared-key FILE" in wireguard_missing(one, bare)[0]


@pytest.mark.parametrize("text", ["", "x", PSK[:-1], PSK + "A", "A" * 42 + "B=", "ü" * 44])
def test_what_is_no_preshared_key_is_damaged_and_not_repeated(tmp_path: Path, text: str) -> None:
    durable.write(tmp_path / "psk-wg-a", text.encode() + b"\n")
    with pytest.raises(secrets.SecretDamaged) as wrong:
        secrets.read_preshared_key(tmp_path, A)
    assert str(wrong.value) == "psk-wg-a"


def test_only_a_tunnels_name_makes_a_files_name(tmp_path: Path) -> None:
    for name in ("../x", "a/b", "", "A"):
        for call in (secrets.next_name, secrets.preshared_name):
            with pytest.raises(ValueError, match="not a secret's name"):
                call(name)
