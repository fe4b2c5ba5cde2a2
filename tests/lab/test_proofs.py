"""A change waits for its proof: the whole box, with a stand-in for the runner that says what it is told.

What is asked of the kernel is what nft lists: red, none, a death of anybody, and the rules of before are the rules.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.lab import topology
from edge.lab.street import RUN, Street, eventually
from tests.conftest import alive

NAMESPACES = ("lan", "vpn", "wan")


def listed() -> dict[str, str]:
    """The rules as the kernel has them, without what counts and what runs out."""
    found = {}
    for name in NAMESPACES:
        command = topology.inside(name, "nft", "-s", "list", "ruleset")
        found[name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return found


def change(street: Street) -> dict[str, Any]:
    return dict(street.status().get("keeper", {}).get("change", {}))


def failed(street: Street) -> dict[str, Any]:
    return dict(change(street)["failed"][-1])


@pytest.fixture
def text(street: Street) -> Iterator[str]:
    """A site with other rules than the confirmed one's; afterwards all is as it was."""
    eventually(lambda: change(street).get("state") == "steady", 30, "a steady box")
    before = (RUN / "applied.toml").read_text(encoding="utf-8")
    changed = before.replace("owner_networks = [", 'owner_networks = ["192.168.1.128/27", ')
    assert changed != before
    yield changed
    street.proof("green")
    street.resume_program("prove")
    eventually(lambda: change(street).get("state") == "steady", 30, "a steady box")
    street.apply(before)


def apply(text: str, *options: str) -> subprocess.CompletedProcess[str]:
    path = RUN / "changed.toml"
    path.write_text(text, encoding="utf-8")
    return subprocess.run(_command(path, *options), capture_output=True, text=True, timeout=110, check=False)


def _command(path: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "edge.cli", "apply", "--run", str(RUN), *options, str(path)]


@contextmanager
def being_proven(street: Street, text: str) -> Iterator[subprocess.Popen[str]]:
    """An apply whose proof does not end."""
    street.proof("hang")
    path = RUN / "changed.toml"
    path.write_text(text, encoding="utf-8")
    with subprocess.Popen(_command(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as applying:
        try:
            eventually(lambda: street.said("prove").get("proving"), 20, "the runner at work")
            assert change(street)["state"] == "proving"
            yield applying
        finally:
            applying.kill()


def test_a_green_change_is_applied(street: Street, text: str) -> None:
    before = listed()
    done = apply(text)
    assert done.returncode == 0, done.stderr
    assert "being proven" in done.stderr
    after = listed()
    assert "192.168.1.128/27" in after["lan"]
    assert "192.168.1.128/27" not in before["lan"]
    assert street.said("prove")["last"]["result"] == "green"


@pytest.mark.parametrize(
    ("said", "rule"), [("red", "proof_red"), ("none", "proof_missing"), ("other", "proof_missing")]
)
def test_a_change_that_fails_its_proof_is_refused_and_the_old_rules_are_loaded(
    street: Street, text: str, said: str, rule: str
) -> None:
    before, site, revision = listed(), (RUN / "keeper" / "site.json").read_bytes(), change(street)["revision"]
    street.proof(said)
    done = apply(text)
    assert done.returncode == 1
    assert f"({rule})" in done.stderr
    if said == "red":
        assert "stand-in" in done.stderr, "the case that is red is named"
    assert listed() == before
    assert (RUN / "keeper" / "site.json").read_bytes() == site
    assert (change(street)["revision"], change(street)["state"]) == (revision, "steady")
    assert failed(street)["reason"] == rule
    assert street.status()["keeper"]["counters"].get("rules_put_back", 0) == 0


def test_the_keeper_killed_while_it_is_proven_comes_back_on_what_is_confirmed(street: Street, text: str) -> None:
    before = listed()
    with being_proven(street, text) as applying:
        starts = street.starts("keeper")
        street.kill("keeper")
        eventually(lambda: street.starts("keeper") > starts, 10, "the keeper again")
        eventually(lambda: change(street).get("state") == "steady", 20, "a start that waits for no proof")
        assert applying.wait(30) == 1
        assert applying.stderr is not None
        assert "(power_lost)" in applying.stderr.read()
    assert failed(street)["reason"] == "power_lost"
    assert listed() == before
    eventually(lambda: not street.said("prove").get("proving"), 10, "the prover hears that nobody waits")


def test_the_power_cut_while_it_is_proven(street: Street, text: str) -> None:
    """A start with nothing but the disk: the kernel has no rules of ours, tmpfs knows none."""
    before = listed()
    with being_proven(street, text):
        with street.held("keeper"):
            for name in NAMESPACES:
                subprocess.run(topology.inside(name, "nft", "flush", "ruleset"), check=True)
            (RUN / "keeper" / "rules.json").unlink()
            pid = street.pid("keeper")
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: change(street).get("state") == "steady", 30, "the keeper again")
    assert failed(street)["reason"] == "power_lost"
    assert {name: rules.count("comment") for name, rules in listed().items()} == {
        name: rules.count("comment") for name, rules in before.items()
    }
    assert "192.168.1.128/27" not in listed()["lan"]


def test_a_prover_that_is_killed_proves_it_again(street: Street, text: str) -> None:
    with being_proven(street, text) as applying:
        runner = children(street.pid("prove"))
        assert runner
        street.proof("green")
        street.kill("prove")
        eventually(lambda: not any(map(alive, runner)), 10, "the end of its runner")
        assert applying.wait(60) == 0
    assert "192.168.1.128/27" in listed()["lan"]


def children(pid: int | None) -> list[int]:
    """The processes below one, all the way down."""
    try:
        found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []
    return found + [each for child in found for each in children(child)]


def test_without_a_prover_there_is_no_proof(street: Street, text: str) -> None:
    before = listed()
    street.stop_program("prove")
    done = apply(text)
    assert done.returncode == 1
    assert "(proof_missing)" in done.stderr
    assert listed() == before
    assert failed(street)["reason"] == "proof_missing"
    done = apply(text, "--without-proof")
    assert done.returncode == 0, done.stderr
    assert "192.168.1.128/27" in listed()["lan"]
    assert change(street)["revision"] in change(street)["unproven"]


def test_what_leaves_the_rules_as_they_are_waits_for_nobody(street: Street, text: str) -> None:
    before = (RUN / "applied.toml").read_text(encoding="utf-8")
    street.stop_program("prove")
    site = json.loads((RUN / "keeper" / "site.json").read_bytes())
    name = site["channel"][0]["name"]
    done = apply(before.replace(name, f"{name}2"))
    assert done.returncode == 0, done.stderr
    assert "being proven" not in done.stderr
    assert json.loads((RUN / "keeper" / "site.json").read_bytes())["channel"][0]["name"] == f"{name}2"
