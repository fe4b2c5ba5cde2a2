"""The house's rules, and the proof that each of them can turn red."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("city", "edge", "firewall", "netconf")
MAX_FUNCTION_LINES, MAX_FILE_LINES = 70, 600

#: contract -> (file, line that breaks it)
PLANTS = {
    "floors": ("netconf/model.py", "import edge.sip.uri"),
    "floors of netconf": ("netconf/finding.py", "import netconf.model"),
    "protocol rooms do not know each other": ("edge/sdp/description.py", "import edge.manscdp.reader"),
    "pure rooms see no hands": ("edge/sip/endpoint.py", "import time"),
    "only the keeper and the lab touch the kernel": ("edge/siteside/process.py", "import firewall.nft"),
    "only the proof's runner knows scapy": ("edge/keeper/process.py", "import firewall.prove.trial"),
    "verify shares no code with the sides": ("edge/ferry/verify.py", "import edge.records.codec"),
    "the verifier of receipts stands alone": ("edge/receipts/verify_receipts.py", "import netconf.words"),
    "the city knows a site by its configuration alone": ("city/registry/tables.py", "import firewall.ruleset"),
    "a concentrator's host has no registry": ("city/concentrator/core.py", "import city.registry.feeds"),
    "the city's pages and answers hold no key": ("city/api/__init__.py", "import city.signing.keys"),
    "the site side and the city side do not know each other": ("edge/siteside/core.py", "import edge.cityside.core"),
}


def lint(root: Path) -> str:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("house")
    for room in ROOMS:
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_the_house_stands(copy: Path) -> None:
    assert f"Contracts: {len(PLANTS)} kept, 0 broken." in lint(copy)


@pytest.mark.parametrize("contract", PLANTS)
def test_a_planted_import_turns_its_contract_red(copy: Path, contract: str) -> None:
    file, line = PLANTS[contract]
    path = copy / file
    before = path.read_text(encoding="utf-8")
    path.write_text(before + f"\n{line}\n", encoding="utf-8")
    try:
        assert f"{contract} BROKEN" in lint(copy)
    finally:
        path.write_text(before, encoding="utf-8")


def sources() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def test_no_file_is_too_long() -> None:
    assert not [str(p) for p in sources() if len(p.read_text(encoding="utf-8").splitlines()) > MAX_FILE_LINES]


def test_no_function_is_too_long() -> None:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, f"{path}:{node.lineno} {node.name}"


def test_nothing_is_caught_blindly_and_no_shell_is_used() -> None:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"{path}:{node.lineno}"
            assert not (isinstance(node, ast.keyword) and node.arg == "shell"), f"{path}: shell="


def test_no_two_files_of_tests_that_run_together_have_one_name() -> None:
    """pytest tells modules apart by their names alone; streets and foreign peers run each in a session of their own."""
    together = [path for path in (ROOT / "tests").rglob("test_*.py") if not {"streets", "interop"} & set(path.parts)]
    names = [path.name for path in together]
    assert sorted(set(names)) == sorted(names)


def test_the_keeper_stays_small() -> None:
    assert sum(len(p.read_text(encoding="utf-8").splitlines()) for p in (ROOT / "edge/keeper").glob("*.py")) <= 1600
