"""Who may do what on the box: users, capabilities, namespaces, sockets and files, as the kernel says it.

What each program may is written once (``systemd/``); the lab starts the programs so, and this asks the kernel.
"""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge.lab import city
from edge.lab.programs import SUPERVISED
from edge.lab.street import RUN, SECRETS, STATE, Street, eventually
from tests.conftest import as_user, whole

NET_ADMIN, NET_RAW, KILL, SETGID, SETUID = 12, 13, 5, 6, 7
#: program -> (user, namespace, capabilities that it holds)
PROGRAMS = {
    "keeper": ("snowgate-keeper", "wan", {NET_ADMIN}),
    "uplink": ("snowgate-uplink", "wan", set()),
    "enrol": ("snowgate-enrol", "wan", set()),
    "prove": ("snowgate-prove", "ferry", set()),
    "ferry": ("snowgate-ferry", "ferry", set()),
    "siteside": ("snowgate-siteside", "lan", set()),
    "webui": ("snowgate-web", "lan", set()),
    "cityside": ("snowgate-cityside", "vpn", set()),
    "agent": ("snowgate-agent", "vpn", set()),
    "supervisor-site": ("root", "lan", {KILL, SETGID, SETUID}),
    "supervisor-city": ("root", "vpn", {KILL, SETGID, SETUID}),
}
#: socket -> who may speak into it, root aside
SOCKETS = {
    "keeper/operator/socket": set(),
    "keeper/web/socket": {"snowgate-web"},
    "keeper/agent/socket": {"snowgate-agent"},
    "keeper/uplink/socket": {"snowgate-uplink"},
    "keeper/prove/socket": {"snowgate-prove"},
    "keeper/enrol/socket": {"snowgate-enrol"},
    "ferry/site/socket": {"snowgate-siteside"},
    "ferry/city/socket": {"snowgate-cityside"},
    "ferry/keeper/socket": {"snowgate-keeper"},
    "ferry/reader/socket": {"snowgate-web"},
    "supervisor-site.sock": set(),
    "supervisor-city.sock": set(),
}
USERS = sorted({user for user, _, _ in PROGRAMS.values()} - {"root"})
#: file -> who may read it, root aside
FILES = {
    SECRETS / "keeper" / "wg-a.key": {"snowgate-keeper"},
    SECRETS / "keeper" / "city.pub": {"snowgate-keeper"},
    SECRETS / "device" / "device.key": {"snowgate-keeper", "snowgate-agent", "snowgate-enrol"},
    SECRETS / "siteside" / "recorder-34020000001180000001.password": {"snowgate-siteside"},
    SECRETS / "cityside" / f"platform-{city.ID}.password": {"snowgate-cityside", "snowgate-keeper"},
    SECRETS / "keeper" / "enrolment.json": {"snowgate-keeper"},
    STATE / "enrol" / "certificate.pem": {"snowgate-enrol", "snowgate-agent"},
    STATE / "keeper" / "journal.json": {"snowgate-keeper"},
    STATE / "cityside" / "issued-ids.json": {"snowgate-cityside"},
    STATE / "receipts" / "00.jsonl": {"snowgate-ferry", "snowgate-web"},
}


@pytest.fixture(autouse=True)
def own_users(street: Street) -> None:
    if pwd.getpwnam("snowgate-web").pw_uid == pwd.getpwnam("snowgate-agent").pw_uid:
        pytest.skip("all programs are one user here: only root can give each its own")
    eventually(lambda: whole(street), 90, "the whole street")


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def held(mask: str) -> set[int]:
    return {bit for bit in range(41) if int(mask, 16) >> bit & 1}


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_is_its_user_in_its_namespace_with_its_capabilities(street: Street, name: str) -> None:
    user, space, capabilities = PROGRAMS[name]
    pid = eventually(lambda: street.pid(name), 20, name)
    facts = status(pid)
    assert {int(number) for number in facts["Uid"].split()} == {pwd.getpwnam(user).pw_uid}
    assert held(facts["CapEff"]) == held(facts["CapPrm"]) == capabilities
    assert held(facts["CapBnd"]) <= {KILL, SETGID, SETUID, NET_ADMIN, NET_RAW}
    assert facts["NoNewPrivs"] == "1"
    assert os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat(f"/run/netns/{space}").st_ino
    if name not in SUPERVISED:
        return
    assert held(facts["CapInh"]) == held(facts["CapAmb"]) == set()


