"""The probe's echo: 16 octets come back to where they came from, and nothing else is ever answered.

By it a box measures the way to the city and chooses its tunnel. What is echoed is never longer than what came, and each
source has its ration, so that nobody makes anything louder with it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field

PORT = 9751
OCTETS = 16
#: Probes a second of one source, and how many it may save up; a box sends one or two a second.
RATE, BURST = 10.0, 30.0
MAX_SOURCES = 1 << 16


@dataclass(slots=True)
class Rations:
    """What each source may still have; of too many sources the one that was quiet longest is forgotten."""

    left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, source: str, now: float) -> bool:
        """Whether a datagram of ``source`` is answered at ``now`` (monotonic seconds)."""
        had, at = self.left.pop(source, (BURST, now))
        have = min(BURST, had + (now - at) * RATE)
        if len(self.left) >= MAX_SOURCES:
            del self.left[next(iter(self.left))]
        self.left[source] = (have - 1.0 if have >= 1.0 else have, now)
        return have >= 1.0


class Echo:
    """A socket on the concentrator's inner address, and the thread that answers."""

    def __init__(self, address: str) -> None:
        """Listen at ``address``.

        Raises:
            OSError: it is not ours, or somebody listens there.
        """
        self.answered = self.refused = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((address, PORT))
        except OSError:
            self._socket.close()
            raise
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        rations = Rations()
        while True:
            try:
                data, source = self._socket.recvfrom(OCTETS + 1)
            except ConnectionError:
                continue
            except OSError:
                return
            if len(data) != OCTETS or not rations.take(source[0], time.monotonic()):
                self.refused += 1
                continue
            with contextlib.suppress(OSError):
                self._socket.sendto(data, source)
                self.answered += 1
