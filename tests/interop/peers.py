"""Foreign programs: started in a host of the street, bounded in time, judged by what they say themselves."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from edge.lab import topology
from edge.lab.street import eventually

HERE = Path(__file__).parent
#: A peer that is not through by then is stuck.
SECONDS = 60
_ETHERNET, _LINK = bytes(12) + b"\x08\x00", 1


def need(program: str, package: str) -> None:
    """Skip by name where a peer is not installed."""
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        pytest.skip(f"lab_no_program: {program} (Debian: {package})")


class Peer:
    """One foreign program and its log; ``host`` is its namespace, "" for ours."""

    def __init__(self, log: Path, host: str, command: Sequence[str | bytes], stdin: int = subprocess.DEVNULL) -> None:
        self.log = log
        words = [*topology.inside(host), *command] if host else list(command)
        with log.open("ab") as out:
            # A session of its own: some peers have children, and all are to end with it.
            self._process = subprocess.Popen(
                words, stdin=stdin, stdout=out, stderr=out, cwd=log.parent, start_new_session=True,
                env={**os.environ, "TERM": "dumb"},
            )  # fmt: skip

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def status(self) -> int:
        """Return how it ended.

        Raises:
            TimeoutExpired: it did not, in the time that it may take.
        """
        return self._process.wait(SECONDS + 10)

    def runs(self) -> bool:
        return self._process.poll() is None

    def ask_to_end(self) -> None:
        """SIGTERM: it says good-bye first."""
        self._process.terminate()

    def end(self) -> None:
        """kill -9 it and what it started; when this returns, their ports are free."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        eventually(lambda: not _lives(self._process.pid), 10, f"the end of {self.log.name}")


AnyPeer = TypeVar("AnyPeer", bound=Peer)


class Sipp(Peer):
    """sipp with scenarios of this folder; ``seen`` is its own trace of messages, ``wrong`` of what it did not expect."""

    def __init__(
        self, folder: Path, host: str, address: str, transport: str, scenario: str, keys: dict[str, str | bytes],
        *more: str,
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        given = [word for name, value in keys.items() for word in ("-key", name, value)]
        command: list[str | bytes] = [
            "sipp", "-sf", str(HERE / scenario), "-i", address, "-p", "5060", "-nostdin",
            "-t", "t1" if transport == "tcp" else "u1",
            "-timeout", f"{SECONDS}s", "-timeout_error", "-trace_msg", "-message_file", str(folder / "messages"),
            "-trace_err", "-error_file", str(folder / "errors"), *given, *more,
        ]  # fmt: skip
        super().__init__(folder / "screen", host, command)

    def seen(self) -> str:
        return self._read("messages")

    def wrong(self) -> str:
        return self._read("errors")

    def _read(self, name: str) -> str:
        path = self._folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _lives(group: int) -> bool:
    """Whether a process group has a member that is no corpse; nobody here fetches the corpses of orphans."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _parent, its_group, *_rest = path.read_text(encoding="ascii").rpartition(")")[2].split()
            if int(its_group) == group and state != "Z":
                return True
    return False


@contextlib.contextmanager
def running(peer: AnyPeer) -> Iterator[AnyPeer]:
    """End a peer with the block, whatever it does."""
    try:
        yield peer
    finally:
        peer.end()


def write_pcap(path: Path, payloads: Sequence[bytes], apart_seconds: float) -> None:
    """Write UDP payloads as a capture that sipp replays at their pace (libpcap's file format, version 2.4)."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, _LINK)]
    for number, payload in enumerate(payloads):
        udp = struct.pack("!HHHH", 15060, 15060, 8 + len(payload), 0) + payload
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, bytes(4), bytes(4))
        frame = _ETHERNET + header + udp
        at = number * apart_seconds
        out.append(struct.pack("<IIII", int(at), int(at % 1 * 1_000_000), len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(out))


def baresip(folder: Path, host: str, address: str, account: str, *more: str) -> Peer:
    """Start baresip with one account and more lines of configuration; its log has every message that it sees (-s)."""
    need("baresip", "baresip-core")
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["module_path /usr/lib/baresip/modules", f"sip_listen {address}:5060", "module g711.so", *more]
    lines += ["module_app account.so", "module_app menu.so", ""]
    for name, text in (("config", "\n".join(lines)), ("accounts", f"{account}\n"), ("contacts", "")):
        (folder / name).write_text(text, encoding="ascii")
    # Into a file it would write by the block, and be judged before it has spoken.
    return Peer(folder / "log", host, ["stdbuf", "-oL", "baresip", "-s", "-v", "-f", str(folder)])


def asked(*command: str) -> str:
    """Return what a peer's own tool says, "" while there is nobody to ask."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout
