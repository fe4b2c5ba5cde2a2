"""What must survive a death survives: media over a side's or the keeper's kill -9, the BYE after it, the pin, the rules."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from edge.lab import topology
from edge.lab.orders import order
from edge.lab.street import RUN, Street, eventually
from tests.conftest import alive

ORDERS = RUN / "city.sock"


def right() -> int:
    count: int = order(ORDERS, "facts")["judge"]["right"]
    return count


def the_view(street: Street) -> tuple[str, int]:
    """The only view's call number and how many packets it has carried."""
    ((number, view),) = street.said("ferry")["views"].items()
    return number, view["packets"]


def hung_up(street: Street) -> int:
    """How many BYEs the recorder has taken."""
    return (street.logs / "nvr.log").read_text(encoding="utf-8").count("CallEnded(")


@pytest.mark.parametrize("name", ["siteside", "cityside", "keeper"])
def test_f02_f03_media_flows_on_and_the_city_can_still_hang_up(street: Street, playing: str, name: str) -> None:
    number, _ = the_view(street)
    starts = street.starts(name)
    street.kill(name)
    before = right()
    eventually(lambda: street.starts(name) > starts, 10, f"{name} again")
    eventually(lambda: right() > before + 100, 30, "a hundred more pictures of the same view")
    assert the_view(street)[0] == number
    if name != "keeper":
        eventually(lambda: number in street.views(name), 20, "the new process knows the view")
    ended = hung_up(street)
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the BYE is matched")
    eventually(lambda: hung_up(street) > ended, 20, "a BYE at the recorder")


def test_f02_the_recorders_own_bye_is_matched_after_a_restart(street: Street, playing: str) -> None:
    """The recorder hangs up while the site side is away: it says so again until somebody hears it (RFC 3261 17.1.2)."""
    number, _ = the_view(street)
    street.stop_program("siteside")
    street.kill("nvr")  # a recorder that restarts forgets its call and sends no more
    time.sleep(1)
    street.resume_program("siteside")
    eventually(lambda: number not in street.said("ferry").get("views", {}), 40, "the view's end")
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 60, "the recorder again")


def test_f02_a_view_that_ended_while_its_side_was_away_is_ended_toward_the_recorder(
    street: Street, playing: str
) -> None:
    street.stop_program("siteside")
    order(ORDERS, "stop")
    eventually(lambda: not street.said("ferry").get("views"), 20, "the view's end at the ferry")
    before = hung_up(street)
    street.resume_program("siteside")
    eventually(lambda: hung_up(street) > before, 20, "a BYE at the recorder")
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 60, "the recorder")


def test_f03_a_keeper_that_starts_again_loads_nothing_and_keeps_the_pin(street: Street, playing: str) -> None:
    """Counters of rules would begin anew with a load; an element of the set would be gone."""

    def listed(*what: str) -> str:
        command = topology.inside("lan", "nft", "list", *what)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    (view,) = street.said("ferry")["views"].values()
    street.kill("keeper")
    starts = street.starts("keeper")
    eventually(lambda: street.starts("keeper") > starts, 10, "the keeper again")
    assert f". {view['lan_port']} ." in listed("set", "inet", "snowgate", "media")
    eventually(lambda: street.status().get("keeper", {}).get("pins") == 1, 20, "the new keeper knows the pin")
    assert street.status()["keeper"]["counters"].get("rules_put_back", 0) == 0


@pytest.mark.parametrize(
    "damage",
    [
        "flush ruleset",
        "delete table inet snowgate",
        "insert rule inet snowgate input accept",
        "add chain inet snowgate output { policy accept; }",
    ],
)
def test_f22_rules_that_somebody_changes_are_put_back(street: Street, playing: str, damage: str) -> None:
    before = street.status()["keeper"]["counters"].get("rules_put_back", 0)
    subprocess.run(topology.inside("lan", "nft", damage), check=True, timeout=20)
    eventually(lambda: street.status()["keeper"]["counters"].get("rules_put_back", 0) > before, 10, "put back")
    assert street.status()["keeper"]["rules_missing"]["lan"] == []
    count = right()
    eventually(lambda: right() > count + 25, 20, "more pictures of the same view")
    (view,) = street.said("ferry")["views"].values()
    shown = subprocess.run(topology.inside("lan", "nft", "list", "set", "inet", "snowgate", "media"),
                           capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert f". {view['lan_port']} ." in shown, "the pin is back as well"


def workers(street: Street) -> list[int]:
    """The relay workers: children of the nursery, which is the ferry's only child."""
    pid = street.pid("ferry")
    assert pid is not None
    (nursery,) = _children(pid)
    return _children(nursery)


def _children(pid: int) -> list[int]:
    # A program runs under ip-netns-exec, which becomes it.
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def test_f01_a_relay_worker_that_dies_costs_its_calls_moments_and_no_invite(street: Street, playing: str) -> None:
    """Both are killed, twice: the same view, the same sockets, the same numbers; the city sees a gap and no other stream."""
    number, _ = the_view(street)
    invites = (street.logs / "nvr.log").read_text(encoding="utf-8").count("InviteReceived(")
    for _ in range(2):
        before = workers(street)
        assert len(before) == 2
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        eventually(
            lambda before=before: not set(before) & set(workers(street)) and len(workers(street)) == 2, 10, "new"
        )
        count = right()
        eventually(lambda count=count: right() > count + 50, 20, "fifty more pictures of the same view")
    assert the_view(street)[0] == number
    assert (street.logs / "nvr.log").read_text(encoding="utf-8").count("InviteReceived(") == invites
    assert street.said("ferry")["counters"]["relay_worker_died"] >= 4
    assert order(ORDERS, "facts")["foreign_ssrc"] == 0


def test_f01_the_workers_end_with_the_ferry(street: Street) -> None:
    before = workers(street)
    starts = street.starts("ferry")
    street.kill("ferry")
    eventually(lambda: not any(alive(pid) for pid in before), 10, "their end")
    eventually(lambda: street.starts("ferry") > starts, 10, "the ferry again")
    eventually(lambda: street.said("ferry").get("sides") == ["city", "site"], 20, "both sides")
    eventually(lambda: any(street.said("siteside").get("recorders", {}).values()), 60, "the recorder")


@pytest.mark.parametrize(
    ("namespace", "key", "wrong", "right_one"),
    [
        ("lan", "net/ipv4/ip_forward", "1", "0"),
        ("vpn", "net/ipv4/ip_forward", "1", "0"),
        ("wan", "net/ipv4/conf/all/rp_filter", "0", "1"),
        ("lan", "net/ipv6/conf/all/disable_ipv6", "0", "1"),
    ],
)
def test_f23_a_sysctl_that_somebody_sets_is_set_back(
    street: Street, namespace: str, key: str, wrong: str, right_one: str
) -> None:
    topology.sysctl(namespace, key, wrong)

    def value() -> str:
        shown = topology.inside(namespace, "cat", f"/proc/sys/{key}")
        return subprocess.run(shown, capture_output=True, text=True, check=True).stdout.strip()

    eventually(lambda: value() == right_one, 10, f"{key} in {namespace}")
