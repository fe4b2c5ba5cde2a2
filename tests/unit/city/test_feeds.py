"""Feeds have no gap and no late row, whoever writes at once and whatever is undone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from city.registry import feeds
from city.registry.store import Store, open_store

NOW = 1_780_000_000.0
SITE = "34020000002000000001"


def test_revisions_count_on_and_one_that_was_undone_is_given_again(store: Store) -> None:
    with store.begin() as session:
        assert [feeds.append(session, "f", SITE, {"n": n}, NOW) for n in (1, 2)] == [1, 2]
    with pytest.raises(ZeroDivisionError), store.begin() as session:
        assert feeds.append(session, "f", SITE, {"n": 3}, NOW) == 3
        raise ZeroDivisionError
    with store.begin() as session:
        assert feeds.append(session, "f", SITE, {"n": 4}, NOW) == 3
        assert feeds.append(session, "other", SITE, {}, NOW) == 1
    with store.read() as session:
        found = feeds.after(session, "f", 0, 10)
        assert found is not None
        assert [(entry.revision, entry.body["n"]) for entry in found] == [(1, 1), (2, 2), (3, 4)]
        assert feeds.head(session, "f") == 3
        assert feeds.after(session, "f", 3, 10) == ()
        assert [entry.revision for entry in feeds.after(session, "f", 1, 1) or ()] == [2]


def test_a_reader_that_comes_too_late_is_told_so(store: Store) -> None:
    with store.begin() as session:
        for n in range(10):
            feeds.append(session, "f", SITE, {"n": n}, NOW)
        feeds.trim(session, "f", 6)
    with store.read() as session:
        assert feeds.after(session, "f", 5, 10) is None
        assert [entry.revision for entry in feeds.after(session, "f", 6, 10) or ()] == [7, 8, 9, 10]
    with store.begin() as session:
        feeds.trim(session, "f", 10)
    with store.read() as session:
        assert feeds.after(session, "f", 6, 10) is None
        assert feeds.after(session, "f", 10, 10) == ()


def test_old_changes_go_by_themselves(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "KEPT", 20)
    monkeypatch.setattr(feeds, "_TRIM_EVERY", 8)
    with store.begin() as session:
        for n in range(64):
            feeds.append(session, "f", SITE, {"n": n}, NOW)
        assert feeds.after(session, "f", 43, 100) is None
        assert len(feeds.after(session, "f", 44, 100) or ()) == 20


class Undone(Exception):
    pass


def writes(store: Store, chance: Random, name: int) -> list[tuple[str, int]]:
    """Write and undo at random; return what was kept, as (feed, revision)."""
    kept = []
    for _ in range(12):
        asked = sorted(chance.choices(("a", "b"), k=chance.randint(1, 3)))
        try:
            with store.begin() as session:
                made = [(feed, feeds.append(session, feed, SITE, {"by": name}, NOW)) for feed in asked]
                time.sleep(chance.random() / 500)
                if chance.random() < 0.3:
                    raise Undone
            kept += made
        except Undone:
            pass
    return kept


class Reader(threading.Thread):
    """Follows a feed while others write, as a concentrator does; what it has seen must be all there is."""

    def __init__(self, store: Store, feed: str, ended: threading.Event) -> None:
        super().__init__()
        self.seen: list[int] = []
        self._store, self._feed, self._ended = store, feed, ended

    def run(self) -> None:
        while True:
            last_round = self._ended.is_set()
            with self._store.read() as session:
                found = feeds.after(session, self._feed, self.seen[-1] if self.seen else 0, 5)
            assert found is not None
            self.seen += [entry.revision for entry in found]
            if not found and last_round:
                return


@pytest.mark.parametrize("seed", range(4))
def test_many_write_at_once_and_no_reader_misses_one(store_url: str, seed: int) -> None:
    stores = [open_store(store_url, upgrade=False) for _ in range(4)]
    ended = threading.Event()
    readers = [Reader(stores[0], feed, ended) for feed in ("a", "b")]
    for reader in readers:
        reader.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            done = pool.map(lambda n: writes(stores[n], Random(seed * 10 + n), n), range(4))
        kept = [one for each in done for one in each]
    finally:
        ended.set()
        for reader in readers:
            reader.join()
        for store in stores:
            store.close()
    for reader, feed in zip(readers, ("a", "b"), strict=True):
        revisions = sorted(revision for name, revision in kept if name == feed)
        assert revisions == list(range(1, len(revisions) + 1))
        assert reader.seen == revisions


def test_a_waiting_reader_is_woken(store: Store) -> None:
    with feeds.hints(store, "f") as hints:

        def write() -> None:
            with store.begin() as session:
                feeds.append(session, "f", SITE, {}, NOW)

        writer = threading.Timer(0.2, write)
        writer.start()
        until = time.monotonic() + 20
        found: tuple[feeds.Entry, ...] = ()
        while not found and time.monotonic() < until:
            hints.wait(5.0)
            with store.read() as session:
                found = feeds.after(session, "f", 0, 10) or ()
        writer.join()
    assert [entry.revision for entry in found] == [1]
