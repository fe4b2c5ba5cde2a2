"""Every program killed, hung and starved of memory: what must survive survives, and what ends is there again.

The box's units are read and played by the lab, which has no systemd; supervisord and its watchdog are the real ones.
Memory is taken away by the kernel's control groups, as MemoryMax= does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.lab.orders import order
from edge.lab.programs import SUPERVISED
from edge.lab.street import Street, eventually
from tests.conftest import ORDERS, SCANS, alive, nothing_crosses, whole

SUPERVISORS = ("supervisor-site", "supervisor-city")
UNITS = ("keeper", "uplink", "enrol", "ferry", *SUPERVISORS)
MEMORY = Path("/sys/fs/cgroup/memory")


def right() -> int:
    count: int = order(ORDERS, "facts")["judge"].get("right", 0)
    return count


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def again(street: Street, names: tuple[str, ...], before: dict[str, int], within: float = 40) -> None:
    for name in names:
        eventually(lambda name=name: street.starts(name) > before[name], within, f"{name} again")
    eventually(lambda: whole(street), 90, "the whole street")


@pytest.mark.parametrize("name", ["webui", "agent", "uplink"])
def test_f04_what_carries_no_video_dies_without_a_gap(street: Street, playing: str, name: str) -> None:
    """Ten times each; the pictures never stop. (The receipts' own deaths are in test_receipts.)"""
    number = list(street.said("ferry")["views"])
    for _ in range(10):
        starts, count = street.starts(name), right()
        street.kill(name)
        eventually(lambda starts=starts: street.starts(name) > starts, 20, f"{name} again")
        eventually(lambda count=count: right() > count, 10, "pictures of the same view")
    eventually(lambda: street.pid(name), 10, name)
    assert list(street.said("ferry")["views"]) == number
    facts = order(ORDERS, "facts")["judge"]
    assert facts.get("wrong", 0) == 0


def test_f05_everything_killed_at_once_comes_back_and_nothing_crosses_meanwhile(street: Street, playing: str) -> None:
    names = (*UNITS, *SUPERVISED)
    before = {name: street.starts(name) for name in names}
    victims = {pid for name in names if (pid := street.pid(name)) is not None}
    victims |= {child for pid in list(victims) for child in children(pid)}
    victims |= {child for pid in list(victims) for child in children(pid)}
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    nothing_crosses(*SCANS)
    again(street, UNITS, before)
    for name in SUPERVISED:
        eventually(lambda name=name: street.pid(name), 20, name)
    order(ORDERS, "stop")
    channel = eventually(lambda: [c for c, f in order(ORDERS, "catalog")["channels"].items() if f[1] == "ON"], 60, "on")
    order(ORDERS, f"play {channel[0]}")
    count = right()
    eventually(lambda: right() > count + 25, 40, "pictures again")


#: Takes more than there is; the kernel then kills whom it is told to prefer.
GREEDY = "import sys, time; held = [b'x' * (1 << 20) for _ in range(64)]; time.sleep(60)"


@pytest.fixture
def no_memory() -> Iterator[Path]:
    """A control group with 32 MiB."""
    group = MEMORY / f"snowgate-test-{time.time_ns()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("32M", encoding="ascii")
    except OSError:
        pytest.skip("no memory control group can be made here")
    yield group
    for _ in range(50):
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["siteside", "cityside", "webui", "agent", "keeper", "uplink", "ferry"])
def test_f05_each_that_runs_out_of_memory_is_killed_and_comes_back(street: Street, no_memory: Path, name: str) -> None:
    before, pid = {name: street.starts(name)}, eventually(lambda: street.pid(name), 20, name)
    (no_memory / "cgroup.procs").write_text(str(pid), encoding="ascii")
    Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")
    command = f'echo $$ > {no_memory}/cgroup.procs; exec {sys.executable} -c "{GREEDY}"'
    greedy = subprocess.Popen(["sh", "-c", command])
    try:
        again(street, (name,), before)
    finally:
        greedy.kill()
        greedy.wait(10)
    assert not alive(pid), "it was this one that the kernel killed"


def stop(*pids: int | None) -> None:
    for pid in pids:
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)


