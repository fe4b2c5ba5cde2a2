"""A site's tunnel at a concentrator: its address and keys have one owner, for ever."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from city.registry import addresses, feeds, peers
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store, open_store
from city.registry.tables import Address, Concentrator, Peer, Site, SpentKey
from netconf import sealed, words
from netconf.envelope import SEALED_FOR_HUB

NOW = 1_780_000_000.0
HUB_KEY = ec.generate_private_key(ec.SECP256R1())
DEVICE_KEY = ec.generate_private_key(ec.SECP256R1())


def der(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


def key(number: int) -> str:
    return base64.b64encode(number.to_bytes(32, "big")).decode()


def site_id(number: int) -> str:
    return f"340200000020{number:08d}"


def hub(session: Session, name: str = "hub-a", network: str = "100.64.0.0/24", **other: Any) -> None:
    row = {"plane": "wg-a", "public_key": key(hash(name) & 0xFFFFFF | 1 << 200), "endpoint": "192.0.2.1:51820",
           "probe": "100.64.0.1", "allowed": "[]", "seal_key": der(HUB_KEY)} | other  # fmt: skip
    session.add(Concentrator(id=name, name=name, network=network, **row))
    session.flush()
    feeds.make(session, peers.feed(name))


def site(session: Session, number: int = 1) -> str:
    row = Site(id=site_id(number), name="s", civil_code="340200", state="active", made_by="x", made_at=NOW,
               device_key=der(DEVICE_KEY), device=f"{number:064x}")  # fmt: skip
    session.add(row)
    session.flush()
    return row.id


def refused(rule: str) -> Any:
    return pytest.raises(RegistryRefused, match=f"^{rule}$")


def told(session: Session, name: str = "hub-a", after: int = 0) -> list[dict[str, Any]]:
    return list(peers.told(feeds.after(session, peers.feed(name), after, 100) or ()))


def test_a_site_gets_an_address_and_its_concentrator_hears_of_it(store: Store, signer: Signer) -> None:
    with store.begin() as session:
        hub(session)
        peer = peers.put_on(session, signer, site(session), "wg-a", "hub-a", key(1), NOW)
        assert peer.address == "100.64.0.10"
        assert peers.put_on(session, signer, peer.site, "wg-a", "hub-a", key(1), NOW) is peer
        [said] = told(session)
        assert said.pop("psk") == peer.psk
        assert said == {"site": site_id(1), "public_key": key(1), "allowed": ["100.64.0.10/32"], "revision": 1}
        psk = sealed.unseal(peer.psk, HUB_KEY, SEALED_FOR_HUB + peer.site)
        assert len(base64.b64decode(psk)) == 32
        opened = json.loads(sealed.unseal(peer.psk_box, DEVICE_KEY, f"box {peer.site}"))
        assert opened["psk"] == {"wg-a": psk.decode()}
        assert peers.snapshot(session, "hub-a") == (1, [said | {"psk": peer.psk}])


def test_addresses_are_given_once_and_a_full_network_says_so(store: Store) -> None:
    with store.begin() as session:
        hub(session, network="100.64.0.0/28")
        session.add(Address(address="100.64.0.11", concentrator="hub-a", site="somebody", given_at=NOW))
        session.flush()
        given = [str(addresses.give(session, "hub-a", site_id(n), NOW)) for n in range(4)]
        assert given == ["100.64.0.10", "100.64.0.12", "100.64.0.13", "100.64.0.14"]
        with refused("network_full"):
            addresses.give(session, "hub-a", site_id(9), NOW)
        with refused("concentrator_unknown"):
            addresses.give(session, "hub-x", site_id(9), NOW)
    assert addresses.capacity("100.64.0.0/28") == 5
    assert IPv4Network("100.64.0.0/28").broadcast_address not in given


def test_whoever_is_revoked_is_off_everywhere_and_stays_so(store: Store, signer: Signer) -> None:
    with store.begin() as session:
        hub(session)
        hub(session, "hub-b", "100.96.0.0/24", plane="wg-b")
        who = site(session)
        peers.put_on(session, signer, who, "wg-a", "hub-a", key(1), NOW)
        peers.put_on(session, signer, who, "wg-b", "hub-b", key(2), NOW)
        peers.offer_key(session, who, "wg-a", key(3), NOW)
        other = peers.put_on(session, signer, site(session, 2), "wg-a", "hub-a", key(4), NOW)
        assert peers.put_off(session, who, NOW) == ("wg-a", "wg-b")
        assert peers.put_off(session, who, NOW) == ()
        assert told(session, after=2) == [{"site": who, "gone": True, "revision": 3}]
        assert told(session, "hub-b", 1) == [{"site": who, "gone": True, "revision": 2}]
        assert peers.snapshot(session, "hub-b") == (2, [{"site": who, "gone": True}])
        assert [entry["site"] for entry in peers.snapshot(session, "hub-a")[1]] == [other.site, who]
        with refused("site_revoked"):
            peers.put_on(session, signer, who, "wg-a", "hub-a", key(5), NOW)
        with refused("site_revoked"):
            peers.reset(session, who, "wg-a", NOW)
        for number in (1, 2, 3):
            with refused("key_taken"):
                peers.put_on(session, signer, site(session, 10 + number), "wg-a", "hub-a", key(number), NOW)
        fresh = peers.put_on(session, signer, site(session, 3), "wg-a", "hub-a", key(6), NOW)
        assert fresh.address == "100.64.0.12"


def test_w02_a_key_has_one_owner_whichever_column_it_stands_in(store: Store, signer: Signer) -> None:
    with store.begin() as session:
        hub(session)
        peers.take_key(session, key(100), "")
        one, two = site(session, 1), site(session, 2)
        peers.put_on(session, signer, one, "wg-a", "hub-a", key(1), NOW)
        peers.put_on(session, signer, two, "wg-a", "hub-a", key(2), NOW)
        for taken in (1, 2, 100):
            with refused("key_taken"):
                peers.offer_key(session, two, "wg-a", key(taken), NOW)
        peers.offer_key(session, one, "wg-a", key(3), NOW)
        peers.offer_key(session, one, "wg-a", key(3), NOW)
        with refused("key_taken"):
            peers.offer_key(session, two, "wg-a", key(3), NOW)
        with refused("key_taken"):
            peers.put_on(session, signer, site(session, 3), "wg-a", "hub-a", key(3), NOW)
        for bad in ("", key(1)[:-1], "A" * 43 + "=" + "A", "B" * 43 + "="):
            with refused("key_form"):
                peers.offer_key(session, two, "wg-a", bad, NOW)


def test_a_rotation_is_one_change_and_the_old_key_is_spent(store: Store, signer: Signer) -> None:
    with store.begin() as session:
        hub(session)
        who = site(session)
        before = peers.put_on(session, signer, who, "wg-a", "hub-a", key(1), NOW).address
        with refused("key_not_offered"):
            peers.exchange_key(session, who, "wg-a", NOW)
        peers.offer_key(session, who, "wg-a", key(2), NOW)
        assert len(told(session)) == 1
        assert peers.exchange_key(session, who, "wg-a", NOW + 5) == 2
        assert told(session)[1]["public_key"] == key(2)
        assert told(session)[1]["allowed"] == [f"{before}/32"]
        peers.forget_key(session, who, "wg-a", NOW + 5)
        spent = session.get(SpentKey, key(1))
        assert spent is not None
        session.refresh(spent)
        assert spent.spent_at == NOW + 5
        with refused("key_taken"):
            peers.offer_key(session, who, "wg-a", key(1), NOW)
        assert peers.reset(session, who, "wg-a", NOW) == 3
        assert told(session)[2]["reset"] is True


def test_a_site_moves_and_its_old_address_is_nobodys(store: Store, signer: Signer) -> None:
    with store.begin() as session:
        hub(session)
        hub(session, "hub-c", "100.65.0.0/24")
        hub(session, "hub-b", "100.96.0.0/24", plane="wg-b")
        who = site(session)
        peers.put_on(session, signer, who, "wg-a", "hub-a", key(1), NOW)
        with refused("concentrator_other_plane"):
            peers.put_on(session, signer, who, "wg-a", "hub-b", key(1), NOW)
        moved = peers.put_on(session, signer, who, "wg-a", "hub-c", key(1), NOW)
        assert moved.address == "100.65.0.10"
        assert peers.snapshot(session, "hub-a") == (2, [{"site": who, "gone": True}])
        back = peers.put_on(session, signer, who, "wg-a", "hub-a", key(1), NOW)
        assert back.address == "100.64.0.11"
        assert [entry.get("gone") for entry in peers.snapshot(session, "hub-a")[1]] == [None]
        row = session.get(Concentrator, "hub-c")
        assert row is not None
        row.state = "draining"
        with refused("concentrator_draining"):
            peers.put_on(session, signer, site(session, 2), "wg-a", "hub-c", key(2), NOW)


def test_two_at_once_with_one_key_and_one_of_them_is_refused_by_name(store_url: str, signer: Signer) -> None:
    stores = [open_store(store_url, upgrade=False) for _ in range(4)]
    with stores[0].begin() as session:
        hub(session)
        for number in range(8):
            site(session, number)

    def come(number: int) -> str:
        try:
            with stores[number % 4].begin() as session:
                return peers.put_on(
                    session, signer, site_id(number), "wg-a", "hub-a", key(7 + number // 2), NOW
                ).address
        except RegistryRefused as wrong:
            return wrong.rule

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(come, range(8)))
    assert sorted(found)[4:] == ["key_taken"] * 4
    assert sorted(found)[:4] == [f"100.64.0.{n}" for n in range(10, 14)]
    with stores[0].read() as session:
        assert session.scalar(select(func.count()).select_from(Peer)) == 4
        assert feeds.head(session, peers.feed("hub-a")) == 4
    for store in stores:
        store.close()


def test_what_is_refused_has_words() -> None:
    for rule in ("network_full", "key_taken", "key_form", "key_not_offered", "peer_unknown", "site_without_device",
                 "concentrator_unknown", "concentrator_draining", "concentrator_other_plane"):  # fmt: skip
        assert words.of(rule), rule
