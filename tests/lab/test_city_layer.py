"""The city changes its part of the configuration from afar, through the tunnel that it changes; and cannot lose a site."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from edge.lab.control import city_key
from edge.lab.orders import order
from edge.lab.street import CONTROL, RUN, Street, eventually
from netconf import envelope, layers

ORDERS = RUN / "city.sock"
REVISION = iter(range(1, 1000))


def report() -> dict[str, Any]:
    """What the city heard last."""
    try:
        found: dict[str, Any] = json.loads((CONTROL / "report.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def hand_out(street: Street, layer: dict[str, Any], /, **other: Any) -> int:
    """Lay a signed layer into the city's folder; return its revision."""
    revision = next(REVISION)
    payload = {
        "site": layer["site"]["id"], "device": report()["device"], "epoch": 1, "revision": revision,
        "not_after": 4_000_000_000, "layer": layer,
    }  # fmt: skip
    fresh = CONTROL / "layer.new"
    fresh.write_text(envelope.sign("layer", payload | other, city_key(CONTROL)), encoding="ascii")
    fresh.rename(CONTROL / "layer.json")
    return revision


@pytest.fixture
def layer(street: Street) -> Iterator[dict[str, Any]]:
    eventually(lambda: report().get("device"), 40, "a report of the box")
    assert street.site is not None
    yield layers.split(street.site)[1]
    eventually(lambda: kept(street)["state"] == "steady", 40, "no change waits")
    revision = hand_out(street, layers.split(street.site)[1])  # as it was, for the tests that follow
    eventually(lambda: kept(street)["city_layer"] == [1, revision], 40, "the first layer again")
    eventually(lambda: kept(street)["state"] == "steady", 40, "kept")
    (CONTROL / "layer.json").unlink(missing_ok=True)
    eventually(lambda: street.said("cityside").get("registered"), 60, "registered over the tunnel that is back")
    eventually(lambda: order(ORDERS, "facts")["online"], 60, "registered")


def kept(street: Street) -> dict[str, Any]:
    change: dict[str, Any] = street.status()["keeper"]["change"]
    return change


def test_a_layer_is_fetched_applied_and_kept_by_the_citys_answer(street: Street, layer: dict[str, Any]) -> None:
    layer["tunnel"][0]["keepalive_seconds"] = 20
    revision = hand_out(street, layer)
    eventually(lambda: kept(street)["city_layer"] == [1, revision], 30, "the layer is tried")
    eventually(lambda: kept(street)["state"] == "steady", 30, "and kept")
    assert not [one for one in kept(street)["failed"] if one["caller"] == "agent"]
    site = json.loads((RUN / "keeper" / "site.json").read_bytes())
    assert site["tunnel"][0]["keepalive_seconds"] == 20
    eventually(lambda: report().get("city_layer") == [1, revision], 30, "the city hears of it")


def test_a_layer_that_kills_the_tunnel_is_undone_and_the_city_hears_why(street: Street, layer: dict[str, Any]) -> None:
    before = kept(street)["revision"]
    good = layer["tunnel"][0]["endpoint"]
    layer["tunnel"][0]["endpoint"] = good.replace("51820", "51821")
    revision = hand_out(street, layer)
    eventually(lambda: kept(street)["city_layer"] == [1, revision], 30, "the layer is tried")
    eventually(
        lambda: json.loads((RUN / "keeper" / "site.json").read_bytes())["tunnel"][0]["endpoint"] == good, 60, "undone"
    )
    eventually(lambda: kept(street)["state"] == "steady", 30, "steady")
    assert kept(street)["revision"] == before
    assert kept(street)["failed"][-1]["reason"] == "not_confirmed"
    told = eventually(lambda: (report().get("change") or {}).get("failed"), 60, "a report through the old tunnel")
    eventually(lambda: report()["change"]["failed"][-1]["reason"] == "not_confirmed", 60, "with the reason")
    assert told
    eventually(lambda: order(ORDERS, "facts")["online"], 60, "registered again")


def test_c03_a_layer_that_is_not_the_boxs_is_refused_and_nothing_changes(street: Street, layer: dict[str, Any]) -> None:
    before = (RUN / "keeper" / "site.json").read_bytes()
    log = street.logs / "agent.log"
    for rule, other in {
        "layer_other_device": {"device": "0" * 64},
        "layer_expired": {"not_after": 1},
        "layer_owner_field": {"layer": layer | {"channel": []}},
        "field_unknown": {"layer": layer | {"ssh_key": "x"}},
    }.items():
        hand_out(street, layer, **other)
        eventually(lambda rule=rule: f'"code": "{rule}"' in log.read_text(encoding="utf-8"), 30, rule)
    assert (RUN / "keeper" / "site.json").read_bytes() == before
