"""docs/attacks.md: each case that it names is really in the tests that it names, and no test's case is missing there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from firewall.prove.cases import NOT_COVERED, all_cases
from netconf.learned import NOTHING
from tests.playbook import test_ferry as ferry

ROOT = Path(__file__).parents[3]
PROOF = "firewall/prove/cases.py"
TABLE = (ROOT / "docs/attacks.md").read_text(encoding="utf-8")
ROWS = {
    row[1]: re.findall(r"`([^`]+\.py)`", row[2])
    for row in re.finditer(r"^\| ([A-Z]\d\d) \|.*\| (.*) \|$", TABLE, re.MULTILINE)
}
#: Of the threat list, those that concern packets,
PACKETS = {*(f"K{n:02}" for n in range(1, 18) if n not in (11, 15)), "R01", "R02", "R03", "R04", "R07", "R08", "T01", "T02",
           "T03", "V01", "V02", "V05"}  # fmt: skip
#: and those that concern the tunnels, the city's control and the pages.
CASES = PACKETS | {"W01", "W02", "W03", "W04", "W05", "W06", "W08", "C01", "C02", "C03", "C04", "C06"} | {
    *(f"U{n:02}" for n in range(1, 12) if n != 9)
}  # fmt: skip


def proven() -> set[str]:
    return {case.id for case in all_cases(ferry.granted("talk"), NOTHING, 1) if not case.passes or case.most}


def shown_in(path: str) -> set[str]:
    """The cases in the names of a file's tests: ``test_k02_...``, ``test_r03_r04_...``."""
    names = re.findall(
        r"^\s*(?:async )?def test_((?:[a-z]\d\d_)+)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE
    )
    return {case.upper() for name in names for case in name.split("_") if case}


def test_every_case_stands_in_the_table() -> None:
    assert set(ROWS) == CASES
    assert all(ROWS.values()), "each is shown somewhere"


@pytest.mark.parametrize("case", ROWS)
def test_a_case_is_where_the_table_says(case: str) -> None:
    for path in ROWS[case]:
        assert case in (proven() if path == PROOF else shown_in(path)), path


def test_what_tests_and_proof_show_of_these_is_in_the_table() -> None:
    """Of R and T, which many small tests touch, the table need not name every place."""
    told = {case for case in CASES if case[0] in "KVWCU"}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = str(path.relative_to(ROOT))
        for case in shown_in(name) & told:
            assert name in ROWS[case], f"{case}: {name}"
    for case in proven() & PACKETS:
        assert PROOF in ROWS[case], case


def test_what_no_ruleset_can_show_is_shown_elsewhere() -> None:
    for case in NOT_COVERED.keys() & PACKETS:
        assert set(ROWS[case]) - {PROOF}, case
