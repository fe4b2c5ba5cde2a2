"""The director's ends of the site processes."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.lab import private
from edge.lab.cityscape.internet import Place, plug
from edge.lab.topology import LabBroken


class Site:
    """One site process, in namespaces of its own within the director's."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self._log = place, folder / f"site-{place.number}.log"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def open(self, plugged: Callable[[], None]) -> None:
        """Start the process, lay its cable (then ``plugged``), build its street, and start its box."""
        words = [sys.executable, "-m", "edge.lab.cityscape.site", str(self.place.number), str(self._folder.resolve())]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                private.command(words), env=private.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, start_new_session=True,
            )  # fmt: skip
        self.order("ready", within=60)
        plug(self.place, self._process.pid)
        plugged()
        self.order("build", within=60)
        self.order("start", within=240)

    @property
    def link(self) -> str:
        """The far end of its uplink, at the Internet."""
        return f"site-{self.place.number}"

    def order(self, word: str, within: float = 30.0, **besides: Any) -> Any:
        """Give an order and return what it answers.

        Raises:
            LabBroken: it was refused, or the process ended.
            TimeoutError: no answer came.
        """
        process = self._process
        assert process is not None  # opened
        assert process.stdin is not None
        process.stdin.write(json.dumps({"order": word, **besides}).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(self._line(word, time.monotonic() + within))
        if "refused" in answer:
            raise LabBroken(f"site {self.place.number}, {word}: {answer['refused']}")
        return answer["done"]

    def _line(self, word: str, until: float) -> bytes:
        assert self._process is not None  # opened
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not ready.select(max(0.0, until - time.monotonic())):
                    raise TimeoutError(f"site {self.place.number} does not answer: {word}")
                chunk = os.read(self._process.stdout.fileno(), 65536)
                if not chunk:
                    raise LabBroken(f"site {self.place.number} ended; its words are in {self._log}")
                self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def said(self, program: str) -> dict[str, Any]:
        """Return what a program of the box says of itself."""
        found: dict[str, Any] = self.order("said", program=program)
        return found

    def used(self) -> str:
        """Return the tunnel that the box uses, once it is registered by it; "" while it is not."""
        said = self.said("cityside")
        return str(said.get("tunnel", {}).get("used", "")) if said.get("registered") else ""

    def close(self) -> None:
        """End the site: with its first process the kernel ends all others."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
