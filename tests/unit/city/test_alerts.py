"""Alerts: outages take their sites in, what a concentrator says of clones, and what stands is what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from city.api import callers
from city.registry import alerts, concentrators, enrolment, outages, troubles
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Alert, Certificate, Concentrator, Site
from tests import fleet
from tests.fleet import NOW


def fill(store: Store, signer: Signer, carriers: dict[str, int]) -> dict[str, list[str]]:
    made: dict[str, list[str]] = {}
    with store.begin() as session:
        fleet.found(session)
        number = 0
        for carrier, count in carriers.items():
            for _ in range(count):
                site = fleet.enrolled(session, signer, number)
                site.carrier = carrier
                made.setdefault(carrier, []).append(site.id)
                number += 1
    return made


def fall(store: Store, sites: list[str], carrier: str, at: float, **besides: Any) -> None:
    with store.begin() as session:
        for site in sites:
            facts = {"site": site, "name": site, "carrier": carrier, "concentrators": ["hub-a", "hub-b"]} | besides
            alerts.raise_(session, at, "site_dark", f"site:{site}", "error", **facts)


def gather(store: Store, at: float) -> None:
    with store.begin() as session:
        outages.gather(session, at)


def opened(store: Store) -> dict[str, str]:
    with store.read() as session:
        return {row.subject: row.grouping for row in session.scalars(select(Alert).where(Alert.closed_at.is_(None)))}


def test_an_outage_of_a_carrier_is_one_alert_and_its_sites_are_inside(store: Store, signer: Signer) -> None:
    of = fill(store, signer, {"电信": 10, "移动": 20})
    fall(store, of["电信"][:4], "电信", NOW)
    fall(store, of["移动"][:1], "移动", NOW)
    gather(store, NOW + 1)
    assert set(opened(store).values()) == {""}, "four are not yet an outage"
    fall(store, of["电信"][4:5], "电信", NOW + 20)
    gather(store, NOW + 21)
    stand = opened(store)
    assert stand.pop("carrier:电信") == ""
    assert [stand[f"site:{site}"] for site in of["电信"][:5]] == ["carrier:电信"] * 5
    assert stand[f"site:{of['移动'][0]}"] == "", "another's site is told by itself"
    with store.read() as session:
        row = session.execute(select(Alert).where(Alert.code == "carrier_outage")).scalar_one()
        assert json.loads(row.args)["count"] == 5 and "10" in alerts.sentence(row)
    # A later one joins although it alone would be none.
    fall(store, of["电信"][5:6], "电信", NOW + 250)
    gather(store, NOW + 251)
    assert opened(store)[f"site:{of['电信'][5]}"] == "carrier:电信"
    # Some come back: it hangs on, and then it is over and the rest is told by itself.
    for back, stands in ((3, True), (5, False)):
        with store.begin() as session:
            for site in of["电信"][:back]:
                alerts.close(session, NOW + 300, "site_dark", f"site:{site}")
        gather(store, NOW + 301)
        assert ("carrier:电信" in opened(store)) is stands
    assert opened(store)[f"site:{of['电信'][5]}"] == ""


def test_five_of_a_great_carrier_are_no_outage(store: Store, signer: Signer) -> None:
    of = fill(store, signer, {"联通": 20})
    fall(store, of["联通"][:5], "联通", NOW)
    gather(store, NOW + 1)
    assert "carrier:联通" not in opened(store)
    fall(store, of["联通"][5:6], "联通", NOW)
    gather(store, NOW + 2)
    assert len([name for name in opened(store) if not name.startswith("site:")]) == 1


def test_those_that_fell_hours_apart_are_no_outage(store: Store, signer: Signer) -> None:
    of = fill(store, signer, {"联通": 6})
    for at, site in enumerate(of["联通"]):
        fall(store, [site], "联通", NOW + at * 400)
        gather(store, NOW + at * 400 + 1)
    assert set(opened(store).values()) == {""} and len(opened(store)) == 6


def test_one_concentrators_dead_tunnels_are_its_outage(store: Store, signer: Signer) -> None:
    of = fill(store, signer, {"电信": 5, "移动": 5})
    with store.begin() as session:
        for carrier, sites in of.items():
            for site in sites[:3]:
                facts = {"site": site, "name": site, "carrier": carrier, "concentrators": ["hub-b"]}
                alerts.raise_(session, NOW, "site_degraded", f"site:{site}", "warning", **facts)
    gather(store, NOW + 1)
    assert [name for name in opened(store) if not name.startswith("site:")] == ["concentrator:hub-b"]


KEYS_OF_B = [[fleet.key(1096), 51820, 1]]


def report(**besides: Any) -> dict[str, Any]:
    with_slots = {"revision": 3, "slots": [[fleet.key(1064), 51820, 1]], "healed": 0, "refused_count": 0, "rule": ""}
    return with_slots | besides


FLIPS = [{"site": fleet.site_id(0), "flips": 4, "endpoints": ["192.0.2.1:1", "198.51.100.7:2"]}]


def certificate(store: Store, serial: str, begins: float) -> None:
    with store.begin() as session:
        subject = f"site:{fleet.site_id(0)}"
        session.add(Certificate(serial=serial, subject=subject, pem="", begins_at=begins, ends_at=NOW + 1e7))


def test_a_box_at_two_places_is_told_and_its_newer_certificate_held_until_a_person_has_looked(
    store: Store, signer: Signer
) -> None:
    fill(store, signer, {"电信": 1})
    certificate(store, "aa", NOW - 100)
    certificate(store, "bb", NOW - 50)

    def held() -> dict[str, bool]:
        with store.read() as session:
            return {row.serial: row.held_at is not None for row in session.scalars(select(Certificate))}

    with store.begin() as session:
        concentrators.heard(session, "hub-a", report(endpoint_flips=[FLIPS[0] | {"flips": 2}]), NOW)
    assert not any(held().values()) and opened(store) == {}, "two changes are a move"
    with store.begin() as session:
        session.get_one(Concentrator, "hub-b")
        troubles.clones(session, NOW, "hub-of-others", {"endpoint_flips": FLIPS})
    assert opened(store) == {}, "nobody speaks of another's sites"
    with store.begin() as session:
        concentrators.heard(session, "hub-a", report(endpoint_flips=FLIPS), NOW)
        concentrators.heard(session, "hub-b", report(endpoint_flips=FLIPS), NOW + 1)
    assert held() == {"aa": False, "bb": True}
    assert list(opened(store)) == [f"site:{fleet.site_id(0)}"]
    with store.begin() as session:
        site = session.get_one(Site, fleet.site_id(0))
        with pytest.raises(RegistryRefused, match="reason_missing"):
            troubles.cleared(session, NOW, "sec", site, " ")
        troubles.cleared(session, NOW, "sec", site, "the second box was wiped")
        with pytest.raises(RegistryRefused, match="alert_unknown"):
            troubles.cleared(session, NOW, "sec", site, "again")
    assert not any(held().values()) and opened(store) == {}


def test_a_held_certificate_is_refused_and_no_other_made(store: Store, signer: Signer) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from tests import enrolling

    enrolling.found(store)
    box = enrolling.Box()
    claim = enrolling.add_site(store)
    box.ask(store, signer, claim)
    enrolling.approve(store, signer)
    given = box.ask(store, signer, claim).body["certificate"]
    der = x509.load_pem_x509_certificate(given.encode()).public_bytes(Encoding.DER)
    with store.begin() as session:
        assert callers.subject(session, NOW, der) == f"site:{enrolling.SITE}"
        session.execute(select(Certificate)).scalars().one().held_at = NOW
        session.flush()
        with pytest.raises(RegistryRefused, match="certificate_held"):
            callers.subject(session, NOW, der)
        site = session.get_one(Site, enrolling.SITE)
        assert enrolment.renew(session, signer, NOW + 80 * 86_400, site, enrolling.csr(box.key)) is None
    assert box.ask(store, signer, "").body == {"state": "refused", "rule": "certificate_held"}


def test_concentrators_alerts_are_kept_true(store: Store, signer: Signer) -> None:
    fill(store, signer, {"电信": 2})

    def look(at: float) -> set[tuple[str, str]]:
        with store.begin() as session:
            troubles.concentrators(session, at)
        with store.read() as session:
            wanted = select(Alert.code, Alert.subject).where(Alert.closed_at.is_(None))
            return {(code, subject) for code, subject in session.execute(wanted)}

    assert look(NOW) == set(), "one that was never heard is being built"
    with store.begin() as session:
        concentrators.heard(session, "hub-a", report(revision=0), NOW + 200)
        concentrators.heard(
            session,
            "hub-b",
            report(revision=2, rule="hub_snapshot_smaller", refused_count=2, device_refused=1, slots=KEYS_OF_B),
            NOW + 200,
        )
    assert look(NOW + 201) == {
        ("concentrator_behind", "concentrator:hub-a"), ("concentrator_refuses", "concentrator:hub-b"),
    }  # fmt: skip
    with store.begin() as session:
        concentrators.heard(session, "hub-a", report(revision=2, healed=4), NOW + 260)
        concentrators.heard(
            session, "hub-b", report(revision=2, device_refused=3, slots=KEYS_OF_B[:1] + [["x", 9, 0]]), NOW + 260
        )
    assert look(NOW + 261) == {
        ("concentrator_drifts", "concentrator:hub-a"), ("concentrator_device", "concentrator:hub-b"),
    }  # fmt: skip
    with store.begin() as session:
        concentrators.heard(session, "hub-b", report(revision=2, device_refused=3), NOW + 320)
    assert ("concentrator_keyless", "concentrator:hub-b") in look(NOW + 321), (
        "it serves another's key, as one made anew"
    )
    assert ("concentrator_device", "concentrator:hub-b") not in look(NOW + 321)
    with store.begin() as session:
        concentrators.heard(session, "hub-a", report(revision=2, healed=8), NOW + 320)
    assert look(NOW + 560) >= {
        ("concentrator_silent", "concentrator:hub-a"),
        ("concentrator_drifts", "concentrator:hub-a"),
    }
    with store.begin() as session:
        for hub in ("hub-a", "hub-b"):
            own = {"slots": KEYS_OF_B} if hub == "hub-b" else {}
            concentrators.heard(session, hub, report(revision=2, healed=8 * (hub == "hub-a"), **own), NOW + 600)
    assert look(NOW + 601) == set()


def test_a_certificate_that_nobody_renewed_is_told_and_a_newer_one_ends_it(store: Store, signer: Signer) -> None:
    fill(store, signer, {"电信": 1})
    certificate(store, "aa", NOW)
    for at, stands in ((NOW, False), (NOW + 1e7 - 13 * 86_400, True)):
        with store.begin() as session:
            troubles.certificates(session, at)
        assert bool(opened(store)) is stands
    with store.begin() as session:
        session.add(
            Certificate(serial="b", subject=f"site:{fleet.site_id(0)}", pem="", begins_at=NOW, ends_at=NOW + 3e7)
        )
        session.flush()
        troubles.certificates(session, NOW + 1e7 - 13 * 86_400)
    assert opened(store) == {}
