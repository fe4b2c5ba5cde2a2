"""A daemon's log: one JSON object a line, with the sentence the owner reads and the code it comes from.

A thing that repeats is written at once and then at most once a minute with its count, so that a flood of bad packets
fills neither the disk nor the eye.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from typing import TextIO

from netconf import words

AGAIN_SECONDS = 60.0
#: Kinds of lines told apart; beyond it the oldest is forgotten and may be written again early.
MAX_KINDS = 512
_ABOUT_CHARACTERS = 120


class Log:
    """Lines of ``program`` to ``out`` (standard error unless told)."""

    def __init__(self, program: str, out: TextIO | None = None) -> None:
        self._program = program
        self._out = out or sys.stderr
        time.localtime()  # reads the zone now: the ferry can open no file later
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def say(self, code: str, about: str = "") -> None:
        """Write the sentence of ``code`` about ``about``, unless it was written less than a minute ago."""
        now, kind = time.monotonic(), (code, about[:_ABOUT_CHARACTERS])
        last, untold = self._seen.get(kind, (0.0, 0))
        if last and now - last < AGAIN_SECONDS:
            self._seen[kind] = (last, untold + 1)
            return
        self._seen.pop(kind, None)
        if len(self._seen) >= MAX_KINDS:
            self._seen.pop(next(iter(self._seen)))
        self._seen[kind] = (now, 0)
        line: dict[str, str | int] = {
            "at": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            "program": self._program,
            "text": words.reason(code, "en"),
            "code": code,
        }
        if kind[1]:
            line["about"] = kind[1]
        if untold:
            line["untold"] = untold
        print(json.dumps(line, ensure_ascii=False), file=self._out, flush=True)
