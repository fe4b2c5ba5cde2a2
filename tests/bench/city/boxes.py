"""The boxes: who report for a fleet, in processes of their own, each over TLS of its own with its own certificate.

A *plan* is a list of (due, box, receipts): when a box dials, in seconds from the start (0: as soon as the one before has its
answer), and how far its receipts have come. *resumed*, as the product's agent does: each report is a connection of its own that goes on with the session of the box's last
one, HTTP/1.0. *whole*: with a whole handshake each, as a box's first. *kept*: one connection that stays, which no agent does.
What failed is tried again when ``edge.agent.pace`` says so.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import queue
import random
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge.agent import pace
from tests.bench.city import fleet
from tests.bench.city.host import ADDRESS, Host

#: How the product's agent dials, as it stands in what the figures say.
AGENT = "each report by a connection of its own that resumes the last one's TLS 1.3 session (whole handshake at first), HTTP/1.0"
DEADLINE_SECONDS = 10.0
Dial = tuple[float, int, int]
Mode = Literal["resumed", "whole", "kept"]


@dataclass(slots=True)
class Heard:
    """What came of a plan. ``latencies``: seconds from when a report was due to its whole answer."""

    latencies: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    failed: int = 0
    lost: int = 0
    resumed: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    #: CPU seconds of the city's processes meanwhile.
    cost: dict[str, float] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        return len(self.latencies)

    def told(self) -> dict[str, Any]:
        """Return the figures of it."""
        ordered = sorted(self.latencies) or [0.0]
        return {
            "answered": self.answered, "seconds": round(self.seconds, 2),
            "per_second": round(self.answered / self.seconds, 1) if self.seconds else 0.0,
            "p50_ms": round(1000 * ordered[len(ordered) // 2], 1),
            "p99_ms": round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 1),
            "worst_ms": round(1000 * ordered[-1], 1), "tries_failed": self.failed, "lost": self.lost, "resumed": self.resumed,
            "statuses_not_200": {k: v for k, v in self.statuses.items() if k != "200"},
            "generator_cpu_ms_each": round(1000 * self.cpu_seconds / max(1, self.answered), 2),
            **{f"{name}_cpu_ms_each": round(1000 * spent / max(1, self.answered), 3) for name, spent in self.cost.items()},
        }  # fmt: skip


def run(
    host: Host,
    plans: Sequence[Sequence[Dial]],
    threads: int,
    *,
    mode: Mode = "resumed",
    retry: bool = False,
    seconds: float = 0.0,
    greet: bool = False,
) -> Heard:
    """Carry out plans, a process each, all from the same moment; return what came of all together.

    ``seconds``: begin the plan again for so long, as soon as it is done. ``greet``: every box has been heard once before, so
    that it has a session to go on with.
    """
    job = {
        "port": host.port, "boxes": str(host.boxes), "ca": host.ca, "threads": threads, "mode": mode, "retry": retry,
        "seconds": seconds, "greet": greet,
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.city.boxes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in plans
    ]
    lines = []
    try:
        for process, plan in zip(processes, plans, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps(job | {"plan": plan}).encode() + b"\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError("the boxes are not ready")
        before = host.cpu()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None
            lines.append(json.loads(process.stdout.readline()))
        after = host.cpu()
    finally:
        for process in processes:
            process.terminate()
            process.wait(20)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
    whole = Heard(cost={name: after[name] - before[name] for name in after})
    for line in lines:
        whole.latencies += line["latencies"]
        whole.late += line["late"]
        whole.failed, whole.lost = whole.failed + line["failed"], whole.lost + line["lost"]
        whole.cpu_seconds += line["cpu_seconds"]
        whole.resumed += line["resumed"]
        whole.seconds = max(whole.seconds, line["seconds"])
        for status, count in line["statuses"].items():
            whole.statuses[status] = whole.statuses.get(status, 0) + count
    return whole


class Street:
    """One process's boxes."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._port, self._retry = job["port"], job["retry"]
        self._mode: Mode = job["mode"]
        self._sessions: dict[int, ssl.SSLSession] = {}
        self._seconds: float = job["seconds"]
        self._said, folder = fleet.said(), Path(job["boxes"])
        numbers = {number for _, number, _ in job["plan"]}
        self._boxes = {number: fleet.Box.kept(folder, number) for number in numbers}
        self._contexts = {number: box.context(job["ca"]) for number, box in self._boxes.items()}
        first = -2.0 if self._seconds else 0.0
        self._due: list[Dial] = [(due or first, number, receipts) for due, number, receipts in job["plan"]]
        # What is measured is the server: reports that are known are signed before it begins.
        self._reports = {
            (number, receipts): self._boxes[number].report(self._said, receipts) for _, number, receipts in self._due
        }
        heapq.heapify(self._due)
        self._first: dict[tuple[int, int], float] = {}
        self._more = threading.Condition()
        self._busy = 0
        self._threads = job["threads"]
        self._greet = job["greet"]
        self.heard = Heard()

    def run(self) -> None:
        """Carry the plan out."""
        before = _cpu()
        self._began = time.monotonic()
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.heard.seconds = time.monotonic() - self._began
        self.heard.cpu_seconds = _cpu() - before

    def greet(self) -> None:
        """If asked for, have every box heard once before it begins, a whole handshake each: what is measured is the minutes that follow."""
        if not self._greet:
            return
        numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in self._boxes:
            numbers.put(number)
        said = {number: box.report(self._said, 1) for number, box in self._boxes.items()}

        def greet() -> None:
            with contextlib.suppress(queue.Empty):
                while True:
                    number = numbers.get_nowait()
                    with contextlib.suppress(OSError, ValueError):
                        self._post(number, said[number].encode("ascii"))

        threads = [threading.Thread(target=greet, daemon=True) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.heard.resumed = 0

    def _work(self) -> None:
        lines: dict[int, ssl.SSLSocket] = {}
        while (dial := self._next()) is not None:
            due, number, receipts = dial
            began = time.monotonic()
            try:
                status = self._dial(number, receipts, lines)
            except (OSError, ValueError):
                status = 0
            self._done(dial, began, time.monotonic(), status)
        for line in lines.values():
            line.close()

    def _next(self) -> Dial | None:
        with self._more:
            while True:
                if self._seconds and time.monotonic() - self._began > self._seconds:
                    self._due.clear()
                if not self._due:
                    if not self._busy:
                        self._more.notify_all()
                        return None
                    self._more.wait(1.0)
                    continue
                wait = self._began + self._due[0][0] - time.monotonic()
                if wait <= 0:
                    self._busy += 1
                    return heapq.heappop(self._due)
                self._more.wait(min(wait, 1.0))

    def _done(self, dial: Dial, began: float, now: float, status: int) -> None:
        due, number, receipts = dial
        with self._more:
            self._busy -= 1
            self.heard.statuses[str(status)] = self.heard.statuses.get(str(status), 0) + 1
            first = self._first.pop((number, receipts), self._began + due if due > 0 else began)
            if status == 200:
                self.heard.latencies.append(now - first)
                self.heard.late.append(began - first)
                if now - self._began < self._seconds:
                    # Behind all that wait: a plan that begins again goes on with the box whose turn was longest ago.
                    heapq.heappush(self._due, (-1.0 / (1 + self.heard.answered), number, receipts))
            else:
                self.heard.failed += 1
                if self._retry:
                    self._first[number, receipts] = first
                    again = now - self._began + pace.seconds(60, heard=False, chance=random.random)
                    heapq.heappush(self._due, (again, number, receipts))
                else:
                    self.heard.lost += 1
            self._more.notify()

    def _dial(self, number: int, receipts: int, lines: dict[int, ssl.SSLSocket]) -> int:
        body = self._reports[number, receipts].encode("ascii")
        if self._mode == "kept":
            line = lines.get(number) or lines.setdefault(number, self._connect(number))
            line.sendall(_head("HTTP/1.1", self._port, body) + body)
            return _answer(line, kept=True)
        return self._post(number, body)

    def _post(self, number: int, body: bytes) -> int:
        """Report as the agent does: a connection for it alone."""
        with self._connect(number) as line:
            line.sendall(_head("HTTP/1.0", self._port, body) + body)
            status = _answer(line, kept=False)
            if self._mode == "resumed" and line.session is not None:
                self._sessions[number] = line.session
            with self._more:
                self.heard.resumed += line.session_reused
            return status

    def _connect(self, number: int) -> ssl.SSLSocket:
        plain = socket.create_connection((ADDRESS, self._port), DEADLINE_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            # Each is good for once (``edge.io.https.Resumption``).
            session = self._sessions.pop(number, None)
            return self._contexts[number].wrap_socket(plain, server_hostname=ADDRESS, session=session)
        except BaseException:
            plain.close()
            raise


def _head(version: str, port: int, body: bytes) -> bytes:
    fields = f"POST /v1/report {version}\r\nHost: {ADDRESS}:{port}\r\n"
    return f"{fields}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode("ascii")


def _answer(line: ssl.SSLSocket, *, kept: bool) -> int:
    """Read one whole answer and return its status; its body must be an object, as the agent wants it."""
    data = b""
    while True:
        piece = line.recv(1 << 14)
        data += piece
        head, gap, body = data.partition(b"\r\n\r\n")
        if not piece or (kept and gap and len(body) >= _length(head)):
            break
    if not gap or len(body) != _length(head) or not body.startswith(b"{"):
        raise ValueError("no whole answer")
    return int(head.split(b" ", 2)[1])


def _length(head: bytes) -> int:
    for field_ in head.split(b"\r\n")[1:]:
        name, _, value = field_.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Be a process of boxes: a job on standard input, "ready", "go", and what came of it on standard output."""
    street = Street(json.loads(sys.stdin.readline()))
    street.greet()
    print("ready", flush=True)
    sys.stdin.readline()
    street.run()
    heard = street.heard
    print(json.dumps({
        "latencies": [round(one, 5) for one in heard.latencies], "late": [round(one, 5) for one in heard.late],
        "failed": heard.failed, "lost": heard.lost, "statuses": heard.statuses, "seconds": heard.seconds,
        "resumed": heard.resumed, "cpu_seconds": heard.cpu_seconds,
    }), flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
