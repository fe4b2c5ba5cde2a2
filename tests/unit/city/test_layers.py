"""A site's layer: what it is made of, what cannot be in it, and what a box says of it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from city.registry import layers, peers, platforms, reports, revocation, rotation
from city.registry.layers import Why
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Certificate, Change, Health, Layer, Peer, ReceiptHead, Site
from netconf import envelope
from netconf.sealed import SealBroken, unseal
from tests import fleet
from tests.fleet import NOW

WHY = Why("zhang", "test")


@pytest.fixture
def fleet_of_two(store: Store, signer: Signer) -> tuple[str, str]:
    with store.begin() as session:
        fleet.found(session)
        session.flush()
        return tuple(fleet.enrolled(session, signer, number).id for number in (1, 2))  # type: ignore[return-value]


def one(session: Any, site: str) -> Site:
    return session.get_one(Site, site)


def test_a_layer_holds_identity_template_and_both_tunnels(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.read() as session:
        site = one(session, fleet_of_two[0])
        body = json.loads(layers.newest(session, site).envelope)
        layer = layers.compose(session, site)
    assert body.keys() == {"payload", "signature"}
    assert [tunnel["name"] for tunnel in layer["tunnel"]] == ["wg-a", "wg-b"]
    assert layer["site"]["name"] == "小区 1"
    assert layer["platform"] == [fleet.PLATFORM]
    assert {tunnel["address"] for tunnel in layer["tunnel"]} == {"100.64.0.10/32", "100.96.0.10/32"}
    assert layers.findings(layer) == ()


def test_nothing_is_signed_anew_without_a_reason(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        assert layers.offer(session, signer, site, NOW + 1, WHY) == 1
        site.own = json.dumps({"control": {"interval_seconds": 30}})
        assert layers.offer(session, signer, site, NOW + 2, WHY) == 2
        assert json.loads(layers.newest(session, site).body)["control"] == {
            "address": "10.20.0.8", "interval_seconds": 30,
        }  # fmt: skip
        assert session.get(Layer, (site.id, 1, 1)).state == "superseded"


def test_a_number_that_was_signed_and_lost_is_stepped_over(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        site.own = json.dumps({"control": {"interval_seconds": 30}})
        assert layers.offer(session, signer, site, NOW, WHY) == 2
        session.rollback()
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        site.own = json.dumps({"control": {"interval_seconds": 20}})
        assert layers.offer(session, signer, site, NOW, WHY) == 3


@pytest.mark.parametrize(
    ("own", "code"),
    [
        ({"channel": []}, "layer_owner_field"),
        ({"uplink": {"port": "x"}}, "layer_owner_field"),
        ({"platform": [fleet.PLATFORM | {"rights": ["everything"]}]}, "field_choice"),
        ({"ssh_key": "x"}, "field_unknown"),
    ],
)
def test_c03_what_is_the_owners_or_unfit_is_never_signed(
    store: Store, signer: Signer, fleet_of_two: Any, own: dict[str, Any], code: str
) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        site.own = json.dumps(own)
        with pytest.raises(RegistryRefused) as refused:
            layers.offer(session, signer, site, NOW, WHY)
        assert (refused.value.rule, refused.value.args_["code"]) == ("layer_refused", code)
        assert site.offered == 1


def test_a_layer_that_has_run_out_is_signed_again_as_a_new_one(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        later = NOW + layers.DAYS_GOOD * 86_400
        told = reports.read(fleet.report(site, 0))
        answer = reports.answer(session, signer, site, told, later)
        assert site.offered == 2
        assert envelope.claimed_mark(answer["layer"]) == (1, 2)


def test_a_box_is_told_what_it_lacks_and_nothing_else(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])

        def heard(report: dict[str, Any]) -> dict[str, str]:
            return reports.answer(session, signer, site, reports.read(report), NOW)

        assert envelope.claimed_mark(heard(fleet.report(site, 0))["layer"]) == (1, 1)
        assert heard(fleet.report(site, 1)) == {}
        assert heard(fleet.report(site, 0, tried=1)) == {}, "what was undone is not pushed again"
        busy = fleet.report(site, 0)
        busy["change"]["state"] = "waiting"
        assert heard(busy) == {}
        assert heard(fleet.report(site, 0) | {"refused": {"mark": [1, 1], "codes": ["field_unknown"]}}) == {}
        assert heard(fleet.report(site, 1) | {"nonce": "ab" * 16}).keys() == {"answer"}


@pytest.mark.parametrize(
    ("applied", "tried", "besides", "state"),
    [
        (1, 1, {}, "applied"),
        (0, 1, {}, "reverted"),
        (0, 0, {"refused": {"mark": [1, 1], "codes": ["x"]}}, "reverted"),
        (0, 0, {}, "offered"),
    ],
)
def test_what_became_of_a_layer(
    store: Store, signer: Signer, fleet_of_two: Any, applied: int, tried: int, besides: dict[str, Any], state: str
) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        told = reports.read(fleet.report(site, applied, tried, **besides))
        assert not reports.quiet(fleet.glanced(session, site), told)
        outcome = reports.settle(session, signer, site, told, NOW)
        assert (outcome or "offered") == state
        assert session.get(Layer, (site.id, 1, 1)).state == state
        assert reports.quiet(fleet.glanced(session, site), told) is (state == "applied"), "said twice is said once"


def test_while_it_waits_nothing_is_decided(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        report = fleet.report(site, 0, 1)
        report["change"]["state"] = "waiting"
        assert reports.settle(session, signer, site, reports.read(report), NOW) is None


def test_health_is_kept_in_one_statement_and_the_last_wins(store: Store, fleet_of_two: Any) -> None:
    with store.begin() as session:
        sites = [one(session, name) for name in fleet_of_two]
        dark = fleet.report(sites[1], 1)
        dark["programs"]["ferry"]["views"] = {}
        told = [reports.read(fleet.report(sites[0], 1)), reports.read(dark), reports.read(fleet.report(sites[0], 2))]
        reports.keep(session, [(each, NOW + at) for at, each in enumerate(told)])
    with store.read() as session:
        first, second = (session.get_one(Health, name) for name in fleet_of_two)
        assert (first.revision, first.seen_at, first.media_at, first.registered) == (2, NOW + 2, NOW + 2, True)
        assert (second.seen_at, second.media_at) == (NOW + 1, None)
        assert first.verdict == "good", "what was made of it is not the report's to change"


def test_receipts_grow_and_are_kept_once(store: Store, fleet_of_two: Any) -> None:
    def heads(*told: tuple[int, float]) -> list[tuple[int, float]]:
        """What is kept after these (how far, when)."""
        for sequence, at in told:
            with store.begin() as session:
                sites = [one(session, name) for name in fleet_of_two]
                head = {"sequence": sequence, "hash": f"{sequence:064x}"}
                said = [reports.read(fleet.report(site, 1, receipts=head)) for site in sites]
                layers.applied(session, sites[0].id, (1, 1))
                assert reports.quiet(fleet.glanced(session, sites[0]), said[0]), "nobody waits for it"
                reports.keep(session, [(each, NOW + at) for each in said])
        with store.read() as session:
            rows = session.query(ReceiptHead).order_by(ReceiptHead.site, ReceiptHead.sequence).all()
        kept = [(row.sequence, row.at - NOW) for row in rows]
        assert kept[: len(kept) // 2] == kept[len(kept) // 2 :], "of both sites the same"
        assert all(row.hash == f"{row.sequence:064x}" for row in rows)
        return kept[: len(kept) // 2]

    assert heads((7, 0.0)) == [(7, 0.0)]
    assert heads((7, 60.0)) == [(7, 0.0)], "said twice is said once"
    assert heads((9, 120.0)) == [(9, 0.0)], "of ten minutes one"
    assert heads((12, 700.0)) == [(9, 0.0), (12, 700.0)]


@pytest.mark.parametrize(
    "report",
    [
        {}, {"site": 5, "change": [], "tunnels": 3, "programs": {"ferry": {"views": []}}, "findings": {"a": 1}},
        {"change": {"applied": ["x", -1], "failed": [[], 5]}, "city_layer": [1], "receipts": {"sequence": True}},
        {"next_keys": {f"t{n}": "k" * 9000 for n in range(99)}, "csr": "x" * 99_999, "nonce": "\x00"},
    ],
)  # fmt: skip
def test_a_report_of_any_form_is_read(report: dict[str, Any]) -> None:
    told = reports.read(report)
    assert told.applied == told.tried == (0, 0)
    assert told.nonce == told.csr == ""
    assert len(told.kept.encode()) <= reports.MAX_KEPT_BYTES


# -- keys -------------------------------------------------------------------------------------------------------------


def peer(session: Any, site: Site, tunnel: str = "wg-b") -> Peer:
    return session.get_one(Peer, (site.id, tunnel))


def test_a_key_is_exchanged_step_by_step(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        before = peer(session, site).public_key
        rotation.begin(session, site, "wg-b", "zhang", NOW)
        assert reports.answer(session, signer, site, reports.read(fleet.report(site, 1)), NOW)["rotate"] == "wg-b"
        told = reports.read(fleet.report(site, 1, next_keys={"wg-b": fleet.key(777)}))
        for _ in range(2):  # the report may come twice
            reports.settle(session, signer, site, told, NOW)
        session.flush()
        assert (peer(session, site).public_key, peer(session, site).next_key) == (fleet.key(777), before)
        assert site.offered == 2
        tunnels = {one["name"]: one for one in layers.compose(session, site)["tunnel"]}
        assert tunnels["wg-b"]["own_key"] == fleet.key(777)
        assert tunnels["wg-a"]["own_key"] == peer(session, site, "wg-a").public_key
        reports.settle(session, signer, site, reports.read(fleet.report(site, 2)), NOW)
        assert (peer(session, site).next_key, peer(session, site).rotation) == (None, "")
        with pytest.raises(RegistryRefused, match="key_taken"):
            peers.offer_key(session, fleet_of_two[1], "wg-b", before, NOW)


def test_a_box_that_undoes_the_exchange_has_its_old_key(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        before = peer(session, site).public_key
        rotation.begin(session, site, "wg-b", "zhang", NOW)
        told = reports.read(fleet.report(site, 1, next_keys={"wg-b": fleet.key(777)}))
        reports.settle(session, signer, site, told, NOW)
        reports.settle(session, signer, site, reports.read(fleet.report(site, 1, 2)), NOW)
        assert (peer(session, site).public_key, peer(session, site).rotation) == (before, "")
        assert site.offered == 3, "the box is told the old key again"
        feed = [json.loads(row.body)["public_key"] for row in session.query(Change).filter_by(feed="peers:hub-b",
                site=site.id).order_by(Change.revision)]  # fmt: skip
        assert feed == [before, fleet.key(777), before]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda site: None, "other_tunnel_dead"),
        (lambda site: setattr(site, "state", "revoked"), "site_not_active"),
    ],
)
def test_f10_a_rotation_does_not_take_the_last_way(
    store: Store, signer: Signer, fleet_of_two: Any, change: Any, rule: str
) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        session.get_one(Health, site.id).handshakes = json.dumps({"wg-a": None, "wg-b": 5})
        change(site)
        with pytest.raises(RegistryRefused, match=rule):
            rotation.begin(session, site, "wg-b", "zhang", NOW)


@pytest.mark.parametrize(
    ("codes", "ages", "asked"),
    [
        (["tunnel_own_key_unknown"], {"wg-a": 15, "wg-b": None}, ["wg-b"]),
        (["tunnel_own_key_unknown"], {"wg-a": 15, "wg-b": 3000}, ["wg-b"]),
        (["tunnel_own_key_unknown"], {"wg-a": 15, "wg-b": 15}, []),
        (["tunnel_own_key_unknown"], {"wg-a": None, "wg-b": None}, []),
        (["field_unknown"], {"wg-a": 15, "wg-b": None}, []),
    ],
)
def test_a_box_without_the_key_that_a_layer_expects_is_asked_for_another(
    store: Store, signer: Signer, fleet_of_two: Any, codes: list[str], ages: dict[str, Any], asked: list[str]
) -> None:
    """A backup was laid back since the key was exchanged: by itself that tunnel would never come back."""
    tunnels = {name: {"handshake_age_seconds": age} for name, age in ages.items()}
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        told = fleet.report(site, 0, tunnels=tunnels) | {
            "city_layer": [0, 0],
            "refused": {"mark": [1, 1], "codes": codes},
        }
        fresh = told | {"tunnels": {"wg-a": {"handshake_age_seconds": 1}, "wg-b": {"handshake_age_seconds": 1}}}
        for said in (fresh, told, told):
            read = reports.read(said)
            if not reports.quiet(fleet.glanced(session, site), read):
                reports.settle(session, signer, site, read, NOW)
            session.flush()
        assert [row.tunnel for row in session.query(Peer).filter_by(site=site.id, rotation="asked")] == asked
        assert session.get_one(Layer, (site.id, 1, 1)).state == "reverted"


def test_w02_a_key_of_somebody_else_is_not_taken_up(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        theirs = peer(session, one(session, fleet_of_two[1]), "wg-a").public_key
        rotation.begin(session, site, "wg-b", "zhang", NOW)
        told = reports.read(fleet.report(site, 1, next_keys={"wg-b": theirs}))
        reports.settle(session, signer, site, told, NOW)
        assert peer(session, site).rotation == "asked"
        assert peer(session, site).public_key != theirs


# -- revocation -------------------------------------------------------------------------------------------------------


def test_c04_what_is_revoked_is_off_everywhere_and_never_back(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.begin() as session:
        site, other = (one(session, name) for name in fleet_of_two)
        session.add(Certificate(serial="1", subject=f"site:{site.id}", pem="", begins_at=NOW, ends_at=NOW + 9))
        revocation.revoke(session, signer, site, "li", "stolen", NOW)
        session.flush()
        assert {peer(session, site, name).state for name in ("wg-a", "wg-b")} == {"off"}
        assert session.get_one(Certificate, "1").revoked_at == NOW
        gone = [row.feed for row in session.query(Change).filter_by(site=site.id) if json.loads(row.body).get("gone")]
        assert sorted(gone) == ["peers:hub-a", "peers:hub-b", platforms.FEED]
        assert json.loads(site.revocation)["signature"]
        assert (other.state, peer(session, other).state) == ("active", "on")
        for again in (
            lambda: revocation.revoke(session, signer, site, "li", "stolen", NOW),
            lambda: layers.offer(session, signer, site, NOW, WHY),
            lambda: rotation.begin(session, site, "wg-a", "li", NOW),
            lambda: peers.put_on(session, signer, site.id, "wg-a", "hub-a", fleet.key(888), NOW),
        ):
            with pytest.raises(RegistryRefused):
                again()


def test_a_revocation_wants_a_reason(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.begin() as session:
        site = one(session, fleet_of_two[0])
        for reason, rule in ((" ", "reason_missing"), ("x" * 999, "reason_long")):
            with pytest.raises(RegistryRefused, match=rule):
                revocation.revoke(session, signer, site, "li", reason, NOW)
        assert site.state == "active"


def test_secrets_are_for_the_box_and_the_hub_alone(store: Store, signer: Signer, fleet_of_two: Any) -> None:
    with store.read() as session:
        site = one(session, fleet_of_two[0])
        sealed = layers.newest(session, site).sealed.split()
        hub = peer(session, site).psk
        name = site.id
    assert len(sealed) == 2
    assert len(unseal(hub, fleet.HUB_KEY, envelope.SEALED_FOR_HUB + name)) in (32, 44)
    with pytest.raises(SealBroken):
        unseal(sealed[0], fleet.HUB_KEY, envelope.SEALED_FOR_BOX + name)


def test_differences_are_said_by_place() -> None:
    before = copy.deepcopy(fleet.BODY)
    after = copy.deepcopy(fleet.BODY) | {"monitoring": {"readers": ["10.20.0.9"]}}
    after["platform"][0]["rights"] = ["live", "playback"]
    assert layers.differences(before, after) == [
        ("/monitoring", None, {"readers": ["10.20.0.9"]}),
        ("/platform/0/rights", ["live"], ["live", "playback"]),
    ]
