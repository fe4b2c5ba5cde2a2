"""One run of a runner, real processes in namespaces of their own: green only when everything agrees, and bounds that hold."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.control.wire import Job, Verdict
from edge.lab.street import eventually
from edge.prove import run as module
from edge.prove.run import Run, whole

TEXTS = ("# lan\n", "# vpn\n", "# wan\n")
JOB = Job(7, "{}", TEXTS, tuple(hashlib.sha256(text.encode("ascii")).hexdigest() for text in TEXTS))
STANDIN = [sys.executable, "-m", "edge.lab.proof_standin"]


@pytest.fixture(autouse=True)
def own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))  # a run has a folder of its own


def ran(tmp_path: Path, runner: list[str], job: Job = JOB) -> Verdict:
    run = Run(job, runner, tmp_path / "job", tmp_path / "pages", time.monotonic())
    try:
        found: Verdict = eventually(lambda: run.verdict(time.monotonic()), 60, "a verdict")
    finally:
        run.end()
    return found


def writing(tmp_path: Path, result: object, status: int) -> list[str]:
    """A runner that writes this result and ends so."""
    code = (
        "import pathlib, sys; out = pathlib.Path(sys.argv[sys.argv.index('--out') + 1]);"
        f"(out / 'result.json').write_text({json.dumps(json.dumps(result))}); sys.exit({status})"
    )
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("told", "result", "cases"),
    [("green", "green", ()), ("red", "red", ("stand-in",)), ("none", "none", ()), ("other", "none", ())],
)
def test_what_the_runner_says_is_the_verdict(tmp_path: Path, told: str, result: str, cases: tuple[str, ...]) -> None:
    said = tmp_path / "told"
    said.write_text(told, encoding="ascii")
    verdict = ran(tmp_path, [*STANDIN, str(said)])
    assert (verdict.result, verdict.cases, verdict.count) == (result, cases, len(cases))
    assert (verdict.revision, verdict.digests) == (7, JOB.digests)
    if told == "none":
        assert verdict.what == "the stand-in was told to prove nothing"
    if result != "none":
        assert (tmp_path / "pages" / "result.json").exists()
        assert verdict.what == str(tmp_path / "pages")


RULES = dict(zip(module.NAMES, JOB.digests, strict=True))
GOOD, BAD = {"id": "K1", "green": True}, {"id": "K2", "green": False}


@pytest.mark.parametrize(
    ("result", "status", "said"),
    [
        ({"rulesets": RULES, "cases": [GOOD]}, 0, "green"),
        ({"rulesets": RULES, "cases": [GOOD, BAD]}, 1, "red"),
        ({"rulesets": RULES, "cases": [GOOD, BAD]}, 0, "none"),
        ({"rulesets": RULES, "cases": [GOOD]}, 1, "none"),
        ({"rulesets": RULES, "cases": [GOOD]}, 3, "none"),
        ({"rulesets": RULES, "cases": [{"id": "K1", "green": "no"}]}, 0, "none"),
        ({"rulesets": RULES, "cases": [{"id": "K1"}]}, 0, "none"),
        ({"rulesets": RULES | {"wan": "0" * 64}, "cases": [GOOD]}, 0, "none"),
        ({"cases": [GOOD]}, 0, "none"),
        ([], 0, "none"),
    ],
)
def test_green_is_only_what_everything_agrees_upon(tmp_path: Path, result: object, status: int, said: str) -> None:
    assert ran(tmp_path, writing(tmp_path, result, status)).result == said


def test_a_result_of_the_run_before_is_not_this_ones(tmp_path: Path) -> None:
    assert ran(tmp_path, [*STANDIN, str(tmp_path / "none")]).result == "green"
    assert ran(tmp_path, [sys.executable, "-c", "pass"]).result == "none"


@pytest.mark.parametrize("runner", [["/no/such/runner"], [sys.executable, "-m", "no_such_module"]])
def test_a_runner_that_is_not_there_is_no_red(tmp_path: Path, runner: list[str]) -> None:
    verdict = ran(tmp_path, runner)
    assert verdict.result == "none"
    assert "no" in verdict.what.lower()


def test_one_that_does_not_end_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SECONDS", 1.0)
    beat = tmp_path / "beat"
    child = f"import time\nwhile True: open({str(beat)!r}, 'a').write('x'); time.sleep(0.02)"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True); time.sleep(99)"
    verdict = ran(tmp_path, [sys.executable, "-c", code])
    assert verdict.result == "none"
    assert "an end within" in verdict.what
    assert beat.stat().st_size > 0, "the control: it had started something"
    eventually(lambda: _still(beat), 5, "the end of that")


def _still(path: Path) -> bool:
    before = path.stat().st_size
    time.sleep(0.3)
    return path.stat().st_size == before


def test_one_that_takes_too_much_memory_gets_none(tmp_path: Path) -> None:
    verdict = ran(tmp_path, [sys.executable, "-c", f"bytearray({module.MAX_MEMORY_BYTES})"])
    assert (verdict.result, verdict.what) == ("none", "MemoryError")


def test_it_is_root_of_its_own_namespaces_alone(tmp_path: Path) -> None:
    code = "import os, sys; print(os.geteuid(), os.stat('/proc/self/ns/net').st_ino, os.listdir('/run/netns') if os.path.isdir('/run/netns') else [], file=sys.stderr)"
    uid, net, rest = ran(tmp_path, [sys.executable, "-c", code]).what.split(" ", 2)
    assert (uid, rest) == ("0", "[]")
    assert int(net) != Path("/proc/self/ns/net").stat().st_ino


def test_a_job_whose_texts_are_not_its_digests_is_none() -> None:
    assert whole(JOB)
    assert not whole(Job(7, "{}", (*TEXTS[:2], "# wan: another\n"), JOB.digests))
    assert not whole(Job(7, "{}", TEXTS[:2], JOB.digests[:2]))


def test_a_prover_that_is_killed_leaves_no_runner_behind(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    runner = f"import time\nwhile True: open({str(beat)!r}, 'a').write('x'); time.sleep(0.02)"
    code = (
        "import sys, time; from pathlib import Path; from edge.prove.run import Run; from edge.control.wire import Job;"
        f"here = Path({str(tmp_path)!r}); job = Job(7, '', ('', '', ''), ('', '', ''));"
        f"Run(job, [sys.executable, '-c', {runner!r}], here / 'job', here / 'pages', 0.0); time.sleep(99)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as prover:
        try:
            eventually(lambda: beat.exists() and beat.stat().st_size > 3, 20, "the runner at work")
        finally:
            prover.kill()
    eventually(lambda: _still(beat), 5, "its end")
