"""The chain of who did what names the line that somebody changed."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import delete, func, select, update

from city.registry import audit
from city.registry.store import Store
from city.registry.tables import Audit

NOW = 1_780_000_000.25


def filled(store: Store, lines: int = 5) -> None:
    for number in range(lines):
        with store.begin() as session:
            audit.write(session, NOW + number, "王工", "site add", f"site:{number}", reason="试点", number=number)


def test_an_untouched_chain_holds(store: Store) -> None:
    filled(store)
    with store.read() as session:
        assert audit.verify(session) == (5, None)
        assert audit.verify(session, most=3) == (3, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [("who", "x"), ("what", "x"), ("subject", "x"), ("detail", "{}"), ("at", 1.0), ("hash", "0" * 64)],
)
def test_a_changed_line_is_named(store: Store, field: str, value: object) -> None:
    filled(store)
    with store.begin() as session:
        session.execute(update(Audit).where(Audit.sequence == 3).values({field: value}))
    with store.read() as session:
        assert audit.verify(session) == (2, 3)


@pytest.mark.parametrize(("gone", "said"), [(1, (0, 1)), (3, (2, 3)), (5, (4, 5))])
def test_a_line_that_was_taken_out_is_named(store: Store, gone: int, said: tuple[int, int]) -> None:
    filled(store)
    with store.begin() as session:
        session.execute(delete(Audit).where(Audit.sequence == gone))
    with store.read() as session:
        assert audit.verify(session) == said


def test_many_who_write_at_once_make_one_chain(store: Store) -> None:
    threads = [threading.Thread(target=filled, args=(store, 10)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(Audit)) == 40
        assert audit.verify(session) == (40, None)
