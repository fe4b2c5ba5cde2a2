"""A concentrator with real WireGuard (wireguard-go), its agent as a process, a registry and two sites: ``tests/hubworld.py``."""

from __future__ import annotations

import base64
import contextlib
import socket
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import delete
from sqlalchemy.orm import make_transient

from city.concentrator.steps import read_dump
from city.registry import concentrators, peers
from city.registry.tables import Address, Change, Concentrator, Feed, Meta, Peer
from edge.lab import private
from edge.lab.sockets import in_namespace, udp_in
from edge.lab.street import eventually
from tests.hubworld import HUB_INNER, SERVICE, SiteBox, World, run

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if not private.is_inside():
        pytest.skip("needs private namespaces: make test")
    made = World(tmp_path_factory.mktemp("hub"))
    try:
        for site in made.sites:
            eventually(site.reaches, 40, f"{site.space} reaches the city: {(made.folder / 'agent.log').read_text()}")
        yield made
    finally:
        made.close()


def test_sites_that_were_put_on_reach_the_city(world: World) -> None:
    assert all(site.reaches(tries=5) for site in world.sites)


def test_w01_an_inner_source_that_is_anothers_reaches_nobody(world: World) -> None:
    one, two = world.sites
    one.dial(world.hub_key(), also=two.address)
    try:
        eventually(one.reaches, 10, "the control: with its own address it does")
        world.service.heard.clear()
        assert not one.reaches(two.address, tries=5)
        assert one.reaches(tries=5)
        assert two.address not in world.service.heard
        assert one.address in world.service.heard
    finally:
        one.dial(world.hub_key())


def test_a_site_reaches_no_site_and_what_held_it_is_the_rule(world: World) -> None:
    one, two = world.sites
    with contextlib.closing(udp_in("s2", (two.address, 7777))) as victim:
        victim.settimeout(0.5)

        def arrives() -> bool:
            with contextlib.closing(udp_in("s1", (one.address, 0))) as line:
                for _ in range(3):
                    line.sendto(b"hello", (two.address, 7777))
                    with contextlib.suppress(TimeoutError):
                        return victim.recv(64) == b"hello"
            return False

        assert not arrives()

        def open_and_sent() -> bool:
            run("hub", "nft", "flush", "ruleset")
            return arrives()

        assert any(open_and_sent() for _ in range(3)), "the control: without the rules it does, until they are back"
        eventually(lambda: "site to site" in run("hub", "nft", "list", "ruleset"), 40, "the rules are put back")
        assert not arrives()


def test_what_is_not_listed_is_not_reached_and_the_hub_answers_probes_alone(world: World) -> None:
    one = world.sites[0]
    with contextlib.closing(udp_in("svc", (SERVICE, 5061))) as closed:
        closed.settimeout(0.5)
        with contextlib.closing(udp_in("s1", (one.address, 0))) as line:
            line.settimeout(0.5)
            line.sendto(b"not listed", (SERVICE, 5061))
            with pytest.raises(TimeoutError):
                closed.recv(64)
            for octets, answered in ((16, True), (15, False), (17, False), (0, False), (64, False)):
                line.sendto(bytes(octets), (HUB_INNER, 9751))
                if answered:
                    assert line.recv(64) == bytes(16)
                    continue
                with pytest.raises(TimeoutError):
                    line.recv(64)
    assert " 0% packet loss" not in run("s1", "ping", "-c", "1", "-W", "1", HUB_INNER, ok=True)
    with in_namespace("s1"):
        knock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with contextlib.closing(knock):
        knock.settimeout(0.5)
        with pytest.raises(OSError):
            knock.connect((HUB_INNER, 8443))


def test_the_echo_has_a_ration_for_each_source(world: World) -> None:
    with contextlib.closing(udp_in("s1", (world.sites[0].address, 0))) as line:
        line.settimeout(0.5)
        for _ in range(100):
            line.sendto(bytes(16), (HUB_INNER, 9751))
        answers = 0
        with contextlib.suppress(TimeoutError):
            while True:
                line.recv(64)
                answers += 1
    assert 20 <= answers < 60


