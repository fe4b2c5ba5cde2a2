"""Scratch namespaces: a thread each, for a namespace belongs to a thread, and what it starts is in it too."""

from __future__ import annotations

import ctypes
import os
import queue
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

_CLONE_NEWNET = 0x40000000
_SECONDS = 20
_T = TypeVar("_T")


class NoScratch(RuntimeError):
    """A namespace, or something in it, could not be made; the message says what."""


class Scratch:
    """One network namespace with its own thread, which does what it is told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: queue.Queue[tuple[Callable[[], Any], queue.Queue[Any]] | None] = queue.Queue()
        self.thread = 0
        self._failed = ""
        ready = threading.Event()
        threading.Thread(target=self._live, args=(ready,), daemon=True, name=f"room-{name}").start()
        ready.wait(_SECONDS)
        if self._failed or not self.thread:
            raise NoScratch(self._failed or f"the namespace {name}")
        self.run("ip", "link", "set", "lo", "up")

    def _live(self, ready: threading.Event) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        if library.unshare(_CLONE_NEWNET):
            self._failed = f"the namespace {self.name}: {os.strerror(ctypes.get_errno())}"
        self.thread = threading.get_native_id()
        ready.set()
        while (task := self._tasks.get()) is not None:
            work, answer = task
            try:
                answer.put((work(), None))
            except BaseException as failed:  # noqa: BLE001 - raised where it was asked
                answer.put((None, failed))

    def do(self, work: Callable[..., _T], *given: object) -> _T:
        """Do it inside, and return or raise what it does."""
        answer: queue.Queue[Any] = queue.Queue()
        self._tasks.put((lambda: work(*given), answer))
        done, failed = answer.get(timeout=60)
        if failed is not None:
            raise failed
        result: _T = done
        return result

    def run(self, *command: str) -> None:
        """Run a command inside.

        Raises:
            NoScratch: it fails.
        """
        done = self.do(
            lambda: subprocess.run(list(command), capture_output=True, text=True, timeout=_SECONDS, check=False)
        )
        if done.returncode:
            raise NoScratch(f"{' '.join(command)}: {done.stderr.strip()[:200]}")

    def set(self, key: str, value: str) -> None:
        """Set one of the namespace's own kernel settings."""
        self.do(lambda: Path("/proc/sys/net", key).write_text(value, encoding="ascii"))

    def close(self) -> None:
        self._tasks.put(None)


def cable(inside: Scratch, port: str, outside: Scratch, far: str, mac: str = "") -> None:
    """Join two namespaces by a cable; ``port`` is its end inside, as the rules name it."""
    outside.run("ip", "link", "add", far, "type", "veth", "peer", "name", "scratch-end")
    outside.run("ip", "link", "set", "scratch-end", "netns", str(inside.thread))
    inside.run("ip", "link", "set", "scratch-end", "name", port)
    if mac:
        inside.run("ip", "link", "set", port, "address", mac)
    outside.run("ip", "link", "set", far, "promisc", "on", "up")
    inside.run("ip", "link", "set", port, "up")
