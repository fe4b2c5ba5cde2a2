"""A program's word to whoever supervises it, in systemd's own protocol (sd_notify(3)): ready, and still turning.

systemd hears it from the programs that it starts, and from each supervisord's watchdog; the watchdog hears it from
supervisord's programs. So a program beats in one way wherever it runs, and one that hangs is killed by either.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time

#: How long a program may be silent unless it says otherwise. Shorter, and a disk that stalls for some seconds kills
#: what it holds up; longer, and a hung side is missed: a pin of the gate lives for 30 s without the keeper.
SILENCE_SECONDS = 10.0
#: How often a program says that it still turns.
BEAT_SECONDS = 2.0


class Supervisor:
    """The line to the supervisor, opened at the start (the ferry can open nothing later); without one, every word is lost."""

    def __init__(self, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._due = 0.0
        self._silence = f"WATCHDOG_USEC={int(silence_seconds * 1_000_000)}"
        self._path = os.environ.pop("NOTIFY_SOCKET", "")
        self._line: socket.socket | None = None
        if self._path:
            self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._line.setblocking(False)
            self._dial()

    def _dial(self) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.connect("\0" + self._path[1:] if self._path[:1] == "@" else self._path)
                self._line.send(self._silence.encode("ascii"))

    def ready(self) -> None:
        """What stood before stands again; others may begin."""
        self._say("READY=1")

    def beat(self) -> None:
        """Say that the program still turns; call it in every turn of its loop."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + BEAT_SECONDS
            self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        if self._line is None:
            return
        try:
            self._line.send(text.encode("ascii"))
        except BlockingIOError:
            return  # it is busy, and hears the next one
        except OSError:
            self._dial()  # a watchdog that was started again listens anew, and has heard nothing yet
            with contextlib.suppress(OSError):
                self._line.send(text.encode("ascii"))