def test_a_key_changes_and_the_address_stays(world: World) -> None:
    one = world.sites[0]
    old, fresh = one.public, X25519PrivateKey.generate()
    one.private = fresh
    now = time.time()
    world.change(peers.offer_key, one.id, "wg-a", one.public, now)
    world.change(peers.exchange_key, one.id, "wg-a", now)
    world.change(peers.forget_key, one.id, "wg-a", now)
    eventually(lambda: world.has(one.public) and not world.has(old), 10, "the new key at the hub")
    one.dial(world.hub_key())
    eventually(one.reaches, 10, "the tunnel with its new key")


def test_a_peer_begins_anew(world: World) -> None:
    one = world.sites[0]
    before = wait_handshake(world, one.public)
    world.change(peers.reset, one.id, "wg-a", time.time())
    # A box that is not answered shakes hands again after 15 s of unanswered data; keepalives are none.
    eventually(
        lambda: (one.reaches(), handshake(world, one.public) not in (0, before))[1], 60, "a handshake of its own"
    )
    eventually(one.reaches, 10, "the tunnel again")


def handshake(world: World, public_key: str) -> int:
    found = wg_actual(world).get(public_key)
    return found.handshake if found else 0


def wait_handshake(world: World, public_key: str) -> int:
    found: int = eventually(lambda: handshake(world, public_key), 10, "a handshake")
    time.sleep(1.1)  # WireGuard tells handshakes in whole seconds
    return found


def wg_actual(world: World) -> Any:
    return read_dump(run("hub", "wg", "show", "wg-hub0", "dump")).peers


def test_what_was_changed_by_hand_is_put_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = world.sites
    world.kill_agent()
    stranger = base64.b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    run("hub", "wg", "set", "wg-hub0", "peer", one.public, "remove")
    run("hub", "wg", "set", "wg-hub0", "peer", stranger, "allowed-ips", "100.64.0.99/32")
    run("hub", "wg", "set", "wg-hub0", "peer", two.public, "allowed-ips", "0.0.0.0/0")
    assert not one.reaches(tries=2)
    world.start_agent()
    eventually(lambda: one.reaches() and not world.has(stranger) and not world.has("0.0.0.0/0"), 30, "healed")
    assert world.said("hub_drift")
    run("hub", "wg", "set", "wg-hub0", "peer", one.public, "remove")
    eventually(one.reaches, 75, "healed by the compare of each minute")
    assert two.reaches(tries=5)


def test_f31_with_the_registry_dead_or_empty_every_peer_stays(world: World) -> None:
    world.registry.close()
    try:
        eventually(lambda: world.said("hub_registry_away"), 40, "it is away")
        world.kill_agent()
        world.start_agent()
        time.sleep(4)
        assert all(site.reaches(tries=5) for site in world.sites)
    finally:
        world.open_registry()
    kept: list[Any] = []
    with world.store.begin() as session:
        for table in (Peer, Address, Change):
            for row in session.query(table).all():
                session.expunge(row)
                kept.append(row)
            session.execute(delete(table))
        feed = session.get(Feed, peers.feed("hub-a"))
        assert feed is not None
        before = feed.revision
        session.merge(Meta(name="epoch", value="2"))
    try:
        eventually(lambda: world.said("hub_snapshot_smaller"), 40, "an empty snapshot is refused")
        eventually(lambda: world.report().get("rule") == "hub_snapshot_smaller", 40, "and told")
        assert world.report()["missing"] == 2
        assert all(site.reaches(tries=5) for site in world.sites)
    finally:
        with world.store.begin() as session:
            for row in sorted(kept, key=lambda one: not isinstance(one, Address)):
                make_transient(row)
                session.add(row)
                session.flush()
            assert session.get(Feed, peers.feed("hub-a")).revision == before  # type: ignore[union-attr]
    eventually(lambda: world.report().get("epoch") == 2, 150, "the whole registry is believed again")


