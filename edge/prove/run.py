"""One run of the runner: its files, its bounds in time and memory, and the verdict that comes of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.control.wire import MAX_CASES, Job, Verdict

#: The keeper waits for 90 s; what is told after that is told in vain.
MOST_SECONDS = 80.0
#: Of address space: scapy and what it proves take a third of it.
MAX_MEMORY_BYTES = 1 << 30
MAX_RESULT_BYTES = 1 << 22
MAX_WORDS_BYTES = 1 << 16
MAX_WHAT = 200
NAMES = ("lan", "vpn", "wan")
GREEN, RED = 0, 1
_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,79}", re.ASCII)
#: The box's own namespaces are out of sight; the runner makes its own beneath the same path.
_PREPARE = '{ [ ! -d /run/netns ] || mount -t tmpfs tmpfs /run/netns; } && exec "$@"'


class Run:
    """A runner at work on a job, in ``folder``; what it writes for people goes to ``pages``."""

    def __init__(self, job: Job, runner: Sequence[str], folder: Path, pages: Path, now: float) -> None:
        """Raises:
        OSError: it cannot be started.
        """
        self.job = job
        self.until = now + MOST_SECONDS
        self._pages = pages
        self._said = folder / "said"
        for each in (folder, pages):
            shutil.rmtree(each, ignore_errors=True)
            each.mkdir(mode=0o750)
        _write(folder, job)
        words = [*runner, "--site", str(folder / "site.json"), "--out", str(pages), "--texts", str(folder / "texts")]
        with self._said.open("wb") as said:
            self._child = subprocess.Popen(
                confined(words), stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=folder,
                env={**{key: os.environ[key] for key in ("PATH", "PYTHONPATH", "LANG") if key in os.environ},
                     "HOME": str(folder), "TMPDIR": str(folder)},
            )  # fmt: skip

    def verdict(self, now: float) -> Verdict | None:
        """Return what came of it, None while it runs; one that has run for too long is ended."""
        status = self._child.poll()
        if status is None and now < self.until:
            return None
        self.end()
        if status is None:
            return self._none(f"an end within {MOST_SECONDS:.0f} s")
        try:
            found = json.loads(_head(self._pages / "result.json", MAX_RESULT_BYTES))
            proven = tuple(str(found["rulesets"][name]) for name in NAMES)
            red = [str(case["id"]) for case in found["cases"] if case["green"] is not True]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return self._none(self._last_words() or f"a result of the runner, which ended with {status}")
        if proven != self.job.digests:
            return self._none("a result upon these rules")
        return self._judged(status, red)

    def _judged(self, status: int, red: list[str]) -> Verdict:
        """Green is only what the runner's end, its result and every case agree upon."""
        page = str(self._pages)
        if status == GREEN and not red:
            return Verdict(self.job.revision, self.job.digests, "green", 0, (), page)
        if status == RED and red:
            cases = tuple(name if _CASE.fullmatch(name) else "unnamed" for name in red[:MAX_CASES])
            return Verdict(self.job.revision, self.job.digests, "red", len(red), cases, page)
        return self._none(self._last_words() or f"agreement: it ended with {status}, {len(red)} cases are red")

    def end(self) -> None:
        """Kill the runner and whatever it started: the first process of its namespace goes, and the kernel ends the rest."""
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()

    def _none(self, what: str) -> Verdict:
        return none(self.job, what)

    def _last_words(self) -> str:
        try:
            lines = _tail(self._said, MAX_WORDS_BYTES).decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1].strip() if lines else ""


def none(job: Job, what: str) -> Verdict:
    """Return that the rules of a job could not be proven; ``what`` is what was missing."""
    said = "".join(sign if sign.isprintable() else " " for sign in what)[:MAX_WHAT]
    return Verdict(job.revision, job.digests, "none", 0, (), said)


def confined(words: Sequence[str]) -> list[str]:
    """Return the command that runs ``words`` as the root of namespaces of its own, who is nobody outside of them.

    It dies with us, and with it every process that it started.
    """
    return [
        "setpriv", "--pdeathsig", "KILL", "--", "prlimit", f"--as={MAX_MEMORY_BYTES}", "--core=0", "--",
        "unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--",
        "sh", "-c", _PREPARE, "sh", *words,
    ]  # fmt: skip


def whole(job: Job) -> bool:
    """Whether a job's digests are those of its texts."""
    found = tuple(hashlib.sha256(text.encode("utf-8")).hexdigest() for text in job.texts)
    return len(job.texts) == len(NAMES) and found == job.digests


def _write(folder: Path, job: Job) -> None:
    texts = folder / "texts"
    texts.mkdir(mode=0o700)
    (folder / "site.json").write_text(job.site_text, encoding="utf-8")
    for name, text in zip(NAMES, job.texts, strict=True):
        (texts / f"{name}.nft").write_text(text, encoding="utf-8")


def _head(path: Path, most: int) -> Any:
    with path.open("rb") as file:
        return file.read(most)


def _tail(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - most))
        return file.read(most)
