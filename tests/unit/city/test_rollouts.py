"""A rollout goes ring by ring while all is well, and no further."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from city.registry import layers, rollouts
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Health, Rollout, RolloutSite, RolloutStep, Site
from city.rollout.table import TABLE, Event, State, rings
from tests import fleet
from tests.fleet import NOW

SITES = 12
BETTER = copy.deepcopy(fleet.BODY)
BETTER["platform"][0]["keepalive_seconds"] = 30


@pytest.fixture
def rollout(store: Store, signer: Signer) -> int:
    with store.begin() as session:
        fleet.found(session)
        session.flush()
        for number in range(1, SITES + 1):
            site = fleet.enrolled(session, signer, number)
            layers.applied(session, site.id, (1, 1))
        fleet.template(session, 2, BETTER)
        session.flush()
        return rollouts.begin(session, "standard", 2, "zhang", "quicker keepalive", NOW).id


def order(store: Store, signer: Signer, number: int, event: Event) -> None:
    with store.begin() as session:
        rollouts.order(session, signer, number, event, "li", "because", NOW)


def turn(store: Store, signer: Signer, now: float) -> list[Event]:
    with store.begin() as session:
        return [event for _, event in rollouts.turn(session, signer, now)]


def boxes(store: Store, what: str) -> None:
    """Every box that was offered something does ``what`` with it: "applied" or "reverted"."""
    with store.begin() as session:
        for row in session.query(RolloutSite).filter_by(state="offered"):
            getattr(layers, what)(session, row.site, (1, row.revision))


def state(store: Store, number: int) -> tuple[str, int, int]:
    with store.read() as session:
        row = session.get_one(Rollout, number)
        has = session.query(Site).filter_by(template_version=2).count()
        return row.state, row.ring, has


def test_rings_are_one_site_and_then_parts() -> None:
    drawn = rings([f"{number:05}" for number in range(1000)], "salt")
    counts = [sum(ring == n for ring in drawn.values()) for n in range(5)]
    assert counts == [1, 9, 90, 400, 500]
    assert drawn == rings([f"{number:05}" for number in reversed(range(1000))], "salt")
    assert drawn != rings([f"{number:05}" for number in range(1000)], "other")
    assert set(rings(["a", "b"], "salt").values()) == {0, 1}


def test_it_goes_ring_by_ring_to_all(store: Store, signer: Signer, rollout: int) -> None:
    assert state(store, rollout) == ("draft", 0, 0)
    order(store, signer, rollout, Event.START)
    assert state(store, rollout) == ("running", 0, 1)
    now, seen = NOW, []
    for _ in range(8):
        now += rollouts.SOAK_SECONDS + 1
        boxes(store, "applied")
        seen += turn(store, signer, now)
    assert seen == [Event.RING_GOOD] * (len(seen) - 1) + [Event.ALL_GOOD]
    assert state(store, rollout)[::2] == ("done", SITES)


def test_nothing_goes_on_before_the_ring_was_looked_at_or_has_answered(
    store: Store, signer: Signer, rollout: int
) -> None:
    order(store, signer, rollout, Event.START)
    assert turn(store, signer, NOW + 5) == []
    boxes(store, "applied")
    assert turn(store, signer, NOW + rollouts.SOAK_SECONDS - 1) == []
    assert turn(store, signer, NOW + rollouts.SOAK_SECONDS + 1) == [Event.RING_GOOD]


def test_the_first_revert_halts_it(store: Store, signer: Signer, rollout: int) -> None:
    order(store, signer, rollout, Event.START)
    boxes(store, "reverted")
    assert turn(store, signer, NOW + 1) == [Event.REVERTED]
    assert state(store, rollout) == ("halted", 0, 1)
    boxes(store, "applied")
    assert turn(store, signer, NOW + 99_999) == [], "only a person makes it go on"


@pytest.mark.parametrize("verdict", ["degraded", "dark"])
def test_a_site_that_is_worse_than_before_halts_it(store: Store, signer: Signer, rollout: int, verdict: str) -> None:
    order(store, signer, rollout, Event.START)
    boxes(store, "applied")
    with store.begin() as session:
        for row in session.query(RolloutSite).filter_by(ring=0):
            session.get_one(Health, row.site).verdict = verdict
    assert turn(store, signer, NOW + 5) == [Event.HEALTH_FELL]
    with store.read() as session:
        assert session.get_one(Rollout, rollout).why_halted.startswith("health_fell 3402")


def test_a_site_that_is_not_heard_of_any_more_halts_it(store: Store, signer: Signer, rollout: int) -> None:
    order(store, signer, rollout, Event.START)
    assert turn(store, signer, NOW + rollouts.ANSWER_SECONDS + 1) == [Event.HEALTH_FELL]


def test_a_site_that_was_dark_before_holds_nobody_up(store: Store, signer: Signer, rollout: int) -> None:
    with store.begin() as session:
        for row in session.query(Health):
            row.verdict = "dark"
    order(store, signer, rollout, Event.START)
    assert turn(store, signer, NOW + rollouts.SOAK_SECONDS + 1) == [Event.RING_GOOD]


def test_back_is_the_version_before(store: Store, signer: Signer, rollout: int) -> None:
    order(store, signer, rollout, Event.START)
    boxes(store, "applied")
    order(store, signer, rollout, Event.ROLL_BACK)
    assert state(store, rollout)[::2] == ("rolled_back", 0)
    with store.read() as session:
        (row,) = session.query(RolloutSite).filter_by(state="back")
        assert session.get_one(Site, row.site).offered == 3
        steps = [(step.who, step.what) for step in session.query(RolloutStep).order_by(RolloutStep.id)]
    assert steps == [("zhang", "begin"), ("li", "start"), ("li", "roll_back")]


@pytest.mark.parametrize(("before", "event"), [(before, event) for before in State for event in Event])
def test_every_event_has_a_cell_or_is_refused(
    store_once: tuple[Store, Signer, int], before: State, event: Event
) -> None:
    store, signer, number = store_once
    with store.begin() as session:
        session.get_one(Rollout, number).state = before.value
    with store.begin() as session:
        row = session.get_one(Rollout, number)
        if event in TABLE[before]:
            rollouts.order(session, signer, number, event, "li", "because", NOW)
            assert row.state == TABLE[before][event].value
        else:
            with pytest.raises(RegistryRefused, match="rollout_state"):
                rollouts.order(session, signer, number, event, "li", "because", NOW)
        session.rollback()


@pytest.fixture(scope="module")
def store_once(tmp_path_factory: pytest.TempPathFactory, city_keys: Any) -> Any:
    """One rollout for the walk over the whole table, which is the same on each database."""
    from city.registry.store import open_store
    from city.signing.client import Client
    from city.signing.marks import Marks
    from city.signing.service import Service
    from tests.unit.city.conftest import counted

    folder = tmp_path_factory.mktemp("rollout")
    store = open_store(f"sqlite:///{folder}/city.sqlite")
    marks = Marks(folder / "marks.sqlite")
    signer = Client(Service(city_keys, marks, lambda: NOW, counted()).answer)
    with store.begin() as session:
        fleet.found(session)
        session.flush()
        fleet.enrolled(session, signer, 1)
        fleet.template(session, 2, BETTER)
        session.flush()
        number = rollouts.begin(session, "standard", 2, "zhang", "x", NOW).id
    yield store, signer, number
    store.close()
    marks.close()


@pytest.mark.parametrize(
    ("version", "reason", "rule"),
    [(3, "x", "template_unknown"), (2, "", "reason_missing"), (2, "x", "rollout_runs"), (9, "x", "template_unknown")],
)
def test_what_cannot_begin(store: Store, signer: Signer, rollout: int, version: int, reason: str, rule: str) -> None:
    with store.begin() as session, pytest.raises(RegistryRefused, match=rule):
        rollouts.begin(session, "standard", version, "zhang", reason, NOW)


def test_a_version_that_one_person_made_goes_nowhere(store: Store, signer: Signer, rollout: int) -> None:
    with store.begin() as session:
        fleet.template(session, 3, BETTER, approved=False)
        session.flush()
        with pytest.raises(RegistryRefused, match="template_not_approved"):
            rollouts.begin(session, "standard", 3, "zhang", "x", NOW)


def test_a_preview_says_what_changes_at_each_site(store: Store, signer: Signer, rollout: int) -> None:
    with store.read() as session:
        told = rollouts.preview(session, "standard", 2)
    assert len(told) == SITES
    assert told[0]["changes"] == [("/platform/0/keepalive_seconds", None, 30)]
    assert told[0]["wrong"] == []