@pytest.mark.parametrize("pause", [0.0, 0.02, 0.1, 0.3, 0.8, 1.5])
def test_f10_killed_at_any_point_it_converges(world: World, pause: float) -> None:
    """A site comes, its key changes, and the agent is killed ``pause`` seconds later."""
    third = SiteBox(int(1000 + pause * 100), world.folder)
    third.join(world.store, world.signer)
    old = third.public
    third.private = X25519PrivateKey.generate()
    world.change(peers.offer_key, third.id, "wg-a", third.public, time.time())
    world.change(peers.exchange_key, third.id, "wg-a", time.time())
    time.sleep(pause)
    world.kill_agent()
    world.start_agent()
    eventually(lambda: world.has(third.public) and not world.has(old), 30, "what the registry says")
    world.change(peers.put_off, third.id, time.time())
    time.sleep(pause)
    world.kill_agent()
    world.start_agent()
    eventually(lambda: not world.has(third.public), 30, "off")
    assert all(site.reaches(tries=5) for site in world.sites)


def test_w03_a_cloned_box_is_seen_by_its_endpoint(world: World) -> None:
    two = world.sites[1]
    clone = SiteBox(3, world.folder)
    clone.space, clone.device = "s1", "wg-clone"
    world.start_device("s1", "wg-clone")
    clone.private, clone.address, clone.psk = two.private, two.address, two.psk
    one = world.sites[0]
    run("s1", "ip", "link", "set", one.device, "down")
    clone.dial(world.hub_key())
    try:
        until = time.monotonic() + 80
        while not world.said("hub_endpoint_flips"):
            assert time.monotonic() < until
            clone.reaches()
            two.reaches()
        eventually(lambda: [each["site"] for each in world.report()["endpoint_flips"]] == [two.id], 90, "told")
    finally:
        run("s1", "ip", "link", "delete", "wg-clone")
        run("s1", "ip", "link", "set", one.device, "up")
        one.dial(world.hub_key())
    eventually(one.reaches, 20, "s1 as before")


def test_f17_a_hubs_key_changes_while_datagrams_flow(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = world.sites
    old = world.hub_key()
    world.change(concentrators.rotate, "tester", "hub-a", time.time())
    world.kill_agent()
    world.start_agent()  # its first report comes at once

    def made() -> bool:
        with world.store.read() as session:
            row = session.get(Concentrator, "hub-a")
            return bool(row is not None and row.next_public_key)

    eventually(made, 90, "a second key")
    assert one.reaches(tries=5)
    eventually(lambda: len(world.report()["slots"]) == 2, 150, "two slots are told")
    world.change(concentrators.exchange, "tester", "hub-a", time.time())
    fresh = world.hub_key()
    assert fresh != old
    gap, began = 0.0, time.monotonic()
    one.dial(fresh, 51821)
    last = time.monotonic()
    while time.monotonic() - began < 8:
        if one.reaches():
            gap, last = max(gap, time.monotonic() - last), time.monotonic()
    gap = max(gap, time.monotonic() - last)
    with capsys.disabled():
        print(f"\nhub's key exchanged: longest gap {gap:.2f} s")
    assert one.reaches(tries=5)
    assert two.reaches(tries=5), "who was not told yet stays where it was"
    two.dial(fresh, 51821)
    eventually(two.reaches, 20, "the second site moves")
    # Here no schedule offers them their layers.
    world.change(partial(concentrators.finish, anyway=True), "tester", "hub-a", time.time())


def test_c04_whoever_is_revoked_is_off(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = world.sites
    assert one.reaches(tries=5)
    since = world.change(peers.put_off, one.id, time.time())
    eventually(lambda: not world.has(one.public, "wg-hub0") and not world.has(one.public, "wg-hub1"), 60, "off")
    with capsys.disabled():
        print(f"\nrevoked: off the device after {time.monotonic() - since:.2f} s")
    assert not one.reaches(tries=3)
    assert two.reaches(tries=5)
