"""A registry that was laid back from a backup, and two registries on one signing process (faults.json, F31)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from city.registry import addresses, layers, peers, reports, restored, revocation, rotation
from city.registry.layers import Why
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer, SignRefused
from city.registry.store import Store, open_store
from city.registry.tables import Concentrator, Layer, Peer, Site
from city.signing.marks import Marks, MarksInUse
from netconf import envelope
from tests import fleet
from tests.fleet import NOW


def backup(store: Store, path: Path) -> Store:
    """A copy of the database as it is now, which is all that is left of it."""
    store.close()
    database = store.engine.url.database
    assert database
    copy = path / "yesterday.sqlite"
    with open_store(f"sqlite:///{database}", upgrade=False).begin() as session:
        session.connection().exec_driver_sql("SELECT 1")
    shutil.copy(database, copy)
    wal = Path(f"{database}-wal")
    if wal.exists():
        shutil.copy(wal, f"{copy}-wal")
    return open_store(f"sqlite:///{copy}", upgrade=False)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_f31_yesterdays_database_goes_on_and_what_was_revoked_stays_so(
    store: Store, signer: Signer, tmp_path: Path
) -> None:
    with store.begin() as session:
        fleet.found(session)
        kept, gone = (fleet.enrolled(session, signer, number).id for number in (1, 2))
    yesterday = backup(store, tmp_path)
    with store.begin() as session:
        site = session.get_one(Site, kept)
        for number in range(3):
            site.name = f"name {number}"
            session.flush()
            layers.offer(session, signer, site, NOW, Why("li", "edited"))
        revocation.revoke(session, signer, session.get_one(Site, gone), "li", "stolen", NOW)
        newest = envelope_mark(session.execute(select(Layer).where(Layer.site == kept)).scalars().all())
    assert newest == (1, 4)
    # Until somebody says so, the revoked one is signed for by nobody, whatever the old database says.
    with yesterday.begin() as session:
        revoked = session.get_one(Site, gone)
        assert revoked.state == "active"
        revoked.name = "other"
        session.flush()
        with pytest.raises(SignRefused, match="sign_revoked"):
            layers.offer(session, signer, revoked, NOW, Why("li", "edited"))
        hub = session.execute(select(Peer.concentrator).where(Peer.site == gone)).scalars().first()
        assert hub
        revision, entries = peers.snapshot(session, hub)
        told = {"concentrator": hub, "epoch": 1, "kind": "snapshot", "first": 0, "revision": revision, "peers": entries}
        with pytest.raises(SignRefused, match="sign_revoked"):
            signer.sign_peers(told)
        session.rollback()
    with yesterday.begin() as session:
        done = restored.restored(session, signer, "sys", "the disk died", NOW)
    assert (done.epoch, done.revoked, done.unknown, done.offered, done.refused) == (2, (gone,), (), 1, ())
    with yesterday.read() as session:
        assert session.get_one(Site, gone).state == "revoked" and session.get_one(Site, gone).revocation
        assert session.execute(select(Peer.state).where(Peer.site == gone)).scalars().all() == ["off", "off"]
        layer = session.get_one(Layer, (kept, 2, 1))
        assert envelope.claimed_mark(layer.envelope) == (2, 1), "a lower revision of a newer epoch"
    # The one that was thought lost comes back: it is the older of two now.
    with store.begin() as session:
        site = session.get_one(Site, kept)
        site.name = "a second controller"
        session.flush()
        with pytest.raises(RegistryRefused) as refused:
            layers.offer(session, signer, site, NOW, Why("li", "edited"))
        assert refused.value.rule in ("sign_old", "sign_epoch_old")
        with pytest.raises(SignRefused, match="sign_epoch_old"):
            signer.sign_peers(told | {"peers": [], "revision": 99})
        session.rollback()
    with yesterday.begin() as session:
        assert restored.restored(session, signer, "sys", "laid back once more", NOW).epoch == 3
    yesterday.close()


def envelope_mark(rows: list[Layer]) -> tuple[int, int]:
    return max((row.epoch, row.revision) for row in rows)


def test_f31_a_site_that_the_backup_does_not_know_is_still_revoked(store: Store, signer: Signer) -> None:
    stranger = "34020000002009990001"
    signer.sign_revocation({"site": stranger, "device": "0" * 64, "epoch": 1, "at": int(NOW), "reason": "stolen"})
    with store.begin() as session:
        fleet.found(session)
        done = restored.restored(session, signer, "sys", "backup", NOW)
    assert done.unknown == (stranger,)
    with pytest.raises(SignRefused, match="sign_revoked"):
        signer.certify("-", f"site:{stranger}", days=90)


def test_f31_an_epoch_does_not_jump_and_does_not_fall(signer: Signer) -> None:
    told = {"concentrator": "hub-a", "kind": "snapshot", "first": 0, "revision": 0, "peers": []}
    signer.sign_peers(told | {"epoch": 7})
    assert signer.standing() == (7, ())
    for epoch, rule in ((6, "sign_epoch_old"), (5000, "sign_epoch_far")):
        with pytest.raises(SignRefused, match=rule):
            signer.sign_peers(told | {"epoch": epoch})
    assert signer.standing() == (7, ())


def test_f31_what_the_signing_process_remembers_outlives_it_and_is_one_processs(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "m.sqlite")
    marks.rise_epoch(4)
    for number in range(1500):
        marks.revoke(f"{number:020d}", 1)
    with pytest.raises(MarksInUse):
        Marks(tmp_path / "m.sqlite")
    marks.close()
    again = Marks(tmp_path / "m.sqlite")
    assert again.epoch() == 4 and again.is_revoked(f"{7:020d}")
    first = again.revoked("", 1000)
    assert len(first) == 1000 and len(again.revoked(first[-1], 1000)) == 500
    again.close()


@pytest.mark.parametrize("heard", ["the box", "the concentrators"])
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_f31_an_address_that_was_given_since_the_backup_is_nobody_elses(
    store: Store, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: str
) -> None:
    with store.begin() as session:
        fleet.found(session)
    yesterday = backup(store, tmp_path)
    with store.begin() as session, monkeypatch.context() as patch:
        if heard == "the concentrators":
            patch.setattr(layers, "offer", lambda *given: 1)
        fleet.enrolled(session, signer, 1)
    with store.read() as session:
        for hub in ("hub-a", "hub-b") if heard == "the concentrators" else ():
            revision, entries = peers.snapshot(session, hub)
            told = {"concentrator": hub, "epoch": 1, "kind": "snapshot", "first": 0, "revision": revision}
            signer.sign_peers(told | {"peers": entries})
        given = set(session.scalars(select(Peer.address)))
    with yesterday.begin() as session:
        restored.restored(session, signer, "sys", "the disk died", NOW)
    with yesterday.begin() as session:
        fleet.enrolled(session, signer, 2)
        assert not given & set(session.scalars(select(Peer.address)))
    yesterday.close()


def test_an_address_is_stepped_over_in_its_own_network_alone(store: Store, signer: Signer) -> None:
    """A registry that was taken over told a concentrator of addresses that it never gave."""
    entry = {"site": fleet.site_id(9), "public_key": fleet.key(7), "psk": "", "revision": 1}
    told = {"concentrator": "hub-a", "epoch": 1, "kind": "changes", "first": 1, "revision": 1}
    for address in ("100.64.63.255/32", "192.0.2.1/32", "100.95.255.255/32", "100.96.64.0/32"):
        signer.sign_peers(told | {"peers": [entry | {"allowed": [address]}]})
    with store.begin() as session:
        fleet.found(session)
        restored.restored(session, signer, "sys", "the disk died", NOW)
        taken = {hub.id: hub.taken for hub in session.scalars(select(Concentrator))}
        assert taken == {"hub-a": addresses.capacity("100.64.0.0/18"), "hub-b": 0}


@pytest.mark.parametrize("used", [True, False])
def test_f10_f31_an_exchange_that_ran_when_the_backup_was_made_comes_to_its_end(
    store: Store, signer: Signer, used: bool
) -> None:
    with store.begin() as session:
        fleet.found(session)
        site = fleet.enrolled(session, signer, 1)
        for number in range(3):
            site.name = f"name {number}"
            layers.offer(session, signer, site, NOW, Why("li", "edited"))
        rotation.begin(session, site, "wg-b", "li", NOW)
        rotation.heard(session, signer, site, {"wg-b": fleet.key(77)}, NOW)
        peer = session.get_one(Peer, (site.id, "wg-b"))
        assert (peer.rotation, peer.rotation_revision) == ("exchanging", 5)
        restored.restored(session, signer, "sys", "the disk died", NOW)
        session.refresh(site)
        told = fleet.report(site, 0) | {"city_layer": [2, 1]}
        told["change"]["applied"] = [2, 1] if used else [1, 4]
        reports.settle(session, signer, site, reports.read(told), NOW)
        session.refresh(peer)
        assert (peer.rotation, peer.public_key == fleet.key(77)) == ("", used)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_f31_a_site_that_was_revoked_before_it_had_a_device_stays_so(
    store: Store, signer: Signer, tmp_path: Path
) -> None:
    with store.begin() as session:
        session.add(Site(id=fleet.site_id(1), name="s", civil_code="340200", made_by="li", made_at=NOW))
    yesterday = backup(store, tmp_path)
    with store.begin() as session:
        site = session.get_one(Site, fleet.site_id(1))
        revocation.revoke(session, signer, site, "sec", "never built", NOW)
        assert (site.state, site.revocation) == ("revoked", "")
    with yesterday.begin() as session:
        assert restored.restored(session, signer, "sys", "the disk died", NOW).revoked == (fleet.site_id(1),)
    yesterday.close()
