"""Plans: when which box reports, and how far its receipts have come then."""

from __future__ import annotations

import random

from tests.bench.city import boxes
from tests.bench.city.boxes import Dial, Heard, Mode
from tests.bench.city.host import Host

#: The part of reports that brings a new head of receipts, which is a transaction: of a site that is watched some fifty
#: times a day one report in fourteen does (a view begins and ends).
MOVED = 0.1


def paced(rate: float, seconds: float, sites: int, chance: random.Random, moved: float = MOVED) -> list[Dial]:
    """Return reports that come independently of each other, so many a second on the average."""
    plan: list[Dial] = []
    heads: dict[int, int] = {}
    at = 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        number = chance.randrange(sites) + 1
        if chance.random() < moved:
            heads[number] = heads.get(number, 1) + 1
        plan.append((at, number, heads.get(number, 1)))
    return plan


def saturated(city: Host, sites: int, seconds: float, threads: int, *, mode: Mode = "resumed") -> Heard:
    """As many as can be: each of ``threads`` reports again as soon as it has its answer, site after site."""
    return boxes.run(city, [[(0.0, at + 1, 1) for at in range(sites)]], threads, mode=mode, seconds=seconds,
                     greet=mode == "resumed")  # fmt: skip
