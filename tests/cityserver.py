"""``snowgate city`` as its own processes: made, served, and asked by its command, in whatever namespace."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

START_SECONDS = 110.0


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``snowgate city`` with the city of ``folder``."""
    return subprocess.run(_command(folder, *arguments), capture_output=True, text=True, timeout=120, check=False)


@contextlib.contextmanager
def serving(folder: Path, answers: Callable[[], bool], prefix: Sequence[str] = ()) -> Iterator[None]:
    """Have ``snowgate city serve`` run, its signing process with it, from when it ``answers``."""
    process = subprocess.Popen([*prefix, *_command(folder, "serve")])
    try:
        until = time.monotonic() + START_SECONDS
        while not answers():
            assert process.poll() is None, "it ended"
            assert time.monotonic() < until
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "edge.cli", "city", "--folder", str(folder), *arguments]
