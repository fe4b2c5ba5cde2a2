"""The box's own unit files, as the lab reads them: here no systemd runs, so the lab starts what they say as they say.

Read are the settings that decide what a program may do: its user, its capabilities, its namespace, its watchdog. The
sandboxes of file system and system calls are systemd's own and are not had here.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]
FOLDER = _CHECKOUT / "systemd"
#: The checkout seen from where every user can reach it: its own folder may be in somebody's home.
CODE = Path("/run/snowgate-code")
_PREFIX = "/opt/snowgate/"
_TUN = Path("/dev/net/tun")
#: Numbers for the lab's users: above all that Debian gives by itself.
FIRST_UID = 64200


@dataclass(frozen=True, slots=True)
class Unit:
    """What a ``.service`` file says. ``capabilities`` None: it keeps all."""

    name: str
    command: tuple[str, ...]
    user: str
    capabilities: tuple[str, ...] | None
    ambient: tuple[str, ...]
    namespace: str
    watchdog_seconds: float
    environment: tuple[tuple[str, str], ...]


def read_unit(name: str) -> Unit:
    """Return what ``snowgate-NAME.service`` says; a setting that is given twice is the later one (none of ours is)."""
    said: dict[str, str] = {}
    for line in (FOLDER / f"snowgate-{name}.service").read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            said[key.strip()] = value.strip()
    bounding = said.get("CapabilityBoundingSet")
    space = "ferry" if said.get("PrivateNetwork") == "yes" else Path(said.get("NetworkNamespacePath", "wan")).name
    pairs = (word.partition("=") for word in shlex.split(said.get("Environment", "")))
    return Unit(
        name=name,
        command=tuple(shlex.split(said["ExecStart"])),
        user=said.get("User", "root"),
        capabilities=None if bounding is None else tuple(bounding.split()),
        ambient=tuple(said.get("AmbientCapabilities", "").split()),
        namespace=space,
        watchdog_seconds=float(said.get("WatchdogSec", "0")),
        environment=tuple((key, value) for key, _, value in pairs),
    )


# -- the house: users, folders and code as the box has them ------------------------------------------------------------


def furnish(places: Mapping[str, Path]) -> House:
    """Make the box's users and folders, and put the code where every user can read it.

    In an ordinary user's namespaces there is one user, who is then all of them; and where the device that wireguard-go
    needs is root's alone and cannot be made anew.
    """
    CODE.mkdir(exist_ok=True)
    subprocess.run(["mount", "--rbind", str(_CHECKOUT), str(CODE)], check=True, timeout=20)
    own = _own_users_possible()
    if not _known("snowgate"):
        _add_users(own)
    _make_folders(places)
    return House(own and os.stat(places["/run/snowgate"] / "keeper").st_uid != 0)


@dataclass(frozen=True, slots=True)
class House:
    """How programs are started in the lab; ``own_users`` is False where all are one user."""

    own_users: bool

    def command(self, unit: Unit) -> list[str]:
        """Return the unit's command, with its user and capabilities (util-linux' setpriv)."""
        stands = {_PREFIX + "bin/python": code_python(), _PREFIX + "share/": f"{CODE}/systemd/"}
        words = []
        for word in unit.command:
            said = next((said for said in stands if word.startswith(said)), None)
            words.append(word if said is None else stands[said] + word.removeprefix(said))
        return self._with_rights(unit.user, unit.capabilities, unit.ambient, words)

    def as_keeper(self, words: list[str]) -> list[str]:
        """Return the command that runs ``words`` as the keeper's user with CAP_NET_ADMIN."""
        return self._with_rights("snowgate-keeper", ("CAP_NET_ADMIN",), ("CAP_NET_ADMIN",), words)

    def _with_rights(
        self, user: str, bounding: tuple[str, ...] | None, ambient: tuple[str, ...], words: list[str]
    ) -> list[str]:
        given = ["setpriv", "--no-new-privs"]
        if user != "root" and self.own_users:
            given += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
        if bounding is not None:
            given += ["--bounding-set=" + _set(bounding), "--inh-caps=" + _set(ambient)]
            given += ["--ambient-caps=" + _set(ambient)] if ambient else []
        return [*given, "--", *words]

    def environment(self, logs: Path) -> dict[str, str]:
        """Return what the units' programs find in their environment."""
        return {
            **{key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "PYTHONUNBUFFERED")},
            **code_path(),
            "SNOWGATE_PYTHON": code_python(), "SNOWGATE_LOG": str(logs.resolve()),
            **{f"SNOWGATE_{name}": os.environ[f"SNOWGATE_{name}"] for name in ("RUN", "STATE", "SECRETS")},
        }  # fmt: skip


