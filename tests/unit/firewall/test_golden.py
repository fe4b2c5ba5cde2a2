"""The lab's site as nft text, byte for byte. ``SNOWGATE_GOLDEN=write`` writes the files; review the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firewall.compile import rulesets
from firewall.ruleset import Ruleset
from netconf.check import read_site

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/golden/nft"
SITE, _ = read_site((ROOT / "edge/lab/site.toml").read_text(encoding="utf-8"))
assert SITE is not None


@pytest.mark.parametrize("ruleset", rulesets(SITE), ids=lambda ruleset: ruleset.namespace)
def test_the_text_is_as_reviewed(ruleset: Ruleset) -> None:
    path = GOLDEN / f"{ruleset.namespace}.nft"
    if os.environ.get("SNOWGATE_GOLDEN") == "write":
        path.write_text(ruleset.text(), encoding="utf-8")
    assert ruleset.text() == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("ruleset", rulesets(SITE), ids=lambda ruleset: ruleset.namespace)
def test_each_chain_ends_with_a_word_of_its_own(ruleset: Ruleset) -> None:
    last: dict[str, str] = {}
    for line in ruleset.text().splitlines():
        if line.startswith("add rule "):
            last[" ".join(line.split()[2:5])] = line
    assert last
    for chain, line in last.items():
        wanted = "accept" if chain.endswith(" raw") else "drop"
        assert f"counter {wanted} comment" in line, chain


@pytest.mark.parametrize("ruleset", rulesets(SITE), ids=lambda ruleset: ruleset.namespace)
def test_no_rule_trusts_connection_tracking(ruleset: Ruleset) -> None:
    assert "ct " not in ruleset.text().replace("accept ", "")
