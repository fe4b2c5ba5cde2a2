"""What is seen of a certificate's owner in one statement is what the registry's own functions say; each has its opposite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from city.registry import glance, layers, reports
from city.registry.signer import Signer
from city.registry.store import Store
from city.registry.tables import Certificate, Meta, Peer, ReceiptHead, Site
from tests import fleet
from tests.fleet import NOW


@pytest.fixture
def site(store: Store, signer: Signer) -> str:
    with store.begin() as session:
        fleet.found(session)
        made = fleet.enrolled(session, signer, 1)
        fleet.enrolled(session, signer, 2)
        session.add(Meta(name="epoch", value="1"))
        layers.applied(session, made.id, (1, 1))
        session.add(ReceiptHead(site=made.id, sequence=6, hash="b" * 64, at=NOW - 1))
        session.add(ReceiptHead(site=made.id, sequence=7, hash="a" * 64, at=NOW))
        return str(made.id)


def same(site: Site, **besides: Any) -> reports.Told:
    return reports.read(fleet.report(site, 1, receipts={"sequence": 7, "hash": "a" * 64}, **besides))


def test_a_site_is_seen_whole(store: Store, site: str) -> None:
    with store.begin() as session:
        row = session.get_one(Site, site)
        seen = fleet.glanced(session, row)
        assert (seen.site, seen.state, seen.device_key, seen.offered) == (row.id, "active", row.device_key, 1)
        assert (seen.mark, seen.layer, seen.head, seen.asked) == ((1, 1), "applied", (7, "a" * 64), False)
        assert seen.shown == glance.Shown(f"site:{site}", "", 0.0, 2 * NOW, None, None)


def test_who_is_no_site_has_none_and_an_unknown_number_is_nobodys(store: Store, site: str) -> None:
    with store.begin() as session:
        session.add(Certificate(serial="c", subject=f"concentrator:{site}", pem="", begins_at=0.0, ends_at=1.0))
        session.flush()
        seen = glance.at(session.connection(), "c")
        assert seen is not None
        assert (seen.site, seen.state, seen.shown.subject) == ("", "", f"concentrator:{site}")
        assert glance.at(session.connection(), "d") is None


def test_a_report_that_says_the_same_is_quiet_and_costs_one_statement(store: Store, site: str) -> None:
    with store.begin() as session:
        fleet.glanced(session, session.get_one(Site, site))
        told = same(session.get_one(Site, site))
    said: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *about: said.append(about[2]))
    with store.look() as connection:
        seen = glance.at(connection, site)
    assert seen is not None and reports.quiet(seen, told)
    assert [line.split()[0] for line in said if line != "BEGIN"] == ["SELECT"]


def _rotation(session: Session, site: Site) -> None:
    session.get_one(Peer, (site.id, "wg-a")).rotation = "asked"


def _epoch(session: Session, site: Site) -> None:
    session.get_one(Meta, "epoch").value = "2"


def _layer(session: Session, site: Site) -> None:
    site.offered = 2


def _receipts(session: Session, site: Site) -> None:
    session.add(ReceiptHead(site=site.id, sequence=8, hash="c" * 64, at=NOW))


@pytest.mark.parametrize("moved", [_rotation, _epoch, _layer, _receipts])
def test_what_has_moved_in_the_registry_is_no_longer_quiet(
    store: Store, site: str, moved: Callable[[Session, Site], None]
) -> None:
    with store.begin() as session:
        row = session.get_one(Site, site)
        assert reports.quiet(fleet.glanced(session, row), same(row))
        moved(session, row)
        assert not reports.quiet(fleet.glanced(session, row), same(row))


@pytest.mark.parametrize(
    "besides",
    [
        {"nonce": "ab" * 16}, {"csr": "a request"}, {"next_keys": {"wg-a": "k"}},
        {"receipts": {"sequence": 6, "hash": "b" * 64}}, {"receipts": {"sequence": 7, "hash": "c" * 64}},
        {"refused": {"mark": [1, 1], "codes": ["tunnel_own_key_unknown"]}},
    ],
)  # fmt: skip
def test_what_a_report_asks_for_is_not_quiet(store: Store, site: str, besides: dict[str, Any]) -> None:
    with store.begin() as session:
        row = session.get_one(Site, site)
        told = reports.read(fleet.report(row, 1) | {"receipts": {"sequence": 7, "hash": "a" * 64}} | besides)
        assert not reports.quiet(fleet.glanced(session, row), told)
