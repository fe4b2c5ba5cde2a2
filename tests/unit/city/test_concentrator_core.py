"""What a concentrator makes of what it is told: desired, actual, a word of the city -> steps, or a refusal by name."""

from __future__ import annotations

import base64
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from city.concentrator import steps
from city.concentrator.core import Core, Taken
from city.concentrator.entries import Own
from city.concentrator.steps import Actual, ActualPeer, RemovePeer, SetPeer, Step
from netconf import envelope
from netconf.sealed import SealBroken

CITY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def key(number: int) -> str:
    return base64.b64encode(number.to_bytes(32, "big")).decode()


def site(number: int) -> str:
    return f"340200000020{number:08d}"


def opened(text: str, who: str) -> str:
    """A seal that a reader can see through: "sealed:SITE:KEY"."""
    kind, whose, psk = text.split(":")
    if kind != "sealed" or whose != who:
        raise SealBroken
    return psk


def core(**other: Any) -> Core:
    own = Own("hub-a", IPv4Network("100.64.0.0/18"), IPv4Address("100.64.0.1"), frozenset((key(999),)))
    return Core(own, CITY.public_key(), opened, **other)


def entry(number: int, revision: int = 0, **other: Any) -> dict[str, Any]:
    address = f"100.64.{number // 256}.{number % 256}/32"
    made = {"site": site(number), "public_key": key(number), "allowed": [address], "revision": revision or number}
    return made | {"psk": f"sealed:{site(number)}:{key(5000 + number)}"} | other


def gone(number: int, revision: int = 0) -> dict[str, Any]:
    return {"site": site(number), "gone": True, "revision": revision}


def said(kind: str, entries: list[dict[str, Any]], first: int, revision: int, epoch: int = 1, **other: Any) -> str:
    body = {"concentrator": "hub-a", "epoch": epoch, "kind": kind, "first": first, "revision": revision}
    return envelope.sign("peers", body | {"peers": entries} | other, CITY)


def snapshot(*entries: dict[str, Any], revision: int = 100, **other: Any) -> str:
    return said("snapshot", list(entries), 0, revision, **other)


def changes(first: int, *entries: dict[str, Any], **other: Any) -> str:
    numbered = [one | {"revision": first + at} for at, one in enumerate(entries)]
    return said("changes", numbered, first, first + len(entries) - 1, **other)


def on(number: int, public_key: int | None = None) -> SetPeer:
    made = entry(number)
    return SetPeer(key(public_key or number), tuple(made["allowed"]), key(5000 + number))


def began(*numbers: int) -> Core:
    made = core()
    made.take(snapshot(*map(entry, numbers)))
    return made


