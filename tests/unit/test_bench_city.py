"""The bench of the city's side at a tiny size: its parts still fit the product, and its limits can be broken."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.bench.city import boxes, change, figures, memory, node, storm
from tests.bench.city.figures import Limit
from tests.bench.city.host import Host, host
from tests.bench.city.paced import paced


def test_what_a_change_costs_is_counted_and_is_the_same_with_four_times_the_sites() -> None:
    found = change.measure((15, 60), 3)
    assert found["kinds_of_change_whose_counts_grow"] == 0, found
    one = found["curve"]["15"]["key_exchanged"]
    assert one["registry_statements"] > 0 and one["feed_statements"] > 0 and one["concentrator_calls"] > 0
    assert one["wg_steps"] == 2, "the old key off, the new one on"


def test_a_cost_that_grows_with_the_sites_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    carry_out, told = change.KINDS["policy"]

    def slow(session: Any, signer: Any, site: Any, number: int) -> object:
        for _ in range(session.execute(text("SELECT count(*) FROM site")).scalar_one()):
            session.execute(text("SELECT 1"))
        return carry_out(session, signer, site, number)

    monkeypatch.setitem(change.KINDS, "policy", (slow, told))
    assert change.measure((5, 10), 1)["grown"] == ["policy"]


def test_boxes_of_a_fleet_report_by_each_way_and_none_is_lost() -> None:
    with host(6) as city:
        away = boxes.run(city, [[(0.0, 1, 1)]], 1)
        assert (away.answered, away.lost) == (0, 1), "nobody answers yet"
        with city.serving():
            all_ways(city)


def all_ways(city: Host) -> None:
    heard = {
        mode: boxes.run(city, [[(0.0, at + 1, 1) for at in range(6)]], 3, mode=mode, greet=mode == "resumed")
        for mode in ("whole", "resumed", "kept")
    }
    assert [(one.answered, one.lost) for one in heard.values()] == [(6, 0)] * 3
    assert (heard["whole"].resumed, heard["resumed"].resumed) == (0, 6)
    moved = boxes.run(city, [paced(20.0, 0.5, 6, random.Random(1), moved=1.0)], 3)
    assert moved.answered and not moved.lost
    assert city.server() and city.signing() and city.cpu()["api"] > 0
    with city.store.read() as session:
        assert session.execute(text("SELECT count(*) FROM health")).scalar_one() >= 6


def test_boxes_that_were_in_step_are_spread_by_their_own_word() -> None:
    chance = random.Random(5)
    found = storm.spread(storm.returns(500, (0.0, 1.0), lambda: chance.uniform(0, 0.999), chance))
    assert found["middle_98_percent_seconds"] >= 60.0
    assert found["most_in_a_second"] < 50


def test_a_plan_is_as_large_as_what_a_heartbeat_costs() -> None:
    cheap = {"api_cpu_ms_each": 0.5, "signing_cpu_ms_each": 0.0, "database_cpu_ms_each": 0.1}
    dear = {name: 100 * value for name, value in cheap.items()}
    assert node.planned(cheap)["nodes_for_100000"] < node.planned(dear)["nodes_for_100000"]
    assert not node.planned(dear)["plan"]["database_fits_one_node"]


def test_a_slope_is_a_slope() -> None:
    assert memory.slope([(500, 10.0), (1000, 10.0), (4000, 10.0)]) == 0
    assert memory.slope([(500, 11.0), (1000, 12.0), (4000, 18.0)]) == pytest.approx(2.0)


def test_a_limit_that_is_broken_or_not_measured_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures, "OUT", tmp_path / "bench-city.json")
    limits = (Limit("seconds_worst", most=5.0),)
    assert figures.measured("good", "nobody", limits, lambda: {"seconds_worst": 4.0}) == 0
    assert figures.measured("bad", "nobody", limits, lambda: {"seconds_worst": 6.0}) == 1
    assert figures.measured("none", "nobody", limits, dict) == 1

    def broken() -> dict[str, Any]:
        raise OSError("no such thing")

    assert figures.measured("broken", "nobody", limits, broken) == 1
    kept = json.loads((tmp_path / "bench-city.json").read_bytes())
    assert [kept[name]["limits"]["seconds_worst"]["kept"] for name in kept] == [True, False, False, False]
    assert "BROKEN" in capsys.readouterr().out
