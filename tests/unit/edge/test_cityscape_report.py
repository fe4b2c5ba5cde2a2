"""What ``make demo-city`` calls kept: a promise that was measured, within its limit, and nothing else went wrong."""

from __future__ import annotations

import json
from pathlib import Path

from edge.lab.cityscape.internet import HUBS, SITES, Place
from edge.lab.cityscape.report import Report, Row

KEPT = Row("back", "a concentrator is killed", 8.7, 15.0, "s")


def test_a_promise_is_kept_only_when_it_was_measured_within_its_limit() -> None:
    assert KEPT.kept
    assert not Row("back", "a concentrator is killed", 15.1, 15.0, "s").kept
    assert not Row("back", "a concentrator is killed", None, 15.0, "s").kept
    assert Row("uplinks", "frames", 0, 0, "").kept
    assert not Row("uplinks", "frames", 1, 0, "").kept


def test_a_run_without_a_row_or_with_a_fault_is_not_good() -> None:
    assert not Report().good
    assert Report([KEPT]).good
    assert not Report([KEPT], ["a judge saw nothing"]).good


def test_what_is_written_and_shown_says_which_one_was_not_kept(tmp_path: Path) -> None:
    report = Report([KEPT, Row("dark", "a site is revoked", None, 5.0, "s", "its picture went on")])
    report.write(tmp_path / "build" / "demo-city.json")
    said = json.loads((tmp_path / "build" / "demo-city.json").read_text(encoding="utf-8"))
    assert (said["good"], [step["kept"] for step in said["steps"]]) == (False, [True, False])
    assert [line[:2] for line in report.table().splitlines()[1:]] == ["ok", "NO"]


def test_places_and_hubs_are_each_anothers() -> None:
    places = [Place(number) for number in SITES]
    for name in ("id", "uplink", "gateway", "platform", "platform_address"):
        assert len({getattr(place, name) for place in places}) == len(places), name
    assert all(len(place.id) == len(place.platform) == 20 for place in places)
    for name in ("plane", "device", "public", "city", "network", "inner"):
        assert len({getattr(hub, name) for hub in HUBS}) == len(HUBS), name
