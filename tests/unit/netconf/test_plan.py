"""Desired minus actual: cases as files that a person can read, and what holds for all of them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from netconf.check import read_site
from netconf.compile import desired, wireguard_device
from netconf.plan import (
    AddAddress,
    DeleteAddress,
    DeleteNeighbour,
    DeleteRoute,
    SetMtu,
    SetNeighbour,
    SetRoute,
    SetSysctl,
    SetUp,
    Step,
    diff,
    holds,
    missing,
    wireguard_missing,
)
from netconf.state import LinkState, Neighbour, NetworkState, Peer, Route

ROOT = Path(__file__).parents[3]
CASES = sorted((ROOT / "tests/golden/plan").glob("*.toml"))
STATE = TypeAdapter(NetworkState)
KEY, OTHER_KEY = "A" * 43 + "=", "C" * 42 + "A="


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_a_case_takes_the_steps_that_its_file_says(path: Path) -> None:
    case = tomllib.loads(path.read_text(encoding="utf-8"))
    wanted, actual = STATE.validate_python(case["wanted"]), STATE.validate_python(case["actual"])
    assert case["why"]
    assert [str(step) for step in diff(wanted, actual)] == case["steps"]
    assert missing(wanted, actual) == case.get("missing", []) + case["steps"]
    assert holds(wanted, actual) == (not missing(wanted, actual))


def test_there_are_cases() -> None:
    assert len(CASES) >= 10


def test_the_labs_site_compiles_to_the_commands_in_the_golden_file() -> None:
    """From bare, down links to the lab's site: what a person would type in each namespace."""
    site, _ = read_site((ROOT / "edge/lab/site.toml").read_text(encoding="utf-8"))
    assert site is not None
    lines = []
    for state in desired(site):
        unset = tuple((key, "unset") for key, _ in state.sysctls)
        bare = tuple(
            LinkState(link.name, up=False, sysctls=tuple((key, "unset") for key, _ in link.sysctls))
            for link in state.links
        )
        lines += [f"# {state.namespace}", *map(str, diff(state, NetworkState(state.namespace, bare, unset)))]
    golden = ROOT / "tests/golden/plan/lab.txt"
    assert "\n".join(lines) + "\n" == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["edge/lab/site.toml", "tests/sites/two-tunnels.toml"])
def test_the_three_namespaces_share_no_road(name: str) -> None:
    site, _ = read_site((ROOT / name).read_text(encoding="utf-8"))
    assert site is not None
    lan, vpn, wan = desired(site)
    assert [state.namespace for state in (lan, vpn, wan)] == ["lan", "vpn", "wan"]
    assert not any(link.routes for link in lan.links)
    allowed = {network for tunnel in site.tunnel for network in tunnel.allowed}
    assert {route.network for link in vpn.links for route in link.routes} == allowed
    assert all(route.via is None for link in vpn.links for route in link.routes)
    assert {link.made for state in (lan, vpn, wan) for link in state.links} == {None}
    assert {route.via for link in wan.links for route in link.routes} == {site.uplink.gateway}
    for state in (lan, vpn, wan):
        sysctls = dict(state.sysctls)
        assert sysctls["net/ipv4/ip_forward"] == sysctls["net/ipv6/conf/all/forwarding"] == "0"
        for link in state.links:
            assert dict(link.sysctls)[f"net/ipv4/conf/{link.name}/accept_redirects"] == "0"
            assert not any("{" in key for key, _ in (*state.sysctls, *link.sysctls))


# -- what holds for every pair of states -------------------------------------------------------------------------------

HOSTS = st.integers(1, 6).map(lambda n: IPv4Address(f"192.0.2.{n}"))
ROUTES = st.builds(
    Route,
    st.sampled_from([IPv4Network("0.0.0.0/0"), IPv4Network("203.0.113.0/24")]),
    st.none() | HOSTS,
    st.sampled_from([0, 100]),
)
NEIGHBOURS = st.dictionaries(HOSTS, st.sampled_from(["02:00:00:00:00:01", "02:00:00:00:00:02"]), max_size=3).map(
    lambda known: frozenset(Neighbour(address, mac) for address, mac in known.items())
)
ADDRESSES = st.frozensets(HOSTS.map(lambda host: IPv4Interface(f"{host}/24")), max_size=3)
SYSCTLS = st.dictionaries(
    st.sampled_from(["net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter"]), st.sampled_from(["0", "1"])
).map(lambda said: tuple(said.items()))


def links(name: str, up: st.SearchStrategy[bool]) -> st.SearchStrategy[LinkState]:
    routes = st.dictionaries(st.tuples(ROUTES.map(lambda r: r.network), st.sampled_from([0, 100])), HOSTS, max_size=2)
    unique = routes.map(lambda said: frozenset(Route(net, via, metric) for (net, metric), via in said.items()))
    return st.builds(
        LinkState, st.just(name), up, st.sampled_from([1420, 1500]), ADDRESSES, unique, NEIGHBOURS, SYSCTLS
    )


