"""The registry's processes with the users, in the folders and with the commands that its units name: each has its own, and beats.

systemd's own tools make users and folders in a root of the test's; what else of a unit's sandbox is systemd's is not had.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.lab import private
from edge.lab.units import FOLDER

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
CHECKOUT = FOLDER.parent
UNITS = ("signer", "registry", "schedule")
PORT = 18443


@dataclass
class Machine:
    """A root with the registry's users and folders."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "var/lib/snowgate-city"

    def command(self, user: str, *words: str) -> list[str]:
        """Return ``words`` as ``user`` of this machine, without a right that he has not by his name."""
        mounts = "; ".join(f"mount --bind {self.root}/etc/{name} /etc/{name}" for name in ("passwd", "group"))
        rights = f"--reuid={user} --regid={user} --init-groups" if user != "root" else ""
        bare = "--bounding-set=-all --inh-caps=-all --no-new-privs" if user != "root" else ""
        start = f"{mounts}; cd {CHECKOUT}; umask {'007' if user != 'root' else '022'}; exec setpriv {rights} {bare} -- "
        return ["unshare", "--mount", "sh", "-ec", start + shlex.join(words)]

    def systemd(self, tool: str, *words: str) -> None:
        file = FOLDER / f"{tool}.d/snowgate-registry.conf"
        subprocess.run([f"systemd-{tool}", f"--root={self.root}", *words, str(file)], check=True, timeout=60)

    def run(self, user: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(user, *words), capture_output=True, text=True, timeout=120, check=False)

    def city(self, *words: str, who: str = "system") -> str:
        """What root, at this machine, is printed."""
        given = ("--folder", str(self.folder), "--as", who)
        done = self.run("root", sys.executable, "-m", "city.cli", *given, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with furnished() as made:
        yield made


@contextlib.contextmanager
def furnished() -> Iterator[Machine]:
    """Make a machine as ``make install-city`` does."""
    if not private.is_inside() or Path("/proc/self/uid_map").read_text(encoding="ascii").split()[-1] == "1":
        pytest.skip("a machine has several users: as root")
    if shutil.which("systemd-sysusers") is None or shutil.which("systemd-tmpfiles") is None:
        pytest.skip("systemd is not installed")
    with tempfile.TemporaryDirectory(prefix="snowgate-registry-") as made:
        root = Path(made)
        root.chmod(0o755)
        (root / "etc").mkdir()
        for name in ("passwd", "group"):
            shutil.copy(Path("/etc", name), root / "etc" / name)
        made_here = Machine(root)
        made_here.systemd("sysusers")
        made_here.systemd("tmpfiles", "--create")
        yield made_here


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    heard: socket.socket

    def hears(self, word: bytes) -> None:
        """Wait for a word of sd_notify."""
        until = time.monotonic() + 120
        while (said := self.heard.recv(100)) != word:
            assert self.process.poll() is None, "it ended"
            assert time.monotonic() < until, said


@contextlib.contextmanager
def started(machine: Machine, name: str) -> Iterator[Running]:
    """Have a unit's command run as its user, and hear its beats."""
    text = (FOLDER / f"registry/snowgate-{name}.service").read_text(encoding="utf-8")
    said = {key: re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)[-1] for key in ("ExecStart", "User")}
    _, m, module, *words = shlex.split(said["ExecStart"])
    at = machine.root / f"notify-{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(at))
        at.chmod(0o666)
        heard.settimeout(120)
        command = ["env", f"NOTIFY_SOCKET={at}", sys.executable, m, module, "--folder", str(machine.folder), *words]
        process = subprocess.Popen(machine.command(said["User"], *command))
        try:
            running = Running(process, heard)
            running.hears(b"READY=1")
            yield running
        finally:
            process.terminate()
            process.wait(60)


def test_each_process_is_its_own_user_and_the_keys_are_the_signers_alone(machine: Machine) -> None:
    machine.city("init", "--name", "测试市", "--address", "127.0.0.1", "--port", str(PORT), "--listen", "127.0.0.1")
    with contextlib.ExitStack() as stack:
        for running in [stack.enter_context(started(machine, name)) for name in UNITS]:
            running.hears(b"WATCHDOG=1")
        trusted = ssl.create_default_context(cafile=str(machine.folder / "signing/ca.pem"))
        with urllib.request.urlopen(f"https://127.0.0.1:{PORT}/v1/ca", context=trusted, timeout=30) as answer:
            assert answer.read() == (machine.folder / "signing/ca.pem").read_bytes()
        # Root writes beside them, and what it made is still theirs.
        machine.city("person", "add", "li", "operator", "--scope", "340202", who="security")
        assert "audit_whole" in machine.city("audit", "verify", who="audit")
        for user in ("snowgate-registry", "snowgate-schedule"):
            touched = machine.run(
                user, "sh", "-c", f"cd {machine.folder}/data; for f in city.sqlite city.sqlite-*; do : >> $f; done"
            )
            assert touched.returncode == 0, touched.stderr
            assert machine.run(user, "cat", f"{machine.folder}/city.toml").returncode == 0
            assert "Permission denied" in machine.run(user, "cat", f"{machine.folder}/signing/ca.key").stderr
            assert machine.run(user, "mv", f"{machine.folder}/signing", f"{machine.folder}/other").returncode != 0
        assert machine.run("snowgate-registry", "cat", f"{machine.folder}/server/server.key").returncode == 0
        for user in ("snowgate-schedule", "snowgate-signer"):
            assert machine.run(user, "cat", f"{machine.folder}/server/server.key").returncode != 0
        assert machine.run("snowgate-signer", "sha256sum", f"{machine.folder}/signing/ca.key").returncode == 0, (
            "the control"
        )
        assert machine.run("snowgate-signer", "cat", f"{machine.folder}/data/city.sqlite").returncode != 0
        stranger = machine.run("daemon", "stat", f"{machine.folder}/socket/sign.sock")
        assert "Permission denied" in stranger.stderr


def test_what_was_backed_up_goes_on_at_another_machine(machine: Machine) -> None:
    packed = str(machine.root / "backup.tar.gz")
    done = machine.run("root", "tar", "-C", str(machine.folder.parent), "-czpf", packed, "snowgate-city")
    assert done.returncode == 0, done.stderr
    with furnished() as other:
        done = other.run("root", "tar", "-C", str(other.folder.parent), "-xzpf", packed)
        assert done.returncode == 0, done.stderr
        with contextlib.ExitStack() as stack:
            for name in UNITS:
                stack.enter_context(started(other, name))
            assert "Epoch 2:" in other.city("restored", "--reason", "the machine burnt")
            assert (other.folder / "signing/ca.pem").read_bytes() == (machine.folder / "signing/ca.pem").read_bytes()
