"""What breaks, and how often each thing happens: the table that a seed draws its moves from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tests.simulator import people
from tests.simulator.box import Box, lives
from tests.simulator.hub import Hub, shaken

if TYPE_CHECKING:
    from tests.simulator.world import World

Move = Callable[["World"], None]
#: 1970, 2099, and small errors, as distances from the right time.
YEAR = 365.25 * 86_400.0
CLOCKS = (
    ("1970", -60 * YEAR),
    ("2099", 73 * YEAR),
    ("an hour fast", 3600.0),
    ("an hour slow", -3600.0),
    ("right", 0.0),
)
MOST_STEPS, MOST_SIGNATURES = 14, 4
WEEK = 7 * 86_400.0


def _turn(world: World) -> None:
    waiting = [box for box in world.boxes.values() if box.up and box.nonce]
    them = waiting if waiting and world.chance.random() < 0.5 else world.somebody()
    world.turn(world.chance.choice(them))


def _poll(world: World) -> None:
    world.poll(world.chance.choice(list(world.hubs.values())))


def _look(world: World) -> None:
    hub = world.chance.choice(list(world.hubs.values()))
    if hub.up:
        world.say(hub.name, lives(hub, hub.look))
        world.looked(hub)


def _one(world: World) -> Box:
    return world.chance.choice(list(world.boxes.values()))


def _of_state(state: str, what: Callable[[World, Box], None]) -> Callable[[World], None]:
    def move(world: World) -> None:
        them = [box for box in world.boxes.values() if people.state(world, box.site) == state]
        if them:
            what(world, world.chance.choice(them))

    return move


def _on_one(what: Callable[[World, Box], None]) -> Callable[[World], None]:
    return lambda world: what(world, _one(world))


def _machine(world: World) -> Box | Hub:
    return world.chance.choice(world.machines())


def _fuse(world: World) -> None:
    """The power goes, or the process is killed, at one of the next steps of somebody's disk."""
    one, power = _machine(world), world.chance.random() < 0.6
    one.disk.burn(world.chance.randrange(MOST_STEPS), power=power)
    world.say(one.name, "will soon lose its power" if power else "will soon be killed")


def _cut(world: World) -> None:
    one, power = _machine(world), world.chance.random() < 0.6
    one.end(power)
    world.say(one.name, "loses its power" if power else "is killed")


def _burn(world: World) -> None:
    after = world.chance.random() < 0.5
    world.main.burn(world.chance.randrange(MOST_SIGNATURES), after=after)
    world.say("registry", f"will be killed {'after' if after else 'before'} a signature")


def _signing(world: World) -> None:
    world.main.signing = not world.main.signing
    world.say("signing process", "answers" if world.main.signing else "is away")


def _wire(world: World) -> None:
    one = _machine(world)
    one.online = not one.online
    world.say(one.name, "is reached" if one.online else "is dark")


def _clock(world: World) -> None:
    box = _one(world)
    name, box.skew = world.chance.choice(CLOCKS)
    world.say(box.name, f"has a clock that is {name}")


def _city_clock(world: World) -> None:
    name, world.main.skew = world.chance.choice(CLOCKS)
    world.say("city", f"has a clock that is {name}")


def _week(world: World) -> None:
    """A box is dark for a week; the others go on when it is over."""
    world.pass_time(WEEK * world.chance.uniform(0.5, 1.5))
    world.say("world", "a week goes by")


def _drift(world: World) -> None:
    hub = world.chance.choice(list(world.hubs.values()))
    shaken(hub.device, world.chance)
    world.say(hub.name, "loses a peer by somebody's hand")


TABLE: dict[str, tuple[float, Move]] = {
    "turn": (40, _turn), "poll": (16, _poll), "look": (2, _look),
    "approve": (6, _of_state("pending", people.approve)), "claim": (2, _of_state("new", people.issue)),
    "refuse": (0.3, _of_state("pending", people.refuse)), "revoke": (0.5, _on_one(people.revoke)),
    "rotate": (5, _on_one(people.rotate)), "edit": (3, _on_one(people.edit)),
    "back up": (0.8, people.back_up), "restore": (0.4, people.restore), "tamper": (0.3, people.tamper),
    "owner": (3, _on_one(people.settle_owner)),
    "replay": (1.5, people.replay), "old layer": (1, people.hand_over_old), "forge": (0.6, people.forge),
    "overreach": (0.4, people.overreach), "old envelope": (1, people.replay_at_hub), "steal": (0.5, people.steal),
    "fuse": (3, _fuse), "cut": (1, _cut), "burn": (1.5, _burn), "signing": (0.5, _signing), "wire": (2, _wire),
    "clock": (1.2, _clock), "city's clock": (0.3, _city_clock), "week": (0.4, _week), "drift": (0.4, _drift),
}  # fmt: skip


def table(often: Mapping[str, float]) -> list[tuple[float, Move]]:
    """Return the moves with their weights, some of them other than usual."""
    return [(often.get(name, weight), move) for name, (weight, move) in TABLE.items()]