def code_python() -> str:
    """Return this Python where every user can run it."""
    python = Path(sys.executable)
    return str(CODE / python.relative_to(_CHECKOUT)) if python.is_relative_to(_CHECKOUT) else str(python)


def code_path() -> dict[str, str]:
    """Return the environment in which this checkout's code is found."""
    return {"PYTHONPATH": str(CODE)}


def _set(capabilities: tuple[str, ...]) -> str:
    return ",".join(["-all", *("+" + name.removeprefix("CAP_").lower() for name in capabilities)])


def _own_users_possible() -> bool:
    if Path("/proc/self/uid_map").read_text(encoding="ascii").split()[-1] == "1":
        return False
    readable = ["setpriv", "--reuid=65534", "--clear-groups", "--", code_python(), "-c", "import edge.cli, pydantic"]
    done = subprocess.run(
        readable, env={**os.environ, **code_path()}, cwd="/", capture_output=True, timeout=60, check=False
    )
    return done.returncode == 0 and _tun_for_all()


def _tun_for_all() -> bool:
    """wireguard-go runs as the keeper's user: in this mount namespace alone, the device is one that it may open."""
    if os.stat(_TUN).st_mode & 0o006 == 0o006:
        return True
    made = CODE.with_name("snowgate-tun")
    try:
        if not made.exists():
            os.mknod(made, 0o666 | stat.S_IFCHR, os.stat(_TUN).st_rdev)
            made.chmod(0o666)
        return subprocess.run(["mount", "--bind", str(made), str(_TUN)], timeout=20, check=False).returncode == 0
    except OSError:
        return False


def _known(group: str) -> bool:
    try:
        return bool(grp.getgrnam(group))
    except KeyError:
        return False


def _add_users(own: bool) -> None:
    """Add the users and groups of ``sysusers.d`` to copies of the host's files, and put those in place here."""
    numbers: dict[str, int] = {}
    users, members = [], dict[str, list[str]]()
    for words in _lines("sysusers.d"):
        if words[0] == "m":
            members.setdefault(words[2], []).append(words[1])
            continue
        numbers[words[1]] = FIRST_UID + len(numbers) if own else 0
        users += [words[1]] if words[0] == "u" else []
    lines = {
        "passwd": [f"{name}:x:{numbers[name]}:{numbers[name]}::/nonexistent:/usr/sbin/nologin" for name in users],
        "group": [f"{name}:x:{numbers[name]}:{','.join(members.get(name, []))}" for name in numbers],
    }
    for name, added in lines.items():
        copy = CODE.with_name(f"snowgate-{name}")
        copy.write_text(
            "\n".join([Path("/etc", name).read_text(encoding="utf-8").rstrip(), *added]) + "\n", encoding="utf-8"
        )
        copy.chmod(0o644)
        subprocess.run(["mount", "--bind", str(copy), f"/etc/{name}"], check=True, timeout=20)


def _make_folders(places: Mapping[str, Path]) -> None:
    """Make the folders of ``tmpfiles.d`` below what stands for the box's own."""
    for kind, path, mode, user, group, *_ in _lines("tmpfiles.d"):
        if kind != "d":
            continue
        said = next(
            (said for said in sorted(places, reverse=True) if path == said or path.startswith(said + "/")), None
        )
        if said is not None:
            folder = Path(str(places[said]) + path.removeprefix(said))
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
            folder.chmod(int(mode, 8))
    wireguard = Path("/run/wireguard")
    wireguard.mkdir(exist_ok=True)
    wireguard.chmod(0o1777)


def _lines(folder: str) -> list[list[str]]:
    text = (FOLDER / folder / "snowgate.conf").read_text(encoding="utf-8")
    return [shlex.split(line) for line in text.splitlines() if line.strip() and not line.startswith("#")]
