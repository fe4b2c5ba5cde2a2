"""One transaction holds whole or not at all, on either database, and the migrations make what the tables say."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select

from city.registry.store import Store, StoreUnfit, open_store
from city.registry.tables import Meta, Table


def test_the_migrations_make_exactly_the_tables(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": Table.metadata})
        assert compare_metadata(context, Table.metadata) == []
        assert len(inspect(connection).get_table_names()) == len(Table.metadata.tables) + 1


def test_opening_again_changes_nothing(store_url: str) -> None:
    store = open_store(store_url)
    with store.begin() as session:
        session.add(Meta(name="epoch", value="3"))
    store.close()
    again = open_store(store_url)
    with again.read() as session:
        assert session.scalar(select(Meta.value)) == "3"
    again.close()


def test_what_raises_is_undone_and_what_looks_keeps_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.begin() as session:
        session.add(Meta(name="epoch", value="1"))
        session.flush()
        raise ZeroDivisionError
    with store.read() as session:
        session.add(Meta(name="epoch", value="2"))
        session.flush()
    with store.read() as session:
        assert session.scalar(select(Meta.value)) is None


def test_two_that_read_and_then_write_lose_nothing(store: Store) -> None:
    with store.begin() as session:
        session.add(Meta(name="count", value="0"))

    def add() -> None:
        for _ in range(25):
            with store.begin() as session:
                row = session.scalars(select(Meta).with_for_update()).one()
                row.value = str(int(row.value) + 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with store.read() as session:
        assert session.scalar(select(Meta.value)) == "100"


def test_one_leads(store_url: str) -> None:
    one, other = open_store(store_url, upgrade=False), open_store(store_url, upgrade=False)
    with one.leader("schedule") as first, other.leader("schedule") as second, other.leader("else") as third:
        assert first is not None and first.holds()
        assert second is None
        assert third is not None
    with other.leader("schedule") as second:
        assert second is not None
    one.close()
    other.close()


@pytest.mark.parametrize("url", ["sqlite://", "mysql://a/b", "nonsense", "sqlite:///:memory:"])
def test_an_address_of_no_database_is_refused(url: str) -> None:
    with pytest.raises(StoreUnfit):
        open_store(url)


def test_sqlite_keeps_what_it_says_it_kept(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with store.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    store.close()
