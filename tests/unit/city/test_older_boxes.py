"""A fleet is upgraded ring by ring: boxes of older and of newer releases beside one city (faults.json, F33).

No release came before the first; what an older one lacks, and a newer one says besides, stands here as reports.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from city.registry import layers, reports
from city.registry.layers import Why
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Health, Layer, Site
from netconf import enrolment
from tests import fleet
from tests.enrolling import NOW as ENROLS
from tests.enrolling import Box, add_site, approve, found
from tests.fleet import NOW

#: A report as the first release says it, and what it cannot do without.
LEAST = ("site", "device", "city_layer", "change")
LATER = ("nonce", "findings", "faults", "tunnels", "programs", "receipts", "csr", "next_keys", "version", "refused")


@pytest.fixture
def site(store: Store, signer: Signer) -> str:
    with store.begin() as session:
        fleet.found(session)
        return fleet.enrolled(session, signer, 1).id


def hear(store: Store, signer: Signer, site: str, said: dict[str, Any]) -> dict[str, str]:
    with store.begin() as session:
        row, told = session.get_one(Site, site), reports.read(json.loads(json.dumps(said)))
        reports.settle(session, signer, row, told, NOW)
        reports.keep(session, [(told, NOW)])
        return reports.answer(session, signer, row, told, NOW)


def full(store: Store, site: str, applied: int) -> dict[str, Any]:
    with store.read() as session:
        return fleet.report(session.get_one(Site, site), applied, version="9.9", receipts={}, csr="", next_keys={})


@pytest.mark.parametrize("lacks", [LATER, *((name,) for name in LATER)], ids=lambda lacks: "+".join(lacks)[:24])
def test_f33_what_an_older_box_does_not_say_is_not_missed(
    store: Store, signer: Signer, site: str, lacks: tuple[str, ...]
) -> None:
    said = {name: value for name, value in full(store, site, 0).items() if name not in lacks}
    assert said.keys() >= set(LEAST)
    assert hear(store, signer, site, said).keys() == {"layer"}
    assert (
        hear(store, signer, site, {**said, "city_layer": [1, 1], "change": {"applied": [1, 1], "state": "steady"}})
        == {}
    )
    with store.read() as session:
        assert session.get_one(Layer, (site, 1, 1)).state == "applied"
        assert session.get_one(Health, site).revision == 1


@pytest.mark.parametrize(
    "value", [None, 7, -1.5, "x" * 5000, [[[]]], {"a": {"b": [1]}}, True], ids=lambda v: str(v)[:12]
)
def test_f33_what_a_newer_box_says_besides_or_otherwise_is_no_fault(
    store: Store, signer: Signer, site: str, value: Any
) -> None:
    """A field that nobody knows, in every table, and every known field that is not needed in another form."""
    said = full(store, site, 1) | {"next release": value}
    said["change"] = {**said["change"], "next release": value, "failed": value}
    said["programs"] = {**said["programs"], "next release": value, "cityside": {"registered": True, "more": value}}
    said["tunnels"] = {"wg-a": {"handshake_age_seconds": 15, "more": value}, "wg-z": value}
    assert hear(store, signer, site, said) == {}
    for name in LATER:
        assert hear(store, signer, site, said | {name: value if name != "nonce" else ""}).keys() <= {"layer"}, name
    with store.read() as session:
        assert session.get_one(Layer, (site, 1, 1)).state == "applied"


def test_f33_a_field_that_an_older_box_refuses_by_name_is_undone_and_told_and_the_next_layer_is_taken(
    store: Store, signer: Signer, site: str
) -> None:
    with store.begin() as session:
        row = session.get_one(Site, site)
        row.own = json.dumps({"control": {"address": "10.20.0.8", "interval_seconds": 30}})
        assert layers.offer(session, signer, row, NOW, Why("li", "a field of the next release")) == 2
    refused = full(store, site, 1) | {"refused": {"mark": [1, 2], "codes": ["field_unknown"]}}
    for _ in range(3):
        assert hear(store, signer, site, refused) == {}, "and it is not pushed again"
    with store.begin() as session:
        assert session.get_one(Layer, (site, 1, 2)).state == "reverted"
        row = session.get_one(Site, site)
        row.own = "{}"
        assert layers.offer(session, signer, row, NOW, Why("li", "without it")) == 3
    assert hear(store, signer, site, refused).keys() == {"layer"}
    assert hear(store, signer, site, full(store, site, 3)) == {}
    with store.read() as session:
        assert session.get_one(Layer, (site, 1, 3)).state == "applied"


def test_f33_a_request_with_a_field_that_the_city_does_not_know_is_refused_by_name(
    store: Store, signer: Signer
) -> None:
    """Whether that field would have to be heeded nobody knows: a newer box must ask an older city in the older form."""
    found(store)
    claim, box = add_site(store), Box()
    outer = json.loads(enrolment.sign_request(box.request(claim), box.key))
    payload = json.loads(base64.b64decode(outer["payload"])) | {"next release": 1}
    octets = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    signature = box.key.sign(enrolment._REQUEST + octets, ec.ECDSA(hashes.SHA256()))
    text = json.dumps(
        {name: base64.b64encode(said).decode() for name, said in (("payload", octets), ("signature", signature))}
    )
    with pytest.raises(enrolment.EnrolmentRefused, match="enrol_form"):
        enrolment.open_request(text)
    assert box.ask(store, signer, claim, ENROLS).body == {"state": "pending"}
    approve(store, signer)
