"""Rules that are really proven before they are loaded: the runner itself, and a compiler that forgets one rule.

For the changed site alone the compiler leaves a rule of ``lan`` out, so that the box, which runs on the site of before, is
as good as ever: whether the change is refused is the proof's merit.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.lab import topology
from edge.lab.street import RUN, STATE, Street, eventually
from edge.lab.units import CODE
from firewall.compile import rulesets
from netconf.check import read_site

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("firewall.prove") is None, reason="there is no runner yet: firewall.prove"
)
COMPILER = Path("firewall/compile.py")
ADDED, FORGOTTEN = "192.168.1.128/27", "no IP options"
_LAST = "    chains, wires = (tuple(raw), tuple(input_), tuple(output)), (Wire(port, tuple(egress)),)"


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    street = Street(Path("build/lab/proof-log"), proves=True)
    try:
        street.open()
        yield street
    finally:
        street.close()


@contextmanager
def forgetful(street: Street, folder: Path) -> Iterator[None]:
    """The box with a compiler that leaves a rule out when the owner's networks have ``ADDED``."""
    before = COMPILER.read_text(encoding="utf-8")
    forgets = f'    raw = [r for r in raw if r.policy != "{FORGOTTEN}" or "{ADDED}" not in map(str, site.lan.owner_networks)]\n'
    assert _LAST in before
    (folder / "compile.py").write_text(before.replace(_LAST, forgets + _LAST), encoding="utf-8")
    (folder / "compile.py").chmod(0o644)
    subprocess.run(["mount", "--bind", folder / "compile.py", CODE / COMPILER], check=True, timeout=20)
    begin_anew(street)
    try:
        yield
    finally:
        subprocess.run(["umount", CODE / COMPILER], check=True, timeout=20)
        begin_anew(street)


def begin_anew(street: Street) -> None:
    starts = street.starts("keeper")
    street.kill("keeper")
    eventually(lambda: street.starts("keeper") > starts, 20, "the keeper again")
    eventually(lambda: street.status().get("keeper", {}).get("confirmed"), 30, "what is confirmed")


def listed() -> list[str]:
    command = [topology.inside(name, "nft", "-s", "list", "ruleset") for name in ("lan", "vpn", "wan")]
    return [subprocess.run(each, capture_output=True, text=True, check=True, timeout=20).stdout for each in command]


def changed() -> str:
    text = (RUN / "applied.toml").read_text(encoding="utf-8")
    found = text.replace("owner_networks = [", f'owner_networks = ["{ADDED}", ')
    assert found != text
    return found


def apply(text: str) -> subprocess.CompletedProcess[str]:
    path = RUN / "changed.toml"
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "edge.cli", "apply", "--run", str(RUN), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=115, check=False)


def test_the_first_site_was_proven(street: Street) -> None:
    last = street.said("prove")["last"]
    assert last["result"] == "green"
    site, _ = read_site((RUN / "applied.toml").read_text(encoding="utf-8"))
    assert site is not None
    result = json.loads((STATE / "prove" / "change" / "result.json").read_bytes())
    assert result["rulesets"] == {rules.namespace: rules.digest() for rules in rulesets(site)}
    assert len(result["cases"]) > 10
    assert street.status()["keeper"]["change"]["unproven"] == []


def test_with_one_rule_removed_the_proof_is_red_and_the_change_is_refused(street: Street, tmp_path: Path) -> None:
    before, revision = listed(), street.status()["keeper"]["change"]["revision"]
    tmp_path.chmod(0o755)
    with forgetful(street, tmp_path):
        assert listed() == before, "the box itself is as good as ever"
        done = apply(changed())
        assert done.returncode == 1
        assert "(proof_red)" in done.stderr, done.stderr
        last = street.said("prove")["last"]
        assert (last["result"], last["count"] > 0) == ("red", True)
        assert all(case in done.stderr for case in last["cases"]), "the red cases are named"
        assert listed() == before
    change = street.status()["keeper"]["change"]
    assert change["revision"] == revision
    assert change["failed"][-1]["reason"] == "proof_red"
    # The control: the same change with the whole compiler.
    done = apply(changed())
    assert done.returncode == 0, done.stderr
    assert ADDED in listed()[0]