def test_f06_hung_sides_and_pages_are_ended_and_the_pictures_go_on(street: Street, playing: str) -> None:
    """All at once, and each is found by itself: the watchdogs ask nobody."""
    names = ("siteside", "webui", "cityside", "agent", "uplink")
    before, number = {name: street.starts(name) for name in names}, list(street.said("ferry")["views"])
    count = right()
    stop(*(street.pid(name) for name in names))
    again(street, names, before, 70)
    assert right() > count + 100
    assert list(street.said("ferry")["views"]) == number
    for side in ("site", "city"):
        assert "program_silent" in (street.logs / f"watchdog-{side}.log").read_text(encoding="utf-8")


def test_f06_a_hung_keeper_is_ended_before_its_pins_are(street: Street, playing: str) -> None:
    before, number, count = {"keeper": street.starts("keeper")}, list(street.said("ferry")["views"]), right()
    stop(street.pid("keeper"))
    again(street, ("keeper",), before)
    eventually(lambda: street.status().get("keeper", {}).get("pins") == 2, 20, "both halves of the pin")
    eventually(lambda: right() > count + 100, 20, "more pictures")
    assert list(street.said("ferry")["views"]) == number


def test_f06_a_hung_hand_of_the_keeper_is_ended_with_it(street: Street, playing: str) -> None:
    before, pid = {"keeper": street.starts("keeper")}, street.pid("keeper")
    assert pid is not None
    hands = children(pid)
    stop(*hands)
    again(street, ("keeper",), before)
    assert not any(alive(hand) for hand in hands)


def test_f06_a_hung_relay_worker_is_replaced_in_the_same_view(street: Street, playing: str) -> None:
    number, pid = list(street.said("ferry")["views"]), street.pid("ferry")
    assert pid is not None
    (nursery,) = children(pid)
    hung = children(nursery)
    stop(*hung)
    eventually(lambda: not set(hung) & set(children(nursery)), 15, "other workers")
    count = right()
    eventually(lambda: right() > count + 50, 20, "more pictures")
    assert list(street.said("ferry")["views"]) == number
    assert street.pid("ferry") == pid


def test_f06_a_hung_nursery_is_found_when_a_worker_is_missed(street: Street, playing: str) -> None:
    before, pid = {"ferry": street.starts("ferry")}, street.pid("ferry")
    assert pid is not None
    (nursery,) = children(pid)
    workers = children(nursery)
    stop(nursery)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    again(street, ("ferry",), before)
    assert "relay_stuck" in (street.logs / "ferry.log").read_text(encoding="utf-8")
    assert not alive(nursery)


def test_f06_a_hung_ferry_and_hung_supervisords_are_ended_with_their_programs(street: Street) -> None:
    names = ("ferry", *SUPERVISORS)
    before = {name: street.starts(name) for name in names}
    programs = {name: street.pid(name) for name in SUPERVISED}
    stop(*(street.pid(name) for name in names))
    again(street, names, before, 60)
    for name, pid in programs.items():
        eventually(lambda name=name, pid=pid: street.pid(name) not in (pid, None), 20, f"another {name}")
        assert not alive(pid), f"the old {name} is gone"


def test_a_program_that_ends_at_once_is_never_given_up(street: Street) -> None:
    """The page cannot open its port while somebody else has it; when it is free, the page is there by itself."""
    eventually(lambda: whole(street), 60, "the whole street")
    code = (
        "import socket,time; s=socket.create_server(('192.168.1.2', 443)); print('held', flush=True); time.sleep(120)"
    )
    pid, starts = street.pid("webui"), street.starts("webui")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    holder = subprocess.Popen(["nsenter", "--net=/run/netns/lan", "python3", "-c", code], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"held\n":
            pytest.skip("the page was quicker")
        eventually(lambda: street.starts("webui") > starts + 4, 40, "tries")
    finally:
        holder.kill()
        holder.wait(5)
    log = street.logs / "webui.log"
    size = len(log.read_text(encoding="utf-8"))
    eventually(lambda: "page_open" in log.read_text(encoding="utf-8")[size:], 30, "the page")
