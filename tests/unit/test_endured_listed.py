"""docs/endured.md: each fault that it names is in the tests that it names, and no test's fault is missing there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.firewall.test_attacks_listed import shown_in

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs/endured.md").read_text(encoding="utf-8")
ROWS = {
    row[1]: re.findall(r"`([^`]+\.py)`", row[2])
    for row in re.finditer(r"^\| (F\d\d) \|.*\| (.*) \|$", TABLE, re.MULTILINE)
}
#: What comes to the city's control and is no good: (words, tests that show it).
BAD = re.findall(r"^\| (?!F\d\d|id|what comes)([^|-][^|]*) \|[^|]*\| (`[^|]*`) \|$", TABLE, re.MULTILINE)
#: Those of the list that concern the city's control and the ways to it; the others came with what they break.
LEAST = {"F10", "F15", "F16", "F17", "F19", "F20", "F21", "F30", "F31", "F32", "F33"}


def test_every_fault_of_the_citys_control_stands_in_the_table() -> None:
    assert set(ROWS) >= LEAST
    assert all(ROWS.values()), "each is shown somewhere"


@pytest.mark.parametrize("fault", ROWS)
def test_a_fault_is_where_the_table_says(fault: str) -> None:
    for path in ROWS[fault]:
        assert fault in shown_in(path), path


def test_what_tests_show_is_in_the_table() -> None:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = str(path.relative_to(ROOT))
        for fault in sorted(one for one in shown_in(name) if one[0] == "F"):
            assert name in ROWS.get(fault, []), f"{fault}: {name}"


def test_each_bad_input_has_its_test() -> None:
    assert len(BAD) >= 13
    for said, places in BAD:
        for path, _, test in (place.partition("::") for place in re.findall(r"`([^`]+)`", places)):
            found = re.search(rf"^\s*(?:async )?def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
            assert found, f"{said}: {path}::{test}"
