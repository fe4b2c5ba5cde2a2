"""Many seeds hold; the same seed is the same story; and every invariant is seen to fail when its rule is taken out.

``make simulate`` plays a thousand. A seed that does not hold is told with its last steps: ``python -m tests.simulator SEED``.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pytest import MonkeyPatch
from sqlalchemy import Update, false, select, update
from sqlalchemy.orm import Session

from city.registry.tables import Peer, Site, Table
from netconf import durable, rotation
from netconf.envelope import open_layer
from tests.simulator import faults
from tests.simulator.disk import Disk, Ended, Hand, installed
from tests.simulator.world import Bench, Told, play

#: A machine that does other things besides takes long, and no seed hangs: its moves and rounds are counted.
pytestmark = pytest.mark.timeout(900)
SEEDS, BLOCK, LAST_STEPS = 200, 25, 25
#: A rule that was taken out must show within so many seeds.
MOST_SEEDS = 60
#: Weights of moves (``faults.TABLE``) that lay backups back often.
BACK: dict[str, float] = {"back up": 8, "restore": 5}


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def said(told: Told) -> str:
    return "\n".join(["", *told.story[-LAST_STEPS:], f"python -m tests.simulator {told.seed}"])


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_seeds_hold(bench: Bench, first: int) -> None:
    red = [told for seed in range(first, first + BLOCK) if (told := play(bench, seed)).violated is not None]
    assert not red, "".join(map(said, red[:3]))


def test_the_same_seed_is_the_same_story(bench: Bench) -> None:
    stories = {seed: play(bench, seed).digest for seed in (3, 4)}
    assert len(set(stories.values())) == 2
    assert {seed: play(bench, seed).digest for seed in (4, 3)} == stories
    other = Bench()
    try:
        assert play(other, 4).digest == stories[4], "with other keys, in another folder"
    finally:
        other.close()
    told = subprocess.run([sys.executable, "-m", "tests.simulator", "3"], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[2])  # fmt: skip
    assert told.stdout.splitlines()[-1] == stories[3], "in another process"


def test_everything_happens(bench: Bench) -> None:
    """No move of the table and no answer that matters is one that never comes."""
    tables: list[Mapping[str, float]] = [{}, BACK, {"steal": 8, "claim": 6}, {"tamper": 6, "clock": 6}]
    story = "\n".join(line for often in tables for seed in range(3000, 3006) for line in play(bench, seed, often).story)
    for words in (
        "is approved", "is handed", "confirmed", "is revoked", "makes a key of", "is killed", "its power goes", "a week goes by",
        "1970", "2099", "of epoch 2", "lost city hears", "has the bundle of", "code_other",
        "claim_used", "layer_unsigned", "layer_old", "layer_other_site", "layer_owner_field", "layer_expired", "take_snapshot",
        "hub_address_twice", "signer_away", "says yes, confirmed", "puts 1 right", "site_own", "sign_epoch_old",
        "has given it up", "loses something", "sends box", "tells hub",
    ):  # fmt: skip
        assert words in story, words


# -- an invariant that cannot fail is none -----------------------------------------------------------------------------


def nothing(*given: Any, **named: Any) -> None:
    """What a rule is replaced by."""


def nobody(*given: Any, **named: Any) -> tuple[list[str], list[str]]:
    return [], []


def addresses_again(patch: MonkeyPatch) -> None:
    patch.setattr("city.registry.restored.addresses.step_over", nothing)


def any_address(patch: MonkeyPatch) -> None:
    patch.setattr("city.concentrator.entries.Owners.clash", nothing)


def revocations_forgotten(patch: MonkeyPatch) -> None:
    patch.setattr("city.registry.revocation.again", nobody)


def signed_for_the_revoked(patch: MonkeyPatch) -> None:
    patch.setattr("city.signing.service.Service._alive", nothing)
    patch.setattr("city.registry.revocation.again", nobody)
    patch.setattr("tests.simulator.invariants.Watch.registry", nothing)


def changes_not_kept(patch: MonkeyPatch) -> None:
    patch.setattr("city.concentrator.kept.Kept.changes", nothing)


def peers_stay(patch: MonkeyPatch) -> None:
    patch.setattr("city.registry.peers.put_off", lambda *given: ())


def any_epoch(patch: MonkeyPatch) -> None:
    patch.setattr("city.signing.service.Service._epoch", nothing)


def owners_fields_at_the_box(patch: MonkeyPatch) -> None:
    patch.setattr("netconf.layers.foreign", lambda *given: ())


def owners_fields_at_the_city(patch: MonkeyPatch) -> None:
    patch.setattr("city.registry.sites._check", nothing)
    patch.setattr("city.registry.layers.findings", lambda *given: ())
    patch.setattr("city.signing.service.judged", lambda *given: ())


def older_revisions(patch: MonkeyPatch) -> None:
    def opened(*given: Any, highest: tuple[int, int], **named: Any) -> Any:
        return open_layer(*given, highest=(-1, -1), **named)

    patch.setattr("tests.simulator.box.open_layer", opened)


def same_revision_twice(patch: MonkeyPatch) -> None:
    patch.setattr("city.signing.marks.Marks.rise", lambda *given: True)


def any_signature(patch: MonkeyPatch) -> None:
    class Anybody:
        def verify(self, *given: bytes) -> None: ...

    patch.setattr("tests.simulator.box.Box.city_key", lambda box: Anybody())


def folder_not_synced(patch: MonkeyPatch) -> None:
    patch.setattr("netconf.durable.sync_folder", nothing)


def confirmed_not_written(patch: MonkeyPatch) -> None:
    patch.setattr("netconf.revision.Commit._journal_confirmed", lambda commit: setattr(commit, "pending", None))


def old_key_gone_too_early(patch: MonkeyPatch) -> None:
    real = rotation.begin_rotation

    def begin(folder: Path, tunnel: str, refused: str = "") -> str:
        public = real(folder, tunnel, refused)
        rotation.finish_rotation(folder, tunnel)
        return public

    patch.setattr("netconf.rotation.begin_rotation", begin)
    patch.setattr("city.registry.rotation.mend", nothing)


def the_same_next_key_for_ever(patch: MonkeyPatch) -> None:
    real = rotation.begin_rotation
    patch.setattr("netconf.rotation.begin_rotation", lambda folder, tunnel, refused: real(folder, tunnel))


def both_tunnels_at_once(patch: MonkeyPatch) -> None:
    def begin(session: Session, site: Site, *given: Any) -> None:
        for peer in session.scalars(select(Peer).where(Peer.site == site.id, Peer.state == "on")):
            peer.rotation = "asked"

    patch.setattr("city.registry.rotation.begin", begin)


def exchange_not_put_back(patch: MonkeyPatch) -> None:
    patch.setattr("city.registry.rotation.settle", nothing)


def digits_not_compared(patch: MonkeyPatch) -> None:
    def read(world: Any, box: Any) -> str:
        return str(world.main.database.rows("SELECT code FROM site WHERE id = ?", box.site)[0][0])

    patch.setattr("tests.simulator.people.shown", read)


def refused_changes_hold_back(patch: MonkeyPatch) -> None:
    patch.setattr("city.api.concentrators.SignRefused", ZeroDivisionError)


def exchange_of_the_old_epoch(patch: MonkeyPatch) -> None:
    def changed(table: type[Table]) -> Update:
        return update(table).where(false()) if table is Peer else update(table)

    patch.setattr("city.registry.restored.update", changed)


def drift_stays(patch: MonkeyPatch) -> None:
    patch.setattr("city.concentrator.steps.compare", lambda actual, desired: [])


TAKEN_OUT: list[tuple[Callable[[MonkeyPatch], None], str, Mapping[str, float]]] = [
    (addresses_again, "one owner per address", {"back up": 10, "restore": 6, "approve": 30, "poll": 30, "wire": 0}),
    (any_address, "one owner per address", {"tamper": 8}),
    (revocations_forgotten, "revoked never back", BACK | {"revoke": 5}),
    (signed_for_the_revoked, "revoked never back", BACK | {"revoke": 5}),
    (changes_not_kept, "revoked never back", {"revoke": 5, "cut": 6}),
    (peers_stay, "revoked never back", {"revoke": 5}),
    (any_epoch, "one registry", BACK),
    (owners_fields_at_the_box, "owner's fields", {"overreach": 8}),
    (owners_fields_at_the_city, "owner's fields", {"edit": 20}),
    (older_revisions, "confirmed revision rises", {"old layer": 12, "edit": 8, "fuse": 0, "cut": 0}),
    (same_revision_twice, "revisions rise", {"burn": 8, "edit": 12}),
    (any_signature, "the city's word alone", {"forge": 8}),
    (folder_not_synced, "confirmed revision rises", {"cut": 8, "fuse": 8, "edit": 10}),
    (confirmed_not_written, "confirmed revision holds", {"cut": 6, "edit": 8}),
    (old_key_gone_too_early, "all comes right", {"rotate": 15, "fuse": 6}),
    (the_same_next_key_for_ever, "all comes right", {"rotate": 25, "fuse": 6}),
    (both_tunnels_at_once, "never locked out", {"rotate": 12, "poll": 24}),
    (exchange_not_put_back, "all comes right", {"rotate": 15}),
    (digits_not_compared, "the right device", {"steal": 8, "claim": 8}),
    (refused_changes_hold_back, "all comes right", {"revoke": 6, "rotate": 10, "poll": 4}),
    (
        exchange_of_the_old_epoch,
        "all comes right",
        {"back up": 12, "restore": 6, "rotate": 30, "edit": 8, "wire": 0, "cut": 0, "fuse": 0},
    ),
    (drift_stays, "all comes right", {"drift": 6}),
]


@pytest.mark.parametrize(("rule", "invariant", "often"), TAKEN_OUT, ids=[one[0].__name__ for one in TAKEN_OUT])
def test_a_rule_that_is_taken_out_is_seen(
    bench: Bench,
    monkeypatch: MonkeyPatch,
    rule: Callable[[MonkeyPatch], None],
    invariant: str,
    often: Mapping[str, float],
) -> None:
    rule(monkeypatch)
    found: list[str] = []
    for seed in range(MOST_SEEDS):
        told = play(bench, 10_000 + seed, often)
        if told.violated is not None:
            found.append(str(told.violated))
            if told.violated.name == invariant:
                return
    pytest.fail(f"not within {MOST_SEEDS} seeds: {found}")


@pytest.mark.parametrize("often", [BACK, {"tamper": 8}, {"cut": 8, "fuse": 8}, {"rotate": 25}, {"steal": 8}])
def test_the_same_moves_hold_when_no_rule_is_taken_out(bench: Bench, often: Mapping[str, float]) -> None:
    red = [told for seed in range(10_000, 10_006) if (told := play(bench, seed, often)).violated is not None]
    assert not red, "".join(map(said, red[:3]))


# -- the models --------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    hand = Hand()
    made = Disk(tmp_path / "disk", random.Random(1), {"old": b"old"})
    hand.disks[f"{made.root}/"] = made
    with installed(hand):
        yield made


def test_the_disk_keeps_what_was_written_durably_and_forgets_the_rest(disk: Disk) -> None:
    left = set()
    for _ in range(40):
        durable.write(disk.root / "a", b"first")
        (disk.root / "b").write_bytes(b"never synced")
        disk.cut()
        image = disk.image()
        assert (image["a"], image["old"]) == (b"first", b"old")
        left.add(image.get("b"))
        (disk.root / "b").unlink(missing_ok=True)
    assert left == {b"", None}


def test_power_goes_between_any_two_steps_and_the_file_is_the_old_or_the_new(disk: Disk) -> None:
    durable.write(disk.root / "a", b"first")
    seen = set()
    for steps in range(4):
        for _ in range(10):
            disk.burn(steps, power=True)
            with pytest.raises(Ended):
                durable.write(disk.root / "a", b"second")
            disk.cut()
            seen.add((steps, disk.image()["a"]))
            durable.write(disk.root / "a", b"first")
    assert seen == {(step, b"first") for step in range(4)} | {(3, b"second")}


def test_the_moves_are_drawn_with_the_weights_asked_for() -> None:
    with_more = {move: weight for weight, move in faults.table({"tamper": 77})}
    assert with_more[faults.TABLE["tamper"][1]] == 77
    assert len(with_more) == len(faults.TABLE)
