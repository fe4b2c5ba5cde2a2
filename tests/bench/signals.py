"""SIP MESSAGEs at a steady rate on loopback: a generator, and a sink that answers each with 200. Processes of their own."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edge.manscdp.messages import Message, encode
from edge.sip.address import Address
from tests.bench import traffic
from tests.registered import BOX_ID, CITY_ID, DOMAIN

GENERATOR, SINK = Address("127.0.0.10", 5060), Address("127.0.0.20", 5060)
#: At most so many at once: whoever was kept from running for a while does not make up for it in one burst.
MOST_AT_ONCE = 32
BUFFER_BYTES = 8 << 20
_SO_RCVBUFFORCE = 33
_SN = re.compile(rb"<SN>([0-9]+)</SN>")
_COPIED = (b"via:", b"from", b"to: ", b"call", b"cseq")


def messages(bodies: list[Message], to: Address) -> list[bytes]:
    """Return the MESSAGEs of a registered recorder that carry ``bodies``."""
    return [_message(at, encode(body), to) for at, body in enumerate(bodies)]


def _message(at: int, body: bytes, to: Address) -> bytes:
    unique = os.urandom(8).hex()
    return (
        f"MESSAGE sip:{CITY_ID}@{to} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {GENERATOR};rport;branch=z9hG4bK{unique}\r\n"
        f"From: <sip:{BOX_ID}@{DOMAIN}>;tag={unique[:8]}\r\nTo: <sip:{CITY_ID}@{DOMAIN}>\r\n"
        f"Call-ID: {unique}@{GENERATOR.host}\r\nCSeq: {at + 1} MESSAGE\r\nContent-Type: Application/MANSCDP+xml\r\n"
        f"Max-Forwards: 70\r\nUser-Agent: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


@dataclass(frozen=True, slots=True)
class Sent:
    """What the generator did: processor time is its own, in seconds."""

    sent: int
    answered: int
    seconds: float
    cpu_seconds: float


def send(ready: list[bytes], to: Address, rate: int, settle_seconds: float) -> Sent:
    """Send ``ready`` from a process of its own, ``rate`` a second, and count the 200s until a while after the last."""
    read, write = os.pipe()

    def work() -> None:
        os.write(write, json.dumps(_generate(ready, to, rate, settle_seconds)).encode())

    pid = traffic.child(work, traffic.OTHERS)
    os.close(write)
    with open(read, "rb") as told:
        facts = json.loads(told.read())
    os.waitpid(pid, 0)
    return Sent(**facts)


def _generate(ready: list[bytes], to: Address, rate: int, settle_seconds: float) -> dict[str, Any]:
    opened = bound(GENERATOR)
    target = (to.host, to.port)
    began, cpu, sent, answered, ended = time.monotonic(), time.process_time(), 0, 0, 0.0
    while not ended or time.monotonic() < ended + settle_seconds:
        due = min(len(ready), int((time.monotonic() - began) * rate), sent + MOST_AT_ONCE)
        for data in ready[sent:due]:
            opened.sendto(data, target)
        sent = max(sent, due)
        try:
            while True:
                answered += opened.recv(4096).startswith(b"SIP/2.0 200")
        except BlockingIOError:
            time.sleep(0.001)
        if sent == len(ready) and not ended:
            ended = time.monotonic()
    return {"sent": sent, "answered": answered, "seconds": ended - began, "cpu_seconds": time.process_time() - cpu}


@dataclass(frozen=True, slots=True)
class Sink:
    """Where all messages end."""

    pid: int
    tally: socket.socket

    def count(self) -> tuple[int, int]:
        """Return how many different messages came since the last count, and how many in all."""
        self.tally.send(b"?")
        different, total = json.loads(self.tally.recv(100))
        return int(different), int(total)


@contextmanager
def sink() -> Iterator[Sink]:
    """Open a sink in a process of its own."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    opened = bound(SINK)
    pid = traffic.child(lambda: _answer_all(opened, theirs), traffic.OTHERS)
    theirs.close()
    opened.close()
    try:
        yield Sink(pid, ours)
    finally:
        traffic.stop(pid)
        ours.close()


def _answer_all(opened: socket.socket, tally: socket.socket) -> None:
    opened.settimeout(0.1)
    tally.setblocking(False)
    seen: set[bytes] = set()
    total = 0
    while True:
        try:
            data, source = opened.recvfrom(65536)
        except TimeoutError:
            try:
                tally.recv(1)
            except BlockingIOError:
                continue
            tally.send(json.dumps([len(seen), total]).encode())
            seen, total = set(), 0
            continue
        found = _SN.search(data)
        if found is not None:
            total += 1
            seen.add(found[1])
            opened.sendto(_ok(data), source)


def _ok(request: bytes) -> bytes:
    """Return the 200 to a request, by octets alone."""
    lines = [line for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:] if line[:4].lower() in _COPIED]
    kept = [line + b";tag=sink" if line[:3].lower() == b"to:" else line for line in lines]
    return b"\r\n".join([b"SIP/2.0 200 OK", *kept, b"Content-Length: 0\r\n\r\n"])


def bound(at: Address) -> socket.socket:
    """Return a socket at an address, with a buffer for what comes while its process waits for the processor."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
    except PermissionError:  # then it is as large as it may be
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    opened.bind((at.host, at.port))
    opened.setblocking(False)
    return opened
