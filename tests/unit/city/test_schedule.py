"""The schedule process: one leads, a job that fails is named and stops no other, and all of it may be done twice."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from city import schedule as schedule_module
from city.api.concentrators import Snapshots
from city.registry import concentrators, health, layers, reports, revocation, trimming
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer, SignRefused
from city.registry.store import Store, open_store
from city.registry.tables import Alert, Audit, Claim, Health, Hook, Meta, ReceiptHead, Site
from city.registry.tables import Session as SignedIn
from city.schedule import JOBS, Schedule
from city.signing import keys
from city.telling.places import Untold
from netconf import envelope
from tests import fleet
from tests.fleet import NOW


class Log:
    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, code: str, about: str = "", **facts: Any) -> None:
        self.said.append((code, facts))


@pytest.fixture
def sites(store: Store, signer: Signer) -> list[Site]:
    with store.begin() as session:
        fleet.found(session)
        made = [fleet.enrolled(session, signer, number) for number in range(3)]
        session.execute(delete(Health))
        for site in made:
            site.approved_at = NOW
        return made


def test_a_site_that_falls_silent_is_told_through_all_the_jobs(store: Store, signer: Signer, sites: list[Site]) -> None:
    at, log, got = [NOW], Log(), []
    made = Schedule(store, signer, lambda: at[0], log, lambda message, now: got.append(message))
    with store.begin() as session:
        session.add(Hook(kind="webhook", target="https://x.example/", secret="00"))

    def hubs() -> None:
        with store.begin() as session:
            for hub in session.scalars(select(fleet.Concentrator)):
                said = {"alive": "AAAA", "slots": [[hub.public_key, 51820]]}
                hub.revision, hub.seen_at, hub.report = 99, at[0], json.dumps(said)

    tunnels = {f"wg-{plane}": {"handshake_age_seconds": 15} for plane in "ab"}
    for step in range(140):
        at[0] = NOW + 5 * step
        with store.begin() as session:
            health.awake(session, at[0])
            if step % 12 == 0:
                some = sites if step < 24 else sites[1:]
                reports.keep(session, [(reports.read(fleet.report(s, 1, tunnels=tunnels)), at[0]) for s in some])
        hubs()
        made.turn(5.0 * step)
        made.rest()
    assert [(message.facts["what"], message.facts["code"], message.facts["subject"]) for message in got] == [
        ("open", "site_dark", f"site:{sites[0].id}")
    ]
    assert made.failed == {} and log.said == []


def test_a_job_that_fails_is_named_and_the_others_go_on(store: Store, signer: Signer) -> None:
    done, log = [], Log()

    def bad(*_: Any) -> None:
        raise ZeroDivisionError

    jobs = {"bad": (1.0, bad), "well": (1.0, lambda *_: done.append(1))}
    made = Schedule(store, signer, lambda: NOW, log, jobs=jobs)  # type: ignore[arg-type]
    for second in range(3):
        made.turn(float(second))
        made.rest()
    assert (made.failed, len(done)) == ({"bad": 3}, 3)
    assert log.said[0] == ("schedule_job", {"job": "bad", "what": "ZeroDivisionError"})


def test_every_job_may_be_done_again(store: Store, signer: Signer, sites: list[Site]) -> None:
    made = Schedule(store, signer, lambda: NOW, Log())

    def rows() -> list[Any]:
        with store.read() as session:
            return [session.scalar(select(func.count()).select_from(table)) for table in (Alert, Health, Site)]

    for name, (_, work) in JOBS.items():
        for _ in range(2):
            work(store, signer, NOW)
        assert name in made.jobs
    before = rows()
    for _, work in JOBS.values():
        work(store, signer, NOW)
    assert rows() == before


def test_one_leads_and_the_next_takes_over(store_url: str, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_module, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(schedule_module, "TURN_SECONDS", 0.05)
    stores = [open_store(store_url, upgrade=False) for _ in range(2)]
    ended, logs, threads = [threading.Event(), threading.Event()], [Log(), Log()], []

    def codes(number: int) -> list[str]:
        return [code for code, _ in logs[number].said]

    def until(what: Any) -> None:
        for _ in range(600):
            if what():
                return
            threading.Event().wait(0.05)
        raise AssertionError([codes(0), codes(1)])

    try:
        for number, store in enumerate(stores):
            made = Schedule(store, signer, lambda: NOW, logs[number], jobs={})
            threads.append(threading.Thread(target=schedule_module.run, args=(made, ended[number]), daemon=True))
            threads[-1].start()
            until(lambda number=number: codes(number))
        assert (codes(0)[0], set(codes(1))) == ("schedule_leads", {"schedule_waits"})
        ended[0].set()
        until(lambda: "schedule_leads" in codes(1))
    finally:
        for event in ended:
            event.set()
        for thread in threads:
            thread.join(30)
        for store in stores:
            store.close()


def test_a_hook_that_fails_does_not_stop_a_turn(store: Store, signer: Signer, sites: list[Site]) -> None:
    def deliver(*_: Any) -> None:
        raise Untold("hook_away")

    log = Log()
    made = Schedule(store, signer, lambda: NOW, log, deliver)
    with store.begin() as session:
        session.add(Hook(kind="webhook", target="https://x.example/", secret="00"))
        schedule_module.troubles.alerts.raise_(session, NOW, "rollout_halted", "rollout:1", "error", rollout=1)
    made.jobs = {"queue": JOBS["queue"]}
    made.turn(0.0)
    made.rest()
    assert [code for code, _ in log.said] == ["hook_fails"] and made.failed == {}


def test_what_has_run_out_is_forgotten_and_nothing_else(store: Store, signer: Signer, sites: list[Site]) -> None:
    old, site = NOW - trimming.HEAD_SECONDS - 1, sites[0].id
    with store.begin() as session:
        for number, at in ((1, old), (2, old), (3, NOW)):
            session.add(ReceiptHead(site=site, sequence=number, hash="a" * 64, at=at))
        session.add(ReceiptHead(site=sites[1].id, sequence=9, hash="a" * 64, at=old))
        for prefix, device, at in (("a", None, 0.0), ("b", "d", 0.0), ("c", None, NOW)):
            session.add(Claim(prefix=prefix, hash="", site=site, made_at=0, ends_at=at, device=device))
        session.add(fleet_person())
        session.flush()
        for name, at in (("old", NOW - 86_400), ("new", NOW - 10)):
            session.add(SignedIn(id=name, person="li", csrf="", made_at=at, seen_at=at))
    for _ in range(2):
        with store.begin() as session:
            trimming.trim(session, NOW)
    with store.read() as session:
        assert sorted(session.scalars(select(ReceiptHead.sequence))) == [3, 9], "a site's newest stays, however old"
        assert sorted(session.scalars(select(Claim.prefix))) == ["b", "c"]
        assert list(session.scalars(select(SignedIn.id))) == ["new"]


def fleet_person() -> Any:
    from city.registry.tables import Person

    return Person(name="li", password="", role="viewer", made_at=NOW)


def cut(store: Store, signer: Signer, site: str) -> None:
    """Killed between the signature and the commit: the signing process knows it, the registry does not."""
    with pytest.raises(ConnectionAbortedError), store.begin() as session:
        revocation.revoke(session, signer, session.get_one(Site, site), "sec", "stolen", NOW)
        raise ConnectionAbortedError


def test_f31_a_revocation_that_was_cut_off_is_done_by_the_next_turn(
    store: Store, signer: Signer, sites: list[Site], city_keys: keys.Keys
) -> None:
    gone, kept = sites[0].id, sites[1].id
    cut(store, signer, gone)
    snapshots = Snapshots()
    with pytest.raises(SignRefused, match="sign_revoked"):
        snapshots.get(store, signer, "hub-a", NOW)
    made = Schedule(store, signer, lambda: NOW, Log(), jobs={"revocations": JOBS["revocations"]})
    for second in (0.0, 3600.0):
        made.turn(second)
        made.rest()
    assert made.failed == {}
    said = envelope.open_peers(
        snapshots.get(store, signer, "hub-a", NOW), city_keys.city.public_key(), concentrator="hub-a"
    )
    assert {"site": gone, "gone": True} in said.peers and [one["site"] for one in said.peers if "gone" not in one] == [
        kept, sites[2].id,
    ]  # fmt: skip
    with store.read() as session:
        assert [session.get_one(Site, one).state for one in (gone, kept)] == ["revoked", "active"]
        lines = session.scalars(select(Audit).where(Audit.what == "site.revoke")).all()
        assert [(line.who, line.subject) for line in lines] == [("registry", f"site:{gone}")], "once"


def test_a_revocation_that_cannot_be_finished_keeps_back_no_other(
    store: Store, signer: Signer, sites: list[Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    for site in sites:
        cut(store, signer, site.id)
    really = revocation.revoke

    def revoke(session: Any, signer_: Any, site: Site, *rest: Any) -> None:
        really(session, signer_, site, *rest)
        if site.id == sites[0].id:
            raise RegistryRefused("taken")

    monkeypatch.setattr(revocation, "revoke", revoke)
    made = Schedule(store, signer, lambda: NOW, Log(), jobs={"revocations": JOBS["revocations"]})
    made.turn(0.0)
    made.rest()
    with store.read() as session:
        assert [session.get_one(Site, site.id).state for site in sites] == ["active", "revoked", "revoked"]
    assert made.failed == {"revocations": 1}, "and it is said"
    monkeypatch.setattr(revocation, "revoke", really)
    made.turn(3600.0)
    made.rest()
    with store.read() as session:
        assert session.get_one(Site, sites[0].id).state == "revoked"


def test_f17_what_a_concentrators_new_key_means_for_its_sites_is_told_by_the_schedule(
    store: Store, signer: Signer, sites: list[Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concentrators, "MOST_TOLD", 2)
    fresh = fleet.key(4242)
    with store.begin() as session:
        concentrators.rotate(session, "sys", "hub-a", NOW)
        hub = session.get_one(fleet.Concentrator, "hub-a")
        slots = [[hub.public_key, 51820, 0], [fresh, 51821, 0]]
        concentrators.heard(session, "hub-a", {"revision": 1, "slots": slots}, NOW)
        # One whose own fields no box would take any more is left out by name, and nobody waits for it.
        session.get_one(Site, sites[1].id).own = json.dumps({"control": {"address": "nowhere"}})
        concentrators.exchange(session, "sys", "hub-a", NOW)
    log = Log()

    def told() -> list[bool]:
        with store.read() as session:
            newest = [layers.newest(session, session.get_one(Site, site.id)) for site in sites]
            return [layer is not None and fresh in layer.body for layer in newest]

    assert told() == [False, False, False]
    jobs = {"keys": JOBS["keys"]}
    after = []
    for step in range(4):
        # Another process each time: how far it has come stands in the tables.
        made = Schedule(store, signer, lambda: NOW, log, jobs=jobs)
        made.turn(60.0 * step)
        made.rest()
        assert made.failed == {}
        after.append(told())
    assert after == [[True, False, False], [True, False, True], [True, False, True], [True, False, True]]
    with store.begin() as session:
        with pytest.raises(RegistryRefused, match="concentrator_not_told"):
            concentrators.finish(session, "sys", "hub-a", NOW)
        assert [session.get_one(Site, site.id).offered for site in sites] == [2, 1, 2], "each once"
        alert = session.scalars(select(Alert).where(Alert.code == "concentrator_untold")).one()
        assert json.loads(alert.args) == {"concentrator": "hub-a", "count": 1, "site": sites[1].id}
        session.get_one(Site, sites[1].id).own = "{}"
    for step in range(2):
        Schedule(store, signer, lambda: NOW, log, jobs=jobs).turn(60.0 * step)
    assert told() == [True, True, True]
    with store.read() as session:
        assert session.scalars(select(Meta.name).where(Meta.name.startswith("telling:"))).all() == []
        assert session.scalars(select(Alert.closed_at).where(Alert.code == "concentrator_untold")).one() == NOW
    with store.begin() as session:
        concentrators.finish(session, "sys", "hub-a", NOW)


@pytest.mark.usefixtures("sites")
def test_a_hubs_old_key_is_not_ended_while_nobody_was_told_the_new_one(store: Store) -> None:
    with store.begin() as session:
        concentrators.rotate(session, "sys", "hub-a", NOW)
        hub = session.get_one(fleet.Concentrator, "hub-a")
        slots = [[hub.public_key, 51820, 0], [fleet.key(4242), 51821, 0]]
        concentrators.heard(session, "hub-a", {"revision": 1, "slots": slots}, NOW)
        concentrators.exchange(session, "sys", "hub-a", NOW)
        with pytest.raises(RegistryRefused) as wrong:
            concentrators.finish(session, "sys", "hub-a", NOW)
        assert (wrong.value.rule, wrong.value.args_["count"]) == ("concentrator_not_told", 3)
        assert hub.next_public_key == slots[0][0]
        concentrators.finish(session, "sys", "hub-a", NOW, anyway=True)
        assert hub.next_public_key is None
