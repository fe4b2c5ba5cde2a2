"""A tunnel's key is exchanged, and at each message of it, and at each step of the box's disk, one end is killed: never locked out.

Nothing else breaks here, so that each cut is one cut, and none is left to a seed's chance (faults.json, F10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.simulator import people
from tests.simulator.disk import installed
from tests.simulator.invariants import Violated
from tests.simulator.network import Message
from tests.simulator.test_simulator import exchange_not_put_back, old_key_gone_too_early
from tests.simulator.world import Bench, World

pytestmark = pytest.mark.timeout(900)
BOX, TUNNEL = "box1", "wg-b"
#: More than a rotation has; that it has no more is seen.
MOST_MESSAGES, MOST_STEPS, MOST_SIGNATURES = 40, 60, 12


@dataclass
class Cut:
    """``end`` ("box", "hub") is killed at the ``at``th message of the box or its hub, before it comes in or after."""

    end: str
    at: int
    power: bool
    after: bool


class Cutting(World):
    """A world without faults but this one."""

    cut: Cut | None = None
    seen = 0
    armed = False

    def begin(self, cut: Cut | None) -> None:
        self.faulty = self.network.faulty = False
        self.cut = cut
        for one in self.machines():
            self.start(one)
            self.looked(one)
        for _ in range(3):
            self.round(people.put_right)
        self.old = self.boxes[BOX].kernel[TUNNEL].own
        self.armed = True
        people.rotate(self, self.boxes[BOX])

    def deliver(self, message: Message) -> None:
        hub = self.hub().name
        if not self.armed or not {message.sender, message.to} & {BOX, hub}:
            super().deliver(message)
            return
        at, self.seen = self.seen, self.seen + 1
        struck = self.cut is not None and self.cut.at == at
        if struck and self.cut is not None and not self.cut.after:
            self.kill(self.cut)
        super().deliver(message)
        if struck and self.cut is not None and self.cut.after:
            self.kill(self.cut)

    def kill(self, cut: Cut) -> None:
        victim = self.boxes[BOX] if cut.end == "box" else self.hub()
        if victim.up:
            victim.end(cut.power)
        self.say(victim.name, "is cut off")

    def hub(self):  # type: ignore[no-untyped-def]
        """The concentrator of the tunnel."""
        key = self.boxes[BOX].kernel[TUNNEL].hub if TUNNEL in self.boxes[BOX].kernel else ""
        self._hub = next(
            (hub for hub in self.hubs.values() if hub.place.public_key == key), getattr(self, "_hub", None)
        )
        return self._hub

    def ends(self) -> None:
        """All comes right: both tunnels work, the exchange is over, and the key is another one."""
        self.settle(people.put_right)
        box = self.boxes[BOX]
        assert sorted(self.works(box)) == ["wg-a", "wg-b"]
        assert self.main.database.rows("SELECT rotation FROM peer WHERE rotation != ''") == []


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def play(
    bench: Bench, cut: Cut | None, *, steps: int | None = None, signature: tuple[int, bool] | None = None
) -> Cutting:
    """Play one exchange; ``steps``: the box's disk is cut at that step, ``signature``: the registry at that one."""
    with installed(bench.hand), bench.swept():
        world = Cutting(bench, bench.prepared, f"rotation {cut} {steps} {signature}")
        world.chance.choice = lambda them: TUNNEL if TUNNEL in them else them[0]  # type: ignore[method-assign,assignment]
        try:
            world.begin(cut)
            if steps is not None:
                world.boxes[BOX].disk.burn(steps, power=bool(steps % 2))
            if signature is not None:
                world.main.burn(signature[0], after=signature[1])
            world.ends()
        except Violated as wrong:
            pytest.fail("\n".join([str(wrong), *world.story[-30:]]))
        finally:
            world.close()
    return world


def test_f10_an_exchange_that_nobody_cuts_is_over_after_some_messages(bench: Bench) -> None:
    world = play(bench, None)
    assert world.boxes[BOX].kernel[TUNNEL].own != world.old, "the control"
    assert 6 <= world.seen < MOST_MESSAGES


@pytest.mark.parametrize("after", [False, True], ids=["before it comes", "after it came"])
@pytest.mark.parametrize("power", [False, True], ids=["killed", "without power"])
@pytest.mark.parametrize("end", ["box", "hub"])
def test_f10_either_end_killed_at_every_message_of_an_exchange(
    bench: Bench, end: str, power: bool, after: bool
) -> None:
    fresh = 0
    for at in range(MOST_MESSAGES):
        world = play(bench, Cut(end, at, power, after))
        fresh += world.boxes[BOX].kernel[TUNNEL].own != world.old
        if "is cut off" not in "\n".join(world.story):
            break
    assert at > 6 and fresh >= at // 2, "cut, and mostly exchanged all the same"


def test_f10_the_box_killed_at_every_step_of_its_disk_while_it_exchanges(bench: Bench) -> None:
    struck = 0
    for step in range(MOST_STEPS):
        story = "\n".join(play(bench, None, steps=step).story)
        if not ("its power" in story or "is killed" in story):
            break
        struck += 1
    assert struck > 10


@pytest.mark.parametrize("after", [False, True], ids=["before it answers", "after it answered"])
def test_f10_the_registry_killed_at_every_signature_of_an_exchange(bench: Bench, after: bool) -> None:
    for at in range(MOST_SIGNATURES):
        play(bench, None, signature=(at, after))


@pytest.mark.parametrize("rule", [old_key_gone_too_early, exchange_not_put_back])
def test_what_these_rest_on_is_seen_to_be_missed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, rule: Callable[[pytest.MonkeyPatch], None]
) -> None:
    rule(monkeypatch)
    with pytest.raises(pytest.fail.Exception):
        for step in range(MOST_STEPS):
            play(bench, None, steps=step)
