"""The city changes its part of the configuration from afar, through the tunnel that it changes; and cannot lose a site."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from edge.lab.control import city_key
from edge.lab.orders import order
from edge.lab.sockets import in_namespace
from edge.lab.street import CONTROL, RUN, Street, eventually
from edge.lab.topology import CITY_IP, TUNNEL_IP, inside
from netconf import envelope, layers
from netconf.model import METRICS_PORT
from tests.unit.edge.metrics.test_figures import scraped

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


def test_f30_a_layer_that_kills_the_tunnel_is_undone_and_the_city_hears_why(
    street: Street, layer: dict[str, Any]
) -> None:
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


def dialled() -> socket.socket:
    """Return a connection of the city's host to where the figures are.

    Raises:
        OSError: nothing lets it in.
    """
    with in_namespace("city"):
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.settimeout(2)
    try:
        opened.connect((TUNNEL_IP, METRICS_PORT))
    except OSError:
        opened.close()
        raise
    return opened


def scrape() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return what the city's host reads of the box through the tunnel; nothing when nothing answers."""
    line = http.client.HTTPConnection(TUNNEL_IP, METRICS_PORT)
    try:
        line.sock = dialled()
        line.request("GET", "/metrics")
        answer = line.getresponse()
        return scraped(answer.read().decode()) if answer.status == 200 else {}
    except OSError:
        return {}
    finally:
        line.close()


def told(name: str, **labels: str) -> float | None:
    """Return one figure that the city's host reads now."""
    return scrape().get((f"snowgate_{name}", frozenset(labels.items())))


def test_only_a_reader_whom_the_layer_names_reads_the_figures(street: Street, layer: dict[str, Any]) -> None:
    def tried(*readers: str) -> None:
        layer["monitoring"] = {"readers": readers}
        revision = hand_out(street, layer)
        eventually(lambda: kept(street)["city_layer"] == [1, revision], 40, "the layer is tried")
        eventually(lambda: kept(street)["state"] == "steady", 40, "and kept")

    tried("100.64.255.20")
    eventually(lambda: listening() == {TUNNEL_IP}, 20, "it listens on the tunnel's address alone")
    with pytest.raises(TimeoutError):  # the rules let another one in only
        dialled()
    tried(CITY_IP)
    eventually(lambda: told("registered", platform="34020000002000000001"), 60, "registered")
    for program in ("keeper", "siteside", "cityside", "ferry"):
        eventually(lambda program=program: told("program_up", program=program), 20, program)
    assert told("tunnel_up", tunnel="wg-a") == 1
    tried()
    eventually(lambda: listening() == set(), 20, "nobody listens")


def listening() -> set[str]:
    """Return the addresses where something listens at the figures' port in ``vpn``."""
    command = inside("vpn", "ss", "-Hltn", f"sport = :{METRICS_PORT}")
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line.split()[3].rpartition(":")[0] for line in shown.splitlines()}