def test_the_keepers_hands_are_no_more_than_it_is(street: Street) -> None:
    pid = street.pid("keeper")
    hands = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    assert len(hands) == 3
    for hand in hands:
        facts = status(int(hand))
        assert held(facts["CapEff"]) == held(facts["CapBnd"]) == {NET_ADMIN}
        assert int(facts["Uid"].split()[0]) == pwd.getpwnam("snowgate-keeper").pw_uid


def test_the_ferry_and_all_that_it_forked_are_under_seccomp(street: Street) -> None:
    pids = [street.pid("ferry")]
    for pid in pids:
        pids += [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    assert len(pids) == 4
    assert {status(pid or 0)["Seccomp"] for pid in pids} == {"2"}


@pytest.mark.parametrize("path", SOCKETS)
def test_each_socket_is_its_callers_alone(street: Street, path: str) -> None:
    """The owners of a socket may, too: it is theirs. Whoever is let through is the control."""
    owner = pwd.getpwuid((RUN / path).stat().st_uid).pw_name
    kind = socket.SOCK_STREAM if path.startswith("supervisor") else socket.SOCK_SEQPACKET
    through = set()
    for user in USERS:
        with as_user(user), socket.socket(socket.AF_UNIX, kind) as line:
            try:
                line.connect(str(RUN / path))
                through.add(user)
            except PermissionError:
                pass
    assert through - {owner} == SOCKETS[path] - {owner}
    eventually(lambda: street.said("ferry").get("sides") == ["city", "site"], 20, "both sides")


def test_who_comes_through_a_loosened_folder_is_refused_by_his_number(street: Street) -> None:
    """The second wall: the folder's rights are taken away, the keeper and the ferry still look who speaks."""
    for path, who in (("keeper/operator", "snowgate-web"), ("ferry/site", "snowgate-cityside")):
        folder = RUN / path
        mode = folder.stat().st_mode & 0o7777
        folder.chmod(0o777)
        (folder / "socket").chmod(0o666)
        try:
            with as_user(who), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
                line.connect(str(folder / "socket"))
                line.settimeout(10)
                assert line.recv(100) == b"", "hung up without a word"
        finally:
            (folder / "socket").chmod(0o660)
            folder.chmod(mode)
    assert street.status()["keeper"]["counters"]["caller_refused"] >= 1
    assert street.said("ferry")["counters"]["caller_refused"] >= 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_secret_and_each_record_is_its_readers_alone(street: Street, path: Path) -> None:
    readers = set()
    for user in USERS:
        with as_user(user):
            try:
                path.read_bytes()
                readers.add(user)
            except PermissionError:
                pass
    assert readers == FILES[path]


def test_no_program_writes_in_anothers_folder(street: Street) -> None:
    owners = {"siteside": "snowgate-siteside", "webui": "snowgate-web", "cityside": "snowgate-cityside",
              "agent": "snowgate-agent", "enrol": "snowgate-enrol", "uplink": "snowgate-uplink", "keeper": "snowgate-keeper", "ferry": "snowgate-ferry"}  # fmt: skip
    places = {RUN / name: owner for name, owner in owners.items()}
    places |= {STATE / "receipts": "snowgate-ferry", STATE / "keeper": "snowgate-keeper", STATE / "web": "snowgate-web",
               SECRETS / "siteside": "", SECRETS / "cityside": "snowgate-keeper", SECRETS / "enrol": "",
               STATE / "enrol": "snowgate-enrol", STATE / "agent": "snowgate-agent", SECRETS / "device": "snowgate-keeper", RUN: "", STATE: ""}  # fmt: skip
    for folder, owner in places.items():
        writers = set()
        for user in USERS:
            with as_user(user):
                try:
                    (folder / f"by-{user}").touch()
                    writers.add(user)
                except PermissionError:
                    continue
            (folder / f"by-{user}").unlink()
        assert writers == ({owner} if owner else set()), folder


def test_a_command_of_root_writes_what_its_program_can_read(street: Street) -> None:
    command = [sys.executable, "-m", "edge.cli", "first-code"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    left = {path.name: pwd.getpwuid(path.stat().st_uid).pw_name for path in (STATE / "web").iterdir()}
    assert set(left.values()) == {"snowgate-web"}, left