#: what is said to a concentrator with the sites 20, 21 and 22 at revision 100 -> the steps
SAID: dict[str, tuple[str, list[Step]]] = {
    "the same again": (snapshot(entry(20), entry(21), entry(22)), []),
    "a site comes": (changes(101, entry(23)), [on(23)]),
    "a site goes": (changes(101, gone(21)), [RemovePeer(key(21))]),
    "one goes that never was": (changes(101, gone(30)), []),
    "a key changes: off and on at once": (
        changes(101, entry(21, public_key=key(77))),
        [RemovePeer(key(21)), on(21, 77)],
    ),
    "a preshared key changes": (
        changes(101, entry(21, psk=f"sealed:{site(21)}:{key(8)}")),
        [SetPeer(key(21), ("100.64.0.21/32",), key(8))],
    ),
    "begin anew": (changes(101, entry(21, reset=True)), [RemovePeer(key(21)), on(21)]),
    "comes and goes within one answer": (changes(101, entry(23), gone(23)), []),
    "goes and another comes with a key of its own": (
        changes(101, gone(20), entry(23)),
        [RemovePeer(key(20)), on(23)],
    ),
    "told again what it has": (changes(100, entry(22), entry(23)), [on(23)]),
    "a later snapshot names one as gone": (
        snapshot(entry(20), gone(21), entry(22), entry(23), revision=140),
        [RemovePeer(key(21)), on(23)],
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_what_is_said_becomes_steps(case: str) -> None:
    hub = began(20, 21, 22)
    text, wanted = SAID[case]
    taken = hub.take(text)
    assert (list(taken.steps), taken.rule, taken.follows) == (wanted, "", True)
    assert not hub.refused


#: an entry for site 23, beside 20, 21 and 22 -> the rule that it breaks
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "everything": ({"allowed": ["0.0.0.0/0"]}, "hub_entry_allowed"),
    "a net": ({"allowed": ["100.64.1.0/24"]}, "hub_entry_allowed"),
    "outside": ({"allowed": ["100.65.0.9/32"]}, "hub_entry_allowed"),
    "the hub's own address": ({"allowed": ["100.64.0.1/32"]}, "hub_entry_allowed"),
    "the net's last": ({"allowed": ["100.64.63.255/32"]}, "hub_entry_allowed"),
    "an IPv6 address where there is no IPv6": ({"allowed": ["2001:db8::1/128"]}, "hub_entry_allowed"),
    "two of a kind": ({"allowed": ["100.64.0.90/32", "100.64.0.91/32"]}, "hub_entry_allowed"),
    "no address": ({"allowed": []}, "hub_entry_form"),
    "another's address": ({"allowed": ["100.64.0.21/32"]}, "hub_address_twice"),
    "another's key": ({"public_key": key(21)}, "hub_key_twice"),
    "the hub's own key": ({"public_key": key(999)}, "hub_key_twice"),
    "no key": ({"public_key": "x"}, "hub_entry_form"),
    "words for wg": ({"public_key": "remove\n"}, "hub_entry_form"),
    "sealed to another site": ({"psk": f"sealed:{site(1)}:{key(1)}"}, "hub_psk_unsealed"),
    "no preshared key": ({"psk": ""}, "hub_psk_unsealed"),
    "no preshared key in the seal": ({"psk": f"sealed:{site(23)}:x"}, "hub_psk_unsealed"),
    "no site": ({"site": "x"}, "hub_entry_form"),
    "a host's bits": ({"allowed": ["100.64.0.23/31"]}, "hub_entry_allowed"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("whole", [False, True])
def test_w02_what_cannot_be_is_left_out_by_name_and_the_others_go_on(case: str, whole: bool) -> None:
    hub = began(20, 21, 22)
    other, rule = BAD[case]
    bad, good = entry(23) | other, entry(24)
    if whole:
        taken = hub.take(snapshot(entry(20), entry(21), entry(22), bad, good, revision=102))
    else:
        taken = hub.take(changes(101, bad, good))
    assert list(taken.steps) == [on(24)]
    assert list(hub.refused.values()) == [rule]
    assert hub.revision == 102


def test_a_bad_word_about_a_site_takes_nothing_from_it_and_a_good_one_mends_it() -> None:
    hub = began(20, 21, 22)
    assert hub.take(changes(101, entry(21, allowed=["0.0.0.0/0"]))).steps == ()
    assert hub.take(snapshot(entry(20), entry(21, allowed=["0.0.0.0/0"]), entry(22), revision=102)).steps == ()
    assert hub.refused == {site(21): "hub_entry_allowed"}
    assert hub.peers[site(21)].allowed == ("100.64.0.21/32",)
    assert hub.take(changes(103, entry(21))).steps == ()
    assert hub.refused == {}


def test_a_management_address_must_be_of_its_network() -> None:
    hub = core()
    hub.own = Own("hub-a", hub.own.network, hub.own.reserved, frozenset(), IPv6Network("2001:db8:7::/64"))
    hub.take(snapshot(entry(20, allowed=["100.64.0.20/32", "2001:db8:7::20/128"]),
                      entry(21, allowed=["100.64.0.21/32", "2001:db8:8::21/128"])))  # fmt: skip
    assert hub.peers.keys() == {site(20)}
    assert hub.refused == {site(21): "hub_entry_allowed"}


def many(hub: Core, numbers: range, **other: Any) -> Taken:
    return hub.take(snapshot(*map(entry, numbers), **other))


def test_a_snapshot_that_lacks_peers_without_a_word_is_not_believed() -> None:
    hub = began(*range(20, 420))
    for lacking in (snapshot(revision=101), snapshot(*map(entry, range(20, 399)), revision=101)):
        taken = hub.take(lacking)
        assert (taken.rule, taken.steps, len(hub.peers), hub.revision) == ("hub_snapshot_smaller", (), 400, 100)
    assert hub.missing == 21
    taken = many(hub, range(20, 400), revision=101)
    assert len(taken.steps) == 20
    assert not taken.rule
    named = [gone(number) for number in range(20, 300)]
    taken = hub.take(snapshot(*named, *map(entry, range(300, 400)), revision=102))
    assert (taken.rule, len(hub.peers)) == ("", 100)
    taken = hub.take(snapshot(entry(300), revision=103, smaller=True))
    assert (taken.rule, len(hub.peers)) == ("", 1)


def test_an_empty_snapshot_is_not_believed_however_few_peers_there_are() -> None:
    hub = began(20)
    assert hub.take(snapshot(revision=101)).rule == "hub_snapshot_smaller"
    assert hub.take(snapshot(gone(20), revision=101)).steps == (RemovePeer(key(20)),)


def test_changes_that_do_not_follow_ask_for_the_snapshot_and_change_nothing() -> None:
    hub = core()
    assert hub.take(changes(1, entry(20))) == Taken(follows=False)
    hub = began(20, 21)
    assert hub.take(changes(102, entry(22))) == Taken(follows=False)
    assert hub.take(changes(101, entry(22), epoch=2)) == Taken(follows=False)
    assert hub.take(said("changes", [entry(22, 101), entry(23, 103)], 101, 103)).rule == "hub_feed_gap"
    assert hub.take(said("changes", [], 101, 103)).rule == "hub_feed_gap"
    assert (hub.revision, len(hub.peers)) == (100, 2)


def test_f31_two_controllers_the_one_of_an_older_epoch_is_not_heard() -> None:
    hub = core()
    hub.take(snapshot(entry(20), epoch=5))
    assert hub.take(snapshot(entry(20), entry(21), revision=900, epoch=4)).rule == "hub_epoch_old"
    assert hub.take(changes(101, gone(20), epoch=4)).rule == "hub_epoch_old"
    assert hub.take(snapshot(entry(20), entry(21), revision=99, epoch=5)).rule == "hub_snapshot_old"
    assert hub.take(snapshot(entry(20), entry(21), revision=3, epoch=6)).steps == (on(21),)
    assert (hub.epoch, hub.revision) == (6, 3)


def test_what_is_not_signed_or_for_another_changes_nothing() -> None:
    hub = began(20)
    forged = envelope.sign("peers", {"concentrator": "hub-a", "epoch": 1, "kind": "snapshot", "first": 0,
                                     "revision": 200, "peers": []}, Ed25519PrivateKey.generate())  # fmt: skip
    assert hub.take(forged).rule == "layer_unsigned"
    assert hub.take("{}").rule == "layer_fields"
    body = {"concentrator": "hub-b", "epoch": 1, "kind": "snapshot", "first": 0, "revision": 200, "peers": []}
    assert hub.take(envelope.sign("peers", body, CITY)).rule == "peers_other_concentrator"
    assert hub.revision == 100


class Device:
    """What WireGuard does with steps: an address belongs to whoever got it last."""

    def __init__(self) -> None:
        self.peers: dict[str, SetPeer] = {}

    def perform(self, made: list[Step] | tuple[Step, ...]) -> None:
        for step in made:
            if isinstance(step, RemovePeer):
                self.peers.pop(step.public_key, None)
                continue
            for other, peer in list(self.peers.items()):
                left = tuple(one for one in peer.allowed if one not in step.allowed)
                self.peers[other] = SetPeer(other, left, peer.psk)
            self.peers[step.public_key] = step

    def actual(self) -> Actual:
        return Actual(key(999), 51820, {
            name: ActualPeer(name, peer.psk, "", tuple(sorted(peer.allowed)), 0, 0, 0) for name, peer in self.peers.items()
        })  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_whatever_comes_in_whatever_order_the_device_is_what_was_signed(seed: int) -> None:
    """A registry's history, of which the agent misses parts, is killed before it acts, and has its device disturbed."""
    chance, hub, device, state = Random(seed), core(), Device(), dict[int, dict[str, Any]]()
    feed: list[dict[str, Any]] = []
    for _ in range(60):
        number = chance.randint(20, 32)
        was = state.get(number)
        one = gone(number) if was and chance.random() < 0.3 else entry(number, public_key=key(1000 + len(feed)))
        if was and chance.random() < 0.2:
            one = was | {"reset": True}
        feed.append(one | {"revision": len(feed) + 1})
        if one.get("gone"):
            state.pop(number, None)
        else:
            state[number] = feed[-1] | {"reset": False}
        if chance.random() < 0.5:
            continue
        if not hub.has_snapshot or chance.random() < 0.1:
            left = {int(each["site"][-8:]) for each in feed} - state.keys()
            text = snapshot(*state.values(), *map(gone, left), revision=len(feed))
        else:
            text = said("changes", feed[hub.revision :], hub.revision + 1, len(feed))
        taken = hub.take(text)
        assert (taken.rule, taken.follows) == ("", True)
        if chance.random() < 0.8:
            device.perform(taken.steps)
        if chance.random() < 0.2 and device.peers:
            device.perform([RemovePeer(chance.choice(list(device.peers)))])
        assert {peer.site for peer in hub.peers.values()} == {each["site"] for each in state.values()}
    device.perform(steps.compare(device.actual(), hub.peers))
    assert steps.compare(device.actual(), hub.peers) == []
    wanted = {peer.public_key: peer.allowed for peer in hub.peers.values()}
    assert {name: peer.allowed for name, peer in device.peers.items()} == wanted


def test_a_dump_is_read_and_compared() -> None:
    hub = began(20, 21, 22)
    text = "\n".join([
        f"PRIVATE\t{key(999)}\t51820\toff",
        f"{key(20)}\t{key(5020)}\t192.0.2.7:4000\t100.64.0.20/32\t1700000000\t10\t20\toff",
        f"{key(21)}\t(none)\t(none)\t100.64.0.21/32\t0\t0\t0\toff",
        f"{key(66)}\t(none)\t(none)\t(none)\t0\t0\t0\t25",
    ])  # fmt: skip
    actual = steps.read_dump(text)
    assert (actual.public_key, actual.port, actual.peers[key(20)].endpoint) == (key(999), 51820, "192.0.2.7:4000")
    assert steps.compare(actual, hub.peers) == [RemovePeer(key(66)), on(21), on(22)]
    assert "PRIVATE" not in repr(actual)
    assert key(5020) not in repr(actual)
    for bad in ("", "x", text + "\nshort\tline"):
        with pytest.raises(ValueError):
            steps.read_dump(bad)


def test_words_for_wg_hold_no_secret() -> None:
    made = steps.words([RemovePeer(key(1)), on(20)], {key(20): 7})
    assert made == ["peer", key(1), "remove", "peer", key(20), "preshared-key", "/dev/fd/7",
                    "allowed-ips", "100.64.0.20/32"]  # fmt: skip


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 60) | st.text(max_size=30) | st.sampled_from(
        [key(20), key(21), site(20), site(23), "100.64.0.20/32", "100.64.0.23/32", "::/0", f"sealed:{site(23)}:{key(3)}"]
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
ENTRY = st.dictionaries(
    st.sampled_from(["site", "public_key", "allowed", "psk", "revision", "gone", "reset"]), ANYTHING
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["snapshot", "changes"]), st.lists(ENTRY, max_size=4), st.integers(0, 1 << 53), st.integers(0, 200)
)
def test_whatever_the_city_signs_the_device_stays_sane(
    kind: str, entries: list[dict[str, Any]], revision: int, first: int
) -> None:
    hub = began(20, 21, 22)
    device = Device()
    device.perform(steps.compare(device.actual(), hub.peers))
    numbered = [one | {"revision": 101 + at} for at, one in enumerate(entries)]
    for text in (said(kind, entries, first, revision), said(kind, numbered, 101, 100 + len(entries))):
        device.perform(hub.take(text).steps)
        owners = [address for peer in device.peers.values() for address in peer.allowed]
        assert len(owners) == len(set(owners)) == len(device.peers)
        assert all(address.startswith("100.64.") and address.endswith("/32") for address in owners)
        assert steps.compare(device.actual(), hub.peers) == []
