"""What of a configuration is the ferry's business: of each field of the model it is said, so that a new one is not forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from edge.control.concerns import of_ferry
from edge.lab.hubs import two_tunnels
from edge.lab.street import SITE_FILE
from netconf.check import read_parsed, read_site
from netconf.model import Site

BEFORE, _ = read_site(two_tunnels(SITE_FILE.read_text(encoding="utf-8")))
assert BEFORE is not None
KEY = "C" * 42 + "A="


def changed(part: str, at: int | None, **fields: Any) -> Site:
    assert BEFORE is not None
    raw = BEFORE.model_dump(mode="json", by_alias=True, exclude_none=True)
    if part not in raw:
        raw[part] = {}
    (raw[part] if at is None else raw[part][at]).update(fields)
    site, found = read_parsed(raw)
    assert site is not None, found
    return site


@pytest.mark.parametrize(("part", "at", "fields"), [
    ("control", None, {"address": "100.64.255.77", "interval_seconds": 7}),
    ("monitoring", None, {"readers": ["100.64.255.9"]}),
    ("tunnel", 0, {"own_key": KEY}), ("tunnel", 1, {"public_key": KEY}), ("tunnel", 0, {"endpoint": "203.0.113.77:51820"}),
])  # fmt: skip
def test_how_the_city_is_reached_and_asked_is_not(part: str, at: int | None, fields: dict[str, Any]) -> None:
    assert BEFORE is not None
    site = changed(part, at, **fields)
    assert site != BEFORE, "the control: it is another configuration"
    assert of_ferry(site) == of_ferry(BEFORE)


@pytest.mark.parametrize(("part", "at", "fields"), [
    ("platform", 0, {"rights": ["live", "ptz"]}), ("platform", 0, {"media_networks": ["100.64.255.0/25"]}),
    ("channel", 0, {"share": False}), ("channel", 0, {"allow": ["playback"]}), ("recorder", 0, {"address": "192.168.1.12", "media_addresses": ["192.168.1.12"]}),
    ("tunnel", 0, {"address": "100.64.0.77/32"}), ("tunnel", 0, {"mtu": 1300}), ("uplink", None, {"mbit_up": 9}),
])  # fmt: skip
def test_what_it_decides_by_is(part: str, at: int | None, fields: dict[str, Any]) -> None:
    assert BEFORE is not None
    assert of_ferry(changed(part, at, **fields)) != of_ferry(BEFORE)


def test_what_it_is_told_is_a_site_that_it_reads_as_ever() -> None:
    assert BEFORE is not None
    told = of_ferry(BEFORE)
    assert Site.model_validate_json(told.model_dump_json(by_alias=True)) == told
    assert told.enrolled
