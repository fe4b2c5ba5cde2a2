"""Lines for people and programs, on standard error: what repeats within a minute is written once and then counted."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from typing import TextIO

from netconf import words
from netconf.finding import Finding

AGAIN_SECONDS = 60.0
MAX_KINDS = 512
_ABOUT_CHARACTERS = 200


class Log:
    """JSON lines as the box's programs write them: at, program, text, code, about, untold."""

    def __init__(self, program: str, out: TextIO | None = None) -> None:
        self._program = program
        self._out = out or sys.stderr
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def say(self, code: str, about: str = "", **facts: str | int) -> None:
        """Write the sentence of ``code`` about ``about``, unless it was written less than a minute ago."""
        now, kind = time.monotonic(), (code, about[:_ABOUT_CHARACTERS])
        at, untold = self._seen.get(kind, (-AGAIN_SECONDS, 0))
        if now - at < AGAIN_SECONDS:
            self._seen[kind] = (at, untold + 1)
            return
        self._seen.pop(kind, None)
        if len(self._seen) >= MAX_KINDS:
            del self._seen[next(iter(self._seen))]
        self._seen[kind] = (now, 0)
        line = {
            "at": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            "program": self._program,
            "text": words.sentence(Finding(code, args=tuple((name, str(fact)) for name, fact in facts.items()))),
            "code": code,
        } | ({"about": kind[1]} if kind[1] else {}) | ({"untold": untold} if untold else {})  # fmt: skip
        print(json.dumps(line, ensure_ascii=False), file=self._out, flush=True)