def states(up: st.SearchStrategy[bool]) -> st.SearchStrategy[NetworkState]:
    both = st.tuples(links("a0", up), links("b0", up))
    return st.builds(NetworkState, st.just("lan"), both, SYSCTLS)


def performed(step: Step, state: NetworkState) -> NetworkState:
    """A kernel of a few lines: what a step does to a state."""
    if isinstance(step, SetSysctl):
        change = {step.key: step.value}
        changed = tuple(replace(link, sysctls=tuple({**dict(link.sysctls), **change}.items())) for link in state.links)
        return NetworkState(state.namespace, changed, tuple({**dict(state.sysctls), **change}.items()))
    return replace(state, links=tuple(_on(link, step) if link.name == step.link else link for link in state.links))


def _on(link: LinkState, step: Step) -> LinkState:
    match step:
        case SetUp():
            return replace(link, up=True)
        case SetMtu(mtu=mtu):
            return replace(link, mtu=mtu)
        case AddAddress(address=address):
            return replace(link, addresses=link.addresses | {address})
        case DeleteAddress(address=address):
            return replace(link, addresses=link.addresses - {address})
        case SetRoute(route=route):
            others = {r for r in link.routes if (r.network, r.metric) != (route.network, route.metric)}
            return replace(link, routes=frozenset(others | {route}))
        case DeleteRoute(route=route):
            return replace(link, routes=link.routes - {route})
        case SetNeighbour(neighbour=who):
            rest = {n for n in link.neighbours if n.address != who.address}
            return replace(link, neighbours=frozenset(rest | {who}))
        case DeleteNeighbour(neighbour=who):
            return replace(link, neighbours=link.neighbours - {who})
    raise AssertionError(step)


@given(states(st.just(True)), states(st.booleans()))
def test_performing_the_difference_leaves_nothing_to_do(wanted: NetworkState, actual: NetworkState) -> None:
    shared = {**dict(wanted.sysctls), **{k: v for link in wanted.links for k, v in link.sysctls}}
    wanted = replace(  # one value a key, as a compiled state has it
        wanted,
        sysctls=tuple((k, shared[k]) for k, _ in wanted.sysctls),
        links=tuple(replace(link, sysctls=tuple((k, shared[k]) for k, _ in link.sysctls)) for link in wanted.links),
    )
    for step in diff(wanted, actual):
        actual = performed(step, actual)
    assert holds(wanted, actual)
    assert diff(wanted, actual) == []


@given(states(st.just(True)))
def test_a_state_holds_itself(state: NetworkState) -> None:
    assert diff(state, state) == []


@given(states(st.just(True)), states(st.booleans()))
def test_every_step_reads_as_a_command(wanted: NetworkState, actual: NetworkState) -> None:
    for step in diff(wanted, actual):
        assert re.match(r"(ip (link|address|route|neighbour)|sysctl -w) \S", str(step))


# -- WireGuard ---------------------------------------------------------------------------------------------------------


def test_a_device_differs_in_words_of_wg() -> None:
    site, _ = read_site((ROOT / "tests/sites/two-tunnels.toml").read_text(encoding="utf-8"))
    assert site is not None
    tunnel = site.tunnel[1]
    wanted = wireguard_device(tunnel, KEY)
    (peer,) = wanted.peers
    assert (peer.allowed, peer.keepalive_seconds, wanted.listen_port) == (tunnel.allowed, 0, 51821)
    assert wireguard_missing(wanted, wanted) == []
    wide = replace(peer, allowed=(IPv4Network("0.0.0.0/0"),))
    words = "allowed-ips 100.64.255.0/24,100.65.0.0/16 persistent-keepalive 0"
    set_peer, drop = f"wg set wg-b peer {tunnel.public_key} {words}", f"wg set wg-b peer {OTHER_KEY} remove"
    for actual, said in (
        (replace(wanted, peers=frozenset({wide})), [set_peer]),
        (replace(wanted, peers=frozenset()), [set_peer]),
        (replace(wanted, peers=frozenset({peer, Peer(OTHER_KEY)})), [drop]),
        (replace(wanted, listen_port=1), ["wg set wg-b listen-port 51821"]),
        (replace(wanted, public_key=OTHER_KEY), ["wg set wg-b private-key FILE"]),
    ):
        assert wireguard_missing(wanted, actual) == said


def test_any_listen_port_will_do_when_none_is_asked_for() -> None:
    site, _ = read_site((ROOT / "edge/lab/site.toml").read_text(encoding="utf-8"))
    assert site is not None
    wanted = wireguard_device(site.tunnel[0], KEY)
    assert wireguard_missing(wanted, replace(wanted, listen_port=40000)) == []
